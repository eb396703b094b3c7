# Everything dies, in random order, while events come in: consumers and the
# postmaster by kill -9, the broker too; workers are altered, subscriptions
# come, change and go.  Nothing is lost, nothing has a second effect, and
# every subscribed partition is owned again within 10 s of a worker's death.
#
# KAFKA_EVENTS_SEED repeats an order that failed, GROUP_PROTOCOL=consumer does
# all of it with the newer groups of Kafka (KIP-848).

use strict;
use warnings;

use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use KafkaEvents::Test;

my $seed = KafkaEvents::Test::seed();
my $partitions = 4;
my %protocol = (group_protocol => $ENV{GROUP_PROTOCOL} || 'classic');
my %brokers;

# There the brokers say when a member is dead, after 45 s unless told otherwise.
if ($protocol{group_protocol} eq 'consumer')
{
	$ENV{LD_LIBRARY_PATH} = KafkaEvents::Test::newer_librdkafka();
	%brokers = (
		'group.consumer.session.timeout.ms' => 3000,
		'group.consumer.min.session.timeout.ms' => 3000,
		'group.consumer.heartbeat.interval.ms' => 500,
		'group.consumer.min.heartbeat.interval.ms' => 500);
}
my $kafka = KafkaEvents::Kafka->start_own(%brokers);
my $topic = $kafka->create_topic('events', partitions => $partitions);
my $other = $kafka->create_topic('other', partitions => 2);
my $node = KafkaEvents::Node->start_new('main',
	conf => "log_min_messages = info\n");
my $service = $node->create_service($kafka, 'shop', workers => 1,
	synchronous_commit => 'off', %protocol);
my $journal = PostgreSQL::Test::Utils::tempdir('journal') . '/events';

$node->safe_psql('postgres', qq{
	CREATE TABLE rows (arrival bigint GENERATED ALWAYS AS IDENTITY, id bigint,
		kafka_partition int, kafka_offset bigint);
	CREATE TABLE calls (arrival bigint GENERATED ALWAYS AS IDENTITY, id bigint,
		part int, off bigint);
	CREATE TABLE others (id bigint);
	CREATE FUNCTION on_event(m kafka_message) RETURNS void LANGUAGE sql AS
	\$\$
		INSERT INTO calls (id, part, off)
		VALUES ((convert_from(m.value, 'UTF8')::jsonb ->> 'id')::bigint,
			m.partition, m."offset")
	\$\$;
	SELECT kafka_subscribe('$topic', handler => 'on_event', into_table => 'rows')});

sub running_partitions
{
	my ($status, $out) = $node->psql('postgres',
		"SELECT count(*) FROM kafka_consumer_lag WHERE topic = '$topic' AND status = 'running'");
	return defined $status && $status == 0 ? $out : 0;
}

my @slowest = (0, '');

sub owned_again
{
	my ($what, $since) = @_;
	my $took;

	while (running_partitions() < $partitions)
	{
		die $node->state if time() - $since > 60;
		usleep(50_000);
	}
	$took = time() - $since;
	note sprintf('%.1f s: %s', $took, $what) if $what;
	@slowest = ($took, $what) if $what && $took > $slowest[0];
	return;
}

my $workers = 1;

sub kill_consumer
{
	my ($pid) = split /\n/, $node->ask(
		q{SELECT pid FROM kafka_consumer_health
		   WHERE pid IS NOT NULL ORDER BY random() LIMIT 1});
	return kill_consumer() if !$pid;
	my $now = time();
	kill 'KILL', $pid;
	usleep(50_000)
	  while $node->ask("SELECT count(*) FROM kafka_consumer_health WHERE pid = $pid");
	owned_again("kill -9 of a consumer", $now);
}

sub crash_postmaster
{
	$node->crash;
	$node->ask('SELECT 1');
	owned_again('', time());
}

sub crash_broker
{
	my $progress = 'SELECT sum(next_offset) FROM kafka_events.positions';

	$kafka->kill9;
	usleep(500_000);
	my $before = $node->ask($progress);
	$kafka->restart;
	# consumers own their partitions all the time: they have to go on
	$node->wait_for("SELECT ($progress) > $before", 't', 'messages after the broker\'s death');
	owned_again('', time());
}

sub alter_workers
{
	$workers = { 1 => 4, 4 => 2, 2 => 1 }->{$workers};
	$node->ask("ALTER SERVER shop OPTIONS (SET workers '$workers')");
	# Who is killed while leaving keeps its place for session_timeout, and so
	# does who cannot leave because its group waits for somebody dead.
	$node->wait_for('SELECT count(*) FROM kafka_consumer_health',
		$workers, "$workers workers");
	owned_again('', time());
}

my $subscribed = 0;

sub change_subscriptions
{
	my $step = $subscribed++ % 3;

	$node->ask(
		  $step == 0 ? "SELECT kafka_subscribe('$other', into_table => 'others')"
		: $step == 1 ? "SELECT kafka_subscription_alter('$other', batch_size => 10)"
		:              "SELECT kafka_unsubscribe('$other')");
}

my @steps = shuffle(
	(\&kill_consumer) x 10,
	(\&crash_postmaster) x 3,
	(\&crash_broker) x 2,
	(\&alter_workers) x 2,
	(\&change_subscriptions) x 3);

my $producer = $kafka->start_producer($topic, count => 1_000_000, rate => 2000,
	batch => 200, journal => $journal, persistent => undef);

owned_again('', time());
foreach my $step (@steps)
{
	usleep(200_000 + rand(1_500_000));
	$step->();
}
usleep(500_000);
$producer->signal('TERM');
ok($producer->finish, 'the producer ended well');

$node->ask("ALTER SERVER shop OPTIONS (SET workers '2')");
$node->wait_until_drained($kafka, $topic);

# ---- the checker ----

my $file = PostgreSQL::Test::Utils::tempdir('ids') . '/ids';
append_to_file($file,
	join('', map { "$_->{id}\n" } $kafka->read_journal($journal)));
$node->safe_psql('postgres',
	"CREATE TABLE journal (id bigint); COPY journal FROM '$file'");
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM journal');
cmp_ok($count, '>', 10_000, "$count events were acknowledged");

foreach my $table ([ 'rows', 'kafka_partition', 'kafka_offset' ],
	[ 'calls', 'part', 'off' ])
{
	my ($name, $part, $off) = @$table;

	is( $node->safe_psql('postgres', qq{
			SELECT count(*) FROM journal
			 WHERE NOT EXISTS (SELECT 1 FROM $name WHERE $name.id = journal.id)}),
		'0', "$name: nothing is lost (seed $seed)");
	is( $node->safe_psql('postgres',
			"SELECT count(*) - count(DISTINCT ($part, $off)) FROM $name"),
		'0', "$name: nothing has a second effect (seed $seed)");
	is( $node->safe_psql('postgres', qq{
			SELECT count(*) FROM (
				SELECT $off, lag($off) OVER
					(PARTITION BY $part ORDER BY arrival) AS before FROM $name) AS o
			 WHERE before >= $off}),
		'0', "$name: in order (seed $seed)");
}
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM kafka_events.positions AS p
		 WHERE topic = 'events' AND next_offset <= (
			SELECT max(kafka_offset) FROM rows
			 WHERE kafka_partition = p.partition)}),
	'0', 'every position is behind its last effect');
cmp_ok($slowest[0], '<', 10,
	sprintf('every partition was owned again within 10 s (seed %d; slowest %.1f s after %s)',
		$seed, @slowest));

$node->stop;

done_testing();
