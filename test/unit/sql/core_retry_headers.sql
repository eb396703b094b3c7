-- The headers of retry copies and dead letters.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_copy_read(headers bytea[], service text DEFAULT 'order-service', max_attempt integer DEFAULT 3)
  RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_copy_hops(headers bytea[], hops integer, reason text, handler text,
                               OUT hop integer, OUT n integer, OUT name text, OUT value bytea)
  RETURNS SETOF record LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_show_time(bigint) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_copy_id() RETURNS text LANGUAGE C STRICT AS :'module';
\pset format unaligned

-- what a copy carries, hop by hop, and as a dead letter in the end
SELECT hop, name, convert_from(value, 'UTF8') AS value
  FROM unit_copy_hops('{}', 2, 'it does not work', 'public.f(jsonb)') ORDER BY hop, n;

-- headers of others: unchanged, in their order, repeats, null, empty and binary ones too; ours are not doubled
SELECT hop, n, name, encode(value, 'escape') AS value
  FROM unit_copy_hops(ARRAY['traceparent', '00-4bf9-00f0-01', 'tag', 'a', 'x-service', 'another', 'tag', NULL,
                            'bytes', '\x00ff80', 'tag', '', 'x-retry-attempt', '99', 'x-dlq-reason', 'old',
                            'x-original-topic', 'elsewhere', 'X-Service', 'mine', 'x-retry-reason', 'kept', 'x-copy-id', 'old',
                            'x-retry-attempts', '7']::bytea[], 3, 'no', 'f')
  WHERE hop IN (3, 4) ORDER BY hop, n;
SELECT hop, name, count(*) FROM unit_copy_hops(ARRAY['x-message-id', 'one', 'x-message-id', 'two']::bytea[], 3, 'no', 'f')
  GROUP BY hop, name HAVING count(*) > 1;

-- a message's own x-message-id stays, whatever its bytes; a null one is none
SELECT hop, encode(value, 'escape') FROM unit_copy_hops(ARRAY['x-message-id', '\x00ff00']::bytea[], 2, 'no', 'f')
  WHERE name = 'x-message-id' ORDER BY hop;
SELECT hop, encode(value, 'escape') FROM unit_copy_hops(ARRAY['x-message-id', NULL]::bytea[], 1, 'no', 'f')
  WHERE name = 'x-message-id' ORDER BY hop;

-- reasons: UTF-8, at most 1024 bytes, cut at a character
CREATE FUNCTION reason_of(text) RETURNS bytea LANGUAGE sql AS
  $$SELECT value FROM unit_copy_hops('{}', 0, $1, 'f') WHERE name = 'x-dlq-reason'$$;
SELECT length(reason_of(repeat('a', 1023))), length(reason_of(repeat('a', 1024))), length(reason_of(repeat('a', 1025))),
       length(reason_of(repeat('a', 1000000)));
SELECT length(reason_of('a' || repeat('ß', 600))), length(reason_of(repeat('ß', 600))),
       length(reason_of('a' || repeat('😀', 300))), right(convert_from(reason_of('ab' || repeat('€', 400)), 'UTF8'), 1);
SELECT convert_from(reason_of(E'two\nlines\tand a tab'), 'UTF8'), reason_of('');

-- reading: what copies of ours say
CREATE FUNCTION copy_with(VARIADIC headers bytea[]) RETURNS bytea[] LANGUAGE sql AS
  $$SELECT ARRAY['x-message-id', 'orders-3-5', 'x-original-topic', 'orders', 'x-original-partition', '3', 'x-original-offset', '5',
                 'x-original-timestamp', '1767323000001', 'x-original-timestamp-type', 'CreateTime', 'x-service', 'order-service',
                 'x-copy-id', 'c1', 'x-retry-attempt', '1', 'x-retry-delay', '1000', 'x-retry-at', '2026-01-02T03:04:05.678Z']::bytea[] || headers$$;
SELECT unit_copy_read(copy_with(VARIADIC '{}'));

-- another service's, an older system's without x-service
SELECT unit_copy_read(copy_with(VARIADIC '{}'), service => 'other-service');
SELECT unit_copy_read(copy_with('x-service', 'order-service2')), unit_copy_read(copy_with('x-service', 'order-servic')),
       unit_copy_read(copy_with('x-service', ''));
SELECT unit_copy_read(copy_with('x-service', '\x6f726465722d7365727669636500')) AS nul_at_end;
SELECT unit_copy_read(copy_with('x-service', NULL)) AS says_nothing;
SELECT unit_copy_read(ARRAY['x-retry-attempt', '2', 'x-original-topic', 'orders']::bytea[]) AS older;

-- attempts
SELECT value, unit_copy_read(copy_with('x-retry-attempt', value::bytea))
  FROM unnest(ARRAY['2', '3', '4', '0', '-1', 'abc', '', ' 1', '1 ', '1.5', '1e3', '0x10', '+1', '2147483647', '2147483648',
                    '99999999999999999999999999']) AS value;
SELECT unit_copy_read(copy_with('x-retry-attempt', NULL));
SELECT unit_copy_read(copy_with('x-retry-attempt', '\x31ff')), unit_copy_read(copy_with('x-retry-attempt', '\x3100'));
SELECT unit_copy_read('{}');
SELECT unit_copy_read(copy_with(VARIADIC '{}'), max_attempt => 0);

