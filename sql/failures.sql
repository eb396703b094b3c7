-- What a handler can say of its message, and circuit breakers.
CREATE EXTENSION kafka_events;
CREATE ROLE regress_kafka_owner LOGIN;
CREATE ROLE regress_kafka_stranger LOGIN;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_owner;
GRANT CREATE ON SCHEMA public TO regress_kafka_owner;
SET kafka_events.request_timeout = '100ms';
SET client_min_messages = error;

-- each stops what calls it with an SQLSTATE of its own, for everybody and everywhere
SET ROLE regress_kafka_stranger;
SELECT kafka_retry('not yet');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka_retry('not yet', '90 s');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka_retry(reason => 'not yet', delay => '1 day');
SELECT kafka_reject('no such product');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka_skip('seen before');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

-- a reason that is null says nothing, but stops all the same
SELECT kafka_retry(NULL);
SELECT kafka_retry(NULL, NULL);
SELECT kafka_reject(NULL);
SELECT kafka_skip(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka_reject(E'100 % %s %m\nof it');

-- delays: from none to 24 days
SELECT kafka_retry('not yet', '0');
SELECT kafka_retry('not yet', '0.0001 s');
SELECT kafka_retry('not yet', '24 days');
SELECT kafka_retry('not yet', '1 month -6 days');
SELECT kafka_retry('not yet', '-1 ms');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka_retry('not yet', '1 s' - interval '1 day');
SELECT kafka_retry('not yet', '24 days 0.0001 s');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka_retry('not yet', '10000 years');

-- nothing after the call runs; what came before is rolled back
CREATE TABLE done (step text);
CREATE FUNCTION handle(message jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO done VALUES ('before');
  PERFORM kafka_skip('seen before');
  INSERT INTO done VALUES ('after');
END$$;
SELECT handle('{}');
SELECT * FROM done;

-- a handler of exceptions catches them like any other; by name, or by OTHERS
CREATE FUNCTION catch(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'nothing raised';
EXCEPTION
  WHEN SQLSTATE 'KE001' THEN RETURN 'retry: ' || SQLERRM;
  WHEN OTHERS THEN RETURN SQLSTATE || ': ' || SQLERRM;
END$$;
SELECT catch('SELECT kafka_retry(''a'')'), catch('SELECT kafka_reject(''b'')'), catch('SELECT kafka_skip(''c'')');
-- RAISE does the same
DO $$BEGIN RAISE EXCEPTION 'not yet' USING ERRCODE = 'KE001'; END$$;
\echo :LAST_ERROR_SQLSTATE

-- circuit breakers: one for each subscription, closed before anything failed
SELECT * FROM kafka_circuit_breakers;
SELECT kafka_circuit_reset('orders');
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_kafka_owner;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
CREATE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT kafka_subscribe('orders', handler => 'on_order');
SELECT kafka_subscribe('returns', handler => 'on_order', breaker_threshold => 0);
RESET ROLE;
SELECT * FROM kafka_circuit_breakers ORDER BY topic;
SELECT topic, status FROM kafka_subscriptions ORDER BY topic;

-- resetting one that is closed changes nothing
SELECT kafka_circuit_reset('orders');
SELECT kafka_circuit_reset(topic => 'returns', server => 'shop');
SELECT kafka_circuit_reset('payments');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka_circuit_reset('orders', 'warehouse');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka_circuit_reset(NULL);
\echo :LAST_ERROR_SQLSTATE

-- it is for members of the server's owner
SET ROLE regress_kafka_stranger;
SELECT kafka_circuit_reset('orders');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kafka_circuit_breakers;
SELECT count(*) FROM kafka_events.circuit_breakers();
RESET ROLE;
SET ROLE regress_kafka_owner;
SELECT kafka_circuit_reset('orders');
RESET ROLE;

DROP EXTENSION kafka_events CASCADE;
DROP OWNED BY regress_kafka_owner;
DROP TABLE done;
DROP FUNCTION handle(jsonb), catch(text);
DROP ROLE regress_kafka_owner, regress_kafka_stranger;
