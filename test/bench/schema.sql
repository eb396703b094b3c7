-- What the benchmark consumes into, and how it takes the time.

CREATE EXTENSION kafka_events;

CREATE TABLE typed (
  id       bigint PRIMARY KEY,
  user_id  bigint,
  type     text,
  amount   numeric(12, 2),
  ts       float8,
  note     text
);
SELECT kafka_table_create('envelope');

CREATE TABLE handled (id bigint, amount numeric);
CREATE FUNCTION on_json(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO handled VALUES ((event->>'id')::bigint, (event->>'amount')::numeric);
END $$;
CREATE FUNCTION on_row(event typed) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO handled VALUES (event.id, event.amount);
END $$;
CREATE FUNCTION on_batch(events kafka_message[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO handled
  SELECT (v->>'id')::bigint, (v->>'amount')::numeric
    FROM unnest(events) e, LATERAL (SELECT convert_from(e.value, 'UTF8')::jsonb) j (v);
$$;

CREATE TABLE results (path text, rate float8);

-- Thousands of messages per second from the first commit to the last.  No
-- snapshot is held meanwhile.
CREATE PROCEDURE take_rate(path text, of_topic text, total bigint)
LANGUAGE plpgsql AS $$
DECLARE
  at bigint;
  first_at bigint;
  began timestamptz;
BEGIN
  LOOP
    SELECT coalesce(sum("position"), 0) INTO at
      FROM kafka_consumer_lag WHERE topic = of_topic AND role = 'main';
    COMMIT;
    IF began IS NULL AND at > 0 THEN
      began := clock_timestamp();
      first_at := at;
    END IF;
    EXIT WHEN at >= total;
    PERFORM pg_sleep(0.005);
  END LOOP;
  INSERT INTO results
  VALUES (path, (at - first_at) / extract(epoch FROM clock_timestamp() - began) / 1000);
END $$;
