-- Values that are written otherwise than PostgreSQL's types read them: numbers
-- for dates and times, bytes as text, NULs.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
SET timezone = 'America/New_York';
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'postgres';
CREATE SCHEMA sink_values;
SET search_path = sink_values, public;
CREATE FUNCTION unit_sink_options(VARIADIC options text[]) RETURNS void LANGUAGE C AS :'module';
CREATE FUNCTION unit_sink_write(target regclass, format text, on_conflict text, reference boolean, keys bytea[], vals bytea[])
  RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION bytes(VARIADIC texts text[]) RETURNS bytea[] LANGUAGE sql AS
  $$SELECT array_agg(convert_to(t, 'UTF8') ORDER BY n) FROM unnest(texts) WITH ORDINALITY AS u(t, n)$$;
CREATE FUNCTION set_options(VARIADIC options text[]) RETURNS text LANGUAGE sql AS
  $$SELECT CASE WHEN unit_sink_options(VARIADIC options) IS NULL THEN '' ELSE array_to_string(options, ' ') END$$;

-- What each type makes of a value; the reason where it makes nothing.  Both
-- ways of writing must agree.
CREATE FUNCTION becomes(type text, val text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  outcome text;
  bulk text;
  reference text;
BEGIN
  EXECUTE format('CREATE TABLE t (v %s)', type);
  outcome := unit_sink_write('t', 'fields', 'error', false, '{}', bytes('{"v": ' || val || '}'));
  SELECT v::text FROM t INTO bulk;
  TRUNCATE t;
  IF replace(outcome, ' in bulk', '') <> unit_sink_write('t', 'fields', 'error', true, '{}', bytes('{"v": ' || val || '}')) THEN
    RAISE EXCEPTION 'the two ways end differently: %', outcome;
  END IF;
  SELECT v::text FROM t INTO reference;
  DROP TABLE t;
  IF bulk IS DISTINCT FROM reference THEN
    RAISE EXCEPTION 'the two ways differ: % %', bulk, reference;
  END IF;
  RETURN coalesce(bulk, split_part(regexp_replace(outcome, ' at 0, column v', ''), ' | ', 1));
END$$;
CREATE DOMAIN recent AS timestamptz CHECK (VALUE > '2000-01-01');
CREATE TYPE visit AS (seen timestamptz, note text, body bytea, took interval);

-- without a unit no number is read
SELECT set_options('timestamp_unit', 'none');
SELECT t, v, becomes(t, v) FROM unnest(ARRAY['date', 'time', 'timetz', 'timestamp', 'timestamptz', 'timestamptz(3)', 'interval', 'recent']) t,
  unnest(ARRAY['120000', '20240501', '0', '1.5']) v;
SELECT becomes('date[]', '[20240501]'), becomes('visit', '{"seen": 20240501}'), becomes('timestamptz[]', '[["2024-05-01T00:00:00Z"]]'),
  becomes('time', '"120000"'), becomes('interval', '"7"'), becomes('date', 'true'), becomes('jsonb', '120000');

-- in each unit the same moment
SELECT u, becomes('timestamptz', v), becomes('timestamp', v), becomes('timestamptz(0)', v), becomes('date', v), becomes('recent', v),
  becomes('timestamptz[]', '[' || v || ', null, "2024-05-01T00:00:00Z"]'), becomes('date[]', '[[' || v || ']]')
FROM (VALUES ('s', '1714567890.123457'), ('ms', '1714567890123.457'), ('us', '1714567890123457'), ('ns', '1714567890123456789'), ('ns', '1.714567890123456789e18'))
  AS u(u, v), set_options('timestamp_unit', u);
SELECT u, becomes('time', v), becomes('timetz', v), becomes('time(2)', v), becomes('interval', v), becomes('interval(1)', v),
  becomes('visit', '{"took": ' || v || ', "note": 5, "seen": null}'), becomes('interval[]', '[' || v || ']')
FROM (VALUES ('s', '45296.789'), ('ms', '45296789'), ('us', '45296789000'), ('ns', '45296789000000')) AS u(u, v), set_options('timestamp_unit', u);
-- before 1970, midnight, the ends
SELECT set_options('timestamp_unit', 's');
SELECT v, becomes('timestamptz', v), becomes('date', v), becomes('time', v), becomes('interval', v)
FROM unnest(ARRAY['-1', '-0.5', '-86400', '-86401', '0', '86400', '86401', '-62135596800', '9999999999', '9223372036854775807', '9224318015999', '9224318016000',
                  '-210866803200', '-210866803201', '1e400', '1e12', '0.0000004', '0.0000005']) v;
SELECT set_options('timestamp_unit', 'ns');
SELECT v, becomes('timestamptz', v), becomes('interval', v) FROM unnest(ARRAY['499', '500', '-499', '-500', '9223372036854775807', '-9223372036854775808']) v;
-- a count of days is no moment
SELECT set_options('timestamp_unit', 'ms');
SELECT becomes('date', '19844'), becomes('date', '-5'), becomes('date[]', '[19844]'), becomes('timestamptz', '19844');
-- text stays what it is
SELECT becomes('timestamptz', '"2024-05-01T12:00:00Z"'), becomes('time', '"12:00"'), becomes('date', '"infinity"');

-- bytes
CREATE FUNCTION bytea_becomes(encoding text, val text) RETURNS text LANGUAGE sql AS
  $$SELECT becomes('bytea', val) FROM set_options('bytes_encoding', encoding)$$;
SELECT v, bytea_becomes('text', v) AS text, bytea_becomes('base64', v) AS base64, bytea_becomes('hex', v) AS hex
FROM unnest(ARRAY['"aGVsbG8="', '"\\x68656c6c6f"', '"68656C6c6f"', '""', '"\u0061GVs"', '"not at all"', '"aGVsbG8"', 'null', '5', '"a\\\\b"', '"68656"']) v;
SELECT set_options('bytes_encoding', 'base64');
SELECT becomes('bytea[]', '["aGVsbG8=", null, ""]'), becomes('visit', '{"body": "aGVsbG8=", "note": "aGVsbG8="}'),
  becomes('visit[]', '[{"body": "aGVsbG8="}, {"note": "x"}]'), becomes('text', '"aGVsbG8="'), becomes('bytea[]', '["?"]');
SELECT set_options('bytes_encoding', 'text');
SELECT becomes('bytea[]', '["aGVsbG8=", "\\x61"]');

-- NULs
SELECT set_options('strip_nul', 'false');
SELECT becomes('text', '"a\u0000b"'), becomes('jsonb', '{"a": "a\u0000b"}'), becomes('text[]', '["a\u0000b"]');
SELECT set_options('strip_nul', 'true');
SELECT becomes('text', '"a\u0000b\u0000"'), becomes('jsonb', '{"a\u0000": "\u0000"}'), becomes('json', '["\u0000x"]'), becomes('text[]', '["a\u0000b"]'),
  becomes('text', '"\\u0000 \\\u0000\\\\u0000\u00000"'), becomes('text', '"\ud83d\ude00\u0000"'), becomes('text', '"\ud83d\u0000"');
CREATE TABLE e (value jsonb, key text, headers jsonb);
CREATE TABLE b (value bytea, key bytea);
CREATE TABLE n (value text);
SELECT unit_sink_write('e', 'envelope', 'error', false, ARRAY['\x6b00'::bytea], bytes('{"a": "\u0000"}')),
  unit_sink_write('b', 'envelope', 'error', false, ARRAY['\x6b00'::bytea], bytes('{"a": "\u0000"}')),
  unit_sink_write('n', 'envelope', 'error', false, '{}', ARRAY['\x610062'::bytea]);
SELECT value, key FROM e;
SELECT convert_from(value, 'UTF8'), key FROM b;
TABLE n;
DROP TABLE e, b, n;

-- words for numbers that are none
SELECT set_options('strip_nul', 'false');
SELECT v, becomes('float8', v), becomes('numeric', v), becomes('date', v)
FROM unnest(ARRAY['NaN', '-Infinity', 'Infinity', '-NaN', '"NaN"', '"-Infinity"', '"infinity"', '""']) v;
DROP SCHEMA sink_values CASCADE;