-- when it is due
SELECT value, substring(unit_copy_read(copy_with('x-retry-at', value::bytea)) FROM 'INVALID[^|]*|due.*')
  FROM unnest(ARRAY['2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05Z', '2026-01-02T03:04:05.6Z', '2026-01-02T03:04:05.6789999Z',
                    '2026-01-02 03:04:05.678+01:00', '2026-01-02T03:04:05.678-0230', '2024-02-29T00:00:00Z', '1767323045678', '0',
                    '2026-01-02T03:04:05.678', '2025-02-29T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-02T24:00:00Z',
                    '2026-01-02T03:04:05.Z', '2026-01-02T03:04:05.678Zx', '2026-01-02', 'soon', '', '-5', '1969-12-31T00:00:00Z',
                    '9999-12-31T23:59:59Z', '9223372036854775807', '9223372036854775808', '2026-02-26T00:00:00Z']) AS value;
SELECT unit_copy_read(copy_with('x-retry-at', NULL)) AS at_once;

-- the other headers
SELECT unit_copy_read(copy_with('x-original-partition', '-1')), unit_copy_read(copy_with('x-original-partition', '2147483648'));
SELECT unit_copy_read(copy_with('x-original-offset', 'x')), unit_copy_read(copy_with('x-original-timestamp', 'x'));
SELECT unit_copy_read(copy_with('x-original-topic', '\xff')), unit_copy_read(copy_with('x-copy-id', '\x00'));
SELECT unit_copy_read(copy_with('x-original-timestamp-type', convert_to(repeat('x', 1025), 'UTF8')));
SELECT unit_copy_read(copy_with('x-message-id', NULL)) AS made_of_the_original,
       unit_copy_read(copy_with('x-message-id', NULL, 'x-original-offset', NULL)) AS made_of_the_copy;

-- times and ids as they are written
SELECT ms, unit_show_time(ms) FROM unnest(ARRAY[0, 1, 999, 86399999, 86400000, 951782400000, 1767323045678, 4102444800000, -1]) AS ms;
SELECT bool_and(id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$') AS uuids, count(DISTINCT id)
  FROM (SELECT unit_copy_id() AS id FROM generate_series(1, 1000)) AS ids;

-- dead letters of others: who has written them, what they say, which headers stay
CREATE FUNCTION unit_dead_letter(headers bytea[]) RETURNS text LANGUAGE C STRICT AS :'module';
SELECT unit_dead_letter('{}'), unit_dead_letter(ARRAY['x-message-id', 'm', 'kafka_correlationId', 'c']::bytea[]);
CREATE FUNCTION spring(prefix text, topic bytea, partition bytea, "offset" bytea) RETURNS bytea[] LANGUAGE sql AS
  $$SELECT ARRAY['own', 'x', prefix || 'original-topic', topic, prefix || 'original-partition', partition,
                 prefix || 'original-offset', "offset", prefix || 'original-timestamp', '\x0000019bae6e5d6e',
                 prefix || 'original-timestamp-type', 'CreateTime', 'kafka_dlt-original-consumer-group', 'g',
                 prefix || 'exception-fqcn', 'java.lang.X', prefix || 'exception-message', 'no stock', 'last', 'y']::bytea[]$$;
SELECT unit_dead_letter(spring('kafka_dlt-', 'orders', '\x00000003', '\x0000000000000105'));
SELECT unit_dead_letter(spring('kafka_', 'orders', '\x00000003', '\x0000000000000105') ||
                        ARRAY['retry_topic-attempts', '\x00000002', 'retry_topic-attempts', '\x00000004']::bytea[]);
-- the newest of several; no message, so the class is the reason
SELECT unit_dead_letter(spring('kafka_dlt-', 'orders', '\x00000003', '\x0000000000000105') ||
                        ARRAY['kafka_dlt-original-topic', 'orders-dlt', 'kafka_dlt-original-partition', '\x00000001',
                              'kafka_dlt-original-offset', '\x7fffffffffffffff', 'kafka_dlt-exception-message', NULL,
                              'kafka_deliveryAttempt', '\x00000007']::bytea[]);
-- damaged: too short, too long, negative, empty, null, not text
SELECT unit_dead_letter(spring('kafka_dlt-', topic::bytea, partition, "offset"))
  FROM (VALUES ('\xff'::bytea, '\x000003'::bytea, '\x00000000000105'::bytea), ('\x6f00', '\x0000000003', '\x000000000000000105'),
               ('', '\xffffffff', '\xffffffffffffffff'), (NULL, NULL, NULL), ('o', '', ''), ('o', '3', '5')) v (topic, partition, "offset");
SELECT unit_dead_letter(ARRAY['kafka_dlt-original-topic', repeat('x', 1025)]::bytea[]);
-- Connect: all text; a null message; the last of two sets
SELECT unit_dead_letter(ARRAY['__connect.errors.topic', 'orders', '__connect.errors.partition', '3', '__connect.errors.offset', '261',
                              '__connect.errors.exception.class.name', 'org.X', '__connect.errors.exception.message', NULL]::bytea[]),
       unit_dead_letter(ARRAY['__connect.errors.topic', 'orders', '__connect.errors.partition', '3', '__connect.errors.offset', '261',
                              'own', 'x', '__connect.errors.topic', 'pays', '__connect.errors.partition', '-1', '__connect.errors.offset', '1e3',
                              '__connect.errors.exception.message', 'no way']::bytea[]);
-- several systems: who writes last counts, and the others' headers are the message's
SELECT unit_dead_letter(copy_with('x-retry-attempts', '2', 'x-copy-history', 'ke1;s=42;d=5;t=1;h=00000000000000a0;l=0/1000',
                                  '__connect.errors.topic', 'pays')),
       unit_dead_letter(ARRAY['__connect.errors.topic', 'pays']::bytea[] || spring('kafka_', 'orders', '\x00000003', '\x0000000000000105')),
       unit_dead_letter(spring('kafka_', 'orders', '\x00000003', '\x0000000000000105') || copy_with('x-dlq-reason', 'ours', 'x-copy-history', 'ke1;s=42;d=5;t=1;h=00000000000000a0;l=0/1000'));
