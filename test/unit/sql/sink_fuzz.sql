-- Our decoders against PostgreSQL's own, on random bytes.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
CREATE SCHEMA sink_fuzz;
SET search_path = sink_fuzz, public;
CREATE FUNCTION unit_fuzz_value(kind text, seed integer, n integer, spoil integer DEFAULT -1) RETURNS integer LANGUAGE C AS :'module';
CREATE FUNCTION unit_fuzz_row(type regtype, seed integer, n integer, spoil integer DEFAULT -1) RETURNS integer LANGUAGE C AS :'module';

CREATE TYPE pair AS (x integer, y varchar(3));
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(5) CHECK (VALUE <> 'abc');
CREATE DOMAIN few_pairs AS pair[] CHECK (array_length(VALUE, 1) < 2);
CREATE TYPE level AS ENUM ('low', 'high');
CREATE TABLE everything (
  i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, n numeric, n102 numeric(10,2), n33 numeric(3,3), n5m2 numeric(5,-2),
  b boolean, t text, v5 varchar(5), c5 char(5), na name, d date, ts timestamp, tz timestamptz, ts0 timestamp(0), tz3 timestamptz(3),
  tz6 timestamptz(6), u uuid, by bytea, j json, jb jsonb, ai integer[], at text[], ad date[], p pair, ap pair[], dp positive, dc code,
  dps few_pairs, l level, iv interval, ip inet, pt point, tm time, b3 bit(3), x xml, mo money);

-- some of the cases are errors, the same on both sides
SELECT unit_fuzz_value('jsonb', 1, 20000) > 0 AS jsonb, unit_fuzz_value('json', 2, 10000) > 0 AS json;
SELECT unit_fuzz_row('everything', 3, 4000) > 0 AS rows;
-- whatever the session's settings are
SET datestyle = 'German';
SET timezone = 'America/New_York';
SELECT unit_fuzz_row('everything', 4, 2000) > 0 AS rows;
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Kolkata';
SELECT unit_fuzz_row('everything', 5, 1000) > 0 AS rows;
RESET datestyle;
RESET timezone;
-- other cases each time; a difference tells its seed
\set seed `echo $((RANDOM * 32768 + RANDOM))`
SELECT unit_fuzz_value('jsonb', :seed, 20000) > 0 AS jsonb, unit_fuzz_value('json', :seed, 5000) > 0 AS json,
       unit_fuzz_row('everything', :seed, 2000) > 0 AS rows;

-- a difference is noticed
SELECT unit_fuzz_value('jsonb', 1, 100, 50);
SELECT unit_fuzz_row('everything', 1, 100, 50);

DROP SCHEMA sink_fuzz CASCADE;

-- messages are UTF-8 in other databases too
SELECT current_database() AS here \gset
CREATE DATABASE unit_sink_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
\c unit_sink_latin1
CREATE FUNCTION unit_fuzz_value(kind text, seed integer, n integer, spoil integer DEFAULT -1) RETURNS integer LANGUAGE C AS :'module';
CREATE FUNCTION unit_fuzz_row(type regtype, seed integer, n integer, spoil integer DEFAULT -1) RETURNS integer LANGUAGE C AS :'module';
CREATE TABLE few (t text, j json, jb jsonb, i integer);
SELECT unit_fuzz_value('jsonb', 6, 5000) > 0 AS jsonb, unit_fuzz_value('json', 7, 5000) > 0 AS json, unit_fuzz_row('few', 8, 2000) > 0 AS rows;
\c :here
DROP DATABASE unit_sink_latin1;
