-- What the benchmarks consume into, and how they take figures: in the session
-- of a superuser, on the server's machine.

CREATE EXTENSION kafka_events;

CREATE TABLE typed (
  id       bigint PRIMARY KEY,
  user_id  bigint,
  type     text,
  amount   numeric(12, 2),
  ts       timestamptz,
  note     text
) WITH (autovacuum_enabled = off);

SELECT kafka_table_create('envelope');
ALTER TABLE envelope SET (autovacuum_enabled = off);
CREATE TABLE log (LIKE envelope) WITH (autovacuum_enabled = off);

-- Some of the same columns
CREATE TABLE two (id bigint PRIMARY KEY, amount numeric(12, 2))
  WITH (autovacuum_enabled = off);

-- The same columns under other names
CREATE TABLE mapped (
  event_id bigint PRIMARY KEY,
  user_no  bigint,
  kind     text,
  amount   numeric(12, 2),
  at       timestamptz,
  remark   text
) WITH (autovacuum_enabled = off);

-- The messages as kafka_message has them
CREATE TABLE messages (
  topic text, partition integer, "offset" bigint, "timestamp" timestamptz,
  key bytea, value bytea, headers jsonb, attempt integer DEFAULT 0
) WITH (autovacuum_enabled = off);

CREATE TABLE handled (id bigint, amount numeric)
  WITH (autovacuum_enabled = off);

