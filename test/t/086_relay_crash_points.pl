# A relay that dies by kill -9 between any two of its steps: nothing is lost,
# and what is there twice has the same id.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main',
	conf => "log_min_messages = warning\n");
my $sent = 0;
my $parked = 0;

$node->skip_unless_test_build;

$node->create_service($kafka, 'shop');

# Some messages, and one that no broker takes.
sub produce
{
	$node->safe_psql('postgres', qq{
		SELECT count(kafka_produce('$topic', i::text, key => (i % 10)::text))
		  FROM generate_series($sent + 1, $sent + 300) i;
		SELECT kafka_produce('$topic', 'nowhere', partition => 9)});
	$sent += 300;
	$parked++;
	return;
}

sub wait_until_published
{
	return $node->wait_for('SELECT pending_total FROM kafka_outbox_status',
		'0', 'everything to be published');
}

# Have a relay that had stopped find new messages.  What it does with them in
# one transaction or in several depends on the time, so it may pass a point by.
sub provoke
{
	foreach (1 .. 10)
	{
		my $pid = $node->kill_worker('shop', 'STOP', 'relay');

		produce();
		unlink $node->crash_marker;
		kill('CONT', $pid);
		return 1 if $node->has_crashed(10);
	}
	return 0;
}

produce();
wait_until_published();

foreach my $point ('taken', 'between sends', 'acknowledged', 'saved', 'parked')
{
	my (%times, %ids, %last);
	my $in_order = 1;

	# While the marker is there nobody dies.  A new relay has the new setting.
	append_to_file($node->crash_marker, '');
	$node->append_conf('postgresql.conf',
		"kafka_events.test_crash_point = 'relay: $point'");
	$node->restart;
	produce();
	wait_until_published();

	# The crash takes all sessions along, so have them end before it.
	$node->wait_for(
		"SELECT count(*) FROM kafka_consumer_health WHERE role = 'relay' AND status = 'running'",
		'1', 'a relay');
	ok(provoke(), "$point: a relay died there");
	$node->poll_query_until('postgres', 'SELECT true');
	wait_until_published();

	foreach my $message ($kafka->consume($topic))
	{
		my %headers = @{ $message->{headers} };
		my $number = $message->{payload};

		$ids{$number}->{ $headers{'x-message-id'} } = 1;
		next if $times{$number}++;
		$in_order = 0 if $number <= ($last{ $message->{key} } // 0);
		$last{ $message->{key} } = $number;
	}
	is(scalar keys %times, $sent, "$point: nothing is lost");
	is((grep { keys %$_ != 1 } values %ids),
		0, "$point: what is there twice has the same id");
	ok($in_order, "$point: in order for each key, repetitions aside");
	is( $node->safe_psql('postgres',
			'SELECT count(*), count(DISTINCT id) FROM kafka_outbox_parked'),
		"$parked|$parked", "$point: what no broker takes is parked once");
}

$node->stop;

done_testing();
