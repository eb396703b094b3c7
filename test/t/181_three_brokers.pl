# A cluster of three brokers, with three replicas of which two must be in sync,
# through what operators do to it and what happens to it: under load, with
# retries, dead letters that are sent again, and events of handlers, nothing is
# lost and nothing doubled.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_cluster(3);
my $node = KafkaEvents::Node->start_new('main');
my $orders = $kafka->create_topic('orders', partitions => 3);
my $out = $kafka->create_topic('out', partitions => 3);
my $strict = $kafka->create_topic('strict', config => { 'min.insync.replicas' => 3 });

# the first host of the list is never there
my $service = $node->create_service($kafka, 'shop',
	bootstrap_servers => '127.0.0.1:1,' . $kafka->address,
	workers => 2);
$node->safe_psql('postgres', qq{
	CREATE TABLE effects (id int, partition int, "offset" bigint);
	CREATE TABLE repaired (since timestamptz);
	CREATE FUNCTION on_order(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE
		it kafka_message := kafka_current_message();
		id int := m ->> 'id';
		part text := COALESCE(it.headers ->> 'x-original-partition', it.partition::text);
		off text := COALESCE(it.headers ->> 'x-original-offset', it."offset"::text);
	BEGIN
		IF id % 40 = 7 AND NOT EXISTS (SELECT FROM repaired) THEN
			PERFORM kafka_reject('not repaired yet');
		ELSIF id % 10 = 3 AND it.attempt = 0 THEN
			PERFORM kafka_retry('once more');
		END IF;
		INSERT INTO effects VALUES (id, part::int, off::bigint);
		PERFORM kafka_produce('$out', part || '-' || off, m ->> 'key');
	END \$\$;
	SELECT kafka_subscribe('$orders', handler => 'on_order', max_retries => 5,
		initial_delay => '100 ms', max_delay => '100 ms', breaker_threshold => 0)});
$node->becomes(
	'SELECT status, brokers, consumers_running = consumers_expected FROM kafka_health()',
	'up|3|t', 'a dead host in the list of brokers harms nobody');

my $total = 0;

# Some load in the background, for as long as $what takes.
sub under_load
{
	my ($name, $what) = @_;
	my $producer = $kafka->start_producer($orders, count => 400, first => $total + 1,
		rate => 100, batch => 20, keys => 50, persistent => undef);

	$total += 400;
	$what->();
	return ok($producer->finish, "$name: all of the load is acknowledged");
}

# ---- rolling restart, as operators do it: one after the other is in sync

under_load('rolling restart', sub {
		foreach my $i (0 .. 2)
		{
			$kafka->broker($i)->stop;
			$kafka->broker($i)->restart;
			$kafka->wait_for_replicas($orders, 3);
		}
	});

# ---- one is lost for good, the active controller, while dead letters are
# sent again

$node->wait_for(
	"SELECT pending > 0 FROM kafka_dlq_stats('$orders')", 't', 'some dead letters');
my $lost = $kafka->active_controller;
under_load('the controller is lost', sub {
		$node->safe_psql('postgres', 'INSERT INTO repaired VALUES (now())');
		$kafka->broker($lost)->kill9;
		$node->becomes(
			qq{SELECT failed FROM kafka_dlq_reprocess('$orders', target => 'retry')},
			'0', 'dead letters are sent again meanwhile');
	});
isnt($kafka->active_controller, $lost, 'there is another one');
$node->becomes('SELECT status, brokers FROM kafka_health()', 'up|2',
	'all is well with two brokers of three');

# ---- what wants three replicas has to wait, and says so

$node->safe_psql('postgres', "SELECT kafka_produce('$strict', 'to all three')");
$node->becomes(
	q{SELECT (SELECT pending_total FROM kafka_outbox_status), status,
			 message ~ 'takes no messages: 2 of 3 replicas are in sync, and its min.insync.replicas is 3'
		FROM kafka_health()},
	'1|degraded|t', 'too few replicas for min.insync.replicas: health says so');
$kafka->tool('configs', '--alter', '--entity-type', 'topics', '--entity-name',
	$strict, '--add-config', 'min.insync.replicas=2');
$node->becomes('SELECT pending_total, last_error IS NULL FROM kafka_outbox_status',
	'0|t', '... until two are enough');
is($kafka->count_records($strict), 1, '... and it comes once');

# ---- partitions grow

under_load('partitions', sub {
		$kafka->grow_topic($orders, 5);
		$node->becomes(
			qq{SELECT count(*) FROM kafka_consumer_lag
				WHERE topic = '$orders' AND role = 'main' AND status = 'running'},
			'5', 'new partitions are consumed');
	});

# ---- two of three are away, and nobody is left to elect leaders

my ($second) = grep { $_ != $lost } 0 .. 2;
$kafka->broker($second)->kill9;
$node->safe_psql('postgres', "SELECT kafka_produce('$out', 'while two were away', 'k')");
$node->becomes(
	q{SELECT status <> 'up', message IS NOT NULL FROM kafka_health()},
	't|t', 'two of three brokers are away: health says that something is wrong');
$node->becomes(
	qq{SELECT (SELECT pending_total > 0 FROM kafka_outbox_status),
			  message ~ 'publishing: [^;]*topic "$out"'
		 FROM kafka_health()},
	't|t', '... also of what waits to be published');
$kafka->broker($second)->restart;
$node->becomes(
	'SELECT status, brokers, consumers_running = consumers_expected FROM kafka_health()',
	'up|2|t', '... until one is back');
$node->becomes('SELECT pending_total, last_error IS NULL FROM kafka_outbox_status',
	'0|t', '... for the outbox, too');

# ---- nothing is lost, nothing doubled

under_load('afterwards', sub { });
$node->wait_until_drained($kafka, $orders);
$node->becomes(
	qq{SELECT failed, (SELECT pending FROM kafka_dlq_stats('$orders'))
		 FROM kafka_dlq_reprocess('$orders', target => 'retry')},
	'0|0', 'no dead letter is left');
my %expected;
foreach my $message ($kafka->consume($orders))
{
	my ($id) = $message->{payload} =~ /"id":(\d+)/;

	$expected{"$message->{partition}-$message->{offset}"} = $id;
}
cmp_ok(scalar keys %expected, '>=', $total, 'the topic has all of the load');
$node->wait_for('SELECT count(*) FROM effects', scalar keys %expected,
	'every message to have its effect');
$node->wait_for('SELECT pending_total FROM kafka_outbox_status', '0', 'the outbox to be empty');
is_deeply(
	[ sort split /\n/, $node->safe_psql('postgres',
			q{SELECT partition || '-' || "offset" || ' ' || id FROM effects}) ],
	[ sort map { "$_ $expected{$_}" } keys %expected ],
	'each message has had its effect once');
is_deeply(
	[ sort map { $_->{payload} } $kafka->consume($out) ],
	[ sort keys %expected, 'while two were away' ],
	'and each event of a handler was published once');

$node->stays_up_ok;
$node->stop;

done_testing();
