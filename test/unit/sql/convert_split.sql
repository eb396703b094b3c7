-- Messages that hold several values: message.element:value, in order.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
CREATE SCHEMA convert_split;
SET search_path = convert_split, public;
CREATE FUNCTION unit_split(by text, vals bytea[]) RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION unit_split_many(count int) RETURNS int LANGUAGE C AS :'module';
CREATE FUNCTION split(by text, VARIADIC texts text[]) RETURNS text LANGUAGE sql AS
  $$SELECT unit_split(by, array_agg(convert_to(t, 'UTF8') ORDER BY n)) FROM unnest(texts) WITH ORDINALITY AS u(t, n)$$;

-- arrays
SELECT split('array', '[{"a": 1}, {"b": [2, 3]} ,4,"x",null]');
SELECT split('array', E' \n[ 1 ]\t', '[]', '[ ]', NULL, '[[], {}]');
SELECT split('array', '["],[", "\"]", "\\", {"]": "}"}]', '["ü", "𝄞"]');
-- what is wrong inside of an element is for its reader
SELECT split('array', '[{"a": 1] , tru, "x" "y", 1 2]');
SELECT split('array', '[1, [2}, 3]');
SELECT split('array', convert_from('\x5b22c3a5225d', 'UTF8'));
-- no arrays
SELECT split('array', '');
SELECT split('array', '{"a": 1}');
SELECT split('array', '[1], [2]');
SELECT split('array', '[1');
SELECT split('array', '[');
SELECT split('array', '["a]');
SELECT split('array', '["a\');
SELECT split('array', '[1}');
SELECT split('array', '[,]');
SELECT split('array', '[1,,2]');
SELECT split('array', '[1,]');
SELECT split('array', '[1] x');

-- lines
SELECT split('lines', E'{"a": 1}\n{"b": 2}\n');
SELECT split('lines', E'1\r\n\r\n \n2', E'\n\n', '', NULL, E'3');
SELECT split('lines', E'[1,\n2]');

-- more than are taken at a time
SELECT unit_split_many(n) FROM unnest('{1,999,1000,1001,2000,2500,100000}'::int[]) n;
SELECT regexp_replace(split('lines', repeat(E'1\n', 999), E'2\n3', '4'), '(0\.\d+:1 \| )+', '');
