# Several consumers that write the same rows at the same time: upserts of the
# same keys do not deadlock, transactions that do run one at a time for a
# while, nothing is lost and no message is accused of it.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $workers = 4;
my $count = 1000;    # in each partition
my $ids = 100;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main', conf => 'max_worker_processes = 20');
$node->create_service($kafka, 'shop', workers => $workers, topic_partitions => 1);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE plain (id int PRIMARY KEY, v int);
	CREATE TABLE triggered (id int PRIMARY KEY, v int);
	CREATE TABLE handled (id int PRIMARY KEY, v int);
	CREATE TABLE history (id int, v int);
	CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO history SELECT NEW.id, NEW.v FROM pg_sleep(0.0005);
		RETURN NEW;
	END $$;
	CREATE TRIGGER remember BEFORE INSERT ON triggered
		FOR EACH ROW EXECUTE FUNCTION remember();
	CREATE FUNCTION handle(event jsonb) RETURNS void LANGUAGE sql AS $$
		INSERT INTO handled SELECT (event->>'id')::int, 1 FROM pg_sleep(0.0005)
			ON CONFLICT (id) DO UPDATE SET v = handled.v + 1
	$$});

# the workers are there before the first messages
my $none = $kafka->create_topic($kafka->unique('none'), partitions => $workers);
$node->safe_psql('postgres', "SELECT kafka_subscribe('$none', handler => 'handle')");
$node->wait_for_workers('shop', $workers);

# Half of the partitions have the keys in the other order.  One in ten is a tombstone, where
# they are wanted.
sub produce
{
	my ($topic, $tombstones) = @_;
	my @messages;

	foreach my $i (1 .. $count)
	{
		foreach my $partition (0 .. $workers - 1)
		{
			my $id = ($partition % 2 ? -$i : $i) % $ids;

			push @messages,
			  {
				key => "$id",
				partition => $partition,
				value => $tombstones && $i % 10 == 0 ? undef : qq({"id": $id, "v": $i})
			  };
		}
	}
	$kafka->produce_messages($topic, @messages);
	return;
}

sub deadlocks
{
	return $node->safe_psql('postgres',
		q{SELECT pg_stat_clear_snapshot();
		  SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'}) =~ s/\s//gr;
}

# Returns the number of deadlocks, about.
sub consume
{
	my ($name, $subscription, $tombstones) = @_;
	my $topic = $kafka->create_topic($kafka->unique($name), partitions => $workers);
	my $before = deadlocks();

	produce($topic, $tombstones);
	$node->safe_psql('postgres',
		"SELECT kafka_subscribe('$topic', ordering => 'none', $subscription)");
	$node->wait_until_drained($kafka, $topic);
	is( $node->safe_psql('postgres', qq{
			SELECT succeeded_total, retried_total, dead_lettered_total
			  FROM kafka_metrics WHERE topic = '$topic'}),
		$workers * $count . '|0|0', "$name: every message succeeds, at once");
	return deadlocks() - $before;
}

is(consume('plain', q{into_table => 'plain', on_conflict => 'update'}),
	0, 'plain: no deadlock');
is($node->safe_psql('postgres', 'SELECT count(*) FROM plain'), $ids, 'plain: the rows are there');
$node->safe_psql('postgres', 'TRUNCATE plain');
is(consume('tombstones', q{into_table => 'plain', on_conflict => 'update'}, 1),
	0, 'tombstones: no deadlock');

# Rows that come again and again in all partitions: consumers take turns, and
# do not keep old versions from being removed while they wait.  So most updates
# find room beside the version before.
my $topic = $kafka->create_topic($kafka->unique('shared'), partitions => $workers);
$kafka->produce($topic, [ map { qq({"id": @{[ $_ * 37 % 300 ]}, "v": $_}) } 1 .. 10000 ], '-p', $_)
  foreach 0 .. $workers - 1;
$node->safe_psql('postgres', qq{
	CREATE TABLE shared (id int PRIMARY KEY, v int);
	SELECT kafka_subscribe('$topic', into_table => 'shared', on_conflict => 'update')});
$node->wait_until_drained($kafka, $topic);
# consumers that wait have not told all of their statistics yet
$node->wait_for(qq{
	SELECT n_tup_upd > 0.5 * (SELECT rows_total FROM kafka_metrics WHERE topic = '$topic')
	  FROM pg_stat_user_tables WHERE relname = 'shared'}, 't', 'statistics');
my $updates = $node->safe_psql('postgres',
	q{SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'shared'});
my ($all, $hot) = split /\|/, $updates;
cmp_ok($hot, '>', $all / 2, "shared: of $all updates, most are beside the version before");

# Triggers see the messages in their order, and so rows are locked in it.
# After a few deadlocks each consumer runs its transactions alone.
my $rounds = 3 * $workers;
cmp_ok(consume('triggered', q{into_table => 'triggered', on_conflict => 'update'}),
	'<=', $rounds, 'triggered: few deadlocks');
is($node->safe_psql('postgres', 'SELECT count(*) FROM history'),
	$workers * $count, 'triggered: each message is seen once');
cmp_ok(consume('handled', q{handler => 'handle'}), '<=', $rounds, 'handled: few deadlocks');
is($node->safe_psql('postgres', 'SELECT sum(v) FROM handled'),
	$workers * $count, 'handled: each message has its effect once');
like(slurp_file($node->logfile), qr/transactions of several consumers deadlock/,
	'the log says that they do');

$node->stays_up_ok;
done_testing();
