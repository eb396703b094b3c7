# Whatever is killed while dead letters are sent again, and whoever else does
# the same at the same time: a reader of committed data sees each once.
#
# And while all that goes on, Kafka forgets the position of another service,
# which had nothing to do for two minutes.
#
# ROUNDS=n does more or less; KAFKA_EVENTS_SEED repeats a run's moments, as far
# as that goes.

use strict;
use warnings;

use IPC::Run;
use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use KafkaEvents::Test;

KafkaEvents::Test::seed();
my $rounds = $ENV{ROUNDS} || 10;
note("ROUNDS=$rounds");

my $kafka = KafkaEvents::Kafka->start_own(
	'offsets.retention.minutes' => 1,
	'offsets.retention.check.interval.ms' => 5000);
my $source = $kafka->create_topic('orders', partitions => 2);
my $dlq = $kafka->create_topic('orders.dlq', partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $sent = 0;

# two databases are one service
$node->safe_psql('postgres', 'CREATE DATABASE second');
foreach my $database ('postgres', 'second')
{
	$node->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS kafka_events');
	$node->safe_psql(
		$database, qq{
		CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '@{[$kafka->address]}',
				 service_name 'shop-service', shared 'true')});
}

# a service that does its work now, and then nothing for two minutes
my $quiet = $kafka->create_topic('invoices', partitions => 2);
$kafka->create_topic('invoices.dlq', partitions => 2);
$node->safe_psql(
	'postgres', qq{
	CREATE SERVER quiet FOREIGN DATA WRAPPER kafka_events
	OPTIONS (bootstrap_servers '@{[$kafka->address]}', service_name 'quiet-service')});
$kafka->produce('invoices.dlq', [ 1 .. 1000 ], '-H', "x-original-topic=$quiet");
my $quiet_run =
  q{SELECT total, successful, failed FROM kafka_dlq_reprocess('invoices', server => 'quiet')};
is($node->safe_psql('postgres', $quiet_run), '1000|1000|0', 'a service that rests now');
my $quiet_since = time;

sub produce_letters
{
	my ($count) = @_;

	$kafka->produce($dlq, [ map { $sent + $_ } 1 .. $count ],
		'-H', "x-original-topic=$source", '-H', 'x-dlq-reason=none');
	$sent += $count;
	return;
}

my $run = q{SELECT total, successful, failed FROM kafka_dlq_reprocess('orders', server => 'shop')};

# Begin a run; what it says goes to @$out.
sub start_run
{
	my ($database, $out) = @_;

	return IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($database), '-c', $run ],
		'<', \undef, '>', \$out->[0], '2>', \$out->[1]);
}

# Wait until a run is in the middle of it; it may also be quick.
sub wait_until_moving
{
	my ($session) = @_;

	foreach (1 .. 300)
	{
		$session->pump_nb;
		last if !$session->pumpable;
		last
		  if $node->safe_psql('postgres',
			q{SELECT count(*) FROM kafka_dlq_progress WHERE status = 'running'});
		usleep(50_000);
	}
	usleep(int(rand(300_000)));
	return;
}

# Send the rest, as often as somebody is told to try again.
sub finish
{
	foreach (1 .. 150)
	{
		my ($out, $err);

		return if $node->psql('postgres', $run, stdout => \$out,
			stderr => \$err) == 0;
		note($err);
		usleep(200_000);
	}
	BAIL_OUT('dead letters cannot be sent');
}

# What has arrived, and how often.
sub arrived
{
	my ($out, %seen);

	IPC::Run::run([ 'kcat', '-C', '-b', $kafka->address, '-t', $source, '-o',
			'beginning', '-e', '-q', '-f', '%s\n', '-X',
			'isolation.level=read_committed' ], '<', \undef, '>', \$out)
	  or BAIL_OUT('kcat could not consume');
	$seen{$_}++ foreach split /\n/, $out;
	return %seen;
}

sub pending
{
	return $node->safe_psql('postgres',
		q{SELECT pending FROM kafka_dlq_stats('orders', 'shop')});
}

