-- Literals are read without raising, as PostgreSQL's own types read them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_interval(text) RETURNS bigint LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_show_interval(bigint) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_text_array(text) RETURNS text[] LANGUAGE C STRICT AS :'module';
\pset format unaligned

-- the same milliseconds as type interval, in each of its styles
SELECT t, unit_interval(t), unit_interval(t) = trunc(extract(epoch FROM t::interval) * 1000) AS same
FROM unnest(ARRAY['30 s', '30', '30 days', '1 min', '00:00:05', '1.5 ms', '0.0009 s', '1 month', '1 week 2 hours',
                  'PT30S', 'P1DT2H', 'P0001-00-00T00:00:00', '@ 5 mins', '-1 s', '1 day -1 s']) t;
SELECT unit_interval('1 year') = 360::bigint * 86400000 AS days_of_30;
SET intervalstyle = 'sql_standard';
SELECT unit_interval('1 2:03:04'), unit_interval('1-2');
RESET intervalstyle;
SELECT t, unit_interval(t)
FROM unnest(ARRAY['', ' ', 'soon', '1 fortnight', '5 s 5 s', 'P', 'tomorrow', '1:2:3:4', 'x' || repeat('1', 300),
                  repeat('1', 300), '999999999999999999 years', '2147483647 months', '9223372036854775807 ms']) t;

-- shown in the largest unit that is whole
SELECT ms, unit_show_interval(ms)
FROM unnest('{0,1,999,1000,1500,59000,60000,90000,3600000,7200000,86400000,2592000000}'::bigint[]) ms;

-- arrays of text
SELECT t, unit_text_array(t), unit_text_array(t) = t::text[] AS same
FROM unnest(ARRAY['{}', ' { } ', '{a}', '{a,b}', '{ a , b c }', '{"a","b,c"}', '{"a\"b","\\"}', '{a\,b}',
                  '{"NULL"}', '{""}', '{1,2,3,4,5,6,7,8,9,10,11}']) t;
SELECT t, unit_text_array(t)
FROM unnest(ARRAY['', 'a', '{', '{a', '{a,', '{a,}', '{,a}', '{"a}', '{"a"x}', '{a"b"}', '{a}b', '{{a}}', '{a,NULL}',
                  '{a\', '{"a\']) t;
