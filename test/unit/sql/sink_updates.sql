-- on_conflict update as options say it: which columns, if newer, tombstones;
-- and fields for columns that only PostgreSQL writes.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
CREATE SCHEMA sink_updates;
SET search_path = sink_updates, public;
CREATE FUNCTION unit_sink_options(VARIADIC options text[]) RETURNS void LANGUAGE C AS :'module';
CREATE FUNCTION unit_sink_write(target regclass, format text, on_conflict text, reference boolean, keys bytea[], vals bytea[])
  RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION bytes(VARIADIC texts text[]) RETURNS bytea[] LANGUAGE sql AS
  $$SELECT array_agg(convert_to(t, 'UTF8') ORDER BY n) FROM unnest(texts) WITH ORDINALITY AS u(t, n)$$;
CREATE FUNCTION upsert(target regclass, VARIADIC vals text[]) RETURNS text LANGUAGE sql AS
  $$SELECT unit_sink_write(target, 'fields', 'update', false, '{}', bytes(VARIADIC vals))$$;

-- columns that are present
CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b text DEFAULT 'none', c int, twice int GENERATED ALWAYS AS (a * 2) STORED);
SELECT unit_sink_options('update_columns', 'present');
SELECT upsert('t', '{"id": 1, "a": 1, "b": "one", "c": 1}', '{"id": 2, "a": 2}');
-- a row that is there need not be whole in the message; null is a value
SELECT upsert('t', '{"id": 1, "c": 5}', '{"id": 2, "b": null}');
TABLE t ORDER BY id;
-- one that is not there must be; several of one key are put together
SELECT upsert('t', '{"id": 3, "c": 5}');
SELECT upsert('t', '{"id": 3, "c": 5}', '{"id": 1, "b": "x"}', '{"id": 3, "a": 7}', '{"id": 1, "c": 6}', '{"id": 3, "c": 8}');
TABLE t ORDER BY id;
-- nothing but the key; after a tombstone a row begins anew
SELECT upsert('t', '{"id": 1}');
SELECT unit_sink_write('t', 'fields', 'update', false, bytes('1', '1', '2'), bytes('{"id": 1, "c": 9}', NULL, '{"id": 1, "a": 3}'));
SELECT unit_sink_write('t', 'fields', 'update', false, bytes('2', '2', '2'), bytes('{"id": 2, "a": 5}', '{"id": 2, "c": 1}', NULL));
TABLE t ORDER BY id;
SELECT unit_sink_options('update_columns', 'all');
SELECT upsert('t', '{"id": 1, "a": 4}');
TABLE t ORDER BY id;
DROP TABLE t;

-- views, and partitions
CREATE TABLE t (id int PRIMARY KEY, a int, b text DEFAULT 'none') PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);
SELECT unit_sink_options('update_columns', 'present', 'update_if', 'a');
SELECT upsert('t', '{"id": 1, "a": 1, "b": "x"}', '{"id": 11, "a": 1}');
SELECT upsert('t', '{"id": 1, "a": 2}', '{"id": 11, "a": 0, "b": "older"}', '{"id": 12, "a": 0}', '{"id": 11, "a": 3}', '{"id": 12, "a": -1, "b": "older"}');
TABLE t ORDER BY id;
DROP TABLE t;

-- newer rows only
CREATE TABLE t (id int PRIMARY KEY, at timestamptz, v text);
SET timezone = 'UTC';
SELECT unit_sink_options('update_if', 'at');
SELECT upsert('t', '{"id": 1, "at": "2024-05-02", "v": "new"}', '{"id": 2, "at": "2024-05-02", "v": "a"}', '{"id": 2, "at": "2024-05-03", "v": "b"}',
  '{"id": 2, "at": "2024-05-01", "v": "older"}');
