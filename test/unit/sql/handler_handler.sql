-- What a handler gets, and what becomes of its errors, in a process of its own.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kafka_events;
CREATE FUNCTION unit_session(owner regrole, steps text[]) RETURNS SETOF text LANGUAGE C STRICT AS :'module';

CREATE ROLE regress_exec_owner LOGIN;
CREATE SCHEMA shop AUTHORIZATION regress_exec_owner;
ALTER ROLE regress_exec_owner SET search_path = shop, public;
SET ROLE regress_exec_owner;
SET search_path = shop, public;

CREATE TABLE seen (n integer GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION take_jsonb(m jsonb) RETURNS integer LANGUAGE sql AS
  $$INSERT INTO seen (what) VALUES (COALESCE('jsonb ' || m::text, 'none')) RETURNING n$$;
CREATE FUNCTION take_json(m json) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES ('json ' || m::text); END$$;
CREATE FUNCTION take_text(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES ('text ' || m); END$$;
CREATE FUNCTION take_bytea(m bytea) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES ('bytea ' || m::text); END$$;
RESET ROLE;

-- every kind of argument
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler take_jsonb(jsonb)', 'message {"b": [1, 2], "a": "x"}', 'message null', 'tombstone', 'run',
  'handler take_json(json)', 'message {"b":  1}', 'tombstone', 'run',
  'handler take_text(text)', 'message not json', 'message', 'run',
  'handler take_bytea(bytea)', 'bytes 00ff', 'tombstone', 'run']);
SELECT n, what FROM shop.seen ORDER BY n;

-- bytes that the type cannot hold are the message's fault, and its number is known
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler take_jsonb(jsonb)', 'message {}', 'message {"a":', 'message {}', 'run',
  'bytes 7b2261223a22ff227d', 'run',
  'bytes 7b2261223a225c7530303030227d', 'run',
  'handler take_text(text)', 'bytes 610062', 'run', 'bytes 61ff62', 'run']);
SELECT count(*) FROM shop.seen;

-- rows: by name, by the types' own rules, domains included
SET ROLE regress_exec_owner;
CREATE DOMAIN amount AS numeric(8,2) CHECK (VALUE > 0);
CREATE DOMAIN needed AS text NOT NULL;
CREATE TYPE address AS (street text, city needed);
CREATE TYPE orders_event AS (id bigint, total amount, tags text[], at timestamptz, "to" address);
CREATE TABLE orders (id bigint PRIMARY KEY, gone text, total amount, note text DEFAULT 'the default');
ALTER TABLE orders DROP COLUMN gone;
CREATE DOMAIN checked_event AS orders_event CHECK ((VALUE).id > 0);
CREATE TYPE strict_event AS (id integer, name needed);
CREATE FUNCTION take_event(m orders_event) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (COALESCE(m::text, 'none')); END$$;
CREATE FUNCTION take_checked(m checked_event) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (m::text); END$$;
CREATE FUNCTION take_strict_event(m strict_event) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (m::text); END$$;
CREATE FUNCTION take_row(o orders) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO orders SELECT o.*; END$$;
TRUNCATE seen;
RESET ROLE;
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler take_event(orders_event)',
  'message {"total": "12.345", "id": 7, "tags": ["a", "b c"], "at": "2024-01-02T03:04:05Z", "other": 1, "to": {"street": "s", "city": "c"}}',
  'message {}', 'message {"to": null}', 'tombstone', 'run',
  'message {"id": "x"}', 'run',
  'message {"total": 0}', 'run',
  'message {"to": {"street": "s"}}', 'run',
  'message [1]', 'run',
  'message 1', 'run',
  'message null', 'run',
  'handler take_checked(checked_event)', 'message {"id": 1}', 'run', 'message {"id": -1}', 'run',
  'handler take_strict_event(strict_event)', 'message {"id": 1, "name": "n"}', 'run', 'message {"id": 1}', 'run',
  'handler take_row(orders)', 'message {"id": 1, "total": 5}', 'message {"id": 2, "note": "x", "gone": 1}', 'run',
  'message {"id": 2}', 'run']);
