-- The trace that a message's headers name.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_trace(headers text[]) RETURNS text LANGUAGE C STRICT AS :'module';

\set id 4bf92f3577b34da6a3ce929d0e0e4736
\set span 00f067aa0ba902b7
\set parent '00-' :id '-' :span '-01'

SELECT unit_trace(ARRAY['traceparent', :'parent']);
SELECT unit_trace(ARRAY['tracestate', 'a=1', 'x', 'y', 'traceparent', :'parent']);
-- of several the last one counts
SELECT unit_trace(ARRAY['traceparent', 'nonsense', 'tracestate', 'a=1', 'traceparent', :'parent', 'tracestate', 'b=2']);
SELECT unit_trace(ARRAY['traceparent', :'parent', 'traceparent', NULL]);
-- a state alone belongs to no trace, and one that is no text does not go on
SELECT unit_trace(ARRAY['tracestate', 'a=1']);
SELECT unit_trace(ARRAY['traceparent', :'parent', 'tracestate', E'a=\x01']);
SELECT unit_trace(ARRAY['traceparent', :'parent', 'tracestate', 'ä=1']);
SELECT unit_trace(ARRAY['traceparent', :'parent', 'tracestate', '']);
SELECT unit_trace(ARRAY['traceparent', :'parent', 'tracestate', NULL]);
SELECT length(unit_trace(ARRAY['traceparent', :'parent', 'tracestate', repeat('a', 16384)])) > 16384 AS whole,
  unit_trace(ARRAY['traceparent', :'parent', 'tracestate', repeat('a', 16385)]);

SELECT why, unit_trace(ARRAY['traceparent', replace(value, '*', :'id' || '-' || :'span')]) AS trace
  FROM (VALUES
	(1, 'not sampled', '00-*-00'),
	(2, 'flags of later days', '00-*-ff'),
	(3, 'a later version', '42-*-01'),
	(4, 'which has more to say', '42-*-01-more'),
	(5, 'and version 00 has not', '00-*-01-more'),
	(6, 'nor something behind it', '00-*-01 '),
	(7, 'no field of its own', '42-*-01more'),
	(8, 'a version that is none', 'ff-*-01'),
	(9, 'no version', '*-01'),
	(10, 'no flags', '00-*'),
	(11, 'short flags', '00-*-1'),
	(12, 'no hexadecimal flags', '00-*-0g'),
	(13, 'another name of the header''s', 'Traceparent'),
	(14, 'capitals', '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01'),
	(15, 'trace 0', '00-00000000000000000000000000000000-00f067aa0ba902b7-01'),
	(16, 'parent 0', '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01'),
	(17, 'a short trace', '00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-011'),
	(18, 'a short parent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-011'),
	(19, 'other separators', '00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01'),
	(20, 'a blank before it', ' 00-*-01'),
	(21, 'a shorter one', '00-4bf92f-00f067-01'),
	(22, 'nothing', ''),
	(23, 'much', repeat('0', 100000))) AS given (n, why, value)
 ORDER BY n;

DROP FUNCTION unit_trace;
