-- Time limits and cancels of handlers.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kafka_events;
CREATE OR REPLACE FUNCTION unit_session(owner regrole, steps text[]) RETURNS SETOF text LANGUAGE C STRICT AS :'module';
CREATE ROLE regress_exec_timed LOGIN;
CREATE SCHEMA timed AUTHORIZATION regress_exec_timed;
ALTER ROLE regress_exec_timed SET search_path = timed, public;
SET ROLE regress_exec_timed;
SET search_path = timed, public;
CREATE TABLE seen (n integer GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION run_it(statement text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN EXECUTE statement; END$$;
CREATE FUNCTION run_all(m kafka_message[]) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_sleep(convert_from(b.value, 'UTF8')::float8) FROM unnest(m) b; END$$;
CREATE FUNCTION burn(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN LOOP NULL; END LOOP; END$$;

-- functions that catch the cancel
CREATE FUNCTION give_in(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN
      PERFORM pg_sleep(60);
    EXCEPTION WHEN query_canceled THEN
      INSERT INTO seen (what) VALUES ('caught ' || m);
    END$$;
CREATE FUNCTION give_in_late(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN
      PERFORM pg_sleep(60);
    EXCEPTION WHEN query_canceled THEN
      RAISE EXCEPTION 'my own words' USING errcode = 'KE003';
    END$$;
CREATE FUNCTION never_give_in(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN
      LOOP
        BEGIN
          PERFORM pg_sleep(60);
        EXCEPTION WHEN query_canceled THEN NULL;
        END;
      END LOOP;
    END$$;
RESET ROLE;

-- the limit is for each call, not for the batch; the text names it, and it is ours
SELECT unit_session('regress_exec_timed', ARRAY[
  'handler run_it(text) 2000',
  'message SELECT pg_sleep(0.6)', 'message SELECT pg_sleep(0.6)', 'message SELECT pg_sleep(0.6)', 'message SELECT pg_sleep(0.6)', 'run',
  'handler run_it(text) 100', 'message SELECT 1', 'message SELECT pg_sleep(60)', 'run', 'message SELECT 1', 'run',
  'handler burn(text) 100', 'message x', 'run',
  'handler run_all(kafka_message[]) 100', 'message 0', 'message 60', 'run', 'message 0', 'run']);

-- it also ends waiting for a lock
BEGIN;
LOCK TABLE timed.seen;
SELECT unit_session('regress_exec_timed', ARRAY[
  'handler run_it(text) 100', 'message INSERT INTO seen (what) VALUES (1)', 'run',
  'handler run_it(text) 10000', 'message SET lock_timeout = ''20ms''; INSERT INTO seen (what) VALUES (1)', 'run']);
COMMIT;

-- what was caught is the function's own affair, as long as it comes to an end
SELECT unit_session('regress_exec_timed', ARRAY[
  'handler give_in(text) 300', 'message 1', 'message 2', 'run',
  'handler give_in_late(text) 100', 'message x', 'run', 'sql SELECT what FROM seen ORDER BY n DESC',
  'handler never_give_in(text) 100', 'message x', 'run', 'sql SELECT 1']);

-- a cancel by somebody else is not a timeout, and hits one call only
SELECT unit_session('regress_exec_timed', ARRAY[
  'handler run_it(text)', 'message SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)', 'run', 'message SELECT 1', 'run',
  'message SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)', 'run', 'message SELECT 1', 'run']);

DROP SCHEMA timed CASCADE;
DROP ROLE regress_exec_timed;
