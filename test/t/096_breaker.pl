# The circuit breaker on the real thing: a handler that always fails opens it
# and no more copies are made than its threshold; it closes when the function
# is repaired.  A deployment that is wrong stops the subscription until it is
# right.  Trouble of the database routes nothing.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');

# What a handler is to do is a row that tests change.
$node->safe_psql('postgres', q{
	CREATE TABLE effects (topic text, id bigint);
	CREATE TABLE trouble (topic text PRIMARY KEY, sqlstate text);
	CREATE FUNCTION handle(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		t trouble;
	BEGIN
		SELECT * INTO t FROM trouble WHERE topic = m.topic;
		IF t.sqlstate IS NOT NULL THEN
			RAISE EXCEPTION USING ERRCODE = t.sqlstate, MESSAGE =
				CASE t.sqlstate WHEN 'P0001' THEN 'sec' || 'ret' ELSE 'trouble' END;
		END IF;
		INSERT INTO effects
		VALUES (m.topic, (convert_from(m.value, 'UTF8')::jsonb->>'id')::bigint);
	END $$});

sub topic
{
	my ($name) = @_;

	return $kafka->create_topic($kafka->unique($name), partitions => 2);
}

sub subscribe
{
	my ($topic, $arguments) = @_;

	return $node->safe_psql('postgres',
		"SELECT kafka_subscribe('$topic', handler => 'handle', $arguments)");
}

sub produce
{
	my ($topic, $count) = @_;

	return $kafka->produce($topic, [ map { "{\"id\": $_}" } 1 .. $count ]);
}

sub set_trouble
{
	my ($topic, $sqlstate) = @_;

	return $node->safe_psql('postgres', qq{
		INSERT INTO trouble VALUES ('$topic', '$sqlstate')
		ON CONFLICT (topic) DO UPDATE SET sqlstate = excluded.sqlstate});
}

sub end_trouble
{
	return $node->safe_psql('postgres',
		"DELETE FROM trouble WHERE topic = '$_[0]'");
}

sub breaker
{
	my ($topic, $columns) = @_;

	return $node->safe_psql('postgres',
		"SELECT $columns FROM kafka_circuit_breakers WHERE topic = '$topic'");
}

sub wait_for_breaker
{
	my ($topic, $condition) = @_;

	return $node->wait_for(
		"SELECT $condition FROM kafka_circuit_breakers WHERE topic = '$topic'");
}

# Each id once, and nothing else.
sub wait_for_effects
{
	my ($topic, $count) = @_;

	$node->wait_for(
		"SELECT count(*) FROM effects WHERE topic = '$topic'", $count);
	return is(
		$node->safe_psql(
			'postgres',
			"SELECT count(DISTINCT id), min(id), max(id) FROM effects
			  WHERE topic = '$topic'"),
		"$count|1|$count",
		"each message has had its effect once");
}

# Records of <topic>.retry and <topic>.dlq, once all are published.
sub copies
{
	my ($topic) = @_;

	$node->wait_for('SELECT sum(pending_total) FROM kafka_outbox_status', 0);
	return map { $kafka->count_records("$topic.$_") } qw(retry dlq);
}

note 'a handler that always fails';
{
	my $topic = topic('fails');

	set_trouble($topic, 'P0001');
	subscribe($topic, q{max_retries => 10, initial_delay => '1 s',
		max_delay => '1 s', breaker_threshold => 7,
		breaker_timeout => '500 ms'});
	produce($topic, 50);
	wait_for_breaker($topic, "state <> 'closed' AND failures_in_row >= 7");

	# some tries later it has made no more copies
	wait_for_breaker($topic, 'failures_in_row >= 10');
	is_deeply([ copies($topic) ], [ 7, 0 ], 'as many copies as the threshold');
	is(breaker($topic, q{state IN ('open', 'half-open'), opened_at < now(),
		last_sqlstate, last_partition IN (0, 1), last_offset >= 0}),
		't|t|P0001|t|t', 'the view shows it');
	like(
		$node->safe_psql(
			'postgres',
			"SELECT status, status_reason FROM kafka_subscriptions
			  WHERE topic = '$topic'"),
		qr/^open\|the circuit breaker is (half-)?open after \d+ failures in a row, \d+ of them tries, the last one at offset \d+ of partition [01]: P0001 \(raise_exception\); .*kafka_circuit_reset/,
		'the subscription says so');

	end_trouble($topic);
	wait_for_breaker($topic, "state = 'closed'");
	wait_for_effects($topic, 50);
	is_deeply([ copies($topic) ], [ 7, 0 ], 'no copy more');
	is(breaker($topic, 'failures_in_row, opened_at, last_sqlstate'),
		'0||P0001', 'the last failure stays known');
}

note 'closed by hand';
{
	my $topic = topic('reset');

	set_trouble($topic, 'P0001');
	subscribe($topic, q{max_retries => 0, breaker_threshold => 2,
		breaker_timeout => '1 hour'});
	produce($topic, 10);
	wait_for_breaker($topic, "state = 'open'");
	end_trouble($topic);
	$node->becomes(
		"SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'",
		2, 'two messages are dead letters');
	is_deeply([ copies($topic) ], [ 0, 2 ], '... no more and no fewer');
	is($node->safe_psql('postgres',
			"SELECT count(*) FROM effects WHERE topic = '$topic'"),
		0, 'the rest waits');
	$node->safe_psql('postgres', "SELECT kafka_circuit_reset('$topic')");
	$node->wait_for("SELECT count(*) FROM effects WHERE topic = '$topic'", 8);
	is(breaker($topic, 'state'), 'closed', 'it goes on after a reset');
}

note 'messages at fault themselves, so that no try can succeed';
{
	my $topic = $kafka->create_topic($kafka->unique('bad'));

	$node->safe_psql('postgres', qq{
		CREATE FUNCTION handle_most(j jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
		BEGIN
			IF (j->>'id')::int <= 5 THEN
				RAISE EXCEPTION 'bad';
			END IF;
			INSERT INTO effects VALUES ('$topic', (j->>'id')::int);
		END \$\$;
		SELECT kafka_subscribe('$topic', handler => 'handle_most', max_retries => 0,
			breaker_threshold => 2, breaker_timeout => '200 ms')});
	produce($topic, 20);
	wait_for_breaker($topic, 'failures_in_row >= 4');
	is_deeply([ copies($topic) ], [ 0, 2 ], 'the third one is in the way');
	like(
		$node->safe_psql('postgres',
			"SELECT status_reason FROM kafka_subscriptions WHERE topic = '$topic'"),
		qr/, \d+ of them tries, the last one at offset 2 of partition 0: P0001 .*; if that message itself is at fault, kafka_circuit_reset/,
		'the reason says what to do');
	$node->safe_psql('postgres', "SELECT kafka_circuit_reset('$topic')");
	wait_for_breaker($topic, 'last_offset = 4 AND failures_in_row >= 4');
	is_deeply([ copies($topic) ], [ 0, 4 ], 'a reset has it routed, as others');
	$node->safe_psql('postgres',
		"SELECT kafka_consumer_seek('$topic', \"offset\" => 5, partition => 0)");
	$node->wait_for("SELECT count(*) FROM effects WHERE topic = '$topic'", 15);
	is(breaker($topic, 'state'), 'closed', 'it closes behind a seek, too');
	is_deeply([ copies($topic) ], [ 0, 4 ], 'which makes no copy');
}

note 'a deployment that is wrong';
{
	my $topic = topic('broken');
	my $status = "SELECT status FROM kafka_subscriptions WHERE topic = '$topic'";

	$node->safe_psql('postgres', q{
		CREATE FUNCTION store(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM handle(m);
			INSERT INTO missing VALUES (m."offset");
		END $$});
	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic', handler => 'store', max_retries => 10,
			initial_delay => '200 ms', retry_strategy => 'fixed')});
	produce($topic, 20);
	$node->wait_for($status, 'broken');
	like(
		$node->safe_psql(
			'postgres',
			"SELECT status_reason FROM kafka_subscriptions WHERE topic = '$topic'"),
		qr/^3 messages in a row .*: 42P01 \(undefined_table\): relation "missing" does not exist/,
		'its reason is the error');
	wait_for_breaker($topic, "state = 'broken' AND next_try_at IS NULL");
	my ($retries, $letters) = copies($topic);
	is($letters, 0, 'no dead letter');
	cmp_ok($retries, '>=', 2, 'two messages are to be retried');

	# a change that does not help
	$node->safe_psql('postgres', 'CREATE TABLE something_else ()');
	$node->wait_for("SELECT failures_in_row > 3 FROM kafka_circuit_breakers WHERE topic = '$topic'");
	$node->wait_for($status, 'broken');
	is_deeply([ copies($topic) ], [ $retries, 0 ], 'nothing more was routed');

	$node->safe_psql('postgres', 'CREATE TABLE missing ("offset" bigint)');
	$node->wait_for($status, 'active');
	wait_for_effects($topic, 20);
	is_deeply([ copies($topic) ], [ $retries, 0 ], 'nor was then');
}

note 'a deployment whose repair nobody sees';
{
	my $topic = topic('resumed');
	my $status = "SELECT status FROM kafka_subscriptions WHERE topic = '$topic'";

	set_trouble($topic, '0A000');
	subscribe($topic, q{max_retries => 10, initial_delay => '200 ms',
		retry_strategy => 'fixed'});
	produce($topic, 20);
	$node->wait_for($status, 'broken');
	end_trouble($topic);
	$node->safe_psql('postgres', "SELECT kafka_consumer_resume('$topic')");
	$node->wait_for($status, 'active');
	wait_for_effects($topic, 20);
}

note 'trouble of the database';
{
	my $topic = topic('trouble');

	set_trouble($topic, '53100');
	subscribe($topic, q{breaker_threshold => 1});
	produce($topic, 20);
	$node->wait_for(
		"SELECT count(*) > 0 FROM kafka_consumer_health
		  WHERE last_error LIKE 'topic \"$topic\" waits: 53100%'");
	is(breaker($topic, 'state, failures_in_row'), 'closed|0',
		'it is nobody\'s failure');
	$node->wait_for(
		"SELECT status, status_reason ~ '^partition [01]: waits for the database: 53100 \\(disk_full\\)\$'
		   FROM kafka_subscriptions WHERE topic = '$topic'",
		'active|t', 'the view says why there are no rows');
	$node->wait_for(
		q{SELECT status, message ~ 'partitions wait: partition [01] of topic .*: waits for the database: 53100' FROM kafka_health()},
		'degraded|t', 'so does kafka_health');
	is(
		$node->safe_psql(
			'postgres',
			"SELECT retried_total, dead_lettered_total, failed_total
			   FROM kafka_metrics WHERE topic = '$topic'"),
		'0|0|0', 'nothing is routed');
	end_trouble($topic);
	wait_for_effects($topic, 20);
	is_deeply([ copies($topic) ], [ 0, 0 ], 'no copy was made');
}

note 'a message that fails in front of one that nobody is to blame for';
{
	my $topic = topic('in_front');

	$node->safe_psql('postgres', q{
		CREATE FUNCTION second_waits(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			IF m."offset" = 0 THEN
				RAISE EXCEPTION 'poison';
			END IF;
			PERFORM handle(m);
		END $$});
	set_trouble($topic, '08006');
	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic', handler => 'second_waits', max_retries => 0, breaker_threshold => 2)});
	$kafka->produce($topic, [ map { "{\"id\": $_}" } 0 .. 5 ], '-p', '0');
	my $waits = "SELECT last_error_at FROM kafka_consumer_health
		  WHERE last_error LIKE 'topic \"$topic\" waits: 08006%'";
	$node->wait_for("SELECT ($waits) IS NOT NULL");
	my $since = $node->safe_psql('postgres', $waits);
	foreach my $i (1 .. 3)
	{
		$node->wait_for("SELECT ($waits) > '$since'");
		$since = $node->safe_psql('postgres', $waits);
	}
	is(breaker($topic, 'state, failures_in_row'), 'closed|1', 'it failed once');
	is_deeply([ copies($topic) ], [ 0, 1 ], 'and is a dead letter meanwhile');
	end_trouble($topic);
	wait_for_effects($topic, 5);
}

unlike(slurp_file($node->logfile), qr/secret/, 'no payload in the log');
$node->stays_up_ok;
$node->stop;
done_testing();
