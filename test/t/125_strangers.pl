# A member of our group that is none of ours: it is named, and what it commits
# is not followed; a tool that moves an empty group still is, and what that
# skips is counted.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop',
	session_timeout => 6000, heartbeat_interval => 500);
my $last = 0;

$node->safe_psql('postgres', qq{
	CREATE TABLE events (id int);
	SELECT kafka_subscribe('$topic', into_table => 'events')});

# The same number of messages for each partition.
sub produce
{
	my ($count) = @_;

	foreach my $partition (0, 1)
	{
		$kafka->produce($topic, [ map { '{"id":' . ++$last . '}' } 1 .. $count ],
			'-p', $partition);
	}
	return;
}

sub all_once
{
	my ($name) = @_;

	$node->becomes(
		'SELECT count(*), count(DISTINCT id), max(id) FROM events',
		"$last|$last|$last", $name);
	return;
}

# Somebody else takes one of the two partitions.
sub stranger_comes
{
	my $stranger =
	  $kafka->join_group("$service-main", $topic, 'client.id' => 'billing-app');

	$node->wait_for(
		q{SELECT count(*) FROM kafka_consumer_lag
		   WHERE status = 'unassigned'
		     AND status_reason LIKE '%client "billing-app" at 127.0.0.1%'},
		'1', 'the lag view to name the stranger');
	return $stranger;
}

# Until it has committed everything that is there.
sub stranger_has_read
{
	my $end = $kafka->end_offsets($topic);

	foreach (1 .. $PostgreSQL::Test::Utils::timeout_default)
	{
		my $group = $kafka->tool('groups', '--describe', '--group', "$service-main");
		my @behind = grep { /\bbilling-app\b/ && (split)[5] ne '0' } split /\n/,
		  $group;
		return if $group =~ /billing-app/ && !@behind;
	}
	die 'the stranger does not commit';
}

produce(5);
all_once('everything is processed at first');

my $stranger = stranger_comes();
$node->becomes(
	q{SELECT status, message LIKE '%client "billing-app" at 127.0.0.1%' FROM kafka_health()},
	'degraded|t', 'health names it, too');
is($node->safe_psql('postgres',
		q{SELECT status_reason LIKE '%billing-app%' FROM kafka_subscriptions}),
	't', 'and so does the view of subscriptions');
produce(10);
stranger_has_read();
$node->becomes('SELECT count(*) FROM events', '20',
	'of the partition that it has, nothing comes');
$kafka->leave_group($stranger);
all_once('once it is gone, everything is processed, and once');
like(slurp_file($node->logfile),
	qr/goes on at offset \d+: offset \d+ was committed by a member of group "\Q$service\E-main" that is not this database's/,
	'the log says so');
$node->becomes('SELECT status, message FROM kafka_health()', 'up|',
	'all is well again');

# the same with a server that forgets what it has seen, while it is there
$stranger = stranger_comes();
$node->restart;
produce(10);
stranger_has_read();
$node->wait_for(
	q{SELECT count(*) FROM kafka_consumer_lag
	   WHERE status_reason LIKE '%billing-app%'},
	'1', 'the stranger to be named after a restart');
$kafka->leave_group($stranger);
all_once('after a restart, too, nothing of its commits is followed');

is($node->safe_psql('postgres', 'SELECT skipped_by_reset_total FROM kafka_metrics'),
	'0', 'nothing was skipped');

# a tool that moves the group once all have left
$node->safe_psql('postgres', q{ALTER SERVER shop OPTIONS (ADD workers '0')});
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity
	   WHERE backend_type = 'kafka_events consumer'},
	'0', 'workers to leave');
produce(3);
$last -= 6;
$kafka->reset_group("$service-main", $topic, '--to-latest');
$node->safe_psql('postgres', q{ALTER SERVER shop OPTIONS (DROP workers)});
$node->becomes('SELECT skipped_by_reset_total FROM kafka_metrics', '6',
	'a reset of the empty group is followed, and what it skips is counted');
like($node->safe_psql('postgres', 'SELECT kafka_metrics_prometheus()'),
	qr/skipped_by_reset_messages_total\{.*\} 6\n/, 'also in the metrics');
all_once('nothing else came');

$node->stays_up_ok;
$node->stop;

done_testing();
