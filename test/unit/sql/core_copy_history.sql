-- What a copy says of its history, compared with a database's past.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_copy_history(header text) RETURNS text LANGUAGE C STRICT AS :'module';

SELECT why, unit_copy_history(replace(header, '*', '00000000000000')) AS fate
  FROM (VALUES
	(1, 'before timeline 1 was left', 'ke1;s=42;d=5;t=1;h=*a0;l=0/1FFF'),
	(2, 'where it was left', 'ke1;s=42;d=5;t=1;h=*a0;l=0/2000'),
	(3, 'beyond that', 'ke1;s=42;d=5;t=1;h=*a0;l=0/2001'),
	(4, 'a timeline that was never lived on', 'ke1;s=42;d=5;t=2;h=*a0;l=0/1500'),
	(5, 'one in between', 'ke1;s=42;d=5;t=3;h=*a0;l=0/2FFF'),
	(6, 'beyond that', 'ke1;s=42;d=5;t=3;h=*a0;l=0/3001'),
	(7, 'the present one', 'ke1;s=42;d=5;t=4;h=*a4;l=FF/0'),
	(8, 'another one of that number', 'ke1;s=42;d=5;t=4;h=*b4;l=0/4000'),
	(9, 'older than the record', 'ke1;s=42;d=5;t=1;h=*b0;l=0/1000'),
	(10, 'another system', 'ke1;s=43;d=5;t=9;h=*b0;l=0/9000'),
	(11, 'another database', 'ke1;s=42;d=6;t=9;h=*b0;l=0/9000'),
	(12, 'a larger system', 'ke1;s=18446744073709551615;d=5;t=1;h=*a0;l=0/1'),
	(13, 'not of our form', 'ke2;s=42;d=5;t=1;h=*a0;l=0/1000'),
	(14, 'a blank', 'ke1;s= 42;d=5;t=1;h=*a0;l=0/1000'),
	(15, 'a sign', 'ke1;s=42;d=-5;t=1;h=*a0;l=0/1000'),
	(16, 'too large', 'ke1;s=42;d=4294967301;t=1;h=*a0;l=0/1000'),
	(17, 'something behind it', 'ke1;s=42;d=5;t=1;h=*a0;l=0/1000,x'),
	(18, 'nothing', ''),
	(19, 'much', repeat('ke1;s=42', 100))) AS given (n, why, header)
 ORDER BY n;

DROP FUNCTION unit_copy_history;
