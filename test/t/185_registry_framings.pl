# The ways in which a message names its schema, with Apicurio's registry, and
# with one that answers as no registry should.

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Registry;
use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $registry = KafkaEvents::Registry->start;
my $node = KafkaEvents::Node->start_new('main');
my $json = JSON::PP->new->canonical;
my $count = 0;

sub record
{
	my ($name, @list) = @_;
	my @fields;

	while (my ($field, $type) = splice @list, 0, 2)
	{
		push @fields, { name => $field, type => $type };
	}
	return $json->encode({ type => 'record', name => $name, fields => \@fields });
}

sub bytes { return { base64 => encode_base64($_[0], '') } }

# ---- a server that says what it was told to, at paths by name

my $fake = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64)
  or die "no port: $!";
my $fake_url = 'http://127.0.0.1:' . $fake->sockport;
my $guid = '01234567-89ab-cdef-0123-456789abcdef';
my $nested = '"int"';
$nested = qq({"type":"array","items":$nested}) foreach 1 .. 3000;
my $node_schema = record('Node', v => 'int', next => [ 'null', 'Node' ]);
my @many = map { sprintf('field_%05d_', $_) . 'x' x 70 => 'null' } 1 .. 50_000;
my @branches = map {
	{
		type => 'record',
		name => "R$_",
		fields => [ { name => "f$_", type => 'int' } ]
	}
} 0 .. 299;

my %answers = (
	"/good/schemas/guids/$guid" =>
	  [ 200, $json->encode({ schema => record('G', 'a', 'int') }) ],
	'/html/schemas/ids/1' => [ 404, '<html>Not Found</html>' ],
	'/redirect/schemas/ids/1' => [ 302, '', "Location: $fake_url/plain/schemas/ids/1" ],
	'/plain/schemas/ids/1' => [ 200, $json->encode({ schema => '"int"' }) ],
	'/garbage/schemas/ids/1' => [ 200, 'hello' ],
	'/huge/schemas/ids/1' => [ 200, 'x' x (17 * 1024 * 1024) ],
	'/teapot/schemas/ids/1' => [ 500, '{"error_code":50001,"message":"no tea"}' ],
	'/broken/schemas/ids/1' => [ 200, $json->encode({ schema => '{"type":"recrod"}' }) ],
	'/deep/schemas/ids/1' => [ 200, $json->encode({ schema => $nested }) ],
	'/list/schemas/ids/1' => [ 200, $json->encode({ schema => $node_schema }) ],
	'/big/schemas/ids/1' => [ 200, $json->encode({ schema => record('Big', @many, a => 'int') }) ],
	'/union/schemas/ids/1' =>
	  [ 200, $json->encode({ schema => record('U', u => \@branches) }) ],
	'/circle/schemas/ids/1' => [
		200,
		$json->encode(
			{
				schema => record('A', 'b', 'B'),
				references => [ { name => 'B', subject => 'b', version => 1 } ]
			})
	],
	'/circle/subjects/b/versions/1' => [
		200,
		$json->encode(
			{
				schema => record('B', 'c', [ 'null', 'C' ]),
				references => [ { name => 'C', subject => 'c', version => 1 } ]
			})
	],
	'/circle/subjects/c/versions/1' => [
		200,
		$json->encode(
			{
				schema => record('C', 'b', [ 'null', 'B' ]),
				references => [ { name => 'B', subject => 'b', version => 1 } ]
			})
	]);

sub serve
{
	while (my $client = $fake->accept)
	{
		my ($path, $line);

		while (defined($line = <$client>) && $line !~ /^\r?$/)
		{
			$path = $1 if $line =~ /^GET (\S+)/;
		}
		my ($status, $body, @headers) = @{ $answers{ $path || '' } || [ 404, 'nothing' ] };
		print $client join("\r\n",
			"HTTP/1.1 $status X", @headers, 'Connection: close',
			'Content-Length: ' . length $body,
			'', $body);
		close $client;
	}
	return;
}

my $parent = $$;
my $pid = fork;

die "fork: $!" unless defined $pid;
if (!$pid)
{
	# not longer than the test
	$SIG{ALRM} = sub { getppid() == $parent ? alarm 1 : POSIX::_exit(0) };
	$SIG{PIPE} = 'IGNORE';
	alarm 1;
	while (1) { serve() }
}
close $fake;

END
{
	local $?;
	kill 'KILL', $pid if $pid;
}

# A server with a topic whose messages a handler keeps; the topic.
$node->safe_psql('postgres', q{
	CREATE TABLE seen (topic text, value jsonb);
	CREATE FUNCTION see(event jsonb) RETURNS void LANGUAGE sql AS
		$$ INSERT INTO seen SELECT topic, event FROM kafka_current_message() $$});

