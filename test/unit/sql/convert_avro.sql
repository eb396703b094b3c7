-- Avro data decoded: every type, every logical type, and what is refused.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE SCHEMA convert_avro;
SET search_path = convert_avro, public;
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET timezone = 'Asia/Kolkata';
CREATE FUNCTION avro(schema text, data bytea, refs text[] DEFAULT '{}', bare boolean DEFAULT false, lazy boolean DEFAULT false)
  RETURNS jsonb LANGUAGE C STRICT AS :'module', 'unit_avro';
CREATE FUNCTION avro_text(schema text, data bytea, refs text[] DEFAULT '{}', bare boolean DEFAULT false, lazy boolean DEFAULT false)
  RETURNS text LANGUAGE C STRICT AS :'module', 'unit_avro_text';
CREATE FUNCTION avro_column(schema text, data bytea, refs text[] DEFAULT '{}', bare boolean DEFAULT false, lazy boolean DEFAULT false,
                            type regtype DEFAULT 'text', typmod integer DEFAULT -1)
  RETURNS text LANGUAGE C STRICT AS :'module', 'unit_avro_column';
CREATE FUNCTION describe(schema text, refs text[] DEFAULT '{}') RETURNS text LANGUAGE C STRICT AS :'module', 'unit_avro_describe';
CREATE FUNCTION damage(schema text, data bytea, refs text[], seed integer, n integer) RETURNS integer LANGUAGE C STRICT AS :'module', 'unit_avro_damage';

-- writers: what the specification says, written down once more in SQL
CREATE FUNCTION varint(n numeric) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE z numeric := CASE WHEN n < 0 THEN -2 * n - 1 ELSE 2 * n END; result bytea := ''; low integer;
BEGIN
  LOOP
    low := mod(z, 128);
    z := div(z, 128);
    EXIT WHEN z = 0;
    result := result || set_byte('\x00', 0, low + 128);
  END LOOP;
  RETURN result || set_byte('\x00', 0, low);
END $$;
CREATE FUNCTION sized(b bytea) RETURNS bytea LANGUAGE sql IMMUTABLE RETURN varint(length(b)) || b;
CREATE FUNCTION str(t text) RETURNS bytea LANGUAGE sql IMMUTABLE RETURN sized(convert_to(t, 'UTF8'));
-- as jsonb, as JSON text, and the same printed only when it is asked for
CREATE FUNCTION show(schema text, data bytea, OUT as_jsonb jsonb, OUT as_text text, OUT lazily_same boolean) LANGUAGE sql
RETURN (avro(schema, data), avro_text(schema, data),
        avro(schema, data, lazy => true) = avro(schema, data) AND avro_text(schema, data, lazy => true) = avro_text(schema, data));
-- as a column of each type; an error by its SQLSTATE and message
CREATE FUNCTION columns(schema text, data bytea, VARIADIC types text[]) RETURNS TABLE (type text, value text, lazily_same boolean) LANGUAGE plpgsql AS $$
DECLARE mod integer;
BEGIN
  FOREACH type IN ARRAY types LOOP
    mod := -1;
    BEGIN
      value := avro_column(schema, data, type => type::regtype);
      lazily_same := avro_column(schema, data, type => type::regtype, lazy => true) IS NOT DISTINCT FROM value;
    EXCEPTION WHEN OTHERS THEN
      value := SQLSTATE || ' ' || SQLERRM;
      lazily_same := NULL;
    END;
    RETURN NEXT;
  END LOOP;
