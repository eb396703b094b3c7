# Topics behind a schema registry: Avro and JSON Schema into tables and
# handlers, what is remembered of the registry, and whose fault it is when a
# schema is not there.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Registry;
use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $registry = KafkaEvents::Registry->start;
my $node = KafkaEvents::Node->start_new('main');
my $json = JSON::PP->new->canonical;

$node->create_service($kafka, 'shop', schema_registry_url => $registry->url);

sub new_topic
{
	my ($name, %options) = @_;

	return $kafka->create_topic($kafka->unique($name), %options);
}

sub record
{
	my ($name, @fields) = @_;
	my @list;

	while (my ($field, $type) = splice @fields, 0, 2)
	{
		push @list, { name => $field, type => $type };
	}
	return $json->encode(
		{
			type => 'record',
			name => $name,
			namespace => 'shop',
			fields => \@list
		});
}

my $order = record(
	'Order',
	id => 'int',
	name => [ 'null', 'string' ],
	price => { type => 'bytes', logicalType => 'decimal', precision => 10, scale => 2 },
	at => { type => 'long', logicalType => 'timestamp-millis' });

# ---- Avro into columns, by the writer most people use

my $topic = new_topic('orders', partitions => 2);

$node->safe_psql('postgres', qq{
	CREATE TABLE orders (id int PRIMARY KEY, name text, price numeric, at timestamptz);
	SELECT kafka_subscribe('$topic', into_table => 'orders',
		on_conflict => 'update', value_format => 'registry')});
my ($id) = $registry->write(
	$kafka,
	{
		topic => $topic,
		schema => $order,
		records => [
			{
				key => '1',
				value => {
					id => 1,
					name => 'anvil',
					price => { '$decimal' => '12.50' },
					at => { '$timestamp' => '2024-02-29T12:30:00+00:00' }
				}
			},
			{
				key => '2',
				value => {
					id => 2,
					name => undef,
					price => { '$decimal' => '-0.01' },
					at => { '$timestamp' => '1969-12-31T23:59:59+00:00' }
				}
			}
		]
	});
$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql('postgres', q{
		SELECT id, name, price, at AT TIME ZONE 'UTC' FROM orders ORDER BY id}),
	"1|anvil|12.50|2024-02-29 12:30:00\n2||-0.01|1969-12-31 23:59:59",
	'Avro goes into columns');
is( $node->safe_psql('postgres', q{
		SELECT server, id, subject, type, name, fields, url, used_total >= 2 FROM kafka_schemas}),
	"shop|$id|$topic-value|AVRO|shop.Order|{id,name,price,at}|" . $registry->url . '|t',
	'what the registry said can be seen');

# ---- JSON Schema, and a handler

my $events = new_topic('events');

$node->safe_psql('postgres', qq{
	CREATE TABLE seen (what text, value jsonb);
	CREATE FUNCTION see(event jsonb) RETURNS void LANGUAGE sql
		AS \$\$ INSERT INTO seen VALUES ('jsonb', event) \$\$;
	SELECT kafka_subscribe('$events', handler => 'see', value_format => 'registry')});
$registry->write(
	$kafka,
	{
		topic => $events,
		type => 'JSON',
		schema => '{"type":"object","title":"Event","properties":{"a":{"type":"integer"}}}',
		records => [ { value => { a => 7 } } ]
	});
$node->becomes(q{SELECT what, value FROM seen}, 'jsonb|{"a": 7}',
	'a value with a JSON Schema is JSON behind its framing');

# Both kinds in one topic: each message says what it is.
$registry->write(
	$kafka,
	{
		topic => $events,
		schema => record('Other', b => 'string'),
		config => { 'auto.register.schemas' => JSON::PP::false, 'use.latest.version' => JSON::PP::false },
		records => []
	},
	{
		topic => $events,
		id => $registry->register('other', record('Other', b => 'string')),
		records => [ { value => unpack 'H*', "\x06xyz" } ]
	});
$node->becomes(q{SELECT value FROM seen WHERE value ? 'b'}, '{"b": "xyz"}',
	'Avro beside JSON Schema in one topic');

# ---- a row type, and a validator

my $rows = new_topic('rows');

