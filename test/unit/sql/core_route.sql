-- Whose fault, which route, how long to wait, and the circuit breaker.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_classify(sqlstate text, timed_out boolean DEFAULT false) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_route(options text[], sqlstate text, timed_out boolean DEFAULT false, attempt integer DEFAULT 0,
                           repeats integer DEFAULT 0, delay bigint DEFAULT -1,
                           of_data boolean DEFAULT false) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_delay(options text[], n integer, random float8 DEFAULT 0) RETURNS bigint LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_breaker(threshold integer, timeout integer, lease integer, script text) RETURNS text LANGUAGE C STRICT AS :'module';
\pset format unaligned

-- every class of PostgreSQL's SQLSTATEs, by a code that is nothing special
SELECT verdict, string_agg(class, ' ' ORDER BY class) AS classes
  FROM (SELECT class, unit_classify(class || '0ZZ') AS verdict
          FROM unnest(string_to_array('00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 72 F0 HV KE P0 XX', ' ')) AS class) AS classes
  GROUP BY verdict ORDER BY verdict;
-- codes that differ from their class
SELECT code, unit_classify(code)
  FROM unnest(ARRAY['22012', '22P07', '23000', '23001', '23502', '23503', '23505', '23514', '23P01', '40001', '40P01', '53200', '57014', '57P01',
                    'KE001', 'KE002', 'KE003', 'P0001', 'P0002', 'P0003', '55P03', '21000', '0A000', '0B000']) AS code;
SELECT unit_classify('57014', timed_out => true) AS our_timer, unit_classify('57P01', timed_out => true) AS something_else;

-- routes
SELECT code, unit_route('{}', code) AS first, unit_route('{}', code, attempt => 2) AS third,
       unit_route('{}', code, attempt => 3) AS last, unit_route('{max_retries=0}', code) AS none
  FROM unnest(ARRAY['P0001', '42883', '22012', 'KE001', 'KE002', 'KE003', '40001', '53100', '57014', '08006']) AS code;
SELECT code, unit_route('{dlq=false}', code) AS first, unit_route('{dlq=false}', code, attempt => 3) AS last,
       unit_route('{dlq=false,max_retries=0}', code) AS only
  FROM unnest(ARRAY['P0001', '22012', 'KE002', 'KE003', '40001', '53100']) AS code;
SELECT unit_route('{}', 'P0001', attempt => 100) AS above_max, unit_route('{}', '57014', timed_out => true) AS timeout;
-- conflicts are tried again three times, want of memory twice; disk full for ever
SELECT n, unit_route('{}', '40P01', repeats => n) AS deadlock, unit_route('{}', '53200', repeats => n) AS memory,
       unit_route('{}', '53100', repeats => n) AS disk
  FROM generate_series(0, 4) AS n;
-- a delay that was asked for: as it is, above max_delay too
SELECT unit_route('{max_delay=2 s}', 'KE001', delay => 5000), unit_route('{}', 'KE001', delay => 0),
       unit_route('{}', 'KE001', attempt => 3, delay => 0);

-- what is raised while a value is converted is the value's fault, but for trouble that passes
SELECT code, unit_route('{}', code, of_data => true)
  FROM unnest(ARRAY['42601', '42P01', '0A000', '22P02', 'P0001', '53200', '57014', '40001', '22P07']) AS code;

-- delays
SELECT n, unit_delay('{}', n) AS exponential, unit_delay('{retry_strategy=linear}', n) AS linear,
       unit_delay('{retry_strategy=fixed}', n) AS fixed, unit_delay('{multiplier=1}', n) AS once,
       unit_delay('{multiplier=1.5,initial_delay=100 ms}', n) AS small, unit_delay('{multiplier=10,max_delay=24 days}', n) AS large
  FROM generate_series(1, 10) AS n;
SELECT unit_delay('{multiplier=10,max_delay=24 days}', 1000) AS bounded, unit_delay('{retry_strategy=linear,max_delay=24 days}', 2000000000) AS linear;
-- up to a tenth of jitter, after the bound
SELECT unit_delay('{}', 1, 0.5), unit_delay('{}', 1, 0.9999), unit_delay('{}', 9, 0.5), unit_delay('{initial_delay=100 ms}', 1, 0.999);