END $$;
-- what is raised, detail included
CREATE FUNCTION raised(schema text, data bytea, refs text[] DEFAULT '{}', bare boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
  RETURN 'nothing: ' || left(avro(schema, data, refs, bare)::text, 100);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN format('%s %s. %s', SQLSTATE, SQLERRM, detail);
END $$;
\pset format unaligned

-- primitive types
SELECT schema, data, s.* FROM (VALUES
  ('"null"', ''::bytea), ('"boolean"', '\x00'), ('"boolean"', '\x01'),
  ('"int"', varint(0)), ('"int"', varint(-1)), ('"int"', varint(2147483647)), ('"int"', varint(-2147483648)),
  ('"long"', varint(64)), ('"long"', varint(-65)), ('"long"', varint(9223372036854775807)), ('"long"', varint(-9223372036854775808)),
  ('"float"', '\x0000003f'), ('"float"', '\xcdcccc3d'), ('"float"', '\x0000c07f'), ('"float"', '\x000080ff'), ('"float"', '\xffff7f7f'),
  ('"double"', '\x9a9999999999b93f'), ('"double"', '\x0000000000000080'), ('"double"', '\x000000000000f07f'), ('"double"', '\x000000000000f0ff'),
  ('"double"', '\x000000000000f8ff'), ('"double"', '\xffffffffffffef7f'), ('"double"', '\x0100000000000000'),
  ('"bytes"', sized('')), ('"bytes"', sized('\x00ff7e')), ('"string"', sized('')), ('"string"', str(E'"\\ \n\x01')),
  ('"string"', str('größe € 😀'))
) AS cases (schema, data), show(schema, data) AS s;
SELECT schema, c.* FROM (VALUES
  ('"int"', varint(-7), '{smallint,integer,bigint,numeric,real,float8,text,boolean,jsonb,json}'::text[]),
  ('"long"', varint(2147483648), '{integer,bigint,numeric,text,smallint}'),
  ('"float"', '\xcdcccc3d', '{real,float8,numeric,text,jsonb}'), ('"float"', '\x0000c07f', '{real,float8,numeric,text,jsonb}'),
  ('"float"', '\x000080ff', '{real,float8,numeric,text}'),
  ('"double"', '\x9a9999999999b93f', '{real,float8,numeric,text}'), ('"double"', '\xffffffffffffef7f', '{real,float8}'),
  ('"double"', '\x000000000000f07f', '{real,float8,numeric,integer}'),
  ('"bytes"', sized('\x00ff7e'), '{bytea,text,jsonb,json}'),
  ('"boolean"', '\x01', '{boolean,text,integer,jsonb}'), ('["null","int"]', varint(0), '{integer,jsonb}'),
  ('"string"', sized('12'), '{text,integer,varchar,jsonb,bytea}')
) AS cases (schema, data, types), columns(schema, data, VARIADIC types) AS c;

-- complex types
SELECT name, s.* FROM (VALUES
  ('record', '{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"b-ü \"q\"","type":"string"},{"name":"none","type":"null"}]}',
   varint(1) || sized('x')),
  ('empty record', '{"type":"record","name":"r","fields":[]}', ''),
  ('field twice', '{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}', varint(1) || varint(2)),
  ('error', '{"type":"error","name":"e","fields":[{"name":"a","type":"int"}]}', varint(1)),
  ('enum', '{"type":"enum","name":"e","symbols":["ONE","zwei ü"]}', varint(1)),
  ('fixed', '{"type":"fixed","name":"f","size":3}', '\x000102'), ('fixed of 0', '{"type":"fixed","name":"f","size":0}', ''),
  ('array', '{"type":"array","items":"int"}', varint(2) || varint(5) || varint(6) || varint(0)),
  ('array in blocks', '{"type":"array","items":"int"}', varint(1) || varint(5) || varint(-2) || varint(2) || varint(6) || varint(7) || varint(0)),
  ('empty array', '{"type":"array","items":"int"}', varint(0)),
  ('array of nulls', '{"type":"array","items":"null"}', varint(3) || varint(0)),
  ('map', '{"type":"map","values":"int"}', varint(2) || sized('b') || varint(1) || sized('a"') || varint(2) || varint(0)),
  ('map in blocks', '{"type":"map","values":"int"}', varint(-1) || varint(3) || sized('b') || varint(1) || varint(1) || sized('b') || varint(2) || varint(0)),
  ('union', '["null","int",{"type":"int","logicalType":"date"},"string"]', varint(2) || varint(19782)),
  ('union, null last', '["int","null"]', varint(1)),
  ('list', '{"type":"record","name":"n.list","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","list"]}]}',
   varint(1) || varint(1) || varint(2) || varint(1) || varint(3) || varint(0)),
  ('wrapped', '{"type":{"type":"record","name":"r","fields":[{"name":"a","type":{"type":{"type":"int"}}}]}}', varint(9)),
  ('names', '{"type":"record","name":"r","namespace":"a","fields":[{"name":"x","type":{"type":"enum","name":"b.e","symbols":["S"]}},{"name":"y","type":"b.e"},
     {"name":"z","type":{"type":"record","name":"inner","fields":[{"name":"q","type":{"type":"fixed","name":"f","size":1}}]}},{"name":"w","type":"f"},
     {"name":"v","type":"a.f"},{"name":"u","type":{"type":"f"}}]}', '\x0000' || '\x01020304'::bytea)
) AS cases (name, schema, data), show(schema, data) AS s;
SELECT name, c.* FROM (VALUES
  ('array', '{"type":"array","items":["null","int"]}', varint(2) || varint(1) || varint(5) || varint(0) || varint(0), '{int[],text[],jsonb,json,text}'::text[]),
  ('array of bytes', '{"type":"array","items":"bytes"}', varint(1) || sized('\x00ff') || varint(0), '{bytea[],text[],jsonb,text}'),
  ('array of dates', '{"type":"array","items":{"type":"int","logicalType":"date"}}', varint(1) || varint(19782) || varint(0), '{date[],text[],jsonb}'),
  ('map', '{"type":"map","values":"double"}', varint(1) || sized('k') || '\x000000000000f87f' || varint(0), '{jsonb,json,text}'),
  ('enum', '{"type":"enum","name":"e","symbols":["ONE","TWO"]}', varint(1), '{text,jsonb,varchar}')
) AS cases (name, schema, data, types), columns(schema, data, VARIADIC types) AS c;
CREATE TYPE pair AS (id integer, raw bytea, at timestamptz, amount numeric);
SELECT * FROM columns('{"type":"record","name":"r","fields":[{"name":"id","type":"int"},{"name":"raw","type":"bytes"},
  {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}]}',
  varint(3) || sized('\x0a') || varint(1709209800500000) || sized('\x0096'), 'pair', 'jsonb');

