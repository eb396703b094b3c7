# Workers that are taken away while they join their group leave it: a member
# that has just asked to join, and is dead, would keep everybody waiting until
# its session_timeout, which here is longer than this test may take.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 4);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop',
	session_timeout => '900000', max_poll_interval => '900000', workers => 1);
my $sent = 0;

sub members
{
	my $state = $kafka->tool('groups', '--describe', '--state', '--group', "$service-main");

	return $state =~ /\s(\d+)\s*$/ ? $1 : 0;
}

sub wait_for_members
{
	my ($count, $name) = @_;

	foreach (1 .. $PostgreSQL::Test::Utils::timeout_default)
	{
		return pass($name) if members() == $count;
		usleep(100_000);
	}
	return fail($name);
}

# One message in each partition has its effect.
sub consume
{
	my ($name) = @_;

	$kafka->produce($topic, [ '{"id": ' . $sent++ . '}' ], '-p', $_) foreach 0 .. 3;
	return $node->becomes('SELECT count(*) FROM orders', $sent, $name);
}

$node->safe_psql('postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
consume('one worker has all partitions');

my $first = $node->worker_pid('shop');
foreach my $round (1 .. 2)
{
	# while the first one does not join again, the others are kept joining
	kill 'STOP', $first or die "$first: $!";
	$node->safe_psql('postgres', "ALTER SERVER shop OPTIONS (SET workers '4')");
	wait_for_members(4, "round $round: three more ask to join");
	$node->safe_psql('postgres', "ALTER SERVER shop OPTIONS (SET workers '1')");
	kill 'CONT', $first or die "$first: $!";
	$node->becomes(
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kafka_events consumer'},
		1, '... and are taken away');
	wait_for_members(1, '... from the group, too');
	consume('... so that the first one goes on with all partitions');
}
is($node->worker_pid('shop'), $first, 'it was never touched');

$node->stays_up_ok;
$node->stop;
done_testing();
