-- How the size of transactions follows the messages that fail.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_pace(good bigint[], most integer) RETURNS integer[] LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_every(good bigint, times integer) RETURNS bigint[] LANGUAGE sql AS $$SELECT array_fill(good, ARRAY[times])$$;

-- a failure at the very beginning says little; a rare one changes nothing
SELECT unit_pace('{0}', 1000) AS at_once, unit_pace('{1000000,1000000}', 1000) AS rare;
-- one in a hundred: soon small, and 4 * sqrt(100) in the end
SELECT unit_pace('{1000000}' || unit_every(100, 10), 1000);
-- nothing but failures: one by one
SELECT unit_pace('{1000000}' || unit_every(0, 12), 1000);
-- after them, without failures, as large as before
SELECT (unit_pace('{1000000}' || unit_every(0, 12) || '{100,10000,1000000}'::bigint[], 1000))[14:];
-- never more than the subscription's batch_size, never none
SELECT unit_pace('{1000000,0,0,1000000}', 1), unit_pace('{1000000,1000,1000000}', 10);

DROP FUNCTION unit_pace, unit_every;