-- logical types
CREATE FUNCTION of(base text, logical text, more text DEFAULT '') RETURNS text LANGUAGE sql
RETURN format('{"type":"%s","logicalType":"%s"%s}', base, logical, more);
SELECT name, c.* FROM (VALUES
  ('date', of('int', 'date'), varint(19782), '{date,timestamp,timestamptz,text,jsonb}'::text[]),
  ('date BC', of('int', 'date'), varint(-735161), '{date,text,jsonb}'),
  ('date far', of('int', 'date'), varint(2932896 + 1), '{date,text}'),
  ('date on long: a number', of('long', 'date'), varint(5), '{bigint,text}'),
  ('time-millis', of('int', 'time-millis'), varint(45000500), '{time,interval,text,jsonb}'),
  ('time-millis, a whole day', of('int', 'time-millis'), varint(86400000), '{time,interval}'),
  ('time-millis, negative', of('int', 'time-millis'), varint(-3600000), '{time,interval,text}'),
  ('time-millis, above a day', of('int', 'time-millis'), varint(90000001), '{time,interval,text}'),
  ('time-micros', of('long', 'time-micros'), varint(45000000001), '{time,text}'),
  ('time-micros, least', of('long', 'time-micros'), varint(-9223372036854775808), '{text}'),
  ('time-nanos', of('long', 'time-nanos'), varint(45000000001000), '{time,text}'),
  ('time-nanos, odd', of('long', 'time-nanos'), varint(45000000001001), '{time,text}'),
  ('timestamp-millis', of('long', 'timestamp-millis'), varint(1709209800500), '{timestamptz,timestamp,date,text,jsonb}'),
  ('timestamp-millis before 1970', of('long', 'timestamp-millis'), varint(-1), '{timestamptz,text}'),
  ('timestamp-micros', of('long', 'timestamp-micros'), varint(1709209800000001), '{timestamptz,timestamp,text}'),
  ('timestamp-micros BC', of('long', 'timestamp-micros'), varint(-62135596800000001), '{timestamptz,timestamp,text}'),
  ('timestamp-micros far', of('long', 'timestamp-micros'), varint(253402300800000000), '{timestamptz,text}'),
  ('timestamp-nanos', of('long', 'timestamp-nanos'), varint(1709209800000001000), '{timestamptz,text}'),
  ('timestamp-nanos, odd', of('long', 'timestamp-nanos'), varint(1709209800000001499), '{timestamptz,text}'),
  ('timestamp-nanos before 1970', of('long', 'timestamp-nanos'), varint(-1), '{timestamptz,text}'),
  ('local-timestamp-millis', of('long', 'local-timestamp-millis'), varint(1709209800500), '{timestamp,timestamptz,text,jsonb}'),
  ('local-timestamp-micros', of('long', 'local-timestamp-micros'), varint(1709209800000001), '{timestamp,text}'),
  ('local-timestamp-nanos', of('long', 'local-timestamp-nanos'), varint(1709209800000001001), '{timestamp,text}'),
  ('uuid', of('string', 'uuid'), sized('6ba7b810-9dad-11d1-80b4-00c04fd430c8'), '{uuid,text,jsonb}'),
  ('uuid, any text', of('string', 'uuid'), sized('no'), '{uuid,text}'),
  ('uuid of bytes', '{"type":"fixed","name":"u","size":16,"logicalType":"uuid"}', '\x6ba7b8109dad11d180b400c04fd430c8', '{uuid,text,jsonb}'),
  ('duration', '{"type":"fixed","name":"d","size":12,"logicalType":"duration"}', '\x0e00000003000000a50f0000', '{interval,text,jsonb}'),
  ('duration, none', '{"type":"fixed","name":"d","size":12,"logicalType":"duration"}', '\x000000000000000000000000', '{interval,text}'),
  ('duration, most', '{"type":"fixed","name":"d","size":12,"logicalType":"duration"}', '\xffffffffffffffffffffffff', '{interval,text}'),
  ('unknown logical type', of('string', 'shout'), sized('x'), '{text}')
) AS cases (name, schema, data, types), columns(schema, data, VARIADIC types) AS c;

-- decimals: exact, whatever the number of bytes
CREATE FUNCTION dc(scale integer, digits integer DEFAULT 10) RETURNS text LANGUAGE sql
RETURN of('bytes', 'decimal', format(',"precision":%s,"scale":%s', digits, scale));
SELECT scale, b, avro(dc(scale), sized(b)) AS as_jsonb, avro_text(dc(scale), sized(b)) AS as_text,
       avro_column(dc(scale), sized(b), type => 'numeric') AS as_numeric
  FROM (VALUES (2, '\x80'::bytea), (2, '\xff80'), (2, '\xffffffffffffffffffff80'), (0, '\x00'), (2, '\x00'), (2, '\x000000000000000000000001'), (2, '\x7f'),
    (5, '\x7f'), (3, '\x03e8'), (0, '\x7fffffffffffffff'), (0, '\x8000000000000000'), (0, '\x008000000000000000'), (4, '\xff7fffffffffffffff'),
    (10, '\x0de0b6b3a763ffff'), (2, '\x0100000000000000000000000000000000'), (30, '\x0100000000000000000000000000000000'),
    (-3, '\x05'), (-3, '\x00'), (-3, '\xfb')) AS cases (scale, b);
