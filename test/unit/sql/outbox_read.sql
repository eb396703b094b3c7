-- The relay's way through the outbox, step by step.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
-- no real relay
ALTER SYSTEM SET kafka_events.enabled = off;
SELECT pg_reload_conf();
\c -
SHOW kafka_events.enabled;
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS kafka_events CASCADE;
CREATE EXTENSION kafka_events;
RESET client_min_messages;
CREATE FUNCTION unit_headers(jsonb) RETURNS bytea LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_headers_read(bytea) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_outbox_reader(oid) RETURNS void LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_outbox_take() RETURNS boolean LANGUAGE C AS :'module';
CREATE FUNCTION unit_outbox_read(integer DEFAULT 1000) RETURNS SETOF text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_outbox_rewind() RETURNS void LANGUAGE C AS :'module';
CREATE FUNCTION unit_outbox_show(integer) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_outbox_done(integer, published integer) RETURNS void LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_outbox_park(integer, text) RETURNS void LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_outbox_finish() RETURNS void LANGUAGE C AS :'module';
CREATE FUNCTION unit_outbox_error(text) RETURNS boolean LANGUAGE C AS :'module';
CREATE FUNCTION unit_outbox_save() RETURNS void LANGUAGE C AS :'module';
CREATE FUNCTION unit_outbox_tidy(idle boolean) RETURNS void LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_outbox_has_pending(oid) RETURNS boolean LANGUAGE C STRICT AS :'module';

-- headers: there and back, whatever is in them
SELECT unit_headers('{}');
SELECT unit_headers_read(unit_headers('{}')) = '' AS none;
SELECT unit_headers_read(unit_headers(
  '{"text": "é", "empty": "", "null": null, "bytes": {"base64": "AP8K"}, "number": 1.50, "bool": false,
    "several": ["1", null, {"base64": ""}, 2, true], "nobody": []}'));
-- nine and more: the array grows
SELECT unit_headers_read(unit_headers(jsonb_build_object('h', (SELECT jsonb_agg(i) FROM generate_series(1, 20) i))));
-- not headers: cut off anywhere, with lengths that lead elsewhere
SELECT bool_and(unit_headers_read(substr(unit_headers('{"ab": "cd"}'), 1, n)) IS NULL) AS refused FROM generate_series(1, 8) n;
SELECT unit_headers_read(substr(unit_headers('{"ab": "cd"}'), 1, 9));
SELECT unit_headers_read('\x610000000002 63') IS NULL AS too_long, unit_headers_read('\x6100fffffffe63') IS NULL AS negative,
       unit_headers_read('\x61007fffffff63') IS NULL AS huge, unit_headers_read('\x6161') IS NULL AS no_end;

-- an outbox
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'unit-outbox', workers '0');
CREATE SERVER store FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'unit-outbox-2', workers '0');
SELECT oid AS shop FROM pg_foreign_server WHERE srvname = 'shop' \gset
SELECT oid AS store FROM pg_foreign_server WHERE srvname = 'store' \gset
CREATE VIEW state AS
  SELECT published::text = taken::text AS closed, done_marker > 0 AS has_done, done_rows, published_total, last_error
    FROM kafka_events.outbox_state;
CREATE VIEW status AS
  SELECT server, pending_total, oldest_pending_age IS NOT NULL AS has_age, published_total, parked_total, last_error
    FROM kafka_outbox_status;

-- nothing to take, nothing written
SELECT unit_outbox_reader(:shop);
SELECT unit_outbox_take(), unit_outbox_has_pending(:shop);
SELECT * FROM unit_outbox_read();
SELECT count(*) FROM kafka_events.outbox_state;
TABLE status;

