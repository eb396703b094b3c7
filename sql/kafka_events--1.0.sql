/* kafka_events 1.0: everything the extension puts into a database. */

-- complain if the script is sourced in psql instead of CREATE EXTENSION
\echo Use "CREATE EXTENSION kafka_events" to load this file. \quit

CREATE SCHEMA kafka_events;
COMMENT ON SCHEMA kafka_events IS
  'Subscriptions (foreign tables named after their topics) and the private tables of extension kafka_events';

-- Subscriptions are made here by whoever belongs to the server's owner; the
-- object access hook refuses everything else that is created in this schema.
GRANT USAGE, CREATE ON SCHEMA kafka_events TO PUBLIC;

/* ---------------------------------------------------------------- connect */

CREATE FUNCTION kafka_events.wrapper_validator(options text[], catalog oid)
RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_wrapper_validator';
COMMENT ON FUNCTION kafka_events.wrapper_validator(text[], oid) IS
  'Checks the options of servers, user mappings and subscriptions of the wrapper kafka_events';

CREATE FUNCTION kafka_events.wrapper_handler()
RETURNS fdw_handler
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_wrapper_handler';
COMMENT ON FUNCTION kafka_events.wrapper_handler() IS
  'Says to who reads from a subscription where its messages go';

CREATE FOREIGN DATA WRAPPER kafka_events
  HANDLER kafka_events.wrapper_handler
  VALIDATOR kafka_events.wrapper_validator;
COMMENT ON FOREIGN DATA WRAPPER kafka_events IS
  'Kafka clusters: one server is one service, with one identity and one set of consumer groups';

CREATE FUNCTION @extschema@.kafka_options(
  OUT object              text,
  OUT option              text,
  OUT type                text,
  OUT default_value       text,
  OUT production_default  text,
  OUT allowed_values      text,
  OUT is_required         boolean,
  OUT superuser_only      boolean)
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kafka_options';
COMMENT ON FUNCTION @extschema@.kafka_options() IS
  'All options of servers, user mappings and subscriptions: type, default, allowed values';

/* -------------------------------------------------------- private tables */

-- They are read and written through the table access method; the text keys
-- collate "C" so that their indexes do not depend on the operating system.

CREATE TABLE kafka_events.identity (
  only_row           boolean     NOT NULL DEFAULT true PRIMARY KEY CHECK (only_row),
  uuid               uuid        NOT NULL,
  system_identifier  bigint      NOT NULL,
  database_oid       oid         NOT NULL,
  confirmed_at       timestamptz NOT NULL
);
COMMENT ON TABLE kafka_events.identity IS
  'Which database this is towards Kafka; a copy of it has another system identifier or oid and must be confirmed';

CREATE TABLE kafka_events.clusters (
  service_name  text COLLATE "C" NOT NULL PRIMARY KEY,
  cluster_id    text COLLATE "C" NOT NULL
);
COMMENT ON TABLE kafka_events.clusters IS
  'The Kafka cluster each service was first connected to';

CREATE TABLE kafka_events.takeovers (
  service_name  text COLLATE "C" NOT NULL,
  former        text COLLATE "C" NOT NULL,
  taken_at      timestamptz NOT NULL,
  PRIMARY KEY (service_name, former)
);
COMMENT ON TABLE kafka_events.takeovers IS
  'Databases, by their uuid, whose positions in a service''s groups this one continues until its own commits have replaced theirs';

CREATE TABLE kafka_events.schemas (
  url              text COLLATE "C" NOT NULL,  -- of the registry that said it
  kind             text COLLATE "C" NOT NULL,  -- confluent, content, global, guid
  id               text COLLATE "C" NOT NULL,
  type             text COLLATE "C" NOT NULL,  -- AVRO, JSON, PROTOBUF, ...
  subject          text COLLATE "C",           -- the first one, where the registry tells
  name             text COLLATE "C",
  fields           text[] NOT NULL,            -- names of the first 1000
  schema           text COLLATE "C" NOT NULL,
  reference_names  text[] NOT NULL,            -- of schemas it uses, in the order
  reference_texts  text[] NOT NULL,            --   in which they can be read
  first_seen_at    timestamptz NOT NULL,
  PRIMARY KEY (url, kind, id)
);
COMMENT ON TABLE kafka_events.schemas IS
  'What schema registries have said; not dumped, because elsewhere the same URL may be another registry';

