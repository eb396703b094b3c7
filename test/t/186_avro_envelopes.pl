# Change events of Debezium, values of Kafka Connect and CloudEvents that are
# written in Avro behind a schema registry, as their converters write them.

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
my $gone = '__debezium_unavailable_value';
my $gone_bytes = { '$bytes' => unpack 'H*', $gone };

$node->create_service($kafka, 'shop', schema_registry_url => $registry->url,
	topic_partitions => 1);

sub new_topic { return $kafka->create_topic($kafka->unique($_[0])) }

# A type that Connect's AvroData writes for one of its own.
sub connect_type
{
	my ($type, $name, %more) = @_;

	return { type => $type, 'connect.version' => 1, 'connect.name' => $name, %more };
}

sub optional { return [ 'null', $_[0] ] }

sub fields
{
	my (@list) = @_;
	my @fields;

	while (my ($name, $type) = splice @list, 0, 2)
	{
		push @fields, ref $type eq 'ARRAY' && $type->[0] eq 'null' ?
		  { name => $name, type => $type, default => undef } :
		  { name => $name, type => $type };
	}
	return \@fields;
}

my $debezium = 'io.debezium';
my $decimal = connect_type('bytes', 'org.apache.kafka.connect.data.Decimal',
	logicalType => 'decimal', precision => 10, scale => 2,
	'connect.parameters' => { scale => '2', 'connect.decimal.precision' => '10' });
my %variable = (
	type => 'record',
	name => 'VariableScaleDecimal',
	namespace => "$debezium.data",
	fields => fields(scale => 'int', value => 'bytes'),
	'connect.name' => "$debezium.data.VariableScaleDecimal");
my %point = (
	type => 'record',
	name => 'Point',
	namespace => "$debezium.data.geometry",
	fields => fields(x => 'double', y => 'double', wkb => optional('bytes'), srid => optional('int')),
	'connect.name' => "$debezium.data.geometry.Point");

my @columns = (
	id => 'int',
	small => optional({ type => 'int', 'connect.type' => 'int16' }),
	price => optional($decimal),
	free => optional(\%variable),
	day => optional(connect_type('int', "$debezium.time.Date")),
	at => optional(connect_type('long', "$debezium.time.MicroTimestamp")),
	ms => optional(connect_type('long', "$debezium.time.Timestamp")),
	ns => optional(connect_type('long', "$debezium.time.NanoTimestamp")),
	atz => optional(connect_type('string', "$debezium.time.ZonedTimestamp")),
	t => optional(connect_type('long', "$debezium.time.MicroTime")),
	tz => optional(connect_type('string', "$debezium.time.ZonedTime")),
	span => optional(connect_type('long', "$debezium.time.MicroDuration")),
	u => optional(connect_type('string', "$debezium.data.Uuid")),
	doc => optional(connect_type('string', "$debezium.data.Json")),
	flags => optional(connect_type('bytes', "$debezium.data.Bits",
		'connect.parameters' => { length => '5' })),
	raw => optional('bytes'),
	tags => optional({ type => 'array', items => optional('string') }),
	nums => optional({ type => 'array', items => optional('int') }),
	pt => optional(\%point),
	notes => optional('string'));

my $envelope = $json->encode(
	{
		type => 'record',
		name => 'Envelope',
		namespace => 'pg.public.items',
		'connect.name' => 'pg.public.items.Envelope',
		fields => fields(
			before => optional(
				{
					type => 'record',
					name => 'Value',
					fields => fields(@columns),
					'connect.name' => 'pg.public.items.Value'
				}),
			after => optional('Value'),
			source => {
				type => 'record',
				name => 'Source',
				namespace => "$debezium.connector.postgresql",
				fields => fields(lsn => optional('long'), table => 'string')
			},
			op => 'string',
			ts_ms => optional('long'))
	});
my $key_schema = $json->encode(
	{ type => 'record', name => 'Key', namespace => 'pg.public.items', fields => fields(id => 'int') });
my %blank = map { ref $columns[ 2 * $_ + 1 ] ? ($columns[ 2 * $_ ] => undef) : () } 0 .. $#columns / 2;

sub row
{
	my ($id, %values) = @_;

	return { id => $id, %blank, %values };
}

sub event
{
	my ($op, $id, $after, $before) = @_;

	return {
		key => defined $id ? { id => $id } : undef,
		value => {
			before => $before,
			after => $after,
			source => { lsn => 1, table => 'items' },
			op => $op,
			ts_ms => 1
		}
	};
}

sub tombstone { return { key => { id => $_[0] }, value => undef } }

# ---- Debezium, into a table: every type is exactly its value

