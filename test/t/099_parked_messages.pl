# Messages that wait in the database: there are never more than allowed, and
# one that ends its process each time it is retried becomes a dead letter.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main',
	conf => "kafka_events.max_parked_retries = 20\n");
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_)) }
  qw(many_none many_key ends_none ends_key);

$node->create_service($kafka, 'shop', compression => 'none');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE effects (topic text, id int, attempt int);
	CREATE TABLE gate (open boolean);
	INSERT INTO gate VALUES (false);
	CREATE FUNCTION gated(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF NOT (SELECT open FROM gate) THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		INSERT INTO effects VALUES (m.topic, convert_from(m.value, 'UTF8')::int, m.attempt);
	END $$;
	CREATE FUNCTION ends(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		id int := convert_from(m.value, 'UTF8')::int;
	BEGIN
		IF id = 3 AND m.attempt = 0 THEN
			RAISE EXCEPTION 'not yet';
		ELSIF id = 3 THEN
			PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);
		END IF;
		INSERT INTO effects VALUES (m.topic, id, m.attempt);
	END $$});

# ---- the bound ----

sub subscribe_many
{
	my ($name, $ordering) = @_;

	$kafka->produce($topic{$name}, [ 1 .. 100 ], '-k', 'k');
	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic{$name}', handler => 'gated', ordering => '$ordering', batch_size => 1,
			max_retries => 10, initial_delay => '1 s', max_delay => '1 s', breaker_threshold => 0)});
	return;
}

subscribe_many('many_key', 'key');
$node->wait_for(
	"SELECT status || ' ' || status_reason FROM kafka_consumer_lag WHERE topic = '$topic{many_key}'",
	'paused kafka_events.max_parked_retries messages wait already',
	'the partition to be paused');
is( $node->safe_psql('postgres', qq{
		SELECT (SELECT count(*) FROM kafka_retries WHERE topic = '$topic{many_key}'),
			(SELECT "position" FROM kafka_consumer_lag WHERE topic = '$topic{many_key}')}),
	'20|20', 'no more than allowed are parked, in order');
$node->safe_psql('postgres', 'UPDATE gate SET open = true');
$node->wait_until_drained($kafka, $topic{many_key});
$node->wait_for("SELECT count(*) FROM effects WHERE topic = '$topic{many_key}'", 100);
is( $node->safe_psql('postgres',
		"SELECT count(DISTINCT id) FROM effects WHERE topic = '$topic{many_key}'"),
	100, 'then all have their effect, once');

$node->safe_psql('postgres', 'UPDATE gate SET open = false');
subscribe_many('many_none', 'none');
$node->wait_for(
	qq{SELECT status || ' ' || status_reason FROM kafka_consumer_lag
		WHERE topic LIKE '$topic{many_none}%' AND role = 'retry' AND status = 'paused'},
	'paused kafka_events.max_parked_retries messages wait already',
	'the retry partition to be paused');
$node->safe_psql('postgres', 'UPDATE gate SET open = true');
$node->wait_for("SELECT count(*) FROM effects WHERE topic = '$topic{many_none}'", 100);
is( $node->safe_psql('postgres',
		"SELECT count(DISTINCT id) FROM effects WHERE topic = '$topic{many_none}'"),
	100, 'then all of the retry topic have their effect, once');

# ---- ends its process ----

foreach my $ordering (qw(none key))
{
	my $topic = $topic{"ends_$ordering"};

	$kafka->produce($topic, [ 1 .. 10 ], '-k', 'k');
	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic', handler => 'ends', ordering => '$ordering',
			initial_delay => '100 ms', breaker_threshold => 0)});
	$node->wait_for(
		"SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'",
		1, "$ordering: the dead letter");
	$node->wait_for("SELECT count(*) FROM kafka_retries WHERE topic = '$topic'", 0);
	$node->wait_for("SELECT count(*) FROM effects WHERE topic = '$topic'", 9);
	$node->wait_for('SELECT pending_total FROM kafka_outbox_status', 0);
	my @dead = $kafka->consume_bytes("$topic.dlq");
	my %headers = map { @$_ } @{ $dead[0]->{headers} };
	is( join(' ', scalar @dead, $dead[0]->{value},
			@headers{qw(x-retry-attempts x-dlq-sqlstate x-dlq-reason)}),
		'1 3 1 57P02 message ended its process 3 times',
		"$ordering: what ends its process is a dead letter");
}

$node->stays_up_ok;
$node->stop;

done_testing();
