# A handler that is slower than a rebalance may take: what was fetched ahead
# is neither processed before the rebalance nor fetched over and over.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic =
  $kafka->create_topic($kafka->unique('slow'), partitions => 4);
my $node = KafkaEvents::Node->start_new('main');

$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 4000 ]);
$node->create_service($kafka, 'slow');
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE effects (id bigint, pid integer DEFAULT pg_backend_pid());
	CREATE FUNCTION slow(event jsonb) RETURNS void LANGUAGE plpgsql AS
		'BEGIN
			PERFORM pg_sleep(0.002);
			INSERT INTO effects VALUES ((event->>''id'')::bigint);
		END';
	SELECT kafka_subscribe('$topic', handler => 'slow', batch_size => 100)});
$node->wait_for('SELECT count(*) >= 500 FROM effects', 't', 'first effects');

# a second process gets its partitions while there is work for 7 s
$node->safe_psql('postgres', q{ALTER SERVER slow OPTIONS (ADD workers '2')});
$node->wait_for(
	q{SELECT min(assigned_partitions) FROM kafka_consumer_health
	   WHERE server = 'slow' AND status = 'running' HAVING count(*) = 2},
	2, 'both processes to have two partitions');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM effects'),
	'<', 3500, 'the second process did not wait for all messages');
$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql(
		'postgres', 'SELECT count(*), count(DISTINCT id) FROM effects'),
	'4000|4000',
	'every message had its effect once');

$node->stays_up_ok;
$node->stop;

done_testing();