CREATE FUNCTION on_json(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO handled
  VALUES ((event->>'id')::bigint, (event->>'amount')::numeric);
END $$;

CREATE FUNCTION on_row(event typed) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO handled VALUES (event.id, event.amount);
END $$;

CREATE FUNCTION on_batch(events kafka_message[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO handled
  SELECT (event).id, (event).amount
    FROM (SELECT json_populate_record(NULL::handled, convert_from(value, 'UTF8')::json) event
            FROM unnest(events) OFFSET 0) e;
END $$;

-- The same without JSON: what a batch costs beside its own work
CREATE FUNCTION on_columns(events kafka_message[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO handled SELECT "offset", length(value) FROM unnest(events);
END $$;

-- For messages that fail: one in a hundred, at no regular distance
CREATE FUNCTION is_poison(event jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE
  AS $$SELECT hashint8((event->>'id')::bigint) % 100 = 0$$;

CREATE FUNCTION on_poison_none(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF is_poison(event) IS NULL THEN
    RAISE EXCEPTION 'event without an id';
  END IF;
  INSERT INTO handled
  VALUES ((event->>'id')::bigint, (event->>'amount')::numeric);
END $$;

CREATE FUNCTION on_poison_letter(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF is_poison(event) THEN
    PERFORM kafka_reject('poison');
  END IF;
  INSERT INTO handled
  VALUES ((event->>'id')::bigint, (event->>'amount')::numeric);
END $$;

CREATE FUNCTION on_poison_all(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM kafka_reject('poison');
END $$;

-- What comes back is not counted: it says nothing about the others.
CREATE FUNCTION on_poison_retry(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF is_poison(event) THEN
    IF (kafka_current_message()).attempt > 0 THEN
      RETURN;
    END IF;
    PERFORM kafka_retry('poison');
  END IF;
  INSERT INTO handled
  VALUES ((event->>'id')::bigint, (event->>'amount')::numeric);
END $$;

-- For the latency
CREATE TABLE timed (id bigint, ts timestamptz);
CREATE FUNCTION on_timed(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO timed VALUES ((event->>'id')::bigint, (event->>'ts')::timestamptz);
END $$;
CREATE TABLE arrivals (id bigint, arrived float8);
CREATE TABLE lateness (path text, effect_ms float8, kcat_ms float8);

-- For the relay: what is produced, and rows like those of the outbox
CREATE TABLE outgoing (id bigint PRIMARY KEY, value text)
  WITH (autovacuum_enabled = off);
CREATE TABLE like_the_outbox (LIKE kafka_events.outbox_a INCLUDING INDEXES)
  WITH (autovacuum_enabled = off);
CREATE SEQUENCE like_the_outbox_id;

CREATE PROCEDURE produce_messages(topic text, size bigint)
LANGUAGE plpgsql AS $$
DECLARE
  high bigint := max(id) FROM outgoing;
BEGIN
  FOR low IN 1 .. high BY size LOOP
    PERFORM kafka_produce(topic, value, key => id::text)
      FROM outgoing WHERE id BETWEEN low AND low + size - 1;
    COMMIT;
  END LOOP;
END $$;

CREATE PROCEDURE insert_messages(topic text, size bigint)
LANGUAGE plpgsql AS $$
DECLARE
  high bigint := max(id) FROM outgoing;
BEGIN
  FOR low IN 1 .. high BY size LOOP
    INSERT INTO like_the_outbox (server, marker, xid, id, kind, topic, key, value)
      SELECT 0, false, pg_current_xact_id(), nextval('like_the_outbox_id'), 'e',
             topic, convert_to(id::text, 'UTF8'), convert_to(value, 'UTF8')
        FROM outgoing WHERE id BETWEEN low AND low + size - 1;
    COMMIT;
  END LOOP;
END $$;

-- Each waits for the one before it to be published.
CREATE PROCEDURE produce_one_by_one(topic text, count bigint)
LANGUAGE plpgsql AS $$
DECLARE
  published bigint;
BEGIN
  FOR i IN 1 .. count LOOP
    SELECT messages_total INTO published
      FROM kafka_consumer_health WHERE role = 'relay';
    PERFORM kafka_produce(topic, i::text);
    COMMIT;
    WHILE published = (SELECT messages_total
                         FROM kafka_consumer_health WHERE role = 'relay') LOOP
      PERFORM pg_sleep(0.0002);
    END LOOP;
  END LOOP;
END $$;

CREATE FUNCTION relay() RETURNS SETOF integer LANGUAGE sql AS $$
  SELECT pid FROM kafka_consumer_health
   WHERE role = 'relay' AND status = 'running'
$$;

-- Messages written or sent; rate and CPU as in passes
CREATE TABLE sent (
  who         text CHECK (who IN ('insert', 'produce', 'relay', 'kcat',
                             'reprocess', 'loop')),
  path        text,
  run         integer,
  rows        bigint,
  seconds     float8,
  cpu         float8,
  library     float8,
  anon_mb     float8,
  at          timestamptz DEFAULT clock_timestamp(),
  rate        float8 GENERATED ALWAYS AS (rows / seconds / 1000) STORED
);

-- One pass over a topic, or what it is compared with
CREATE TABLE passes (
  kind        text CHECK (kind IN ('consume', 'reference')),
  path        text,
  run         integer,
  workers     integer,
  batch_size  integer,
  sync        text,             -- synchronous_commit
  rows        bigint,
  seconds     float8,           -- for those rows
  cpu         float8,           -- seconds, for a million rows
  library     float8,           -- of them, those of librdkafka's threads
  anon_mb     float8,           -- peak of one process: its own memory,
  file_mb     float8,           -- and mapped files; no shared memory
  at          timestamptz DEFAULT clock_timestamp(),
  rate        float8 GENERATED ALWAYS AS (rows / seconds / 1000) STORED
);

-- Seconds of CPU that processes have used, and their library's threads
CREATE FUNCTION cpu_of(pids integer[], OUT cpu float8, OUT library float8)
LANGUAGE sql AS $$
  SELECT sum(ns) / 1e9,
         coalesce(sum(ns) FILTER (WHERE thread <> pid::text), 0) / 1e9
    FROM unnest(pids) pid,
         LATERAL pg_ls_dir(format('/proc/%s/task', pid)) thread,
         LATERAL (SELECT split_part(pg_read_file(format(
           '/proc/%s/task/%s/schedstat', pid, thread)), ' ', 1)::float8) t (ns)
$$;

-- How often processes' threads have gone to sleep
CREATE FUNCTION switches_of(pids integer[], OUT switches bigint) LANGUAGE sql
AS $$
  SELECT sum(substring(pg_read_file(format('/proc/%s/task/%s/status', pid,
             thread)), '\nvoluntary_ctxt_switches:\s+(\d+)')::bigint)
    FROM unnest(pids) pid,
         LATERAL pg_ls_dir(format('/proc/%s/task', pid)) thread
$$;
CREATE TABLE idleness (partitions integer, who text, cpu_percent float8,
                       switches float8);

-- A line of /proc/PID/status in MB, of the largest of the processes
CREATE FUNCTION memory_of(pids integer[], line text) RETURNS float8
LANGUAGE sql AS $$
  SELECT max(substring(pg_read_file(format('/proc/%s/status', pid)),
                       line || ':\s+(\d+) kB')::float8 / 1024)
    FROM unnest(pids) pid
$$;

CREATE FUNCTION workers() RETURNS integer[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(pid ORDER BY pid), '{}')
    FROM kafka_consumer_health
   WHERE role = 'main' AND status = 'running'
$$;

-- When a table was filled: from the first commit to the last one, without the
-- rows of the first.
CREATE FUNCTION filling_of(filled regclass, OUT rows bigint, OUT seconds float8)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($q$
    SELECT sum(n) FILTER (WHERE at > since), extract(epoch FROM max(at) - since)
      FROM (SELECT n, at, min(at) OVER () since
              FROM (SELECT count(*) n, pg_xact_commit_timestamp(xmin) at
                      FROM %s GROUP BY xmin) t) t
     GROUP BY since $q$, filled) INTO rows, seconds;
END $$;

-- Medians of all runs.  A ratio is that of each run; "R" is the rate and
-- "R of CPU" the CPU time beside the reference's, "factor" the rate beside
-- one worker's with the default batch_size.
CREATE FUNCTION median(float8[], digits integer) RETURNS numeric LANGUAGE sql AS $$
  SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY v)::numeric, digits)
    FROM unnest($1) v
$$;
CREATE VIEW summary AS
  SELECT path, workers, sync, batch_size, count(*) AS runs,
         median(array_agg(c.rate), 1) AS "k/s",
         median(array_agg(r.rate), 1) AS "reference k/s",
         median(array_agg(c.rate / r.rate), 2) AS "R",
         median(array_agg(r.cpu / c.cpu), 2) AS "R of CPU",
         median(array_agg(c.rate / o.rate), 2) AS factor,
         median(array_agg(c.cpu), 2) AS "CPU s/M",
         median(array_agg(c.library), 2) AS "in library",
         median(array_agg(r.cpu), 2) AS "reference CPU s/M",
         max(c.anon_mb)::integer AS "anon MB",
         max(c.file_mb)::integer AS "file MB"
    FROM passes c
    LEFT JOIN (SELECT path, sync, run, rate, cpu
                 FROM passes WHERE kind = 'reference') r
        USING (path, sync, run)
    LEFT JOIN (SELECT path, sync, run, rate FROM passes
                WHERE kind = 'consume' AND workers = 1 AND batch_size = 1000) o
        USING (path, sync, run)
   WHERE kind = 'consume'
   GROUP BY path, workers, sync, batch_size
   ORDER BY min(c.at);
