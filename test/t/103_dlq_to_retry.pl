# Dead letters that are sent to the retry topic: the handler gets them again
# as a first retry, only this service reads them, and those that fail again
# are letters again.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $orders = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $payments = $kafka->create_topic($kafka->unique('payments'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');

$node->safe_psql('postgres', qq{
	CREATE TABLE calls (topic text, partition int, "offset" bigint, attempt int, value text, trace text);
	CREATE TABLE repaired (since timestamptz);
	CREATE FUNCTION on_event(m kafka_message) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF NOT EXISTS (SELECT FROM repaired) THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		INSERT INTO calls VALUES (m.topic, m.partition, m."offset", m.attempt,
			convert_from(m.value, 'UTF8'), m.headers->>'traceparent');
	END \$\$;
	SELECT kafka_subscribe(topic, handler => 'on_event', max_retries => 2,
		initial_delay => '100 ms', max_delay => '100 ms', breaker_threshold => 0)
	  FROM unnest(ARRAY['$orders', '$payments']) topic});

sub wait_for_letters
{
	my ($topic, $count, $pending) = @_;

	return $node->wait_for(
		"SELECT message_count, pending FROM kafka_dlq_stats('$topic')",
		"$count|$pending", "$count letters of $topic, $pending of them pending");
}

sub reprocess
{
	my ($arguments) = @_;

	return $node->safe_psql('postgres',
		"SELECT total, successful, failed FROM kafka_dlq_reprocess($arguments)");
}

# The headers of a message as a hash; none of ours may be there twice.
sub headers
{
	my ($message) = @_;
	my @flat = @{ $message->{headers} };
	my %headers = @flat;

	return @flat == 2 * keys %headers ? \%headers : { twice => 1 };
}

foreach my $i (0 .. 9)
{
	$kafka->produce($orders, ["event $i"], '-p', $i % 2, '-k', "k$i",
		'-H', "traceparent=t$i", '-H', 'x-dlq-time=5', '-H', 'x-retry-count=3');
}
$kafka->produce($payments, ['paid'], '-p', 1);
wait_for_letters($orders, 10, 10);
wait_for_letters($payments, 1, 1);
my @before = $kafka->consume("$orders.retry");
my @ends = $kafka->end_offsets($orders);
is(scalar @before, 20, 'each message was tried three times');

# nothing was repaired: all of them fail again, as often as they may
is(reprocess("'$orders', target => 'retry'"), '10|10|0', 'letters are sent to be retried');
wait_for_letters($orders, 20, 10);
my @after = $kafka->consume("$orders.retry");
is(scalar @after, 40, '... and are retried as often as any message');
is( $node->safe_psql('postgres', qq{
		SELECT DISTINCT attempts, original_topic FROM kafka_dlq_messages('$orders', pending_only => true)}),
	"2|$orders", '... before they are letters again, of the same topic');

my %known = map { headers($_)->{'x-copy-id'} => 1 } @before;
my @sent = grep { headers($_)->{'x-retry-attempt'} eq '1' && !$known{ headers($_)->{'x-copy-id'} } } @after;
is(scalar @sent, 10, 'each is sent as a first retry, once');
my ($wrong, %copies) = (0);
foreach my $message (@sent)
{
	my $headers = headers($message);
	my ($i) = $message->{payload} =~ /(\d+)/;

	$copies{ delete $headers->{'x-copy-id'} } = 1;
	delete $headers->{$_} foreach qw(x-original-timestamp x-original-timestamp-type);
	$wrong++
	  unless $message->{key} eq "k$i" && $message->{partition} == $i % 2
	  && delete($headers->{'x-retry-at'}) =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
	  && delete($headers->{'x-original-offset'}) =~ /^[0-4]$/
	  && delete($headers->{'x-copy-history'}) =~ /^ke1;/;
	is_deeply($headers, {
			traceparent => "t$i",
			'x-message-id' => $headers->{'x-message-id'},
			'x-original-partition' => $i % 2,
			'x-original-topic' => $orders,
			'x-retry-attempt' => 1,
			'x-retry-delay' => 0,
			'x-service' => $service
		}, 'the headers of a retry, and none of the death') if $i == 7;
}
is($wrong, 0, 'each with its key, where it was, and due now');
is(scalar keys %copies, 10, '... and an identifier of its own');

# what the handler makes of them once it is repaired; a letter of another
# topic goes to that one's retry topic
$kafka->produce("$orders.dlq", ['refunded'], '-H', "x-original-topic=$payments",
	'-H', 'x-original-partition=0', '-H', 'x-original-offset=77', '-H', 'x-dlq-reason=none');
$node->safe_psql('postgres', 'INSERT INTO repaired VALUES (now())');
is(reprocess("'$orders', target => 'retry'"), '11|11|0', 'the handler is repaired');
is(reprocess("'$payments', target => 'retry', partition => 1, \"offset\" => 0"),
	'1|1|0', '... and a single letter sent');
$node->wait_for('SELECT count(*) FROM calls', '12', 'all of them to succeed');
is( $node->safe_psql('postgres', qq{
		SELECT topic, partition, "offset", attempt, value, trace FROM calls ORDER BY topic, partition, "offset"}),
	join("\n",
		(map { my $i = $_; map { "$orders|$i|$_|1|event " . (2 * $_ + $i) . '|t' . (2 * $_ + $i) } 0 .. 4 } 0, 1),
		"$payments|0|77|1|refunded|", "$payments|1|0|1|paid|"),
	'the handler sees where each was first, and the first retry');
is(join(' ', $kafka->end_offsets($orders)), "@ends",
	'nobody else has read them again');
wait_for_letters($orders, 21, 0);
wait_for_letters($payments, 1, 0);

$node->stays_up_ok;
$node->stop;

done_testing();
