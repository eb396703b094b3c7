-- The functions of this directory; psql variable module names the library.

CREATE SCHEMA client;

CREATE FUNCTION client.open(member int, bootstrap text, group_id text, instance text, VARIADIC options text[] DEFAULT '{}') RETURNS void
  LANGUAGE C AS :'module', 'client_open';
CREATE FUNCTION client.subscribe(member int, VARIADIC topics text[]) RETURNS void
  LANGUAGE C AS :'module', 'client_subscribe';
CREATE FUNCTION client.unsubscribe(member int) RETURNS void
  LANGUAGE C AS :'module', 'client_unsubscribe';
CREATE FUNCTION client.poll(members int[], wait_ms int, want text, count int, answer_with bigint DEFAULT NULL,
                          OUT member int, OUT kind text, OUT topic text, OUT partition int, OUT "offset" bigint,
                          OUT key text, OUT value text, OUT headers text, OUT list text[], OUT error int, OUT text text)
  RETURNS SETOF record LANGUAGE C CALLED ON NULL INPUT AS :'module', 'client_poll';
CREATE FUNCTION client.drain(member int, messages bigint, hold int DEFAULT 0, pause_us int DEFAULT 0) RETURNS text
  LANGUAGE C AS :'module', 'client_drain';
CREATE FUNCTION client.act(member int, verb text, VARIADIC list text[]) RETURNS void
  LANGUAGE C AS :'module', 'client_act';
CREATE FUNCTION client.ask(member int, verb text, list text[], timeout_ms int DEFAULT 5000) RETURNS text[]
  LANGUAGE C AS :'module', 'client_ask';
CREATE FUNCTION client.known_end(member int, topic text, partition int) RETURNS text
  LANGUAGE C AS :'module', 'client_known_end';
CREATE FUNCTION client.idle(member int) RETURNS bigint
  LANGUAGE C AS :'module', 'client_idle';
CREATE FUNCTION client.id(member int, timeout_ms int) RETURNS text
  LANGUAGE C AS :'module', 'client_id';
CREATE FUNCTION client.close(member int, leave boolean) RETURNS int
  LANGUAGE C AS :'module', 'client_close';
CREATE FUNCTION client.library() RETURNS int
  LANGUAGE C AS :'module', 'client_library';
CREATE FUNCTION client.hint(error int) RETURNS text
  LANGUAGE C AS :'module', 'client_hint';
CREATE FUNCTION client.cluster_open(bootstrap text, group_id text, VARIADIC options text[] DEFAULT '{}') RETURNS void
  LANGUAGE C AS :'module', 'client_cluster_open';
CREATE FUNCTION client.cluster_mock(topic text, VARIADIC errors int[]) RETURNS text
  LANGUAGE C AS :'module', 'client_cluster_mock';
CREATE FUNCTION client.cluster_ask(verb text, list text[], timeout_ms int DEFAULT 5000) RETURNS text[]
  LANGUAGE C AS :'module', 'client_cluster_ask';
CREATE FUNCTION client.cluster_topics(topic text, timeout_ms int DEFAULT 5000,
                                    OUT name text, OUT partitions int, OUT replication_factor int, OUT error text)
  RETURNS SETOF record LANGUAGE C CALLED ON NULL INPUT AS :'module', 'client_cluster_topics';
CREATE FUNCTION client.cluster_serve() RETURNS text
  LANGUAGE C AS :'module', 'client_cluster_serve';
CREATE FUNCTION client.cluster_close() RETURNS void
  LANGUAGE C AS :'module', 'client_cluster_close';

-- What poll returns in a few lines: 'member kind topic/partition count
-- offsets list text'.
CREATE FUNCTION client.summary(members int[], wait_ms int, want text, count int, answer_with bigint DEFAULT NULL)
RETURNS SETOF text LANGUAGE sql AS $$
  SELECT concat_ws(' ', e.member, e.kind, e.topic || '/' || e.partition, pg_catalog.count(*),
                   min(e."offset") || '-' || max(e."offset"), e.list::text, e.text)
    FROM client.poll(members, wait_ms, want, count, answer_with) AS e
   WHERE e.kind <> 'LOG'
   GROUP BY e.member, e.kind, e.topic, e.partition, e.list, e.text
   ORDER BY e.member, e.kind, e.topic, e.partition, e.list, e.text
$$;
