-- Names and paths: which field each column's value is.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA sink_mapping;
SET search_path = sink_mapping, public;
CREATE FUNCTION unit_sink_options(VARIADIC options text[]) RETURNS void LANGUAGE C AS :'module';
CREATE FUNCTION unit_sink_write(target regclass, format text, on_conflict text, reference boolean, keys bytea[], vals bytea[])
  RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION unit_sink_open(target regclass, format text, on_conflict text, reference boolean)
  RETURNS void LANGUAGE C AS :'module';
CREATE FUNCTION unit_sink_again(keys bytea[], vals bytea[]) RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION unit_snake_case(text) RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION bytes(VARIADIC texts text[]) RETURNS bytea[] LANGUAGE sql AS
  $$SELECT array_agg(convert_to(t, 'UTF8') ORDER BY n) FROM unnest(texts) WITH ORDINALITY AS u(t, n)$$;

-- both ways of writing
CREATE FUNCTION write(VARIADIC vals text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  CREATE TABLE other (LIKE t INCLUDING ALL);
  INSERT INTO other TABLE t;
  RETURN NEXT unit_sink_write('t', 'fields', 'error', false, '{}', bytes(VARIADIC vals));
  PERFORM unit_sink_write('other', 'fields', 'error', true, '{}', bytes(VARIADIC vals));
  IF EXISTS (TABLE t EXCEPT ALL TABLE other) OR EXISTS (TABLE other EXCEPT ALL TABLE t) THEN
    RAISE EXCEPTION 'the two ways differ';
  END IF;
  DROP TABLE other;
END$$;

-- paths
CREATE TABLE t (id int, user_id int, city text DEFAULT 'none', first text, third text, "raw" jsonb, kafka_key text,
                again text, odd text, deep int);
SELECT unit_sink_options('column_map', '{"user_id": "userId", "city": "address.city", "first": "items[0].sku",
  "third": "items[2].sku", "raw": "$", "kafka_key": "key", "again": "address.city", "odd": "$.\"a.b\"[1][0].\"q\\\"\\\\\"",
  "deep": "m.m.m"}');
SELECT * FROM write(
  '{"id": 1, "userId": 7, "address": {"street": "x", "city": "Oslo"}, "items": [{"sku": "a"}, 5, {"sku": "c", "n": 1}], "key": "k",
    "a.b": [0, [{"q\"\\": "odd"}]], "m": {"m": {"m": 5}}}',
  -- nothing there, nothing of that kind, null on the way and at the end
  '{"id": 2, "user_id": 9, "city": "not this", "raw": 1, "first": "nor this"}',
  '{"id": 3, "address": "text", "items": {"0": {"sku": "x"}}, "a.b": [], "m": [1]}',
  '{"id": 4, "address": null, "items": [null, {"sku": "second"}], "m": {"m": null}}',
  '{"id": 5, "address": {"city": null}, "items": [{"sku": null}]}',
  -- what comes again replaces all of what came before
  '{"id": 6, "address": {"city": "a"}, "items": [{"sku": "x"}, 1, {"sku": "z"}], "address": {"no": 1}, "items": [{"sku": "y"}]}',
  '{"id": 7, "\u0061ddress": {"c\u0069ty": "B\u0065rn"}, "userId": 1, "userId": 2}');
SELECT id, user_id, city, again, first, third, kafka_key, odd, deep, raw IS NOT NULL AS raw FROM t ORDER BY id;
SELECT raw FROM t WHERE id = 2;
-- a failure names the column
SELECT write('{"address": {"city": "x"}, "m": {"m": {"m": "no"}}}');
SELECT write('[{"id": 1}]');

-- only paths: the value may be anything that they go into
CREATE TABLE s (v jsonb, kafka_offset bigint);
SELECT unit_sink_options('column_map', '{"v": "$"}');
SELECT unit_sink_write('s', 'fields', 'error', false, '{}', bytes('{"v": 2}'));
TABLE s;
DROP TABLE s, t;
CREATE TABLE t (v jsonb);
SELECT * FROM write('7', '[1, 2]', '"text"', 'null', '{"v": 2}');
TABLE t;
DROP TABLE t;
CREATE TABLE t (a int, b int);
SELECT unit_sink_options('column_map', '{"a": "[0]", "b": "[1].x"}');
SELECT * FROM write('[1, {"x": 2}]', '[3]', '[]', '{"a": 9}');
TABLE t;
DROP TABLE t;

-- a table that no longer has the column
CREATE TABLE t (id int, city text);
SELECT unit_sink_options('column_map', '{"city": "address.city"}');
SELECT unit_sink_open('t', 'fields', 'error', false);
SELECT unit_sink_again('{}', bytes('{"id": 1, "address": {"city": "Oslo"}}'));
ALTER TABLE t RENAME city TO town;
SELECT unit_sink_again('{}', bytes('{"id": 2, "address": {"city": "Bern"}}'));
ALTER TABLE t RENAME town TO city;
SELECT unit_sink_again('{}', bytes('{"id": 2, "address": {"city": "Bern"}}'));
TABLE t;
DROP TABLE t;

