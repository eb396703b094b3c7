-- Connections: servers, user mappings, and the settings.
CREATE EXTENSION kafka_events;

-- What became of a statement, with all that the error says.
CREATE FUNCTION try(statement text, OUT result text) LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE statement;
  result := 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  result := concat_ws(E'\n', SQLSTATE || ': ' || message, NULLIF(detail, ''), 'HINT: ' || NULLIF(hint, ''));
END
$$;
-- A server with the two required options and what else is given.
CREATE FUNCTION try_server(more text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  result := try(format($q$CREATE SERVER tried FOREIGN DATA WRAPPER kafka_events
                       OPTIONS (bootstrap_servers 'k1:9092,k2:9092', service_name 'tried', %s)$q$, more));
  IF result = 'done' THEN
    DROP SERVER tried;
  END IF;
  -- the parts that do not depend on the value
  RETURN split_part(replace(result, E'HV024: invalid options for a server of kafka_events\n', ''), E'\nHINT', 1);
END
$$;

-- the smallest server, and what is missing from an empty one
CREATE SERVER orders FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers 'k1:9092,k2:9092', service_name 'order-service');
CREATE SERVER nothing FOREIGN DATA WRAPPER kafka_events;

-- every option; an older library warns of SCRAM
SET client_min_messages = error;
CREATE SERVER everything FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers 'k1:9092, [2001:db8::1]:9093',
  service_name 'Everything_1.x',
  profile 'production',
  security_protocol 'sasl_ssl',
  sasl_mechanism 'scram-sha-512',
  ssl_ca_file '/etc/ssl/kafka.pem',
  workers '4',
  retry_workers '0',
  shared 'true',
  session_timeout '30000',
  heartbeat_interval '2 s',
  max_poll_interval '10 min',
  fetch_wait '50',
  compression 'zstd',
  synchronous_commit 'on',
  retry_suffix '.everything.retry',
  dlq_suffix '.everything.dlq',
  create_topics 'off',
  topic_partitions '12',
  topic_replication_factor '3',
  dlq_retention '90 days',
  "linger.ms" '0.5',
  "compression.level" '3',
  "fetch.min.bytes" '1',
  "fetch.max.bytes" '2000000',
  "fetch.message.max.bytes" '2000000',
  "max.partition.fetch.bytes" '2000000',
  "queued.min.messages" '1000',
  "queued.max.messages.kbytes" '65536',
  "message.max.bytes" '2000000',
  "receive.message.max.bytes" '3000000',
  "socket.timeout.ms" '10000',
  "socket.keepalive.enable" 'true',
  "reconnect.backoff.ms" '100',
  "reconnect.backoff.max.ms" '1000',
  "metadata.max.age.ms" '60000',
  "broker.address.family" 'v4',
  "connections.max.idle.ms" '0',
  "request.timeout.ms" '30000',
  "transaction.timeout.ms" '60000',
  "ssl.cipher.suites" 'ECDHE-RSA-AES256-GCM-SHA384',
  "ssl.sigalgs.list" 'RSA-PSS+SHA256',
  "ssl.curves.list" 'X25519',
  debug 'broker,security');
RESET client_min_messages;
SELECT srvname, cardinality(srvoptions) FROM pg_foreign_server ORDER BY srvname;
DROP SERVER everything;

-- all problems at once, each with its rule, and what was probably meant
CREATE SERVER broken FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_server 'k1:9092',
  service_name 'orders-1700000000',
  security_protocol 'tls',
  worker '2',
  session_timeout '1 h',
  heartbeat_interval '20 min',
  "linger.msec" '5',
  "ssl.ca.location" '/etc/ssl/kafka.pem');

