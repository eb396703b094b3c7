-- Messages that may not be processed: required headers and validators.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kafka_events;
CREATE OR REPLACE FUNCTION unit_session(owner regrole, steps text[]) RETURNS SETOF text LANGUAGE C STRICT AS :'module';
CREATE ROLE regress_exec_inspector LOGIN;
CREATE SCHEMA inspect AUTHORIZATION regress_exec_inspector;
ALTER ROLE regress_exec_inspector SET search_path = inspect, public;
SET ROLE regress_exec_inspector;
SET search_path = inspect, public;
CREATE FUNCTION handle(m text) RETURNS void LANGUAGE plpgsql AS $$BEGIN END$$;
CREATE FUNCTION is_object(m jsonb) RETURNS boolean STRICT LANGUAGE sql AS $$SELECT jsonb_typeof(m) = 'object'$$;
CREATE FUNCTION complaint(m kafka_message) RETURNS text LANGUAGE sql AS
  $$SELECT 'says: ' || convert_from(m.value, 'UTF8') WHERE m.value <> 'good'$$;
CREATE FUNCTION undecided(m jsonb) RETURNS boolean LANGUAGE sql AS $$SELECT NULL::boolean$$;
CREATE FUNCTION mistaken(m jsonb) RETURNS boolean LANGUAGE sql AS $$SELECT 1 / 0 = 1$$;
RESET ROLE;

-- headers: by exact name, whatever the value
SELECT unit_session('regress_exec_inspector', ARRAY[
  'handler handle(text)', 'required tenant', 'message x', 'run',
  'header Tenant 1', 'message x', 'run', 'header tenant', 'message x', 'tombstone', 'run']);

-- false is a rejection; NULL, and what a STRICT validator is not asked, is not
SELECT unit_session('regress_exec_inspector', ARRAY[
  'handler handle(text)', 'validator is_object(jsonb)', 'message {}', 'tombstone', 'run', 'message {}', 'message [1]', 'run', 'message {', 'run',
  'validator undecided(jsonb)', 'message {}', 'tombstone', 'run',
  'validator mistaken(jsonb)', 'message {}', 'run']);

-- a text is a rejection; as it may quote the message, it is not ours
SELECT unit_session('regress_exec_inspector', ARRAY[
  'handler handle(text)', 'validator complaint(kafka_message)', 'message good', 'tombstone', 'run', 'message good', 'message secret', 'run']);

-- the same checks as for handlers, and the same limit
SET ROLE regress_exec_inspector;
CREATE FUNCTION slow(m jsonb) RETURNS boolean LANGUAGE sql AS $$SELECT pg_sleep(60) IS NULL$$;
RESET ROLE;
CREATE FUNCTION inspect.forbidden(m jsonb) RETURNS boolean LANGUAGE sql AS $$SELECT true$$;
REVOKE EXECUTE ON FUNCTION inspect.forbidden FROM PUBLIC;
SELECT unit_session('regress_exec_inspector', ARRAY[
  'handler handle(text) 100', 'validator slow(jsonb)', 'message {}', 'run', 'validator forbidden(jsonb)', 'message {}', 'run']);

DROP SCHEMA inspect CASCADE;
DROP ROLE regress_exec_inspector;