SELECT avro('{"type":"fixed","name":"d","size":5,"logicalType":"decimal","precision":10,"scale":2}', '\xffffffff80') AS of_fixed,
       avro(of('bytes', 'decimal', ',"precision":4'), sized('\x05')) AS without_scale,
       avro(of('bytes', 'decimal', ',"scale":2'), sized('\x05')) AS without_precision,
       avro(of('int', 'decimal', ',"precision":4,"scale":2'), varint(5)) AS on_int;
-- 10^100 + 1 and -(2^8000): compared with what numeric computes
SELECT avro(dc(0), sized(decode('1249ad2594c37ceb0b2784c4ce0bf38ace408e211a7caab24308a82e8f10000000000000000000000001', 'hex')))::numeric = 10::numeric ^ 100 + 1 AS big,
       avro(dc(0), sized('\xff'::bytea || decode(repeat('00', 1000), 'hex')))::numeric = -(2::numeric ^ 8000) AS bigger,
       avro(dc(7), sized('\xff'::bytea || decode(repeat('00', 1000), 'hex')))::numeric * 10::numeric ^ 7 = -(2::numeric ^ 8000) AS scaled;

-- into numeric, bounded or not: what its input function makes of the text
CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE command INTO result;
  RETURN result;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;
SELECT n, scale, bounds, got, wanted
  FROM (VALUES (0), (1), (-1), (9), (10), (9999), (10000), (-10001), (99999999), (123456789), (100000000), (8999999999999999), (9000000000000001),
               (-9223372036854775808), (9223372036854775807)) AS numbers (n),
       (VALUES (0), (1), (2), (3), (4), (5), (8), (17), (40)) AS scales (scale),
       (VALUES ('1000,0'), ('12,2'), ('5,5'), ('4,0'), ('20,4'), ('3,-2'), ('10,12')) AS typmods (bounds),
       LATERAL (SELECT outcome(format('SELECT avro_column(%L, %L, type => ''numeric'', typmod => %s, lazy => true)', dc(scale), sized(int8send(n)), numerictypmodin(ARRAY[split_part(bounds, ',', 1), split_part(bounds, ',', 2)]::cstring[]))),
                       outcome(format('SELECT %L::numeric(%s)::text', avro_text(dc(scale), sized(int8send(n))), bounds)),
                       avro_column(dc(scale), sized(int8send(n)), type => 'numeric', lazy => true) = avro_text(dc(scale), sized(int8send(n))),
                       avro_column('"long"', varint(n), type => 'numeric', lazy => true) = n::text) AS of_both (got, wanted, unbounded, of_long)
  WHERE got IS DISTINCT FROM wanted OR NOT unbounded OR NOT of_long;

