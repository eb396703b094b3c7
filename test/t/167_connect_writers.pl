# Values that Kafka Connect's own converter wrote, and events that the
# CloudEvents SDK wrote in both modes, into tables and handlers.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Connect;
use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $lines = PostgreSQL::Test::Utils::tempdir('lines') . '/lines';
my $prefix = 'org.apache.kafka.connect.transforms';
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_)) }
  qw(lines broken structured binary handled);

$node->create_service($kafka, 'shop');

# ---- a file's lines, as a number and three kinds of time

append_to_file($lines, "7\n-2147483648\n42\n");
my $connect = KafkaEvents::Connect->start(
	$kafka,
	lines => {
		KafkaEvents::Connect::with_schemas(),
		'connector.class' => 'org.apache.kafka.connect.file.FileStreamSourceConnector',
		file => $lines,
		topic => $topic{lines},
		transforms => 'struct,id,key,rename,moment,day,clock,date,time,origin',
		'transforms.struct.type' => "$prefix.HoistField\$Value",
		'transforms.struct.field' => 'line',
		'transforms.id.type' => "$prefix.Cast\$Value",
		'transforms.id.spec' => 'line:int32',
		'transforms.rename.type' => "$prefix.ReplaceField\$Value",
		'transforms.rename.renames' => 'line:id',
		'transforms.key.type' => "$prefix.ValueToKey",
		'transforms.key.fields' => 'line',
		(
			map {
				("transforms.$_.type" => "$prefix.InsertField\$Value",
					"transforms.$_.timestamp.field" => $_)
			} qw(moment day clock)
		),
		'transforms.date.type' => "$prefix.TimestampConverter\$Value",
		'transforms.date.field' => 'day',
		'transforms.date.target.type' => 'Date',
		'transforms.time.type' => "$prefix.TimestampConverter\$Value",
		'transforms.time.field' => 'clock',
		'transforms.time.target.type' => 'Time',
		'transforms.origin.type' => "$prefix.InsertField\$Value",
		'transforms.origin.static.field' => 'origin',
		'transforms.origin.static.value' => 'a "file"'
	},
	# without schemas, which the subscription is not told
	broken => {
		'connector.class' => 'org.apache.kafka.connect.file.FileStreamSourceConnector',
		file => $lines,
		topic => $topic{broken},
		transforms => 'struct',
		'transforms.struct.type' => "$prefix.HoistField\$Value",
		'transforms.struct.field' => 'id'
	});
$node->safe_psql('postgres', qq{
	CREATE TABLE lines (id int PRIMARY KEY, origin text, moment timestamptz, day date, clock time, kafka_timestamp timestamptz);
	SELECT kafka_subscribe('$topic{lines}', into_table => 'lines', on_conflict => 'update', unwrap => 'connect');
	SELECT kafka_subscribe('$topic{broken}', into_table => 'lines', on_conflict => 'update', unwrap => 'connect')});
$node->becomes(q{
	SELECT id, origin, moment = kafka_timestamp, day = (moment AT TIME ZONE 'UTC')::date,
	       clock = (moment AT TIME ZONE 'UTC')::time FROM lines ORDER BY id},
	join("\n", map { qq($_|a "file"|t|t|t) } -2147483648, 7, 42),
	'lines of a file, through transformations');
$node->becomes("SELECT DISTINCT reason FROM kafka_dlq_messages('$topic{broken}')",
	"message value has no schema and payload, as Kafka Connect's JsonConverter writes them",
	'values without a schema are refused by name');

# ---- CloudEvents

$node->safe_psql('postgres', qq{
	CREATE TABLE seen (topic text, event jsonb);
	CREATE FUNCTION see(event jsonb) RETURNS void LANGUAGE sql
		AS 'INSERT INTO seen VALUES ((kafka_current_message()).topic, event)'});
my $extensions = 'ce_flag boolean, ce_pieces int, ce_traceid text';
foreach my $mode (qw(structured binary))
{
	$node->safe_psql('postgres', qq{
		CREATE TABLE ${mode}_events (ce_id text PRIMARY KEY, ce_source text, ce_type text, ce_time timestamptz, ce_subject text,
			$extensions, ce_datacontenttype text, amount numeric, name text, data jsonb);
		SELECT kafka_subscribe('$topic{$mode}', into_table => '${mode}_events', on_conflict => 'update', unwrap => 'cloudevents')});
	$kafka->write_cloudevents($topic{$mode}, uc $mode);
	$node->wait_until_drained($kafka, $topic{$mode});
	is( $node->safe_psql('postgres', qq{
			SET timezone = 'UTC';
			SELECT ce_id, ce_time, ce_subject, ce_flag, ce_pieces, ce_traceid, ce_datacontenttype, amount, name, data
			  FROM ${mode}_events ORDER BY ce_id}),
		join("\n",
			'bytes||||||application/octet-stream|||"AP8Q"',
			'empty|||||||||',
			'list||||||application/vnd.shop+json; charset=utf-8|||[1, 2.50]',
			'object|2024-02-29 10:34:56.789012+00|order ü|t|3|a b%|application/json|12.50|ü|{"name": "ü", "amount": 12.50}',
			'text||||||text/plain|||"no {json}"',
			'untyped|||||||1||{"amount": 1}'),
		"$mode events are rows");
	is($node->safe_psql('postgres', "SELECT DISTINCT ce_source, ce_type FROM ${mode}_events"),
		'/shop|paid', '... with their attributes');
	is($node->safe_psql('postgres', "SELECT count(*) FROM kafka_dlq_messages('$topic{$mode}')"),
		'0', '... and none is a dead letter');
}
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$topic{handled}', handler => 'see', unwrap => 'cloudevents')});
$kafka->write_cloudevents($topic{handled}, $_) foreach qw(STRUCTURED BINARY);
$node->wait_until_drained($kafka, $topic{handled});
is( $node->safe_psql('postgres', q{
		SELECT count(*), count(DISTINCT event - 'ce_flag' - 'ce_pieces' - 'ce_datacontenttype'), bool_and(event ? 'ce_id')
		  FROM seen}),
	'12|6|t', 'a handler gets the same in both modes');
$node->stays_up_ok;
done_testing();