my $items = new_topic('items');

$node->safe_psql('postgres', qq{
	CREATE TABLE items (id int PRIMARY KEY, small smallint, price numeric(10, 2), free numeric, day date,
		at timestamp, ms timestamp, ns timestamp, atz timestamptz, t time, tz timetz, span interval, u uuid,
		doc jsonb, flags bit(5), raw bytea, tags text[], nums int[], pt point, notes text DEFAULT 'none');
	SELECT kafka_subscribe('$items', into_table => 'items', on_conflict => 'update', unwrap => 'debezium',
		value_format => 'registry', key_format => 'registry')});

my %full = (
	small => -7,
	price => { '$decimal' => '12.50' },
	free => { scale => 3, value => { '$bytes' => '12d687' } },
	day => 19782,
	at => 1709210096789012,
	ms => 1709210096789,
	ns => 1709210096789012345,
	atz => '2024-02-29T12:34:56.789012Z',
	t => 45296789012,
	tz => '12:34:56+02:00',
	span => 93784000000,
	u => '6b29fc40-ca47-1067-b31d-00dd010662da',
	doc => '{"a": [1, null, 1.50]}',
	flags => { '$bytes' => '15' },
	raw => { '$bytes' => '00ff10' },
	tags => [ 'x', undef ],
	nums => [ 1, undef, -2 ],
	pt => { x => 1.5, y => -2, wkb => undef, srid => undef },
	notes => 'long');
my %order = (topic => $items, schema => $envelope, key_schema => $key_schema);

$registry->write(
	$kafka,
	{
		%order,
		records => [
			event('r', 1, row(1, %full)),
			event('c', 2, row(2,
				price => { '$decimal' => '-0.01' },
				free => { scale => 0, value => { '$bytes' => '00' } },
				day => -2147472692,
				at => 9223372036825200000,
				ms => 9223372036825200,
				atz => '-0043-03-15T12:00:00.5Z',
				t => 86400000000,
				span => -1,
				flags => { '$bytes' => '' },
				raw => { '$bytes' => '' },
				doc => 'null',
				tags => [],
				nums => [])),
			event('c', 3, row(3, day => -719529, at => -62135769600000000)),
			# what an update left in TOAST stays as it is
			event('u', 1, row(1, %full, small => 8, notes => $gone, raw => $gone_bytes, doc => $gone,
				tags => [$gone], nums => [ unpack 'c*', $gone ])),
			event('d', 3, undef, row(3)),
			tombstone(3),
			event('t', undef, undef),
			# without a key, by the row before
			event('c', 4, row(4)),
			event('d', undef, undef, row(4))
		]
	});
$node->wait_until_drained($kafka, $items);

my $settings = "SET timezone = 'UTC'; SET intervalstyle = 'postgres'; SET datestyle = 'ISO'; ";

is( $node->safe_psql('postgres', "$settings SELECT * FROM items ORDER BY id"),
	join("\n",
		'1|8|12.50|1234.567|2024-02-29|2024-02-29 12:34:56.789012|2024-02-29 12:34:56.789|2024-02-29 12:34:56.789012'
		  . '|2024-02-29 12:34:56.789012+00|12:34:56.789012|12:34:56+02|26:03:04|6b29fc40-ca47-1067-b31d-00dd010662da'
		  . '|{"a": [1, null, 1.50]}|10101|\x00ff10|{x,NULL}|{1,NULL,-2}|(1.5,-2)|long',
		'2||-0.01|0|infinity|infinity|infinity||0044-03-15 12:00:00.5+00 BC|24:00:00||-00:00:00.000001|'
		  . '|null|00000|\x|{}|{}||'),
	'rows of a change event in Avro');
$node->becomes(
	"SELECT succeeded_total, skipped_total, dead_lettered_total FROM kafka_metrics WHERE topic = '$items'",
	'7|2|0', 'and what is about no row is skipped');

# Another key: what is in TOAST was where the row was.
$registry->write(
	$kafka,
	{
		%order,
		headers => [ [ '__debezium.newkey', '{"id":10}' ] ],
		records => [ event('d', 1, undef, row(1)), tombstone(1) ]
	},
	{
		%order,
		headers => [ [ '__debezium.oldkey', '{"id":1}' ] ],
		records => [ event('c', 10, row(10, %full, notes => $gone, raw => $gone_bytes)) ]
	});
$node->wait_until_drained($kafka, $items);
is($node->safe_psql('postgres', 'SELECT id, notes, raw FROM items WHERE id <> 2'),
	'10|long|\x00ff10', 'a row that gets another key');

