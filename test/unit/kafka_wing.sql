-- Functions of kafka_wing.c; psql variable module names the library.

CREATE SCHEMA unit;

CREATE FUNCTION unit.open(member int, bootstrap text, group_id text, instance text, VARIADIC options text[] DEFAULT '{}') RETURNS void
  LANGUAGE C AS :'module', 'unit_kafka_open';
CREATE FUNCTION unit.subscribe(member int, VARIADIC topics text[]) RETURNS void
  LANGUAGE C AS :'module', 'unit_kafka_subscribe';
CREATE FUNCTION unit.unsubscribe(member int) RETURNS void
  LANGUAGE C AS :'module', 'unit_kafka_unsubscribe';
CREATE FUNCTION unit.poll(members int[], wait_ms int, want text, count int, answer_with bigint DEFAULT NULL,
                          OUT member int, OUT kind text, OUT topic text, OUT partition int, OUT "offset" bigint,
                          OUT key text, OUT value text, OUT headers text, OUT list text[], OUT error int, OUT text text)
  RETURNS SETOF record LANGUAGE C CALLED ON NULL INPUT AS :'module', 'unit_kafka_poll';
CREATE FUNCTION unit.drain(member int, messages bigint, hold int DEFAULT 0, pause_us int DEFAULT 0) RETURNS text
  LANGUAGE C AS :'module', 'unit_kafka_drain';
CREATE FUNCTION unit.act(member int, verb text, VARIADIC list text[]) RETURNS void
  LANGUAGE C AS :'module', 'unit_kafka_do';
CREATE FUNCTION unit.ask(member int, verb text, list text[], timeout_ms int DEFAULT 5000) RETURNS text[]
  LANGUAGE C AS :'module', 'unit_kafka_ask';
CREATE FUNCTION unit.known_end(member int, topic text, partition int) RETURNS text
  LANGUAGE C AS :'module', 'unit_kafka_known_end';
CREATE FUNCTION unit.idle(member int) RETURNS bigint
  LANGUAGE C AS :'module', 'unit_kafka_idle';
CREATE FUNCTION unit.id(member int, timeout_ms int) RETURNS text
  LANGUAGE C AS :'module', 'unit_kafka_id';
CREATE FUNCTION unit.close(member int, leave boolean) RETURNS int
  LANGUAGE C AS :'module', 'unit_kafka_close';
CREATE FUNCTION unit.library() RETURNS int
  LANGUAGE C AS :'module', 'unit_kafka_library';
CREATE FUNCTION unit.hint(error int) RETURNS text
  LANGUAGE C AS :'module', 'unit_kafka_hint';
CREATE FUNCTION unit.cluster_open(bootstrap text, group_id text, VARIADIC options text[] DEFAULT '{}') RETURNS void
  LANGUAGE C AS :'module', 'unit_kafka_cluster_open';
CREATE FUNCTION unit.cluster_ask(verb text, list text[], timeout_ms int DEFAULT 5000) RETURNS text[]
  LANGUAGE C AS :'module', 'unit_kafka_cluster_ask';
CREATE FUNCTION unit.cluster_topics(topic text, timeout_ms int DEFAULT 5000,
                                    OUT name text, OUT partitions int, OUT replication_factor int, OUT error text)
  RETURNS SETOF record LANGUAGE C CALLED ON NULL INPUT AS :'module', 'unit_kafka_cluster_topics';
CREATE FUNCTION unit.cluster_serve() RETURNS text
  LANGUAGE C AS :'module', 'unit_kafka_cluster_serve';
CREATE FUNCTION unit.cluster_close() RETURNS void
  LANGUAGE C AS :'module', 'unit_kafka_cluster_close';
