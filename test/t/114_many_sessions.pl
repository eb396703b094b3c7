
# Two hundred sessions that ask at once: each gets an answer or a clear error,
# none of them connects to a broker, and who cancels is not kept.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use KafkaEvents::Test;

use constant SESSIONS => 200;

my $kafka = KafkaEvents::Kafka->start_own;
my $topic = $kafka->create_topic('orders');
my $node = KafkaEvents::Node->start_new('main',
	conf => 'max_connections = 250');
my ($port) = $kafka->address =~ /:(\d+)$/;

# Connections to the broker, of whatever process.
sub connections
{
	my $address = sprintf '0100007F:%04X', $port;
	my $table = slurp_file('/proc/net/tcp')
	  . (-e '/proc/net/tcp6' ? slurp_file('/proc/net/tcp6') : '');

	# remote address, state established
	return scalar(() = $table =~ /[0-9A-F]+:[0-9A-F]{4} [0-9A-F]*$address 01 /g);
}

# The same query in all sessions at once; what each of them says.
sub ask
{
	my ($query) = @_;
	my @said;
	my @sessions = map {
		my $i = $_;

		IPC::Run::start(
			[
				'psql', '-XAtq', '-d', $node->connstr('postgres'),
				'-v', 'VERBOSITY=terse', '-c', $query
			],
			'<', \undef, '&>', \$said[$i])
	} 0 .. SESSIONS - 1;
	my $most = connections();

	foreach my $session (@sessions)
	{
		$session->finish;
		my $now = connections();
		$most = $now if $now > $most;
	}
	return ($most, @said);
}

$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
$node->wait_for("SELECT status, lag_messages FROM kafka_health()", 'up|0');

my $before = connections();
cmp_ok($before, '>', 0, 'the test sees connections');

my ($most, @said) = ask(
	q{SELECT status FROM kafka_health('shop');
	  SELECT count(*) > 0 FROM kafka_topics('shop')});
is_deeply([ grep { $_ ne "up\nt\n" } @said ],
	[], 'each of the sessions gets its answers');
is($most, $before, 'no connection to the broker was made for them');

# those that are left without an answer
$kafka->freeze;
my $started = time;
($most, @said) = ask(
	q{SET kafka_events.request_timeout = '3s';
	  SELECT status, message IS NOT NULL FROM kafka_health('shop');
	  SELECT FROM kafka_topics('shop')});
cmp_ok(time - $started, '<', 60, 'no session hangs on a silent broker');
is_deeply(
	[
		grep {
			!/^down\|t\nERROR:  could not list the topics on server "shop": [^\n]+\n$/
		} @said
	],
	[],
	'each of them is told so');

# a cancel does not wait for an answer
my $out;
my $asker = IPC::Run::start(
	[ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "SELECT FROM kafka_topics('shop')" ],
	'<', \undef, '&>', \$out);
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity
	   WHERE query LIKE 'SELECT FROM kafka_topics%' AND wait_event = 'Extension'},
	'1', 'the question to be asked');
$started = time;
$asker->signal('INT');
$asker->finish;
cmp_ok(time - $started, '<', 10, 'Ctrl-C does not wait for the answer');
like($out, qr/canceling statement due to user request/, '... as it should');

$kafka->thaw;
$node->wait_for('SELECT status FROM kafka_health()', 'up');
foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if connections() == $before;
	usleep(100_000);
}
is(connections(), $before, 'all is as it was');

$node->stays_up_ok;
$node->stop;

done_testing();