# A table as the schema of the row says.
$node->safe_psql('postgres', "SELECT kafka_table_create('made', topic => '$items')");
is( $node->safe_psql('postgres', q{
		SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
		FROM pg_attribute WHERE attrelid = 'made'::regclass AND attnum > 0}),
	'id integer, small smallint, price numeric(10,2), free numeric, day date, at timestamp without time zone,'
	  . ' ms timestamp without time zone, ns timestamp without time zone, atz timestamp with time zone,'
	  . ' t time without time zone, tz time with time zone, span interval, u uuid, doc jsonb, flags bit varying,'
	  . ' raw bytea, tags text[], nums integer[], pt point, notes text',
	'a table made of a change event');

# Bytes that the schema did not write, an event without its row, no event.
$registry->register('other', $json->encode(
	{ type => 'record', name => 'Other', fields => fields(name => 'string') }));
my $envelope_id = $registry->register("$items-value", $envelope);
my $none = $json->encode({ type => 'record', name => 'None', fields => fields(op => 'int', source => 'int') });

$registry->write(
	$kafka,
	{ topic => $items, id => $envelope_id, records => [ { key => "\0", value => '0002' } ] },
	{ %order, records => [ event('c', 20, undef), event('x', 20, row(20)) ] },
	{ %order, schema => $none,
		records => [ { key => { id => 21 }, value => { op => 1, source => 1 } } ] });
$node->wait_until_drained($kafka, $items);
$node->becomes(
	"SELECT sqlstate, reason FROM kafka_dlq_messages('$items') ORDER BY original_offset",
	join("\n", '22P03|message value does not fit its Avro schema',
		('22023|message value is not a change event of Debezium') x 3),
	'what is no such event is a dead letter');

# ---- Debezium, to handlers

my $handled = new_topic('handled');

$node->safe_psql('postgres', qq{
	CREATE TABLE calls (n serial, arg jsonb);
	CREATE FUNCTION on_change(change jsonb) RETURNS void LANGUAGE sql
		AS 'INSERT INTO calls (arg) VALUES (change)';
	SELECT kafka_subscribe('$handled', handler => 'on_change', unwrap => 'debezium',
		value_format => 'registry', key_format => 'registry')});
$registry->write(
	$kafka,
	{
		%order,
		topic => $handled,
		records => [ event('c', 1, row(1, %full, notes => $gone)), event('d', 1, undef, row(1)), tombstone(1) ]
	});
$node->wait_until_drained($kafka, $handled);
my ($event, $null) = split /\n/, $node->safe_psql('postgres', 'SELECT arg FROM calls ORDER BY n'), 2;
is_deeply(
	$json->decode($event),
	$json->decode(q{{"id": 1, "small": -7, "price": 12.50, "free": 1234.567, "day": "2024-02-29",
		"at": "2024-02-29T12:34:56.789012", "ms": "2024-02-29T12:34:56.789", "ns": "2024-02-29T12:34:56.789012345",
		"atz": "2024-02-29T12:34:56.789012Z", "t": "12:34:56.789012", "tz": "12:34:56+02:00", "span": "PT93784S",
		"u": "6b29fc40-ca47-1067-b31d-00dd010662da", "doc": {"a": [1, null, 1.50]}, "flags": "10101",
		"raw": "AP8Q", "tags": ["x", null], "nums": [1, null, -2], "pt": "(1.5,-2)"}}),
	'a handler gets the row, without what was left in TOAST');
like($event, qr/"price": 12\.50/, 'with its decimals');
is($null, '', 'and NULL for a delete, nothing for the tombstone');

# ---- Kafka Connect's AvroConverter: with unwrap and without it

my $value_schema = $json->encode(
	{
		type => 'record',
		name => 'ConnectDefault',
		namespace => 'io.confluent.connect.avro',
		fields => fields(
			id => 'int',
			amount => optional($decimal),
			day => optional({ type => 'int', 'connect.version' => 1, logicalType => 'date',
				'connect.name' => 'org.apache.kafka.connect.data.Date' }),
			at => optional(connect_type('long', 'org.apache.kafka.connect.data.Timestamp')),
			t => optional(connect_type('int', 'org.apache.kafka.connect.data.Time')),
			# a map whose keys are no strings
			counts => optional(
				{
					type => 'array',
					items => {
						type => 'record',
						name => 'MapEntry',
						fields => fields(key => 'int', value => 'int')
					}
				}),
			raw => optional('bytes'))
	});
my %amount = (
	id => 1,
	amount => { '$decimal' => '-1.28' },
	day => undef,
	at => 1709210096789,
	t => 45296789,
	counts => [ { key => 1, value => 2 } ],
	raw => { '$bytes' => '00ff10' });

