-- Options become structs, and problems a list.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_server(text[]) RETURNS text[] LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_server_problems(text[]) RETURNS text[] LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_mapping(text[]) RETURNS text[] LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_mapping_problems(text[]) RETURNS text[] LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_subscription(text[], production boolean DEFAULT false) RETURNS text[] LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_subscription_problems(text[]) RETURNS text[] LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_pair_problems(server text[], subscription text[], topic text) RETURNS text[] LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_report(text, text[]) RETURNS void LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_topic_problem(text) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_property_since(text) RETURNS integer LANGUAGE C STRICT AS :'module';

\pset format unaligned

-- defaults
SELECT unnest(unit_server('{bootstrap_servers=k1:9092,service_name=orders}'));
SELECT unnest(unit_subscription('{handler=f}'));
SELECT unnest(unit_subscription('{handler=f}', true))
EXCEPT SELECT unnest(unit_subscription('{handler=f}'))
ORDER BY 1;

-- everything written
SELECT unnest(unit_server(ARRAY[
  'bootstrap_servers=k1:9092, [::1]:9093,k-2.example_x:1', 'service_name=Order-service_1.x',
  'profile=production', 'security_protocol=SASL_SSL', 'sasl_mechanism=scram-sha-256',
  'ssl_ca_file=/etc/ca.pem', 'workers=64', 'retry_workers=0', 'shared=yes',
  'session_timeout=60 s', 'heartbeat_interval=3000', 'max_poll_interval=10min', 'fetch_wait=0',
  'compression=ZSTD', 'synchronous_commit=on', 'retry_suffix=.again', 'dlq_suffix=.orders.dlq',
  'create_topics=off', 'topic_partitions=12', 'topic_replication_factor=3', 'dlq_retention=1 year',
  'linger.ms=0.5', 'socket.keepalive.enable=TRUE', 'debug=broker,cgrp']));
SELECT unnest(unit_subscription(ARRAY[
  'topic=a.b', 'handler=s.f(jsonb)', 'into_table=public.t', 'row_format=envelope', 'on_conflict=Update',
  'ordering=partition', 'validator=v', 'required_headers={trace-id,"b c"}', 'start_from=latest',
  'batch_size=1', 'handler_timeout=PT1M', 'max_retries=0', 'retry_strategy=fixed',
  'initial_delay=100 ms', 'max_delay=1 day', 'multiplier=1.5', 'dlq=false',
  'breaker_threshold=0', 'breaker_timeout=00:00:05', 'paused=true']));
SELECT unnest(unit_mapping(ARRAY['username=u', 'password=s=3', 'ssl_key_password=x']));

-- ordering follows on_conflict unless it is written
SELECT o, unit_subscription(o) && '{ordering=key}' AS key
FROM (VALUES ('{into_table=t}'::text[]), ('{into_table=t,on_conflict=ignore}'),
             ('{into_table=t,on_conflict=update}'), ('{into_table=t,on_conflict=update,ordering=none}')) v(o);

-- one problem each, hints behind a line end
SELECT o, p FROM unnest(ARRAY[
  'bootstrap_servers=', 'bootstrap_servers=k1', 'bootstrap_servers=k1:', 'bootstrap_servers=k1:0',
  'bootstrap_servers=k1:65536', 'bootstrap_servers=k1:9092,', 'bootstrap_servers=k1:9092;k2:9092',
  'bootstrap_servers=:9092', 'bootstrap_servers=ssl://k1:9092', 'bootstrap_servers=[::1:9092',
  'bootstrap_servers=k1:99999999999999999999', E'bootstrap_servers=k1:9092\nk2:9092',
  'service_name=', 'service_name=a b', 'service_name=é', 'service_name=' || repeat('x', 101),
  'service_name=orders-1700000000', 'service_name=orders-4f0f5f3c-5b44-4b7e-9c3e-0d3a3c0f2a11',
  'service_name=4F0F5F3C5B444B7E9C3E0D3A3C0F2A11',
  'profile=prod', 'security_protocol=tls', 'sasl_mechanism=GSSAPI', 'ssl_ca_pem=/etc/ca.pem',
  'workers=-1', 'workers=65', 'workers=1.5', 'workers=', 'workers=1x', 'workers=99999999999', 'retry_workers=65',
  'shared=perhaps', 'session_timeout=0', 'session_timeout=3600001', 'session_timeout=1 fortnight',
  'heartbeat_interval=0', 'max_poll_interval=86400001', 'fetch_wait=-1', 'fetch_wait=300001',
  'compression=brotli', 'synchronous_commit=local', 'retry_suffix=', 'retry_suffix=/retry',
  'dlq_suffix=' || repeat('x', 101), 'create_topics=2', 'topic_partitions=-1',
  'topic_replication_factor=0', 'topic_replication_factor=-2', 'dlq_retention=soon', 'dlq_retention=-1 day',
  'dlq_retention=999 ms', 'dlq_retention=102 years']) o,
  unnest(unit_server_problems(ARRAY[o] || CASE
    WHEN o LIKE 'bootstrap_servers=%' THEN '{service_name=orders}'
    WHEN o LIKE 'service_name=%' THEN '{bootstrap_servers=k1:9092}'
    ELSE '{bootstrap_servers=k1:9092,service_name=orders}'::text[] END)) p;