-- types of Connect and Debezium
CREATE FUNCTION named(base text, name text, more text DEFAULT '') RETURNS text LANGUAGE sql
RETURN format('{"type":"%s","connect.version":1,"connect.name":"%s"%s}', base, name, more);
CREATE FUNCTION connect(base text, name text, more text DEFAULT '') RETURNS text LANGUAGE sql RETURN named(base, 'org.apache.kafka.connect.data.' || name, more);
CREATE FUNCTION dbz(base text, name text, more text DEFAULT '') RETURNS text LANGUAGE sql RETURN named(base, 'io.debezium.' || name, more);
SELECT name, c.* FROM (VALUES
  ('Decimal', connect('bytes', 'Decimal', ',"connect.parameters":{"scale":"2","connect.decimal.precision":"64"},"scale":2,"precision":64,"logicalType":"decimal"'),
   sized('\x80'), '{numeric,jsonb}'::text[]),
  ('Decimal, parameters alone', connect('bytes', 'Decimal', ',"connect.parameters":{"scale":"2"}'), sized('\x80'), '{numeric}'),
  ('Date', connect('int', 'Date', ',"logicalType":"date"'), varint(19782), '{date}'), ('Date, name alone', connect('int', 'Date'), varint(19782), '{date}'),
  ('Time', connect('int', 'Time'), varint(1500), '{time}'), ('Timestamp', connect('long', 'Timestamp'), varint(1709209800500), '{timestamptz,timestamp,text}'),
  ('int16', '{"type":"int","connect.type":"int16"}', varint(-5), '{smallint,text}'), ('int8', '{"type":"int","connect.type":"int8"}', varint(5), '{smallint}'),
  ('dbz Date', dbz('int', 'time.Date'), varint(19782), '{date}'),
  ('dbz Date infinity', dbz('int', 'time.Date'), varint(-2147472692), '{date,text,jsonb}'),
  ('dbz Date -infinity', dbz('int', 'time.Date'), varint(-2147472691), '{date}'),
  ('dbz Time', dbz('int', 'time.Time'), varint(1500), '{time,text}'), ('dbz MicroTime', dbz('long', 'time.MicroTime'), varint(1500), '{time,text}'),
  ('dbz NanoTime', dbz('long', 'time.NanoTime'), varint(1500), '{time,text}'),
  ('dbz Timestamp', dbz('long', 'time.Timestamp'), varint(1709209800500), '{timestamp,text}'),
  ('dbz Timestamp infinity', dbz('long', 'time.Timestamp'), varint(9223372036825200), '{timestamp,text}'),
  ('dbz MicroTimestamp', dbz('long', 'time.MicroTimestamp'), varint(1709209800500001), '{timestamp,text}'),
  ('dbz MicroTimestamp infinity', dbz('long', 'time.MicroTimestamp'), varint(9223372036825200000), '{timestamp,timestamptz,text}'),
  ('dbz MicroTimestamp -infinity', dbz('long', 'time.MicroTimestamp'), varint(-9223372036832400000), '{timestamp}'),
  ('dbz NanoTimestamp', dbz('long', 'time.NanoTimestamp'), varint(1709209800500001002), '{timestamp,text}'),
  ('dbz MicroDuration', dbz('long', 'time.MicroDuration'), varint(-2629800000001), '{interval,text}'),
  ('dbz NanoDuration', dbz('long', 'time.NanoDuration'), varint(5000000000), '{interval,text}'),
  ('dbz Interval', dbz('string', 'time.Interval'), sized('P1Y2M3DT4H5M6.78S'), '{interval}'),
  ('dbz ZonedTimestamp', dbz('string', 'time.ZonedTimestamp'), sized('2024-02-29T12:30:00.123456Z'), '{timestamptz}'),
  ('dbz ZonedTimestamp infinity', dbz('string', 'time.ZonedTimestamp'), sized('infinity'), '{timestamptz}'),
  ('dbz ZonedTimestamp BC', dbz('string', 'time.ZonedTimestamp'), sized('-0043-03-15T01:02:03.5Z'), '{timestamptz,text}'),
  ('dbz ZonedTimestamp far', dbz('string', 'time.ZonedTimestamp'), sized('+12024-03-15T01:02:03Z'), '{timestamptz,text}'),
  ('dbz ZonedTime', dbz('string', 'time.ZonedTime'), sized('12:30:00Z'), '{timetz}'),
  ('dbz IsoDate', dbz('string', 'time.IsoDate'), sized('2024-02-29Z'), '{date}'), ('dbz IsoDate BC', dbz('string', 'time.IsoDate'), sized('-0043-03-15Z'), '{date,text}'),
  ('dbz IsoTimestamp', dbz('string', 'time.IsoTimestamp'), sized('2024-02-29T12:30:00Z'), '{timestamp}'),
  ('dbz IsoTimestamp infinity', dbz('string', 'time.IsoTimestamp'), sized('+294247-01-10T04:00:25.2Z'), '{timestamp}'),
  ('dbz IsoTimestamp -infinity', dbz('string', 'time.IsoTimestamp'), sized('-290308-12-21T19:59:27.6Z'), '{timestamp}'),
  ('dbz IsoTimestamp, not one', dbz('string', 'time.IsoTimestamp'), sized('-x'), '{text}'),
  ('dbz Bits', dbz('bytes', 'data.Bits', ',"connect.parameters":{"length":"12"}'), sized('\xa505'), '{bit varying,text,jsonb}'),
  ('dbz Bits of no length', dbz('bytes', 'data.Bits'), sized('\xa5'), '{bit varying}'),
  ('dbz Bits of another length', dbz('bytes', 'data.Bits', ',"connect.parameters":{"length":"2147483647"}'), sized('\xa5'), '{bit varying}'),
  ('dbz Json', dbz('string', 'data.Json'), str('{"a": [1, "x\ty"],  "a": 1.50}'), '{jsonb,json,text}'),
  ('dbz Json string', dbz('string', 'data.Json'), str('"\u00e9"'), '{jsonb,json,text}'), ('dbz Json null', dbz('string', 'data.Json'), sized('null'), '{jsonb}'),
  ('dbz Json, not there', dbz('string', 'data.Json'), sized('__debezium_unavailable_value'), '{text}'),
  ('dbz Json, broken', dbz('string', 'data.Json'), sized('{"a": '), '{jsonb}'),
  ('dbz Uuid', dbz('string', 'data.Uuid'), sized('6ba7b810-9dad-11d1-80b4-00c04fd430c8'), '{uuid}')
) AS cases (name, schema, data, types), columns(schema, data, VARIADIC types) AS c;
CREATE FUNCTION dbz_record(name text, fields text) RETURNS text LANGUAGE sql
RETURN format('{"type":"record","name":"x","connect.name":"io.debezium.data.%s","fields":%s}', name, fields);
SELECT name, c.* FROM (VALUES
  ('VariableScaleDecimal', dbz_record('VariableScaleDecimal', '[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}]'), varint(3) || sized('\xff80'),
   '{numeric,jsonb}'::text[]),
  ('VariableScaleDecimal, negative scale', dbz_record('VariableScaleDecimal', '[{"name":"value","type":"bytes"},{"name":"scale","type":"int"}]'), sized('\x05') || varint(-2), '{numeric}'),
  ('VariableScaleDecimal, odd scale', dbz_record('VariableScaleDecimal', '[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}]'), varint(20000) || sized('\x05'), '{numeric}'),
  ('another record of that name', dbz_record('VariableScaleDecimal', '[{"name":"scale","type":"string"},{"name":"value","type":"bytes"}]'), sized('1') || sized('\x05'), '{jsonb}'),
  ('Point', dbz_record('geometry.Point', '[{"name":"x","type":"double"},{"name":"y","type":"double"},{"name":"wkb","type":["null","bytes"]},{"name":"srid","type":["null","int"]}]'),
   '\x000000000000f83f00000000000000c0' || varint(0) || varint(0), '{point,jsonb}'),
  ('Geometry', dbz_record('geometry.Geometry', '[{"name":"wkb","type":"bytes"},{"name":"srid","type":["null","int"]}]'),
   sized('\x0101000000000000000000f83f00000000000000c0') || varint(1) || varint(4326), '{text}'),
  ('Geometry with its system', dbz_record('geometry.Geometry', '[{"name":"wkb","type":"bytes"},{"name":"srid","type":["null","int"]}]'),
   sized('\x0101000020e6100000000000000000f83f00000000000000c0') || varint(1) || varint(4326), '{text}'),
  ('Geography without one', dbz_record('geometry.Geography', '[{"name":"wkb","type":"bytes"},{"name":"srid","type":["null","int"]}]'),
   sized('\x0101000000000000000000f83f00000000000000c0') || varint(0), '{text}')
) AS cases (name, schema, data, types), columns(schema, data, VARIADIC types) AS c;

