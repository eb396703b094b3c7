-- Events out of the database, and what is parked.  The server's relay, if it
-- runs, finds no broker.
CREATE EXTENSION kafka_events;
CREATE ROLE regress_kafka_owner LOGIN;
CREATE ROLE regress_kafka_app LOGIN;
CREATE ROLE regress_kafka_stranger LOGIN;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_owner;
SET client_min_messages = error;
CREATE VIEW rows AS
  SELECT kind, topic, partition, convert_from(key, 'UTF8') AS key, value, encode(value, 'escape') AS text, headers
    FROM (TABLE kafka_events.outbox_a UNION ALL TABLE kafka_events.outbox_b) o WHERE NOT marker ORDER BY id;
CREATE VIEW markers AS
  SELECT s.srvname, m.row_count
    FROM (TABLE kafka_events.outbox_a UNION ALL TABLE kafka_events.outbox_b) m LEFT JOIN pg_foreign_server s ON s.oid = m.server
   WHERE marker ORDER BY id;

-- no server yet
SELECT kafka_produce('orders', 'value');
SELECT kafka_produce('orders', 'value', server => 'shop');
TABLE kafka_outbox_status;

SET ROLE regress_kafka_owner;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
GRANT USAGE ON FOREIGN SERVER shop TO regress_kafka_app;
RESET ROLE;

-- the first event waits for nothing: the database's identity is made by the relay
SELECT count(*) FROM kafka_events.identity;
SET ROLE regress_kafka_app;
SELECT kafka_produce('orders', '{"a":1}', key => 'k', headers => '{"h":"v"}');
RESET ROLE;
SELECT count(*) FROM kafka_events.identity;

-- ids grow; each transaction takes one more for its marker
SET ROLE regress_kafka_app;
BEGIN;
SELECT kafka_produce('orders', 'a') + 1 = kafka_produce('orders', 'b') AS next;
COMMIT;
RESET ROLE;

-- values: text, bytea, json, jsonb, and none
SELECT kafka_produce('t', 'täxt') > 0 AS produced;
SELECT kafka_produce('t', '\x00ff'::bytea) > 0 AS produced;
SELECT kafka_produce('t', '{ "a" :1}'::json) > 0 AS produced;
SELECT kafka_produce('t', '{ "a" :1}'::jsonb) > 0 AS produced;
SELECT kafka_produce('t', NULL, key => 'gone') > 0 AS produced;
SELECT kafka_produce('t', NULL::bytea) > 0 AS produced;
SELECT kafka_produce('t', NULL::jsonb) > 0 AS produced;
SELECT kafka_produce('t', '', key => '') > 0 AS produced;
SELECT kafka_produce('t', '1', partition => 7, server => 'shop') > 0 AS produced;
SELECT kind, topic, partition, key, value, headers FROM rows;
SELECT text FROM rows WHERE topic = 't' AND text LIKE '%"a"%';
TABLE markers;

-- headers
SELECT kafka_produce('h', '', headers => '{}') > 0 AS produced;
SELECT kafka_produce('h', '', headers => '{"string": "ä", "null": null, "number": 1.50, "true": true,
  "several": ["1", null, {"base64": "AAE="}, 2], "bytes": {"base64": "/w=="}, "none": []}') > 0 AS produced;
SELECT headers FROM rows WHERE topic = 'h';
SELECT kafka_produce('h', '', headers => '[]');
SELECT kafka_produce('h', '', headers => '"x"');
SELECT kafka_produce('h', '', headers => 'null');
SELECT kafka_produce('h', '', headers => '{"a": {}}');
SELECT kafka_produce('h', '', headers => '{"a": {"b": "c"}}');
SELECT kafka_produce('h', '', headers => '{"a": {"base64": "AA==", "b": 1}}');
SELECT kafka_produce('h', '', headers => '{"a": {"base64": 1}}');
SELECT kafka_produce('h', '', headers => '{"a": {"base64": "?"}}');
SELECT kafka_produce('h', '', headers => '{"a": [["b"]]}');
SELECT kafka_produce('h', '', headers => '{"": "b"}');