-- each option's rule
SELECT o, try_server(o) FROM unnest(ARRAY[
  $$profile 'prod'$$, $$profile 'Development'$$,
  $$security_protocol 'https'$$, $$security_protocol 'SSL'$$, $$security_protocol 'sasl_plaintext'$$,
  $$sasl_mechanism 'GSSAPI'$$, $$sasl_mechanism 'plain'$$,
  $$ssl_ca_pem '/etc/ssl/kafka.pem'$$, $$ssl_ca_pem '-----BEGIN CERTIFICATE----- ...'$$,
  $$ssl_ca_file ''$$, $$ssl_ca_file 'a', ssl_ca_pem '-----BEGIN CERTIFICATE----- ...'$$,
  $$workers '65'$$, $$workers '-1'$$, $$workers 'many'$$, $$workers '64'$$, $$retry_workers '65'$$,
  $$shared 'maybe'$$,
  $$session_timeout '3600001'$$, $$session_timeout '5 apples'$$, $$session_timeout '300001'$$,
  $$heartbeat_interval '0'$$, $$heartbeat_interval '15000'$$, $$heartbeat_interval '14999'$$,
  $$max_poll_interval '86400001'$$, $$max_poll_interval '44999'$$, $$fetch_wait '300001'$$,
  $$compression 'brotli'$$, $$compression 'none'$$, $$synchronous_commit 'remote_apply'$$,
  $$retry_suffix '/retry'$$, $$retry_suffix ''$$, $$dlq_suffix '.retry'$$, $$retry_suffix '.dlq.retry', dlq_suffix '.retry'$$,
  $$create_topics 'perhaps'$$, $$topic_partitions '-1'$$, $$topic_replication_factor '0'$$,
  $$topic_replication_factor '-2'$$, $$dlq_retention 'a while'$$, $$dlq_retention '0'$$, $$dlq_retention '1 week'$$]) o;
\pset format unaligned
SELECT s, try(format('CREATE SERVER tried FOREIGN DATA WRAPPER kafka_events OPTIONS (bootstrap_servers %L, service_name %L)', b, s))
FROM (VALUES ('k1', 'a'), ('k1:0', 'a'), ('k1:9092 k2:9092', 'a'), ('ssl://k1:9092', 'a'), ('', 'a'),
             ('k1:9092', ''), ('k1:9092', 'my service'), ('k1:9092', repeat('a', 101)), ('k1:9092', 'a-1234567890'),
             ('k1:9092', 'a-123e4567-e89b-12d3-a456-426614174000'), ('k1:9092', '123e4567e89b12d3a456426614174000')) v(b, s);
\pset format aligned

-- profile production
CREATE SERVER broken FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers 'k1:9092', service_name 'kafka-service', profile 'production', topic_replication_factor '1');
CREATE SERVER production FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers 'k1:9092,k2:9092', service_name 'billing', profile 'production', security_protocol 'ssl');
ALTER SERVER production OPTIONS (SET security_protocol 'plaintext', SET bootstrap_servers 'k1:9092');
ALTER SERVER production OPTIONS (DROP security_protocol);
ALTER SERVER orders OPTIONS (ADD profile 'production');
ALTER SERVER orders OPTIONS (ADD profile 'production', ADD security_protocol 'ssl');
ALTER SERVER orders OPTIONS (SET profile 'development', DROP security_protocol);

-- ALTER checks what results
ALTER SERVER orders OPTIONS (ADD workers '2', ADD fetch_wait '20 ms');
ALTER SERVER orders OPTIONS (SET workers '200');
ALTER SERVER orders OPTIONS (DROP bootstrap_servers);
ALTER SERVER orders OPTIONS (SET workers '0', DROP fetch_wait);
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'orders';

-- librdkafka's properties: refused by name with the reason
SELECT p, try_server(format('%I ''1''', p)) FROM unnest(ARRAY[
  'plugin.library.paths', 'ssl.engine.location', 'ssl.providers', 'sasl.kerberos.kinit.cmd', 'ssl.key.location',
  'ssl.keystore.location', 'offset.store.method', 'test.mock.num.brokers', 'enable.ssl.certificate.verification',
  'ssl.endpoint.identification.algorithm', 'group.id', 'group.instance.id', 'client.id', 'enable.auto.commit',
  'auto.offset.reset', 'bootstrap.servers', 'security.protocol', 'sasl.mechanisms', 'sasl.password',
  'session.timeout.ms', 'compression.codec', 'isolation.level', 'enable.idempotence', 'allow.auto.create.topics',
  'internal.termination.signal', 'statistics.interval.ms', 'Linger.ms']) p;
SELECT p, try_server(p) FROM unnest(ARRAY[
  $$"linger.ms" '-1'$$, $$"compression.level" '13'$$, $$"fetch.max.bytes" '1000'$$, $$"message.max.bytes" '10'$$,
  $$"fetch.max.bytes" '2000000', "receive.message.max.bytes" '2000000'$$,
  $$"reconnect.backoff.ms" '20000'$$, $$"socket.keepalive.enable" 'maybe'$$, $$"broker.address.family" 'ipv6'$$,
  $$"transaction.timeout.ms" '60001'$$, $$debug 'passwords'$$, $$"client.rack" ''$$]) p;

