# Dead letters that other systems have written, Spring Kafka's own among them:
# what they say is shown, and they are sent back as they were before they
# died, to topics that the server knows.  Damaged ones stay, by name.

use strict;
use warnings;

use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');
my %topic = map {
	my $topic = $kafka->unique($_);
	$kafka->create_topic($topic, partitions => 2);
	($_ => $topic)
} qw(orders pays plain connect);
$kafka->create_topic($_, partitions => 2)
  foreach map { ("$topic{orders}$_", "$topic{pays}$_") }
  qw(-dlt -dlt-dlt -retry);

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE seen (topic text, value jsonb, headers jsonb);
	CREATE FUNCTION on_message(kafka_message) RETURNS void LANGUAGE sql AS
		\$\$INSERT INTO seen VALUES (\$1.topic, convert_from(\$1.value, 'UTF8')::jsonb, \$1.headers)\$\$});
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$topic{$_}', handler => 'on_message')")
  foreach qw(orders pays);

# what arrived in a topic: partition, key, value, and the headers' names
sub arrived
{
	my ($topic, $from) = @_;

	return map {
		join ' ', $_->{partition}, $_->{key} // 'none', $_->{value},
		  map { $_->[0] } @{ $_->{headers} }
	  }
	  grep { $_->{value} =~ /$from/ } $kafka->consume_bytes($topic);
}

sub base64
{
	my ($bytes) = @_;

	return { base64 => encode_base64($bytes, '') };
}

# ---- Spring's recoverer, once and twice

$kafka->produce_messages(
	$topic{orders},
	{
		value => '{"id": 1}',
		key => 'k1',
		partition => 1,
		headers => [ [ own => [ 'a', 'b' ] ], [ bytes => base64("\x00\xff") ] ]
	});
$kafka->spring('dead', $topic{orders}, "$topic{orders}-dlt");
is( $node->safe_psql(
		'postgres', qq{
		SELECT topic = '$topic{orders}-dlt', partition, key_text, value_text, value,
		       reason, sqlstate, attempts, failed_at,
		       original_topic = '$topic{orders}', original_partition, original_offset, orphan
		  FROM kafka_dlq_messages('$topic{orders}-dlt')}),
	't|1|k1|{"id": 1}|\x7b226964223a20317d|Listener failed; no stock of ß||||t|1|0|f',
	'what Spring says of a letter is shown');
is( $node->safe_psql(
		'postgres', qq{
		SELECT original_topic = '$topic{orders}-dlt', original_partition, original_offset,
		       jsonb_array_length(headers->'kafka_dlt-original-topic')
		  FROM kafka_dlq_messages('$topic{orders}-dlt-dlt')}),
	't|1|0|2',
	'... and of one that died twice, the second time');
is( $node->safe_psql('postgres',
		"SELECT * FROM kafka_dlq_stats('$topic{orders}-dlt')"),
	"$topic{orders}-dlt||1|1|2|0|1|0",
	'it is counted by the name of its topic');

is( $node->reprocess("'$topic{orders}-dlt-dlt'"),
	qq(1|0|1\n0|topic "$topic{orders}-dlt" is not subscribed on this server; to send the letter to a topic all the same, name that with to_topic),
	'a letter goes to no topic that is not known');
is($node->reprocess("'$topic{orders}-dlt'"), '1|1|0', '... and back to one that is');
is_deeply(
	[ arrived($topic{orders}, '"id": 1') ],
	[ ('1 k1 {"id": 1} own own bytes') x 2 ],
	'it is as it was, in its partition, without the headers of its death');
$node->becomes(q{SELECT count(*) FROM seen WHERE value = '{"id": 1}'}, '2',
	'... and comes to its subscription');
is( $node->safe_psql('postgres',
		q{SELECT headers FROM seen WHERE value = '{"id": 1}' LIMIT 1}),
	'{"own": ["a", "b"], "bytes": {"base64": "AP8="}}',
	'... with its own headers');
is( $node->safe_psql('postgres',
		"SELECT pending FROM kafka_dlq_stats('$topic{orders}-dlt')"),
	'0',
	'... and is not pending any more');

# ---- Spring's retry topics

$kafka->produce_messages($topic{pays},
	{ value => '{"id": 2}', key => 'k2', partition => 0, headers => { own => 'x' } });
