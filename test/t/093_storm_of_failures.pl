# Everything dies while messages fail: consumers of both kinds, the relay, the
# manager, the postmaster and the broker by kill -9.  Nothing is lost, nothing
# has a second effect, and what is on the wire twice has the same x-copy-id.
#
# KAFKA_EVENTS_SEED repeats an order that failed.

use strict;
use warnings;

use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use KafkaEvents::Test;

my $seed = KafkaEvents::Test::seed();
my $max_retries = 2;
my $kafka = KafkaEvents::Kafka->start_own;
my %topic = (none => 'events', key => 'ordered');
$kafka->create_topic($_, partitions => 2) foreach values %topic;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop', retry_workers => 2, compression => 'none');

# each 20th fails once, one in each 100 always
$node->safe_psql('postgres', q{
	CREATE TABLE effects (arrival bigint GENERATED ALWAYS AS IDENTITY, topic text, id bigint,
		key text, part int, off bigint, attempt int);
	CREATE FUNCTION on_event(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		n bigint := convert_from(m.value, 'UTF8')::jsonb ->> 'id';
	BEGIN
		IF n % 20 = 7 AND m.attempt = 0 OR n % 100 = 33 THEN
			RAISE EXCEPTION 'fails';
		END IF;
		INSERT INTO effects (topic, id, key, part, off, attempt)
		VALUES (m.topic, n, convert_from(m.key, 'UTF8'), m.partition, m."offset", m.attempt);
	END $$});
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$topic{$_}', handler => 'on_event', ordering => '$_', max_retries => $max_retries,
		initial_delay => '200 ms', max_delay => '400 ms', breaker_threshold => 0)})
  foreach sort keys %topic;

# One of the processes of a kind; waits until there is one.
sub kill_process
{
	my ($type) = @_;
	my $deadline = time() + 60;

	while (time() < $deadline)
	{
		my ($pid) = split /\n/, $node->ask(
			qq{SELECT pid FROM pg_stat_activity
				WHERE $type AND backend_type LIKE 'kafka_events%' ORDER BY random() LIMIT 1});

		return if $pid && kill 'KILL', $pid;
		usleep(100_000);
	}
	die "no process: $type";
}

sub kill_consumer
{
	my ($role) = @_;

	return kill_process("pid IN (SELECT pid FROM kafka_consumer_health WHERE role = '$role')");
}

my @steps = shuffle(
	sub { kill_consumer('main') },
	(sub { kill_consumer('retry') }) x 2,
	sub { kill_process(q{backend_type = 'kafka_events relay'}) },
	sub { kill_process(q{backend_type = 'kafka_events manager'}) },
	sub { $node->crash },
	sub { $kafka->kill9; usleep(500_000); $kafka->restart });

my %journal = map { $_ => PostgreSQL::Test::Utils::tempdir('journal') . "/$_" } keys %topic;
my @producers = map {
	$kafka->start_producer($topic{$_}, count => 1_000_000, rate => 200, batch => 50, keys => 20,
		journal => $journal{$_}, persistent => undef)
} sort keys %topic;

foreach my $step (@steps)
{
	usleep(300_000 + rand(1_000_000));
	$step->();
}
usleep(500_000);
$_->signal('TERM') foreach @producers;
ok($_->finish, 'a producer ended well') foreach @producers;

# ---- the checker ----

# The producers persist, so an event may be there twice: records count.
foreach my $ordering (sort keys %topic)
{
	my $name = $topic{$ordering};
	my @source = $kafka->consume_bytes($name);
	my %bad = map { ("$_->{partition}/$_->{offset}" => 1) }
	  grep { id_of($_) % 100 == 33 } @source;
	my $good = @source - keys %bad;

	$node->wait_until_drained($kafka, $name);
	$node->wait_for("SELECT count(*) >= $good FROM effects WHERE topic = '$name'",
		't', "$name: $good effects");
	$node->wait_for("SELECT count(*) FROM kafka_retries WHERE topic = '$name'",
		0, "$name: retries to be done");

	cmp_ok(scalar @source, '>', 500, "$name: " . @source . " events");
	is( $node->ask(qq{
			SELECT count(*), count(DISTINCT (part, off)), count(*) FILTER (WHERE id % 100 = 33)
			  FROM effects WHERE topic = '$name'}),
		"$good|$good|0",
		"$name: every good event has its effect, once (seed $seed)");
	my %ids = map { $_->{id} => 1 } $kafka->read_journal($journal{$ordering});
	delete $ids{$_}
	  foreach split /\n/, $node->ask("SELECT id FROM effects WHERE topic = '$name'");
	is(scalar(grep { $_ % 100 != 33 } keys %ids),
		0, "$name: nothing that was acknowledged is lost (seed $seed)");

	my %dead;
	$kafka->wait_for_records("$name.dlq", scalar keys %bad);
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		%dead = by_origin("$name.dlq");
		last if keys %dead >= keys %bad;
		usleep(100_000);
	}
	is_deeply([ sort keys %dead ], [ sort keys %bad ],
		"$name: the dead letters are the bad events (seed $seed)");
	is(scalar(grep { keys %$_ > 1 } values %dead),
		0, "$name: of each there is one, or the same one again (seed $seed)");
	next if $ordering ne 'none';
	my %retries = by_origin("$name.retry");
	is( scalar(
			grep { keys %{ $retries{$_} } > ($bad{$_} ? $max_retries : 1) } keys %retries),
		0,
		"$name: and no more retry copies than retries (seed $seed)");
}
is( $node->ask(qq{SELECT count(*) FROM (
			SELECT off, lag(off) OVER (PARTITION BY part, key ORDER BY arrival) AS before
			  FROM effects WHERE topic = '$topic{key}') AS o WHERE before >= off}),
	'0', "in order where that was asked for (seed $seed)");

$node->stop;

done_testing();

sub id_of
{
	my ($message) = @_;

	return $message->{value} =~ /"id":(\d+)/ ? $1 : die 'no id';
}

# What copies of which events are in a topic: by original coordinates, a hash
# of their identifiers.
sub by_origin
{
	my ($name) = @_;
	my %found;

	foreach my $copy ($kafka->consume_bytes($name))
	{
		my %header = map { @$_ } @{ $copy->{headers} };

		$found{"$header{'x-original-partition'}/$header{'x-original-offset'}"}
		  { $header{'x-copy-id'} }++;
	}
	return %found;
}
