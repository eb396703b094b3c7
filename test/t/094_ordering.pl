# Order under failures: with ordering key later messages of a key wait for the
# one that failed, with ordering partition the partition does; they survive
# restarts, rebalances, a change of ordering and an unsubscription.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop', topic_partitions => 1);
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_), partitions => 2) }
  qw(update key partition stay);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE accounts (kafka_key text PRIMARY KEY, version int);
	CREATE TABLE history (n bigint GENERATED ALWAYS AS IDENTITY, key text, version int);
	CREATE TABLE effects (n bigint GENERATED ALWAYS AS IDENTITY, topic text, partition int,
		"offset" bigint, key text, attempt int);
	CREATE TABLE gate (open boolean);
	INSERT INTO gate VALUES (false);

	-- version 1 of account a fails as long as the gate is shut
	CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.kafka_key = 'a' AND NEW.version = 1 AND NOT (SELECT open FROM gate) THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		INSERT INTO history (key, version) VALUES (NEW.kafka_key, NEW.version);
		RETURN NEW;
	END $$;
	CREATE TRIGGER remember BEFORE INSERT ON accounts
		FOR EACH ROW EXECUTE FUNCTION remember();

	-- each 20th fails once, one in each 100 always, one as long as the gate is shut
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		n int := (convert_from(m.value, 'UTF8'))::int;
	BEGIN
		IF n % 20 = 3 AND m.attempt = 0 OR n % 100 = 50 OR
			n = 10010 AND NOT (SELECT open FROM gate) THEN
			RAISE EXCEPTION 'message % fails', n;
		END IF;
		INSERT INTO effects (topic, partition, "offset", key, attempt)
		VALUES (m.topic, m.partition, m."offset", convert_from(m.key, 'UTF8'), m.attempt);
	END $$});

# on_conflict update orders by key without being asked
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$topic{update}', into_table => 'accounts', on_conflict => 'update',
		max_retries => 10, initial_delay => '2 s', retry_strategy => 'fixed', max_delay => '2 s')});
is( $node->safe_psql('postgres',
		"SELECT ordering FROM kafka_subscriptions WHERE topic = '$topic{update}'"),
	'key', 'updates are ordered by key');
$kafka->produce_messages($topic{update},
	map { { key => $_->[0], value => qq({"version": $_->[1]}), partition => 0 } }
	  [ 'a', 1 ], [ 'b', 1 ], [ 'a', 2 ], [ 'b', 2 ], [ 'a', 3 ]);
$node->wait_until_drained($kafka, $topic{update});
is( $node->safe_psql('postgres', qq{
		SELECT server, attempt > 0, original_partition, original_offset, sqlstate, due_at IS NULL
		  FROM kafka_retries WHERE topic = '$topic{update}' ORDER BY original_offset}),
	"shop|t|0|0|P0001|f\nshop|f|0|2||t\nshop|f|0|4||t",
	'kafka_retries shows the message that failed and those behind it');
$node->wait_for(q{SELECT attempt > 1 FROM kafka_retries WHERE original_offset = 0},
	't', 'the message to fail again');
$node->safe_psql('postgres', 'UPDATE gate SET open = true');
$node->wait_for('SELECT count(*) FROM kafka_retries', 0, 'all retries to be done');
is( $node->safe_psql('postgres',
		q{SELECT string_agg(key || version, ' ' ORDER BY n) FROM history}),
	'b1 b2 a1 a2 a3', 'no other key waits, and an older value never comes later');
is($node->safe_psql('postgres', 'SELECT * FROM accounts ORDER BY 1'),
	"a|3\nb|2", 'the newest value is there');

# many keys in two partitions, while processes come and go
my $count = 600;
my @messages =
  map { { key => 'k' . $_ % 30, value => "$_", partition => $_ % 2 } } 1 .. $count;
my @always = grep { $_ % 100 == 50 } 1 .. $count;

sub subscribe
{
	my ($name, $ordering) = @_;

	$kafka->produce_messages($topic{$name}, @messages);
	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic{$name}', handler => 'note', ordering => '$ordering',
			max_retries => 2, initial_delay => '100 ms', max_delay => '200 ms',
			breaker_threshold => 0)});
	return;
}

