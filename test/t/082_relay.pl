# What a relay publishes: every byte of it, to the right partition, except
# what no broker takes, which blocks nothing else.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 4,
	config => { 'max.message.bytes' => 1048588 });
my $compacted = $kafka->create_topic($kafka->unique('compacted'),
	config => { 'cleanup.policy' => 'compact' });
my $typo = $kafka->unique('typo');
my $node = KafkaEvents::Node->start_new('main');
my $relays =
  q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kafka_events relay'};

sub wait_until_published
{
	my ($what) = @_;

	return $node->wait_for(
		q{SELECT pending_total FROM kafka_outbox_status WHERE server = 'shop'},
		'0', $what);
}

# Nothing to publish: no relay.  (KafkaJS alone does not know lz4.)
$node->create_service($kafka, 'shop', compression => 'none');
is($node->safe_psql('postgres', $relays), '0', 'no relay without a need');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kafka_consumer_health'),
	'0', '... and none is missed');

# Every kind of key, value and header.
$node->safe_psql('postgres', qq{
	SELECT kafka_produce('$topic', '\\x00ff0a'::bytea, key => 'bytes',
			headers => '{"twice": ["a", "b"], "empty": "",
						 "bytes": {"base64": "AP8="}}');
	SELECT kafka_produce('$topic', ''::text, key => '', headers => '{"x-message-id": "mine"}');
	SELECT kafka_produce('$topic', NULL::text, key => 'tombstone');
	SELECT kafka_produce('$topic', '{"a": [1, 2]}'::jsonb, partition => 3);
	SELECT kafka_produce('$topic', U&'gr\\00fcn'::text, key => 'text')});
wait_until_published('the first events');

my %read = map { ($_->{key} // 'none') => $_ } $kafka->consume_bytes($topic);
my %headers = map { $_->[0] => $_->[1] } @{ $read{bytes}->{headers} };
is($read{bytes}->{value}, "\0\xff\n", 'bytes');
is_deeply(
	[ sort map { $_->[1] } grep { $_->[0] eq 'twice' } @{ $read{bytes}->{headers} } ],
	[ 'a', 'b' ], 'a header that is there twice');
is($headers{empty}, '', 'an empty header');
is($headers{bytes}, "\0\xff", 'a header of bytes');
like($headers{'x-message-id'}, qr/^[0-9a-f-]{36}-\d+/, 'a message id');
is($read{''}->{value}, '', 'an empty value and an empty key');
is_deeply($read{''}->{headers}, [ [ 'x-message-id', 'mine' ] ],
	'an id that is there already stays');
is($read{tombstone}->{value}, undef, 'a tombstone');
is($read{none}->{value}, '{"a": [1, 2]}', 'jsonb');
is($read{none}->{partition}, 3, '... to a partition of choice');
is($read{text}->{value}, "gr\xc3\xbcn", 'text is UTF-8');

# The partitions KafkaJS would take.
my $ours = $kafka->create_topic($kafka->unique('ours'), partitions => 7);
my $theirs = $kafka->create_topic($kafka->unique('theirs'), partitions => 7);
$node->safe_psql('postgres', qq{
	SELECT count(kafka_produce('$ours', 'v', key => 'key-' || i))
	  FROM generate_series(1, 300) i});
$kafka->produce_messages($theirs,
	map { { key => "key-$_", value => 'v' } } 1 .. 300);
wait_until_published('the keys');
is_deeply(
	{ map { $_->{key} => $_->{partition} } $kafka->consume($ours) },
	{ map { $_->{key} => $_->{partition} } $kafka->consume($theirs) },
	'keys have the partitions that KafkaJS gives them');

# The process.
is($node->safe_psql('postgres', $relays), '1', 'one relay');
is( $node->safe_psql('postgres', q{
		SELECT role, consumer_id LIKE '%-relay-0', status, is_healthy, messages_total,
			   group_id IS NULL
		  FROM kafka_consumer_health}),
	'relay|t|running|t|305|t', '... in the view');
$node->wait_for(q{
	SELECT query FROM pg_stat_activity WHERE backend_type = 'kafka_events relay'},
	'server "shop": waiting for messages to publish', 'what it says it does');

# What no broker takes, between messages that it does take.
my $huge = q{repeat('x', 1048400)};
$node->safe_psql('postgres', qq{
	BEGIN;
	SELECT count(kafka_produce('$topic', 'before ' || i, key => 'k', partition => 0))
	  FROM generate_series(1, 500) i;
	SELECT kafka_produce('$topic', $huge, key => 'k', partition => 0,
			headers => jsonb_build_object('pad', repeat('p', 400)));
	SELECT count(kafka_produce('$topic', 'after ' || i, key => 'k', partition => 0))
	  FROM generate_series(1, 500) i;
	SELECT kafka_produce('$compacted', 'a', key => 'a', headers => '{"none": null}'),
		   kafka_produce('$compacted', 'no key'),
		   kafka_produce('$compacted', 'b', key => 'b');
	SELECT kafka_produce('$typo', 'lost');
	SELECT kafka_produce('$topic', 'nowhere', partition => 4);
	COMMIT});
wait_until_published('everything to be sent or parked');
is( $node->safe_psql('postgres', q{
		SELECT topic, kind, reason FROM kafka_outbox_parked ORDER BY id}),
	join("\n",
		"$topic|event|Broker: Message size too large (Raise max.message.bytes of the topic, or send less in one message.)",
		"$compacted|event|Broker: Broker failed to validate record (A compacted topic takes no message without a key.)",
		qq{$typo|event|topic "$typo" does not exist},
		qq{$topic|event|topic "$topic" has 4 partitions, and no partition 4}),
	'what no broker takes is parked, with a reason');
is_deeply(
	[
		map { $_->{value} } grep { ($_->{key} // '') eq 'k' } $kafka->consume_bytes($topic)
	],
	[ (map { "before $_" } 1 .. 500), (map { "after $_" } 1 .. 500) ],
	'its neighbours are published, once and in order');
my @taken = $kafka->consume($compacted);
is_deeply([ map { $_->{payload} } @taken ],
	[ 'a', 'b' ], '... those with keys, too');
is_deeply([ @{ $taken[0]->{headers} }[ 0, 1 ] ], [ 'none', undef ], 'a null header');
$node->becomes(q{
	SELECT published_total, parked_total, last_error IS NULL
	  FROM kafka_outbox_status},
	'1307|4|t', 'all are counted');

# Repaired, and sent again.
$kafka->create_topic($typo);
$node->safe_psql('postgres',
	"SELECT kafka_outbox_retry(id) FROM kafka_outbox_parked WHERE topic = '$typo'");
wait_until_published('the repaired one');
is_deeply([ map { $_->{payload} } $kafka->consume($typo) ],
	['lost'], 'a parked message is sent after its topic was made');

# COMMIT PREPARED wakes nobody, and is published all the same.
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$node->restart;
$node->safe_psql('postgres', qq{
	BEGIN;
	SELECT kafka_produce('$typo', 'prepared');
	PREPARE TRANSACTION 'p'});
$node->restart;
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
$node->wait_for(q{SELECT published_total FROM kafka_outbox_status}, '1309',
	'the prepared transaction');
is(($kafka->consume($typo))[-1]->{payload}, 'prepared',
	'what was prepared is published after a restart');

$node->stays_up_ok;
$node->stop;

done_testing();
