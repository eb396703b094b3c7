-- Buckets of latencies, and quantiles found in them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_bucket(ms bigint) RETURNS integer LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_bound(bucket integer) RETURNS bigint LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_quantile(ms bigint[], fraction float8) RETURNS float8 LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_upto(ms bigint[], bound bigint) RETURNS bigint LANGUAGE C STRICT AS :'module';

-- bounds grow, belong to their bucket, and the next value does not
SELECT unit_bound(0), unit_bound(7), unit_bound(8), unit_bound(11), unit_bound(12), unit_bound(123), unit_bound(124) = 9223372036854775807 AS last;
SELECT count(*) FILTER (WHERE unit_bucket(unit_bound(b)) <> b) AS not_in_it,
       count(*) FILTER (WHERE unit_bucket(unit_bound(b) + 1) <> b + 1) AS not_in_next,
       count(*) FILTER (WHERE unit_bound(b + 1) <= unit_bound(b)) AS not_growing
  FROM generate_series(0, 123) AS b;
SELECT unit_bucket(-1), unit_bucket(0), unit_bucket(1), unit_bucket(2), unit_bucket(9223372036854775807);
-- each bucket but the first ones is an eighth to a fifth of its bound wide
SELECT bool_and((unit_bound(b) - unit_bound(b - 1))::numeric / unit_bound(b) BETWEEN 0.125 AND 0.2) FROM generate_series(8, 123) AS b;

-- quantiles
SELECT unit_quantile('{}', 0.5) AS nothing, unit_quantile('{0}', 0.5) AS one, unit_quantile('{9223372036854775807}', 0.5) AS too_long;
SELECT f, unit_quantile(array(SELECT generate_series(1, 10000)), f) AS found,
       abs(unit_quantile(array(SELECT generate_series(1, 10000)), f) / (10000 * f) - 1) < 0.125 AS near
  FROM unnest(ARRAY[0.01, 0.5, 0.95, 0.99, 1]) AS f;
SELECT unit_quantile('{5,5,5,5,5,5,5,5,5,3600000}', 0.5) AS median, unit_quantile('{5,5,5,5,5,5,5,5,5,3600000}', 0.99) / 3600000 BETWEEN 0.8 AND 1.2 AS tail;

-- sums up to a bucket's bound
SELECT bound, unit_upto(array(SELECT generate_series(0, 100)), bound) FROM unnest(ARRAY[1, 2, 8, 64, 128, 9223372036854775807]) AS bound;

DROP FUNCTION unit_bucket, unit_bound, unit_quantile, unit_upto;