-- the breaker opens at the threshold, tries one message, opens again, closes
SELECT unit_breaker(3, 1000, 500, 'ask 1; fail 1 0/1 P0001; fail 1 0/2 22012; ok 1; fail 1 0/3 P0001; fail 2 1/1 P0001; fail 1 0/4 P0001;
  ask 1; fail 2 1/2 P0001; fail 2 1/2 22012; ok 2; +999; ask 2; +1; ask 1; ask 2; ask 1; ok 1; fail 1 0/5 P0001; fail 2 1/2 P0001;
  +1000; ask 1; ask 2; +100; ask 1; fail 1 0/5 P0001; +1100; ask 1; ok 1; ask 2');
-- what can never work is routed in half-open, and the next try takes another partition
SELECT unit_breaker(1, 1000, 500, 'fail 1 0/1 P0001; +1100; ask 1; fail 1 0/2 22P02; +1100; ask 1; fail 1 3/2 KE002; +1100; ask 1; ok 1');
-- who tries and does not report loses his turn; asking keeps it
SELECT unit_breaker(1, 1000, 500, 'fail 1 0/1 P0001; +1000; ask 2; +499; ask 1; ask 2; +499; ask 1; +1; ask 1; ask 2; ok 2; fail 2 0/2 P0001; ok 1; ask 2');
-- threshold 0 never opens, and closes one that is open
SELECT unit_breaker(0, 1000, 500, 'fail 1 0/1 P0001; fail 1 0/2 P0001; fail 1 0/3 P0001; fail 1 0/4 P0001; ask 1');
-- three messages in a row that the deployment fails, not three tries of one
SELECT unit_breaker(10, 1000, 500, 'fail 1 0/1 42883; fail 1 0/1 42883; fail 1 0/2 0A000; fail 1 0/1 42883; ok 1; fail 1 0/3 42883; fail 1 0/4 3F000;
  fail 1 0/5 P0001; fail 1 0/3 42883; fail 1 0/4 25006; fail 2 1/1 2D000; ask 1; fail 2 1/2 42883; +100000; ask 1');
-- broken: tried when something changed, at most once a second; success closes
SELECT unit_breaker(10, 1000, 500, 'fail 1 0/1 42883; fail 1 0/2 42883; fail 1 0/3 42883; changed; ask 1; ask 2; fail 1 0/3 42883; ask 1;
  changed; ask 1; +1000; ask 1; changed; fail 1 0/3 42883; ask 2; +1000; ask 2; ok 2; ask 1');
-- broken: a failure of another kind shows that it is mended
SELECT unit_breaker(10, 1000, 500, 'fail 1 0/1 42883; fail 1 0/2 42883; fail 1 0/3 42883; changed; ask 1; fail 1 0/3 P0001; ask 2');
SELECT unit_breaker(1, 1000, 500, 'fail 1 0/1 42883; +1100; ask 1; fail 1 1/2 42883; +1100; ask 1; fail 1 2/3 42883; +5000; ask 1; changed; ask 1; fail 1 2/3 22012; ask 1');
-- retries that fail again open nothing, but do not close it either
SELECT unit_breaker(2, 1000, 500, 'fail 1 0/1 P0001; fail 1 0/1 P0001 again; fail 1 0/1 22012 again; ask 1; fail 1 0/2 P0001; +1100; ask 1; fail 1 0/1 P0001 again; ask 1');
SELECT unit_breaker(2, 1000, 500, 'fail 1 0/1 42883; fail 1 0/1 42883 again; fail 1 0/2 42883 again; fail 1 0/3 42883 again; ask 1');
-- nor does one whose routing could not be written, however often
SELECT unit_breaker(2, 1000, 500, 'fail 1 0/1 P0001; fail 1 0/1 P0001; fail 1 0/1 22012; ask 1; fail 1 0/2 P0001; ok 1; reset; fail 1 0/2 P0001; fail 2 1/2 P0001; ask 1');
-- the deployment works: those that fail are routed until one succeeds, however many there are, and open nothing
SELECT unit_breaker(4, 1000, 500, 'fail 1 0/1 42883; would 0/2 42883; fail 1 0/2 42883; would 0/2 42883; would 0/3 P0001; would 0/3 42883; proved; would 0/3 42883;
  fail 1 0/3 42883; fail 1 0/4 42883; fail 1 0/5 0A000; fail 1 0/6 42883; fail 1 0/7 P0001; ok 1; fail 1 0/8 42883; fail 1 0/9 42883; would 0/10 42883');
-- broken, and then a later message goes well
SELECT unit_breaker(4, 1000, 500, 'fail 1 0/1 42704; fail 1 0/2 42704; fail 1 0/3 42704; ask 1; would 0/3 42704; proved; ask 1; fail 1 0/3 42704; ok 1');
-- the same while it is half-open
SELECT unit_breaker(2, 1000, 500, 'fail 1 0/1 42704; fail 1 0/2 42704; +1100; ask 1; would 0/3 42704; proved; ask 2; fail 1 0/3 42704; ok 1');
-- their retries speak against nobody then; others' do
SELECT unit_breaker(9, 1000, 500, 'fail 1 0/1 42704; fail 1 0/2 42704; proved; fail 1 0/3 42704; ok 1; fail 2 0/1 42704 again; fail 2 0/2 42704 again; fail 2 0/3 42704 again;
  fail 2 0/4 42883 again; fail 2 0/5 42883 again; would 0/6 42704 again; would 0/6 42883 again');
-- reset while broken: somebody says that the deployment works; the threshold still holds
SELECT unit_breaker(4, 1000, 500, 'fail 1 0/1 42883; fail 1 0/2 42883; fail 1 0/3 42883; reset; ask 1; fail 1 0/3 42883; fail 1 0/4 42883; fail 1 0/5 42883; would 0/6 42883;
  fail 1 0/6 42883; ask 1; reset; ask 1; fail 1 0/7 42883; ok 1; fail 1 0/8 42883; fail 1 0/9 42883; would 0/10 42883');
-- reset
SELECT unit_breaker(1, 1000, 500, 'fail 1 0/1 P0001; reset; ask 1; fail 1 0/1 42883; +1100; ask 1; reset; fail 1 0/2 42883; reset; ask 1; changed; ask 1');
