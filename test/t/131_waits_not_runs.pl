# A message that waits because something is nobody's fault does not run: when
# other messages end the process, it is not stopped and no dead letter, and
# succeeds once the trouble is over.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_)) }
  qw(waits ends retry_waits retry_ends key_waits key_ends);

$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE effects (topic text, attempt int);
	CREATE TABLE remote (up boolean);
	INSERT INTO remote VALUES (false);

	-- a retried one fails once, and then as the others
	CREATE FUNCTION waits(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF m.topic LIKE '%\_waits' AND m.attempt = 0 THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		IF NOT (SELECT up FROM remote) THEN
			RAISE EXCEPTION 'no connection' USING ERRCODE = '08001';
		END IF;
		INSERT INTO effects VALUES (m.topic, m.attempt);
	END $$;
	CREATE FUNCTION ends(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF m.topic LIKE '%\_ends' AND m.attempt = 0 THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);
	END $$});

sub subscribe
{
	my ($name, $handler, $arguments) = @_;

	return $node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic{$name}', handler => '$handler',
			initial_delay => '100 ms', max_delay => '100 ms',
			breaker_threshold => 0 $arguments)});
}

# The message of $name waits, and has done so again since it was asked first.
sub wait_until_it_waits
{
	my ($name, $role) = @_;

	return $node->wait_for(
		qq{SELECT count(*) > 0 FROM kafka_consumer_health
			WHERE role = '$role' AND last_error LIKE '%$topic{$name}%waits: 08001%'},
		't', "$name: to wait");
}

note 'beside a message that ends the process';
subscribe('waits', 'waits', '');
$kafka->produce($topic{waits}, ['{}']);
wait_until_it_waits('waits', 'main');
subscribe('ends', 'ends', '');
$kafka->produce($topic{ends}, ['{}']);
$node->becomes(
	"SELECT status FROM kafka_subscriptions WHERE topic = '$topic{ends}'",
	'broken', 'what ends the process is stopped');
wait_until_it_waits('waits', 'main');
is( $node->safe_psql('postgres', qq{
		SELECT count(*) FROM kafka_consumer_lag
		 WHERE topic = '$topic{waits}' AND (status = 'stopped' OR status_reason LIKE '%ended%')}),
	0, 'what waits is not');

note 'when both are retried, in the retry topic and in order';
foreach my $mode ([ 'retry', q{, ordering => 'none'} ], [ 'key', q{, ordering => 'key'} ])
{
	my ($name, $arguments) = @$mode;
	my $role = $name eq 'retry' ? 'retry' : 'main';

	subscribe("${name}_waits", 'waits', $arguments);
	$kafka->produce($topic{"${name}_waits"}, ['{}'], '-k', 'k');
	wait_until_it_waits("${name}_waits", $role);
	subscribe("${name}_ends", 'ends', $arguments);
	$kafka->produce($topic{"${name}_ends"}, ['{}'], '-k', 'k');
	$node->becomes(
		qq{SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic{"${name}_ends"}'},
		1, "$name: what ends the process is a dead letter");

	# far more often than a message may end its process
	my $since = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
	foreach my $i (1 .. 4)
	{
		$node->wait_for(
			qq{SELECT count(*) > 0 FROM kafka_consumer_health
				WHERE role = '$role' AND last_error LIKE '%$topic{"${name}_waits"}%waits: 08001%'
				  AND last_error_at > '$since'});
		$since = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
	}
	is( $node->safe_psql('postgres',
			qq{SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic{"${name}_waits"}'}),
		0, "$name: what waits is not");
}

$node->safe_psql('postgres', 'UPDATE remote SET up = true');
$node->becomes('SELECT count(*), count(DISTINCT topic) FROM effects',
	'3|3', 'all that waited succeed, once each');

$node->stays_up_ok;
$node->stop;
done_testing();