-- what else is refused
SELECT kafka_produce(NULL, 'value');
SELECT kafka_produce('', 'value');
SELECT kafka_produce('..', 'value');
SELECT kafka_produce('not a topic', 'value');
SELECT kafka_produce(repeat('t', 250), 'value');
SELECT kafka_produce('__consumer_offsets', 'value');
SELECT kafka_produce('t', 'value', partition => -1);
SELECT kafka_produce('t', 'value', server => 'nothing');
SELECT kafka_produce('t', 1);
SELECT kafka_produce('t');
BEGIN READ ONLY;
SELECT kafka_produce('t', 'value');
ROLLBACK;
SET ROLE regress_kafka_stranger;
SELECT kafka_produce('t', 'value');
SELECT kafka_produce('t', 'value', server => 'shop');
TABLE kafka_outbox_status;
TABLE kafka_outbox_parked;
SELECT * FROM kafka_events.outbox_a;
SELECT nextval('kafka_events.outbox_id');
RESET ROLE;
SELECT count(*) FROM rows WHERE text = 'value';

-- privileges change at once
GRANT USAGE ON FOREIGN SERVER shop TO regress_kafka_stranger;
SET ROLE regress_kafka_stranger;
SELECT kafka_produce('p', 'may') > 0 AS produced;
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER shop FROM regress_kafka_stranger;
SET ROLE regress_kafka_stranger;
SELECT kafka_produce('p', 'may not');
RESET ROLE;
-- those of a function's owner count in it
CREATE FUNCTION announce(what text) RETURNS bigint SECURITY DEFINER LANGUAGE sql AS $$SELECT kafka_produce('p', what)$$;
SET ROLE regress_kafka_stranger;
SELECT announce('by a function') > 0 AS produced;
RESET ROLE;

-- several servers; renamed, dropped
CREATE SERVER store FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'store-service', workers '0');
SELECT kafka_produce('s', 'where?');
SELECT kafka_produce('s', 'here', server => 'store') > 0 AS produced;
-- a default of the session, a role or the database
SET kafka_events.default_server = 'store';
SELECT kafka_produce('s', 'by default') > 0 AS produced;
SELECT f.srvname FROM kafka_events.outbox_a o JOIN pg_foreign_server f ON f.oid = o.server ORDER BY o.id DESC LIMIT 1;
SET kafka_events.default_server = 'shop';
SELECT kafka_produce('s', 'by another default') > 0 AS produced;
SELECT f.srvname FROM kafka_events.outbox_a o JOIN pg_foreign_server f ON f.oid = o.server ORDER BY o.id DESC LIMIT 1;
SELECT kafka_produce('s', 'named', server => 'store') > 0 AS produced;
SET kafka_events.default_server = 'nowhere';
SELECT kafka_produce('s', 'where?');
SELECT kafka_consumer_pause('s');
RESET kafka_events.default_server;
SELECT kafka_produce('s', 'where?');
ALTER SERVER store RENAME TO shed;
SELECT kafka_produce('s', 'where?', server => 'store');
SELECT kafka_produce('s', 'here', server => 'shed') > 0 AS produced;
BEGIN;
SELECT count(kafka_produce('s', 'both', server => server)) FROM unnest('{shop,shed,shop}'::name[]) server;
COMMIT;
SELECT * FROM markers OFFSET (SELECT count(*) FROM markers) - 2;
DROP SERVER shed;
SELECT kafka_produce('s', 'gone', server => 'shed');
SELECT kafka_produce('s', 'the only one again') > 0 AS produced;
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER other;
SELECT kafka_produce('s', 'of another wrapper', server => 'elsewhere');
DROP FOREIGN DATA WRAPPER other CASCADE;
-- a server that its own transaction drops, or that never was
BEGIN;
CREATE SERVER brief FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'brief-service', workers '0');
SELECT kafka_produce('s', 'nobody''s', server => 'brief') > 0 AS produced;
DROP SERVER brief;
COMMIT;
SELECT server, pending_total FROM kafka_outbox_status;

