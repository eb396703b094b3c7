# A database replicated by the real Debezium into ours, column by column, with
# converters and settings of several kinds: every value is the source's, or is
# refused by name, or is one that Debezium itself does not send.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Connect;
use KafkaEvents::Registry;
use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $registry = KafkaEvents::Registry->begin;
my $node = KafkaEvents::Node->start_new(
	'main',
	init => { allows_streaming => 'logical' },
	conf => "listen_addresses = '127.0.0.1'\nmax_connections = 60\nmax_wal_senders = 20\nmax_replication_slots = 20\n");

# The values: row 1 has what is usual, the others what is not.
my $types = q{
	CREATE EXTENSION hstore;
	CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"')};
my $columns = q{
	id int PRIMARY KEY, c_smallint smallint, c_bigint bigint, c_real real, c_double double precision,
	c_numeric numeric(12,3), c_numeric_free numeric, c_money money,
	c_bool boolean, c_char char(5), c_varchar varchar(20), c_text text, c_bytea bytea,
	c_date date, c_time time, c_time3 time(3), c_timetz timetz,
	c_timestamp timestamp, c_timestamp3 timestamp(3), c_timestamptz timestamptz, c_interval interval,
	c_uuid uuid, c_json json, c_jsonb jsonb, c_xml xml, c_inet inet, c_cidr cidr, c_macaddr macaddr,
	c_bit bit(5), c_bit1 bit(1), c_varbit bit varying(20),
	c_ints int[], c_texts text[], c_numerics numeric(8,2)[], c_dates date[], c_timestamps timestamp[],
	c_timestamptzs timestamptz[], c_uuids uuid[], c_byteas bytea[], c_bools bool[], c_doubles float8[],
	c_moods mood[], c_jsonbs jsonb[], c_times time[],
	c_hstore hstore, c_mood mood, c_point point, c_int4range int4range, c_int8range int8range,
	c_numrange numrange, c_tsrange tsrange, c_tstzrange tstzrange, c_daterange daterange,
	c_tsvector tsvector, c_oid oid};
my $toasted = q{
	id int PRIMARY KEY, n int, c_text text, c_jsonb jsonb, c_json json, c_bytea bytea, c_texts text[],
	c_ints int[], c_bigints bigint[], c_hstore hstore, c_varchar varchar, c_xml xml, c_dates date[],
	c_uuids uuid[], c_tsvector tsvector, c_varchars varchar[], c_numeric numeric, c_doubles float8[],
	c_timestamptzs timestamptz[], c_numerics numeric(10,2)[]};
my $schema = qq{
	CREATE TABLE kinds ($columns);
	CREATE TABLE changing ($columns);
	ALTER TABLE changing DROP c_bit, DROP c_varbit, DROP c_byteas;
	CREATE TABLE toasted ($toasted);
	CREATE TABLE whole ($toasted);
	CREATE TABLE two_keys (a int, b text, v text, PRIMARY KEY (a, b));
	CREATE TABLE odd_keys (id int UNIQUE, n numeric(9,2), b bytea, d date, t timestamp, v text, PRIMARY KEY (n, b, d, t));
	CREATE TABLE defaults (id int PRIMARY KEY, n numeric(5,2) DEFAULT 0, t text DEFAULT 'dflt', d date DEFAULT '2024-01-01')};
my $source = <<'SQL';
	CREATE TABLE specimens (LIKE kinds);
	INSERT INTO specimens VALUES (1, -5, 9007199254740993, 1.5, 2.25, -1.280, 123456789012345678901234567890.5, -12.34,
		true, 'ab', 'vär', 'te"xt', '\x00ff10', '2024-02-29', '12:34:56.789012', '01:02:03.004', '12:00:00+02',
		'2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789012+02',
		'1 year 2 mons 3 days 04:05:06.789', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": 1}', '{"b": [1, 2.50]}',
		'<a>x</a>', '10.1.2.3/24', '10.0.0.0/8', '08:00:2b:01:02:03', '10101', '1', '1011', '{1,NULL,-3}',
		'{a,"b c",NULL,"q\"x"}', '{1.50,-2.25}', '{2024-01-01,1900-01-01}', '{"2024-02-29 12:34:56.5"}',
		'{"2024-02-29 12:34:56.5+00"}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', '{"\\x01ff"}', '{t,f}', '{1.5,-2}',
		'{ok,sad}', '{"{\"z\": 1}"}', '{12:34:56.789}', 'a=>1, "b b"=>NULL', 'ok', '(1.5,-2)', '[1,5)',
		'[1,9)', '[1.5,2.5]', '[2024-01-01,2024-02-01)', '[2024-01-01 00:00+00,2024-02-01 00:00+00)',
		'[2024-01-01,2024-02-01)', 'fat:2 cat:3', 12345);
	INSERT INTO specimens (id, c_real, c_double, c_numeric_free, c_numeric, c_date, c_timestamp, c_timestamptz, c_time,
			c_interval, c_timestamp3, c_dates, c_timestamps, c_doubles, c_tsrange, c_text, c_json, c_jsonb, c_bytea,
			c_ints, c_texts, c_bit, c_varbit, c_hstore, c_mood, c_money) VALUES
		(2, 'NaN', 'Infinity', 'NaN', 'NaN', 'infinity', 'infinity', 'infinity', '24:00', '-1 mons +2 days -03:00',
			'-infinity', '{infinity,-infinity}', '{infinity,-infinity}', '{NaN,-Infinity}', '(,)', '', 'null', 'null', '',
			'{}', '{}', '00000', '', '', 'it''s "fine"', '92233720368547758.07'),
		(3, '-Infinity', '-Infinity', 'Infinity', 0, '-infinity', '-infinity', '-infinity', '00:00', '0',
			'0044-03-15 00:00:00 BC', NULL, NULL, NULL, 'empty', '123', '"x"', '"x"', 'NULL', '{{1,2},{3,4}}',
			'{{a,b},{c,NULL}}', '00001', '00', 'a=>NULL', NULL, '-0.01'),
		(4, 1e-30, 1e300, -0.00000000001, 99.999, '0044-03-15 BC', '0044-03-15 12:00:00.5 BC',
			'0044-03-15 12:00:00.5+00 BC', '23:59:59.999999', '-178000000 years', '4000-01-01 00:00:00.123', NULL, NULL,
			NULL, NULL, 'true', '1', '1', 'AAAA', '{NULL}', '{NULL}', '11111', '10000000000000000001', NULL, NULL, 0),
		(5, 0, 0, 0, 0, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00',
			'00:00:00.000001', '178000000 years', '1500-01-01', '{0044-03-15 BC}', '{"0044-03-15 12:00:00.5 BC"}', NULL,
			NULL, 'ü€😀', '[]', '{}', '\x', NULL, '{""}', NULL, '0', NULL, NULL, NULL),
		(6, -0.0, -0.0, 100000, 12345678.900, '0001-01-01', '0001-01-01', '0001-01-01 00:00+00', '00:00:01', '1 mon',
			'1969-12-31 23:59:59.999', NULL, NULL, NULL, NULL, '1234', NULL, NULL, NULL, NULL, NULL, NULL, '1', NULL, NULL, NULL);
	-- a row for each value
	CREATE FUNCTION show_kinds(base int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		c record;
	BEGIN
		FOR c IN SELECT attname, attnum FROM pg_attribute WHERE attrelid = 'specimens'::regclass AND attnum > 1 LOOP
			EXECUTE format('INSERT INTO kinds (id, %1$I) SELECT $1 + id * 100 + $2, %1$I FROM specimens WHERE %1$I IS NOT NULL', c.attname)
				USING base, c.attnum;
		END LOOP;
	END $$;
	CREATE FUNCTION change_columns(which int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		c name;
	BEGIN
		FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 'changing'::regclass AND attnum > 1 AND NOT attisdropped LOOP
			EXECUTE format('UPDATE changing SET %1$I = (SELECT %1$I FROM specimens WHERE id = 1) WHERE id = $1', c) USING which;
		END LOOP;
	END $$;
	CREATE FUNCTION fill(i int) RETURNS void LANGUAGE sql AS $$
		INSERT INTO toasted
		SELECT i, 0, repeat('x', 5000), jsonb_build_object('k', repeat('j', 5000)), json_build_object('k', repeat('j', 5000)),
			convert_to(repeat('b', 5000), 'UTF8'), ARRAY[repeat('a', 3000), 'b'], array_agg(g), array_agg(g::bigint),
			hstore('h', repeat('h', 5000)), repeat('v', 5000), ('<a>' || repeat('x', 5000) || '</a>')::xml,
			array_agg(date '2024-01-01' + g), array_agg(md5(g::text)::uuid), to_tsvector(string_agg('w' || g, ' ')),
			ARRAY[repeat('a', 3000)::varchar], ('1' || repeat('7', 9000))::numeric, array_agg(g::float8),
			array_agg(timestamptz '2024-01-01 00:00+00'), array_agg(g::numeric(10,2))
		  FROM generate_series(1, 1500) g;
		INSERT INTO whole SELECT * FROM toasted WHERE id = i;
	$$;
	DO $$
	DECLARE
		c record;
	BEGIN
		FOR c IN SELECT attrelid::regclass AS relation, attname FROM pg_attribute
			WHERE attrelid IN ('toasted'::regclass, 'whole'::regclass) AND attnum > 2 LOOP
			EXECUTE format('ALTER TABLE %s ALTER %I SET STORAGE EXTERNAL', c.relation, c.attname);
		END LOOP;
	END $$;
	ALTER TABLE whole REPLICA IDENTITY FULL;
	CREATE TABLE children (id int PRIMARY KEY, parent int, v text)
SQL


$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('postgres', "ALTER DATABASE source SET timezone = 'Europe/Berlin'");
$node->safe_psql('postgres', "ALTER DATABASE postgres SET timezone = 'America/New_York'");
$node->safe_psql('source', "$types; $schema; $source");
$node->safe_psql('postgres', $types);

# The ways that events are written, and what the subscription says of each.
my %way = (
	# every value has a schema; the connector is as it is by default
	typed => {
		connector => { KafkaEvents::Connect::with_schemas(), 'provide.transaction.metadata' => 'true',
			'value.converter.replace.null.with.default' => 'false' },
		options => q{unwrap => 'debezium'}
	},
	# no schemas: what cannot be told is refused
	bare => { connector => {}, options => q{unwrap => 'debezium'} },
	# no schemas: what the documentation says to set
	told => {
		connector => {
			'decimal.handling.mode' => 'string',
			'time.precision.mode' => 'isostring',
			'interval.handling.mode' => 'string',
			'binary.handling.mode' => 'hex'
		},
		options => q{unwrap => 'debezium', bytes_encoding => 'hex'}
	},
	# rows alone, deletes as rows, and other settings
	flat => {
		connector => {
			KafkaEvents::Connect::with_schemas(),
			'transforms' => 'row',
			'transforms.row.type' => 'io.debezium.transforms.ExtractNewRecordState',
			'transforms.row.delete.tombstone.handling.mode' => 'rewrite',
			'transforms.row.replace.null.with.default' => 'false',
			'value.converter.replace.null.with.default' => 'false',
			'time.precision.mode' => 'microseconds',
			'interval.handling.mode' => 'string',
			'binary.handling.mode' => 'base64',
			'hstore.handling.mode' => 'map'
		},
		options => q{unwrap => 'debezium', bytes_encoding => 'base64'}
	},
	# rows alone, with Kafka Connect's own types
	plain => {
		connector => {
			KafkaEvents::Connect::with_schemas(),
			'transforms' => 'row',
			'transforms.row.type' => 'io.debezium.transforms.ExtractNewRecordState',
			'time.precision.mode' => 'connect',
			'interval.handling.mode' => 'string',
			'hstore.handling.mode' => 'map'
		},
		options => q{unwrap => 'connect'}
	},
	avro => {
		connector => {
			(
				map {
					("$_.converter" => 'io.apicurio.registry.utils.converter.AvroConverter',
						"$_.converter.apicurio.registry.auto-register" => 'true')
				} qw(key value)
			),
			'field.name.adjustment.mode' => 'avro',
			'schema.name.adjustment.mode' => 'avro'
		},
		options => q{unwrap => 'debezium', value_format => 'registry', key_format => 'registry'}
	});

$registry->finish;
$way{avro}->{connector}->{"$_.converter.apicurio.registry.url"} =
  'http://' . $registry->address . '/apis/registry/v2'
  foreach qw(key value);
$node->create_service($kafka, 'shop', schema_registry_url => $registry->url);

# What is not the same at the end, or is a dead letter: what Debezium does not
# send, and what is refused.  Numbers are those of specimens or rows.
my %expected;
my $differences = <<'DIFFERENCES';
avro.changing c_interval: 1 year 2 mons 3 days 04:05:06.789 -> 10303:05:06.789 in 3 101
avro.changing c_timetz: 12:00:00+02 -> 10:00:00+00 in 3 101
avro.defaults d: NULL -> 2024-01-01 in 1 2 3
avro.defaults n: NULL -> 0.00 in 1 2 3
avro.defaults t: NULL -> dflt in 1 2 3
avro.kinds c_date: 0044-03-15 BC -> 0044-03-15 in 4 of the snapshot
avro.kinds c_dates: {"0044-03-15 BC"} -> {0044-03-15} in 5
avro.kinds c_interval: -1 mons +2 days -03:00:00 -> -685:30:00 in 2
avro.kinds c_interval: -178000000 years -> -2562047788:00:54.775391 in 4
avro.kinds c_interval: 1 mon -> 730:30:00 in 6
avro.kinds c_interval: 1 year 2 mons 3 days 04:05:06.789 -> 10303:05:06.789 in 1
avro.kinds c_interval: 178000000 years -> 2562047788:00:54.775391 in 5
avro.kinds c_ints: {{1,2},{3,4}} -> {NULL,NULL} in 3
avro.kinds c_numeric: NaN -> NULL in 2
avro.kinds c_numeric_free: Infinity -> NULL in 3
avro.kinds c_numeric_free: NaN -> NULL in 2
avro.kinds c_texts missing in 3
avro.kinds c_timestamp missing in 5
avro.kinds c_timestamps: {"0044-03-15 12:00:00.5 BC"} -> {"0044-03-13 12:00:00.5 BC"} in 5
avro.kinds c_timetz: 12:00:00+02 -> 10:00:00+00 in 1
avro.kinds c_varbit missing in 1 2 3 5 6
avro.toasted c_doubles: {1,2,3,4,5...8ad2643b14993b5eccac7527e3e55446 -> NULL in 3 4 5 10 21
avro.toasted c_numeric: 1777777777...f345c223f9f6e0e61a77ba8972b7972f -> NULL in 3 4 5 10 21
avro.toasted c_numerics: {1.00,2.00...ec4ba019db6d1a353472c8426b23bdc8 -> NULL in 3 4 5 10 21
avro.toasted c_timestamptzs: {"2024-01-...1a1842c3242a9e2bd8d7b86ccf7fbf9b -> NULL in 3 4 5 10 21
bare.kinds c_bit missing in 1 2 3 4
bare.kinds c_bytea missing in 1 2 3 4 5
bare.kinds c_byteas missing in 1
bare.kinds c_date missing in 1 2 3 4 5 6
bare.kinds c_dates missing in 1 2 5
bare.kinds c_interval missing in 1 2 3 4 5 6
bare.kinds c_ints: {{1,2},{3,4}} -> {NULL,NULL} in 3
bare.kinds c_money missing in 1 2 3 4
bare.kinds c_numeric missing in 1 3 4 5 6
bare.kinds c_numeric: NaN -> NULL in 2
bare.kinds c_numeric_free: Infinity -> NULL in 3
bare.kinds c_numeric_free: NaN -> NULL in 2
bare.kinds c_numerics missing in 1
bare.kinds c_texts missing in 3
bare.kinds c_time missing in 1 2 3 4 5 6
bare.kinds c_time3 missing in 1
bare.kinds c_times missing in 1
bare.kinds c_timestamp missing in 1 2 3 4 5 6
bare.kinds c_timestamp3 missing in 1 2 3 4 5 6
bare.kinds c_timestamps missing in 1 2 5
bare.kinds c_timetz: 12:00:00+02 -> 10:00:00+00 in 1
bare.kinds c_varbit missing in 1 2 3 4 5 6
bare.odd_keys missing in 1 2 100000 100001
flat.changing c_timetz: 12:00:00+02 -> 10:00:00+00 in 3 101
flat.kinds c_date: 0044-03-15 BC -> 0044-03-15 in 4 of the snapshot
flat.kinds c_dates: {"0044-03-15 BC"} -> {0044-03-15} in 5
flat.kinds c_ints: {{1,2},{3,4}} -> {NULL,NULL} in 3
flat.kinds c_numeric: NaN -> NULL in 2
flat.kinds c_numeric_free: Infinity -> NULL in 3
flat.kinds c_numeric_free: NaN -> NULL in 2
flat.kinds c_texts missing in 3
flat.kinds c_timestamp missing in 5
flat.kinds c_timestamps: {"0044-03-15 12:00:00.5 BC"} -> {"0044-03-13 12:00:00.5 BC"} in 5
flat.kinds c_timetz: 12:00:00+02 -> 10:00:00+00 in 1
flat.kinds c_varbit missing in 1 2 3 5 6
flat.toasted c_bytea: \x62626262...8e37063819c814e91e47e71b157d0bd9 -> NULL in 3 4 5 10 21
flat.toasted c_doubles: {1,2,3,4,5...8ad2643b14993b5eccac7527e3e55446 -> NULL in 3 4 5 10 21
flat.toasted c_numeric: 1777777777...f345c223f9f6e0e61a77ba8972b7972f -> NULL in 3 4 5 10 21
flat.toasted c_numerics: {1.00,2.00...ec4ba019db6d1a353472c8426b23bdc8 -> NULL in 3 4 5 10 21
flat.toasted c_timestamptzs: {"2024-01-...1a1842c3242a9e2bd8d7b86ccf7fbf9b -> NULL in 3 4 5 10 21
plain.changing c_time: 12:34:56.789012 -> 12:34:56.789 in 3 101
plain.changing c_timestamp: 2024-02-29 12:34:56.789012 -> 2024-02-29 12:34:56.789 in 3 101
plain.changing c_timetz: 12:00:00+02 -> 10:00:00+00 in 3 101
plain.defaults d: NULL -> 2024-01-01 in 1 2 3
plain.defaults n: NULL -> 0.00 in 1 2 3
plain.defaults t: NULL -> dflt in 1 2 3
plain.kinds c_date: 0044-03-15 BC -> 0044-03-15 in 4 of the snapshot
plain.kinds c_dates: {"0044-03-15 BC"} -> {0044-03-15} in 5
plain.kinds c_ints: {{1,2},{3,4}} -> {NULL,NULL} in 3
plain.kinds c_numeric: NaN -> NULL in 2
plain.kinds c_numeric_free: Infinity -> NULL in 3
plain.kinds c_numeric_free: NaN -> NULL in 2
plain.kinds c_texts: {{a,b},{c,NULL}} -> {[Ljava.lang.String,[Ljava.lang.String} in 3
plain.kinds c_time: 00:00:00.000001 -> 00:00:00 in 5
plain.kinds c_time: 12:34:56.789012 -> 12:34:56.789 in 1
plain.kinds c_time: 23:59:59.999999 -> 23:59:59.999 in 4
plain.kinds c_timestamp missing in 5
plain.kinds c_timestamp: 2024-02-29 12:34:56.789012 -> 2024-02-29 12:34:56.789 in 1
plain.kinds c_timestamps: {"0044-03-15 12:00:00.5 BC"} -> {"0044-03-13 12:00:00.5 BC"} in 5
plain.kinds c_timetz: 12:00:00+02 -> 10:00:00+00 in 1
plain.kinds c_varbit missing in 1 2 3 5 6
plain.odd_keys t: 2024-02-29 12:34:56.789012 -> 2024-02-29 12:34:56.789 in 1
told.changing c_timetz: 12:00:00+02 -> 10:00:00+00 in 3 101
told.defaults d: NULL -> 2024-01-01 in 1 2 3
told.defaults n: NULL -> 0.00 in 1 2 3
told.defaults t: NULL -> dflt in 1 2 3
told.kinds c_bit missing in 1 2 3 4
told.kinds c_byteas missing in 1
told.kinds c_date: 0044-03-15 BC -> 0044-03-15 in 4 of the snapshot
told.kinds c_dates: {"0044-03-15 BC"} -> {0044-03-15} in 5
told.kinds c_ints: {{1,2},{3,4}} -> {NULL,NULL} in 3
told.kinds c_texts missing in 3
told.kinds c_time: 24:00:00 -> 00:00:00 in 2
told.kinds c_timestamps: {"0044-03-15 12:00:00.5 BC"} -> {"0044-03-13 12:00:00.5 BC"} in 5
told.kinds c_timetz: 12:00:00+02 -> 10:00:00+00 in 1
told.kinds c_varbit missing in 1 2 3 4 5 6
told.toasted c_dates: {2024-01-0...ce5c100b8e28ae0d70dd18a5f946994a -> NULL in 3 4 5 10 21
told.toasted c_doubles: {1,2,3,4,5...8ad2643b14993b5eccac7527e3e55446 -> NULL in 3 4 5 10 21
told.toasted c_numerics: {1.00,2.00...ec4ba019db6d1a353472c8426b23bdc8 -> NULL in 3 4 5 10 21
told.toasted c_timestamptzs: {"2024-01-...1a1842c3242a9e2bd8d7b86ccf7fbf9b -> NULL in 3 4 5 10 21
typed.changing c_interval: 1 year 2 mons 3 days 04:05:06.789 -> 10303:05:06.789 in 3 101
typed.changing c_timetz: 12:00:00+02 -> 10:00:00+00 in 3 101
typed.kinds c_date: 0044-03-15 BC -> 0044-03-15 in 4 of the snapshot
typed.kinds c_dates: {"0044-03-15 BC"} -> {0044-03-15} in 5
typed.kinds c_interval: -1 mons +2 days -03:00:00 -> -685:30:00 in 2
typed.kinds c_interval: -178000000 years -> -2562047788:00:54.775391 in 4
typed.kinds c_interval: 1 mon -> 730:30:00 in 6
typed.kinds c_interval: 1 year 2 mons 3 days 04:05:06.789 -> 10303:05:06.789 in 1
typed.kinds c_interval: 178000000 years -> 2562047788:00:54.775391 in 5
typed.kinds c_ints: {{1,2},{3,4}} -> {NULL,NULL} in 3
typed.kinds c_numeric: NaN -> NULL in 2
typed.kinds c_numeric_free: Infinity -> NULL in 3
typed.kinds c_numeric_free: NaN -> NULL in 2
typed.kinds c_texts missing in 3
typed.kinds c_timestamp missing in 5
typed.kinds c_timestamps: {"0044-03-15 12:00:00.5 BC"} -> {"0044-03-13 12:00:00.5 BC"} in 5
typed.kinds c_timetz: 12:00:00+02 -> 10:00:00+00 in 1
typed.kinds c_varbit missing in 1 2 3 5 6
typed.toasted c_doubles: {1,2,3,4,5...8ad2643b14993b5eccac7527e3e55446 -> NULL in 3 4 5 10 21
typed.toasted c_numeric: 1777777777...f345c223f9f6e0e61a77ba8972b7972f -> NULL in 3 4 5 10 21
typed.toasted c_numerics: {1.00,2.00...ec4ba019db6d1a353472c8426b23bdc8 -> NULL in 3 4 5 10 21
typed.toasted c_timestamptzs: {"2024-01-...1a1842c3242a9e2bd8d7b86ccf7fbf9b -> NULL in 3 4 5 10 21
DIFFERENCES
push @{ $expected{$1} }, $2 while $differences =~ /^(\S+) (.*)$/mg;

my @ways = sort keys %way;
my %key = (two_keys => 'a');
my @columns;

sub tables
{
	my ($way) = @_;

	return qw(kinds two_keys odd_keys) if $way eq 'bare';
	# who reads change events as Connect's values gets marks for what is in TOAST
	return qw(kinds changing two_keys odd_keys defaults) if $way eq 'plain';
	return qw(kinds changing toasted whole two_keys odd_keys defaults);
}

sub topic { return $kafka->unique($_[0]) . ".public.$_[1]" }

# Rows that say that all before them has come.
sub mark
{
	my ($number) = @_;

	my %columns = (two_keys => 'a, b', odd_keys => 'id, n, b, d, t');
	my %values = (two_keys => ", 'mark'", odd_keys => ", $number, '', '2024-01-01', '2024-01-01'");

	return join ';', map {
		"INSERT INTO $_ (" . ($columns{$_} || 'id') . ") VALUES ($number" . ($values{$_} || '') . ')'
	} tables('typed');
}

sub wait_for_mark
{
	my ($number) = @_;
	my @found = map {
		my $way = $_;
		map { "SELECT EXISTS (SELECT FROM $way.$_ WHERE " . ($key{$_} || 'id') . " = $number) AS there" }
		  grep { $way ne 'bare' || $_ ne 'odd_keys' } tables($way)
	} @ways;

	$node->wait_for('SELECT bool_and(there) FROM (' . join(' UNION ALL ', @found) . ') x',
		't', "mark $number");
	return;
}

# Every value of a table that is not null, by row and column.
sub read_values
{
	my ($database, $schema, $table) = @_;
	my @names = split /\n/, $node->safe_psql($database, qq{
		SELECT attname FROM pg_attribute WHERE attrelid = '$schema.$table'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum});
	my $key = $key{$table} || 'id';
	my $list = join ', ', map { "('$_', $_\::text)" } @names;
	my %values;

	foreach my $line (split /\n/, $node->safe_psql($database, qq{
		SET timezone = 'UTC';
		SELECT $key, name, CASE WHEN length(value) > 60 THEN left(value, 10) || '...' || md5(value) ELSE value END
		  FROM $schema.$table, LATERAL (VALUES $list) AS v (name, value) WHERE value IS NOT NULL}))
	{
		my ($id, $name, $value) = split /\|/, $line, 3;
		$values{"$id $name"} = $value;
	}
	return \%values;
}

my %source_values;

# What is not the same there, as sorted lines; a row that is not there is one.
sub differences
{
	my ($way, $table) = @_;
	my $here = $source_values{$table} //= read_values('source', 'public', $table);
	my $there = read_values('postgres', $way, $table);
	my $key = $key{$table} || 'id';
	my (%lines, %told);

	foreach my $at (keys %{ { %$here, %$there } })
	{
		my ($id, $name) = split ' ', $at;
		my $line = "$name: " . ($here->{$at} // 'NULL') . ' -> ' . ($there->{$at} // 'NULL') =~ s/;\@[0-9a-f]+//gr;

		if (!exists $there->{"$id $key"} || !exists $here->{"$id $key"})
		{
			next if $told{$id}++;
			$line = exists $here->{"$id $key"} ? 'missing' : 'too many';
		}
		elsif (($here->{$at} // 'NULL') eq ($there->{$at} // 'NULL'))
		{
			next;
		}
		push @{ $lines{$line} }, $id;
	}
	return join "\n", sort $table eq 'kinds' ? told_by_kind(%lines)
	  : map { "$_ in " . join(' ', sort { $a <=> $b } @{ $lines{$_} }) } keys %lines;
}

# Rows of kinds by their number among the specimens and their column: the
# snapshot has each of them, and the log 1000 further.
sub told_by_kind
{
	my (%lines) = @_;
	my (%where, %missing, @result);

	foreach my $line (keys %lines)
	{
		foreach my $id (@{ $lines{$line} })
		{
			my $what = $line eq 'missing' ? $columns[ $id % 100 - 2 ] . " $line" : $line;

			push @{ $where{$what}->{ $id > 1000 ? 'log' : 'snapshot' } }, int($id % 1000 / 100);
		}
	}
	foreach my $what (keys %where)
	{
		my ($snapshot, $log) = map { join ' ', sort @{ $where{$what}->{$_} || [] } } qw(snapshot log);

		push @result, "$what in " . ($snapshot eq $log ? $snapshot : join ', ',
			map { "$_->[1] of the $_->[0]" } grep { $_->[1] ne '' } [ snapshot => $snapshot ], [ log => $log ]);
	}
	return @result;
}

foreach my $way (@ways)
{
	$node->safe_psql('postgres', "CREATE SCHEMA $way; SET search_path = $way, public; $schema");
}

# What is there before the connectors are: they read it in a snapshot.
@columns = split /\n/, $node->safe_psql('source', q{
	SELECT attname FROM pg_attribute WHERE attrelid = 'kinds'::regclass AND attnum > 1 ORDER BY attnum});
my $list = join ', ', grep { !/^c_(bit|varbit|byteas)$/ } @columns;
$node->safe_psql('source', "INSERT INTO changing (id, $list) SELECT id, $list FROM specimens WHERE id IN (1, 6)");
$node->safe_psql('source', q{
	SELECT show_kinds(0);
	INSERT INTO changing (id) VALUES (2), (4), (5);
	SELECT fill(i) FROM generate_series(1, 5) i;
	INSERT INTO two_keys VALUES (1, 'a', 'v'), (2, 'b', 'v'), (3, 'c', 'v');
	INSERT INTO odd_keys VALUES (1, 1.50, '\\x00ff', '2024-02-29', '2024-02-29 12:34:56.789012', 'a'),
		(2, -0.01, '\\x', '1969-12-31', '1969-12-31 23:59:59.999999', 'b'), (3, 7, '\\x01', '2024-01-01', '2024-01-01', 'c');
	INSERT INTO defaults VALUES (1, NULL, NULL, NULL), (2, 1.5, 'x', '2024-05-01');
} . mark(100000));
note 'connect from ' . (time - $^T) . ' s';
my $connect = KafkaEvents::Connect->start($kafka, map {
		my $way = $_;
		($way => KafkaEvents::Connect::debezium(
				$node, 'source', $way, $kafka->unique($way),
				'table.include.list' => join(',', map { "public.$_" } tables($way), 'children'),
				'skipped.operations' => 'none',
				%{ $way{$way}->{connector} }))
	} @ways);
note 'connect runs at ' . (time - $^T) . ' s';
foreach my $way (@ways)
{
	foreach my $table (tables($way))
	{
		$node->wait_for("SELECT EXISTS (SELECT FROM kafka_topics('shop') WHERE topic = '" . topic($way, $table) . "')");
		$node->safe_psql('postgres', "SELECT kafka_subscribe('" . topic($way, $table) . "', into_table => '$way.$table',
			on_conflict => 'update', breaker_threshold => 0, max_retries => 0, $way{$way}->{options})");
	}
}
wait_for_mark(100000);
note "snapshots at " . (time - $^T) . " s";

# What changes afterwards: they read it from the log.
$node->safe_psql('source', qq{
	SELECT show_kinds(1000);
	SELECT change_columns(2);
	UPDATE changing SET ($list) = (SELECT $list FROM specimens WHERE id = 99) WHERE id = 6;
	UPDATE changing SET id = 101 WHERE id = 1;
	DELETE FROM changing WHERE id = 4;
	DELETE FROM changing WHERE id = 5;
	INSERT INTO changing (id, c_text) VALUES (5, 'again');
	BEGIN;
	UPDATE changing SET id = 1000 WHERE id = 2;
	UPDATE changing SET id = 2 WHERE id = 6;
	UPDATE changing SET id = 3 WHERE id = 1000;
	COMMIT;
	UPDATE two_keys SET b = 'z' WHERE a = 1;
	UPDATE two_keys SET a = 4, v = 'w' WHERE a = 2;
	DELETE FROM two_keys WHERE a = 3;
	UPDATE odd_keys SET v = 'changed' WHERE id = 1;
	UPDATE odd_keys SET n = -99.99, t = '0044-03-15 00:00:00.5 BC' WHERE id = 2;
	DELETE FROM odd_keys WHERE id = 3;
	INSERT INTO odd_keys VALUES (4, 4, '', '0044-03-15 BC', 'infinity', 'd'), (5, 5, '', 'infinity', '-infinity', 'e');
	DELETE FROM odd_keys WHERE id IN (4, 5);
	INSERT INTO defaults VALUES (3, NULL, NULL, NULL), (4, 2.5, 'y', '2024-06-01');
	UPDATE defaults SET n = NULL, t = NULL, d = NULL WHERE id = 2;
	SELECT fill(6);
});
foreach my $table (qw(toasted whole))
{
	$node->safe_psql('source', qq{
		UPDATE $table SET n = 1 WHERE id IN (1, 2, 3);
		UPDATE $table SET id = 10 WHERE id = 1;
		UPDATE $table SET n = 2, c_text = 'short' WHERE id = 10;
		BEGIN;
		UPDATE $table SET id = 20 WHERE id = 2;
		UPDATE $table SET id = 21 WHERE id = 20;
		COMMIT;
		BEGIN;
		UPDATE $table SET id = 30 WHERE id = 3;
		UPDATE $table SET id = 3 WHERE id = 4;
		UPDATE $table SET id = 4 WHERE id = 30;
		COMMIT;
		UPDATE $table SET n = 1, c_jsonb = '{}' WHERE id = 6;
		BEGIN;
		DELETE FROM $table WHERE id = 5;
		UPDATE $table SET id = 5 WHERE id = 6;
		COMMIT});
}
$node->safe_psql('source', mark(100001));
wait_for_mark(100001);
foreach my $way (@ways)
{
	foreach my $table (tables($way))
	{
		is(differences($way, $table), join("\n", @{ $expected{"$way.$table"} || [] }), "$way.$table");
	}
}
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM kafka_metrics WHERE dead_lettered_total > 0 AND topic !~ '(kinds|bare.public.odd_keys)$'}),
	'0', 'nothing else is a dead letter');

# What cannot be told without a schema is refused by name and setting.
my %setting = (
	'decimal.handling.mode=string' => [qw(c_money c_numeric c_numerics)],
	'time.precision.mode=isostring' =>
	  [qw(c_date c_dates c_time c_time3 c_times c_timestamp c_timestamp3 c_timestamps)],
	'interval.handling.mode=string' => ['c_interval'],
	'binary.handling.mode=hex' => [qw(c_bytea c_byteas)],
	'value.converter.schemas.enable=true' => [qw(c_bit c_varbit)]);
is( join("\n", sort split /\n/, $node->safe_psql('postgres', q{
		SELECT DISTINCT substring(reason FROM '([a-z.]+=(string|isostring|hex|true))'), substring(reason FROM 'column "(\w+)"')
		  FROM kafka_dlq_messages('} . topic('bare', 'kinds') . q{', 1000)
		 WHERE reason ~ 'cannot be told without'})),
	join("\n", sort map { my $setting = $_; map { "$setting|$_" } @{ $setting{$_} } } keys %setting),
	'without schemas what cannot be told is refused by name');

# ---- what is about no row

my $counts = join ' UNION ALL ', map { "SELECT count(*) FROM $_.two_keys" } @ways;
my $before = $node->safe_psql('postgres', "SELECT sum(count) FROM ($counts) c");
$node->safe_psql('postgres', "SELECT kafka_subscribe('" . $kafka->unique('typed') . ".transaction',
	into_table => 'typed.two_keys', on_conflict => 'update', unwrap => 'debezium')");
$node->safe_psql('source', 'TRUNCATE two_keys; ' . mark(100002));
wait_for_mark(100002);
is($node->safe_psql('postgres', "SELECT sum(count) FROM ($counts) c"), $before + @ways, 'truncate leaves rows');
is( $node->safe_psql('postgres', "SELECT skipped_total > 0 FROM kafka_metrics WHERE topic = '" . topic('typed', 'two_keys') . "'"),
	't', '... and is counted');
$node->becomes("SELECT received_total > 3 AND received_total = skipped_total FROM kafka_metrics WHERE topic ~ 'transaction\$'",
	't', 'begins and ends of transactions are skipped');

# ---- a retry does not overtake the source's order

foreach my $way (qw(typed avro flat))
{
	$node->safe_psql('postgres', qq{
		CREATE TABLE $way.parents (id int PRIMARY KEY);
		CREATE TABLE $way.children (id int PRIMARY KEY, parent int REFERENCES $way.parents, v text)});
}
$node->safe_psql('source', q{
	INSERT INTO children VALUES (1, 5, 'old'), (2, NULL, 'other'), (3, 6, 'gone');
	UPDATE children SET parent = NULL, v = 'new' WHERE id = 1;
	DELETE FROM children WHERE id = 3});
foreach my $way (qw(typed avro flat))
{
	my $topic = topic($way, 'children');

	$node->wait_for("SELECT EXISTS (SELECT FROM kafka_topics('shop') WHERE topic = '$topic')");
	$node->safe_psql('postgres', "SELECT kafka_subscribe('$topic', into_table => '$way.children', on_conflict => 'update',
		max_retries => 10, retry_strategy => 'fixed', initial_delay => '1 s', max_delay => '1 s', breaker_threshold => 0,
		$way{$way}->{options})");
}
foreach my $way (qw(typed avro flat))
{
	$node->wait_for("SELECT count(DISTINCT original_offset) FROM kafka_retries WHERE topic = '" . topic($way, 'children') . "' AND attempt > 0",
		2, "two changes of $way to fail");
	$node->becomes("SELECT id, v FROM $way.children", '2|other', "$way: changes of these rows wait");
	$node->safe_psql('postgres', "INSERT INTO $way.parents VALUES (5), (6)");
}
$node->becomes("SELECT id, v FROM $_.children ORDER BY id", "1|new\n2|other", "$_: the last change stays")
  foreach qw(typed avro flat);

$node->stays_up_ok;
done_testing();