sub effects_ok
{
	my ($name, $ordering) = @_;
	my $good = $count - @always;
	my $retried = grep { $_ % 20 == 3 } 1 .. $count;

	$node->wait_for(
		"SELECT count(*) FROM effects WHERE topic = '$topic{$name}'",
		$good, "$name: all effects");
	$node->wait_for(
		"SELECT count(*) FROM kafka_retries WHERE topic = '$topic{$name}'",
		0, "$name: all retries to be done");
	is( $node->safe_psql('postgres', qq{
			SELECT count(*), count(DISTINCT (partition, "offset")),
				count(*) FILTER (WHERE attempt = 1), max(attempt)
			  FROM effects WHERE topic = '$topic{$name}'}),
		"$good|$good|$retried|1",
		"$name: the good messages have their effects, once");
	is( $node->safe_psql('postgres', qq{
			SELECT count(*) FROM (
				SELECT "offset", lag("offset") OVER (PARTITION BY $ordering ORDER BY n) AS before
				  FROM effects WHERE topic = '$topic{$name}') AS o
			 WHERE before >= "offset"}),
		'0', "$name: in order");
	$node->becomes(
		"SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic{$name}'",
		scalar @always, "$name: the others are dead letters");
	return;
}

subscribe('key', 'key');
$node->wait_for(
	"SELECT count(*) > 0 FROM kafka_retries WHERE topic = '$topic{key}'");
$node->safe_psql('postgres', q{
	SELECT pg_terminate_backend(pid) FROM kafka_consumer_health WHERE role = 'main';
	ALTER SERVER shop OPTIONS (ADD workers '2')});
effects_ok('key', 'key');

subscribe('partition', 'partition');
$node->wait_for(
	"SELECT count(*) > 0 FROM kafka_retries WHERE topic = '$topic{partition}'");
$node->safe_psql('postgres', q{
	SELECT pg_terminate_backend(pid) FROM kafka_consumer_health WHERE role = 'main'});
$node->safe_psql('postgres', q{ALTER SERVER shop OPTIONS (SET workers '1')});
effects_ok('partition', 'partition');

# what waits stays when the ordering is altered, and while nobody subscribes
$node->safe_psql('postgres', 'UPDATE gate SET open = false');
@messages = map { { key => $_ % 2 ? 'odd' : 'even', value => "$_", partition => 0 } } 10010 .. 10015;
$kafka->produce_messages($topic{stay}, @messages);
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$topic{stay}', handler => 'note', ordering => 'key',
		max_retries => 10, initial_delay => '3 s', max_delay => '3 s', breaker_threshold => 0)});
$node->wait_until_drained($kafka, $topic{stay});
is( $node->safe_psql('postgres', qq{
		SELECT string_agg("offset"::text, ' ' ORDER BY n) FROM effects WHERE topic = '$topic{stay}'}),
	'1 3 5', 'the other key goes on');
$node->safe_psql('postgres',
	"SELECT kafka_subscription_alter('$topic{stay}', ordering => 'partition')");
$node->wait_for(
	"SELECT status_reason FROM kafka_consumer_lag WHERE topic = '$topic{stay}' AND partition = 0",
	'waits for a message that is to be retried',
	'the partition to wait');
$kafka->produce_messages($topic{stay}, { key => 'odd', value => '10017', partition => 0 });
$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$topic{stay}')");
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM kafka_retries WHERE topic = '$topic{stay}'"),
	3, 'what waits stays without a subscription');
$node->safe_psql('postgres', qq{
	UPDATE gate SET open = true;
	SELECT kafka_subscribe('$topic{stay}', handler => 'note', ordering => 'partition')});
$node->wait_until_drained($kafka, $topic{stay});
$node->wait_for(
	"SELECT count(*) FROM kafka_retries WHERE topic = '$topic{stay}'", 0);
is( $node->safe_psql('postgres', qq{
		SELECT string_agg("offset"::text, ' ' ORDER BY n) FROM effects WHERE topic = '$topic{stay}'}),
	'1 3 5 0 2 4 6', 'and goes on with the next one, before what came later');

$node->stays_up_ok;
$node->stop;

done_testing();