$kafka->spring('retry', $topic{pays}, 1);
is( $node->safe_psql(
		'postgres', qq{
		SELECT reason, attempts, original_topic = '$topic{pays}', original_partition, original_offset
		  FROM kafka_dlq_messages('$topic{pays}-dlt')}),
	'Listener failed; no stock of ß|4|t|0|0',
	'a letter of retry topics is shown');
is($node->reprocess("'$topic{pays}-dlt', target => 'retry'"),
	'1|1|0', '... and retried by this service');
$node->becomes(
	q{SELECT count(*) FROM seen WHERE value = '{"id": 2}'},
	'2',
	'... which has run it once more');
is( $node->safe_psql(
		'postgres', q{
		SELECT string_agg(name, ' ' ORDER BY name)
		  FROM seen, jsonb_object_keys(headers) name
		 WHERE topic LIKE '%retry' OR headers ? 'x-retry-attempt'}),
	'own x-copy-id x-message-id x-original-offset x-original-partition x-original-timestamp x-original-timestamp-type x-original-topic x-retry-at x-retry-attempt x-retry-delay x-service',
	'... with the headers of a retry alone');

# ---- Connect: any name of a topic, everything text, the last set counts

sub connect_headers
{
	my ($topic, $partition, $offset, $message) = @_;

	return (
		[ '__connect.errors.topic' => $topic ],
		[ '__connect.errors.partition' => $partition ],
		[ '__connect.errors.offset' => $offset ],
		[ '__connect.errors.connector.name' => 'sink' ],
		[ '__connect.errors.task.id' => '0' ],
		[ '__connect.errors.stage' => 'VALUE_CONVERTER' ],
		[ '__connect.errors.class.name' => 'org.apache.kafka.connect.json.JsonConverter' ],
		[ '__connect.errors.exception.class.name' => 'org.apache.kafka.connect.errors.DataException' ],
		[ '__connect.errors.exception.message' => $message ],
		[ '__connect.errors.exception.stacktrace' => 'at org.x' ]);
}

# the old set of a letter that died before, as KafkaJS can repeat headers
sub twice
{
	my ($old, $new) = @_;

	return map { [ $old->[$_][0], [ $old->[$_][1], $new->[$_][1] ] ] } 0 .. $#$old;
}

my $no_letter =
  'it has no headers of a dead letter; to send it all the same, name its partition and offset, and a topic with to_topic';
my @orders = ($topic{orders}, '1', '7', 'no JSON');
$kafka->produce_messages(
	$topic{connect},
	{
		value => 'not {json',
		key => 'k3',
		partition => 0,
		timestamp => 1_700_000_000_000,
		headers => [ [ 'own' => 'x' ], connect_headers(@orders) ]
	},
	{
		value => 'c4',
		partition => 0,
		headers => [ twice([ connect_headers('elsewhere', '0', '1', 'older') ],
				[ connect_headers($topic{pays}, '1', '8', 'newer') ]) ]
	},

	# another service's, once: Connect does not know services
	{
		value => 'c5',
		partition => 0,
		headers => [
			[ 'x-service' => 'another' ], [ 'x-original-topic' => 'elsewhere' ],
			[ 'x-dlq-reason' => 'ours' ], connect_headers(@orders) ]
	},

	# no dead letter at all
	{ value => 'c6', partition => 0, headers => { own => 'x' } });
is( $node->safe_psql(
		'postgres', qq{
		SELECT "offset", value_text, reason, original_topic IN ('$topic{orders}', '$topic{pays}'),
		       original_partition, original_offset, attempts, failed_at
		  FROM kafka_dlq_messages('$topic{connect}', pending_only => true)}),
	join("\n",
		'0|not {json|no JSON|t|1|7||',
		'1|c4|newer|t|1|8||',
		'2|c5|no JSON|t|1|7||',
		'3|c6||||||'),
	'what Connect says is shown, the newest of two sets');
is( $node->reprocess("'$topic{connect}'"),
	"4|3|1\n3|$no_letter",
	'its letters go back, and what is none does not');
is_deeply(
	[ arrived($topic{orders}, 'json|c5') ],
	[
		'1 k3 not {json own',
		'1 none c5 x-service x-original-topic x-dlq-reason'
	],
	'... cleaned of what Connect has written, and of nothing else');
is_deeply([ arrived($topic{pays}, 'c4') ], ['1 none c4'],
	'... also of what it has written before');
is( $node->reprocess("'$topic{connect}', to_topic => '$topic{plain}'"),
	"1|0|1\n3|$no_letter",
	'what is none is not even sent to a topic that is named');