CREATE TABLE kafka_events.positions (
  cluster_id        text COLLATE "C" NOT NULL,
  group_id          text COLLATE "C" NOT NULL,
  topic             text COLLATE "C" NOT NULL,
  partition         integer NOT NULL,
  next_offset       bigint  NOT NULL,  -- the first offset without an effect
  owner_epoch       bigint  NOT NULL,  -- + 1 with each claim: the fence
  unclean_claims    integer NOT NULL,  -- claims since the last batch or release
  trying_offset     bigint,            -- what runs alone after unclean claims
  committed_offset  bigint,            -- what Kafka last acknowledged
  last_offset       bigint,            -- fingerprint of the last message:
  last_timestamp    bigint,            --   its timestamp (ms) and
  last_crc          integer,           --   CRC-32C of key and value
  PRIMARY KEY (cluster_id, group_id, topic, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE kafka_events.positions IS
  'Where each partition goes on, written in the transaction of the effects';

CREATE TABLE kafka_events.starts (
  group_id      text COLLATE "C" NOT NULL,
  topic         text COLLATE "C" NOT NULL,
  requested_at  timestamptz NOT NULL,
  PRIMARY KEY (group_id, topic)
);
COMMENT ON TABLE kafka_events.starts IS
  'Subscriptions that start from "latest" and whose offsets the cluster could not be asked for yet';

CREATE TABLE kafka_events.retries (
  cluster_id          text COLLATE "C" NOT NULL,
  group_id            text COLLATE "C" NOT NULL,
  topic               text COLLATE "C" NOT NULL,  -- where it was read
  partition           integer NOT NULL,
  "offset"            bigint  NOT NULL,
  source              text COLLATE "C" NOT NULL,  -- the subscription's topic
  ordering            integer NOT NULL,           -- 0 none, 1 key, 2 partition
  attempt             integer NOT NULL,           -- the next run's
  due_at              timestamptz NOT NULL,       -- infinity: after another
  tries               integer NOT NULL,           -- starts after unclean ends
  sqlstate            text COLLATE "C",           -- of the last failure
  original_topic      text COLLATE "C" NOT NULL,  -- as the handler sees it
  original_partition  integer NOT NULL,
  original_offset     bigint  NOT NULL,
  original_timestamp  bigint  NOT NULL,           -- ms, -1: none
  timestamp_type      integer NOT NULL,
  key                 bytea,
  value               bytea,
  headers             bytea   NOT NULL,
  written_at          timestamptz,                -- null: not known
  PRIMARY KEY (cluster_id, group_id, topic, partition, "offset")
) WITH (autovacuum_vacuum_cost_delay = 0);
CREATE INDEX retries_due ON kafka_events.retries (cluster_id, group_id, source, due_at);
COMMENT ON TABLE kafka_events.retries IS
  'Messages that failed, and those that wait behind them, until they are run again';
COMMENT ON INDEX kafka_events.retries_due IS
  'The messages of a subscription in the order in which they are due';

CREATE TABLE kafka_events.copies (
  group_id  text COLLATE "C" NOT NULL,
  copy_id   text COLLATE "C" NOT NULL,
  seen_at   timestamptz NOT NULL,
  place     text COLLATE "C",  -- of a dead letter that was sent back
  PRIMARY KEY (group_id, copy_id)
) WITH (autovacuum_vacuum_cost_delay = 0);
CREATE INDEX copies_seen ON kafka_events.copies (group_id, seen_at);
COMMENT ON TABLE kafka_events.copies IS
  'Retry copies that were taken from Kafka, for 7 days, and dead letters that were sent back, for 90: one that comes twice is dropped';
COMMENT ON INDEX kafka_events.copies_seen IS
  'The oldest come first, to be forgotten';

-- Not dumped: a restored database is another one, with a history of its own.
CREATE TABLE kafka_events.histories (
  system_identifier  bigint  NOT NULL,
  database_oid       oid     NOT NULL,
  timeline           bigint  NOT NULL,
  number             bigint  NOT NULL,  -- random: timelines' numbers come again
  begun              pg_lsn  NOT NULL,
  PRIMARY KEY (system_identifier, database_oid, timeline)
);
COMMENT ON TABLE kafka_events.histories IS
  'The timelines on which this database sent retry copies and dead letters: those of other histories are orphans';

INSERT INTO kafka_events.histories
  SELECT s.system_identifier, d.oid,
         pg_catalog.concat('x', pg_catalog.left(pg_catalog.pg_walfile_name(l.lsn), 8))::bit(32)::bigint,
         pg_catalog.hashtextextended(pg_catalog.gen_random_uuid()::text, 0), l.lsn
    FROM pg_catalog.pg_control_system() s, pg_catalog.pg_current_wal_insert_lsn() l (lsn),
         pg_catalog.pg_database d
   WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database();

-- The database's owner dumps them, who need not be the extension's owner.
GRANT SELECT ON
  kafka_events.identity, kafka_events.clusters, kafka_events.takeovers, kafka_events.positions, kafka_events.starts,
  kafka_events.retries, kafka_events.copies
  TO pg_database_owner;

SELECT pg_catalog.pg_extension_config_dump('kafka_events.identity', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_events.clusters', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_events.takeovers', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_events.positions', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_events.starts', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_events.retries', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_events.copies', '');

/* ---------------------------------------------------------------- outbox */

-- Two tables of one form, used in turn: rows are only ever inserted, and a
-- table in which everything is published is truncated.  Each transaction that
-- inserted rows for a server ends with a marker for it, whose id is its place
-- in the order of publication.  Nothing here is dumped: a restored database
-- must not publish what the one it comes from publishes.

CREATE TABLE kafka_events.outbox_a (
  server             oid      NOT NULL,
  marker             boolean  NOT NULL,
  xid                xid8     NOT NULL,  -- of the whole transaction
  id                 bigint   NOT NULL,
  kind               "char",             -- of a row: e(vent), r(etry), d(ead)
  topic              text COLLATE "C",
  source_topic       text COLLATE "C",   -- of a copy
  partition          integer,            -- null: by key
  key                bytea,
  value              bytea,
  headers            bytea,              -- as core/headers writes them
  row_count          bigint,             -- of a marker: its transaction's rows,
  written_at         timestamptz,        --   when it ended, and in which
  system_identifier  bigint,             --   system and database, for copies
  database_oid       oid,                --   of them
  PRIMARY KEY (server, marker, xid, id)
) WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
COMMENT ON TABLE kafka_events.outbox_a IS
  'Messages to be sent to Kafka, and those sent since the table was last emptied';

CREATE TABLE kafka_events.outbox_b (LIKE kafka_events.outbox_a INCLUDING INDEXES)
  WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
COMMENT ON TABLE kafka_events.outbox_b IS
  'Messages to be sent to Kafka, in turn with outbox_a';

CREATE SEQUENCE kafka_events.outbox_id;
COMMENT ON SEQUENCE kafka_events.outbox_id IS
  'The ids of rows and markers of the outbox, in the order of time';

CREATE TABLE kafka_events.outbox_current (
  only_row  boolean NOT NULL DEFAULT true PRIMARY KEY CHECK (only_row),
  table_b   boolean NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE kafka_events.outbox_current IS
  'Whether outbox_b takes new rows, or outbox_a';
INSERT INTO kafka_events.outbox_current (table_b) VALUES (false);

CREATE TABLE kafka_events.outbox_state (
  server           oid     NOT NULL PRIMARY KEY,
  reader           bigint  NOT NULL,  -- the relay process that wrote this
  published        pg_snapshot,       -- what it sees is published
  taken            pg_snapshot,       -- what it sees is being published,
  done_marker      bigint  NOT NULL,  --   so far up to this place,
  done_id          bigint  NOT NULL,
  done_rows        bigint  NOT NULL,  --   which are so many rows
  published_total  bigint  NOT NULL,
  last_error       text
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE kafka_events.outbox_state IS
  'How far each server''s relay is';

CREATE TABLE kafka_events.outbox_parked (
  id            bigint  NOT NULL PRIMARY KEY,
  server        oid     NOT NULL,
  kind          "char"  NOT NULL,
  topic         text COLLATE "C" NOT NULL,
  source_topic  text COLLATE "C",
  partition     integer,
  key           bytea,
  value         bytea,
  headers       bytea,
  reason        text    NOT NULL,
  written_at    timestamptz NOT NULL,
  parked_at     timestamptz NOT NULL,
  waits         boolean NOT NULL DEFAULT false  -- for its topic to be made
);
COMMENT ON TABLE kafka_events.outbox_parked IS
  'Messages that no broker takes, and those whose topic is still to be made';

CREATE TABLE kafka_events.servers (
  server  oid              NOT NULL PRIMARY KEY,
  name    text COLLATE "C" NOT NULL
);
COMMENT ON TABLE kafka_events.servers IS
  'Whose the oids in the outbox are: pg_upgrade keeps the names of servers only';

/* ------------------------------------------------------------- subscribe */

CREATE TYPE @extschema@.kafka_message AS (
  topic        text,
  partition    integer,
  "offset"     bigint,
  "timestamp"  timestamptz,
  key          bytea,
  value        bytea,
  headers      jsonb,
  attempt      integer
);
COMMENT ON TYPE @extschema@.kafka_message IS
  'One Kafka message as a handler gets it';
COMMENT ON COLUMN @extschema@.kafka_message.topic IS
  'Topic of the message; of a retry, the one it was first read from';
COMMENT ON COLUMN @extschema@.kafka_message.partition IS
  'Partition of that topic';
COMMENT ON COLUMN @extschema@.kafka_message."offset" IS
  'Offset of the message in that partition';
COMMENT ON COLUMN @extschema@.kafka_message."timestamp" IS
  'When its producer, or by the topic''s configuration the broker, stamped it; NULL if it has no timestamp';
COMMENT ON COLUMN @extschema@.kafka_message.key IS
  'Bytes of the key; NULL if there is none';
COMMENT ON COLUMN @extschema@.kafka_message.value IS
  'Bytes of the value; NULL in a tombstone';
COMMENT ON COLUMN @extschema@.kafka_message.headers IS
  'Values by header name, an array where one name has several, {"base64": ...} for bytes that are no text; {} without headers';
COMMENT ON COLUMN @extschema@.kafka_message.attempt IS
  'Which retry this is; 0 the first time';

CREATE FUNCTION @extschema@.kafka_subscribe(
  topic              text      DEFAULT NULL,
  handler            text      DEFAULT NULL,
  into_table         regclass  DEFAULT NULL,
  row_format         text      DEFAULT 'fields',
  on_conflict        text      DEFAULT 'error',
  ordering           text      DEFAULT NULL,
  validator          text      DEFAULT NULL,
  required_headers   text[]    DEFAULT '{}',
  start_from         text      DEFAULT 'earliest',
  batch_size         integer   DEFAULT 1000,
  handler_timeout    interval  DEFAULT '30 s',
  max_retries        integer   DEFAULT NULL,
  retry_strategy     text      DEFAULT 'exponential',
  initial_delay      interval  DEFAULT NULL,
  max_delay          interval  DEFAULT NULL,
  multiplier         float8    DEFAULT 2,
  dlq                boolean   DEFAULT true,
  breaker_threshold  integer   DEFAULT 10,
  breaker_timeout    interval  DEFAULT '30 s',
  column_map         jsonb     DEFAULT '{}',
  field_names        text      DEFAULT 'exact',
  value_format       text      DEFAULT 'json',
  key_format         text      DEFAULT 'text',
  timestamp_unit     text      DEFAULT 'none',
  bytes_encoding     text      DEFAULT 'text',
  strip_nul          boolean   DEFAULT false,
  tombstones         text      DEFAULT NULL,
  update_columns     text      DEFAULT 'all',
  update_if          text      DEFAULT NULL,
  generated_columns  text      DEFAULT 'error',
  unwrap             text      DEFAULT 'none',
  split              text      DEFAULT 'none',
  route              text      DEFAULT NULL,
  server             name      DEFAULT NULL,
  topics             text      DEFAULT NULL)
RETURNS regclass
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_subscribe';
COMMENT ON FUNCTION @extschema@.kafka_subscribe(text, text, regclass, text, text, text, text, text[], text, integer, interval, integer, text, interval, interval, float8, boolean, integer, interval, jsonb, text, text, text, text, text, boolean, text, text, text, text, text, text, text, name, text) IS
  'Consume a topic, or all topics whose names match a regular expression, into a table, a handler function, or both';

CREATE FUNCTION @extschema@.kafka_subscription_alter(
  topic              text,
  handler            text      DEFAULT NULL,
  into_table         regclass  DEFAULT NULL,
  row_format         text      DEFAULT NULL,
  on_conflict        text      DEFAULT NULL,
  ordering           text      DEFAULT NULL,
  validator          text      DEFAULT NULL,
  required_headers   text[]    DEFAULT NULL,
  start_from         text      DEFAULT NULL,
  batch_size         integer   DEFAULT NULL,
  handler_timeout    interval  DEFAULT NULL,
  max_retries        integer   DEFAULT NULL,
  retry_strategy     text      DEFAULT NULL,
  initial_delay      interval  DEFAULT NULL,
  max_delay          interval  DEFAULT NULL,
  multiplier         float8    DEFAULT NULL,
  dlq                boolean   DEFAULT NULL,
  breaker_threshold  integer   DEFAULT NULL,
  breaker_timeout    interval  DEFAULT NULL,
  column_map         jsonb     DEFAULT NULL,
  field_names        text      DEFAULT NULL,
  value_format       text      DEFAULT NULL,
  key_format         text      DEFAULT NULL,
  timestamp_unit     text      DEFAULT NULL,
  bytes_encoding     text      DEFAULT NULL,
  strip_nul          boolean   DEFAULT NULL,
  tombstones         text      DEFAULT NULL,
  update_columns     text      DEFAULT NULL,
  update_if          text      DEFAULT NULL,
  generated_columns  text      DEFAULT NULL,
  unwrap             text      DEFAULT NULL,
  split              text      DEFAULT NULL,
  route              text      DEFAULT NULL,
  server             name      DEFAULT NULL)
RETURNS regclass
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_subscription_alter';
COMMENT ON FUNCTION @extschema@.kafka_subscription_alter(text, text, regclass, text, text, text, text, text[], text, integer, interval, integer, text, interval, interval, float8, boolean, integer, interval, jsonb, text, text, text, text, text, boolean, text, text, text, text, text, text, text, name) IS
  'Change a subscription; NULL leaves an option as it is';

CREATE FUNCTION @extschema@.kafka_unsubscribe(topic text, server name DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_unsubscribe';
COMMENT ON FUNCTION @extschema@.kafka_unsubscribe(text, name) IS
  'Drop a subscription and return its name; its positions stay, so that it can come back';

CREATE FUNCTION @extschema@.kafka_table_create(
  name    text,
  topic   text  DEFAULT NULL,
  server  name  DEFAULT NULL)
RETURNS regclass
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_table_create';
COMMENT ON FUNCTION @extschema@.kafka_table_create(text, text, name) IS
  'Create a table for a topic as its latest schema in the schema registry says, or, without a topic, one for row_format "envelope" with primary key (topic, partition, "offset")';

CREATE FUNCTION @extschema@.kafka_current_message()
RETURNS @extschema@.kafka_message
LANGUAGE C STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kafka_current_message';
COMMENT ON FUNCTION @extschema@.kafka_current_message() IS
  'Inside a handler: the message it was called for; elsewhere NULL';

CREATE FUNCTION @extschema@.kafka_trace_id()
RETURNS text
LANGUAGE C STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kafka_trace_id';
COMMENT ON FUNCTION @extschema@.kafka_trace_id() IS
  'Inside a handler: the id of the trace that its message belongs to, 32 hexadecimal digits out of header traceparent; NULL if it names none, and elsewhere';

CREATE FUNCTION @extschema@.kafka_retry(reason text, delay interval DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kafka_retry';
COMMENT ON FUNCTION @extschema@.kafka_retry(text, interval) IS
  'Inside a handler: stop here (SQLSTATE KE001) and try the message again, after a delay of its own if one is given';

CREATE FUNCTION @extschema@.kafka_reject(reason text)
RETURNS void
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kafka_reject';
COMMENT ON FUNCTION @extschema@.kafka_reject(text) IS
  'Inside a handler: stop here (SQLSTATE KE002) and make the message a dead letter';

CREATE FUNCTION @extschema@.kafka_skip(reason text)
RETURNS void
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'kafka_skip';
COMMENT ON FUNCTION @extschema@.kafka_skip(text) IS
  'Inside a handler: stop here (SQLSTATE KE003) and drop the message, which is counted';

/* ----------------------------------------------------------------- steer */

CREATE FUNCTION @extschema@.kafka_consumer_pause(topic text, server name DEFAULT NULL)
RETURNS regclass
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_consumer_pause';
COMMENT ON FUNCTION @extschema@.kafka_consumer_pause(text, name) IS
  'Stop consuming a subscription until kafka_consumer_resume';

CREATE FUNCTION @extschema@.kafka_consumer_resume(topic text, server name DEFAULT NULL)
RETURNS regclass
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_consumer_resume';
COMMENT ON FUNCTION @extschema@.kafka_consumer_resume(text, name) IS
  'Go on with a paused subscription, and try its stopped partitions again';

CREATE FUNCTION @extschema@.kafka_consumer_seek(
  topic            text,
  "offset"         bigint       DEFAULT NULL,
  "timestamp"      timestamptz  DEFAULT NULL,
  "position"       text         DEFAULT NULL,
  partition        integer      DEFAULT NULL,
  server           name         DEFAULT NULL,
  to_offset        bigint       DEFAULT NULL,
  to_timestamp     timestamptz  DEFAULT NULL,
  to_position      text         DEFAULT NULL,
  OUT topic_partition  integer,
  OUT old_offset       bigint,
  OUT new_offset       bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_consumer_seek';
COMMENT ON FUNCTION @extschema@.kafka_consumer_seek(text, bigint, timestamptz, text, integer, name, bigint, timestamptz, text) IS
  'Move the position of a subscription, in all partitions or one';

CREATE FUNCTION @extschema@.kafka_circuit_reset(topic text, server name DEFAULT NULL)
RETURNS regclass
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_circuit_reset';
COMMENT ON FUNCTION @extschema@.kafka_circuit_reset(text, name) IS
  'Close the circuit breaker of a subscription at once and count its failures from zero';

CREATE FUNCTION @extschema@.kafka_topics(
  server                  name  DEFAULT NULL,
  OUT topic               text,
  OUT partitions          integer,
  OUT replication_factor  integer)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_topics';
COMMENT ON FUNCTION @extschema@.kafka_topics(name) IS
  'All topics of a server''s cluster that its Kafka user may see';

CREATE FUNCTION @extschema@.kafka_topic_create(
  topic               text,
  partitions          integer  DEFAULT NULL,
  replication_factor  integer  DEFAULT NULL,
  config              jsonb    DEFAULT NULL,
  server              name     DEFAULT NULL)
RETURNS boolean
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_topic_create';
COMMENT ON FUNCTION @extschema@.kafka_topic_create(text, integer, integer, jsonb, name) IS
  'Create a topic at once, whatever becomes of the transaction; false if it was there already';

CREATE FUNCTION @extschema@.kafka_identity_confirm(action text)
RETURNS uuid
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_identity_confirm';
COMMENT ON FUNCTION @extschema@.kafka_identity_confirm(text) IS
  'After a restore, a copy or pg_upgrade: "continue" as the database it was, or start as a "new" one; "take over": go on in groups that are another database''s';
REVOKE ALL ON FUNCTION @extschema@.kafka_identity_confirm(text) FROM PUBLIC;

/* --------------------------------------------------------------- produce */

CREATE FUNCTION @extschema@.kafka_produce(
  topic      text,
  value      text,
  key        text     DEFAULT NULL,
  headers    jsonb    DEFAULT NULL,
  partition  integer  DEFAULT NULL,
  server     name     DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_produce_text';
COMMENT ON FUNCTION @extschema@.kafka_produce(text, text, text, jsonb, integer, name) IS
  'Publish an event when this transaction commits, its value as it is, in UTF-8; returns its id';

CREATE FUNCTION @extschema@.kafka_produce(
  topic      text,
  value      bytea,
  key        text     DEFAULT NULL,
  headers    jsonb    DEFAULT NULL,
  partition  integer  DEFAULT NULL,
  server     name     DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_produce_bytea';
COMMENT ON FUNCTION @extschema@.kafka_produce(text, bytea, text, jsonb, integer, name) IS
  'Publish an event when this transaction commits, its value as it is; returns its id';

CREATE FUNCTION @extschema@.kafka_produce(
  topic      text,
  value      json,
  key        text     DEFAULT NULL,
  headers    jsonb    DEFAULT NULL,
  partition  integer  DEFAULT NULL,
  server     name     DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_produce_text';
COMMENT ON FUNCTION @extschema@.kafka_produce(text, json, text, jsonb, integer, name) IS
  'Publish an event when this transaction commits, its value as it is, in UTF-8; returns its id';

CREATE FUNCTION @extschema@.kafka_produce(
  topic      text,
  value      jsonb,
  key        text     DEFAULT NULL,
  headers    jsonb    DEFAULT NULL,
  partition  integer  DEFAULT NULL,
  server     name     DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_produce_jsonb';
COMMENT ON FUNCTION @extschema@.kafka_produce(text, jsonb, text, jsonb, integer, name) IS
  'Publish an event when this transaction commits, its value as jsonb writes it; returns its id';

CREATE FUNCTION @extschema@.kafka_outbox_retry(id bigint)
RETURNS bigint
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_outbox_retry';
COMMENT ON FUNCTION @extschema@.kafka_outbox_retry(bigint) IS
  'Send a parked message again, behind everything there is; returns its new id';

CREATE FUNCTION @extschema@.kafka_outbox_discard(id bigint)
RETURNS bigint
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_outbox_discard';
COMMENT ON FUNCTION @extschema@.kafka_outbox_discard(bigint) IS
  'Give a parked message up; returns its id';

CREATE FUNCTION kafka_events.outbox_status(
  OUT server              name,
  OUT pending_total       bigint,
  OUT oldest_pending_age  interval,
  OUT published_total     bigint,
  OUT parked_total        bigint,
  OUT last_error          text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_outbox_status';
COMMENT ON FUNCTION kafka_events.outbox_status() IS
  'The rows of view kafka_outbox_status';

CREATE VIEW @extschema@.kafka_outbox_status AS
  SELECT * FROM kafka_events.outbox_status();
COMMENT ON VIEW @extschema@.kafka_outbox_status IS
  'How much each server has to publish, and what is in the way';
COMMENT ON COLUMN @extschema@.kafka_outbox_status.server IS
  'Name of the foreign server that the messages go through';
COMMENT ON COLUMN @extschema@.kafka_outbox_status.pending_total IS
  'Messages of committed transactions that no broker has acknowledged yet, those that are parked left out';
COMMENT ON COLUMN @extschema@.kafka_outbox_status.oldest_pending_age IS
  'Time since the oldest pending message was committed; NULL if none is pending';
COMMENT ON COLUMN @extschema@.kafka_outbox_status.published_total IS
  'Messages that brokers have acknowledged, over all restarts';
COMMENT ON COLUMN @extschema@.kafka_outbox_status.parked_total IS
  'Messages in kafka_outbox_parked now';
COMMENT ON COLUMN @extschema@.kafka_outbox_status.last_error IS
  'What keeps messages from being published now; NULL if nothing does';

CREATE VIEW @extschema@.kafka_outbox_parked WITH (security_barrier) AS
  SELECT p.id,
         s.srvname AS server,
         p.topic,
         p.partition,
         CASE p.kind WHEN 'e' THEN 'event' WHEN 'r' THEN 'retry' ELSE 'dead' END AS kind,
         p.source_topic,
         p.reason,
         octet_length(p.key) AS key_bytes,
         octet_length(p.value) AS value_bytes,
         octet_length(p.headers) AS headers_bytes,
         p.written_at,
         p.parked_at
    FROM kafka_events.outbox_parked p JOIN pg_catalog.pg_foreign_server s ON s.oid = p.server
   WHERE NOT p.waits
     AND (pg_catalog.pg_has_role('pg_monitor'::pg_catalog.name, 'USAGE')
          OR pg_catalog.pg_has_role(s.srvowner, 'USAGE'));
COMMENT ON VIEW @extschema@.kafka_outbox_parked IS
  'Messages that no broker takes, to be sent again by kafka_outbox_retry or given up by kafka_outbox_discard';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.id IS
  'Number of the message, for kafka_outbox_retry and kafka_outbox_discard';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.server IS
  'Name of the foreign server that was to publish it';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.topic IS
  'Topic it was to go to';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.partition IS
  'Partition it was to go to; NULL if the key was to choose one, or without a key anything';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.kind IS
  'event (produced by a session), retry (a retry copy) or dead (a dead letter)';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.source_topic IS
  'Of a copy: the topic that was subscribed; NULL for an event';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.reason IS
  'Why no broker takes it';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.key_bytes IS
  'Length of the key in bytes; NULL if there is none';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.value_bytes IS
  'Length of the value in bytes; NULL in a tombstone';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.headers_bytes IS
  'Size of all headers in bytes, as they are stored; NULL if there are none';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.written_at IS
  'When the transaction that wrote it was to commit';
COMMENT ON COLUMN @extschema@.kafka_outbox_parked.parked_at IS
  'When it was found that no broker takes it';

-- Everybody may look; what is seen are the rows of the servers whose owner one
-- is a member of, and all rows for members of pg_monitor.
GRANT SELECT ON @extschema@.kafka_outbox_status, @extschema@.kafka_outbox_parked TO PUBLIC;

/* ---------------------------------------------------------- dead letters */

CREATE TABLE kafka_events.dlq_positions (
  cluster_id   text COLLATE "C" NOT NULL,
  group_id     text COLLATE "C" NOT NULL,
  topic        text COLLATE "C" NOT NULL,
  partition    integer     NOT NULL,
  next_offset  bigint      NOT NULL,  -- the first letter not looked at yet
  in_motion    boolean     NOT NULL,  -- a run has begun and not said its end
  written_at   timestamptz NOT NULL,
  PRIMARY KEY (cluster_id, group_id, topic, partition)
);
COMMENT ON TABLE kafka_events.dlq_positions IS
  'How far dead letters were reprocessed: Kafka''s own record, which it forgets after a while';

CREATE TABLE kafka_events.dlq_letters (
  cluster_id  text COLLATE "C" NOT NULL,
  group_id    text COLLATE "C" NOT NULL,
  topic       text COLLATE "C" NOT NULL,
  partition   integer NOT NULL,
  "offset"    bigint  NOT NULL,
  moved       boolean NOT NULL,  -- ahead of the position; else pending behind it
  marker      bigint,            -- the Kafka transaction that decides about it
  error       text,              -- why it could not be sent
  PRIMARY KEY (cluster_id, group_id, topic, partition, "offset")
);
COMMENT ON TABLE kafka_events.dlq_letters IS
  'Dead letters that the position alone says nothing true about: failed ones, and single ones that were moved';

GRANT SELECT ON kafka_events.dlq_positions, kafka_events.dlq_letters
  TO pg_database_owner;

SELECT pg_catalog.pg_extension_config_dump('kafka_events.dlq_positions', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_events.dlq_letters', '');

CREATE FUNCTION @extschema@.kafka_dlq_stats(
  topic   text DEFAULT NULL,
  server  name DEFAULT NULL,
  OUT topic          text,
  OUT source_topic   text,
  OUT message_count  bigint,
  OUT pending        bigint,
  OUT partitions     integer,
  OUT oldest_offset  bigint,
  OUT newest_offset  bigint,
  OUT orphans        bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_dlq_stats';
COMMENT ON FUNCTION @extschema@.kafka_dlq_stats(text, name) IS
  'How many dead letters there are, and how many of them are pending';

CREATE FUNCTION @extschema@.kafka_dlq_messages(
  topic         text,
  max_messages  integer DEFAULT 100,
  from_offset   bigint  DEFAULT NULL,
  partition     integer DEFAULT NULL,
  pending_only  boolean DEFAULT false,
  server        name    DEFAULT NULL,
  OUT topic               text,
  OUT partition           integer,
  OUT "offset"            bigint,
  OUT "timestamp"         timestamptz,
  OUT key                 bytea,
  OUT value               bytea,
  OUT headers             jsonb,
  OUT reason              text,
  OUT sqlstate            text,
  OUT attempts            integer,
  OUT failed_at           timestamptz,
  OUT original_topic      text,
  OUT original_partition  integer,
  OUT original_offset     bigint,
  OUT orphan              boolean,
  OUT key_text            text,
  OUT value_text          text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_dlq_messages';
COMMENT ON FUNCTION @extschema@.kafka_dlq_messages(text, integer, bigint, integer, boolean, name) IS
  'Look at dead letters, and why they are dead, without consuming them';

CREATE FUNCTION @extschema@.kafka_messages(
  topic           text,
  max_messages    integer     DEFAULT 100,
  from_offset     bigint      DEFAULT NULL,
  from_timestamp  timestamptz DEFAULT NULL,
  partition       integer     DEFAULT NULL,
  server          name        DEFAULT NULL,
  OUT topic        text,
  OUT partition    integer,
  OUT "offset"     bigint,
  OUT "timestamp"  timestamptz,
  OUT key          bytea,
  OUT value        bytea,
  OUT headers      jsonb,
  OUT key_text     text,
  OUT value_text   text,
  OUT value_json   jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_messages';
COMMENT ON FUNCTION @extschema@.kafka_messages(text, integer, bigint, timestamptz, integer, name) IS
  'Look at messages of any topic, by partition and offset or from a time on, without consuming them';

-- No default target: then compacted topics are spared, see the documentation.
CREATE FUNCTION @extschema@.kafka_dlq_reprocess(
  topic         text,
  max_messages  bigint  DEFAULT NULL,
  target        text    DEFAULT NULL,
  partition     integer DEFAULT NULL,
  "offset"      bigint  DEFAULT NULL,
  server        name    DEFAULT NULL,
  to_topic      text    DEFAULT NULL,
  OUT total       bigint,
  OUT successful  bigint,
  OUT failed      bigint,
  OUT messages    jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_dlq_reprocess';
COMMENT ON FUNCTION @extschema@.kafka_dlq_reprocess(text, bigint, text, integer, bigint, name, text) IS
  'Send pending dead letters to where they came from, to another topic or to be retried, or discard them';

CREATE FUNCTION kafka_events.dlq_progress(
  OUT server          name,
  OUT topic           text,
  OUT target          text,
  OUT pid             integer,
  OUT status          text,
  OUT started_at      timestamptz,
  OUT messages_total  bigint,
  OUT messages_done   bigint,
  OUT successful      bigint,
  OUT failed          bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_dlq_progress';
COMMENT ON FUNCTION kafka_events.dlq_progress() IS
  'The rows of view kafka_dlq_progress';

CREATE VIEW @extschema@.kafka_dlq_progress AS
  SELECT * FROM kafka_events.dlq_progress();
COMMENT ON VIEW @extschema@.kafka_dlq_progress IS
  'Every session that reprocesses dead letters: how far it is, or that it waits';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.server IS
  'Name of the foreign server of the dead letters';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.topic IS
  'Dead letter topic that is worked on';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.target IS
  'What becomes of the letters: original, retry or discard';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.pid IS
  'Process ID of the session that called kafka_dlq_reprocess';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.status IS
  'running, or waiting for a task process, which starts or works for another session';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.started_at IS
  'When the session called the function';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.messages_total IS
  'About how many letters there are to look at, those done included; NULL until they are counted';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.messages_done IS
  'Letters dealt with so far, successful or failed';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.successful IS
  'Letters sent or discarded so far';
COMMENT ON COLUMN @extschema@.kafka_dlq_progress.failed IS
  'Letters so far that could not be sent and stay pending';

GRANT SELECT ON @extschema@.kafka_dlq_progress TO PUBLIC;

/* ------------------------------------------------------------------- see */

CREATE FUNCTION kafka_events.subscriptions(
  OUT subscription       regclass,
  OUT server             name,
  OUT topic              text,
  OUT handler            text,
  OUT into_table         regclass,
  OUT owner              name,
  OUT status             text,
  OUT status_reason      text,
  OUT row_format         text,
  OUT on_conflict        text,
  OUT ordering           text,
  OUT validator          text,
  OUT required_headers   text[],
  OUT start_from         text,
  OUT batch_size         integer,
  OUT handler_timeout    interval,
  OUT max_retries        integer,
  OUT retry_strategy     text,
  OUT initial_delay      interval,
  OUT max_delay          interval,
  OUT multiplier         float8,
  OUT dlq                boolean,
  OUT breaker_threshold  integer,
  OUT breaker_timeout    interval,
  OUT column_map         jsonb,
  OUT field_names        text,
  OUT value_format       text,
  OUT key_format         text,
  OUT timestamp_unit     text,
  OUT bytes_encoding     text,
  OUT strip_nul          boolean,
  OUT tombstones         text,
  OUT update_columns     text,
  OUT update_if          text,
  OUT generated_columns  text,
  OUT unwrap             text,
  OUT split              text,
  OUT route              text,
  OUT topics             text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_subscriptions';
COMMENT ON FUNCTION kafka_events.subscriptions() IS
  'The rows of view kafka_subscriptions';

CREATE VIEW @extschema@.kafka_subscriptions AS
  SELECT * FROM kafka_events.subscriptions();
COMMENT ON VIEW @extschema@.kafka_subscriptions IS
  'Every subscription of this database with its state and its options';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.subscription IS
  'Foreign table that is the subscription';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.server IS
  'Name of the foreign server that it belongs to';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.topic IS
  'Topic that is consumed; NULL for a pattern, whose topics have rows of their own';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.handler IS
  'Function that is called with the messages, and the type it takes; NULL if there is none';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.into_table IS
  'Table that messages are written into; NULL if there is none';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.owner IS
  'Role that it runs as: the server''s owner';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.status IS
  'active, paused, open (its circuit breaker is, or half-open), broken (it cannot run, or a partition has stopped) or pattern';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.status_reason IS
  'Why nothing, or not everything, is consumed, or why the latest messages failed; NULL if no reason is known; of a pattern how many topics it has';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.row_format IS
  'What goes into a row of into_table: fields (of the JSON value) or envelope (the whole message)';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.on_conflict IS
  'What happens where the row''s primary key is there already: error, ignore or update';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.ordering IS
  'What waits for a message that is to be retried: none, key (those with its key) or partition';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.validator IS
  'Function that judges each message first, and the type it takes; NULL if there is none';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.required_headers IS
  'Names of headers that every message must have; empty if none is required';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.start_from IS
  'Where a topic that was never consumed before starts: earliest or latest';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.batch_size IS
  'Messages in one transaction, at most';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.handler_timeout IS
  'How long one call of handler or validator may take';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.max_retries IS
  'How often a message that failed is tried again, at most';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.retry_strategy IS
  'How the delay grows with each retry: exponential, linear or fixed';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.initial_delay IS
  'Delay before the first retry';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.max_delay IS
  'Longest delay that the strategy leads to; up to 10 % are added, and kafka_retry may ask for more';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.multiplier IS
  'Factor from one delay to the next, for retry_strategy exponential';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.dlq IS
  'Whether what is given up becomes a dead letter; if not, it is logged, counted and dropped';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.breaker_threshold IS
  'Failures in a row that open the circuit breaker; 0 if it never opens';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.breaker_timeout IS
  'How long an open circuit breaker waits before a message is tried';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.column_map IS
  'Path in the value of each column that is not a field of its own name; {} without any';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.field_names IS
  'How fields are called: exact (as the columns) or snake_case (userId goes to user_id)';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.value_format IS
  'What values are: json, or registry (what the schema registry says)';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.key_format IS
  'What keys are: text, or registry (what the schema registry says)';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.timestamp_unit IS
  'What a bare number counts that goes into a date or time: s, ms, us, ns; none if such a number is refused';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.bytes_encoding IS
  'How strings that go into bytea are written: text (as bytea reads them), base64 or hex';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.strip_nul IS
  'Whether NUL characters, which no text can hold, are removed instead of refused';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.tombstones IS
  'What a message without a value does: delete, ignore or dead_letter; NULL if row_format and on_conflict decide';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.update_columns IS
  'What on_conflict update gives a row that is there: all columns, or those that are present in the message';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.update_if IS
  'Column whose value must be newer than the row''s for an update; NULL if none must';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.generated_columns IS
  'Whether a field for a generated or identity-always column is an error or ignored';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.unwrap IS
  'What values and keys are taken out of: connect, debezium or cloudevents; none if they are what they mean';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.split IS
  'What a message that holds several values is taken apart by: array (a JSON array) or lines (one value in each); none if it is one value';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.route IS
  'Function that tells the table of each message, or NULL to write no row; NULL if there is none';
COMMENT ON COLUMN @extschema@.kafka_subscriptions.topics IS
  'Regular expression of a pattern, or of the pattern that subscribed this topic; NULL if the topic was subscribed by its name';

CREATE FUNCTION kafka_events.schemas(
  OUT server         name,
  OUT id             text,
  OUT subject        text,
  OUT type           text,
  OUT name           text,
  OUT fields         text[],
  OUT first_seen_at  timestamptz,
  OUT url            text,
  OUT used_total     bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_schemas';
COMMENT ON FUNCTION kafka_events.schemas() IS
  'The rows of view kafka_schemas';

CREATE VIEW @extschema@.kafka_schemas AS
  SELECT * FROM kafka_events.schemas();
COMMENT ON VIEW @extschema@.kafka_schemas IS
  'What schema registries have said so far: the schemas of messages that were read';
COMMENT ON COLUMN @extschema@.kafka_schemas.server IS
  'Name of the foreign server whose registry it is of';
COMMENT ON COLUMN @extschema@.kafka_schemas.id IS
  'Id that messages name it by: a number, or a UUID';
COMMENT ON COLUMN @extschema@.kafka_schemas.subject IS
  'Subject that it is registered for, one of them; NULL where the registry does not tell';
COMMENT ON COLUMN @extschema@.kafka_schemas.type IS
  'What it is written in: AVRO, JSON, PROTOBUF';
COMMENT ON COLUMN @extschema@.kafka_schemas.name IS
  'Name in the schema: of a record with its namespace, of JSON Schema the title; NULL if it has none';
COMMENT ON COLUMN @extschema@.kafka_schemas.fields IS
  'Names of its fields, of the first 1000 of them; empty if it has none';
COMMENT ON COLUMN @extschema@.kafka_schemas.first_seen_at IS
  'When the registry was asked for it';
COMMENT ON COLUMN @extschema@.kafka_schemas.url IS
  'URL of the registry that said it';
COMMENT ON COLUMN @extschema@.kafka_schemas.used_total IS
  'Values and keys that were read by it since PostgreSQL started';

CREATE FUNCTION @extschema@.kafka_schema_forget(id text DEFAULT NULL, server name DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_schema_forget';
COMMENT ON FUNCTION @extschema@.kafka_schema_forget(text, name) IS
  'Forget what a server''s schema registry has said, of one id or of all, so that it is asked again; returns how many schemas were forgotten';

CREATE FUNCTION kafka_events.consumer_health(
  OUT server               name,
  OUT consumer_id          text,
  OUT role                 text,
  OUT group_id             text,
  OUT pid                  integer,
  OUT status               text,
  OUT is_healthy           boolean,
  OUT started_at           timestamptz,
  OUT last_heartbeat       timestamptz,
  OUT last_message_at      timestamptz,
  OUT assigned_partitions  integer,
  OUT messages_total       bigint,
  OUT restarts_total       bigint,
  OUT last_error           text,
  OUT last_error_at        timestamptz,
  OUT reason               text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_consumer_health';
COMMENT ON FUNCTION kafka_events.consumer_health() IS
  'The rows of view kafka_consumer_health';

CREATE VIEW @extschema@.kafka_consumer_health AS
  SELECT * FROM kafka_events.consumer_health();
COMMENT ON VIEW @extschema@.kafka_consumer_health IS
  'Every process of this database that consumes, expected or running';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.server IS
  'Name of the foreign server that the process works for';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.consumer_id IS
  'Name of the process, <service>-<role>-<number>, the same after each restart';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.role IS
  'main (reads subscribed topics), retry (runs what failed) or relay (publishes the outbox)';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.group_id IS
  'Kafka consumer group that it is a member of; NULL for a relay';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.pid IS
  'Process ID; NULL while there is no process';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.status IS
  'starting, running, rebalancing (waits for partitions), stopped or failed';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.is_healthy IS
  'Whether it runs, has served its queue and, as far as known, its cluster has answered in the last 60 s';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.started_at IS
  'When the process, or the last one, started; NULL if none has yet';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.last_heartbeat IS
  'When the process last served its queue; NULL if none has started yet';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.last_message_at IS
  'When the process last finished a message, or a relay published one; NULL if never';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.assigned_partitions IS
  'Partitions that it has now; NULL for a relay';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.messages_total IS
  'Messages that it has finished, or a relay published, over its restarts since PostgreSQL started';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.restarts_total IS
  'Starts of the process after its first one since PostgreSQL started';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.last_error IS
  'Last thing that went wrong, over or not, or why there is no process; no payload; NULL if there is nothing to say';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.last_error_at IS
  'When that went wrong; NULL if nothing has';
COMMENT ON COLUMN @extschema@.kafka_consumer_health.reason IS
  'What is the matter with it now; no payload; NULL if nothing is';

CREATE FUNCTION kafka_events.consumer_lag(
  OUT server              name,
  OUT role                text,
  OUT group_id            text,
  OUT topic               text,
  OUT partition           integer,
  OUT consumer_id         text,
  OUT "position"          bigint,
  OUT committed_offset    bigint,
  OUT end_offset          bigint,
  OUT last_stable_offset  bigint,
  OUT lag_messages        bigint,
  OUT status              text,
  OUT status_reason       text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_consumer_lag';
COMMENT ON FUNCTION kafka_events.consumer_lag() IS
  'The rows of view kafka_consumer_lag';

CREATE VIEW @extschema@.kafka_consumer_lag AS
  SELECT * FROM kafka_events.consumer_lag();
COMMENT ON VIEW @extschema@.kafka_consumer_lag IS
  'Every partition of this database''s subscriptions: where it stands and how far behind it is';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.server IS
  'Name of the foreign server of the subscription';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.role IS
  'main (the topic itself) or retry (its retry topic)';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.group_id IS
  'Kafka consumer group that reads it';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.topic IS
  'Subscribed topic, also where the partition is one of its retry topic';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.partition IS
  'Partition of the topic; NULL in a row that says what is wrong with the topic as a whole';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.consumer_id IS
  'Process that has the partition, as in kafka_consumer_health; NULL if none has';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag."position" IS
  'Next offset to be processed; NULL while it is not known';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.committed_offset IS
  'Position that Kafka has acknowledged for the group; NULL if none yet';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.end_offset IS
  'Offset that the next message will get; NULL while it is not known';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.last_stable_offset IS
  'Offset up to which no Kafka transaction is open; NULL while it is not known';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.lag_messages IS
  'Offsets from position to last_stable_offset; NULL while one of them is not known, or nobody has heard of the end for 30 s';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.status IS
  'starting, running, paused, stopped (needs somebody to act) or unassigned (nobody has it)';
COMMENT ON COLUMN @extschema@.kafka_consumer_lag.status_reason IS
  'Why it does not run, or waits; NULL if there is nothing to say';

CREATE FUNCTION @extschema@.kafka_health(
  server                  name  DEFAULT NULL,
  OUT server              name,
  OUT status              text,
  OUT brokers             integer,
  OUT latency_ms          float8,
  OUT consumers_running   integer,
  OUT consumers_expected  integer,
  OUT lag_messages        bigint,
  OUT message             text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_health';
COMMENT ON FUNCTION @extschema@.kafka_health(name) IS
  'Ask each server''s cluster, or one''s, and say whether all is well: up, degraded or down, and why';

CREATE FUNCTION @extschema@.kafka_production_check(
  server          name  DEFAULT NULL,
  OUT check_name  text,
  OUT ok          boolean,
  OUT detail      text,
  OUT hint        text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_production_check';
COMMENT ON FUNCTION @extschema@.kafka_production_check(name) IS
  'What is not fit for production in each server, or one, its topics and its processes, and what to type about it';

CREATE FUNCTION kafka_events.metrics(
  OUT server               name,
  OUT topic                text,
  OUT received_total       bigint,
  OUT succeeded_total      bigint,
  OUT retried_total        bigint,
  OUT dead_lettered_total  bigint,
  OUT skipped_total        bigint,
  OUT failed_total         bigint,
  OUT rows_total           bigint,
  OUT bytes_total          bigint,
  OUT batches_total        bigint,
  OUT processing_ms_total  bigint,
  OUT latency_p50_ms       float8,
  OUT latency_p95_ms       float8,
  OUT latency_p99_ms       float8,
  OUT last_success_at      timestamptz,
  OUT last_failure_at      timestamptz,
  OUT skipped_by_reset_total  bigint,
  OUT orphaned_total       bigint,
  OUT dropped_copies_total bigint,
  OUT unmatched_total      bigint,
  OUT stripped_total       bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_metrics';
COMMENT ON FUNCTION kafka_events.metrics() IS
  'The rows of view kafka_metrics';

CREATE VIEW @extschema@.kafka_metrics AS
  SELECT * FROM kafka_events.metrics();
COMMENT ON VIEW @extschema@.kafka_metrics IS
  'What became of each subscription''s messages since the server started, and how long it took lately';
COMMENT ON COLUMN @extschema@.kafka_metrics.server IS
  'Name of the foreign server of the subscription';
COMMENT ON COLUMN @extschema@.kafka_metrics.topic IS
  'Subscribed topic';
COMMENT ON COLUMN @extschema@.kafka_metrics.received_total IS
  'Messages whose fate is committed, retries included; each is also one of the next five, or orphaned';
COMMENT ON COLUMN @extschema@.kafka_metrics.succeeded_total IS
  'Messages that had their effect';
COMMENT ON COLUMN @extschema@.kafka_metrics.retried_total IS
  'Messages that failed and are to be tried again';
COMMENT ON COLUMN @extschema@.kafka_metrics.dead_lettered_total IS
  'Messages that became dead letters';
COMMENT ON COLUMN @extschema@.kafka_metrics.skipped_total IS
  'Messages dropped by kafka_skip, tombstones for a STRICT handler, and reprocessed dead letters that had come before';
COMMENT ON COLUMN @extschema@.kafka_metrics.failed_total IS
  'Messages passed over, as there are neither retries nor dead letters';
COMMENT ON COLUMN @extschema@.kafka_metrics.rows_total IS
  'Rows inserted, updated or deleted in into_table';
COMMENT ON COLUMN @extschema@.kafka_metrics.bytes_total IS
  'Bytes of the keys and values received';
COMMENT ON COLUMN @extschema@.kafka_metrics.batches_total IS
  'Transactions that the messages took';
COMMENT ON COLUMN @extschema@.kafka_metrics.processing_ms_total IS
  'Duration of these transactions, in ms';
COMMENT ON COLUMN @extschema@.kafka_metrics.latency_p50_ms IS
  'Median time from a message''s timestamp to its commit, in ms, over the last 5 to 10 minutes; NULL if no message came';
COMMENT ON COLUMN @extschema@.kafka_metrics.latency_p95_ms IS
  'Time that 95 % of these messages took at most, in ms; NULL likewise';
COMMENT ON COLUMN @extschema@.kafka_metrics.latency_p99_ms IS
  'Time that 99 % of these messages took at most, in ms; NULL likewise';
COMMENT ON COLUMN @extschema@.kafka_metrics.last_success_at IS
  'When a message last had its effect; NULL if none has since the PostgreSQL server started';
COMMENT ON COLUMN @extschema@.kafka_metrics.last_failure_at IS
  'When a message was last retried, dead-lettered or passed over; NULL if none was since the PostgreSQL server started';
COMMENT ON COLUMN @extschema@.kafka_metrics.skipped_by_reset_total IS
  'Offsets passed over because Kafka''s tools had moved the position of the group forward';
COMMENT ON COLUMN @extschema@.kafka_metrics.orphaned_total IS
  'Copies dropped because a history sent them that this database has left, by a recovery or a failover';
COMMENT ON COLUMN @extschema@.kafka_metrics.dropped_copies_total IS
  'Retry copies dropped because one with the same x-copy-id had come before; in none of the other counters';
COMMENT ON COLUMN @extschema@.kafka_metrics.unmatched_total IS
  'Of succeeded_total: messages none of whose fields is a column of into_table, or an attribute of the handler''s argument';
COMMENT ON COLUMN @extschema@.kafka_metrics.stripped_total IS
  'Of succeeded_total: messages that NUL characters were taken out of, by option strip_nul';

CREATE FUNCTION @extschema@.kafka_metrics_prometheus()
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_metrics_prometheus';
COMMENT ON FUNCTION @extschema@.kafka_metrics_prometheus() IS
  'Everything that is counted, in the Prometheus text format 0.0.4; asks no broker';

CREATE FUNCTION @extschema@.kafka_metrics_samples(
  OUT metric    text,
  OUT server    name,
  OUT topic     text,
  OUT role      text,
  OUT partition integer,
  OUT le        text,
  OUT value     double precision)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_metrics_samples';
COMMENT ON FUNCTION @extschema@.kafka_metrics_samples() IS
  'The samples of kafka_metrics_prometheus as rows, for exporters that run queries; asks no broker';

GRANT SELECT ON @extschema@.kafka_metrics TO PUBLIC;

CREATE FUNCTION kafka_events.circuit_breakers(
  OUT server           name,
  OUT topic            text,
  OUT state            text,
  OUT failures_in_row  integer,
  OUT opened_at        timestamptz,
  OUT next_try_at      timestamptz,
  OUT last_sqlstate    text,
  OUT last_partition   integer,
  OUT last_offset      bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'kafka_circuit_breakers';
COMMENT ON FUNCTION kafka_events.circuit_breakers() IS
  'The rows of view kafka_circuit_breakers';

CREATE VIEW @extschema@.kafka_circuit_breakers AS
  SELECT * FROM kafka_events.circuit_breakers();
COMMENT ON VIEW @extschema@.kafka_circuit_breakers IS
  'The circuit breaker of every subscription of this database';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.server IS
  'Name of the foreign server of the subscription';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.topic IS
  'Subscribed topic';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.state IS
  'closed (messages run), open (none does), half-open (one is tried) or broken (it cannot run as functions, tables and privileges are)';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.failures_in_row IS
  'Messages that failed since the last one that went well';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.opened_at IS
  'When it opened, or the deployment broke the subscription; NULL if it is closed';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.next_try_at IS
  'When a message is tried; NULL if it is closed, one is tried now, or is as soon as something changes';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.last_sqlstate IS
  'SQLSTATE of the last failure; NULL if none since the PostgreSQL server started';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.last_partition IS
  'Partition that the message of that failure was first read from; NULL likewise';
COMMENT ON COLUMN @extschema@.kafka_circuit_breakers.last_offset IS
  'Offset of that message there; NULL likewise';

GRANT SELECT ON @extschema@.kafka_circuit_breakers TO PUBLIC;

CREATE VIEW @extschema@.kafka_retries WITH (security_barrier) AS
  SELECT services.server,
         retries.source AS topic,
         retries.attempt,
         CASE WHEN pg_catalog.isfinite(retries.due_at) THEN retries.due_at END AS due_at,
         retries.original_partition,
         retries.original_offset,
         retries.sqlstate
    FROM kafka_events.retries
    LEFT JOIN (
      SELECT srv.srvname AS server, srv.srvowner AS owner, opt.option_value AS service_name
        FROM pg_catalog.pg_foreign_server AS srv
        JOIN pg_catalog.pg_foreign_data_wrapper AS fdw
          ON fdw.oid OPERATOR(pg_catalog.=) srv.srvfdw
         AND fdw.fdwname OPERATOR(pg_catalog.=) 'kafka_events',
             pg_catalog.pg_options_to_table(srv.srvoptions) AS opt
       WHERE opt.option_name OPERATOR(pg_catalog.=) 'service_name'
    ) AS services
      ON retries.group_id OPERATOR(pg_catalog.=) (services.service_name OPERATOR(pg_catalog.||) '-main')
      OR retries.group_id OPERATOR(pg_catalog.=) (services.service_name OPERATOR(pg_catalog.||) '-retry')
   WHERE pg_catalog.pg_has_role('pg_monitor'::pg_catalog.name, 'USAGE')
      OR pg_catalog.pg_has_role(services.owner, 'USAGE');
COMMENT ON VIEW @extschema@.kafka_retries IS
  'Messages that wait in the database to be run again; without due_at they wait for one before them';
COMMENT ON COLUMN @extschema@.kafka_retries.server IS
  'Name of the foreign server of the subscription; NULL if none has its service_name any more';
COMMENT ON COLUMN @extschema@.kafka_retries.topic IS
  'Subscribed topic';
COMMENT ON COLUMN @extschema@.kafka_retries.attempt IS
  'Which retry its next run will be; 0 if it has not run yet and waits behind another message';
COMMENT ON COLUMN @extschema@.kafka_retries.due_at IS
  'When it is run; NULL while it waits for one before it, of the same key or partition';
COMMENT ON COLUMN @extschema@.kafka_retries.original_partition IS
  'Partition that the message was first read from';
COMMENT ON COLUMN @extschema@.kafka_retries.original_offset IS
  'Offset of the message there';
COMMENT ON COLUMN @extschema@.kafka_retries.sqlstate IS
  'SQLSTATE of its last failure; NULL if it has not run yet, or came back through the retry topic';
GRANT SELECT ON @extschema@.kafka_retries TO PUBLIC;

GRANT SELECT ON
  @extschema@.kafka_subscriptions, @extschema@.kafka_consumer_health, @extschema@.kafka_consumer_lag,
  @extschema@.kafka_schemas
  TO PUBLIC;
