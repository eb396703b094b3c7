
# Two hundred sessions that ask at once: each gets an answer or a clear error,
# none of them connects to a broker, and who cancels is not kept.  Who asks
# while a long run moves dead letters does not wait for it.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use KafkaEvents::Test;

use constant SESSIONS => 200;
use constant LETTERS => 300_000;

my $kafka = KafkaEvents::Kafka->start_own;
my $topic = $kafka->create_topic('orders');
my $dlq = $kafka->create_topic('orders.dlq');
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

# The same queries in all sessions at once; what each of them says.
sub ask
{
	my @queries = map { ('-c', $_) } @_;
	my @said;
	my @sessions = map {
		my $i = $_;

		IPC::Run::start(
			[
				'psql', '-XAtq', '-d', $node->connstr('postgres'),
				'-v', 'VERBOSITY=terse', @queries
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
$kafka->produce($dlq, [ 1 .. LETTERS ], '-H', 'x-original-topic=elsewhere');
$kafka->create_topic('elsewhere');
is($node->safe_psql('postgres', 'SELECT topic, message_count, pending FROM kafka_dlq_stats()'),
	"$dlq|" . LETTERS . '|' . LETTERS, 'dead letters are there');

my $before = connections();
cmp_ok($before, '>', 0, 'the test sees connections');

my ($most, @said) = ask(
	q{SELECT brokers FROM kafka_health('shop')},
	q{SELECT count(*) > 0 FROM kafka_topics('shop')},
	q{SELECT pending FROM kafka_dlq_stats('orders')});
is_deeply([ grep { $_ ne "1\nt\n" . LETTERS . "\n" } @said ],
	[], 'each of the sessions gets its answers');
# librdkafka has two connections for each of its handles, those of the manager
# and the consumer's, and for a while a third one to the bootstrap address
cmp_ok($most, '<=', $before * 3 / 2,
	"no connection to the broker was made for them ($before, $most)");

# those that are left without an answer
$kafka->freeze;
my $started = time;
($most, @said) = ask(
	q{SET kafka_events.request_timeout = '3s'},
	q{SELECT status, message IS NOT NULL FROM kafka_health('shop')},
	q{SELECT FROM kafka_topics('shop')},
	q{SELECT FROM kafka_dlq_stats('orders')});
cmp_ok(time - $started, '<', 60, 'no session hangs on a silent broker');
is_deeply(
	[
		grep {
			!/^down\|t\nERROR:  could not list the topics on server "shop": [^\n]+\nERROR:  could not ask server "shop" about topic "$dlq": [^\n]+\n$/
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

# a long run is in nobody's way
my $run = IPC::Run::start(
	[
		'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
		q{SELECT total, failed FROM kafka_dlq_reprocess('orders', to_topic => 'elsewhere')}
	],
	'<', \undef, '>', \$out, '2>', \my $err);
$node->wait_for(
	q{SELECT count(*) FROM kafka_dlq_progress WHERE messages_done > 0},
	'1', 'the run to be on its way');
my ($calls, $median, $slowest) = split /\|/, $node->safe_psql(
	'postgres', q{
	CREATE TABLE calls (ms float8);
	DO $$
	DECLARE
		started timestamptz;
	BEGIN
		WHILE EXISTS (SELECT FROM kafka_dlq_progress) LOOP
			started := clock_timestamp();
			PERFORM FROM kafka_dlq_stats('orders');
			INSERT INTO calls VALUES (1000 * extract(epoch FROM clock_timestamp() - started));
			PERFORM pg_sleep(0.02);
		END LOOP;
	END $$;
	SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), max(ms) FROM calls});
$run->finish;
note("$calls calls of kafka_dlq_stats during a run: median $median ms, slowest $slowest ms");
is($out, LETTERS . "|0\n", 'a run moves all letters');
cmp_ok($calls, '>=', 20, '... while somebody asks, again and again,');
cmp_ok($median, '<', 200, '... and has an answer within 200 ms');

$node->stays_up_ok;
$node->stop;

done_testing();
