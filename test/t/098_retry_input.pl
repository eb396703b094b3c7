# What is in a retry topic may have been written by anybody: each message is
# run, left alone, or becomes a dead letter that says why; nothing loops.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'));
my $retry = $kafka->create_topic("$topic.retry");
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop', compression => 'none');
my $not_utf8 = { base64 => '//4=' };

# name, headers, and the reason of its dead letter; undef: it is run; '': it
# is left alone
my @cases = (
	[ 'older system', { 'x-retry-attempt' => '1' }, undef ],
	[ 'ours',
		{
			'x-retry-attempt' => '2', 'x-service' => $service,
			'x-original-topic' => $topic, 'x-original-partition' => '7',
			'x-original-offset' => '4711', 'x-original-timestamp' => '1700000000000',
			'x-retry-at' => '2024-01-01T00:00:00.000Z'
		},
		undef ],
	[ 'header not UTF-8', { 'x-retry-attempt' => '1', tenant => $not_utf8 }, undef ],
	[ 'foreign service', { 'x-retry-attempt' => '1', 'x-service' => 'another' }, '' ],
	[ 'service not UTF-8', { 'x-retry-attempt' => '1', 'x-service' => $not_utf8 }, '' ],
	[ 'no headers', {}, qr/x-retry-attempt is missing/ ],
	[ 'attempt abc', { 'x-retry-attempt' => 'abc' }, qr/x-retry-attempt is no number/ ],
	[ 'attempt 0', { 'x-retry-attempt' => '0' }, qr/x-retry-attempt is 0/ ],
	[ 'attempt above max', { 'x-retry-attempt' => '4', 'x-service' => $service },
		qr/x-retry-attempt is 4, but max_retries is 3/ ],
	[ 'attempt huge', { 'x-retry-attempt' => '9' x 30 }, qr/x-retry-attempt is no number/ ],
	[ 'attempt not UTF-8', { 'x-retry-attempt' => $not_utf8 }, qr/x-retry-attempt is no number/ ],
	[ 'topic not UTF-8', { 'x-retry-attempt' => '1', 'x-original-topic' => $not_utf8 },
		qr/x-original-topic is not valid text/ ],
	[ 'no topic name', { 'x-retry-attempt' => '1', 'x-original-topic' => 'a/b' },
		qr/x-original-topic is no name of a topic/ ],
	[ 'partition', { 'x-retry-attempt' => '1', 'x-original-partition' => '-1' },
		qr/x-original-partition is no partition/ ],
	[ 'due never', { 'x-retry-attempt' => '1', 'x-retry-at' => '9999-01-01T00:00:00Z' },
		qr/x-retry-at is too far in the future/ ],
	[ 'due nonsense', { 'x-retry-attempt' => '1', 'x-retry-at' => 'tomorrow' },
		qr/x-retry-at is no time/ ],
	[ 'long identifier', { 'x-retry-attempt' => '1', 'x-copy-id' => 'i' x 1000 }, undef ],
	[ 'identifier', { 'x-retry-attempt' => '1', 'x-copy-id' => "\x{e4}/\x{2603}" }, undef ]);
my @twice = map {
	{ value => '"twice"', headers => { 'x-retry-attempt' => '1', 'x-copy-id' => 'the same' } }
} 1, 2;

$kafka->produce_messages($retry, @twice,
	map { { key => $_->[0], value => qq("$_->[0]"), headers => $_->[1] } } @cases);
$kafka->produce_messages($retry, @twice);

# identifiers are remembered for 7 days
$node->safe_psql('postgres', qq{
	INSERT INTO kafka_events.copies
	SELECT '$service-retry', 'seen ' || days || ' days ago', now() - make_interval(days => days)
	  FROM unnest('{6, 8}'::int[]) AS days});

# these copies are the first that anybody hears of
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE effects (what text, topic text, partition int, "offset" bigint, ms numeric, attempt int);
	CREATE FUNCTION on_event(m kafka_message) RETURNS void LANGUAGE sql AS \$\$
		INSERT INTO effects VALUES (convert_from(m.value, 'UTF8'), m.topic, m.partition, m."offset",
			(extract(epoch FROM m."timestamp") * 1000)::bigint, m.attempt)
	\$\$;
	SELECT kafka_subscribe('$topic', handler => 'on_event')});
my ($end) = $kafka->end_offsets($retry);
$node->wait_for(
	qq{SELECT "position" FROM kafka_consumer_lag WHERE role = 'retry' AND topic IN ('$topic', '$retry')},
	$end, 'the retry topic to be read');
$node->wait_for('SELECT count(*) FROM kafka_retries', 0, 'everything to be run');
$node->wait_for('SELECT pending_total FROM kafka_outbox_status', 0,
	'dead letters to be published');

is( $node->safe_psql('postgres',
		"SELECT copy_id FROM kafka_events.copies WHERE copy_id LIKE 'seen %'"),
	'seen 6 days ago', 'identifiers of copies are forgotten after 7 days');

my @run = map { qq("$_->[0]") } grep { !defined $_->[2] } @cases;
is( $node->safe_psql('postgres', 'SELECT what FROM effects ORDER BY what COLLATE "C"'),
	join("\n", sort @run, '"twice"'),
	'what can be run is run, and the same copy once');
is( $node->safe_psql('postgres', q{SELECT * FROM effects WHERE what = '"ours"'}),
	qq("ours"|$topic|7|4711|1700000000000|2),
	'a handler sees where its message came from');
is( $node->safe_psql('postgres',
		q{SELECT topic, partition, "offset", attempt FROM effects WHERE what = '"older system"'}),
	"$retry|0|2|1",
	'or, if nobody knows, where it is');

my %dead = map { $_->{key} => $_ } $kafka->consume_bytes("$topic.dlq");
my @refused = grep { defined $_->[2] && $_->[2] ne '' } @cases;
is_deeply([ sort keys %dead ], [ sort map { $_->[0] } @refused ],
	'what cannot is a dead letter, and foreign copies are left alone');
foreach my $case (@refused)
{
	my %headers = map { @$_ } @{ $dead{ $case->[0] }->{headers} || [] };

	like($headers{'x-dlq-reason'}, $case->[2], "$case->[0]: says why");
}
is(($kafka->end_offsets($retry))[0], $end, 'nothing was sent to the retry topic again');

$node->stays_up_ok;
$node->stop;

done_testing();