$node->safe_psql('postgres', qq{
	CREATE FUNCTION is_dear(event jsonb) RETURNS boolean LANGUAGE sql
		AS \$\$ SELECT (event->>'price')::numeric > 1 \$\$;
	CREATE FUNCTION take(o orders) RETURNS void LANGUAGE sql
		AS \$\$ INSERT INTO seen VALUES ('row', to_jsonb(o)) \$\$;
	SELECT kafka_subscribe('$rows', handler => 'take', validator => 'is_dear',
		value_format => 'registry')});
$registry->write(
	$kafka,
	{
		topic => $rows,
		schema => record('Row', price => { type => 'bytes', logicalType => 'decimal', precision => 10, scale => 2 },
			other => 'string', id => 'int'),
		records => [ map { { value => { id => $_, other => 'x', price => { '$decimal' => "$_.50" } } } } 0 .. 1 ]
	});
$node->becomes(q{SELECT value - 'at' FROM seen WHERE what = 'row'}, '{"id": 1, "name": null, "price": 1.50}',
	'a row type of a handler');
$node->becomes(qq{SELECT count(*) FROM kafka_dlq_messages('$rows')}, 1, 'after a validator');

# ---- references

my $customers = new_topic('customers');

$registry->register('address', record('Address', city => 'string'));
$registry->register('person',
	record('Person', name => 'string', home => 'shop.Address'),
	references => [ { name => 'shop.Address', subject => 'address', version => 1 } ]);
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$customers', handler => 'see', value_format => 'registry')});
$registry->write(
	$kafka,
	{
		topic => $customers,
		id => $registry->register(
			"$customers-value",
			record('Customer', id => 'int', person => 'shop.Person'),
			references =>
			  [ { name => 'shop.Person', subject => 'person', version => 1 } ]),
		records => [ { value => unpack 'H*', "\x02\x06Ann\x08Oslo" } ]
	});
$node->becomes(
	q{SELECT value FROM seen WHERE value ? 'person'},
	'{"id": 1, "person": {"home": {"city": "Oslo"}, "name": "Ann"}}',
	'a schema that refers to others');

# ---- whose fault it is

my $bad = new_topic('bad');

$kafka->create_topic("$bad.dlq");
$node->safe_psql('postgres', qq{
	CREATE TABLE bad (a int);
	SELECT kafka_subscribe('$bad', into_table => 'bad', value_format => 'registry',
		initial_delay => '100 ms', max_delay => '100 ms', max_retries => 1)});
my $a_id = $registry->register("$bad-value", record('A', a => 'int'));
$registry->write(
	$kafka,
	{ topic => $bad, id => $a_id, records => [ { value => '02' } ] },
	{ topic => $bad, id => 4711, records => [ { value => '02' } ] },
	{ topic => $bad, id => $a_id, records => [ { value => '' } ] },
	{ topic => $bad, id => $a_id, records => [ { value => '04ff' } ] },
	{ topic => $bad, id => $registry->register('word', record('Word', a => 'string')),
		records => [ { value => unpack 'H*', "\x06xyz" } ] },
	{ topic => $bad, id => $a_id, records => [ { value => '04' } ] });
$kafka->produce($bad, ['{"a": 3}']);
$node->becomes(q{SELECT array_agg(a ORDER BY a) FROM bad}, '{1,2}',
	'messages that are right pass those that are not');
$node->becomes(
	qq{SELECT count(*) FROM kafka_dlq_messages('$bad')},
	5, 'and those become dead letters');
my $reasons = $node->safe_psql('postgres', qq{
	SELECT sqlstate, reason FROM kafka_dlq_messages('$bad') ORDER BY original_offset});
my @reasons = split /\n/, $reasons;
like($reasons[0],
	qr/^P0002\|message value was written with schema id 4711, which the schema registry does not know/,
	'an id that the registry does not know');
like($reasons[1], qr/^22P03\|/, 'bytes that end too early');
like($reasons[2], qr/^22P03\|/, 'bytes behind the value');
like($reasons[3], qr/^22P02\|.*column "a"/, 'a schema that does not fit the table');
like($reasons[4], qr/^22P03\|message value has no schema id/,
	'a value without framing');
is( $node->safe_psql('postgres', qq{
		SELECT encode(value, 'escape') FROM kafka_dlq_messages('$bad')
		WHERE reason ~ 'no schema id'}),
	'{"a": 3}', 'a dead letter has the bytes as they came');

# ---- Protobuf

my $proto = new_topic('proto');

