-- What user code leaves behind, and whom it runs as.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kafka_events;
CREATE OR REPLACE FUNCTION unit_session(owner regrole, steps text[]) RETURNS SETOF text LANGUAGE C STRICT AS :'module';

SELECT current_database() AS database \gset
CREATE ROLE regress_exec_service LOGIN;
CREATE ROLE regress_exec_other NOLOGIN;
CREATE ROLE regress_exec_third NOLOGIN;
GRANT regress_exec_other TO regress_exec_service;
CREATE SCHEMA service AUTHORIZATION regress_exec_service;
GRANT ALL ON SCHEMA service TO regress_exec_other;
GRANT USAGE ON SCHEMA service TO regress_exec_third;
ALTER ROLE regress_exec_service SET search_path = service, public;
ALTER ROLE regress_exec_service SET lock_timeout = '50ms';
ALTER ROLE regress_exec_service SET statement_timeout = '1ms';
ALTER ROLE regress_exec_service SET role = regress_exec_other;
SET ROLE regress_exec_service;
SET search_path = service, public;
CREATE TABLE seen (n integer GENERATED ALWAYS AS IDENTITY, what text);

-- run what the message says; its neighbours in the batch say who they are
CREATE FUNCTION run_it(statement text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN EXECUTE statement; END$$;
CREATE FUNCTION whoami() RETURNS text LANGUAGE sql AS
  $$SELECT format('%s/%s/%s', current_user, session_user, current_setting('role'))$$;
CREATE FUNCTION settings() RETURNS text LANGUAGE sql AS
  $$SELECT concat_ws(' ', current_setting('search_path'), current_setting('synchronous_commit'), current_setting('statement_timeout'),
      current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'), current_setting('work_mem'),
      current_setting('transaction_read_only'), current_setting('default_transaction_read_only'))$$;
CREATE FUNCTION leftovers() RETURNS text LANGUAGE sql AS
  $$SELECT format('%s locks, %s statements, %s cursors, %s temporary relations',
      (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
      (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors),
      (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()))$$;
GRANT ALL ON seen TO regress_exec_other, regress_exec_third;
RESET ROLE;

-- the session is the owner's, its timeouts are the worker's
SELECT unit_session('regress_exec_service', ARRAY['sql SELECT whoami()', 'sql SELECT settings()', 'sql SELECT leftovers()']);

-- settings: shared in a batch, gone after it, also from an aborted one
SELECT unit_session('regress_exec_service', ARRAY[
  'handler run_it(text)',
  'message SET work_mem = ''7MB''', 'message SET LOCAL statement_timeout = ''1min''', 'message SELECT set_config(''search_path'', ''public, service'', false)',
  'message INSERT INTO seen (what) SELECT settings()', 'run', 'sql SELECT settings()',
  'message SET work_mem = ''7MB''', 'abort', 'sql SELECT settings()',
  'message RESET ALL', 'message INSERT INTO seen (what) SELECT settings()', 'run', 'sql SELECT settings()',
  'message SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'run', 'sql SELECT settings()',
  'message SET TRANSACTION READ ONLY', 'message INSERT INTO seen (what) VALUES (''never'')', 'run', 'sql SELECT settings()',
  'message SET synchronous_commit TO DEFAULT', 'message SET statement_timeout TO DEFAULT', 'message INSERT INTO seen (what) SELECT settings()', 'run']);
SELECT what FROM service.seen ORDER BY n;
TRUNCATE service.seen;

-- a role does not even reach the next message
SELECT unit_session('regress_exec_service', ARRAY[
  'handler run_it(text)',
  'message SET ROLE regress_exec_other; INSERT INTO seen (what) SELECT whoami()', 'message INSERT INTO seen (what) SELECT whoami()',
  'message SET LOCAL ROLE regress_exec_other; INSERT INTO seen (what) SELECT whoami()', 'message INSERT INTO seen (what) SELECT whoami()',
  'message SELECT set_config(''role'', ''regress_exec_other'', false)', 'message INSERT INTO seen (what) SELECT whoami()',
  'message SET ROLE regress_exec_other', 'run', 'sql SELECT whoami()',
  'message SET ROLE regress_exec_other', 'message SELECT 1 / 0', 'run', 'sql SELECT whoami()',
  'message RESET ROLE', 'message INSERT INTO seen (what) SELECT whoami()', 'run']);
SELECT what FROM service.seen ORDER BY n;
TRUNCATE service.seen;

-- a superuser's session comes back from another one's authorization too
SET search_path = service, public;
CREATE FUNCTION run_as_superuser(statement text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN EXECUTE statement; END$$;
CREATE FUNCTION owned_by_other(statement text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN EXECUTE statement; END$$;
ALTER FUNCTION owned_by_other OWNER TO regress_exec_other;
ALTER FUNCTION service.whoami() OWNER TO CURRENT_USER;
SELECT current_user AS superuser \gset
SELECT r = concat_ws('/', :'superuser', :'superuser', 'none') AS same, replace(r, :'superuser', 'superuser') FROM unit_session(:'superuser', ARRAY[
  'handler service.run_as_superuser(text)', 'message SET SESSION AUTHORIZATION regress_exec_other',
  'message INSERT INTO service.seen (what) SELECT service.whoami()', 'run', 'sql SELECT what FROM service.seen', 'sql SELECT service.whoami()']) r;

-- and runs nobody else's functions, also not one that changes hands meanwhile
SELECT replace(r, :'superuser', 'superuser') FROM unit_session(:'superuser', ARRAY[
  'handler service.owned_by_other(text)', 'message SELECT 1', 'run',
  'handler service.run_as_superuser(text)', 'message SELECT 1', 'run',
  'message ALTER FUNCTION service.run_as_superuser OWNER TO regress_exec_other', 'message SELECT 1', 'run',
  'sql ALTER FUNCTION service.run_as_superuser OWNER TO regress_exec_other', 'message SELECT 1', 'run']) r;
RESET search_path;

-- deferred triggers run as the owner at commit, whatever role was left
TRUNCATE service.seen;
SET ROLE regress_exec_service;
SET search_path = service, public;
CREATE TABLE deferred (n integer);
GRANT ALL ON deferred TO regress_exec_other;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN
      INSERT INTO seen (what) VALUES (format('%s by %s, app.setting %s', NEW.n, whoami(), current_setting('app.setting', true)));
      IF NEW.n = 13 THEN RAISE 'not this one'; END IF;
      RETURN NULL;
    END$$;
CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
RESET ROLE;
SELECT unit_session('regress_exec_service', ARRAY[
  'handler run_it(text)', 'message INSERT INTO deferred VALUES (1); SET ROLE regress_exec_other', 'message SET LOCAL app.setting = ''on''',
  'message RESET ROLE; INSERT INTO deferred VALUES (2); SET ROLE regress_exec_other', 'run', 'sql SELECT current_setting(''app.setting'', true)',
  'message INSERT INTO deferred VALUES (12)', 'message INSERT INTO deferred VALUES (13)', 'run', 'sql SELECT whoami()']);
SELECT what FROM service.seen ORDER BY n;

-- locks, cursors, statements, temporary objects: shared in a batch, gone after it
SELECT unit_session('regress_exec_service', ARRAY[
  'handler run_it(text)', 'message SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2, 3), pg_advisory_xact_lock(4)',
  'message PREPARE mine AS SELECT 1', 'message DECLARE kept CURSOR WITH HOLD FOR SELECT 1',
  'message CREATE TEMPORARY TABLE mine (n integer)', 'message CREATE FUNCTION pg_temp.mine() RETURNS integer LANGUAGE sql AS ''SELECT 1''',
  'message INSERT INTO mine SELECT pg_temp.mine()', 'message INSERT INTO seen (what) SELECT leftovers()', 'run', 'sql SELECT leftovers()',
  'message SELECT * FROM mine', 'run',
  'message EXECUTE mine', 'run',
  'message SELECT pg_temp.mine()', 'run',
  'message SELECT pg_advisory_lock(1)', 'message PREPARE mine AS SELECT 1', 'message SELECT 1 / 0', 'run', 'sql SELECT leftovers()',
  'message CREATE TEMPORARY TABLE mine (n integer) ON COMMIT DROP', 'run', 'message CREATE TEMPORARY TABLE mine (n integer) ON COMMIT DELETE ROWS', 'run',
  'message CREATE TEMPORARY TABLE mine (n integer)', 'run', 'sql SELECT leftovers()',
  'message DECLARE broken CURSOR WITH HOLD FOR SELECT 1 / (n - n) FROM seen', 'run', 'sql SELECT leftovers()']);
SELECT what FROM service.seen ORDER BY n DESC LIMIT 1;

-- sequences: no values of a former batch
SET ROLE regress_exec_service;
CREATE SEQUENCE numbers;
RESET ROLE;
SELECT unit_session('regress_exec_service', ARRAY[
  'handler run_it(text)', 'message SELECT nextval(''numbers'')', 'message SELECT currval(''numbers'')', 'run',
  'message SELECT currval(''numbers'')', 'run', 'message SELECT lastval()', 'run']);

-- what a function is, and who may call it, changed while it is in use
TRUNCATE service.seen;
CREATE FUNCTION service.as_superuser(statement text) RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS
  $$BEGIN EXECUTE statement; END$$;
SET ROLE regress_exec_other;
CREATE FUNCTION service.changing(m text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO service.seen (what) VALUES (format('%s %s', m, current_user)); END$$;
RESET ROLE;
SELECT unit_session('regress_exec_service', ARRAY[
  'handler changing(text)', 'message invoker', 'run',
  'sql ALTER FUNCTION changing SECURITY DEFINER', 'message definer', 'run',
  'sql SELECT as_superuser(''ALTER FUNCTION service.changing OWNER TO regress_exec_third'')', 'message another definer', 'run',
  'sql SELECT as_superuser(''ALTER FUNCTION service.changing SECURITY INVOKER SET search_path = pg_catalog'')', 'message with a SET clause', 'run', 'sql SELECT current_setting(''search_path'')',
  'sql SELECT as_superuser($s$CREATE OR REPLACE FUNCTION service.changing(m text) RETURNS void LANGUAGE sql AS $$INSERT INTO service.seen (what) VALUES (''another body'')$$$s$)', 'message x', 'run',
  'sql SELECT as_superuser(''REVOKE EXECUTE ON FUNCTION service.changing FROM PUBLIC'')', 'message x', 'run',
  'sql SELECT as_superuser(''GRANT EXECUTE ON FUNCTION service.changing TO regress_exec_service'')', 'message x', 'run',
  'sql SELECT as_superuser(''ALTER FUNCTION service.changing RENAME TO renamed'')', 'message x', 'run',
  'sql SELECT as_superuser(''DROP FUNCTION service.renamed'')', 'message x', 'run']);
SELECT what FROM service.seen ORDER BY n;

-- nobody gets a trigger onto the tables that the extension writes
SET ROLE regress_exec_service;
CREATE TRIGGER mine AFTER INSERT OR UPDATE ON kafka_events.positions FOR EACH ROW EXECUTE FUNCTION tell();
CREATE RULE mine AS ON INSERT TO kafka_events.positions DO INSTEAD NOTHING;
INSERT INTO kafka_events.positions DEFAULT VALUES;
RESET ROLE;

-- a role that may not log in or connect, or whose transactions are read-only
SELECT unit_session('regress_exec_other', ARRAY['sql SELECT 1']);
ALTER ROLE regress_exec_other LOGIN;
SELECT unit_session('regress_exec_other', ARRAY['sql SELECT 1']);
REVOKE CONNECT ON DATABASE :"DBNAME" FROM PUBLIC;
SELECT unit_session('regress_exec_other', ARRAY['sql SELECT 1']);
GRANT CONNECT ON DATABASE :"DBNAME" TO PUBLIC;
ALTER ROLE regress_exec_other NOLOGIN;
ALTER ROLE regress_exec_service SET default_transaction_read_only = on;
SELECT unit_session('regress_exec_service', ARRAY['sql SELECT 1']);
ALTER ROLE regress_exec_service RESET default_transaction_read_only;

-- a commit that is durable although the session's are not
SELECT unit_session('regress_exec_service', ARRAY[
  'sql SELECT current_setting(''synchronous_commit'')',
  'durable INSERT INTO seen (what) SELECT pg_current_wal_insert_lsn()',
  'sql SELECT pg_current_wal_flush_lsn() > what::pg_lsn FROM seen ORDER BY n DESC LIMIT 1',
  'sql SELECT current_setting(''synchronous_commit'')']);

-- no transaction without the extension, or with SQL objects of another version
CREATE DATABASE regress_exec_gone;
\c regress_exec_gone
SET client_min_messages = warning;
CREATE EXTENSION kafka_events;
CREATE FUNCTION unit_session(owner regrole, steps text[]) RETURNS SETOF text LANGUAGE C STRICT AS :'module';
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'kafka_events';
SELECT unit_session(current_user::regrole, ARRAY['refusal', 'refusal']);
UPDATE pg_extension SET extversion = '1.1' WHERE extname = 'kafka_events';
SELECT unit_session(current_user::regrole, ARRAY['sql SELECT 1', 'sql DROP EXTENSION kafka_events', 'refusal', 'refusal']);
SELECT unit_session(current_user::regrole, ARRAY['refusal']);
CREATE EXTENSION kafka_events;
SELECT unit_session(current_user::regrole, ARRAY['sql SELECT 1']);
\c :database
DROP DATABASE regress_exec_gone;
DROP SCHEMA service CASCADE;
DROP ROLE regress_exec_service, regress_exec_other, regress_exec_third;
