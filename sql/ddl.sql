-- Core statements on servers, subscriptions and what they depend on.
CREATE EXTENSION kafka_events;
CREATE ROLE regress_kafka_owner LOGIN;
CREATE ROLE regress_kafka_heir LOGIN;
CREATE ROLE regress_kafka_member IN ROLE regress_kafka_owner;
GRANT regress_kafka_owner TO regress_kafka_heir;
CREATE SCHEMA app AUTHORIZATION regress_kafka_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_owner, regress_kafka_heir;
SET kafka_events.request_timeout = '100ms';
CREATE VIEW options AS
  SELECT c.relname, pg_get_userbyid(c.relowner) AS owner, o AS option
    FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid,
         unnest(f.ftoptions) o ORDER BY c.relname COLLATE "C", o COLLATE "C";
GRANT SELECT ON options TO PUBLIC;

SET ROLE regress_kafka_owner;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
CREATE FUNCTION app.handler(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.other(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.validator(jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE TABLE app.target (id int PRIMARY KEY);

-- a subscription made by hand: names become complete, dependencies recorded
SET search_path = app;
CREATE FOREIGN TABLE kafka_events.orders () SERVER shop
  OPTIONS (handler 'handler', validator 'validator', into_table 'target', batch_size '10');
RESET search_path;
SELECT * FROM options;
DROP FUNCTION app.handler;
DROP FUNCTION app.validator;
DROP TABLE app.target;
DROP SERVER shop;
RESET ROLE;
SELECT state FROM (SELECT count(*) AS state FROM kafka_events.identity) i;
SET ROLE regress_kafka_owner;

-- the same checks, wherever it comes from
CREATE FOREIGN TABLE kafka_events.bad () SERVER shop OPTIONS (handler 'app.nothing');
CREATE FOREIGN TABLE kafka_events.bad () SERVER shop OPTIONS (batch_size '0');
CREATE FOREIGN TABLE kafka_events.bad () SERVER shop OPTIONS (colour 'red', handler 'app.handler');
CREATE FOREIGN TABLE kafka_events."bad topic" () SERVER shop OPTIONS (handler 'app.handler');
CREATE FOREIGN TABLE kafka_events.bad () SERVER shop OPTIONS (handler 'app.handler', topic 'orders');
CREATE FOREIGN TABLE kafka_events.orders () SERVER shop OPTIONS (handler 'app.handler');
CREATE FOREIGN TABLE IF NOT EXISTS kafka_events.orders () SERVER shop OPTIONS (handler 'app.other');
CREATE FOREIGN TABLE IF NOT EXISTS kafka_events.positions () SERVER shop OPTIONS (handler 'app.other');
CREATE FOREIGN TABLE kafka_events.bad (a int) SERVER shop OPTIONS (handler 'app.handler');
CREATE FOREIGN TABLE app.bad () SERVER shop OPTIONS (handler 'app.handler');
CREATE TABLE app.parent ();
CREATE FOREIGN TABLE kafka_events.bad () INHERITS (app.parent) SERVER shop OPTIONS (handler 'app.handler');
DROP TABLE app.parent;
ALTER FOREIGN TABLE kafka_events.orders OPTIONS (SET handler 'app.nothing');
ALTER FOREIGN TABLE kafka_events.orders OPTIONS (DROP handler, DROP into_table);
ALTER FOREIGN TABLE kafka_events.orders OPTIONS (SET handler 'app.nothing', ADD max_retries '99');
SELECT * FROM options;

-- ALTER ... OPTIONS
ALTER FOREIGN TABLE kafka_events.orders OPTIONS (SET handler 'app.other', DROP validator, ADD dlq 'false');
SELECT * FROM options;
DROP FUNCTION app.other(jsonb);
DROP FUNCTION app.validator(jsonb);

-- what a subscription cannot be made into
ALTER FOREIGN TABLE kafka_events.orders ADD COLUMN a int;
ALTER TABLE kafka_events.orders ADD COLUMN a int;
ALTER FOREIGN TABLE kafka_events.orders OPTIONS (ADD topic 'other');
ALTER FOREIGN TABLE kafka_events.orders RENAME TO renamed;
ALTER TABLE kafka_events.orders RENAME TO renamed;
ALTER FOREIGN TABLE kafka_events.orders SET SCHEMA app;
ALTER FOREIGN TABLE kafka_events.orders OWNER TO regress_kafka_heir;
ALTER FOREIGN TABLE kafka_events.orders OWNER TO regress_kafka_owner;
SELECT * FROM kafka_events.orders;
INSERT INTO kafka_events.orders DEFAULT VALUES;

-- a table that is named otherwise than its topic may be renamed
CREATE FOREIGN TABLE kafka_events.alias () SERVER shop
  OPTIONS (topic 'page.viewed', handler 'app.handler');
ALTER FOREIGN TABLE kafka_events.alias RENAME TO page_viewed;
SELECT * FROM options WHERE relname = 'page_viewed';
DROP FOREIGN TABLE kafka_events.page_viewed;

-- renaming what it depends on
RESET ROLE;
DO $$ BEGIN
  EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_kafka_owner', current_database());
END $$;
CREATE SCHEMA more AUTHORIZATION regress_kafka_owner;
SET ROLE regress_kafka_owner;
CREATE TYPE app.event AS (a int);
CREATE FUNCTION app.on_event(app.event) RETURNS void LANGUAGE sql AS '';
CREATE FOREIGN TABLE kafka_events.events () SERVER shop OPTIONS (handler 'app.on_event');
ALTER FUNCTION app.other(jsonb) RENAME TO "An other";
ALTER TABLE app.target RENAME TO "select";
ALTER TYPE app.event RENAME TO happening;
SELECT * FROM options;
ALTER FUNCTION app."An other"(jsonb) SET SCHEMA more;
ALTER TABLE app."select" SET SCHEMA more;
ALTER SCHEMA app RENAME TO application;
SELECT * FROM options;
-- in a function, in a subtransaction that is rolled back
DO $$
BEGIN
  ALTER SCHEMA application RENAME TO app;
  RAISE EXCEPTION 'back';
EXCEPTION WHEN raise_exception THEN
  NULL;
END $$;
SELECT option FROM options WHERE relname = 'events';
ALTER SCHEMA application RENAME TO app;
DROP FOREIGN TABLE kafka_events.events;

-- who makes it gives it to the server's owner
SET ROLE regress_kafka_member;
CREATE FOREIGN TABLE kafka_events.given () SERVER shop OPTIONS (handler 'app.handler');
RESET ROLE;
CREATE FOREIGN TABLE kafka_events.given2 () SERVER shop OPTIONS (handler 'app.handler');
SELECT relname, owner FROM options;
SET ROLE regress_kafka_owner;
DROP FOREIGN TABLE kafka_events.given, kafka_events.given2;

-- servers: one service each, whose name stays while there are subscriptions
CREATE SERVER twin FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:2', service_name 'shop-service');
CREATE SERVER twin FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:2', service_name 'twin-service');
ALTER SERVER twin OPTIONS (SET service_name 'shop-service');
ALTER SERVER twin OPTIONS (SET service_name 'other-service');
DROP SERVER twin;
ALTER SERVER shop OPTIONS (SET service_name 'other-service');
ALTER SERVER shop OPTIONS (SET service_name 'shop-service', ADD max_poll_interval '50000');
ALTER SERVER shop OPTIONS (ADD retry_suffix '.again');
ALTER SERVER shop RENAME TO store;

-- the owner of a server takes its subscriptions along, if he can run them
RESET ROLE;
ALTER SERVER store OWNER TO regress_kafka_heir;
SELECT DISTINCT relname, owner FROM options;
REVOKE regress_kafka_owner FROM regress_kafka_heir;
ALTER SERVER store OWNER TO regress_kafka_owner;
REVOKE EXECUTE ON FUNCTION more."An other"(jsonb) FROM PUBLIC;
ALTER SERVER store OWNER TO regress_kafka_heir;
-- a superuser would run what is not his
ALTER SERVER store OWNER TO CURRENT_USER;
SELECT DISTINCT relname, owner FROM options;
ALTER FUNCTION more."An other"(jsonb) OWNER TO CURRENT_USER;
ALTER SERVER store OWNER TO CURRENT_USER;
ALTER TABLE more."select" OWNER TO CURRENT_USER;
ALTER SERVER store OWNER TO CURRENT_USER;
SELECT DISTINCT relname, owner FROM options;
-- and then nobody gets it to
ALTER FUNCTION more."An other"(jsonb) OWNER TO regress_kafka_owner;
ALTER ROUTINE more."An other"(jsonb) OWNER TO regress_kafka_owner;
ALTER TABLE more."select" OWNER TO regress_kafka_owner;
REASSIGN OWNED BY regress_kafka_owner TO regress_kafka_heir;
-- what cannot be refused breaks it
ALTER TABLE more."select" ADD COLUMN odd int;
CREATE DOMAIN more.odd AS int;
ALTER DOMAIN more.odd OWNER TO regress_kafka_owner;
ALTER TABLE more."select" ALTER COLUMN odd TYPE more.odd;
SELECT topic, status, status_reason FROM kafka_subscriptions;
ALTER TABLE more."select" DROP COLUMN odd;
SELECT topic, status, status_reason FROM kafka_subscriptions;
-- a superuser's server and functions, tables, types and partitions of others
CREATE FUNCTION more.stranger(jsonb) RETURNS void LANGUAGE sql AS '';
ALTER FUNCTION more.stranger(jsonb) OWNER TO regress_kafka_owner;
CREATE TABLE more.stranger (id int) PARTITION BY LIST (id);
CREATE TABLE more.stranger1 PARTITION OF more.stranger FOR VALUES IN (1);
ALTER TABLE more.stranger1 OWNER TO regress_kafka_owner;
CREATE VIEW more.window AS SELECT * FROM more.stranger;
CREATE TYPE more.pair AS (a more.odd[], b int);
CREATE FUNCTION more.on_pair(more.pair) RETURNS void LANGUAGE sql AS '';
CREATE FOREIGN TABLE kafka_events.stranger () SERVER store
  OPTIONS (handler 'more.stranger', into_table 'more.stranger');
CREATE FOREIGN TABLE kafka_events.stranger () SERVER store OPTIONS (into_table 'more.window');
CREATE FOREIGN TABLE kafka_events.stranger () SERVER store OPTIONS (handler 'more.on_pair');
-- and all that hangs on a table
CREATE SCHEMA hanging AUTHORIZATION regress_kafka_owner;
SET ROLE regress_kafka_owner;
CREATE FUNCTION hanging.by_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION hanging.by_default() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION hanging.by_check(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION hanging.by_generated(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION hanging.by_index(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION hanging.by_policy() RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION hanging.by_rule() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION hanging.by_operator(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR hanging.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = hanging.by_operator);
CREATE DOMAIN hanging.by_range AS int;
RESET ROLE;
CREATE FUNCTION hanging.by_cast(int) RETURNS more.pair IMMUTABLE LANGUAGE sql AS 'SELECT NULL::more.pair';
ALTER FUNCTION hanging.by_cast(int) OWNER TO regress_kafka_owner;
CREATE CAST (int AS more.pair) WITH FUNCTION hanging.by_cast(int);
CREATE TYPE hanging.by_type AS RANGE (subtype = hanging.by_range);
CREATE TABLE more.hanging (a int DEFAULT hanging.by_default() CHECK (hanging.by_check(a)),
  b int CHECK (b OPERATOR(hanging.===) 1), c int GENERATED ALWAYS AS (hanging.by_generated(a)) STORED,
  d hanging.by_type, CHECK (a::more.pair IS NULL));
CREATE INDEX ON more.hanging (hanging.by_index(a));
CREATE TRIGGER hanging BEFORE INSERT ON more.hanging FOR EACH ROW EXECUTE FUNCTION hanging.by_trigger();
CREATE POLICY hanging ON more.hanging WITH CHECK (hanging.by_policy());
CREATE RULE hanging AS ON INSERT TO more.hanging DO ALSO SELECT hanging.by_rule();
CREATE FOREIGN TABLE kafka_events.stranger () SERVER store OPTIONS (into_table 'more.hanging');
DROP TABLE more.hanging;
DROP CAST (int AS more.pair);
DROP TYPE hanging.by_type;
-- whoever may make a trigger, but not whoever only looks
CREATE TABLE more.granted (a int);
GRANT ALL ON more.granted TO regress_kafka_owner;
CREATE FOREIGN TABLE kafka_events.stranger () SERVER store OPTIONS (into_table 'more.granted');
REVOKE TRIGGER ON more.granted FROM regress_kafka_owner;
GRANT TRIGGER ON more.granted TO PUBLIC;
CREATE FOREIGN TABLE kafka_events.stranger () SERVER store OPTIONS (into_table 'more.granted');
REVOKE TRIGGER ON more.granted FROM PUBLIC;
GRANT USAGE ON SCHEMA more TO regress_kafka_owner;
SET ROLE regress_kafka_owner;
CREATE VIEW hanging.looks AS SELECT hanging.by_index(a) FROM more.granted;
RESET ROLE;
CREATE FOREIGN TABLE kafka_events.stranger () SERVER store OPTIONS (into_table 'more.granted');
SELECT topic, status, status_reason FROM kafka_subscriptions WHERE topic = 'stranger';
-- afterwards too
REVOKE USAGE ON SCHEMA more FROM regress_kafka_owner;
GRANT TRIGGER ON more.granted TO regress_kafka_owner;
SELECT topic, status, status_reason FROM kafka_subscriptions WHERE topic = 'stranger';
DROP FOREIGN TABLE kafka_events.stranger;
SET client_min_messages = warning;
DROP SCHEMA hanging CASCADE;
RESET client_min_messages;
DROP TABLE more.granted;
-- an owner that ceases to be a superuser
CREATE ROLE regress_kafka_super LOGIN SUPERUSER;
ALTER FUNCTION more.stranger(jsonb) OWNER TO regress_kafka_super;
CREATE FOREIGN TABLE kafka_events.stranger () SERVER store OPTIONS (handler 'more.stranger');
ALTER ROLE regress_kafka_super NOSUPERUSER;
SELECT topic, status, status_reason FROM kafka_subscriptions;
DROP FOREIGN TABLE kafka_events.stranger;
DROP OWNED BY regress_kafka_super CASCADE;
DROP ROLE regress_kafka_super;

-- nothing else is made in schema kafka_events
CREATE TABLE kafka_events.t (a int);
CREATE TABLE kafka_events.t AS SELECT 1;
CREATE VIEW kafka_events.v AS SELECT 1;
CREATE SEQUENCE kafka_events.s;
CREATE FUNCTION kafka_events.f(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE AGGREGATE kafka_events.a(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb);
CREATE TYPE kafka_events.c AS (a int);
CREATE TYPE kafka_events.e AS ENUM ('a');
CREATE TYPE kafka_events.r AS RANGE (SUBTYPE = int);
CREATE TYPE kafka_events.shell;
CREATE DOMAIN kafka_events.d AS int;
CREATE OPERATOR kafka_events.&&& (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = jsonb_concat);
CREATE COLLATION kafka_events.c (LOCALE = 'C');
CREATE STATISTICS kafka_events.s ON partition, topic FROM kafka_events.positions;
CREATE CONVERSION kafka_events.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY kafka_events.d (TEMPLATE = simple);
-- PostgreSQL 18 says where in the script
\set SHOW_CONTEXT never
CREATE EXTENSION fuzzystrmatch SCHEMA kafka_events;
\set SHOW_CONTEXT errors
ALTER FUNCTION more.on_pair(more.pair) SET SCHEMA kafka_events;
ALTER TABLE more.stranger SET SCHEMA kafka_events;
ALTER TYPE more.pair SET SCHEMA kafka_events;
ALTER DOMAIN more.odd SET SCHEMA kafka_events;
CREATE FOREIGN DATA WRAPPER regress_kafka_dummy;
CREATE SERVER dummy FOREIGN DATA WRAPPER regress_kafka_dummy;
CREATE FOREIGN TABLE kafka_events.foreigner () SERVER dummy;
DROP FOREIGN DATA WRAPPER regress_kafka_dummy CASCADE;
ALTER SCHEMA kafka_events RENAME TO k;
ALTER FOREIGN DATA WRAPPER kafka_events RENAME TO k;
-- maintenance of what is there is no concern of ours
REINDEX TABLE kafka_events.positions;
REINDEX TABLE CONCURRENTLY kafka_events.positions;
VACUUM FULL kafka_events.positions;
CLUSTER kafka_events.positions USING positions_pkey;
ALTER TABLE kafka_events.positions SET (autovacuum_vacuum_scale_factor = 0.1);
ALTER TABLE kafka_events.positions RESET (autovacuum_vacuum_scale_factor);

-- a copy of this database: made, but nothing is consumed
UPDATE kafka_events.identity SET database_oid = 1;
SET client_min_messages = notice;
CREATE FOREIGN TABLE kafka_events.copied () SERVER store OPTIONS (handler 'more."An other"');
RESET client_min_messages;
\set VERBOSITY terse
SELECT kafka_subscribe('copied2', handler => 'more."An other"');
\set VERBOSITY default
SELECT topic, status, status_reason FROM kafka_subscriptions;
DROP FOREIGN TABLE kafka_events.copied;

-- while a dump is restored nothing is judged, and no identity is made
DELETE FROM kafka_events.identity;
SET check_function_bodies = off;
CREATE FOREIGN TABLE kafka_events.restored () SERVER store
  OPTIONS (handler 'more.not_there_yet(jsonb)', into_table 'more."select"');
CREATE FOREIGN TABLE kafka_events.restored2 () SERVER store
  OPTIONS (handler 'more."An other"(jsonb)');
RESET check_function_bodies;
SELECT count(*) FROM kafka_events.identity;
SELECT topic, status, status_reason FROM kafka_subscriptions;
DROP FUNCTION more."An other"(jsonb);
CREATE FUNCTION more.not_there_yet(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT topic, status, status_reason FROM kafka_subscriptions;

-- DROP ... CASCADE takes subscriptions along
SET client_min_messages = warning;
DROP FUNCTION more."An other"(jsonb) CASCADE;
SELECT topic FROM kafka_subscriptions;
DROP TABLE more."select" CASCADE;
SELECT topic FROM kafka_subscriptions;
DROP SERVER store CASCADE;
DROP SCHEMA more CASCADE;
DROP VIEW options;
DROP OWNED BY regress_kafka_owner, regress_kafka_heir, regress_kafka_member CASCADE;
DROP ROLE regress_kafka_owner, regress_kafka_heir, regress_kafka_member;
DROP EXTENSION kafka_events;