my $last;

sub subscribe
{
	my (%options) = @_;
	my $name = 's' . ++$count;
	my $topic = $kafka->create_topic($kafka->unique($name));

	$node->safe_psql('postgres', "DROP SERVER $last CASCADE") if $last;
	$last = $name;
	$node->create_service($kafka, $name, %options);
	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic', handler => 'see', value_format => 'registry',
			max_retries => 0)});
	return $topic;
}

sub sees
{
	my ($what, $topic, $expected) = @_;

	$node->becomes(
		qq{SELECT array_agg(value ORDER BY value) FROM seen WHERE topic = '$topic'},
		$expected, $what);
	return;
}

# ---- Apicurio: contentId and globalId are not the same numbers

my $x = record('X', 'x', 'int');
my $y = record('Y', 'y', 'int');

$registry->register('x1', $x);    # contentId 1, globalId 1
$registry->register('x2', $x);    # contentId 1, globalId 2
$registry->register('y1', $y);    # contentId 3, globalId 3
$registry->register('y2', $y);    # contentId 3, globalId 4
my $payload = "\x0e";

sub prefixed { return { value => bytes(pack($_[0], 0, $_[1]) . $payload) } }

sub headed
{
	return {
		value => bytes($payload),
		headers => { $_[0] => bytes(pack 'Q>', $_[1]) }
	};
}

my $topic = subscribe(
	schema_registry_url => $registry->url,
	schema_registry_id => 'global');
$kafka->produce_messages($topic,
	prefixed('CQ>', 4), prefixed('CN', 2),
	headed('apicurio.value.globalId', 1),
	headed('apicurio.value.contentId', 3));
sees('ids are globalIds, unless a header says another', $topic,
	'{"{\"x\": 7}","{\"x\": 7}","{\"y\": 7}","{\"y\": 7}"}');
is( $node->safe_psql('postgres',
		"SELECT string_agg(id || ' ' || name, ', ' ORDER BY id, name) FROM kafka_schemas"),
	'1 X, 2 X, 3 Y, 4 Y', 'what was learnt');

$topic = subscribe(
	schema_registry_url => 'http://' . $registry->address,
	schema_registry_id => 'content');
$kafka->produce_messages($topic, prefixed('CQ>', 3), prefixed('CN', 1),
	headed('apicurio.value.globalId', 4));
sees('ids are contentIds, by the registry\'s own URL', $topic,
	'{"{\"x\": 7}","{\"y\": 7}","{\"y\": 7}"}');

# References by Apicurio's own API, and the other types.
$registry->register('street', record('Street', 'name', 'string'));
$registry->register('home', record('Home', 'street', 'Street'),
	references => [ { name => 'Street', subject => 'street', version => 1 } ]);
$registry->register('event',
	'{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"j":{"type":"integer"}}}',
	schemaType => 'JSON');
$topic = subscribe(
	schema_registry_url => $registry->url,
	schema_registry_id => 'global');
$kafka->produce_messages(
	$topic,
	{ value => bytes(pack('CN', 0, 6) . "\x06Elm") },
	{ value => bytes(pack('CN', 0, 7) . '{"j": 1}') });
sees('references and JSON Schema by Apicurio\'s API', $topic,
	'{"{\"j\": 1}","{\"street\": {\"name\": \"Elm\"}}"}');

# Avro's JSON encoding is another thing than JSON.
$kafka->produce_messages(
	$topic,
	{
		value => '{"x": 7}',
		headers => {
			'apicurio.value.globalId' => bytes(pack 'Q>', 1),
			'apicurio.value.encoding' => 'JSON'
		}
	});
$node->becomes(
	qq{SELECT reason FROM kafka_dlq_messages('$topic')},
	"message value is written in Avro's JSON encoding (schema with globalId 1), which cannot be decoded",
	"Avro's JSON encoding is named");

# Eight bytes where Confluent's ids are expected.
$topic = subscribe(schema_registry_url => $registry->url);
$kafka->produce_messages(
	$topic,
	prefixed('CQ>', 3),
	{ value => bytes($payload), headers => { '__value_schema_id' => 'odd' } },
	{ value => bytes($payload), headers => { '__value_schema_id' => bytes(pack 'CN', 0, 3) } },
	headed('apicurio.value.globalId', 4));
