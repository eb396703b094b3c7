-- kafka_subscribe, kafka_subscription_alter, kafka_unsubscribe,
-- kafka_table_create and view kafka_subscriptions: everything they say.
CREATE EXTENSION kafka_events;
CREATE ROLE regress_kafka_owner LOGIN;
CREATE ROLE regress_kafka_other LOGIN;
CREATE SCHEMA app;
GRANT USAGE, CREATE ON SCHEMA app TO regress_kafka_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_owner;
-- no cluster answers in here; what asks one says so in a WARNING
SET kafka_events.request_timeout = '100ms';
SET client_min_messages = error;

-- no server
SELECT kafka_subscribe('orders', handler => 'f');

SET ROLE regress_kafka_owner;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
CREATE FUNCTION app.on_jsonb(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.on_json(json) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.on_text(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.on_bytea(bytea) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.on_message(kafka_message) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.on_batch(kafka_message[]) RETURNS void LANGUAGE sql AS '';
CREATE TABLE app.orders (id bigint PRIMARY KEY, note text);
CREATE FUNCTION app.on_row(app.orders) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.valid_jsonb(jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION app.valid_message(kafka_message) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';

-- what a subscription is
SELECT kafka_subscribe('orders', handler => 'app.on_jsonb', into_table => 'app.orders');
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'kafka_events.orders'::regclass;
SELECT pg_get_userbyid(relowner), relnatts FROM pg_class
  WHERE oid = 'kafka_events.orders'::regclass;
SELECT pg_describe_object(refclassid, refobjid, 0) FROM pg_depend
  WHERE objid = 'kafka_events.orders'::regclass AND deptype = 'n' ORDER BY 1;

-- every argument
SELECT kafka_subscribe('everything', handler => 'app.on_batch', into_table => 'app.orders',
  row_format => 'envelope', on_conflict => 'update', ordering => 'partition',
  validator => 'app.valid_message', required_headers => '{trace-id,"a b"}',
  start_from => 'latest', batch_size => 1, handler_timeout => '1500 ms', max_retries => 0,
  retry_strategy => 'linear', initial_delay => '100 ms', max_delay => '2 min', multiplier => 1.5,
  dlq => false, breaker_threshold => 0, breaker_timeout => '1 hour', server => 'shop');
SELECT unnest(ftoptions) FROM pg_foreign_table WHERE ftrelid = 'kafka_events.everything'::regclass;
RESET ROLE;
SELECT * FROM kafka_subscriptions WHERE topic = 'everything' \gx
SELECT group_id, topic FROM kafka_events.starts;
SET ROLE regress_kafka_owner;

-- each kind of handler, and how it may be named
SET search_path = app, public;
SELECT kafka_subscribe('kinds.json', handler => 'on_json');
SELECT kafka_subscribe('kinds.text', handler => 'app.on_text(text)');
SELECT kafka_subscribe('kinds.bytea', handler => ' APP . on_bytea ( BYTEA ) ');
SELECT kafka_subscribe('kinds.message', handler => 'on_message(kafka_message)');
SELECT kafka_subscribe('kinds.batch', handler => 'on_batch(public.kafka_message[])');
SELECT kafka_subscribe('kinds.row', handler => 'on_row(orders)', validator => 'valid_jsonb');
SELECT kafka_subscribe('kinds.same', handler => 'valid_jsonb', validator => 'valid_jsonb');
RESET search_path;
SELECT f.ftrelid::regclass, o FROM pg_foreign_table f, unnest(f.ftoptions) o
  WHERE f.ftrelid::regclass::text LIKE '%kinds%' ORDER BY 1, 2;

-- names of tables: topics that are too long, or taken
SELECT kafka_subscribe(repeat('long.', 12) || 'topic', handler => 'app.on_text');
SELECT kafka_subscribe(repeat('long.', 12) || 'tropic', handler => 'app.on_text');
SELECT kafka_subscribe('positions', handler => 'app.on_text');
CREATE SERVER other FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'other-service', workers '0');
SELECT kafka_subscribe('orders', handler => 'app.on_text', server => 'other');
SELECT ftrelid::regclass, ftoptions FROM pg_foreign_table
  WHERE ftoptions::text ~ '\mtopic=' ORDER BY ftrelid::regclass::text COLLATE "C";
SELECT kafka_unsubscribe(repeat('long.', 12) || 'topic', 'shop');
SELECT kafka_unsubscribe('orders', 'other');
DROP SERVER other;

-- a second one
SELECT kafka_subscribe('orders', handler => 'app.on_text');

-- problems with names, all of them at once
SELECT kafka_subscribe(NULL, handler => 'app.on_text');
SELECT kafka_subscribe('t');
SELECT kafka_subscribe('t', handler => 'app.nothing');
SELECT kafka_subscribe('t', handler => 'nowhere.f');
SELECT kafka_subscribe('t', handler => 'app.on_text(jsonb)');
SELECT kafka_subscribe('t', handler => 'app.on_text(');
SELECT kafka_subscribe('t', handler => 'a.b.c');
SELECT kafka_subscribe('t', handler => '');
SELECT kafka_subscribe('t', into_table => 'app.nothing');
SELECT kafka_subscribe('t', into_table => 4711);
CREATE FUNCTION app.several(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.several(text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.several(int) RETURNS void LANGUAGE sql AS '';
SELECT kafka_subscribe('t', handler => 'app.several');
SELECT kafka_subscribe('t', handler => 'app.several(int4)');
SELECT kafka_subscribe('t', handler => 'app.several(integer)');
DROP FUNCTION app.several(text);
SELECT kafka_subscribe('several', handler => 'app.several');
DROP FUNCTION app.several(jsonb);
SELECT kafka_unsubscribe('several');
DROP FUNCTION app.several(jsonb);

-- functions that cannot be handlers or validators
CREATE FUNCTION app.no_argument() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.two_arguments(jsonb, int) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.on_any(anyelement) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.on_many(VARIADIC text[]) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION app.on_set(jsonb) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.on_call(jsonb) LANGUAGE sql AS '';
CREATE AGGREGATE app.on_all(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb);
CREATE DOMAIN app.odd AS jsonb;
CREATE FUNCTION app.on_domain(app.odd) RETURNS void LANGUAGE sql AS '';
CREATE DOMAIN app.number AS int;
CREATE FUNCTION app.on_number(app.number) RETURNS void LANGUAGE sql AS '';
SELECT kafka_subscribe('t', handler => 'app.no_argument');
SELECT kafka_subscribe('t', handler => 'app.two_arguments');
SELECT kafka_subscribe('t', handler => 'app.on_any');
SELECT kafka_subscribe('t', handler => 'app.on_many');
SELECT kafka_subscribe('t', handler => 'app.on_set');
SELECT kafka_subscribe('t', handler => 'app.on_call');
SELECT kafka_subscribe('t', handler => 'app.on_all');
SELECT kafka_subscribe('t', handler => 'app.on_number');
SELECT kafka_subscribe('t', handler => 'app.on_text', validator => 'app.on_jsonb');
SELECT kafka_subscribe('t', handler => 'app.on_text', validator => 'app.on_text');

-- a domain of a type that will do, and OUT arguments, are no trouble
SELECT kafka_subscribe('domain', handler => 'app.on_domain');
SELECT kafka_unsubscribe('domain');
CREATE FUNCTION app.on_out(jsonb, OUT a int, OUT b int) LANGUAGE sql AS 'SELECT 1, 2';
SELECT kafka_subscribe('out', handler => 'app.on_out');
SELECT kafka_unsubscribe('out');

-- tables that rows cannot go to
CREATE TEMPORARY TABLE temporary_table (id int);
CREATE SEQUENCE app.a_sequence;
CREATE TYPE app.a_type AS (a int);
CREATE TABLE app.without_key (id int);
CREATE TABLE app.deferred_key (id int PRIMARY KEY DEFERRABLE);
CREATE MATERIALIZED VIEW app.a_matview AS SELECT 1 AS id;
CREATE INDEX an_index ON app.without_key (id);
SELECT kafka_subscribe('t', into_table => 'temporary_table');
SELECT kafka_subscribe('t', into_table => 'app.a_sequence');
SELECT kafka_subscribe('t', into_table => 'app.a_type');
SELECT kafka_subscribe('t', into_table => 'app.a_matview');
SELECT kafka_subscribe('t', into_table => 'app.an_index');
SELECT kafka_subscribe('t', into_table => 'pg_catalog.pg_class');
SELECT kafka_subscribe('t', into_table => 'kafka_events.positions');
SELECT kafka_subscribe('t', into_table => 'kafka_events.orders');
SELECT kafka_subscribe('t', into_table => 'app.without_key', on_conflict => 'ignore');
SELECT kafka_subscribe('t', into_table => 'app.deferred_key', on_conflict => 'update');
CREATE UNLOGGED TABLE app.unlogged_table (id int);
SET client_min_messages = warning;
CREATE FOREIGN TABLE kafka_events.unlogged () SERVER shop
  OPTIONS (into_table 'app.unlogged_table');
SET client_min_messages = error;
SELECT kafka_unsubscribe('unlogged');

-- values out of bounds, topics Kafka refuses: all at once
SELECT kafka_subscribe('t', handler => 'app.on_text', row_format => 'rows', on_conflict => 'replace',
  ordering => 'strict', start_from => 'now', batch_size => 0, handler_timeout => '0 s',
  max_retries => 11, retry_strategy => 'never', initial_delay => '99 ms', max_delay => '-1 s',
  multiplier => 0.5, breaker_threshold => -1, breaker_timeout => '0', required_headers => '{a,NULL}');
SELECT kafka_subscribe('bad topic', handler => 'app.nothing', batch_size => 100001,
  into_table => 'pg_catalog.pg_class');
SELECT kafka_subscribe('', handler => 'app.on_text');
SELECT kafka_subscribe('..', handler => 'app.on_text');
DO $$
BEGIN
  PERFORM kafka_subscribe(repeat('x', 245), handler => 'app.on_text');
EXCEPTION WHEN fdw_invalid_attribute_value THEN
  DECLARE
    detail text;
  BEGIN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION '% %', SQLSTATE, regexp_replace(detail, 'x{20,}', 'xxx');
  END;
END $$;
SELECT kafka_subscribe('orders.retry', handler => 'app.on_text');
SELECT kafka_subscribe('orders.dlq', handler => 'app.on_text');
SELECT kafka_subscribe('orders.dlq', handler => 'app.on_text', max_retries => 0, dlq => false);
SELECT kafka_subscribe('t', handler => 'app.on_text', handler_timeout => '151 s');
SELECT kafka_subscribe('t', handler => 'app.on_text', initial_delay => '1 min');

-- servers
SELECT kafka_subscribe('t', handler => 'app.on_text', server => 'nothing');
RESET ROLE;
CREATE FOREIGN DATA WRAPPER regress_kafka_dummy;
CREATE SERVER dummy FOREIGN DATA WRAPPER regress_kafka_dummy;
SELECT kafka_subscribe('t', handler => 'app.on_text', server => 'dummy');
DROP FOREIGN DATA WRAPPER regress_kafka_dummy CASCADE;
CREATE SERVER second FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'second-service', workers '0');
SELECT kafka_subscribe('t', handler => 'app.on_text');
DROP SERVER second;
SET ROLE regress_kafka_owner;

-- a server made by this transaction is not asked
BEGIN;
CREATE SERVER young FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'young-service', workers '0');
SET LOCAL client_min_messages = warning;
SELECT kafka_subscribe('young', handler => 'app.on_text', server => 'young');
ROLLBACK;

-- alter: what is NULL stays
SELECT kafka_subscription_alter('orders', batch_size => 10, validator => 'app.valid_jsonb');
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'kafka_events.orders'::regclass;
SELECT kafka_subscription_alter('orders', handler => 'app.on_text', batch_size => 1000);
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'kafka_events.orders'::regclass;
SELECT pg_describe_object(refclassid, refobjid, 0) FROM pg_depend
  WHERE objid = 'kafka_events.orders'::regclass AND deptype = 'n' ORDER BY 1;
SELECT kafka_subscription_alter('orders');
SELECT kafka_subscription_alter('orders', handler => 'app.nothing', batch_size => 0);
SELECT kafka_subscription_alter('nothing', batch_size => 10);
SELECT kafka_subscription_alter('orders', batch_size => 10, server => 'nothing');

-- unsubscribe
SELECT kafka_unsubscribe('nothing');
SELECT kafka_unsubscribe('everything');
SELECT kafka_unsubscribe(NULL);

-- the view: what there is to say
RESET ROLE;
SELECT topic, server, handler, into_table, owner, status, status_reason
  FROM kafka_subscriptions ORDER BY topic COLLATE "C";

-- tables for the envelope format
SELECT kafka_table_create('app.envelope');
\d app.envelope
SELECT kafka_table_create('app.envelope');
SELECT kafka_table_create('nowhere.t');
SELECT kafka_table_create('a.b.c');
SELECT kafka_table_create('');
SELECT kafka_table_create('"Odd name"');
SELECT kafka_table_create(NULL);
SET search_path = '';
SELECT public.kafka_table_create('t');
RESET search_path;
DROP TABLE "Odd name";

-- clean up
DROP SERVER shop;
DROP SERVER shop CASCADE;
DROP SCHEMA app CASCADE;
DROP OWNED BY regress_kafka_owner;
DROP ROLE regress_kafka_owner, regress_kafka_other;
DROP EXTENSION kafka_events;