-- names that look like a time or a UUID and are none
SELECT n, unit_server_problems(ARRAY['bootstrap_servers=k1:9092', 'service_name=' || n])
FROM unnest(ARRAY['v123456789', '20241231-235959', 'deadbeef-cafe-babe-f00d-facade', 'a1-b2-c3',
                  repeat('x', 100), repeat('a', 100), 'facade-' || repeat('deadbeef', 4)]) n;

-- together
SELECT unnest(unit_server_problems('{}'));
SELECT o, p FROM (VALUES
  ('{security_protocol=sasl_ssl}'::text[]),
  ('{security_protocol=sasl_ssl,sasl_mechanism=x}'),
  ('{security_protocol=sasl_ssl,sasl_mechanism=aws_msk_iam}'), ('{sasl_mechanism=oauthbearer}'),
  ('{group_protocol=consumer,session_timeout=10000,heartbeat_interval=1000}'), ('{group_protocol=consumer,max_poll_interval=1000}'), ('{group_protocol=share}'),
  ('{session_timeout=3000}'), ('{session_timeout=45000,heartbeat_interval=15000}'),
  ('{session_timeout=300001}'), ('{max_poll_interval=44999}'),
  ('{retry_suffix=.dlq}'), ('{retry_suffix=.dlq,dlq_suffix=.x.dlq}'),
  ('{ssl_ca_file=/x,"ssl_ca_pem=-----BEGIN CERTIFICATE-----"}'),
  ('{fetch.max.bytes=1000}'), ('{message.max.bytes=2000000,fetch.max.bytes=1999999}'),
  ('{fetch.max.bytes=2000000,receive.message.max.bytes=2000511}'),
  ('{reconnect.backoff.ms=10001}'), ('{reconnect.backoff.ms=2,reconnect.backoff.max.ms=1}')) v(o),
  unnest(unit_server_problems(o || '{bootstrap_servers=k1:9092,service_name=orders}'::text[])) p;

-- profile production
SELECT unnest(unit_server_problems('{bootstrap_servers=k1:9092,service_name=App,profile=production,topic_replication_factor=1}'));
SELECT n, unit_server_problems(ARRAY['bootstrap_servers=k1:9092,k2:9092', 'profile=production',
                                     'security_protocol=ssl', 'service_name=' || n])
FROM unnest('{service,kafka-service,test,app,apps}'::text[]) n;
SELECT unit_server_problems('{"bootstrap_servers=k1:9092,k2:9092",profile=production,security_protocol=sasl_plaintext,sasl_mechanism=plain,service_name=orders}');

-- properties: each that is allowed, with a value, a bad one, and what else there is
SELECT o, p FROM unnest(ARRAY[
  'linger.ms=900000', 'compression.level=-1', 'fetch.min.bytes=1', 'fetch.max.bytes=1000000',
  'fetch.message.max.bytes=1', 'max.partition.fetch.bytes=1', 'queued.min.messages=1',
  'queued.max.messages.kbytes=1', 'message.max.bytes=1000', 'receive.message.max.bytes=1000',
  'socket.timeout.ms=10', 'socket.keepalive.enable=false', 'reconnect.backoff.ms=0',
  'reconnect.backoff.max.ms=10000', 'metadata.max.age.ms=1', 'client.rack=a', 'broker.address.family=v4',
  'connections.max.idle.ms=0', 'request.timeout.ms=1', 'transaction.timeout.ms=10000',
  'ssl.cipher.suites=x', 'ssl.sigalgs.list=x', 'ssl.curves.list=x', 'debug=all']) o,
  LATERAL (SELECT unit_server_problems(ARRAY[o, 'bootstrap_servers=k1:9092', 'service_name=orders']) p) p
