# group_protocol consumer: KIP-848's groups, in which the brokers assign.
# What is promised is the same: every message has its effect once, whatever is
# killed, frozen, added and taken away.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

# ---- a library that is too old for it

my $options = q{FOREIGN DATA WRAPPER kafka_events OPTIONS (
	bootstrap_servers 'k1:9092', service_name 'no', group_protocol 'consumer'};
my $system = KafkaEvents::Node->start_new('system');

SKIP:
{
	my (undef, undef, $refusal) =
	  $system->psql('postgres', "CREATE SERVER no $options)");

	skip 'the system\'s librdkafka is new enough', 1 if $refusal eq '';
	like(
		$refusal,
		qr/"group_protocol" can be consumer with librdkafka 2\.12\.0 or later, but this is [\d.]+\.\nHINT:  /,
		'a library that is too old');
}
$system->stop;

$ENV{LD_LIBRARY_PATH} = KafkaEvents::Test::newer_librdkafka();

# It is the brokers that say how long a member may be silent.
my $kafka = KafkaEvents::Kafka->start_own(
	'group.consumer.session.timeout.ms' => 3000,
	'group.consumer.min.session.timeout.ms' => 3000,
	'group.consumer.heartbeat.interval.ms' => 500,
	'group.consumer.min.heartbeat.interval.ms' => 500);
my $node = KafkaEvents::Node->start_new('main');
my $partitions = 4;
my $topic = $kafka->create_topic('events', partitions => $partitions);
my $sent = 0;

$node->skip_unless_test_build;

# ---- options

my (undef, undef, $stderr) = $node->psql('postgres',
	"CREATE SERVER no $options, session_timeout '10000', heartbeat_interval '1000')");
like(
	$stderr,
	qr/"session_timeout" cannot be set with group_protocol consumer\.\nOption "heartbeat_interval" cannot be set with group_protocol consumer\.\nHINT:  .*group\.consumer\.session\.timeout\.ms\.\n.*group\.consumer\.heartbeat\.interval\.ms\./,
	'session_timeout and heartbeat_interval are the brokers\'');

# ---- subscribe, kill, rebalance

my $service = $node->create_service($kafka, 'shop', workers => 2,
	group_protocol => 'consumer');

$node->safe_psql('postgres', qq{
	CREATE TABLE gate (closed boolean);
	INSERT INTO gate VALUES (false);
	CREATE TABLE effects (topic text, part int, off bigint, id int);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE plpgsql AS
	\$\$
	DECLARE
		n int := convert_from(m.value, 'UTF8')::jsonb ->> 'id';
	BEGIN
		IF n % 50 = 7 AND m.attempt = 0 THEN
			RAISE EXCEPTION 'fails once';
		END IF;
		INSERT INTO effects VALUES (m.topic, m.partition, m."offset", n);
		IF n < 0 AND (SELECT closed FROM gate) THEN
			PERFORM pg_sleep(3);
		END IF;
	END
	\$\$;
	SELECT kafka_subscribe('$topic', handler => 'note', initial_delay => '200 ms')});

sub send_some
{
	my ($count) = @_;

	$kafka->produce($topic, [ map { '{"id": ' . ++$sent . '}' } 1 .. $count ]);
	return;
}

sub owned_by
{
	my ($count, $what) = @_;

	$node->wait_for(
		qq{SELECT count(*), count(DISTINCT consumer_id) FROM kafka_consumer_lag
			WHERE topic = '$topic' AND role = 'main' AND status = 'running'},
		"$partitions|$count", $what);
	return;
}

sub once_ok
{
	my ($what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->becomes(
		'SELECT count(*), count(DISTINCT id) FROM effects WHERE id > 0',
		"$sent|$sent", $what);
	return;
}

send_some(400);
owned_by(2, 'two workers to share the partitions');
once_ok('two workers');
like($kafka->tool('groups', '--list', '--type', 'consumer'),
	qr/^\Q$service\E-main\b/m,
	'the group is one of the newer kind');

foreach my $workers (4, 2)
{
	$node->safe_psql('postgres',
		"ALTER SERVER shop OPTIONS (SET workers '$workers')");
	send_some(400);
	owned_by($workers, "$workers workers to share the partitions");
}
once_ok('more workers, and fewer');

# The places of the dead are nobody's until the brokers know that they are.
send_some(400);
$node->kill_worker('shop');
$node->wait_for(q{SELECT count(*) FROM kafka_subscriptions}, 1, 'the server');
send_some(400);
$node->wait_for(
	'SELECT count(DISTINCT part) FROM effects WHERE id > ' . ($sent - 400),
	$partitions, 'the first rows after a kill -9');
once_ok('kill -9 of a worker');
owned_by(2, 'all partitions to be owned again');

# ---- a topic more, a topic less

my $second = $kafka->create_topic('second', partitions => 2);
$node->safe_psql('postgres', "SELECT kafka_subscribe('$second', handler => 'note')");
$kafka->produce($second, [ '{"id": ' . ++$sent . '}' ]);
once_ok('a topic that is subscribed later');
$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$second')");
send_some(100);
once_ok('a topic less');

# ---- the fence

# Returns the effects of messages during whose batch a worker was frozen.
sub freeze_in_batch
{
	my ($id) = @_;
	my $owner;

	$node->safe_psql('postgres', 'UPDATE gate SET closed = true');
	$kafka->produce($topic, [ map { qq({"id": -$id}) } 1 .. 10 ], '-p', 0);
	1 until $owner = $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity
		   WHERE backend_type LIKE 'kafka%' AND wait_event = 'PgSleep' LIMIT 1});
	kill 'STOP', $owner;
	$node->safe_psql('postgres', 'UPDATE gate SET closed = false');
	$node->wait_for("SELECT count(*) >= 10 FROM effects WHERE id = -$id",
		't', 'another worker to take over');
	kill 'CONT', $owner;
	$node->wait_for(
		"SELECT count(*) FROM pg_stat_activity WHERE pid = $owner AND xact_start IS NOT NULL",
		0, 'the thawed worker to go on');
	send_some(1);
	once_ok('consumption goes on');
	return $node->safe_psql('postgres',
		"SELECT count(*), count(DISTINCT off) FROM effects WHERE id = -$id");
}

