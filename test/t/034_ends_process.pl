# Handlers that end their process, or the whole server, at one message: the
# others are processed, the partition stops at it by name, and it is not
# tried for ever.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');

# A function that reads from address 1, without a library of its own.
$node->safe_psql(
	'postgres', q{
	CREATE SEQUENCE runs;
	CREATE TABLE effects (topic text, partition integer, "offset" bigint);
	CREATE FUNCTION crash(address bigint) RETURNS integer
		LANGUAGE internal STRICT AS 'textlen';
	CREATE FUNCTION endless() RETURNS void LANGUAGE plpgsql AS
	$$BEGIN
		LOOP
			BEGIN
				PERFORM pg_sleep(60);
			EXCEPTION WHEN query_canceled THEN NULL;
			END;
		END LOOP;
	END$$;
	CREATE FUNCTION run_it(m kafka_message) RETURNS void LANGUAGE plpgsql AS
	$$BEGIN
		INSERT INTO effects VALUES (m.topic, m.partition, m."offset");
		EXECUTE convert_from(m.value, 'UTF8');
	END$$});

# Two partitions, one with a bad message in the middle.
sub test_end
{
	my ($name, $statement, %options) = @_;
	my $topic = $kafka->create_topic($kafka->unique($name), partitions => 2);
	my $limit = $options{handler_timeout} || '30 s';
	my @partition0 = map { { partition => 0, value => 'SELECT 1' } } 1 .. 30;
	my @partition1 = map { { partition => 1, value => 'SELECT 1' } } 1 .. 30;

	$partition1[10]{value} = $statement;
	$kafka->produce_messages($topic, @partition0, @partition1);
	$node->safe_psql('postgres',
		qq{SELECT kafka_subscribe('$topic', handler => 'run_it', handler_timeout => '$limit')});
	$node->wait_for(
		qq{SELECT status_reason LIKE 'the message at offset 10 ended its process %' FROM kafka_consumer_lag
			WHERE topic = '$topic' AND role = 'main' AND partition = 1}, 't',
		"$name: the partition to stop");
	$node->wait_for(
		qq{SELECT "position" FROM kafka_consumer_lag
			WHERE topic = '$topic' AND role = 'main' AND partition = 0}, 30,
		"$name: the other partition to go on");
	is( $node->safe_psql('postgres', qq{
			SELECT partition, count(*), count(DISTINCT "offset"), max("offset")
			  FROM effects WHERE topic = '$topic' GROUP BY 1 ORDER BY 1}),
		"0|30|30|29\n1|10|10|9",
		"$name: everything else has its effect, once");

	# not again and again
	my $restarts = 'SELECT sum(restarts_total), min(pid) FROM kafka_consumer_health';
	my $before = $node->safe_psql('postgres', $restarts);
	$kafka->produce_messages($topic, map { { partition => 0, value => 'SELECT 1' } } 1 .. 5);
	$node->wait_for(
		qq{SELECT "position" FROM kafka_consumer_lag
			WHERE topic = '$topic' AND role = 'main' AND partition = 0}, 35);
	is($node->safe_psql('postgres', $restarts), $before,
		"$name: it is not tried again");

	# nor by whoever gets the partition next
	stays_stopped($topic, $name) if $options{stays};

	# what to do about it is the user's choice: here, go on behind it
	$node->safe_psql('postgres',
		qq{SELECT kafka_consumer_seek('$topic', "offset" => 11, partition => 1);
			SELECT kafka_consumer_resume('$topic')});
	$node->wait_until_drained($kafka, $topic);
	is( $node->safe_psql('postgres', qq{
			SELECT count(*), count(DISTINCT "offset") FROM effects
			 WHERE topic = '$topic' AND partition = 1}),
		'29|29', "$name: behind it the partition goes on");
	return;
}

# How often the bad message ran: sequences do not roll back.
sub runs
{
	return $node->safe_psql('postgres', 'SELECT last_value FROM runs');
}

# A rebalance, another process, and another server find the partition stopped.
sub stays_stopped
{
	my ($topic, $name) = @_;
	my $stopped = qq{
		SELECT count(*) FROM kafka_consumer_lag
		 WHERE topic = '$topic' AND role = 'main' AND partition = 1 AND status = 'stopped'
		   AND status_reason LIKE 'the message at offset 10 ended its process %'};
	my $other = $kafka->create_topic($kafka->unique('other'));
	my $pid = $node->worker_pid('shop');
	my $runs = runs();

	$kafka->produce_messages($other, { value => 'SELECT 1' });
	$node->safe_psql('postgres', "SELECT kafka_subscribe('$other', handler => 'run_it')");
	$node->wait_until_drained($kafka, $other);
	$node->becomes($stopped, 1, "$name: stopped after a rebalance");
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	$node->wait_for(
		"SELECT count(*) FROM kafka_consumer_health WHERE status = 'running' AND pid <> $pid",
		1, "$name: another process");
	$kafka->produce_messages($other, { value => 'SELECT 1' });
	$node->wait_until_drained($kafka, $other);
	$node->becomes($stopped, 1, "$name: stopped in another process");
	$node->restart;
	$kafka->produce_messages($other, { value => 'SELECT 1' });
	$node->wait_until_drained($kafka, $other);
	$node->becomes($stopped, 1, "$name: stopped after a restart");
	is(runs(), $runs, "$name: and it was not run again");

	# tried again when somebody says so
	$node->safe_psql('postgres', "SELECT kafka_consumer_resume('$topic')");
	$node->becomes("SELECT last_value > $runs FROM runs", 't', "$name: resumed, it is tried again");
	$node->becomes($stopped, 1, "$name: and stopped again");
	$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$other')");
	return;
}

test_end('terminates',
	q{SELECT nextval('runs'), pg_terminate_backend(pg_backend_pid()), pg_sleep(60)},
	stays => 1);
test_end('never_gives_in', 'SELECT endless()', handler_timeout => '2 s');
$node->stays_up_ok;

test_end('crashes', 'SELECT crash(1)');
$node->stop;

done_testing();