SELECT what FROM shop.seen ORDER BY n;
SELECT * FROM shop.orders;

-- a row type that changes while the process runs
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler take_row(orders)', 'message {"id": 3, "extra": 33}', 'run',
  'sql ALTER TABLE orders ADD COLUMN extra integer',
  'message {"id": 4, "extra": 44}', 'run',
  'sql ALTER TABLE orders DROP COLUMN note',
  'message {"id": 5, "extra": 55, "note": "x"}', 'run']);
SELECT * FROM shop.orders WHERE id > 2;
-- and types that are nested in it
SET ROLE regress_exec_owner;
CREATE TYPE nested AS (a integer, b text);
CREATE TYPE nesting AS (id integer, n nested, l nested[]);
CREATE FUNCTION take_nesting(m nesting) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (m::text); END$$;
TRUNCATE seen;
RESET ROLE;
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler take_nesting(nesting)', 'message {"id": 1, "n": {"a": 1, "b": "q"}, "l": [{"a": 1}]}', 'run',
  'sql ALTER TYPE nested ALTER ATTRIBUTE a TYPE text',
  'message {"id": 2, "n": {"a": "hello", "b": "q"}, "l": [{"a": "x"}]}', 'run',
  'sql ALTER TYPE nested DROP ATTRIBUTE b, ADD ATTRIBUTE b integer',
  'message {"id": 3, "n": {"a": "hello", "b": 9}, "l": [{"b": "9"}]}', 'run']);
SELECT what FROM shop.seen ORDER BY n;

-- the whole message, alone and in a batch
SET ROLE regress_exec_owner;
CREATE FUNCTION take_message(m kafka_message) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (format('%s %s %s %s %s %s %s %s', m.topic, m.partition, m."offset",
    extract(epoch FROM m."timestamp"), m.key, m.value, m.headers, m.attempt)); END$$;
CREATE FUNCTION take_batch(m kafka_message[]) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) SELECT format('%s of %s: %s %s', o, cardinality(m), b."offset", b.value)
            FROM unnest(m) WITH ORDINALITY AS b (topic, partition, "offset", ts, key, value, headers, attempt, o); END$$;
TRUNCATE seen;
RESET ROLE;
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler take_message(kafka_message)', 'message abc', 'key k1', 'header a 1', 'header b', 'message {}', 'tombstone', 'run',
  'handler take_batch(kafka_message[])', 'message one', 'tombstone', 'bytes ff', 'run', 'message alone', 'run']);
SELECT what FROM shop.seen ORDER BY n;

-- STRICT: a tombstone is skipped, but not where the message itself is the argument
SET ROLE regress_exec_owner;
CREATE FUNCTION take_strict(m jsonb) RETURNS void STRICT LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (m); END$$;
CREATE FUNCTION take_strict_message(m kafka_message) RETURNS void STRICT LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (m.value IS NULL); END$$;
TRUNCATE seen;
RESET ROLE;
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler take_strict(jsonb)', 'tombstone', 'message {}', 'tombstone', 'run',
  'sql ALTER FUNCTION take_strict CALLED ON NULL INPUT', 'tombstone', 'run',
  'handler take_strict_message(kafka_message)', 'tombstone', 'run']);
SELECT what FROM shop.seen ORDER BY n;

-- kafka_current_message(): in a call of one message, nowhere else
SET ROLE regress_exec_owner;
CREATE FUNCTION ask(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) SELECT c::text FROM kafka_current_message() c; END$$;
CREATE FUNCTION ask_all(m kafka_message[]) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (COALESCE(kafka_current_message()::text, 'none')); END$$;
CREATE FUNCTION ask_and_fail(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN PERFORM kafka_current_message(); RAISE 'no'; END$$;
TRUNCATE seen;
RESET ROLE;
SELECT kafka_current_message() IS NULL;
SET timezone = 'UTC';
ALTER ROLE regress_exec_owner SET timezone = 'UTC';
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler ask(text)', 'key k', 'header h 1', 'message value', 'tombstone', 'run', 'sql SELECT kafka_current_message()',
  'handler ask_and_fail(text)', 'message x', 'run', 'sql SELECT kafka_current_message()',
  'handler ask_all(kafka_message[])', 'message x', 'run']);