sees('a header needs no option', $topic, '{"{\"y\": 7}","{\"y\": 7}"}');
$node->becomes(
	qq{SELECT string_agg(reason, ' ' ORDER BY original_offset) ~
		'eight bytes of an id, which need server option schema_registry_id.*header "__value_schema_id" that holds no schema id'
		FROM kafka_dlq_messages('$topic') HAVING count(*) = 2},
	't', 'an id of another length is not guessed');

# ---- GUIDs

$topic = subscribe(schema_registry_url => "$fake_url/good");
$kafka->produce_messages(
	$topic,
	{
		value => bytes($payload),
		headers => { '__value_schema_id' => bytes("\x01" . pack 'H*', $guid =~ s/-//gr) }
	});
sees('a GUID in a header', $topic, '{"{\"a\": 7}"}');
is( $node->safe_psql('postgres', "SELECT id FROM kafka_schemas WHERE name = 'G'"),
	$guid, 'is its id');

# ---- what is large, or deep

$topic = subscribe(schema_registry_url => "$fake_url/big");
$node->safe_psql('postgres', qq{
	CREATE TABLE big (a int);
	SELECT kafka_unsubscribe('$topic');
	SELECT kafka_subscribe('$topic', into_table => 'big', value_format => 'registry',
		start_from => 'earliest')});
$kafka->produce_messages($topic, (prefixed('CN', 1)) x 3);
$node->becomes('SELECT array_agg(a) FROM big', '{7,7,7}', 'a schema of 5 MB');
is($node->safe_psql('postgres', "SELECT cardinality(fields) FROM kafka_schemas WHERE name = 'Big'"),
	1000, 'is shown by some of its fields');

$topic = subscribe(schema_registry_url => "$fake_url/union");
$kafka->produce_messages(
	$topic,
	{ value => bytes(pack('CN', 0, 1) . "\xd6\x04\x0e") },
	{ value => bytes(pack('CN', 0, 1) . "\xd8\x04\x0e") });
sees('a union of 300 types', $topic, '{"{\"u\": {\"f299\": 7}}"}');
$node->becomes(qq{SELECT sqlstate FROM kafka_dlq_messages('$topic')}, '22P03', 'and one that it has not');

# A list is as deep as it is long.  What is too deep for the stack is an error.
sub list { return { value => bytes(pack('CN', 0, 1) . "\x02\x02" x $_[0] . "\x02\0") } }

$topic = subscribe(schema_registry_url => "$fake_url/list");
$kafka->produce_messages($topic, list(1), list(10_000), list(100_000), list(0));
$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql('postgres', qq{SELECT count(*) FILTER (WHERE value->'next'->'next'->'next' IS NULL)
	FROM seen WHERE topic = '$topic'}),
	2, 'data that is not nested deeply');
$node->becomes(qq{SELECT bool_and(sqlstate = '54001'), count(*) BETWEEN 1 AND 2 FROM kafka_dlq_messages('$topic')},
	't|t', 'data that is nested too deeply');

# ---- answers that are none

sub waits
{
	my ($path, $pattern) = @_;
	my $topic = subscribe(schema_registry_url => "$fake_url/$path");

	$kafka->produce_messages($topic, prefixed('CN', 1));
	$node->becomes(qq{
		SELECT status, status_reason ~ '$pattern' FROM kafka_consumer_lag
		WHERE topic = '$topic' AND role = 'main' AND status = 'paused'},
		'paused|t', $path);
	return;
}

waits('html', 'HTTP 404, and not as a schema registry answers');
waits('redirect', 'HTTP 302: redirects are not followed');
waits('garbage', 'is not that of a schema registry');
waits('huge', 'longer than 16 MB');
waits('teapot', 'HTTP 500: no tea');

sub refuses
{
	my ($path, $pattern) = @_;
	my $topic = subscribe(schema_registry_url => "$fake_url/$path");

	$kafka->produce_messages($topic, prefixed('CN', 1));
	$node->becomes(
		qq{SELECT sqlstate, reason ~ '$pattern' FROM kafka_dlq_messages('$topic')},
		'22023|t', $path);
	return;
}

refuses('broken', 'cannot be read with schema id 1');
$topic = subscribe(schema_registry_url => "$fake_url/circle");
$kafka->produce_messages($topic, prefixed('CN', 1));
$node->becomes(
	qq{SELECT count(*) FROM kafka_dlq_messages('$topic')}, 1,
	'schemas that refer to each other in a circle');
$topic = subscribe(schema_registry_url => "$fake_url/deep");
$kafka->produce_messages($topic, prefixed('CN', 1));
$node->becomes(
	qq{SELECT sqlstate, reason ~ 'schema id 1' FROM kafka_dlq_messages('$topic')},
	'54001|t', 'a schema that is nested too deep');

$node->stays_up_ok;
done_testing();