WHERE p <> '{}';
SELECT o, split_part(p, E'\n', 1) FROM unnest(ARRAY[
  'linger.ms=-1', 'linger.ms=NaN', 'compression.level=13', 'fetch.min.bytes=0', 'fetch.max.bytes=2147483136',
  'fetch.message.max.bytes=0', 'max.partition.fetch.bytes=1000000001', 'queued.min.messages=0',
  'queued.max.messages.kbytes=2097152', 'message.max.bytes=999', 'receive.message.max.bytes=999',
  'socket.timeout.ms=9', 'socket.keepalive.enable=maybe', 'reconnect.backoff.ms=-1',
  'reconnect.backoff.max.ms=3600001', 'metadata.max.age.ms=0', 'client.rack=', 'broker.address.family=v5',
  'connections.max.idle.ms=-1', 'request.timeout.ms=0', 'transaction.timeout.ms=9999',
  'transaction.timeout.ms=60001', 'ssl.cipher.suites=', 'debug=', 'debug=broker,', 'debug=secrets']) o,
  unnest(unit_server_problems(ARRAY[o, 'bootstrap_servers=k1:9092', 'service_name=orders'])) p;
SELECT split_part(p, E'\n', 1) FROM unnest(ARRAY[
  'plugin.library.paths', 'ssl.engine.location', 'ssl.engine.id', 'ssl.providers', 'sasl.kerberos.kinit.cmd',
  'ssl.ca.location', 'ssl.key.location', 'ssl.keystore.location', 'ssl.crl.location',
  'offset.store.method', 'offset.store.path', 'enable.auto.commit', 'enable.auto.offset.store',
  'auto.offset.reset', 'auto.commit.interval.ms', 'test.mock.num.brokers',
  'enable.ssl.certificate.verification', 'ssl.endpoint.identification.algorithm', 'group.id',
  'group.instance.id', 'client.id', 'transactional.id', 'bootstrap.servers', 'metadata.broker.list',
  'security.protocol', 'sasl.mechanism', 'sasl.mechanisms', 'ssl.ca.pem', 'session.timeout.ms',
  'heartbeat.interval.ms', 'max.poll.interval.ms', 'fetch.wait.max.ms', 'compression.codec',
  'compression.type', 'sasl.username', 'sasl.password', 'ssl.certificate.pem', 'ssl.key.pem',
  'ssl.key.password', 'sasl.oauthbearer.client.secret', 'sasl.oauthbearer.token.endpoint.url', 'sasl.oauthbearer.config',
  'enable.sasl.oauthbearer.unsecure.jwt', 'https.ca.pem', 'https.ca.location', 'group.protocol', 'group.remote.assignor', 'isolation.level', 'enable.idempotence', 'enable.partition.eof',
  'partition.assignment.strategy', 'allow.auto.create.topics', 'internal.termination.signal',
  'statistics.interval.ms', 'Linger.ms', 'linger.ms ', '.', '..']) o,
  unnest(unit_server_problems(ARRAY[o || '=1', 'bootstrap_servers=k1:9092', 'service_name=orders'])) p;
SELECT name, to_hex(unit_property_since(name)) FROM unnest('{linger.ms,client.rack}'::text[]) name;

-- user mappings: nothing of a secret is quoted
SELECT o, p FROM (VALUES
  ('{username=u}'::text[]), ('{password=s}'), ('{username=,password=}'), ('{user=u}'),
  ('{ssl_key_pem=hunter2,ssl_certificate_pem=hunter3}'),
  ('{ssl_key_password=hunter2}'),
  ('{oidc_client_id=orders,oidc_scope=kafka,oidc_extensions=team=a}'), ('{oidc_client_secret=hunter2}'),
  ('{oidc_client_id=a:b,oidc_client_secret=,oidc_token_endpoint=ftp://login/token}'),
  ('{oidc_client_id=a,oidc_client_secret=s,oidc_token_endpoint=https://login.example.com:8443/tenant/token?p=1,"oidc_scope=kafka api://orders/.default","oidc_extensions=team=a b,stage="}'),
  ('{oidc_client_id=a,oidc_client_secret=s,oidc_token_endpoint=http://u:hunter2@login/token}'),
  ('{oidc_client_id=a,oidc_client_secret=s,oidc_token_endpoint=http:///token}'),
  ('{oidc_client_id=a,oidc_client_secret=s,oidc_token_endpoint=http://login/token,"oidc_ca_pem=-----BEGIN CERTIFICATE-----",oidc_scope=a&b,oidc_extensions=auth=x}'),
  ('{"ssl_key_pem=-----BEGIN ENCRYPTED PRIVATE KEY-----"}')) v(o),
  unnest(unit_mapping_problems(o)) p;

