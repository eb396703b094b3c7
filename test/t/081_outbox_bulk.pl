# Much to publish: while the broker restarts, and under an old snapshot.

use strict;
use warnings;

use IPC::Run;
use List::Util qw(min);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_own;
my $topic = $kafka->create_topic('bulk', partitions => 4);
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop', workers => 0);

sub wait_for_published
{
	my ($total) = @_;

	return $node->wait_for(
		q{SELECT published_total || ' ' || pending_total FROM kafka_outbox_status},
		"$total 0", "$total published messages");
}

# 100 000 messages, in order per key
my $count = 100_000;
my $dir = PostgreSQL::Test::Utils::tempdir('scripts');
append_to_file("$dir/many.sql", qq{
	SELECT count(kafka_produce('$topic', i::text, key => (i % 50)::text))
	  FROM generate_series(10000 * $_ + 1, 10000 * ($_ + 1)) i;}) foreach 0 .. 9;
my $producing = IPC::Run::start(
	[ 'psql', '-XAtq', '-f', "$dir/many.sql", $node->connstr('postgres') ],
	'<', \undef, '>', \my $output);
$node->wait_for('SELECT published_total > 5000 FROM kafka_outbox_status', 't',
	'some to be published');
$kafka->restart;
$producing->finish;
ok(wait_for_published($count), "$count messages are published");
my (%last, %wrong);
my @messages = $kafka->consume($topic);
foreach my $message (@messages)
{
	my $key = $message->{key};

	$wrong{$key} = $message->{payload}
	  if $message->{payload} <= ($last{$key} || 0);
	$last{$key} = $message->{payload};
}
is(scalar @messages, $count, 'each of them once');
is_deeply(\%wrong, {}, 'in order per key, though the broker was restarted');

# Seconds for some thousands of small transactions, from the first one's
# beginning until all are published; the better of two.
append_to_file("$dir/one.sql", "SELECT kafka_produce('$topic', 'v');\n");

sub best_time
{
	my @times;

	foreach (1 .. 2)
	{
		my $start = time();

		system_or_bail('pgbench', '-n', '-c', '2', '-t', '1000', '-f', "$dir/one.sql",
			$node->connstr('postgres'));
		$count += 2000;
		wait_for_published($count);
		push @times, time() - $start;
	}
	return min(@times);
}

my $without = best_time();
my ($in, $out) = ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'old';\n", '');
my $holder = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out);
$holder->pump until $out =~ /old/;
best_time();
my $with = best_time();
$in .= "COMMIT;\n\\q\n";
$holder->finish;
note(sprintf '%.2f s, under an old snapshot %.2f s', $without, $with);
cmp_ok($with, '<', 2 * $without + 0.5,
	'a session with an old snapshot does not slow the relay down');

$node->stays_up_ok;
$node->stop;
done_testing();
