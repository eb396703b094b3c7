# Time limits, cancels and stops that meet running user code: handlers,
# triggers of the target table, deferred triggers in the commit.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE naps (seconds float8);
	CREATE TABLE effects (topic text, id integer);
	CREATE TABLE rows (id integer);
	CREATE TABLE deferred_rows (id integer);

	-- sleeps as long as there is a nap to take
	CREATE FUNCTION nap() RETURNS void LANGUAGE sql AS
	$$SELECT pg_sleep(seconds) FROM naps$$;
	CREATE FUNCTION on_event(m jsonb) RETURNS void LANGUAGE plpgsql AS
	$$BEGIN
		INSERT INTO effects VALUES ((kafka_current_message()).topic, (m ->> 'id')::integer);
		IF (m ->> 'id')::integer = 5 THEN PERFORM nap(); END IF;
	END$$;
	CREATE FUNCTION nap_at_5() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN
		IF NEW.id = 5 THEN PERFORM nap(); END IF;
		RETURN NEW;
	END$$;
	CREATE TRIGGER nap BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION nap_at_5();
	CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON deferred_rows
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nap_at_5()});

my $sleeping = q{SELECT count(*) > 0 FROM pg_stat_activity
	WHERE backend_type = 'kafka_events consumer' AND wait_event = 'PgSleep'};

sub subscribe
{
	my ($name, $arguments) = @_;
	my $topic = $kafka->create_topic($kafka->unique($name));

	$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 10 ]);
	$node->safe_psql('postgres', "SELECT kafka_subscribe('$topic', $arguments)");
	return $topic;
}

sub set_nap
{
	my ($seconds) = @_;

	$node->safe_psql('postgres',
		"DELETE FROM naps; INSERT INTO naps VALUES ($seconds)");
	return;
}

# The limit is the message's fault.
set_nap(600);
my $topic = subscribe('timeout', "handler => 'on_event', handler_timeout => '3 s',
	max_retries => 0, dlq => false");
$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql('postgres',
		"SELECT count(*), count(*) FILTER (WHERE id = 5) FROM effects WHERE topic = '$topic'"),
	'9|0', 'a message whose handler takes too long is passed over');
like(slurp_file($node->logfile),
	qr/message at offset 4 of partition 0 of topic "\Q$topic\E" is passed over: 57014 \(query_canceled\): function ran longer than handler_timeout \(3000 ms\)/,
	'and named');

# A cancel is nobody's fault: the message is tried again.
set_nap(600);
$topic = subscribe('cancel', "handler => 'on_event'");
$node->wait_for($sleeping);
$node->safe_psql('postgres', 'DELETE FROM naps');
my $pid = $node->worker_pid('shop');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql('postgres',
		"SELECT count(*), count(DISTINCT id) FROM effects WHERE topic = '$topic'"),
	'10|10', 'after a cancel the message is tried again');
is($node->worker_pid('shop'), $pid, 'by the same process');

# Nothing runs: a cancel has nothing to hit.
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$kafka->produce($topic, ['{"id": 11}']);
$node->wait_until_drained($kafka, $topic);
is($node->worker_pid('shop'), $pid, 'a cancel of an idle process does nothing');

# A stop does not wait for user code, wherever it is.
foreach my $case (
	[ 'handler', "handler => 'on_event', handler_timeout => '100 s'", 'effects' ],
	[ 'trigger', "into_table => 'rows'", 'rows' ],
	[ 'deferred trigger', "into_table => 'deferred_rows'", 'deferred_rows' ])
{
	my ($what, $arguments, $table) = @$case;

	set_nap(600);
	(my $name = $what) =~ s/ /_/g;
	$topic = subscribe("stop_in_$name", $arguments);
	$node->wait_for($sleeping);
	$node->safe_psql('postgres', 'DELETE FROM naps');
	my $before = time();
	$node->stop('fast');
	my $seconds = time() - $before;
	cmp_ok($seconds, '<', 8, "stops while a $what sleeps");
	$node->start;
	$node->wait_until_drained($kafka, $topic);
	is( $node->safe_psql(
			'postgres',
			"SELECT count(*), count(DISTINCT id) FROM $table"
			  . ($table eq 'effects' ? " WHERE topic = '$topic'" : '')),
		'10|10',
		"every message has its effect, once, after a stop in a $what");
}

$node->stays_up_ok;
$node->stop;

done_testing();
