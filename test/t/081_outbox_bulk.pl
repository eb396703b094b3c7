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

# A session with an old snapshot keeps all versions of what the relay changes.
# Two databases, one of them with such a session, each with a relay that
# publishes messages one at a time.
my %relay;

foreach my $database ('plain', 'held')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, qq{
		CREATE EXTENSION kafka_events;
		CREATE PROCEDURE produce_one_by_one(count int) LANGUAGE plpgsql AS \$\$
		DECLARE
			published bigint;
		BEGIN
			FOR i IN 1 .. count LOOP
				SELECT messages_total INTO published FROM kafka_consumer_health;
				PERFORM kafka_produce('$topic', 'v');
				COMMIT;
				WHILE published = (SELECT messages_total FROM kafka_consumer_health) LOOP
					PERFORM pg_sleep(0.0002);
				END LOOP;
			END LOOP;
		END \$\$;
		CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS
			(bootstrap_servers '@{[ $kafka->address ]}', service_name '$database-service', workers '0');
		SELECT kafka_produce('$topic', 'v')});
	$node->poll_query_until($database,
		"SELECT messages_total FROM kafka_consumer_health WHERE status = 'running'", '1')
	  or die $node->state;
	$relay{$database} =
	  $node->safe_psql($database, 'SELECT pid FROM kafka_consumer_health');
}

my ($in, $out) = ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'old';\n", '');
my $holder = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('held') ],
	'<', \$in, '>', \$out);
$holder->pump until $out =~ /old/;
$_->finish foreach map {
	IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr($_),
			'-c', 'CALL produce_one_by_one(1000)' ])
} sort keys %relay;

# What one message takes: ms until it is published, and of a processor's time
# in the relay.  The least of all passes counts: what comes on top of it is
# the machine's being busy.
my (%ms, %cpu_ms);

sub processor_ms
{
	my ($ns) = split ' ', slurp_file("/proc/$relay{$_[0]}/schedstat");

	return $ns / 1_000_000;
}

sub measure
{
	my ($database) = @_;
	my $messages = 200;
	my ($start, $cpu_start) = (time(), processor_ms($database));

	$node->safe_psql($database, "CALL produce_one_by_one($messages)");
	push @{ $ms{$database} }, (time() - $start) * 1000 / $messages;
	push @{ $cpu_ms{$database} },
	  (processor_ms($database) - $cpu_start) / $messages;
	return;
}

sub slowdown
{
	my ($times) = @_;

	return min(@{ $times->{held} }) / min(@{ $times->{plain} });
}

foreach my $pass (1 .. 10)
{
	measure($_) foreach 'plain', 'held';
	last if $pass > 2 && slowdown(\%ms) < 1.2 && slowdown(\%cpu_ms) < 1.2;
}
$in .= "COMMIT;\n\\q\n";
$holder->finish;
foreach my $database ('plain', 'held')
{
	note "$database: ms "
	  . join(', ', map { sprintf '%.2f', $_ } @{ $ms{$database} })
	  . '; of a processor '
	  . join(', ', map { sprintf '%.3f', $_ } @{ $cpu_ms{$database} });
}
cmp_ok(slowdown(\%ms), '<', 1.2,
	'a session with an old snapshot does not slow the relay down');
cmp_ok(slowdown(\%cpu_ms), '<', 1.2, 'nor does it make it work harder');

$node->stays_up_ok;
$node->stop;
done_testing();