-- rows by schemas that change from message to message: what was learnt of one does not hold for another
CREATE FUNCTION rows(schemas text[], data bytea[], type regtype) RETURNS text LANGUAGE C STRICT AS :'module', 'unit_avro_rows';
CREATE TYPE three AS (a integer, b text, c jsonb);
SELECT rows(ARRAY[x, x, y, x, z, z, z, y, y, e, e], ARRAY[varint(1) || str('one') || varint(0) || varint(9), varint(2) || str('two') || varint(1) || varint(7) || varint(9),
              str('three') || varint(3), varint(4) || str('four') || varint(1) || varint(7) || varint(9), varint(5) || varint(50) || str('five'), varint(6) || varint(60) || str('six'),
              varint(7) || varint(70) || str('seven'), str('eight') || varint(8), str('nine') || varint(9), '', '']::bytea[], 'three')
  FROM (VALUES ('{"type":"record","name":"x","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"},
                 {"name":"c","type":["null",{"type":"record","name":"c","fields":[{"name":"a","type":"int"}]}]},{"name":"other","type":"int"}]}',
                '{"type":"record","name":"y","fields":[{"name":"b","type":"string"},{"name":"a","type":"int"}]}',
                '{"type":"record","name":"z","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"},{"name":"c","type":"string"}]}',
                '{"type":"record","name":"e","fields":[]}')) AS schemas (x, y, z, e);

-- Confluent's serializers write a schema that is nothing but bytes without a length
SELECT avro('"bytes"', '\x0461', bare => true) AS bare, avro('{"type":"bytes"}', '\x0461', bare => true) AS object, avro('"bytes"', '', bare => true) AS empty,
       avro('"string"', '\x0261', bare => true) AS another;

-- references: other texts that define the types, also by the last part of their names
SELECT avro('{"type":"record","name":"r","namespace":"x","fields":[{"name":"a","type":"other.A"},{"name":"b","type":"B"}]}', varint(1) || varint(0),
            ARRAY['{"type":"record","name":"other.A","fields":[{"name":"i","type":"int"}]}', '{"type":"enum","name":"other.B","symbols":["S"]}']) AS reads;
SELECT raised('{"type":"array","items":"B"}', varint(0), ARRAY['{"type":"fixed","name":"a.B","size":1}', '{"type":"fixed","name":"c.B","size":1}']) AS ambiguous,
       raised('"B"', '\x01', ARRAY['{"type":"fixed","name":"a.B","size":2}', '{"type":"fixed","name":"a.B","size":1}']) AS newest;

-- schemas that are none
SELECT name, raised(schema, '') FROM (VALUES
  ('no JSON', '{"type":'), ('nothing', ''), ('number', '1'), ('unknown', '"strin"'), ('no type', '{"name":"x"}'), ('record without name', '{"type":"record","fields":[]}'),
  ('record without fields', '{"type":"record","name":"r"}'), ('field without name', '{"type":"record","name":"r","fields":[{"type":"int"}]}'),
  ('field without type', '{"type":"record","name":"r","fields":[{"name":"f"}]}'), ('field that is none', '{"type":"record","name":"r","fields":[1]}'),
  ('array without items', '{"type":"array"}'), ('map without values', '{"type":"map"}'), ('enum without symbols', '{"type":"enum","name":"e"}'),
  ('enum of numbers', '{"type":"enum","name":"e","symbols":[1]}'), ('fixed without size', '{"type":"fixed","name":"f"}'), ('fixed below 0', '{"type":"fixed","name":"f","size":-1}'),
  ('fixed too large', '{"type":"fixed","name":"f","size":1e20}'), ('name of \u0000', '{"type":"record","name":"a\u0000b","fields":[]}'),
  ('lone surrogate', '{"type":"record","name":"a\ud800b","fields":[]}'), ('twice', '["int",{"type":"fixed","name":"f","size":1},{"type":"fixed","name":"f","size":1}]'),
  ('endless', '{"type":"record","name":"r","fields":[{"name":"r","type":"r"}]}'),
  ('endless by two', '{"type":"record","name":"a","fields":[{"name":"b","type":{"type":"record","name":"b","fields":[{"name":"a","type":"a"}]}}]}'),
  ('decimal of no scale', dc(20000)), ('decimal of half a scale', of('bytes', 'decimal', ',"scale":1.5')),
  ('too many branches', '[' || repeat('"int",', 10000) || '"int"]'),
  ('deep', repeat('{"type":"array","items":', 3000) || '"int"' || repeat('}', 3000)),
  ('deep unions', repeat('[', 10000) || '"int"' || repeat(']', 10000)),
  ('too long', '"' || repeat('x', 33 * 1024 * 1024) || '"')
) AS cases (name, schema);
-- defaults do not matter: \u0000, numbers beyond 64 bits
SELECT avro('{"type":"record","name":"r","fields":[{"name":"a","type":"bytes","default":"\u0000"},{"name":"b","type":"long","default":99999999999999999999}]}',
            sized('\x01') || varint(5));

