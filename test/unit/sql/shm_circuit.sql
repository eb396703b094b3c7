-- Circuit breakers in shared memory, as their view, kafka_subscriptions and
-- kafka_circuit_reset see them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kafka_events;
CREATE FUNCTION unit_circuit_ask(subscription regclass, worker integer) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_circuit_succeeded(subscription regclass, worker integer) RETURNS void LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_circuit_failed(subscription regclass, worker integer, partition integer, "offset" bigint, sqlstate text,
                                    description text) RETURNS boolean LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_circuit_changed(subscription regclass) RETURNS void LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_circuit_is_known(subscription oid) RETURNS boolean LANGUAGE C STRICT AS :'module';

SET kafka_events.request_timeout = '100ms';
CREATE SERVER breakers FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'breaker-service', workers '0');
CREATE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS '';
SET client_min_messages = error;
SELECT kafka_subscribe('breakers', handler => 'on_order');
\set sub '''kafka_events.breakers'''
CREATE VIEW breaker AS
  SELECT b.state, b.failures_in_row AS n, b.opened_at IS NOT NULL AS opened, b.next_try_at - b.opened_at AS try_after,
         b.last_sqlstate, b.last_partition AS p, b.last_offset AS o, s.status, s.status_reason
    FROM kafka_circuit_breakers b JOIN kafka_subscriptions s USING (server, topic) WHERE b.topic = 'breakers';
\pset format unaligned
SELECT state, n, opened, try_after, last_sqlstate, p, o, status FROM breaker;

-- two workers fail together; it opens
SELECT unit_circuit_ask(:sub, 0), unit_circuit_failed(:sub, 0, 0, 1, 'P0001', 'P0001 (raise_exception)');
SELECT unit_circuit_failed(:sub, 1, 3, 7, 'P0001', 'P0001 (raise_exception)');
SELECT unit_circuit_succeeded(:sub, 1);
SELECT state, n, opened, last_sqlstate, p, o, status FROM breaker;
SELECT unit_circuit_failed(:sub, n % 2, 0, n, '22012', '22012 (division_by_zero)') FROM generate_series(1, 4) AS n;
SELECT * FROM breaker;
SELECT unit_circuit_failed(:sub, 0, 0, 9, '22012', '22012 (division_by_zero)');

-- the first to come tries
SELECT unit_circuit_ask(:sub, 0);
SELECT pg_sleep(1);
SELECT unit_circuit_ask(:sub, 1), unit_circuit_ask(:sub, 0), unit_circuit_ask(:sub, 1);
SELECT state, n, opened, try_after, status, status_reason FROM breaker;
SELECT unit_circuit_succeeded(:sub, 1);
SELECT state, n, opened, try_after, last_sqlstate FROM breaker;
SELECT unit_circuit_ask(:sub, 0);

-- reset: at once, even if the transaction rolls back
SELECT unit_circuit_failed(:sub, 0, 0, n, 'P0001', 'P0001 (raise_exception)') FROM generate_series(1, 4) AS n;
SELECT state, n, opened FROM breaker;
BEGIN;
SELECT kafka_circuit_reset('breakers');
ROLLBACK;
SELECT state, n, opened FROM breaker;

-- broken, by three messages; a text that does not fit is cut at a character
SELECT unit_circuit_failed(:sub, 0, 0, n, '42883', '42883: ' || repeat('ü', 200)) FROM generate_series(1, 3) AS n;
SELECT * FROM breaker;
SELECT unit_circuit_ask(:sub, 0), unit_circuit_changed(:sub), unit_circuit_ask(:sub, 0), unit_circuit_ask(:sub, 1);
SELECT state, n, opened, try_after, last_sqlstate FROM breaker;
SELECT unit_circuit_failed(:sub, 0, 0, 3, '42883', '42883 (undefined_function): function x() does not exist');
SELECT *, unit_circuit_ask(:sub, 0) FROM breaker;
SELECT kafka_circuit_reset('breakers');
SELECT state, n, unit_circuit_ask(:sub, 0) FROM breaker;

-- it is forgotten with its subscription
SELECT :sub::regclass::oid AS gone \gset
SELECT unit_circuit_is_known(:gone);
SELECT kafka_unsubscribe('breakers');
SELECT set_config('test.gone', :'gone', false) IS NOT NULL;
DO $$BEGIN
  FOR i IN 1..600 LOOP
    EXIT WHEN NOT unit_circuit_is_known(current_setting('test.gone')::oid);
    PERFORM pg_sleep(0.1);
  END LOOP;
END$$;
SELECT unit_circuit_is_known(:gone);
DROP SERVER breakers;
DROP FUNCTION on_order(jsonb);
DROP VIEW breaker;
