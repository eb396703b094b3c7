-- Where a partition starts, by the table in docs/delivery-guarantees.md.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_start(uuid text, shared boolean, k bigint, metadata text, p bigint, p_committed bigint,
                           p_last bigint, low bigint, high bigint, contested boolean) RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION unit_stamp(text) RETURNS text LANGUAGE C STRICT AS :'module';
\pset format unaligned
\set ours '11111111-1111-1111-1111-111111111111'
\set theirs '22222222-2222-2222-2222-222222222222'
-- the stamp that uuid u writes at offset o; it started at 3
CREATE FUNCTION stamp(u text, o bigint) RETURNS text LANGUAGE sql AS
  $$SELECT format('ke1;u=%s;i=00000000000000ab;c=C;s=3;o=%s;t=1', u, o)$$;
CREATE FUNCTION start(k bigint, metadata text, p bigint DEFAULT NULL, committed bigint DEFAULT NULL,
                      last bigint DEFAULT NULL, low bigint DEFAULT 0, high bigint DEFAULT 100,
                      shared boolean DEFAULT false, contested boolean DEFAULT false) RETURNS text LANGUAGE sql AS
  $$SELECT unit_start('11111111-1111-1111-1111-111111111111', shared, k, metadata, p, committed, last, low, high,
                       contested)$$;

-- this database's stamp, unchanged: P, whether behind or ahead; without P its start
SELECT start(10, stamp(:'ours', 10), p => 10), start(10, stamp(:'ours', 10), p => 8),
       start(10, stamp(:'ours', 10), p => 12), start(10, stamp(:'ours', 10));
-- moved by a tool that keeps metadata
SELECT start(7, stamp(:'ours', 10), p => 10), start(7, stamp(:'ours', 10));
-- no metadata of ours: what was not committed last is adopted
SELECT start(7, '', p => 10, committed => 10), start(12, NULL, p => 10, committed => 10), start(7, 'anything'),
       start(7, '', p => 10);
-- exactly what was committed last, or after a crash anything up to P
SELECT start(10, '', p => 10, committed => 10), start(9, '', p => 10, committed => 8), start(8, '', p => 10, committed => 9);
-- committed while the group had members: a stranger's, and not followed; but without P there is nothing else
SELECT start(12, '', p => 10, committed => 10, contested => true), start(7, stamp(:'ours', 10), p => 10, contested => true),
       start(12, '', contested => true), start(10, '', p => 10, committed => 10, contested => true),
       start(10, stamp(:'theirs', 10), p => 12, contested => true);
-- another database
SELECT start(10, stamp(:'theirs', 10), p => 12), start(10, stamp(:'theirs', 10)),
       start(10, stamp(:'theirs', 10), p => 12, shared => true), start(10, stamp(:'theirs', 10), p => 8, shared => true),
       start(10, stamp(:'theirs', 10), shared => true);
-- nothing in Kafka
SELECT start(NULL, NULL, p => 10, last => 9), start(NULL, NULL, p => 10, last => 9, low => 10),
       start(NULL, NULL, p => 10), start(NULL, NULL, p => 10, last => 9, low => 11),
       start(NULL, NULL, p => 10, last => 9, high => 9), start(NULL, NULL, p => 10, last => 9, high => 10);
-- nothing at all
SELECT start(NULL, NULL), start(NULL, NULL, low => 5);

-- stamps: written as read, and whatever else is none
SELECT unit_stamp(stamp(:'ours', 10)) = stamp(:'ours', 10) AS same;
SELECT s FROM unnest(ARRAY['', 'x', 'ke1', 'ke1;', 'ke2;u=a;i=0;c=C;s=3;o=1;t=1', 'ke1;u=;i=0;c=C;s=3;o=1;t=1',
  'ke1;u=a;i=0;c=C;s=3;o=1', 'ke1;u=a;i=0;c=C;s=3;o=x;t=1', 'ke1;u=a;i=0;c=C;s=3;o=-1;t=1', 'ke1;u=a;i=zz;c=C;s=3;o=1;t=1',
  'ke1;u=' || repeat('a', 37) || ';i=0;c=C;s=3;o=1;t=1', 'ke1;u=a;i=0;c=' || repeat('C', 64) || ';s=3;o=1;t=1',
  'ke1;u=a;i=0;c=C;s=3;o=99999999999999999999;t=1']) s WHERE unit_stamp(s) IS NOT NULL;