-- data that the schema did not write
SELECT name, raised(schema, data) FROM (VALUES
  ('nothing', '"int"', ''::bytea), ('half an int', '"int"', '\x80'), ('int of 33 bits', '"int"', varint(2147483648)), ('long of 65 bits', '"long"', '\xffffffffffffffffff02'),
  ('long of 11 bytes', '"long"', '\xffffffffffffffffffff01'), ('boolean', '"boolean"', '\x02'), ('float', '"float"', '\x000000'), ('double', '"double"', '\x00000000000000'),
  ('bytes', '"bytes"', varint(2) || '\x00'), ('negative length', '"bytes"', varint(-1)), ('huge length', '"bytes"', varint(9223372036854775807)),
  ('string', '"string"', varint(1000)), ('bad UTF-8', '"string"', sized('\x61ff')), ('cut UTF-8', '"string"', sized('\xe282')), ('surrogate', '"string"', sized('\xeda080')),
  ('zero byte', '"string"', sized('\x6100')), ('fixed', '{"type":"fixed","name":"f","size":3}', '\x0000'), ('huge fixed', '{"type":"fixed","name":"f","size":2147483647}', '\x0000'),
  ('enum', '{"type":"enum","name":"e","symbols":["A"]}', varint(1)), ('enum below 0', '{"type":"enum","name":"e","symbols":["A"]}', varint(-1)),
  ('enum of none', '{"type":"enum","name":"e","symbols":[]}', varint(0)), ('union', '["null","int"]', varint(2)), ('union below 0', '["null","int"]', varint(-1)),
  ('union of none', '[]', varint(0)), ('array', '{"type":"array","items":"int"}', varint(1)), ('array without end', '{"type":"array","items":"int"}', varint(1) || varint(1)),
  ('huge array', '{"type":"array","items":"int"}', varint(9223372036854775807)), ('array of least', '{"type":"array","items":"int"}', varint(-9223372036854775808) || varint(0)),
  ('block of no size', '{"type":"array","items":"int"}', varint(-1) || varint(-1) || varint(1) || varint(0)),
  ('block too large', '{"type":"array","items":"int"}', varint(-1) || varint(100) || varint(1) || varint(0)),
  ('huge array of nothing', '{"type":"array","items":"null"}', varint(9223372036854775807)), ('large array of nothing', '{"type":"array","items":"null"}', varint(1000001)),
  ('blocks of nothing', '{"type":"array","items":"null"}', varint(1000000) || varint(1000000) || varint(1000000) || varint(1000000) || varint(0)),
  ('arrays of nothing', '{"type":"array","items":{"type":"array","items":{"type":"record","name":"r","fields":[{"name":"a","type":"null"},{"name":"b","type":"null"}]}}}',
   varint(3) || varint(1000000) || varint(0) || varint(1000000) || varint(0) || varint(1000000) || varint(0) || varint(0)),
  ('map', '{"type":"map","values":"int"}', varint(1) || sized('a')), ('map of bad keys', '{"type":"map","values":"int"}', varint(1) || sized('\xff') || varint(1) || varint(0)),
  ('field', '{"type":"record","name":"r","fields":[{"name":"id","type":"int"},{"name":"on","type":"boolean"}]}', varint(5) || '\x07'),
  ('behind', '"int"', '\x0000'), ('behind nothing', '"null"', '\x00'), ('decimal of no bytes', dc(2), sized('')),
  ('decimal of too many', dc(2), sized(decode(repeat('7f', 61441), 'hex'))), ('decimal of many too many', dc(2), sized(decode(repeat('7f', 60000), 'hex'))),
  ('date', of('int', 'date'), varint(2147483647)),
  ('date in a field', format('{"type":"record","name":"r","fields":[{"name":"day","type":%s}]}', of('int', 'date')), varint(2147483647)), ('timestamp', of('long', 'timestamp-millis'), varint(9223372036854775807)),
  ('local timestamp', of('long', 'local-timestamp-micros'), varint(9223372036854775807)), ('old timestamp', of('long', 'timestamp-micros'), varint(-300000000000000000))
) AS cases (name, schema, data);