-- names in snake case
SELECT n, unit_snake_case(n) FROM unnest(ARRAY['userId', 'UserID', 'userID', 'HTTPServer', 'user_id', 'user-id', 'line2Text', 'X',
  'aB', 'ABC', 'Ärger', 'größeKlein', '']) n;
CREATE TABLE t (user_id int, http_server text, plain text, "userName" text, user_name text);
SELECT unit_sink_options('field_names', 'snake_case');
SELECT * FROM write('{"userId": 1, "HTTPServer": "a", "plain": "b", "userName": "exact", "UserName": "made"}',
  -- the very name wins, wherever it is; of others, the last
  '{"user_id": 2, "userId": 3}', '{"userId": 3, "user_id": 2}', '{"userId": 3, "UserId": 4}', '{"user_id": 1, "user_id": 2, "userId": 9}',
  '{"user\u0049d": 5}', '{"' || repeat('aB', 40) || '": 1, "userId": 6}');
TABLE t;
-- and paths, which are as they are written
SELECT unit_sink_options('field_names', 'snake_case', 'column_map', '{"plain": "inHere.plainText"}');
TRUNCATE t;
SELECT * FROM write('{"userId": 1, "inHere": {"plainText": "x", "plain_text": "y"}, "plain": "z", "in_here": 1}');
TABLE t;
DROP TABLE t;

-- many fields, more than are guessed, in changing order
DO $$
BEGIN
  EXECUTE (SELECT 'CREATE TABLE t (' || string_agg(format('column_%s int', i), ', ') || ')' FROM generate_series(1, 200) i);
END$$;
SELECT unit_sink_options('field_names', 'snake_case', 'column_map', '{"column_7": "a.b[3]"}');
SELECT unit_sink_open('t', 'fields', 'error', false);
SELECT unit_sink_again('{}', (SELECT array_agg(v) FROM (SELECT convert_to('{' || string_agg(
  CASE i WHEN 7 THEN format('"a": {"c": 1, "b": [1, 2, 3, %s]}', m * 1000 + i) ELSE format('"column-%s": %s', i, m * 1000 + i) END,
  ',' ORDER BY (i * m) % 211) || '}', 'UTF8')
  FROM generate_series(1, 200) i, generate_series(1, 5) m GROUP BY m) x(v)));
SELECT count(*), count(DISTINCT column_1) AS rows, bool_and(column_1 % 1000 = 1 AND column_7 - column_1 = 6 AND column_200 - column_1 = 199) AS right
  FROM t;
DROP TABLE t;

-- keys of tombstones: by the path, else by the column's name
CREATE TABLE t (tenant text, user_id int, v text, PRIMARY KEY (tenant, user_id));
INSERT INTO t SELECT 'x', i, 'old' FROM generate_series(1, 9) i;
SELECT unit_sink_options('column_map', '{"user_id": "user.id"}', 'field_names', 'snake_case');
SELECT unit_sink_write('t', 'fields', 'update', false,
  bytes('{"tenant": "x", "user": {"id": 1}}', '{"Tenant": "x", "user_id": 2}', '{"tenant": "x", "user_id": 9, "user": {"id": 3}}',
        '{"tenant": "x", "user": {"id": 4}, "user_id": 8}', NULL),
  bytes(NULL, NULL, NULL, NULL, '{"tenant": "x", "user": {"id": 5}, "v": "new"}'));
SELECT unit_sink_write('t', 'fields', 'update', false, bytes('{"tenant": "x", "userId": 5}'), bytes(NULL));
TABLE t ORDER BY 2;
DROP TABLE t;

-- what is wrong with a map
CREATE FUNCTION try(map text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  PERFORM unit_sink_options('column_map', map);
  PERFORM unit_sink_open('pg_class', 'fields', 'error', false);
  RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN SQLSTATE || ' ' || SQLERRM || ' ' || detail;
END$$;
\pset format unaligned
\pset tuples_only on
SELECT left(m, 40), try(m) FROM unnest(ARRAY['{}', '', '[]', '7', '{"a": 1}', '{"a": "b"', '{"a": ""}', '{"a": ".b"}', '{"a": "b."}',
  '{"a": "b..c"}', '{"a": "b[x]"}', '{"a": "b[-1]"}', '{"a": "b[0"}', '{"a": "b[1000000]"}', '{"a": "\"b"}', '{"a": "$b"}', '{"a": "$b.c"}',
  '{"a": "$.b"}', '{"a": "$[0]"}', '{"a": "$"}', '{"a": "[0][1]"}',
  '{"a": "b]"}', '{"a": "b c"}', '{"a": "b\"c\""}', '{"a": null}', '{"a": ["b"]}', '{"a": "b\u0000"}', '{"a": "$$"}',
  '{"a": "' || repeat('x.', 31) || 'x"}', '{"a": "' || repeat('x.', 32) || 'x"}', repeat('[', 100000)]) m;
DROP SCHEMA sink_mapping CASCADE;
