
# Brokers that are down, and brokers that never answer: clean stops in time,
# answers in time, errors that name the broker.

use strict;
use warnings;

use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'));
my $node = KafkaEvents::Node->start_new('main');

# A port where nobody listens (ours as long as the test runs), and one where
# nobody answers.
my $closed = IO::Socket::INET->new(Proto => 'tcp', LocalAddr => '127.0.0.1');
my $silent = IO::Socket::INET->new(Listen => 128, LocalAddr => '127.0.0.1');
my %address = map { $_->[0] => '127.0.0.1:' . $_->[1]->sockport }
  ([ 'down', $closed ], [ 'silent', $silent ]);

sub seconds
{
	my ($work) = @_;
	my $start = time;

	$work->();
	return time - $start;
}

# Subscribe in a session of its own, and wait until it waits for an answer.
sub start_asking
{
	my ($name, $err) = @_;
	my $out;
	my $asker = IPC::Run::start(
		[
			'psql', '-X', '-d', $node->connstr('postgres'), '-c',
			"SELECT kafka_subscribe('$name', into_table => 'orders', start_from => 'latest', server => 'silent')"
		],
		'<', \undef, '>', \$out, '2>', $err);

	$node->wait_for(
		qq{SELECT count(*) FROM pg_stat_activity
			WHERE query LIKE 'SELECT kafka_subscribe(''$name''%'
			  AND wait_event = 'Extension'},
		'1', 'the question to be asked');
	return $asker;
}

sub stop_in_time
{
	my ($what) = @_;

	cmp_ok(seconds(sub { $node->stop('fast') }),
		'<', 5, "the server stops in time $what");
	$node->start;
	return;
}

$node->create_service($kafka, 'up');
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders', server => 'up')});
$node->wait_for_workers('up', 1);
stop_in_time('with a broker');

foreach my $how (sort keys %address)
{
	my ($out, $err);
	my $took;

	$node->create_service($kafka, $how,
		bootstrap_servers => $address{$how});

	# The start from the end is asked for, and left for later.
	$took = seconds(
		sub {
			$node->psql(
				'postgres',
				"SELECT kafka_subscribe('any.$how', into_table => 'orders', start_from => 'latest', server => '$how')",
				stdout => \$out,
				stderr => \$err);
		});
	like($err, qr/WARNING.*\n?.*\Q$address{$how}\E/,
		"the WARNING names the broker that is $how");
	cmp_ok($took, '<', 10, '... after a few seconds');

	$node->wait_for(
		"SELECT count(*) FROM kafka_consumer_health WHERE server = '$how' AND pid IS NOT NULL AND NOT is_healthy AND last_error IS NOT NULL",
		'1', "the consumer of a broker that is $how to say so");
	stop_in_time("with a broker that is $how");
}

# all three at once; who is away is in nobody's way
$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 1000 ]);
$node->wait_until_drained($kafka, $topic);

# who asks can change their mind, whatever the manager does
my ($cancelled, $orphaned);
my $manager = $node->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity
	   WHERE backend_type = 'kafka_events manager' AND datname = 'postgres'});
kill 'STOP', $manager;
my $asker = start_asking('cancelled', \$cancelled);
$node->safe_psql(
	'postgres', q{
	SELECT pg_cancel_backend(pid) FROM pg_stat_activity
	 WHERE query LIKE 'SELECT kafka_subscribe(''cancelled''%'});
$asker->finish;
kill 'CONT', $manager;
like($cancelled, qr/canceling statement/, 'a cancel ends the wait');

# the manager ends while somebody waits for its answer
$asker = start_asking('orphaned', \$orphaned);
$node->safe_psql(
	'postgres', q{
	SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	 WHERE backend_type = 'kafka_events manager'});
$asker->finish;
like($orphaned, qr/WARNING/, 'the one who asked goes on without an answer');

$node->stays_up_ok;
$node->stop;

done_testing();
