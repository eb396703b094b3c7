# A worker freezes in the middle of a batch and wakes up after another one has
# taken its partitions over: its commit is refused.  With the fence taken out
# the same check goes red, so it is a check.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->skip_unless_test_build;

# A gate that a handler waits at: frozen there, the worker is in a batch.
$node->safe_psql('postgres', q{
	CREATE TABLE effects (topic text, off bigint);
	CREATE TABLE gate (closed boolean);
	INSERT INTO gate VALUES (false);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE plpgsql AS
	$$
	BEGIN
		INSERT INTO effects VALUES (m.topic, m."offset");
		IF m."offset" = 5 AND (SELECT closed FROM gate) THEN
			PERFORM pg_sleep(3);
		END IF;
	END
	$$});

# Returns the effects of 10 messages during whose batch a worker was frozen.
sub freeze_in_batch
{
	my ($name) = @_;
	my $topic = $kafka->create_topic($kafka->unique($name));
	my $service = $node->create_service($kafka, $name, workers => 2,
		session_timeout => 6000, heartbeat_interval => 500);
	my ($owner, $ordinal);

	$node->safe_psql('postgres', qq{
		UPDATE gate SET closed = true;
		SELECT kafka_subscribe('$topic', handler => 'note', server => '$name')});
	# below two partitions there is one worker: give the other a topic too
	my $spare = $kafka->create_topic($kafka->unique("$name.spare"));
	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$spare', handler => 'note', server => '$name')});
	$node->wait_for_workers($name, 2);
	$node->wait_for(
		"SELECT count(*) FROM kafka_consumer_lag WHERE topic = '$topic' AND status = 'running'",
		1);
	$kafka->produce($topic, [ 0 .. 9 ]);
	$node->wait_for(
		q{SELECT count(*) FROM pg_stat_activity
		   WHERE backend_type LIKE 'kafka%' AND wait_event = 'PgSleep'},
		1, 'a handler to wait');
	1 until $owner = $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity
		   WHERE backend_type LIKE 'kafka%' AND wait_event = 'PgSleep'});
	kill 'STOP', $owner;
	$node->safe_psql('postgres', 'UPDATE gate SET closed = false');
	$node->wait_for(
		"SELECT count(*) >= 10 FROM effects WHERE topic = '$topic'",
		't', 'the other worker to take over');
	kill 'CONT', $owner;
	# until the thawed worker has ended its batch, one way or the other
	$node->wait_for(
		"SELECT count(*) FROM pg_stat_activity WHERE pid = $owner AND xact_start IS NOT NULL",
		0, 'the thawed worker to go on');
	$kafka->produce($topic, [10]);
	$node->wait_for(
		"SELECT count(*) > 0 FROM effects WHERE topic = '$topic' AND off = 10");
	return $node->safe_psql('postgres',
		"SELECT count(*), count(DISTINCT off) FROM effects WHERE topic = '$topic'");
}

is(freeze_in_batch('fenced'), '11|11',
	'the commit of a worker that lost its partition is refused');

$node->append_conf('postgresql.conf', 'kafka_events.test_fence = off');
$node->reload;
isnt(freeze_in_batch('unfenced'), '11|11',
	'without the compare-and-set the same check goes red');

$node->stop;

done_testing();
