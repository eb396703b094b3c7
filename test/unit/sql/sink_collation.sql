-- Keys that are equal by their collation.
-- without ICU there is none
SELECT count(*) = 0 AS skip FROM pg_collation WHERE collprovider = 'i' \gset
\if :skip
\quit
\endif
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
CREATE SCHEMA sink_collation;
SET search_path = sink_collation, public;
CREATE FUNCTION unit_sink_write(target regclass, format text, on_conflict text, reference boolean, keys bytea[], vals bytea[])
  RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION bytes(VARIADIC texts text[]) RETURNS bytea[] LANGUAGE sql AS
  $$SELECT array_agg(convert_to(t, 'UTF8') ORDER BY n) FROM unnest(texts) WITH ORDINALITY AS u(t, n)$$;
CREATE FUNCTION upsert(target regclass, keys bytea[], VARIADIC vals text[]) RETURNS text LANGUAGE sql AS
  $$SELECT unit_sink_write(target, 'fields', 'update', false, keys, bytes(VARIADIC vals))$$;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE pairs (a numeric, b text COLLATE any_case, v integer, PRIMARY KEY (b, a));
SELECT upsert('pairs', bytes('', '', '{"b":"X","a":1.00}', ''),
  '{"a":1,"b":"x","v":1}', '{"a":2,"b":"y","v":1}', NULL, '{"a":2.0,"b":"Y","v":2}');
SELECT * FROM pairs;
DROP SCHEMA sink_collation CASCADE;
