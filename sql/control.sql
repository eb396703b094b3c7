-- Pause, resume, seek, and the identity.  What needs a cluster is in TAP
-- tests; here no cluster answers.
CREATE EXTENSION kafka_events;
CREATE ROLE regress_kafka_owner LOGIN;
CREATE SCHEMA app AUTHORIZATION regress_kafka_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_owner;
SET kafka_events.request_timeout = '100ms';
SET client_min_messages = error;

-- the first identity comes with the first subscription
SELECT count(*) FROM kafka_events.identity;
SET ROLE regress_kafka_owner;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
CREATE FUNCTION app.handler(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT kafka_subscribe('orders', handler => 'app.handler');
RESET ROLE;
SELECT only_row, system_identifier = (SELECT system_identifier FROM pg_control_system()) AS this_system,
       database_oid = (SELECT oid FROM pg_database WHERE datname = current_database()) AS this_database
  FROM kafka_events.identity;

-- pause and resume
SET ROLE regress_kafka_owner;
SELECT kafka_consumer_pause('orders');
SELECT kafka_consumer_pause('orders', 'shop');
RESET ROLE;
SELECT topic, status, status_reason FROM kafka_subscriptions;
SELECT ftoptions FROM pg_foreign_table;
SET ROLE regress_kafka_owner;
-- what is paused can be altered, and stays paused
SELECT kafka_subscription_alter('orders', batch_size => 7);
SELECT ftoptions FROM pg_foreign_table;
SELECT kafka_consumer_resume('orders');
SELECT kafka_consumer_resume('orders', 'shop');
SELECT ftoptions FROM pg_foreign_table;
SELECT kafka_consumer_pause('nothing');
SELECT kafka_consumer_pause('orders', 'nothing');
SELECT kafka_consumer_pause(NULL);
SELECT kafka_consumer_resume('nothing');
SELECT kafka_consumer_resume(NULL);
-- a broken subscription can be paused and resumed too
REVOKE EXECUTE ON FUNCTION app.handler(jsonb) FROM PUBLIC, regress_kafka_owner;
SELECT kafka_consumer_pause('orders');
SELECT kafka_consumer_resume('orders');
RESET ROLE;
SELECT topic, status, status_reason FROM kafka_subscriptions;
GRANT EXECUTE ON FUNCTION app.handler(jsonb) TO regress_kafka_owner;

-- resume lets stopped partitions try again: a new epoch, no claim held against them
INSERT INTO kafka_events.clusters VALUES ('shop-service', 'the-cluster');
INSERT INTO kafka_events.positions
    (cluster_id, group_id, topic, partition, next_offset, owner_epoch, unclean_claims, trying_offset)
  VALUES ('the-cluster', 'shop-service-main', 'orders', 0, 100, 5, 4, 100),
         ('the-cluster', 'shop-service-main', 'orders', 1, 200, 3, 0, NULL),
         ('the-cluster', 'shop-service-main', 'other', 0, 300, 1, 4, 300);
SET ROLE regress_kafka_owner;
SELECT kafka_consumer_resume('orders');
RESET ROLE;
SELECT topic, partition, next_offset, owner_epoch, unclean_claims, trying_offset
  FROM kafka_events.positions ORDER BY topic, partition;

-- a subscription that comes back goes on where it was
SET ROLE regress_kafka_owner;
SELECT kafka_unsubscribe('orders');
SELECT kafka_subscribe('orders', handler => 'app.handler', start_from => 'latest');
RESET ROLE;
SELECT topic, partition, next_offset FROM kafka_events.positions ORDER BY topic, partition;
SELECT count(*) FROM kafka_events.starts;
-- one that was never consumed, from the end: noted, and forgotten with it
SELECT kafka_subscribe('fresh', handler => 'app.handler', start_from => 'latest');
SELECT group_id, topic FROM kafka_events.starts;
SELECT kafka_unsubscribe('fresh');
SELECT kafka_subscribe('fresh', handler => 'app.handler');
SELECT count(*) FROM kafka_events.starts;
SELECT kafka_unsubscribe('fresh');
SELECT kafka_subscribe('fresh', handler => 'app.handler', start_from => 'latest');
CREATE TABLE requested AS SELECT requested_at FROM kafka_events.starts;
SELECT kafka_unsubscribe('fresh');
SELECT kafka_subscribe('fresh', handler => 'app.handler', start_from => 'latest');
SELECT s.topic, s.requested_at > r.requested_at AS later FROM kafka_events.starts s, requested r;
DROP TABLE requested;
SELECT kafka_unsubscribe('fresh');

-- seek: what it does not take
SELECT * FROM kafka_consumer_seek('orders');
SELECT * FROM kafka_consumer_seek('orders', 5, "position" => 'latest');
SELECT * FROM kafka_consumer_seek('orders', "timestamp" => now(), "position" => 'latest');
SELECT * FROM kafka_consumer_seek('orders', to_offset => 5, to_position => 'latest');
SELECT * FROM kafka_consumer_seek('orders', 5, to_offset => 5);
SELECT * FROM kafka_consumer_seek('orders', to_offset => -1);
SELECT * FROM kafka_consumer_seek('orders', to_timestamp => '-infinity');
SELECT * FROM kafka_consumer_seek('orders', to_position => 'middle');
SELECT * FROM kafka_consumer_seek(NULL, 5);
SELECT * FROM kafka_consumer_seek('orders', -1);
SELECT * FROM kafka_consumer_seek('orders', "timestamp" => 'infinity');
SELECT * FROM kafka_consumer_seek('orders', "position" => 'middle');
SELECT * FROM kafka_consumer_seek('orders', 5, partition => -1);
SELECT * FROM kafka_consumer_seek('nothing', 5);
SELECT * FROM kafka_consumer_seek('orders', 5, server => 'nothing');
\set VERBOSITY sqlstate
SELECT * FROM kafka_consumer_seek('orders', 5);
SELECT * FROM kafka_consumer_seek('orders', "position" => 'earliest');
SELECT * FROM kafka_consumer_seek('orders', "timestamp" => now());
\set VERBOSITY default

-- identity: a copy is told by the system identifier or the database's oid
SELECT kafka_identity_confirm('maybe');
SELECT kafka_identity_confirm(NULL);
CREATE TABLE before AS SELECT uuid FROM kafka_events.identity;
UPDATE kafka_events.identity SET system_identifier = 1;
SELECT topic, status, status_reason FROM kafka_subscriptions;
SELECT kafka_identity_confirm('continue') = (SELECT uuid FROM before) AS same;
SELECT topic, status, status_reason FROM kafka_subscriptions;
SELECT count(*) FROM kafka_events.positions;
-- again: nothing changes
SELECT kafka_identity_confirm('continue') = (SELECT uuid FROM before) AS same;
UPDATE kafka_events.identity SET database_oid = 1;
SELECT topic, status, status_reason FROM kafka_subscriptions;
SELECT kafka_identity_confirm('new') = (SELECT uuid FROM before) AS same;
SELECT topic, status, status_reason FROM kafka_subscriptions;
SELECT (SELECT uuid FROM kafka_events.identity) = (SELECT uuid FROM before) AS same,
       (SELECT count(*) FROM kafka_events.positions) AS positions,
       (SELECT count(*) FROM kafka_events.clusters) AS clusters,
       (SELECT count(*) FROM kafka_events.identity) AS identities;
-- no row, as after pg_dump --schema-only
DELETE FROM kafka_events.identity;
SELECT topic, status, status_reason FROM kafka_subscriptions;
SELECT kafka_subscribe('another', handler => 'app.handler');
SET client_min_messages = notice;
CREATE FOREIGN TABLE kafka_events.another () SERVER shop OPTIONS (handler 'app.handler');
SET client_min_messages = error;
SELECT count(*) FROM kafka_events.identity;
DROP FOREIGN TABLE kafka_events.another;
SELECT kafka_identity_confirm('continue') IS NOT NULL AS made;
SELECT topic, status, status_reason FROM kafka_subscriptions;
-- rolled back, nothing has happened
BEGIN;
SELECT kafka_identity_confirm('new') IS NOT NULL AS made;
ROLLBACK;
SELECT count(*) FROM kafka_events.identity;

-- what a handler may set does not touch our own writes
SET ROLE regress_kafka_owner;
SET search_path = '';
SET lock_timeout = '1ms';
SELECT public.kafka_consumer_pause('orders');
SELECT public.kafka_consumer_resume('orders');
RESET search_path;
RESET lock_timeout;
BEGIN READ ONLY;
SELECT kafka_consumer_pause('orders');
ROLLBACK;
BEGIN READ ONLY;
SELECT kafka_consumer_resume('orders');
ROLLBACK;
BEGIN READ ONLY;
SELECT kafka_consumer_seek('orders', 5);
ROLLBACK;
RESET ROLE;
BEGIN READ ONLY;
SELECT kafka_identity_confirm('new');
ROLLBACK;

RESET ROLE;
DROP SERVER shop CASCADE;
DROP TABLE before;
DROP SCHEMA app CASCADE;
DROP OWNED BY regress_kafka_owner;
DROP ROLE regress_kafka_owner;
DROP EXTENSION kafka_events;
