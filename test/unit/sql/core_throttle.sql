-- The same line of the log at most once a minute.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_throttle(line text, kind boolean, at_ms bigint) RETURNS boolean LANGUAGE C STRICT AS :'module';

-- a line, the same again and again, and another one; a minute counts from the
-- last one that was written
SELECT line, at_ms, unit_throttle(line, false, at_ms) AS is_written
  FROM (VALUES (1, 'a', 0), (2, 'a', 1), (3, 'b', 2), (4, 'a', 59999), (5, 'a', 60000),
               (6, 'a', 60001), (7, 'b', 60001), (8, 'b', 60002)) AS v(n, line, at_ms)
 ORDER BY n;
-- partitions differ; lines that only count do not
SELECT unit_throttle('partition 1', false, 1000000), unit_throttle('partition 2', false, 1000000),
       unit_throttle('after 12 ms', true, 1000000), unit_throttle('after 345 ms', true, 1000001),
       unit_throttle('after 12 s', true, 1000002);
-- many different lines: each is written, and the last ones are remembered
SELECT count(*) FILTER (WHERE unit_throttle('line ' || n, false, 2000000 + n))
  FROM generate_series(1, 100) n;
SELECT unit_throttle('line 100', false, 2000101), unit_throttle('line 80', false, 2000101);

DROP FUNCTION unit_throttle;