SELECT upsert('t', '{"id": 1, "at": "2024-05-01", "v": "older"}', '{"id": 2, "at": "2024-05-03", "v": "same time"}');
INSERT INTO t VALUES (3, NULL, 'no time');
SELECT upsert('t', '{"id": 3, "at": "2000-01-01", "v": "first"}');
TABLE t ORDER BY id;
SELECT upsert('t', '{"id": 3, "v": "no time"}');
SELECT upsert('t', '{"id": 3, "at": null, "v": "no time"}');
-- a tombstone deletes, whatever is newer; what comes behind begins anew
SELECT unit_sink_write('t', 'fields', 'update', false, bytes('1', '1', '2'), bytes(NULL, '{"id": 1, "at": "1999-01-01", "v": "again"}', NULL));
TABLE t ORDER BY id;
-- a column that goes away
ALTER TABLE t RENAME at TO moment;
SELECT upsert('t', '{"id": 3, "at": "2024-05-05"}');
DROP TABLE t;
-- by what Kafka says
CREATE TABLE t (id int PRIMARY KEY, kafka_offset bigint, v text);
INSERT INTO t VALUES (1, 5, 'kept'), (2, 0, 'old');
SELECT unit_sink_options('update_if', 'kafka_offset');
SELECT upsert('t', '{"id": 1, "v": "older"}', '{"id": 2, "v": "newer"}');
TABLE t ORDER BY id;
DROP TABLE t;

-- tombstones
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE e (key text, value text);
INSERT INTO t VALUES (1, 'there');
CREATE FUNCTION tombstone(choice text) RETURNS TABLE (fields text, ignored text, updated text, envelope text) LANGUAGE sql AS $$
  SELECT unit_sink_write('t', 'fields', 'error', false, bytes('1', '9'), bytes(NULL, '{"id": 9}')),
    unit_sink_write('t', 'fields', 'ignore', true, bytes('1', '9'), bytes(NULL, '{"id": 9}')),
    unit_sink_write('t', 'fields', 'update', false, bytes('1', '9'), bytes(NULL, '{"id": 9}')),
    unit_sink_write('e', 'envelope', 'error', false, bytes('1', '9'), bytes(NULL, '{"id": 9}'))
  FROM unit_sink_options('tombstones', choice)$$;
SELECT * FROM tombstone('ignore');
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM e);
TRUNCATE e;
DELETE FROM t WHERE id = 9;
SELECT * FROM tombstone('dead_letter');
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM e);
DROP TABLE t, e;

-- columns that only PostgreSQL writes
CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, n int GENERATED ALWAYS AS IDENTITY, d int GENERATED BY DEFAULT AS IDENTITY);
SELECT unit_sink_options('generated_columns', 'error');
SELECT upsert('t', '{"id": 1, "twice": 5}');
SELECT upsert('t', '{"id": 1, "n": 5}');
SELECT unit_sink_options('generated_columns', 'ignore');
SELECT upsert('t', '{"id": 1, "twice": 5, "n": 50, "d": 70}');
SELECT unit_sink_write('t', 'fields', 'error', false, '{}', bytes('{"id": 2, "twice": "no number", "n": null}'));
TABLE t;
DROP TABLE t;

