# Messages that cannot be used: each has a named error, is passed over where
# there is no dead letter topic, shows no payload, and the server lives.  What is only large is processed.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');
$node->safe_psql('postgres', q{
	CREATE TABLE fields (id bigint, name text);
	CREATE TABLE keyed (id bigint, kafka_key text PRIMARY KEY);
	CREATE TABLE sizes (topic text, key_bytes int, value_bytes int, headers int);
	CREATE FUNCTION as_jsonb(j jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
	CREATE FUNCTION as_text(t text) RETURNS void LANGUAGE sql AS 'SELECT';
	CREATE FUNCTION measure(m kafka_message) RETURNS void LANGUAGE sql AS $$
		INSERT INTO sizes
		VALUES (m.topic, length(m.key), length(m.value),
			(SELECT count(*) FROM jsonb_object_keys(m.headers)))
	$$});

# What the message is, where it goes, and what is said about it.  Every
# message holds the word secret, which no view and no log line may show.
my @bad = (
	[ 'null', { value => undef, key => 'secret' }, "into_table => 'fields'",
		qr/passed over: 22004 .*value is null/ ],
	[ 'broken', { value => '{"id": secret' }, "into_table => 'fields'",
		qr/passed over: 22P02/ ],
	[ 'broken_jsonb', { value => '{"id": secret' }, "handler => 'as_jsonb'",
		qr/passed over: 22P02/ ],
	[ 'array', { value => '["secret"]' }, "into_table => 'fields'",
		qr/passed over: 22/ ],
	[ 'type', { value => '{"id": "secret"}' }, "into_table => 'fields'",
		qr/passed over: 22P02.*column "id"/ ],
	[ 'nul', { value => { base64 => 'ACJzZWNyZXQi' } }, "handler => 'as_text'",
		qr/passed over: 22/ ],
	[ 'nul_escape', { value => '{"name": "secret\u0000"}' },
		"into_table => 'fields'", qr/passed over: 22P05/ ],
	[ 'utf8', { value => { base64 => 'InNlY3JldP8i' } },
		"handler => 'as_text'", qr/passed over: 22021/ ],
	[ 'utf8_jsonb', { value => { base64 => 'InNlY3JldP8i' } },
		"handler => 'as_jsonb'", qr/passed over: 22021/ ],
	[ 'deep', { value => { repeat => '[', times => 1_000_000 } },
		"handler => 'as_jsonb'", qr/passed over: (54001|22P02)/ ],
	[ 'large_key',
		{
			value => '{"id": 1}',
			key => { repeat => 'secret', times => 170_000 },
			partition => 0    # or KafkaJS hashes it for a minute
		},
		"into_table => 'keyed'", qr/passed over: 54000/ ]);

my @large = (
	[ 'value_10mb', { value => { repeat => 'x', times => 10_000_000 } },
		'0|10000000|0' ],
	[ 'key_1mb',
		{
			value => 'v',
			key => { repeat => 'k', times => 1_000_000 },
			partition => 0
		},
		'1000000|1|0' ],
	[ 'headers_1000',
		{ value => 'v', headers => { map { ("h$_" => "v$_") } 1 .. 1000 } },
		'0|1|1000' ]);

my $config = { 'max.message.bytes' => 20_000_000 };

foreach my $case (@bad)
{
	my ($name, $message, $where) = @$case;
	my $topic =
	  $kafka->create_topic($kafka->unique($name), config => $config);

	$kafka->produce_messages($topic,
		{ value => '{"id": 0, "name": "good"}', key => 'good' },
		$message,
		{ value => '{"id": 2, "name": "good"}', key => 'good too' });
	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic', $where, max_retries => 0, dlq => false)});
}
foreach my $case (@large)
{
	my ($name, $message) = @$case;
	my $topic =
	  $kafka->create_topic($kafka->unique($name), config => $config);

	$kafka->produce_messages($topic, $message);
	$node->safe_psql('postgres',
		"SELECT kafka_subscribe('$topic', handler => 'measure')");
}

foreach my $case (@large)
{
	my ($name, undef, $expected) = @$case;
	my $topic = $kafka->unique($name);

	$node->wait_for(
		"SELECT count(*) FROM sizes WHERE topic = '$topic'", 1, $name);
	is( $node->safe_psql('postgres', qq{
			SELECT coalesce(key_bytes, 0), value_bytes, headers
			  FROM sizes WHERE topic = '$topic'}),
		$expected, "$name is processed");
}

foreach my $case (@bad)
{
	my ($name, undef, undef, $reason) = @$case;
	my $topic = $kafka->unique($name);

	$node->wait_until_drained($kafka, $topic);
	my ($line) = slurp_file($node->logfile) =~
	  /(message at offset 1 of partition 0 of topic "\Q$topic\E" is .*)/;
	like($line, $reason, "$name: says why, and where");
}
like(
	$node->safe_psql('postgres', 'SELECT last_error FROM kafka_consumer_health'),
	qr/message at offset 1 of partition 0 of topic ".*": (22|54)/,
	'the last one is in kafka_consumer_health');

unlike(
	$node->safe_psql('postgres',
		'SELECT status_reason FROM kafka_subscriptions; TABLE kafka_consumer_lag; TABLE kafka_consumer_health'),
	qr/secret/, 'no view shows payload');
unlike(join("\n", grep { !/statement:/ } split /\n/, slurp_file($node->logfile)),
	qr/secret/, 'no log line shows payload');

# what is around one of them
is( $node->safe_psql('postgres', q{
		SELECT string_agg(id::text, ' ' ORDER BY id) FROM keyed}),
	'0 2', 'the messages around a bad one are processed');

# why there are no rows: here, because of a schema registry's framing
my $framed = $kafka->create_topic($kafka->unique('framed'));
$kafka->produce_messages($framed,
	map { { value => { base64 => 'AAAAAAE=' } } } 1 .. 2);
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$framed', into_table => 'fields', max_retries => 0)});
$node->wait_for(
	"SELECT status || ': ' || status_reason FROM kafka_subscriptions WHERE topic = '$framed'",
	'active: messages fail: 2 in a row, the last one at offset 1 of partition 0: '
	  . '22021 (character_not_in_repertoire): message value is not valid UTF-8 text. '
	  . 'Byte 1 of 5 is the first one that does not fit. '
	  . 'A value that starts with a zero byte is framed for a schema registry; only bytea can hold it.',
	'why there are no rows');
pass('the subscription says why all of its messages fail');
$kafka->produce($framed, ['{"id": 3}']);
$node->wait_for(
	"SELECT status, status_reason FROM kafka_subscriptions WHERE topic = '$framed'",
	'active|', 'a good message to end it');
pass('... until one does not');

$node->stays_up_ok;
$node->stop;

done_testing();
