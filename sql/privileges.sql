-- Who may do what, and what a stranger cannot.
CREATE EXTENSION kafka_events;
CREATE ROLE regress_kafka_owner LOGIN;
CREATE ROLE regress_kafka_member LOGIN IN ROLE regress_kafka_owner;
CREATE ROLE regress_kafka_noinherit LOGIN NOINHERIT IN ROLE regress_kafka_owner;
CREATE ROLE regress_kafka_stranger LOGIN;
CREATE ROLE regress_kafka_monitor LOGIN IN ROLE pg_monitor;
CREATE SCHEMA app AUTHORIZATION regress_kafka_owner;
GRANT USAGE, CREATE ON SCHEMA app TO PUBLIC;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_owner;
SET kafka_events.request_timeout = '100ms';
SET client_min_messages = error;

-- everything that PUBLIC may not do
\pset format unaligned
\pset footer off
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
  WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kafka_events')
    AND d.classid = 'pg_proc'::regclass
    AND NOT has_function_privilege('regress_kafka_stranger', p.oid, 'EXECUTE')
  ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT c.relname, r.rolname,
       has_table_privilege(r.rolname, c.oid, 'SELECT') AS reads,
       has_table_privilege(r.rolname, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES') AS writes
  FROM pg_class c, pg_roles r
  WHERE r.rolname IN ('regress_kafka_stranger', 'regress_kafka_monitor')
    AND c.relkind IN ('r', 'v') AND (c.relnamespace = 'kafka_events'::regnamespace OR c.relname LIKE 'kafka\_%')
  ORDER BY c.relname COLLATE "C", r.rolname COLLATE "C";
\pset format aligned
\pset footer on

SET ROLE regress_kafka_owner;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
CREATE FUNCTION app.handler(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.private(jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE TABLE app.target (id int PRIMARY KEY);
SELECT kafka_subscribe('orders', handler => 'app.handler', into_table => 'app.target');

-- a stranger, even one who may produce
GRANT USAGE ON FOREIGN SERVER shop TO regress_kafka_stranger;
SET ROLE regress_kafka_stranger;
SELECT kafka_subscribe('mine', handler => 'app.handler');
CREATE FOREIGN TABLE kafka_events.mine () SERVER shop OPTIONS (handler 'app.handler');
SELECT kafka_subscription_alter('orders', batch_size => 1);
ALTER FOREIGN TABLE kafka_events.orders OPTIONS (ADD batch_size '1');
SELECT kafka_unsubscribe('orders');
DROP FOREIGN TABLE kafka_events.orders;
SELECT kafka_consumer_pause('orders');
SELECT kafka_consumer_resume('orders');
SELECT * FROM kafka_consumer_seek('orders', "position" => 'latest');
SELECT * FROM kafka_dlq_stats('orders');
SELECT * FROM kafka_dlq_messages('orders');
SELECT * FROM kafka_messages('orders');
SELECT * FROM kafka_dlq_reprocess('orders');
SELECT * FROM kafka_dlq_progress;
SELECT kafka_identity_confirm('new');
SELECT * FROM kafka_subscriptions;
SELECT * FROM kafka_events.subscriptions();
SELECT * FROM kafka_events.identity;
CREATE FUNCTION kafka_events.trap(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE TABLE kafka_events.trap (a int);
CREATE TRIGGER trap BEFORE INSERT ON kafka_events.positions FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE SERVER trap FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'trap');

-- a member, with and without SET ROLE
SET ROLE regress_kafka_member;
SELECT kafka_subscribe('members', handler => 'app.handler');
SELECT kafka_consumer_pause('members');
SELECT kafka_consumer_resume('members');
SELECT kafka_subscription_alter('members', batch_size => 1);
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'kafka_events.members'::regclass;
SELECT kafka_unsubscribe('members');
SET ROLE regress_kafka_noinherit;
SELECT kafka_consumer_pause('orders');
CREATE FOREIGN TABLE kafka_events.mine () SERVER shop OPTIONS (handler 'app.handler');

-- everybody may look: members of an owner see its servers, pg_monitor all
RESET ROLE;
CREATE ROLE regress_kafka_other LOGIN;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_other;
SET ROLE regress_kafka_other;
CREATE FUNCTION app.others(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE SERVER other FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'other-service');
SELECT kafka_subscribe('payments', handler => 'app.others', server => 'other');
RESET ROLE;
INSERT INTO kafka_events.outbox_parked (id, server, kind, topic, reason, written_at, parked_at)
  SELECT row_number() OVER (), oid, 'e', 'events', 'too large', now(), now() FROM pg_foreign_server
    WHERE srvname IN ('shop', 'other');
INSERT INTO kafka_events.retries
  SELECT 'c', service || '-main', 't', 0, 1, 't', 1, 1, now(), 0, NULL, 't', 0, 1, 0, 0, NULL, NULL, ''
    FROM unnest('{shop-service,other-service,dropped-service}'::text[]) AS service;
CREATE FUNCTION app.seen() RETURNS TABLE (place text, servers text) LANGUAGE sql AS $$
            SELECT 'kafka_subscriptions', string_agg(server, ',' ORDER BY server) FROM kafka_subscriptions
  UNION ALL SELECT 'kafka_consumer_health', string_agg(DISTINCT server::text, ',') FROM kafka_consumer_health
  UNION ALL SELECT 'kafka_consumer_lag', string_agg(DISTINCT server::text, ',') FROM kafka_consumer_lag
  UNION ALL SELECT 'kafka_metrics', string_agg(server, ',' ORDER BY server) FROM kafka_metrics
  UNION ALL SELECT 'kafka_circuit_breakers', string_agg(server, ',' ORDER BY server) FROM kafka_circuit_breakers
  UNION ALL SELECT 'kafka_retries', string_agg(coalesce(server, 'none'), ',' ORDER BY server) FROM kafka_retries
  UNION ALL SELECT 'kafka_outbox_status', string_agg(server, ',' ORDER BY server) FROM kafka_outbox_status
  UNION ALL SELECT 'kafka_outbox_parked', string_agg(server, ',' ORDER BY server) FROM kafka_outbox_parked
  UNION ALL SELECT 'kafka_dlq_progress', string_agg(DISTINCT server::text, ',') FROM kafka_dlq_progress
  UNION ALL SELECT 'kafka_health', string_agg(server, ',' ORDER BY server) FROM kafka_health()
  UNION ALL SELECT 'kafka_production_check', CASE WHEN count(*) > 1 THEN
                   string_agg(DISTINCT substring(detail FROM '"(shop|other)-service"'), ',') ELSE min(detail) END
              FROM kafka_production_check() WHERE check_name IN ('service_name', 'tls')
  UNION ALL SELECT 'kafka_metrics_prometheus', string_agg(DISTINCT m[1], ',')
              FROM regexp_matches(kafka_metrics_prometheus(), 'server="(\w+)"', 'g') AS m
$$;
SET ROLE regress_kafka_owner;
SELECT * FROM app.seen();
SELECT check_name FROM kafka_production_check('shop') WHERE check_name = 'tls';
SELECT server FROM kafka_health('shop');
SET ROLE regress_kafka_other;
SELECT * FROM app.seen();
SELECT * FROM kafka_health('shop');
SELECT * FROM kafka_production_check('shop');
-- what the view leaves out never reaches a function of the user
CREATE FUNCTION app.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
  AS $$BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END$$;
SET client_min_messages = notice;
SELECT server FROM kafka_outbox_parked WHERE app.tell(server::text);
SELECT server FROM kafka_retries WHERE app.tell(server::text);
SET client_min_messages = error;
SET ROLE regress_kafka_member;
SELECT DISTINCT servers FROM app.seen();
SET ROLE regress_kafka_noinherit;
SELECT * FROM app.seen() WHERE servers IS NOT NULL;
SET ROLE regress_kafka_stranger;
SELECT * FROM app.seen() WHERE servers IS NOT NULL;
SET ROLE regress_kafka_monitor;
SELECT * FROM app.seen();
SELECT kafka_consumer_pause('orders', 'shop');

RESET ROLE;
DELETE FROM kafka_events.outbox_parked;
DELETE FROM kafka_events.retries;
DROP FUNCTION app.seen();
DROP OWNED BY regress_kafka_other CASCADE;
DROP ROLE regress_kafka_other;

-- it is the owner's privileges that count, not those of who subscribes
RESET ROLE;
CREATE FUNCTION app.admins(jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true';
REVOKE EXECUTE ON FUNCTION app.admins(jsonb) FROM PUBLIC;
CREATE TABLE app.admins (id int PRIMARY KEY, note text);
SELECT kafka_subscribe('t', handler => 'app.admins', into_table => 'app.admins', validator => 'app.admins');
GRANT EXECUTE ON FUNCTION app.admins(jsonb) TO regress_kafka_owner;
GRANT INSERT ON app.admins TO regress_kafka_owner;
SELECT kafka_subscribe('t', handler => 'app.admins', into_table => 'app.admins', on_conflict => 'ignore');
SELECT kafka_subscribe('t', handler => 'app.admins', into_table => 'app.admins', on_conflict => 'update');
SELECT kafka_subscribe('t', handler => 'app.admins', into_table => 'app.admins');
REVOKE INSERT ON app.admins FROM regress_kafka_owner;
SELECT topic, status, status_reason FROM kafka_subscriptions ORDER BY 1;
GRANT INSERT ON app.admins TO regress_kafka_owner;
REVOKE EXECUTE ON FUNCTION app.admins(jsonb) FROM regress_kafka_owner;
SELECT topic, status, status_reason FROM kafka_subscriptions ORDER BY 1;
SELECT kafka_unsubscribe('t');
-- names in a schema that the user may not look into
CREATE SCHEMA hidden;
CREATE FUNCTION hidden.handler(jsonb) RETURNS void LANGUAGE sql AS '';
SET ROLE regress_kafka_owner;
SELECT kafka_subscribe('t', handler => 'hidden.handler');
RESET ROLE;
-- the subscriber's search path finds it, and it stays found
SET search_path = hidden, public;
SELECT kafka_subscribe('t', handler => 'handler');
RESET search_path;
SET ROLE regress_kafka_owner;
SELECT kafka_subscription_alter('t', batch_size => 5);
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'kafka_events.t'::regclass;
SELECT kafka_unsubscribe('t');

-- the owner must be able to log in and to connect
RESET ROLE;
ALTER ROLE regress_kafka_owner NOLOGIN;
SELECT topic, status, status_reason FROM kafka_subscriptions;
SELECT kafka_subscribe('t', handler => 'app.handler');
ALTER ROLE regress_kafka_owner LOGIN;
DO $$ BEGIN
  EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database());
END $$;
SELECT topic, status, replace(status_reason, current_database(), '(this one)') AS status_reason
  FROM kafka_subscriptions;
DO $$ BEGIN
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO PUBLIC', current_database());
END $$;
SELECT topic, status, status_reason FROM kafka_subscriptions;

-- EXECUTE on kafka_identity_confirm can be granted
GRANT EXECUTE ON FUNCTION kafka_identity_confirm(text) TO regress_kafka_owner;
SET ROLE regress_kafka_owner;
SELECT kafka_identity_confirm('continue') IS NOT NULL AS confirmed;
RESET ROLE;

-- nobody drops what a subscription needs, or its owner
DROP FUNCTION app.handler(jsonb);
DROP TABLE app.target;
\set VERBOSITY terse
DROP ROLE regress_kafka_owner;
\set VERBOSITY default
SET client_min_messages = error;
DROP OWNED BY regress_kafka_owner CASCADE;
SELECT topic FROM kafka_subscriptions;
DROP OWNED BY regress_kafka_stranger;
DROP SCHEMA IF EXISTS app CASCADE;
DROP SCHEMA hidden CASCADE;
DROP ROLE regress_kafka_owner, regress_kafka_member, regress_kafka_noinherit, regress_kafka_stranger, regress_kafka_monitor;
DROP EXTENSION kafka_events;