-- subscriptions
SELECT o, p FROM unnest(ARRAY[
  'topic=', 'topic=a/b', 'topic=..', 'topic=' || repeat('t', 250), 'into_table=', 'row_format=rows',
  'on_conflict=replace', 'ordering=', 'ordering=topic', 'validator=', 'required_headers=a', 'required_headers={',
  'required_headers={""}', 'required_headers={a,null}', 'required_headers={{a}}', 'start_from=now',
  'batch_size=0', 'batch_size=100001', 'handler_timeout=0', 'handler_timeout=soon', 'handler_timeout=25 days',
  'max_retries=-1', 'max_retries=11', 'retry_strategy=random', 'initial_delay=99 ms', 'max_delay=99 ms',
  'multiplier=0.9', 'multiplier=10.1', 'multiplier=NaN', 'multiplier=inf', 'dlq=maybe', 'breaker_threshold=-1',
  'breaker_timeout=0 s', 'paused=2']) o,
  unnest(unit_subscription_problems(ARRAY[o, 'handler=f'])) p;
SELECT unnest(unit_subscription_problems('{max_retry=1}'));
SELECT unnest(unit_subscription_problems('{handler=}'));

-- between a subscription and its server
SELECT t, o, p FROM (VALUES
  ('orders', '{handler=f}'::text[]),
  ('..', '{handler=f}'),
  (repeat('t', 243), '{handler=f}'), (repeat('t', 244), '{handler=f}'),
  ('orders.retry', '{handler=f}'),
  ('orders.dlq', '{handler=f}'), ('orders.dlq', '{handler=f,max_retries=0}'), ('orders.dlq', '{handler=f,dlq=false}'),
  ('orders.dlq', '{handler=f,dlq=false,max_retries=0}'),
  ('orders', '{handler=f,handler_timeout=150.001 s}'), ('orders', '{handler=f,handler_timeout=150 s}'),
  ('orders', '{handler=f,initial_delay=31 s}'), ('orders', '{handler=f,max_delay=999 ms}'),
  ('orders', '{handler=f,initial_delay=31 s,max_delay=31 s}')) v(t, o),
  unnest(unit_pair_problems('{bootstrap_servers=k1:9092,service_name=orders}', o, t)) p;
SELECT unit_pair_problems('{"bootstrap_servers=k1:9092,k2:9092",service_name=orders,profile=production}',
                          '{handler=f,initial_delay=60 s}', 'orders');

-- topic names
SELECT t, unit_topic_problem(t)
FROM unnest(ARRAY['a', 'A.b_c-9', '...', '', '.', '..', 'a b', 'é', repeat('t', 249), repeat('t', 250)]) t;

-- one error for all; equal hints are given once
SELECT unit_report('a thing', '{}');
SELECT unit_report('a thing', ARRAY['One is wrong', E'Two is wrong\nMend it.', E'Three is wrong\nMend it.\nOr not.']);

-- nothing that is trusted makes a worker stumble
SELECT count(unit_server(ARRAY[name || '=' || junk])) + count(unit_subscription(ARRAY[name || '=' || junk]))
  + count(unit_mapping(ARRAY[name || '=' || junk])) AS survived
FROM (SELECT split_part(o, '=', 1) FROM unnest(unit_server('{linger.ms=1}') || unit_subscription('{}')
                                               || '{profile=,handler_timeout=,required_headers=,handler=,topic=,a.b=}') o) n(name),
     unnest(ARRAY['', ' ', '-', '{', '}', '{,}', '{"', '\', '0', '-1', '1e400', 'NaN', 'infinity', 'null', E'\n',
                  repeat('9', 400), repeat('x', 5000), '1 year -1 s', 'P', 'PT', '@ 1 ago', 'P' || repeat('9', 400) || 'Y', 'P1e400Y',
                  'PT1e300S', 'PT-1e300S', '%s%n']) junk;
