# Questions that nobody answers keep their places in shared memory for seconds.
# One role, and one server, cannot keep them all: others are answered.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'));
my $node = KafkaEvents::Node->start_new('main',
	conf => "max_connections = 250\nmax_worker_processes = 32");
my @sessions;

$node->create_service($kafka, 'shop');
$node->safe_psql('postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders');
	CREATE ROLE ann LOGIN;
	CREATE ROLE ben LOGIN;
	CREATE ROLE cleo LOGIN;
	GRANT pg_monitor, postgres TO ann, ben, cleo;
	CREATE DATABASE other});
$node->safe_psql('other', sprintf(q{
	CREATE EXTENSION kafka_events;
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '%s', service_name '%s', workers '0')},
	$kafka->address, $kafka->unique('other')));
$node->wait_for('SELECT status FROM kafka_health()', 'up');

# Start so many sessions of a role that ask, and wait until all of them wait.
sub ask_in_vain
{
	my ($role, $count, $query) = @_;

	push @sessions, map {
		IPC::Run::start(
			[
				'psql', '-XAtq', '-d', $node->connstr('postgres') . " user=$role",
				'-c', q{SET kafka_events.request_timeout = '10min'},
				'-c', $query
			],
			'<', \undef, '&>', \my $said)
	} 1 .. $count;
	return $node->wait_for(sprintf(
		q{SELECT count(*) FROM pg_stat_activity
		   WHERE usename = '%s' AND wait_event = 'Extension' AND query = '%s'},
		$role, $query =~ s/'/''/gr), $count, "$count sessions of $role to ask");
}

sub stop_asking
{
	$node->safe_psql('postgres',
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('ann', 'ben')});
	$_->finish foreach @sessions;
	@sessions = ();
}

# What a role in the other database, whose manager answers, is told.
sub ask
{
	my ($role, $timeout, $query) = @_;
	my ($status, $said, $error) = $node->psql('other',
		"SET kafka_events.request_timeout = '$timeout'; $query",
		extra_params => [ '-U', $role ]);

	return $said . ($error =~ s/^psql:[^:]*:\d+: //r);
}

# nobody answers in the first database
my $manager = $node->safe_psql('postgres', q{
	SELECT pid FROM pg_stat_activity
	 WHERE backend_type = 'kafka_events manager' AND datname = 'postgres'});
kill 'STOP', $manager or die "$manager: $!";

my $topics = q{SELECT count(*) > 0 FROM kafka_topics('shop')};
my $letters = qq{SELECT count(*) FROM kafka_dlq_messages('$topic')};
my $full = qr/others of this role, or about this server, ask and get no answers/;

note 'questions';
ask_in_vain('ann', 70, $topics);
is(ask('ben', '60s', $topics), 't', 'one role does not keep others from asking');
like(ask('ann', '1s', $topics), $full, '... but itself, and is told why');
ask_in_vain('ben', 30, $topics);
is(ask('cleo', '60s', $topics), 't', 'one server does not keep others from being asked about');
stop_asking();

note 'dead letters';
ask_in_vain('ann', 40, $letters);
like(ask('ben', '60s', $letters), qr/^0$|does not exist/, 'one role does not keep others from browsing');
like(ask('ann', '1s', $letters), $full, '... but itself, and is told why');
stop_asking();

kill 'CONT', $manager;
$node->becomes('SELECT status FROM kafka_health()', 'up', 'all is well again');
is(ask('ann', '60s', $topics), 't', 'and who waited may ask again');

$node->stays_up_ok;
$node->stop;
done_testing();