# Kafka may still have to end a transaction whose end was asked for.
sub each_somewhere_ok
{
	my ($name) = @_;
	my (%seen, $pending);

	foreach (1 .. 100)
	{
		%seen = arrived();
		$pending = pending();
		last if keys(%seen) + $pending == $sent;
		usleep(200_000);
	}
	is(keys(%seen) + $pending, $sent, "$name: what was not sent is pending");
	is(scalar(grep { $_ > 1 } values %seen), 0, '... and nothing is sent twice');
	return;
}

sub each_once_ok
{
	my ($name) = @_;

	$kafka->settle($source);
	my %seen = arrived();

	is(scalar(keys %seen), $sent, "$name: no letter is lost");
	is(scalar(grep { $_ > 1 } values %seen), 0, '... and none is sent twice');
	$node->becomes(q{SELECT pending FROM kafka_dlq_stats('orders', 'shop')},
		0, '... and none is pending');
	return;
}

# Nobody is signalled if there is no such process: the run was quick.
sub signal_process
{
	my ($signal, $type) = @_;
	my $pid = pid_of($type);

	kill $signal, $pid if $pid ne '';
	return;
}

sub pid_of
{
	my ($type) = @_;

	return $node->safe_psql('postgres',
		qq{SELECT pid FROM pg_stat_activity
			WHERE backend_type = 'kafka_events $type' AND datname = 'postgres' LIMIT 1});
}

my %kill = (
	task => sub { signal_process('KILL', 'task') },
	manager => sub { signal_process('KILL', 'manager') },
	'task, politely' => sub { signal_process('TERM', 'task') },
	postmaster => sub { $node->crash },
	broker => sub { $kafka->kill9; $kafka->restart },
	client => sub { $node->safe_psql('postgres',
		q{SELECT pg_cancel_backend(pid) FROM kafka_dlq_progress}) });
my @gently = ('client', 'task, politely');

# What one kill leaves is there for the next.
foreach my $round (1 .. $rounds)
{
	my @victims = shuffle(grep { my $victim = $_; !grep { $_ eq $victim } @gently } sort keys %kill);

	foreach my $victim ($round == 1 ? @gently : (), @victims)
	{
		my @said = ('', '');

		produce_letters(500);
		my $session = start_run('postgres', \@said);
		wait_until_moving($session);
		$kill{$victim}->();
		$session->finish;
		$node->poll_query_until('postgres', 'SELECT true');
		note("$victim: @said");
	}
	each_somewhere_ok("round $round, @victims");
	next if $round % 5 && $round != $rounds;
	finish();
	each_once_ok("round $round");
}

# two at once
foreach my $other ('postgres', 'second')
{
	my @first = ('', '');
	my @second = ('', '');

	produce_letters(3000);
	my @sessions = (start_run('postgres', \@first), start_run($other, \@second));
	$_->finish foreach @sessions;
	note("first: @first; second, in $other: @second");
	finish();
	each_once_ok("one session more in database $other");
}

# Kafka forgets the position of a group without members
$kafka->tool('groups', '--delete-offsets', '--group', 'shop-service-admin',
	'--topic', $dlq);
is($node->safe_psql('postgres', $run), '0|0|0', 'nothing is sent again');
each_once_ok('Kafka has forgotten');

# ... unless it is told again in time
$kafka->tool('groups', '--delete-offsets', '--group', 'shop-service-admin',
	'--topic', $dlq);
$node->safe_psql('postgres',
	q{UPDATE kafka_events.dlq_positions SET written_at = now() - interval '25 hours'});
my $committed = 0;
foreach (1 .. 60)
{
	$committed = grep { defined $_->{current_offset} }
	  $kafka->describe_group('shop-service-admin');
	last if $committed == 2;
	usleep(500_000);
}
is($committed, 2, 'positions are committed again each day');

# so much for those who had something to do
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
usleep(200_000)
  while time < $deadline
  && (time - $quiet_since < 120
	|| grep { defined $_->{current_offset} } $kafka->describe_group('quiet-service-admin'));
is(scalar(grep { defined $_->{current_offset} } $kafka->describe_group('quiet-service-admin')),
	0, 'Kafka has forgotten the position of a service that rested for two minutes');
note(sprintf 'it rested for %d s', time - $quiet_since);
is($node->safe_psql('postgres', $quiet_run), '0|0|0', '... which sends nothing again');
is(scalar $kafka->consume($quiet), 1000, '... nor has anybody else');

$node->stop;
done_testing();
