# A relay whose brokers are away for a minute, while transactions go on that
# produce; and meanwhile, with brokers that stay, one that is frozen, and one
# that wakes when another has taken its place.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use KafkaEvents::Test;

my $outage = 60;
my %kafka = (
	shop => KafkaEvents::Kafka->start_own,
	depot => KafkaEvents::Kafka->shared);
my %topic = map {
	($_ => $kafka{$_}->create_topic($kafka{$_}->unique($_), partitions => 3))
} sort keys %kafka;
my $node = KafkaEvents::Node->start_new('main');

$node->safe_psql('postgres',
	'CREATE TABLE events (number bigserial, server name)');

# A row and a message for it, so many times in one transaction.
sub producing
{
	my ($server, $count) = @_;

	return qq{
		WITH event AS (
			INSERT INTO events (server)
			SELECT '$server' FROM generate_series(1, $count) RETURNING number)
		SELECT count(kafka_produce('$topic{$server}', number::text,
			key => (number % 10)::text, server => '$server')) FROM event;
	} =~ s/\s+/ /gr;
}

sub produce
{
	return $node->safe_psql('postgres', producing(@_));
}

sub wait_until_published
{
	my ($server, $what) = @_;

	return $node->wait_for(
		"SELECT pending_total FROM kafka_outbox_status WHERE server = '$server'",
		'0', $what);
}

sub status
{
	my ($server, $columns) = @_;

	return $node->safe_psql('postgres',
		"SELECT $columns FROM kafka_outbox_status WHERE server = '$server'");
}

sub wait_for_other_relay
{
	my ($server, $pid, $what) = @_;

	return $node->wait_for(
		qq{SELECT count(*) FROM kafka_consumer_health
			WHERE server = '$server' AND role = 'relay' AND status = 'running' AND pid <> $pid},
		'1', $what);
}

# Everything that was committed, once, and in order for each key.
sub is_published_ok
{
	my ($server, $name) = @_;
	my $sent = $node->safe_psql('postgres',
		"SELECT count(*) FROM events WHERE server = '$server'");
	my @messages = $kafka{$server}->consume($topic{$server});
	my %last;
	my $in_order = 1;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $message (@messages)
	{
		$in_order = 0 if $message->{payload} <= ($last{ $message->{key} } // 0);
		$last{ $message->{key} } = $message->{payload};
	}
	is(scalar @messages, $sent, "$name: every message once");
	ok($in_order, "$name: in order for each key");
	return;
}

foreach my $server (sort keys %kafka)
{
	$node->create_service($kafka{$server}, $server, workers => 0);
	produce($server, 100);
	wait_until_published($server, 'the first messages');
}

# All brokers away.
my $gone_at = time();
$kafka{shop}->kill9;
produce('shop', 1000) foreach 1 .. 3;
$node->wait_for(q{
	SELECT pending_total, published_total, last_error IS NOT NULL
	  FROM kafka_outbox_status WHERE server = 'shop'},
	'3000|100|t', 'the relay to say what is wrong');
like(status('shop', 'last_error'), qr/connect|brokers/i,
	'last_error tells of the brokers');
$node->becomes(q{
	SELECT count(*) FROM pg_stat_activity
	 WHERE backend_type = 'kafka_events relay' AND backend_xmin IS NOT NULL},
	'0', 'the relay holds no snapshot while it waits');

# Started anew while they are away, too.
$node->restart;
$node->wait_for(q{
	SELECT last_error IS NOT NULL FROM kafka_consumer_health
	 WHERE server = 'shop' AND role = 'relay'},
	't', 'the new relay to say what is wrong');

# Transactions go on, until they have been away for a minute.
my $dir = PostgreSQL::Test::Utils::tempdir('pgbench');
my $seconds = int($outage - (time() - $gone_at)) + 2;
my $said = '';
append_to_file("$dir/produce.sql", producing('shop', 1));
my $producing = IPC::Run::start(
	[ 'pgbench', '-n', '-R', '50', '-T', $seconds, '-f', "$dir/produce.sql",
		'--log', "--log-prefix=$dir/log", $node->connstr('postgres') ],
	'<', \undef, '>&', \$said);

# Meanwhile: a relay that is frozen.
produce('depot', 10);
wait_until_published('depot', 'the messages after the restart');
my $pid = $node->kill_worker('depot', 'STOP', 'relay');
produce('depot', 500);
is(status('depot', 'pending_total'), '500',
	'a frozen relay holds up nobody else');
kill('CONT', $pid);
wait_until_published('depot', 'the messages of the time it was frozen');
is_published_ok('depot', 'frozen relay');

# It wakes up, and another one has begun: here only the mark that it leaves.
$pid = $node->kill_worker('depot', 'STOP', 'relay');
$node->safe_psql('postgres', q{
	UPDATE kafka_events.outbox_state SET reader = reader + 1
	 WHERE server = (SELECT oid FROM pg_foreign_server WHERE srvname = 'depot')});
produce('depot', 500);
kill('CONT', $pid);
wait_for_other_relay('depot', $pid, 'another relay');
wait_until_published('depot', 'the messages to be published by its successor');
is_published_ok('depot', 'taken over');
like(slurp_file($node->logfile),
	qr/relay ends: .*taken over by another process/, 'the log says why it ended');

# A server that is altered.
$pid = $node->worker_pid('depot', 'relay');
$node->safe_psql('postgres', "ALTER SERVER depot OPTIONS (compression 'gzip')");
produce('depot', 10);
wait_for_other_relay('depot', $pid, 'a relay with the new options');
wait_until_published('depot', 'the messages after the change');
is_published_ok('depot', 'altered server');

# The minute is over.
ok($producing->finish, 'transactions that produce succeed without brokers')
  or diag($said);
my $away = time() - $gone_at;
my @ms = sort { $a <=> $b }
  map { (split ' ')[2] / 1000 } split /\n/, slurp_file(glob "$dir/log.*");
my $pending = status('shop', 'pending_total');
cmp_ok($away, '>=', $outage, sprintf('brokers were away for %.0f s', $away));
is($pending, 3000 + @ms, 'the outbox has grown by what they produced');
cmp_ok(scalar @ms, '>', 20 * $seconds, scalar(@ms) . ' transactions');
note(sprintf 'they took %.1f ms at the median, %.1f ms at most',
	$ms[ @ms / 2 ], $ms[-1]);
cmp_ok($ms[ @ms / 2 ], '<', 100, 'none of them waits for a broker');
my $back_at = time();
$kafka{shop}->restart;
wait_until_published('shop', 'the outbox to drain by itself');
note(sprintf '%d messages published within %.1f s of the start of the broker',
	$pending, time() - $back_at);
is_published_ok('shop', 'brokers away');
$node->becomes("SELECT last_error IS NULL FROM kafka_outbox_status WHERE server = 'shop'",
	't', 'what was wrong is forgotten');

# Servers that are dropped.
$node->safe_psql('postgres', 'DROP SERVER shop CASCADE; DROP SERVER depot CASCADE');
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kafka_events relay'},
	'0', 'no relay without its server');

$node->stays_up_ok;
$node->stop;

done_testing();
