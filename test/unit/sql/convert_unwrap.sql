-- Messages taken out of the envelopes of Kafka Connect, Debezium and CloudEvents.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
\set VERBOSITY terse
CREATE SCHEMA convert_unwrap;
SET search_path = convert_unwrap, public;
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET timezone = 'Asia/Kolkata';
SET client_min_messages = warning;
CREATE FUNCTION unwrap(kind text, value bytea, headers text[] DEFAULT '{}', is_key boolean DEFAULT false, "offset" bigint DEFAULT 0)
  RETURNS text LANGUAGE C AS :'module', 'unit_unwrap';
CREATE FUNCTION unwrap_column(kind text, value bytea, headers text[], is_key boolean, "offset" bigint, name text, type regtype, typmod integer)
  RETURNS text LANGUAGE C AS :'module', 'unit_unwrap_column';
CREATE FUNCTION unwrap(kind text, value text, headers text[] DEFAULT '{}', is_key boolean DEFAULT false, "offset" bigint DEFAULT 0)
  RETURNS text LANGUAGE sql AS $$ SELECT unwrap(kind, convert_to(value, 'UTF8'), headers, is_key, "offset") $$;
-- a field as a column; an error by its SQLSTATE and message
CREATE FUNCTION col(kind text, value text, name text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE mod integer;
BEGIN
  EXECUTE format('CREATE TEMP TABLE typed (v %s)', type);
  SELECT atttypmod INTO mod FROM pg_attribute WHERE attrelid = 'typed'::regclass AND attnum = 1;
  DROP TABLE typed;
  RETURN unwrap_column(kind, convert_to(value, 'UTF8'), '{}', false, 0, name, type::regtype, mod);
EXCEPTION WHEN data_exception OR feature_not_supported THEN
  DROP TABLE IF EXISTS typed;
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- Connect: a type and a value
CREATE FUNCTION connect(type text, value text) RETURNS text LANGUAGE sql AS
  $$ SELECT '{"schema":{"type":"struct","fields":[' || left(type, -1) || ',"optional":true,"field":"v"}],"optional":false},"payload":{"v":' || value || '}}' $$;
SELECT unwrap('connect', '{"schema":{"type":"int32","optional":false},"payload":5}');
SELECT unwrap('connect', '{"payload":"x","schema":{"type":"string","optional":false}}');
SELECT unwrap('connect', '{"schema":null,"payload":{"a":1}}');
SELECT unwrap('connect', '{"schema":null,"payload":null}');
SELECT unwrap('connect', '{"schema":{"type":"string","optional":true},"payload":null}');
SELECT unwrap('connect', NULL::bytea);
SELECT type, unwrap('connect', connect(type, value))
  FROM (VALUES ('{"type":"int64"}', '9007199254740993'), ('{"type":"boolean"}', 'true'), ('{"type":"double"}', '"NaN"'), ('{"type":"float"}', '1.5'),
    ('{"type":"string"}', '"a\"b\\ \u00e9"'), ('{"type":"bytes"}', '"AP8Q"'), ('{"type":"bytes"}', '""'), ('{"type":"int32"}', 'null'),
    ('{"type":"array","items":{"type":"bytes"}}', '["AA==",null]'),
    ('{"type":"map","keys":{"type":"string"},"values":{"type":"int32"}}', '{"a":1,"b":null}'),
    ('{"type":"map","keys":{"type":"int32"},"values":{"type":"bytes"}}', '[[1,"AA=="],[2,null]]'),
    ('{"type":"map","keys":{"type":"boolean"},"values":{"type":"string"}}', '[[true,"x"]]'),
    ('{"type":"struct","fields":[{"type":"int32","field":"x"},{"type":"bytes","field":"y"}]}', '{"x":1,"y":"AQ=="}')) t(type, value);
-- logical types: exactly their value
SELECT replace(name, 'org.apache.kafka.connect.data.', '') AS name, value, unwrap('connect', connect(format('{"type":"%s","name":"%s","version":1,"parameters":{"scale":"%s"}}', type, name, scale), value))
  FROM (VALUES ('bytes', 'org.apache.kafka.connect.data.Decimal', '3', '"+wA="'), ('bytes', 'org.apache.kafka.connect.data.Decimal', '0', '"AA=="'),
    ('bytes', 'org.apache.kafka.connect.data.Decimal', '2', '"/4A="'), ('bytes', 'org.apache.kafka.connect.data.Decimal', '-2', '"ew=="'),
    ('bytes', 'org.apache.kafka.connect.data.Decimal', '10', '"D5Uan6OihslPDnZsOQ=="'), ('bytes', 'org.apache.kafka.connect.data.Decimal', '2', '12.50'),
    ('int32', 'org.apache.kafka.connect.data.Date', '0', '19782'), ('int32', 'org.apache.kafka.connect.data.Time', '0', '45296789'),
    ('int64', 'org.apache.kafka.connect.data.Timestamp', '0', '1709210096789'), ('int64', 'org.apache.kafka.connect.data.Timestamp', '0', '-62135596800001'),
    ('int32', 'io.debezium.time.Date', '0', '-719529'), ('int32', 'io.debezium.time.Date', '0', '-2147472692'), ('int32', 'io.debezium.time.Date', '0', '-2147472691'),
    ('int32', 'io.debezium.time.Date', '0', '-622191234'), ('int32', 'io.debezium.time.Date', '0', '-625821272'),
    ('int32', 'io.debezium.time.Time', '0', '3723004'), ('int64', 'io.debezium.time.MicroTime', '0', '86400000000'), ('int64', 'io.debezium.time.NanoTime', '0', '1001'),
    ('int64', 'io.debezium.time.Timestamp', '0', '1709210096789'), ('int64', 'io.debezium.time.MicroTimestamp', '0', '-63517780799500000'),
    ('int64', 'io.debezium.time.MicroTimestamp', '0', '9223372036825200000'), ('int64', 'io.debezium.time.MicroTimestamp', '0', '-9223372036832400000'),
    ('int64', 'io.debezium.time.NanoTimestamp', '0', '1709210096789012345'), ('string', 'io.debezium.time.ZonedTimestamp', '0', '"-0043-03-15T12:00:00.5Z"'),
    ('string', 'io.debezium.time.IsoDate', '0', '"-5877611-06-21Z"'), ('string', 'io.debezium.time.IsoDate', '0', '"-5877611-06-22Z"'),
    ('string', 'io.debezium.time.IsoDate', '0', '"+292278994-08-16Z"'), ('string', 'io.debezium.time.IsoTimestamp', '0', '"+294247-01-10T04:00:25.2Z"'),
    ('int64', 'io.debezium.time.MicroDuration', '0', '37091106789000'), ('string', 'io.debezium.data.Json', '0', '"{\"a\": [1, 2.50]}"'),
    ('string', 'io.debezium.data.Uuid', '0', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"')) t(type, name, scale, value);
SELECT unwrap('connect', connect('{"type":"struct","fields":[{"type":"int32","field":"scale"},{"type":"bytes","field":"value"}],"name":"io.debezium.data.VariableScaleDecimal"}', '{"scale":1,"value":"D5Uan6OihslPDnZsOQ=="}'));
SELECT unwrap('connect', connect('{"type":"struct","fields":[{"type":"double","field":"x"},{"type":"double","field":"y"},{"type":"bytes","field":"wkb"},{"type":"int32","field":"srid"}],"name":"io.debezium.data.geometry.Point"}', '{"x":1.5,"y":-2.0,"wkb":"AQE=","srid":null}'));
SELECT length, unwrap('connect', connect(format('{"type":"bytes","name":"io.debezium.data.Bits","parameters":{"length":"%s"}}', length), value)),
       col('connect', connect(format('{"type":"bytes","name":"io.debezium.data.Bits","parameters":{"length":"%s"}}', length), value), 'v', format('bit varying(%s)', least(length, 100)))
  FROM (VALUES (5, '"FQ=="'), (20, '"Cw=="'), (2147483647, '"Cw=="'), (16, '"AIA="')) t(length, value);
-- what no such schema wrote, and what is none
SELECT col('connect', v, 'v', 'text') FROM (VALUES
  ('{"a":1}'), ('[1]'), ('5'), ('{"schema":{"type":"string"},"payload":"x","more":1}'), ('{"schema":5,"payload":1}'),
  (connect('{"type":"number"}', '1')), (connect('{"type":"bytes"}', '5')), (connect('{"type":"bytes"}', '"?"')), (connect('{"type":"array"}', '[]')),
  (connect('{"type":"int32","name":"io.debezium.time.Date"}', '"x"')), (connect('{"type":"int32","name":"io.debezium.time.Date"}', '1.5')),
  (connect('{"type":"int32","name":"io.debezium.time.Date"}', '-2440589')), (connect('{"type":"int64","name":"io.debezium.time.MicroTimestamp"}', '-9223372036853775810')),
  (connect('{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal"}', '"AA=="')),
  (connect('{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"99999"}}', '"AA=="')),
  (connect('{"type":"struct","fields":[]}', '{"x":1}')), (connect('{"type":"struct"}', '{}')),
  (connect('{"type":"map","keys":{"type":"array","items":{"type":"int32"}},"values":{"type":"int32"}}', '[[[1],2]]'))) t(v);
SELECT unwrap('connect', '{"schema":{"type":"int32"},"payload":');
-- a schema that is known is not read again; the next message may be damaged all the same
SELECT unwrap('connect', '{"schema":{"type":"int32","optional":false},"payload":6 } ');
SELECT unwrap('connect', '{"schema":{"type":"int32","optional":false},"payload":7,"more":1}');
SELECT unwrap('connect', '{"schema":{"type":"int32","optional":false},"payload":x}');
-- keys, with a schema and without
SELECT unwrap('connect', v, is_key => true), unwrap('debezium', v, is_key => true)
  FROM (VALUES ('{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false},"payload":{"id":3}}'), ('{"id":3}'),
    ('{"schema":{"type":"int32","optional":false},"payload":3}'), ('plain'), ('"quoted"'), ('3')) t(v);

-- Debezium, without schemas
CREATE FUNCTION event(op text, after text, before text DEFAULT 'null') RETURNS text LANGUAGE sql AS
  $$ SELECT format('{"before":%s,"after":%s,"source":{"connector":"postgresql","lsn":1},"op":"%s","ts_ms":1}', before, after, op) $$;
SELECT op, unwrap('debezium', event(op, '{"id":1,"v":"x"}')) FROM unnest('{r,c,u,d,t,m}'::text[]) op;
SELECT unwrap('debezium', event('d', 'null', '{"id":1,"v":null}'));
SELECT unwrap('debezium', '{"id":1,"__deleted":"true"}'), unwrap('debezium', '{"id":1,"__deleted":"false"}'), unwrap('debezium', '{"id":1}');
-- the tombstone behind a delete says nothing new, another one is a delete
SELECT unwrap('debezium', event('d', 'null'), "offset" => 7), unwrap('debezium', NULL::bytea, "offset" => 8), unwrap('debezium', NULL::bytea, "offset" => 9);
-- topics beside those of tables
SELECT unwrap('debezium', v) FROM (VALUES
  ('{"status":"BEGIN","id":"748:23254648","event_count":null,"data_collections":null,"ts_ms":1}'), ('{"status":"END","id":"1","event_count":1,"data_collections":[],"ts_ms":1}'),
  ('{"ts_ms":1795944181277}'), ('{"source":{},"databaseName":"d","ddl":"CREATE","tableChanges":[]}'), ('{"status":"BEGIN","id":3}'), ('null')) t(v);
SELECT col('debezium', v, 'v', 'text') FROM (VALUES
  (event('x', '{}')), (event('cc', '{}')), (event('c', 'null')), (event('u', '5')), ('{"before":null,"after":{"id":1},"source":{}}'), ('[1]'), ('"x"'), ('{"op":1,"after":{}}')) t(v);
-- values that an update left in TOAST, for every type of column
CREATE TABLE placeholders (v text);
INSERT INTO placeholders VALUES ('"__debezium_unavailable_value"'), ('"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="'), ('["__debezium_unavailable_value"]'),
  ('[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]'),
  ('{"__debezium_unavailable_value":"__debezium_unavailable_value"}'), ('"{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}"'),
  ('["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]'), ('"\u005f_debezium_unavailable_value"');
SELECT unwrap('debezium', event('u', '{"id":1,"v":' || v || '}')) FROM placeholders;
SELECT DISTINCT col('debezium', event('u', '{"id":1,"v":' || v || '}'), 'v', 'text') FROM placeholders;
SELECT unwrap('debezium', event('u', v)) FROM (VALUES
  ('{"v":"__debezium_unavailable_values"}'), ('{"v":["__debezium_unavailable_value","x"]}'), ('{"v":[95,95]}'),
  ('{"v":{"k":"__debezium_unavailable_value"}}'), ('{"v":["__debezium_unavailable_value"],"w":"__debezium_unavailable_value","x":1}')) t(v);
-- what the column's type tells, and what nothing tells
SELECT type, v, col('debezium', event('c', '{"v":' || v || '}'), 'v', type) FROM (VALUES
  ('numeric(12,3)', '"-1.280"'), ('numeric', '"NAN"'), ('numeric', '"POSITIVE_INFINITY"'), ('numeric', '"NEGATIVE_INFINITY"'), ('numeric', '"1234"'), ('numeric(12,3)', '"1234"'), ('numeric(12,3)', '"+wA="'),
  ('numeric', '"AA=="'), ('numeric', '"1E+5"'), ('numeric', '1.5'), ('numeric', '{"scale":1,"value":"D5Uan6OihslPDnZsOQ=="}'), ('money', '"+y4="'), ('money', '"-12.34"'), ('numeric[]', '["1.5",null]'), ('numeric[]', '["AJY="]'),
  ('bytea', '"AP8Q"'), ('bytea', '"00ff"'), ('bytea[]', '["AP8Q"]'), ('bit(5)', '"FQ=="'), ('bit(1)', 'true'), ('bit(1)', 'false'),
  ('date', '19782'), ('date', '"2024-02-29Z"'), ('date', '"-0043-03-15Z"'), ('date', '"-5877611-06-21Z"'), ('date[]', '[19723]'), ('date[]', '["2024-01-01Z"]'),
  ('time', '123456'), ('time', '"12:34:56.789012Z"'), ('timetz', '"10:00:00Z"'), ('timetz', '5'), ('timestamp', '1709210096789012'), ('timestamp', '"2024-02-29T12:34:56.789012Z"'), ('timestamp', '"-0043-03-15T12:00:00.5Z"'),
  ('timestamp', '"+294247-01-10T04:00:25.2Z"'), ('timestamptz', '1709210096789'), ('timestamptz', '"-0043-03-15T12:00:00.5Z"'), ('timestamptz', '"infinity"'), ('timestamp[]', '["2024-02-29T12:34:56.5Z"]'),
  ('interval', '37091106789000'), ('interval', '"P1Y2M3DT4H5M6.789S"'), ('interval', '"P0Y-1M2DT-3H0M0S"'),
  ('jsonb', '"{\"b\": [1, 2.50]}"'), ('json', '"{\"b\":  1}"'), ('jsonb', '"\"x\""'), ('jsonb', '"null"'), ('jsonb', '"{"'), ('jsonb[]', '["{\"z\": 1}"]'), ('point', '{"x":1.5,"y":-2.0,"wkb":"AQ==","srid":null}'),
  ('text', '"x"'), ('integer', '5'), ('boolean', 'true'), ('uuid', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'), ('double precision', '"NaN"'), ('integer[]', '[1,null,-3]'), ('text[]', '["a","b c",null,"q\"x"]'), ('int4range', '"[1,5)"'), ('inet', '"10.1.2.3/24"'),
  ('text[]', '["[Ljava.lang.String;@77f6d7ab"]')) t(type, v);
-- with schemas
CREATE FUNCTION typed(op text, type text, value text) RETURNS text LANGUAGE sql AS $$
  SELECT format('{"schema":{"type":"struct","fields":[{"type":"struct","fields":[%1$s],"optional":true,"name":"t.Value","field":"before"},{"type":"struct","fields":[%1$s],"optional":true,"name":"t.Value","field":"after"},{"type":"struct","fields":[],"field":"source"},{"type":"string","optional":false,"field":"op"}],"optional":false,"name":"t.Envelope"},"payload":{"before":null,"after":{"v":%2$s},"source":{},"op":"%3$s"}}',
    left(type, -1) || ',"optional":true,"field":"v"}', value, op) $$;
SELECT unwrap('debezium', typed('c', '{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"3"}}', '"+wA="'));
SELECT unwrap('debezium', typed('u', '{"type":"int32","name":"io.debezium.time.Date"}', '19782'));
SELECT unwrap('debezium', typed('u', '{"type":"array","items":{"type":"int32","name":"io.debezium.time.Date"}}', v)) FROM placeholders WHERE v LIKE '[9%';
SELECT unwrap('debezium', typed('u', '{"type":"bytes"}', v)), col('debezium', typed('u', '{"type":"bytes"}', '"AP8Q"'), 'v', 'bytea') FROM placeholders WHERE v LIKE '"X%';
SELECT unwrap('debezium', typed('t', '{"type":"bytes"}', 'null')), unwrap('debezium', typed('d', '{"type":"bytes"}', 'null'));
SELECT col('debezium', typed('u', '{"type":"int32","name":"io.debezium.time.Date"}', '-2440589'), 'v', 'date');
SELECT unwrap('debezium', '{"schema":{"type":"struct","fields":[{"type":"int32","field":"id"},{"type":"string","field":"__deleted"}]},"payload":{"id":1,"__deleted":"true"}}');

-- CloudEvents, in headers and value
SELECT unwrap('cloudevents', v, ARRAY['ce_specversion', '1.0', 'ce_id', '7', 'ce_source', '/s', 'ce_type', 'made', 'ce_partitionkey', 'k', 'other', 'x'] || h) FROM (VALUES
  ('{"a":1,"b":"x"}', ARRAY['content-type', 'application/json; charset=utf-8']), ('{"a":1,"data":2,"ce_id":"no"}', '{}'), ('[1]', '{}'), ('null', '{}'), ('', '{}'), (NULL, '{}'),
  ('plain "text"', ARRAY['content-type', 'text/plain']), ('raw', ARRAY['content-type', 'application/octet-stream'])) t(v, h);
-- in the value
SELECT unwrap('cloudevents', v, h) FROM (VALUES
  ('{"specversion":"1.0","id":"7","source":"/s","type":"made","time":"2024-01-01T00:00:00Z","flag":true,"data":{"a":1,"data":{"x":2}}}', ARRAY['content-type', 'application/cloudevents+json']),
  ('{"specversion":"1.0","id":"7","source":"/s","type":"made","data":"text"}', ARRAY['content-type', 'application/json']),
  ('{"specversion":"1.0","id":"7","source":"/s","type":"made"}', '{}'), ('{"specversion":"1.0","id":"7","source":"/s","type":"made","data":null}', '{}'),
  ('{"specversion":"1.0","id":"7","source":"/s","type":"made","datacontenttype":"application/json","data_base64":"eyJhIjoxfQ=="}', '{}'),
  ('{"specversion":"1.0","id":"7","source":"/s","type":"made","datacontenttype":"image/png","data_base64":"AP8Q"}', '{}')) t(v, h);
SELECT unwrap_column('cloudevents', '{"specversion":"1.0","id":"7","source":"/s","type":"made","data_base64":"AP8Q"}', '{}', false, 0, 'data', 'bytea', -1);
SELECT unwrap_column('cloudevents', '{"specversion":"1.0","id":"7","source":"/s","type":"made","datacontenttype":"text/plain","data_base64":"bm8ge30="}', '{}', false, 0, 'data', 'jsonb', -1);
SELECT unwrap('cloudevents', NULL::bytea);
CREATE FUNCTION refusal(v text, h text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE d text;
BEGIN
  RETURN unwrap('cloudevents', v, h);
EXCEPTION WHEN data_exception THEN
  GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
  RETURN SQLSTATE || ' ' || SQLERRM || ': ' || d;
END $$;
SELECT refusal(v, h) FROM (VALUES ('{"a":1}', '{}'::text[]), ('[1]', '{}'), ('{"specversion":"1.0","id":"7","type":"made"}', '{}'), ('{}', ARRAY['ce_id', '1']),
  ('{"specversion":"1.0","id":"7","source":"/s","type":"made","data_base64":"?"}', '{}'), ('[]', ARRAY['content-type', 'application/cloudevents-batch+json']),
  ('{', ARRAY['ce_specversion', '1.0', 'ce_id', '7', 'ce_source', '/s', 'ce_type', 'made'])) t(v, h);
SELECT unwrap('none', '{"schema":1,"payload":2}');
DROP SCHEMA convert_unwrap CASCADE;