is( $node->reprocess(
		"'$topic{connect}', partition => 0, \"offset\" => 3, to_topic => '$topic{plain}'"
	),
	'1|1|0',
	'... unless it is meant by itself');
is_deeply([ map { s/^\d //r } arrived($topic{plain}, 'c6') ],
	['none c6 own'], '... as it is');

# ---- damaged and hostile ones, each with its route

sub spring_headers
{
	my ($topic, $partition, $offset) = @_;

	return [
		[ 'kafka_dlt-original-topic' => $topic ],
		[ 'kafka_dlt-original-partition' => base64($partition) ],
		[ 'kafka_dlt-original-offset' => base64($offset) ] ];
}

my $dlt = $kafka->create_topic($kafka->unique('damaged-dlt'));
my @damaged = (
	spring_headers($topic{orders}, "\0\0\0\1", "\0" x 7),
	spring_headers($topic{orders}, "\xff" x 4, "\xff" x 8),
	spring_headers($topic{orders}, "\x7f\xff\xff\xff", "\x7f" . "\xff" x 7),
	spring_headers($topic{orders}, '', ''),
	spring_headers(base64("\xff\xfe"), "\0\0\0\1", "\0" x 8),
	spring_headers(base64("a\0b"), "\0\0\0\1", "\0" x 8),
	spring_headers('x' x 2000, "\0\0\0\1", "\0" x 8),
	spring_headers('', "\0\0\0\1", "\0" x 8),
	spring_headers('__consumer_offsets', "\0\0\0\1", "\0" x 8),
	spring_headers($dlt, "\0\0\0\0", "\0" x 8),
	[ [ 'kafka_dlt-exception-message' => base64("\xff") ] ],
	[ [ '__connect.errors.offset' => '99999999999999999999' ] ],
	[ [ '__connect.errors.topic' => $topic{orders} ], [ '__connect.errors.partition' => '-1' ] ],
	[ map { [ 'kafka_dlt-original-topic', [ ('x') x 1000, $topic{orders} ] ] } 1 ]);
$kafka->produce_messages($dlt,
	map { { value => "d$_", key => 'k', headers => $damaged[$_] } } 0 .. $#damaged);
is( $node->safe_psql(
		'postgres', qq{
		SELECT "offset", original_topic = '$topic{orders}', original_partition, original_offset
		  FROM kafka_dlq_messages('$dlt')}),
	join("\n",
		'0|t|1|', '1|t||', '2|t|2147483647|9223372036854775807', '3|t||',
		'4||1|0', '5||1|0', '6||1|0', '7|f|1|0', '8|f|1|0', '9|f|0|0', '10|||',
		'11|||', '12|t||', '13|t||'),
	'what is damaged is not known, and the rest is');
my $no_topic = 'is missing or names no topic';
is( $node->reprocess("'$dlt'"),
	join("\n",
		'14|6|8',
		(map { "$_|its header kafka_dlt-original-topic $no_topic" } 4 .. 7),
		'8|topic "__consumer_offsets" is one of Kafka\'s own',
		qq(9|topic "$dlt" is not subscribed on this server; to send the letter to a topic all the same, name that with to_topic),
		"10|its header kafka_dlt-original-topic $no_topic",
		"11|its header __connect.errors.topic $no_topic"),
	'each is sent, or stays and says why');
is( scalar(arrived($topic{orders}, '^d')), 6,
	'... and nothing is sent that was not counted');
is( $node->safe_psql('postgres', "SELECT pending FROM kafka_dlq_stats('$dlt')"),
	'8', '... and none is lost');
is($node->reprocess("'$dlt', to_topic => '$topic{plain}'"),
	'8|8|0', 'a topic that is named takes them');
is( $node->safe_psql('postgres',
		"SELECT topic = '$dlt', pending FROM kafka_dlq_stats() WHERE topic = '$dlt'"),
	't|0',
	'a topic that letters were moved from is listed');

# ---- whose topic is it?

foreach my $function (
	'kafka_dlq_messages', 'kafka_dlq_stats', 'kafka_dlq_reprocess')
{
	my ($status, $out, $err) =
	  $node->psql('postgres', "SELECT * FROM $function('nowhere')");

	like($err, qr/topic "nowhere\.dlq" does not exist on server "shop"/,
		"$function: a topic that is not there");
}

$node->stays_up_ok;
$node->stop;
done_testing();
