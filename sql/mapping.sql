-- How a subscription says what a topic's values look like: what is accepted,
-- what is shown, and what is refused.
CREATE EXTENSION kafka_events;
SET kafka_events.request_timeout = '100ms';
SET client_min_messages = error;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
CREATE TABLE orders (id bigint PRIMARY KEY, note text, made int GENERATED ALWAYS AS (1) STORED);
CREATE TYPE row_type AS (id bigint, city text);
CREATE FUNCTION on_jsonb(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION on_row(row_type) RETURNS void LANGUAGE sql AS '';

-- names and paths
SELECT kafka_subscribe('plain', into_table => 'orders');
SELECT kafka_subscribe('named', into_table => 'orders', field_names => 'SNAKE_CASE',
  column_map => '{"id": "order.id", "note": "a\"b[0]"}');
SELECT kafka_subscribe('named', into_table => 'orders', field_names => 'snake_case',
  column_map => '{"id": "order.id", "note": "items[0].\"a.b\""}');
SELECT topic, column_map, field_names FROM kafka_subscriptions ORDER BY topic;
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'kafka_events.named'::regclass;
SELECT kafka_subscription_alter('named', column_map => '{}', field_names => 'exact');
SELECT topic, column_map, field_names FROM kafka_subscriptions ORDER BY topic;
ALTER FOREIGN TABLE kafka_events.named OPTIONS (SET column_map '{"note": "$"}');
SELECT column_map FROM kafka_subscriptions WHERE topic = 'named';
-- columns: of the table, of a handler's row type, of either
SELECT kafka_subscribe('bad', into_table => 'orders', column_map => '{"city": "x", "ctid": "y", "note": "z"}');
SELECT kafka_subscribe('bad', into_table => 'orders', column_map => '{"made": "x"}');
SELECT kafka_subscribe('bad', handler => 'on_row', column_map => '{"note": "x", "city": "y"}');
SELECT kafka_subscribe('row', handler => 'on_row', column_map => '{"city": "y"}', field_names => 'snake_case');
SELECT kafka_subscribe('both', into_table => 'orders', handler => 'on_row', column_map => '{"note": "x", "city": "y"}');
-- nothing that it could mean
SELECT kafka_subscribe('bad', handler => 'on_jsonb', column_map => '{"note": "x"}');
SELECT kafka_subscribe('bad', into_table => 'orders', row_format => 'envelope', column_map => '{"note": "x"}');
SELECT kafka_subscribe('bad', handler => 'nothing', column_map => '{"note": "x"}');
-- no paths, no names
SELECT kafka_subscribe('bad', into_table => 'orders', column_map => '{"note": "a..b"}', field_names => 'camel');
SELECT kafka_subscribe('bad', into_table => 'orders', column_map => '["note"]');
ALTER FOREIGN TABLE kafka_events.named OPTIONS (SET column_map '{"note": ');
-- a column that goes away
SELECT status, status_reason FROM kafka_subscriptions WHERE topic = 'named';
ALTER TABLE orders RENAME note TO remark;
SELECT status, status_reason FROM kafka_subscriptions WHERE topic = 'named';
ALTER TABLE orders RENAME remark TO note;

-- values
SELECT kafka_subscribe('values', into_table => 'orders', timestamp_unit => 'ms', bytes_encoding => 'base64', strip_nul => true);
SELECT timestamp_unit, bytes_encoding, strip_nul FROM kafka_subscriptions WHERE topic IN ('plain', 'values') ORDER BY topic;
SELECT kafka_subscription_alter('values', timestamp_unit => 'none', bytes_encoding => 'text', strip_nul => false);
SELECT timestamp_unit, bytes_encoding, strip_nul FROM kafka_subscriptions WHERE topic = 'values';
SELECT kafka_subscribe('bad', into_table => 'orders', timestamp_unit => 'minutes', bytes_encoding => 'base32');

-- rows that are there
SELECT kafka_subscribe('updates', into_table => 'orders', on_conflict => 'update', update_columns => 'present', update_if => 'id',
  tombstones => 'ignore', generated_columns => 'ignore');
SELECT tombstones, update_columns, update_if, generated_columns FROM kafka_subscriptions WHERE topic IN ('plain', 'updates') ORDER BY topic;
SELECT kafka_subscription_alter('updates', update_columns => 'all', generated_columns => 'error', tombstones => 'delete');
ALTER FOREIGN TABLE kafka_events.updates OPTIONS (DROP update_if);
SELECT tombstones, update_columns, update_if, generated_columns FROM kafka_subscriptions WHERE topic = 'updates';
SELECT kafka_subscribe('bad', into_table => 'orders', update_columns => 'some', tombstones => 'drop', generated_columns => 'no');
SELECT kafka_subscribe('bad', into_table => 'orders', update_columns => 'present');
SELECT kafka_subscribe('bad', into_table => 'orders', update_if => 'id');
SELECT kafka_subscribe('bad', into_table => 'orders', tombstones => 'delete');
SELECT kafka_subscribe('bad', into_table => 'orders', on_conflict => 'update', update_if => 'moment');
CREATE TABLE places (id int PRIMARY KEY, at point);
SELECT kafka_subscribe('bad', into_table => 'places', on_conflict => 'update', update_if => 'at');
DROP TABLE places;

-- several values in a message
SELECT kafka_subscribe('arrays', into_table => 'orders', split => 'array');
SELECT kafka_subscription_alter('arrays', split => 'LINES');
SELECT topic, split FROM kafka_subscriptions WHERE topic IN ('plain', 'arrays') ORDER BY topic;
SELECT kafka_subscription_alter('arrays', split => 'none');
SELECT kafka_subscribe('bad', into_table => 'orders', split => 'csv');
SELECT kafka_subscribe('bad', into_table => 'orders', split => 'array', value_format => 'registry');
-- rows of one message need different keys
CREATE TABLE logged (kafka_partition int, kafka_offset bigint, note text, kafka_element int, PRIMARY KEY (kafka_partition, kafka_offset));
SELECT kafka_subscribe('bad', into_table => 'logged', split => 'lines');
SELECT kafka_subscribe('logged', into_table => 'logged', split => 'lines', column_map => '{"kafka_offset": "offset"}');
ALTER TABLE logged DROP CONSTRAINT logged_pkey, ADD PRIMARY KEY (kafka_partition, kafka_offset, kafka_element);
SELECT kafka_subscribe('logged2', into_table => 'logged', split => 'lines', on_conflict => 'update');
SELECT kafka_table_create('enveloped');
SELECT kafka_subscribe('bad', into_table => 'enveloped', split => 'lines', row_format => 'envelope');
SELECT kafka_unsubscribe(topic) FROM unnest('{arrays,logged,logged2}'::text[]) topic;
DROP TABLE logged, enveloped;

-- one topic into several tables
CREATE FUNCTION pick(jsonb) RETURNS regclass LANGUAGE sql AS 'SELECT ''orders''::regclass';
CREATE FUNCTION pick(kafka_message) RETURNS regclass LANGUAGE sql AS 'SELECT ''orders''::regclass';
CREATE FUNCTION pick_text(jsonb) RETURNS text LANGUAGE sql AS 'SELECT ''orders''';
CREATE FUNCTION pick_batch(kafka_message[]) RETURNS regclass LANGUAGE sql AS 'SELECT ''orders''::regclass';
SELECT kafka_subscribe('bad', route => 'pick');
SELECT kafka_subscribe('bad', route => 'pick_text');
SELECT kafka_subscribe('bad', route => 'pick_batch');
SELECT kafka_subscribe('bad', route => 'nobody');
SELECT kafka_subscribe('bad', route => 'pick(jsonb)', into_table => 'orders');
SELECT kafka_subscribe('routed', route => 'pick(jsonb)', column_map => '{"anything": "x"}', on_conflict => 'update', update_if => 'anything');
SELECT topic, into_table, route FROM kafka_subscriptions WHERE topic IN ('plain', 'routed') ORDER BY topic;
SELECT kafka_subscription_alter('routed', route => 'pick(kafka_message)');
DROP FUNCTION pick(jsonb);
DROP FUNCTION pick(kafka_message);
ALTER FUNCTION pick(kafka_message) RENAME TO chosen;
SELECT route FROM kafka_subscriptions WHERE topic = 'routed';
SELECT option FROM pg_foreign_table, unnest(ftoptions) option WHERE ftrelid = 'kafka_events.routed'::regclass AND option LIKE 'route%';
SELECT kafka_subscription_alter('routed', into_table => 'orders');
-- one function for two options
SELECT kafka_subscription_alter('routed', handler => 'chosen');
DROP FUNCTION chosen(kafka_message) CASCADE;
DROP FUNCTION pick_text, pick_batch;

SELECT option, type, default_value, allowed_values FROM kafka_options() WHERE object = 'subscription' AND option IN ('column_map', 'field_names', 'timestamp_unit', 'bytes_encoding', 'strip_nul',
  'tombstones', 'update_columns', 'update_if', 'generated_columns', 'split', 'route');

DROP EXTENSION kafka_events CASCADE;
DROP TABLE orders;
DROP FUNCTION on_row, on_jsonb;
DROP TYPE row_type;