$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$proto', handler => 'see', value_format => 'registry')});
my $proto_id = $registry->register("$proto-value",
	'syntax = "proto3"; message M { int32 a = 1; }', schemaType => 'PROTOBUF');
$registry->write($kafka,
	{ topic => $proto, id => $proto_id,
		records => [ map { { value => '000801' } } 1 .. 3 ] });
$node->becomes(
	qq{SELECT status, status_reason ~ 'written in PROTOBUF \\(schema id $proto_id\\), which cannot be decoded'
		FROM kafka_subscriptions WHERE topic = '$proto'},
	'broken|t', 'Protobuf is named, and nothing is lost');

# ---- keys

my $keyed = new_topic('keyed');

$node->safe_psql('postgres', qq{
	CREATE TABLE keyed (id int PRIMARY KEY, a int);
	SELECT kafka_subscribe('$keyed', into_table => 'keyed', on_conflict => 'update',
		value_format => 'registry', key_format => 'registry')});
my $key_schema = record('Key', id => 'int');
my $keyed_schema = record('Keyed', id => 'int', a => 'int');
$registry->write(
	$kafka,
	{
		topic => $keyed,
		schema => $keyed_schema,
		key_schema => $key_schema,
		records => [
			{ key => { id => 1 }, value => { id => 1, a => 10 } },
			{ key => { id => 2 }, value => { id => 2, a => 20 } },
			{ key => { id => 1 }, value => undef }
		]
	});
$node->wait_until_drained($kafka, $keyed);
is($node->safe_psql('postgres', 'SELECT id, a FROM keyed'),
	'2|20', 'a tombstone deletes by a key that is Avro');

# ---- a table from the schema

$node->safe_psql('postgres',
	qq{SELECT kafka_table_create('made', topic => '$keyed')});
is( $node->safe_psql('postgres', q{
		SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
		FROM pg_attribute WHERE attrelid = 'made'::regclass AND attnum > 0}),
	'id integer, a integer', 'a table made as the latest schema says');
is( $node->safe_psql('postgres', q{
		SELECT pg_get_constraintdef(oid) FROM pg_constraint
		WHERE conrelid = 'made'::regclass AND contype = 'p'}),
	'PRIMARY KEY (id)', 'with the key as its primary key');
my ($status, $out, $err) = $node->psql('postgres',
	q{SELECT kafka_table_create('nothing', topic => 'nobody')});
like($err, qr/has no subject "nobody-value"/, 'no subject of that name');

# ---- a message that is parked for its retry, and read by a session

my $again = new_topic('again');

$node->safe_psql('postgres', qq{
	CREATE TABLE gate (is_open boolean);
	CREATE FUNCTION pass(o orders) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF NOT EXISTS (SELECT FROM gate) THEN
			RAISE EXCEPTION 'closed';
		END IF;
		INSERT INTO seen VALUES ('again', to_jsonb(o));
	END \$\$;
	SELECT kafka_subscribe('$again', handler => 'pass', value_format => 'registry', max_retries => 10,
		retry_strategy => 'fixed', initial_delay => '1 s', max_delay => '1 s')});
$registry->write(
	$kafka,
	{
		topic => $again,
		schema => $order,
		records => [
			{
				value => {
					id => 5,
					name => 'late',
					price => { '$decimal' => '1.00' },
					at => { '$timestamp' => '2024-02-29T12:30:00+00:00' }
				}
			}
		]
	});
$node->wait_for("SELECT attempt > 0 FROM kafka_retries WHERE topic = '$again'", 't', 'the message to be parked');
$node->safe_psql('postgres', 'INSERT INTO gate VALUES (true)');
$node->becomes(q{SELECT value->>'id', value->>'price' FROM seen WHERE what = 'again'}, '5|1.00', 'a retried message in Avro');
$node->becomes(qq{SELECT value_json FROM kafka_messages('$again')},
	'{"at": "2024-02-29T12:30:00Z", "id": 5, "name": "late", "price": 1.00}', 'a session reads it');

# ---- to forget everything

is($node->safe_psql('postgres', 'SELECT kafka_schema_forget() > 5'), 't', 'everything is forgotten');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kafka_schemas'), '0', 'and not shown any more');
$registry->write($kafka, { topic => $bad, id => $a_id, records => [ { value => '0c' } ] });
$node->becomes(q{SELECT array_agg(a ORDER BY a) FROM bad}, '{1,2,6}', 'and asked for again');

$node->stays_up_ok;
done_testing();