-- who may set what: roles that are no superusers
CREATE ROLE regress_kafka_app;
CREATE ROLE regress_kafka_reader;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO regress_kafka_app, regress_kafka_reader;
GRANT pg_read_server_files TO regress_kafka_reader;
SET ROLE regress_kafka_app;
CREATE SERVER app FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers 'k1:9092', service_name 'app', ssl_ca_file '/etc/ssl/kafka.pem', "linger.ms" '5', debug 'all');
CREATE SERVER app FOREIGN DATA WRAPPER kafka_events OPTIONS (bootstrap_servers 'k1:9092', service_name 'app');
SET ROLE regress_kafka_reader;
CREATE SERVER reader FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers 'k1:9092', service_name 'reader', ssl_ca_file '/etc/ssl/kafka.pem');
RESET ROLE;
-- a server with a property is altered by superusers only
ALTER SERVER app OPTIONS (ADD "linger.ms" '5');
SET ROLE regress_kafka_app;
ALTER SERVER app OPTIONS (ADD workers '2');
ALTER SERVER app OPTIONS (DROP "linger.ms");
RESET ROLE;

-- user mappings: no error quotes a secret
CREATE USER MAPPING FOR regress_kafka_app SERVER app OPTIONS (username 'u', password 's');
ALTER USER MAPPING FOR regress_kafka_app SERVER app OPTIONS (SET password 't');
ALTER USER MAPPING FOR regress_kafka_app SERVER app OPTIONS (DROP password);
ALTER USER MAPPING FOR regress_kafka_app SERVER app OPTIONS (ADD ssl_key_pem 'hunter2');
ALTER USER MAPPING FOR regress_kafka_app SERVER app OPTIONS (
  ADD ssl_certificate_pem '-----BEGIN CERTIFICATE----- ...', ADD ssl_key_pem '-----BEGIN PRIVATE KEY----- ...',
  ADD ssl_key_password 'hunter2');
CREATE USER MAPPING FOR PUBLIC SERVER app;
CREATE USER MAPPING FOR PUBLIC SERVER orders OPTIONS (username '', password '');
CREATE USER MAPPING FOR PUBLIC SERVER orders OPTIONS (user 'u', passwort 'hunter2', ssl_key_password 'hunter2');

-- subscriptions: what needs no server to be checked
SELECT kafka_events.wrapper_validator('{handler=f}', 'pg_foreign_table'::regclass);
SELECT kafka_events.wrapper_validator('{}', 'pg_foreign_table'::regclass);
SELECT kafka_events.wrapper_validator(ARRAY[
  'topic=a b', 'handler=', 'into_table=', 'row_format=rows', 'on_conflict=replace', 'ordering=topic', 'validator=',
  'required_headers=a,b', 'start_from=now', 'batch_size=0', 'handler_timeout=soon', 'max_retries=11',
  'retry_strategy=random', 'initial_delay=10 ms', 'max_delay=-1 s', 'multiplier=0', 'dlq=maybe',
  'breaker_threshold=-1', 'breaker_timeout=0', 'paused=perhaps', 'max_retry=1'], 'pg_foreign_table'::regclass);

-- all options, as they are listed
SELECT object, option, type, default_value, allowed_values, is_required FROM kafka_options()
  WHERE NOT superuser_only;
SELECT count(*) > 20 AS properties, bool_and(object = 'server' AND option LIKE '%.%' OR option = 'debug') AS of_servers
  FROM kafka_options() WHERE superuser_only;
SELECT option, default_value, production_default FROM kafka_options()
  WHERE default_value IS DISTINCT FROM production_default;

-- nothing else has options
ALTER FOREIGN DATA WRAPPER kafka_events OPTIONS (ADD bootstrap_servers 'k1:9092');
SELECT kafka_events.wrapper_validator('{a=b,c=d}', 'pg_attribute'::regclass);
SELECT kafka_events.wrapper_validator('{}', 'pg_class'::regclass) IS NULL AS checked;

-- settings
SELECT name, setting, unit, context, min_val, max_val FROM pg_settings
WHERE name LIKE 'kafka_events.%' AND name NOT LIKE 'kafka_events.test_%' ORDER BY name;
SET kafka_events.request_timeout = '5 s';
SHOW kafka_events.request_timeout;
-- PostgreSQL 17 puts units into the message
\set VERBOSITY sqlstate
SET kafka_events.request_timeout = 0;
\set VERBOSITY default
SET kafka_events.enabled = off;
SET kafka_events.max_workers = 1;
SET kafka_events.max_worker = 1;

SET client_min_messages = warning;
DROP EXTENSION kafka_events CASCADE;
DROP FUNCTION try, try_server;
DROP ROLE regress_kafka_app, regress_kafka_reader;