is(freeze_in_batch(1), '10|10',
	'the commit of a worker that lost its partition is refused');
$node->append_conf('postgresql.conf', 'kafka_events.test_fence = off');
$node->reload;
isnt(freeze_in_batch(2), '10|10', 'without the compare-and-set it is not');
$node->append_conf('postgresql.conf', 'kafka_events.test_fence = on');
$node->reload;

# ---- from one protocol to the other

foreach my $protocol ('classic', 'consumer')
{
	$node->safe_psql('postgres',
		"ALTER SERVER shop OPTIONS (SET group_protocol '$protocol')");
	send_some(100);
	owned_by(2, "the partitions to be owned with group_protocol $protocol");
	once_ok("group_protocol is now $protocol");
}
$node->safe_psql('postgres', 'DROP SERVER shop CASCADE');
$kafka->stop;

# ---- brokers that do not have it

my $old = KafkaEvents::Kafka->start_own(
	'group.coordinator.rebalance.protocols' => 'classic');
$old->create_topic('events');
$node->create_service($old, 'old', group_protocol => 'consumer');
$node->safe_psql('postgres', q{
	SELECT kafka_subscribe('events', handler => 'note', server => 'old')});

# said for as long as no consumer tries again
ok( $node->poll_query_until('postgres', q{
		SELECT message ~ 'do not offer group_protocol consumer: It takes Kafka 4.0 or later.*"group_protocol" to classic'
		  FROM kafka_health('old')}),
	'brokers that do not offer it: what to do');
$node->safe_psql('postgres',
	q{ALTER SERVER old OPTIONS (SET group_protocol 'classic')});
$old->produce('events', [ '{"id": 1000000}' ]);
$node->becomes('SELECT count(*) FROM effects WHERE id = 1000000',
	1, '... and it helps');

done_testing();