SELECT what FROM shop.seen ORDER BY n;

-- domains over the types that a handler can take
SET ROLE regress_exec_owner;
CREATE DOMAIN object AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
CREATE DOMAIN some_text AS text NOT NULL;
CREATE DOMAIN small_batch AS kafka_message[] CHECK (cardinality(VALUE) < 3);
CREATE FUNCTION take_object(m object) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (COALESCE(m::text, 'none')); END$$;
CREATE FUNCTION take_some_text(m some_text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (m); END$$;
CREATE FUNCTION take_small_batch(m small_batch) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) VALUES (cardinality(m)); END$$;
TRUNCATE seen;
RESET ROLE;
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler take_object(object)', 'message {}', 'tombstone', 'run', 'message []', 'run',
  'handler take_some_text(some_text)', 'message x', 'run', 'tombstone', 'run',
  'handler take_small_batch(small_batch)', 'message x', 'message x', 'run', 'message x', 'message x', 'message x', 'run']);
SELECT what FROM shop.seen ORDER BY n;

-- each call sees what the calls before it did, whatever the language
SET ROLE regress_exec_owner;
CREATE FUNCTION count_plpgsql(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO seen (what) SELECT count(*) FROM seen; END$$;
CREATE FUNCTION count_sql(m text) RETURNS void LANGUAGE sql AS
  $$INSERT INTO seen (what) SELECT count(*) FROM seen$$;
TRUNCATE seen;
RESET ROLE;
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler count_plpgsql(text)', 'message x', 'message x', 'run', 'message x', 'message x', 'abort', 'message x', 'run',
  'handler count_sql(text)', 'message x', 'message x', 'run']);
SELECT string_agg(what, ' ' ORDER BY n) FROM shop.seen;

-- things that are no handlers do not crash
SET ROLE regress_exec_owner;
CREATE FUNCTION many(m text) RETURNS SETOF text LANGUAGE sql AS $$SELECT m$$;
CREATE FUNCTION two(m text, n integer DEFAULT 1) RETURNS text LANGUAGE sql AS $$SELECT m$$;
CREATE PROCEDURE proc(m text) LANGUAGE plpgsql AS $$BEGIN COMMIT; END$$;
RESET ROLE;
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler many(text)', 'message x', 'run', 'handler two(text,integer)', 'message x', 'run',
  'handler proc(text)', 'message x', 'run', 'handler max(text)', 'message x', 'run']);

-- functions that do what they must not: transaction control, a callee that is gone
SET ROLE regress_exec_owner;
CREATE FUNCTION commits(m text) RETURNS void LANGUAGE plpgsql AS $$BEGIN COMMIT; END$$;
CREATE FUNCTION rolls_back(m text) RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE 'ROLLBACK'; END$$;
CREATE FUNCTION calls_proc(m text) RETURNS void LANGUAGE plpgsql AS $$BEGIN CALL proc(m); END$$;
CREATE FUNCTION handles_errors(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN INSERT INTO seen (what) VALUES ('caught'); END$$;
CREATE FUNCTION listens(m text) RETURNS void LANGUAGE plpgsql AS $$BEGIN LISTEN channel; END$$;
TRUNCATE seen;
RESET ROLE;
SELECT unit_session('regress_exec_owner', ARRAY[
  'handler commits(text)', 'message x', 'run', 'handler rolls_back(text)', 'message x', 'run',
  'handler calls_proc(text)', 'message x', 'run', 'handler listens(text)', 'message x', 'run',
  'handler handles_errors(text)', 'message x', 'message y', 'run']);
SELECT what FROM shop.seen;

DROP SCHEMA shop CASCADE;
DROP ROLE regress_exec_owner;
