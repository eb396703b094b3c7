-- Health, metrics and topics: what they show without a cluster, what they do
-- not take, and who may call them.  What needs a cluster is in TAP tests.
CREATE EXTENSION kafka_events;
CREATE ROLE regress_kafka_owner LOGIN;
CREATE ROLE regress_kafka_stranger LOGIN;
CREATE ROLE regress_kafka_monitor LOGIN IN ROLE pg_monitor;
CREATE SCHEMA app AUTHORIZATION regress_kafka_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_owner;
SET kafka_events.request_timeout = '100ms';
SET client_min_messages = error;

-- every column of a view, and of the type of messages, says what it is
SELECT c.relname, a.attname
  FROM pg_depend d
  LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
  JOIN pg_class c ON c.relkind IN ('v', 'c') AND
       (c.oid = t.typrelid OR d.classid = 'pg_class'::regclass AND c.oid = d.objid)
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND
        d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kafka_events') AND
        col_description(c.oid, a.attnum) IS NULL
  ORDER BY c.relname, a.attnum;

-- which versions these are, and what to do where they differ
SELECT library, sql_objects, installed, librdkafka ~ '^\d+\.\d+\.\d+' AS librdkafka, action FROM kafka_versions;
BEGIN;
UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'kafka_events';
SELECT sql_objects, action FROM kafka_versions;
UPDATE pg_extension SET extversion = '9.0' WHERE extname = 'kafka_events';
SELECT sql_objects, action FROM kafka_versions;
ROLLBACK;

-- nothing configured
SELECT * FROM kafka_metrics;
SELECT * FROM kafka_health();
SELECT * FROM kafka_health('nothing');
SELECT * FROM kafka_topics();
SELECT kafka_topic_create('t');
SELECT * FROM kafka_production_check() \gx
SELECT * FROM kafka_production_check('nothing');
SELECT line FROM regexp_split_to_table(kafka_metrics_prometheus(), '\n') line
  WHERE line NOT LIKE '# %' AND line <> '';
SELECT * FROM kafka_metrics_samples();

SET ROLE regress_kafka_owner;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
CREATE FUNCTION app.handler(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT kafka_subscribe('orders', handler => 'app.handler');
RESET ROLE;

-- counters start from zero, times are not known
SELECT * FROM kafka_metrics \gx
SELECT DISTINCT regexp_replace(line, '^# TYPE ', '') AS family
  FROM regexp_split_to_table(kafka_metrics_prometheus(), '\n') line
  WHERE line LIKE '# TYPE %' ORDER BY 1;
SELECT replace(line, current_database(), '(this one)') AS sample
  FROM regexp_split_to_table(kafka_metrics_prometheus(), '\n') line
  WHERE line ~ '^kafka_events_(received_messages|latency_seconds_(count|sum)|expected_consumers)';
-- nobody has counted dead letters yet
SELECT count(*) FROM regexp_split_to_table(kafka_metrics_prometheus(), '\n') line
  WHERE line LIKE 'kafka_events_dlq_pending_messages{%';

-- a broker that does not answer is down, and no error
SELECT server, status, brokers, latency_ms, consumers_running, consumers_expected, lag_messages,
       message IS NOT NULL AS says_why
  FROM kafka_health();
SELECT server, status FROM kafka_health('shop');
SELECT server, status FROM kafka_health(server => 'shop');
-- what is not committed yet cannot be asked about
BEGIN;
ALTER SERVER shop OPTIONS (ADD fetch_wait '50');
SELECT status, message FROM kafka_health();
ROLLBACK;

-- fit for production?  What nobody answers is not fit
SELECT check_name, ok, detail, hint FROM kafka_production_check()
  WHERE check_name IN ('service_name', 'tls', 'max_worker_processes', 'lag', 'consumers') \gx
SELECT check_name, ok, detail LIKE 'could not reach Kafka at %' OR detail LIKE '%does not answer' AS says_why
  FROM kafka_production_check('shop')
  WHERE check_name NOT IN ('service_name', 'tls', 'librdkafka', 'max_worker_processes', 'lag', 'consumers');
-- several servers: each is named; a stock name, TLS, more workers than fit
CREATE SERVER "Test" FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'test', security_protocol 'sasl_ssl',
           sasl_mechanism 'PLAIN', workers '40');
SELECT check_name, ok, detail, hint FROM kafka_production_check()
  WHERE detail LIKE 'server "Test"%' AND check_name IN ('service_name', 'tls', 'max_worker_processes', 'consumers') \gx
SELECT count(*) FROM kafka_production_check() WHERE detail LIKE 'server "shop": %';
SELECT count(*) FROM kafka_production_check('Test') WHERE detail LIKE 'server %:';
DROP SERVER "Test";

-- topics: what is not taken
SELECT kafka_topic_create(NULL);
SELECT kafka_topic_create('not a topic');
SELECT kafka_topic_create(repeat('x', 250));
SELECT kafka_topic_create('t', 0);
SELECT kafka_topic_create('t', -1);
SELECT kafka_topic_create('t', 40000);
SELECT kafka_topic_create('t', replication_factor => 0);
SELECT kafka_topic_create('t', config => '[1]');
SELECT kafka_topic_create('t', config => '1');
SELECT kafka_topic_create('t', config => '{"retention.ms": null}');
SELECT kafka_topic_create('t', config => '{"retention.ms": {"a": 1}}');
SELECT kafka_topic_create('t', server => 'nothing');
BEGIN READ ONLY;
SELECT kafka_topic_create('t');
ROLLBACK;
SELECT * FROM kafka_topics('nothing');
-- and without an answer
\set VERBOSITY sqlstate
SELECT kafka_topic_create('t', 3, 1, '{"retention.ms": 1000, "preallocate": false, "cleanup.policy": "compact"}');
SELECT * FROM kafka_topics();
\set VERBOSITY default

-- who monitors may look, and make nothing
SET ROLE regress_kafka_monitor;
SELECT topic, received_total FROM kafka_metrics;
SELECT server, status FROM kafka_health();
SELECT kafka_metrics_prometheus() LIKE '# HELP %' AS text;
SELECT check_name, ok FROM kafka_production_check() WHERE check_name = 'tls';
SELECT kafka_topic_create('t');
\set VERBOSITY sqlstate
SELECT * FROM kafka_topics();
\set VERBOSITY default

-- the owner sees and makes topics, and sees its own servers
SET ROLE regress_kafka_owner;
\set VERBOSITY sqlstate
SELECT * FROM kafka_topics();
SELECT kafka_topic_create('t');
\set VERBOSITY default
SELECT server FROM kafka_metrics;
SELECT server FROM kafka_health();
SELECT check_name FROM kafka_production_check() ORDER BY 1 LIMIT 1;

-- a stranger sees nothing
SET ROLE regress_kafka_stranger;
SELECT count(*) FROM kafka_metrics;
SELECT count(*) FROM kafka_events.metrics();
SELECT kafka_metrics_prometheus() LIKE '%shop%' AS names_it;
SELECT count(*) FROM kafka_health();
SELECT * FROM kafka_production_check();
SELECT * FROM kafka_topics();
SELECT kafka_topic_create('t');
RESET ROLE;

DROP SERVER shop CASCADE;
DROP SCHEMA app CASCADE;
DROP OWNED BY regress_kafka_owner;
DROP ROLE regress_kafka_owner, regress_kafka_stranger, regress_kafka_monitor;
DROP EXTENSION kafka_events;
