# kafka_messages shows messages of any topic at the place or time that is
# named, whatever lies between them, and consumes nothing.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

# of our own: its cleaner is to come soon, and to no other topic first
my $kafka = KafkaEvents::Kafka->start_own('log.cleaner.backoff.ms' => 500);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');
my ($orders, $paid, $aborted, $empty, $compact) =
  map { $kafka->unique($_) } qw(orders paid aborted empty compact);
$kafka->create_topic($orders, partitions => 2);
$kafka->create_topic($_) foreach $paid, $aborted, $empty;
$kafka->create_topic(
	$compact,
	config => {
		'cleanup.policy' => 'compact',
		'segment.ms' => 1,
		'min.cleanable.dirty.ratio' => '0.01'
	});

sub messages
{
	my ($arguments, $columns) = @_;

	$columns //= q{partition, "offset", value_text};
	return $node->safe_psql('postgres',
		"SELECT $columns FROM kafka_messages($arguments)");
}

sub error
{
	my ($arguments) = @_;
	my ($status, $out, $err) =
	  $node->psql('postgres', "SELECT * FROM kafka_messages($arguments)");

	return $err;
}

# ---- every kind of value

$kafka->produce_messages(
	$orders,
	{ value => '{"id": 1}', key => 'k1', partition => 0, timestamp => 1_000, headers => { a => 'x' } },
	{ value => 'no json', key => { base64 => '/w==' }, partition => 0, timestamp => 1_700_000_000_000 },
	{ value => { base64 => 'AP8=' }, partition => 0, timestamp => 1_700_000_001_000 },
	{ value => undef, key => 'k1', partition => 0, timestamp => 1_700_000_002_000 },
	{ value => '"\u0000"', partition => 1, timestamp => 1_700_000_003_000 },
	{ value => '[' x 20000, partition => 1, timestamp => 1_700_000_003_000 },
	{ value => '', partition => 1, timestamp => 1_700_000_004_000 });
is( messages(
		"'$orders'",
		qq{topic = '$orders', partition, "offset", extract(epoch FROM "timestamp")::bigint,
		   key, left(value::text, 30), headers, key_text, left(value_text, 10), value_json}
	),
	join("\n",
		't|0|0|1|\x6b31|\x7b226964223a20317d|{"a": "x"}|k1|{"id": 1}|{"id": 1}',
		't|0|1|1700000000|\xff|\x6e6f206a736f6e|{}||no json|',
		't|0|2|1700000001||\x00ff|{}|||',
		't|0|3|1700000002|\x6b31||{}|k1||',
		't|1|0|1700000003||\x225c753030303022|{}||"\u0000"|',
		't|1|1|1700000003||\x5b5b5b5b5b5b5b5b5b5b5b5b5b5b|{}||[[[[[[[[[[|',
		't|1|2|1700000004||\x|{}|||'),
	'messages of every kind');

# ---- where to begin

is(messages("'$orders', 1, from_offset => 2, partition => 0"),
	'0|2|', 'the one at an offset that is known');
is(messages("'$orders', 2, 2"), "0|2|\n0|3|", 'from an offset on');
is( messages("'$orders', from_timestamp => 'epoch'::timestamptz + '1700000001.5 s'"),
	join("\n", '0|3|', '1|0|"\u0000"', '1|1|' . '[' x 20000, '1|2|'),
	'from a time on, in each partition');
is( messages("'$orders', 1, from_timestamp => '1900-01-01 UTC'"),
	'0|0|{"id": 1}',
	'... also one before Kafka\'s first');
is(messages("'$orders', from_timestamp => '9999-01-01 UTC'"),
	'', '... and one to come');
is(messages("'$orders', 0"), '', 'none are none');
is(messages("'$orders', NULL", 'count(*)'), '7', 'all are all');

$kafka->delete_records($orders, 0, 2);
my ($status, $out, $err) = $node->psql('postgres',
	qq{SELECT "offset" FROM kafka_messages('$orders', from_offset => 1, partition => 0)});
is($out, "2\n3", 'where what was meant is deleted, the rest is shown');
like($err,
	qr/NOTICE:  partition 0 of topic "\Q$orders\E" begins at offset 2, as what was before it is deleted/,
	'... and it is said');
($status, $out, $err) = $node->psql('postgres',
	qq{SELECT "offset" FROM kafka_messages('$orders', from_offset => 9, partition => 0)});
like($err,
	qr/NOTICE:  partition 0 of topic "\Q$orders\E" ends before offset 4/,
	'... and so it is behind the end');
is(messages("'$empty'"), '', 'an empty topic has none');

# ---- what is between messages

$kafka->produce_events($paid, count => 30, batch => 10, keys => 0,
	transactional => $kafka->unique('t'));
is( messages("'$paid'", 'count(*), min("offset"), max("offset")'),
	'30|0|31', 'markers of transactions are passed over');
is(messages("'$paid', 1, from_offset => 10", '"offset"'),
	'11', '... also where they are meant');
$kafka->produce_events($aborted, count => 40, batch => 10, keys => 0,
	abort => 2, transactional => $kafka->unique('t'));
is( messages("'$aborted'", q{string_agg(DISTINCT value_json->>'id', ' ' ORDER BY value_json->>'id') LIKE '%20%', count(*)}),
	'f|20', 'messages of aborted transactions are none');
is(messages("'$aborted', from_offset => 33", 'count(*)'),
	'0', '... also where nothing else comes');

$kafka->produce($compact, [ map { "k:$_" } 1 .. 100 ], '-K', ':');
$kafka->produce($compact, ['other:101'], '-K', ':');
$kafka->produce($compact, ['other:102'], '-K', ':');
$node->becomes(
	"SELECT count(*) < 100 AND max(\"offset\") = 101 FROM kafka_messages('$compact', 1000)",
	't',
	'a compacted topic has fewer');
is( messages("'$compact', 1, from_offset => 5", '"offset" > 5'),
	't', '... and goes on behind a gap');

# ---- nothing is consumed

is( $node->safe_psql('postgres',
		'SELECT count(*) FROM kafka_events.positions'),
	'0', 'no position is moved');
is(scalar grep({ /\Q$service\E/ } $kafka->groups), 0, 'no group comes to be');

# ---- what is wrong

like(error("'nowhere'"),
	qr/ERROR:  topic "nowhere" does not exist on server "shop"\nHINT:  kafka_topics\('shop'\) lists the topics\./,
	'a topic that is not there');
like(error("'$orders', partition => 2"),
	qr/has no partition 2\nDETAIL:  It has 2 partitions/, 'a partition that is not there');

$node->safe_psql('postgres', 'CREATE ROLE stranger');
like(
	$node->psql('postgres', "SET ROLE stranger; SELECT * FROM kafka_messages('$orders')",
		stderr => \$err) ? $err : '',
	qr/permission denied for messages of server "shop"/,
	'who is no member of the owner');

$node->stays_up_ok;
$node->stop;
done_testing();
