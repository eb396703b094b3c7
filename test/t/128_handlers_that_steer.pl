# Handlers that call kafka_consumer_seek, resume or pause: of another topic
# they may; of their own, moving its position is an error like any other, and
# nobody says that the message had ended its process.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $orders = $kafka->create_topic($kafka->unique('orders'));
my $control = $kafka->create_topic($kafka->unique('control'));
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');
$node->safe_psql('postgres', qq{
	CREATE TABLE orders (id int);
	CREATE TABLE done (what text);
	CREATE FUNCTION steer(m kafka_message) RETURNS void LANGUAGE plpgsql AS
	\$\$BEGIN
		EXECUTE convert_from(m.value, 'UTF8');
		INSERT INTO done VALUES (convert_from(m.value, 'UTF8'));
	END\$\$;
	SELECT kafka_subscribe('$orders', into_table => 'orders');
	SELECT kafka_subscribe('$control', handler => 'steer', max_retries => 0)});
$kafka->produce($orders, [ map { qq({"id": $_}) } 1 .. 10 ]);
$node->wait_until_drained($kafka, $orders);

# another topic's position
$kafka->produce($control,
	[ qq(SELECT kafka_consumer_seek('$orders', "position" => 'earliest')) ]);
$node->becomes('SELECT count(*) FROM orders', '20',
	'a handler moves another topic');

# its own, and then a message that only counts
$kafka->produce($control,
	[
		qq(SELECT kafka_consumer_seek('$control', "position" => 'earliest')),
		qq(SELECT kafka_consumer_resume('$control')),
		'SELECT 1'
	]);
$node->becomes(q{SELECT count(*) FROM done WHERE what = 'SELECT 1'}, '1',
	'a handler that moves its own topic holds nothing up');
$node->becomes(
	qq{SELECT received_total, succeeded_total, dead_lettered_total
	     FROM kafka_metrics WHERE topic = '$control'},
	'4|2|2', 'its messages are dead letters');
$node->becomes("SELECT pending FROM kafka_dlq_stats('$control')",
	'2', 'they are published');
is( $node->safe_psql('postgres',
		qq{SELECT DISTINCT sqlstate, reason LIKE 'cannot move topic "%" while its own messages are processed'
		     FROM kafka_dlq_messages('$control')}),
	'55006|t', 'and say why');
unlike(slurp_file($node->logfile), qr/ended its process/,
	'nothing is said to have ended its process');

# Positions that are moved again and again from outside: no message has ended
# the process, however often its partition starts anew.
foreach (1 .. 6)
{
	my $epoch = $node->safe_psql('postgres', qq{
		SELECT kafka_consumer_resume('$orders');
		SELECT max(owner_epoch) FROM kafka_events.positions WHERE topic = '$orders'});

	$epoch =~ s/.*\n//s;
	$node->wait_for(
		qq{SELECT max(owner_epoch) > $epoch FROM kafka_events.positions WHERE topic = '$orders'},
		't', 'the partition to start again');
}
$kafka->produce($orders, ['{"id": 11}']);
$node->becomes('SELECT count(*) FROM orders WHERE id = 11', '1',
	'a partition that was resumed six times goes on');
is($node->safe_psql('postgres',
		'SELECT max(unclean_claims) FROM kafka_events.positions'),
	'0', 'without an unclean end');

$node->stays_up_ok;
$node->stop;

done_testing();