-- rows in their order, other servers' not, transactions rolled back not
SELECT kafka_produce('t', 'one', server => 'shop') IS NOT NULL AS done;
SELECT kafka_produce('t', 'other', server => 'store') IS NOT NULL AS done;
BEGIN;
SELECT kafka_produce('t', 'two', key => 'k', partition => 3, headers => '{"a": "b", "x-message-id": "mine"}', server => 'shop') IS NOT NULL AS done;
SAVEPOINT s;
SELECT kafka_produce('t', 'rolled back', server => 'shop') IS NOT NULL AS done;
ROLLBACK TO s;
SELECT kafka_produce('u', NULL::text, key => 'three', server => 'shop') IS NOT NULL AS done;
COMMIT;
BEGIN;
SELECT kafka_produce('t', 'rolled back', server => 'shop') IS NOT NULL AS done;
ROLLBACK;
TABLE status;
SELECT unit_outbox_has_pending(:shop), unit_outbox_has_pending(:store);
SELECT unit_outbox_take();
TABLE state;
SELECT * FROM unit_outbox_read(1);
SELECT kafka_produce('t', 'later', server => 'shop') IS NOT NULL AS done;
SELECT * FROM unit_outbox_read(1);
SELECT * FROM unit_outbox_read(1);
SELECT * FROM unit_outbox_read(1);
SELECT regexp_replace(unit_outbox_show(1), '[0-9a-f]{8}-[-0-9a-f]{27}', 'uuid') ~ '^event t value=one uuid-[0-9]+-[0-9]{16}$' AS one;
SELECT unit_outbox_show(2);

-- done, saved, and read again behind it
SELECT unit_outbox_done(2, published => 2);
SELECT unit_outbox_error(NULL) AS unsaved;
TABLE state;
SELECT unit_outbox_save();
SELECT unit_outbox_error(NULL) AS unsaved;
TABLE state;
TABLE status;
SELECT unit_outbox_rewind();
SELECT * FROM unit_outbox_read();

-- another process goes on there, and the first one notices
SELECT unit_outbox_reader(:shop);
SELECT * FROM unit_outbox_read();
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();
SELECT unit_outbox_error('no broker');
SELECT unit_outbox_save();
TABLE state;
UPDATE kafka_events.outbox_state SET reader = reader + 1;
SELECT unit_outbox_save();
SELECT unit_outbox_park(1, 'too late');
UPDATE kafka_events.outbox_state SET reader = reader - 1;
SELECT unit_outbox_error(NULL);
SELECT unit_outbox_save();
TABLE state;

-- everything is done: closed with the next interval, or when there is none
SELECT unit_outbox_done(1, published => 1);
SELECT unit_outbox_finish();
SELECT * FROM unit_outbox_read();
TABLE state;
SELECT unit_outbox_take();
TABLE state;
SELECT * FROM unit_outbox_read();
SELECT unit_outbox_done(1, published => 1), unit_outbox_finish();
SELECT unit_outbox_take();
TABLE state;
TABLE status;
SELECT unit_outbox_has_pending(:shop);
SELECT ctid AS before FROM kafka_events.outbox_state \gset
SELECT unit_outbox_take();
SELECT ctid = :'before' AS unwritten FROM kafka_events.outbox_state;

-- take, in a transaction that fails
SELECT kafka_produce('t', 'four', server => 'shop') IS NOT NULL AS done;
BEGIN;
SELECT unit_outbox_take();
ROLLBACK;
TABLE state;
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();
SELECT unit_outbox_done(1, published => 1), unit_outbox_finish();
BEGIN;
SELECT unit_outbox_take();
ROLLBACK;
TABLE state;
-- a process that ends now leaves an interval in which nothing is left
SELECT unit_outbox_save();
SELECT unit_outbox_reader(:shop);
SELECT unit_outbox_take();
TABLE state;

-- parking
SELECT kafka_produce('t', 'good', server => 'shop') > 0 AS done;
SELECT kafka_produce('t', repeat('big', 100000), key => 'key', headers => '{"a": "b"}', partition => 7, server => 'shop') > 0 AS done;
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();
SELECT unit_outbox_park(2, 'message size too large');
SELECT unit_outbox_park(2, 'a second time, after a crash');
SELECT unit_outbox_done(2, published => 1), unit_outbox_finish();
SELECT unit_outbox_take();
TABLE status;
SELECT server, topic, partition, kind, source_topic, reason, key_bytes, value_bytes, headers_bytes FROM kafka_outbox_parked;
SELECT min(id) AS parked FROM kafka_outbox_parked \gset
SELECT kafka_outbox_retry(:parked) > :parked AS again;
SELECT kafka_outbox_retry(:parked) IS NULL;
TABLE status;
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();