-- transactions: what is rolled back is not counted, and has no marker
CREATE VIEW pending AS SELECT pending_total FROM kafka_outbox_status;
TABLE pending;
BEGIN;
SELECT kafka_produce('x', 'rolled back') > 0 AS produced;
ROLLBACK;
TABLE pending;
BEGIN;
SAVEPOINT a;
SELECT kafka_produce('x', 'rolled back') > 0 AS produced;
ROLLBACK TO a;
COMMIT;
TABLE pending;
BEGIN;
SAVEPOINT a;
SELECT kafka_produce('x', 'one') > 0 AS produced;
SAVEPOINT b;
SELECT kafka_produce('x', 'two') > 0 AS produced;
RELEASE a;
SAVEPOINT c;
SELECT kafka_produce('x', 'rolled back') > 0 AS produced;
ROLLBACK TO c;
SELECT kafka_produce('x', 'three') > 0 AS produced;
COMMIT;
TABLE pending;
SELECT text FROM rows WHERE topic = 'x';
SELECT row_count FROM markers OFFSET (SELECT count(*) FROM markers) - 1;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT kafka_produce('x', 'serializable') > 0 AS produced;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT kafka_produce('x', 'repeatable read') > 0 AS produced;
COMMIT;
-- from triggers, deferred ones too
CREATE TABLE orders (id int PRIMARY KEY);
CREATE FUNCTION publish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM kafka_produce('triggered', to_jsonb(NEW), key => NEW.id::text);
  RETURN NULL;
END$$;
CREATE CONSTRAINT TRIGGER publish AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION publish();
BEGIN;
INSERT INTO orders VALUES (1), (2);
SELECT count(*) FROM rows WHERE topic = 'triggered';
COMMIT;
SELECT text FROM rows WHERE topic = 'triggered';
TABLE pending;
-- what a session may set does not touch it
SET search_path = '';
SET lock_timeout = '1ms';
SELECT public.kafka_produce('x', 'elsewhere') > 0 AS produced;
RESET search_path;
RESET lock_timeout;

-- a copy keeps what it is given until its identity is confirmed
SELECT kafka_identity_confirm('continue') IS NOT NULL AS made;
UPDATE kafka_events.identity SET database_oid = 1;
SELECT kafka_produce('x', 'in a copy') > 0 AS produced;
SELECT server, pending_total, last_error FROM kafka_outbox_status;
SELECT kafka_identity_confirm('continue') IS NOT NULL AS confirmed;

-- parked messages
SELECT oid AS shop FROM pg_foreign_server WHERE srvname = 'shop' \gset
INSERT INTO kafka_events.outbox_parked
  VALUES (-1, :shop, 'e', 'big', NULL, NULL, 'key', 'value', NULL, 'message size too large', '2026-01-01', '2026-01-02'),
         (-2, :shop, 'r', 'orders.retry', 'orders', 3, NULL, NULL, '\x6100ffffffff', 'unknown partition', '2026-01-01', '2026-01-02'),
         (-3, :shop, 'd', 'orders.dlq', 'orders', 3, NULL, '', NULL, 'topic authorization failed', '2026-01-01', '2026-01-02');
SELECT id, server, topic, partition, kind, source_topic, reason, key_bytes, value_bytes, headers_bytes FROM kafka_outbox_parked ORDER BY id;
SELECT server, parked_total FROM kafka_outbox_status;
SELECT kafka_outbox_retry(-4);
SELECT kafka_outbox_discard(-4);
SELECT kafka_outbox_retry(NULL);
SET ROLE regress_kafka_app;
SELECT kafka_outbox_retry(-1);
SELECT kafka_outbox_discard(-1);
SET ROLE regress_kafka_owner;
BEGIN READ ONLY;
SELECT kafka_outbox_retry(-1);
ROLLBACK;
BEGIN READ ONLY;
SELECT kafka_outbox_discard(-1);
ROLLBACK;
SELECT kafka_outbox_discard(-1);
SELECT kafka_outbox_discard(-1);
SELECT kafka_outbox_retry(-2) > 0 AS again, kafka_outbox_retry(-3) > 0 AS again;
RESET ROLE;
SELECT kind, topic, partition, key, value, headers FROM rows WHERE kind <> 'e';
SELECT server, parked_total FROM kafka_outbox_status;

-- the extension goes with all of it, also from under a transaction's feet
BEGIN;
SELECT kafka_produce('x', 'last') > 0 AS produced;
DROP EXTENSION kafka_events CASCADE;
COMMIT;
BEGIN;
SAVEPOINT a;
CREATE EXTENSION kafka_events;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
SELECT kafka_produce('x', 'one');
ROLLBACK TO a;
COMMIT;
DROP TABLE orders;
DROP FUNCTION publish, announce;
DROP OWNED BY regress_kafka_owner, regress_kafka_app, regress_kafka_stranger;
DROP ROLE regress_kafka_owner, regress_kafka_app, regress_kafka_stranger;
