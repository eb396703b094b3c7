# A relay whose brokers are away, that is frozen, and that wakes when another
# one has taken its place.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_own;
my $topic = $kafka->create_topic('events', partitions => 3);
my $node = KafkaEvents::Node->start_new('main');
my $sent = 0;

sub produce
{
	my ($count) = @_;

	$node->safe_psql('postgres', qq{
		SELECT count(kafka_produce('$topic', i::text, key => (i % 10)::text))
		  FROM generate_series($sent + 1, $sent + $count) i});
	$sent += $count;
	return;
}

sub wait_until_published
{
	my ($what) = @_;

	return $node->wait_for('SELECT pending_total FROM kafka_outbox_status',
		'0', $what);
}

# Everything once, and in order for each key.
sub is_published_ok
{
	my ($name) = @_;
	my @messages = $kafka->consume($topic);
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

$node->create_service($kafka, 'shop');
produce(100);
wait_until_published('the first messages');

# All brokers away.
$kafka->kill9;
produce(1000) foreach 1 .. 3;
$node->wait_for(q{
	SELECT pending_total, published_total, last_error IS NOT NULL FROM kafka_outbox_status},
	'3000|100|t', 'the relay to say what is wrong');
like(
	$node->safe_psql('postgres', 'SELECT last_error FROM kafka_outbox_status'),
	qr/connect|brokers/i, 'last_error tells of the brokers');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_stat_activity
		 WHERE backend_type = 'kafka_events relay' AND backend_xmin IS NOT NULL}),
	'0', 'the relay holds no snapshot while it waits');
produce(500);
$kafka->restart;
wait_until_published('the outbox to drain by itself');
is_published_ok('brokers away');
is( $node->safe_psql('postgres', 'SELECT last_error IS NULL FROM kafka_outbox_status'),
	't', 'what was wrong is forgotten');

# Started anew while brokers are away, too.
$kafka->kill9;
$node->restart;
produce(50);
$node->wait_for('SELECT last_error IS NOT NULL FROM kafka_outbox_status', 't',
	'the new relay to say what is wrong');
$kafka->restart;
wait_until_published('the messages of the time without brokers');
is_published_ok('restart without brokers');

# Frozen.
my $pid = $node->kill_worker('shop', 'STOP', 'relay');
produce(500);
is($node->safe_psql('postgres', 'SELECT pending_total FROM kafka_outbox_status'),
	'500', 'a frozen relay holds up nobody else');
kill('CONT', $pid);
wait_until_published('the messages of the time it was frozen');
is_published_ok('frozen relay');

# It wakes up, and another one has begun: here only the mark that it leaves.
$pid = $node->kill_worker('shop', 'STOP', 'relay');
$node->safe_psql('postgres',
	'UPDATE kafka_events.outbox_state SET reader = reader + 1');
produce(500);
kill('CONT', $pid);
$node->wait_for(
	"SELECT count(*) FROM kafka_consumer_health WHERE role = 'relay' AND status = 'running' AND pid <> $pid",
	'1', 'another relay');
wait_until_published('the messages to be published by its successor');
is_published_ok('taken over');
like(slurp_file($node->logfile),
	qr/relay ends: .*taken over by another process/, 'the log says why it ended');

# A server that is altered, and one that is dropped.
$pid = $node->worker_pid('shop', 'relay');
$node->safe_psql('postgres', "ALTER SERVER shop OPTIONS (compression 'gzip')");
produce(10);
$node->wait_for(
	"SELECT count(*) FROM kafka_consumer_health WHERE role = 'relay' AND status = 'running' AND pid <> $pid",
	'1', 'a relay with the new options');
wait_until_published('the messages after the change');
is_published_ok('altered server');
$node->safe_psql('postgres', 'DROP SERVER shop CASCADE');
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kafka_events relay'},
	'0', 'no relay without its server');

$node->stays_up_ok;
$node->stop;

done_testing();