-- tables are used in turn, and emptied when nothing in them is needed
CREATE VIEW tables AS
  SELECT table_b, pg_relation_size('kafka_events.outbox_a') > 0 AS rows_a, pg_relation_size('kafka_events.outbox_b') > 0 AS rows_b
    FROM kafka_events.outbox_current;
TABLE tables;
SELECT unit_outbox_tidy(idle => false);
TABLE tables;
SELECT unit_outbox_tidy(idle => true);
TABLE tables;
SELECT kafka_produce('t', 'five', server => 'shop') > 0 AS done;
TABLE tables;
-- the interval is open: its table stays
SELECT unit_outbox_tidy(idle => true);
TABLE tables;
SELECT unit_outbox_done(1, published => 1), unit_outbox_finish();
SELECT unit_outbox_save();
-- it is published, but the other server has a row there
SELECT unit_outbox_tidy(idle => true);
TABLE tables;
TABLE status;
-- rows in both tables are found
SELECT kafka_produce('t', 'six', server => 'store') > 0 AS done;
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();
SELECT unit_outbox_reader(:store);
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();
-- a server that is dropped leaves nothing
SELECT unit_outbox_reader(:shop);
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();
SELECT unit_outbox_done(1, published => 1), unit_outbox_finish();
SELECT unit_outbox_save();
SELECT unit_outbox_tidy(idle => true);
TABLE tables;
SELECT count(*) FROM kafka_events.outbox_state;
DROP SERVER store;
SELECT unit_outbox_tidy(idle => true);
TABLE tables;
SELECT count(*) FROM kafka_events.outbox_state;
TABLE kafka_events.outbox_parked;

-- many transactions, more than one savepoint deep
DO $$BEGIN
  FOR i IN 1..200 LOOP
    BEGIN
      PERFORM kafka_produce('t', i::text, server => 'shop');
      IF i % 2 = 0 THEN
        RAISE EXCEPTION 'even';
      END IF;
    EXCEPTION WHEN raise_exception THEN
    END;
    IF i % 50 = 0 THEN
      COMMIT;
    END IF;
  END LOOP;
END$$;
SELECT row_count FROM kafka_events.outbox_b WHERE marker AND row_count > 2 ORDER BY id;
TABLE status;
SELECT unit_outbox_take();
SELECT string_agg(substring(line FROM 'value=(.*)'), ',') FROM unit_outbox_read() line WHERE line <> 'end';

SELECT unit_outbox_done(100, published => 100), unit_outbox_finish();

-- a copy of another database publishes nothing until it is confirmed, and as
-- a new one never what it took over
SELECT kafka_produce('t', 'of the original', server => 'shop') > 0 AS done;
UPDATE kafka_events.identity SET database_oid = 1;
UPDATE kafka_events.outbox_b SET system_identifier = 1 WHERE marker;
SELECT unit_outbox_take();
TABLE status;
SELECT kafka_produce('t', 'of the copy', server => 'shop') > 0 AS done;
SELECT kafka_identity_confirm('new') IS NOT NULL AS confirmed;
TABLE status;
SELECT unit_outbox_reader(:shop);
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();
-- as the old one, it does
SELECT unit_outbox_done(1, published => 1), unit_outbox_finish();
SELECT kafka_produce('t', 'of the original', server => 'shop') > 0 AS done;
UPDATE kafka_events.outbox_b SET database_oid = 1 WHERE marker;
SELECT kafka_identity_confirm('continue') IS NOT NULL AS confirmed;
SELECT unit_outbox_take();
SELECT * FROM unit_outbox_read();

DROP EXTENSION kafka_events CASCADE;
ALTER SYSTEM RESET kafka_events.enabled;
SELECT pg_reload_conf();