-- large things: a result or a named error
SELECT avro('[' || string_agg(format('{"type":"record","name":"r%s","fields":[{"name":"f%s","type":"int"}]}', i, i), ',') || ']', varint(299) || varint(7)) AS branch_of_300
  FROM generate_series(0, 299) AS i;
SELECT jsonb_path_query(avro('{"type":"record","name":"r","fields":[' || string_agg(format('{"name":"f%s","type":["null","int"],"default":null}', i), ',') || ']}',
                             decode(repeat('0204', 60000), 'hex')), '$.f59999') AS last_of_60000
  FROM generate_series(0, 59999) AS i;
SELECT avro(format('{"type":"record","name":"r","doc":"%s","fields":[{"name":"a","type":"int"}]}', repeat('x', 5 * 1024 * 1024)), varint(1)) AS of_5_mb;
CREATE FUNCTION list_of(n integer) RETURNS bytea LANGUAGE sql RETURN decode(repeat('02', n) || '00', 'hex');
SELECT left(raised('{"type":"record","name":"l","fields":[{"name":"n","type":["null","l"]}]}', list_of(10000)), 34) AS list_of_10000;
SELECT left(raised('{"type":"record","name":"l","fields":[{"name":"n","type":["null","l"]}]}', list_of(1000000)), 34) AS list_of_1000000;
SELECT left(raised('{"type":"record","name":"l","fields":[{"name":"n","type":{"type":"array","items":"l"}}]}', list_of(1000000)), 34) AS arrays_of_1000000;
SELECT left(raised('{"type":"record","name":"l","fields":[{"name":"n","type":{"type":"map","values":"l"}}]}', decode(repeat('0200', 1000000), 'hex')), 34) AS maps_of_1000000;
-- 10 000 records, each of the one before
SELECT left(raised('[' || string_agg(format('{"type":"record","name":"r%s","fields":[%s]}', i,
                     CASE WHEN i > 0 THEN format('{"name":"f","type":"r%s"}', i - 1) ELSE '' END), ',' ORDER BY i) || ']', varint(9999)), 34) AS chain_of_10000
  FROM generate_series(0, 9999) AS i;

-- what tables would be made of
SELECT describe('"bytes"') AS bytes, describe('["null","int"]') AS union_, describe('{"type":"map","values":"int"}') AS map;
SELECT describe('{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"small","type":{"type":"int","connect.type":"int16"}},
  {"name":"n","type":["null","int"]},{"name":"m","type":["string","null"]},{"name":"either","type":["null","int","string"]},{"name":"f","type":"float"},{"name":"d","type":"double"},
  {"name":"b","type":"boolean"},{"name":"raw","type":"bytes"},{"name":"x","type":{"type":"fixed","name":"x16","size":16}},{"name":"e","type":{"type":"enum","name":"e","symbols":[]}},
  {"name":"tags","type":{"type":"array","items":"string"}},{"name":"maybe_tags","type":["null",{"type":"array","items":["null","long"]}]},
  {"name":"lines","type":{"type":"array","items":{"type":"record","name":"line","fields":[]}}},{"name":"map","type":{"type":"map","values":"int"}},{"name":"line","type":"line"},
  {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},{"name":"any","type":{"type":"bytes","logicalType":"decimal","scale":2}},
  {"name":"day","type":{"type":"int","logicalType":"date"}},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"local","type":{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}},{"name":"uid","type":{"type":"string","logicalType":"uuid"}},
  {"name":"doc","type":{"type":"string","connect.name":"io.debezium.data.Json"}},{"name":"nothing","type":"null"}]}');

-- damaged bytes: errors of the data alone; a seed of each run besides a fixed one
\set everything '{"type":"record","name":"r","fields":[{"name":"i","type":"int"},{"name":"s","type":["null","string"]},{"name":"m","type":{"type":"map","values":{"type":"array","items":["null","double","r"]}}},{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},{"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"f","type":{"type":"fixed","name":"f","size":3}},{"name":"j","type":{"type":"string","connect.name":"io.debezium.data.Json"}},{"name":"e","type":{"type":"enum","name":"e","symbols":["A","B"]}}]}'
CREATE FUNCTION leaf() RETURNS bytea LANGUAGE sql
RETURN varint(-77) || varint(1) || sized('text') || varint(0) || sized('\x0102') || varint(1709209800000001) || '\x010203' || sized('{"a":[1,2]}') || varint(1);
CREATE FUNCTION branch() RETURNS bytea LANGUAGE sql
RETURN varint(77) || varint(0) || varint(2) || sized('k') || varint(3) || varint(0) || varint(1) || '\x000000000000f83f' || varint(2) || leaf() || varint(0)
    || sized('l') || varint(0) || varint(0) || sized('\xff') || varint(-1) || '\x010203' || sized('null') || varint(0);
SELECT avro(:'everything', branch());
SELECT damage(:'everything', branch(), '{}', 1, 20000) > 10000 AS fixed;
\set seed `echo $((RANDOM * 32768 + RANDOM))`
SELECT damage(:'everything', branch(), '{}', :seed, 20000) > 10000 AS another;

SET client_min_messages = warning;
DROP SCHEMA convert_avro CASCADE;