foreach my $unwrap ('connect', 'none')
{
	my $topic = new_topic("amounts_$unwrap");
	my $table = "amounts_$unwrap";

	$node->safe_psql('postgres', qq{
		CREATE TABLE $table (id int PRIMARY KEY, amount numeric, day date, at timestamptz, t time, counts jsonb, raw bytea);
		SELECT kafka_subscribe('$topic', into_table => '$table', on_conflict => 'update', unwrap => '$unwrap',
			value_format => 'registry', key_format => 'registry')});
	$registry->write(
		$kafka,
		{
			topic => $topic,
			schema => $value_schema,
			key_schema => $key_schema,
			records => [
				{ key => { id => 1 }, value => \%amount },
				{ key => { id => 2 }, value => { %amount, id => 2 } },
				tombstone(2)
			]
		});
	$node->wait_until_drained($kafka, $topic);
	is( $node->safe_psql('postgres', "$settings SELECT * FROM $table"),
		'1|-1.28||2024-02-29 12:34:56.789+00|12:34:56.789|[{"key": 1, "value": 2}]|\x00ff10',
		"values of Kafka Connect in Avro, unwrap $unwrap");
}

# ---- a CloudEvent whose data is Avro

my $payments = new_topic('payments');

$node->safe_psql('postgres', qq{
	CREATE TABLE payments (ce_id text PRIMARY KEY, ce_type text, id int, amount numeric, data jsonb);
	SELECT kafka_subscribe('$payments', into_table => 'payments', unwrap => 'cloudevents',
		value_format => 'registry')});
$registry->write(
	$kafka,
	{
		topic => $payments,
		schema => $value_schema,
		headers => [
			[ 'ce_specversion', '1.0' ], [ 'ce_id', 'a' ], [ 'ce_source', '/shop' ],
			[ 'ce_type', 'paid' ], [ 'content-type', 'application/avro' ]
		],
		records => [ { value => { %amount, counts => undef } } ]
	});
$node->wait_until_drained($kafka, $payments);
is( $node->safe_psql('postgres', 'SELECT * FROM payments'),
	'a|paid|1|-1.28|{"t": "12:34:56.789", "at": "2024-02-29T12:34:56.789Z", "id": 1, "day": null, "raw": "AP8Q",'
	  . ' "amount": -1.28, "counts": null}',
	'a CloudEvent with Avro data');

# ---- names and paths, on the way that reads only what columns want

my $mapped = new_topic('mapped');

$node->safe_psql('postgres', qq{
	CREATE TABLE mapped (user_id int PRIMARY KEY, city text, first text, extra jsonb, note text);
	SELECT kafka_subscribe('$mapped', into_table => 'mapped', value_format => 'registry',
		field_names => 'snake_case',
		column_map => '{"city": "address.city", "first": "items[0].sku"}')});
my @mapped_fields = (
	ignored => { type => 'array', items => 'string' },
	userId => 'int',
	address => {
		type => 'record',
		name => 'Address',
		fields => fields(street => 'string', city => 'string')
	},
	items => {
		type => 'array',
		items => { type => 'record', name => 'Item', fields => fields(sku => 'string') }
	},
	big => { type => 'map', values => 'Item' });
my $mapped_schema = $json->encode({ type => 'record', name => 'Mapped', fields => fields(@mapped_fields) });
my $reversed_schema = $json->encode({ type => 'record', name => 'Mapped',
	fields => fields(note => 'string', address => $mapped_fields[5], userId => 'int') });

foreach my $id (1 .. 2)
{
	# versions of a schema take turns
	$registry->write(
		$kafka,
		{
			topic => $mapped,
			schema => $mapped_schema,
			records => [
				{
					value => {
						ignored => [ 'a', 'b' ],
						userId => $id,
						address => { street => 's', city => "c$id" },
						items => [ map { { sku => "k$id$_" } } 1 .. 2 ],
						big => { x => { sku => 'y' } }
					}
				}
			]
		},
		{
			topic => $mapped,
			id => $registry->register("other_$mapped-value", $reversed_schema),
			records => [ { value => unpack('H*', "\x04no" . "\x02s" . "\x04c" . chr(48 + $id)) . unpack 'H*', chr(20 * $id) } ]
		});
}
$node->wait_until_drained($kafka, $mapped);
is($node->safe_psql('postgres', 'SELECT * FROM mapped ORDER BY user_id'),
	join("\n", '1|c1|k11||', '2|c2|k21||', '10|c1|||no', '20|c2|||no'),
	'columns from paths into Avro');

$node->stays_up_ok;
done_testing();
