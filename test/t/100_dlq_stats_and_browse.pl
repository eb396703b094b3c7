# Dead letters are counted and looked at without being consumed: whose topic
# may be named by its source, by pages, from any offset, and however large
# they are; and who may not, or has nobody to ask, is told so.

use strict;
use warnings;

use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $source = $kafka->unique('orders');
my $dlq = $kafka->create_topic("$source.dlq", partitions => 3);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');

sub stats
{
	my ($topic) = @_;

	return $node->safe_psql('postgres',
		"SELECT * FROM kafka_dlq_stats('$topic')");
}

# A dead letter as the extension writes it.
sub letter
{
	my ($n, %more) = @_;

	return {
		value => qq({"id": $n}),
		key => "key $n",
		partition => 0,
		headers => {
			traceparent => "trace $n",
			'x-message-id' => "m$n",
			'x-original-topic' => $source,
			'x-original-partition' => '7',
			'x-original-offset' => "$n",
			'x-original-timestamp' => '1700000000000',
			'x-retry-attempts' => '3',
			'x-dlq-reason' => "reason $n: \x{fc}ber",
			'x-dlq-timestamp' => '2026-01-02T03:04:05.678Z',
			'x-dlq-sqlstate' => '22P02',
			'x-dlq-handler' => 'public.on_order(jsonb)',
			'x-service' => $service
		},
		%more
	};
}

# nothing there yet
is(stats($source), "$dlq|$source|0|0|3|0|0|0", 'an empty DLQ');
is($node->safe_psql('postgres', "SELECT * FROM kafka_dlq_messages('$source')"),
	'', '... shows nothing');

$kafka->produce_messages($dlq, map { letter($_) } 0 .. 9);
$kafka->produce_messages($dlq, map { letter($_, partition => 2) } 10 .. 14);
is(stats($source), "$dlq|$source|15|15|3|0|10|0", 'counted by the source');
is(stats($dlq), "$dlq|$source|15|15|3|0|10|0", '... and by their own topic');
is($node->safe_psql('postgres', 'SELECT * FROM kafka_dlq_stats()'),
	'', 'what is not subscribed is not listed');

my $row = $node->safe_psql(
	'postgres', qq{
	SET timezone = 'UTC';
	SELECT topic, partition, "offset", convert_from(key, 'UTF8'),
		   convert_from(value, 'UTF8'), headers->>'traceparent', reason,
		   sqlstate, attempts, failed_at, original_topic, original_partition,
		   original_offset, "timestamp" > now() - interval '1 hour'
	  FROM kafka_dlq_messages('$source', 1, from_offset => 3)});
is( $row,
	"$dlq|0|3|key 3|{\"id\": 3}|trace 3|reason 3: \x{c3}\x{bc}ber|22P02|3|2026-01-02 03:04:05.678+00|$source|7|3|t",
	'one letter and why it is dead');

# paging
sub offsets
{
	my ($arguments) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SELECT string_agg(partition || ':' || "offset", ' ')
		  FROM kafka_dlq_messages('$source', $arguments)});
}
is(offsets('max_messages => 3'), '0:0 0:1 0:2', 'the first page');
is(offsets('max_messages => 3, partition => 0, from_offset => 3'),
	'0:3 0:4 0:5', 'the next one');
is(offsets('partition => 0, from_offset => 8'), '0:8 0:9', 'the last one');
is(offsets('partition => 2'), '2:0 2:1 2:2 2:3 2:4', 'another partition');
is(offsets('max_messages => 0'), '', 'no messages wanted');
is(offsets('partition => 1'), '', 'an empty partition');
is(offsets('from_offset => 4'), '0:4 0:5 0:6 0:7 0:8 0:9 2:4',
	'an offset counts in each partition');

# what nobody of ours has written
$kafka->produce_messages(
	$dlq,
	{ value => undef, partition => 1 },
	{
		value => 'old',
		partition => 1,
		headers => {
			'x-original-partition' => 'seven',
			'x-dlq-timestamp' => 'yesterday',
			'x-retry-attempts' => '-1',
			'x-dlq-reason' => { base64 => encode_base64("\xff\xfe", '') }
		}
	});
is( $node->safe_psql(
		'postgres', qq{
		SELECT convert_from(value, 'UTF8'), reason, attempts, failed_at,
			   original_partition, headers->'x-original-partition'
		  FROM kafka_dlq_messages('$source', partition => 1)}),
	qq(|||||\nold|||||"seven"),
	'headers that say nothing are null');

# nothing was consumed
is(stats($source), "$dlq|$source|17|17|3|0|10|0", 'browsing consumes nothing');
is_deeply([ grep { /^\Q$service\E/ } $kafka->groups ],
	[], '... and leaves no group');

# errors
my $err;
foreach (
	[ "kafka_dlq_stats('nothing')", qr/topic "nothing\.dlq" does not exist/ ],
	[ "kafka_dlq_messages('nothing')", qr/topic "nothing\.dlq" does not exist/ ],
	[ "kafka_dlq_messages('$source', partition => 3)", qr/has no partition 3/ ],
  )
{
	$node->psql('postgres', "SELECT * FROM $_->[0]", stderr => \$err);
	like($err, $_->[1], "$_->[0] says what is wrong");
}

$node->stays_up_ok;
$node->stop;
done_testing();