-- A batch comes to the same as its messages one by one, and as what SQL makes
-- of them; with triggers, which see each step, too.
CREATE TABLE tally (present boolean, newer boolean, trigger boolean, messages int, rows bigint);
CREATE FUNCTION one_by_sql(present boolean, newer boolean, key text, val jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  k int := key::int;
  there record;
BEGIN
  SELECT * INTO there FROM by_sql WHERE id = k;
  IF val IS NULL THEN
    DELETE FROM by_sql WHERE id = k;
  ELSIF there.id IS NULL THEN
    INSERT INTO by_sql VALUES (k, (val ->> 'v')::int, CASE WHEN val ? 'a' THEN val ->> 'a' ELSE 'def' END, val ->> 'b');
  ELSIF newer AND (val ->> 'v')::int <= there.v THEN
    NULL;
  ELSE
    UPDATE by_sql SET v = CASE WHEN val ? 'v' OR NOT present THEN (val ->> 'v')::int ELSE by_sql.v END,
                      a = CASE WHEN val ? 'a' THEN val ->> 'a' WHEN present THEN by_sql.a ELSE 'def' END,
                      b = CASE WHEN val ? 'b' OR NOT present THEN val ->> 'b' ELSE by_sql.b END
    WHERE id = k;
  END IF;
END$$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN coalesce(NEW, OLD); END$$;
CREATE FUNCTION updates_case(seed integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  present boolean := seed % 2 = 0;
  newer boolean := seed % 3 = 0;
  trigger boolean := seed % 5 = 0;
  keys bytea[];
  vals bytea[];
BEGIN
  PERFORM setseed(seed / 100000.0);
  CREATE TABLE batch (id int PRIMARY KEY, v int, a text DEFAULT 'def', b text);
  CREATE TABLE single (LIKE batch INCLUDING ALL);
  CREATE TABLE by_sql (LIKE batch INCLUDING ALL);
  IF trigger THEN
    CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON batch FOR EACH ROW EXECUTE FUNCTION nothing();
  END IF;
  INSERT INTO batch SELECT i, 50, 'old', 'old' FROM generate_series(0, 3) i;
  INSERT INTO single TABLE batch;
  INSERT INTO by_sql TABLE batch;
  IF newer THEN
    PERFORM unit_sink_options('update_columns', CASE WHEN present THEN 'present' ELSE 'all' END, 'update_if', 'v');
  ELSE
    PERFORM unit_sink_options('update_columns', CASE WHEN present THEN 'present' ELSE 'all' END);
  END IF;
  SELECT array_agg(convert_to(k::text, 'UTF8') ORDER BY n), array_agg(convert_to(v::text, 'UTF8') ORDER BY n) INTO keys, vals
  FROM (SELECT n, k, CASE WHEN random() < 0.2 THEN NULL ELSE jsonb_build_object('id', k) ||
               CASE WHEN newer OR random() < 0.6 THEN jsonb_build_object('v', floor(random() * 100)) ELSE '{}' END ||
               CASE WHEN random() < 0.5 THEN jsonb_build_object('a', 'a' || n) ELSE '{}' END ||
               CASE WHEN random() < 0.3 THEN jsonb_build_object('b', 'b' || n) WHEN random() < 0.2 THEN '{"b": null}' ELSE '{}' END END AS v
        FROM (SELECT n, floor(random() * 6)::int AS k FROM generate_series(1, 25) n) r) m;
  PERFORM unit_sink_write('batch', 'fields', 'update', false, keys, vals);
  FOR i IN 1 .. cardinality(keys) LOOP
    PERFORM unit_sink_write('single', 'fields', 'update', false, keys[i:i], vals[i:i]);
    PERFORM one_by_sql(present, newer, convert_from(keys[i], 'UTF8'), convert_from(vals[i], 'UTF8')::jsonb);
  END LOOP;
  IF EXISTS (TABLE batch EXCEPT TABLE by_sql) OR EXISTS (TABLE by_sql EXCEPT TABLE batch) THEN
    RETURN format('seed %s: a batch and SQL differ: %s | %s', seed, (SELECT string_agg(r::text, ' ' ORDER BY id) FROM batch r),
                  (SELECT string_agg(r::text, ' ' ORDER BY id) FROM by_sql r));
  ELSIF EXISTS (TABLE single EXCEPT TABLE by_sql) OR EXISTS (TABLE by_sql EXCEPT TABLE single) THEN
    RETURN format('seed %s: single messages and SQL differ', seed);
  END IF;
  INSERT INTO tally SELECT present, newer, trigger, cardinality(keys), count(*) FROM batch;
  DROP TABLE batch, single, by_sql;
  RETURN NULL;
END$$;
DO $$
DECLARE
  problem text;
BEGIN
  FOR i IN 1 .. 60 LOOP
    problem := updates_case(i);
    IF problem IS NOT NULL THEN
      RAISE EXCEPTION '%', problem;
    END IF;
  END LOOP;
END$$;
SELECT count(*), count(DISTINCT (present, newer, trigger)) AS kinds, sum(rows) > 200 AS many FROM tally;
DROP SCHEMA sink_updates CASCADE;
