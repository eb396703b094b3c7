-- What is kept and shown of an error.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE FUNCTION unit_failure(statement text, whole boolean DEFAULT false, source text DEFAULT '') RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_failure_delay(statement text) RETURNS bigint LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_failure_make(sqlstate text, message text) RETURNS text LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_raise_ours() RETURNS void LANGUAGE C STRICT AS :'module';
CREATE FUNCTION unit_fingerprint(key bytea, value bytea) RETURNS integer LANGUAGE C AS :'module';
CREATE FUNCTION raise(sqlstate text, message text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN RAISE EXCEPTION USING errcode = sqlstate, message = message, detail = 'secret detail', hint = 'secret hint'; END$$;

CREATE TABLE accounts (id integer PRIMARY KEY, amount integer NOT NULL CONSTRAINT positive CHECK (amount > 0),
                       peer integer REFERENCES accounts);
INSERT INTO accounts VALUES (1, 1);

-- texts that may quote payload are not shown, the objects are
SELECT unit_failure($$SELECT 'secret'::integer$$);
SELECT unit_failure($$INSERT INTO accounts VALUES (1, 5)$$);
SELECT unit_failure($$INSERT INTO accounts VALUES (4711, NULL)$$);
SELECT unit_failure($$INSERT INTO accounts VALUES (4711, -4711)$$);
SELECT unit_failure($$INSERT INTO accounts VALUES (4711, 1, 4712)$$);
SELECT unit_failure($$SELECT raise('P0001', 'secret')$$);
SELECT unit_failure($$SELECT raise('22000', 'secret')$$);
SELECT unit_failure($$SELECT raise('40001', 'secret')$$);
SELECT unit_failure($$SELECT raise('XY123', 'secret')$$);
SELECT unit_failure($$SELECT 1 / 0$$);

-- class 42 too, whose texts quote names that come from anywhere
SELECT unit_failure($$SELECT 'secret'::regclass$$);
SELECT unit_failure($$SELECT nextval('secret')$$);
SELECT unit_failure($q$SELECT $$'secret$$::tsvector$q$);
SELECT unit_failure($$SELECT nothing FROM accounts$$);
SELECT unit_failure($$SELECT raise('42P01', 'secret')$$);
SELECT unit_failure($$SELECT raise('53100', 'secret')$$);
SELECT unit_failure($$SELECT raise('57014', 'secret')$$);
SELECT unit_failure($$SELECT raise('58030', 'secret')$$);
SELECT unit_failure($$SELECT pg_read_file('/secret')$$);

-- but for a statement that stands in the function's source
SELECT unit_failure($$SELECT nothing FROM accounts$$, source => $$BEGIN SELECT nothing FROM accounts; END$$);
SELECT unit_failure($$ SELECT no_such_function(1)$$, source => $$BEGIN PERFORM no_such_function(1); END$$);
SELECT unit_failure($$SELECT no_such_function('secret')$$, source => $$BEGIN EXECUTE format('SELECT no_such_function(%L)', value); END$$);
SELECT unit_failure($$SELECT 'secret'::regclass$$, source => $$BEGIN PERFORM value::regclass; END$$);

-- texts that speak of resources and operation are shown
SET default_transaction_read_only = on;
BEGIN;
SELECT unit_failure($$CREATE TABLE t ()$$);
ROLLBACK;
RESET default_transaction_read_only;
SELECT unit_failure($$SELECT raise('KE001', E'not\nyet')$$);
SELECT unit_failure($$SELECT raise('KE002', 'never')$$);
SELECT unit_failure($$SELECT raise('52000', 'secret')$$);
SELECT unit_failure($$SELECT raise('59000', 'secret')$$);

-- ours are shown with detail and hint; nobody else can pass for us
SELECT unit_failure($$SELECT unit_raise_ours()$$);
SELECT unit_failure($$SELECT unit_raise_ours()$$, whole => true);
SELECT unit_failure($$SELECT raise('22000', 'message cannot be used')$$, whole => true);
DO $$BEGIN
  PERFORM unit_raise_ours();
EXCEPTION WHEN data_exception THEN
  RAISE NOTICE '%', unit_failure($q$SELECT 'secret'::integer$q$);
END$$;

-- the delay of kafka_retry goes through handlers of exceptions; nobody else's detail is believed
CREATE FUNCTION raised_again(statement text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN EXECUTE statement; EXCEPTION WHEN OTHERS THEN RAISE; END$$;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kafka_events;
RESET client_min_messages;
SELECT unit_failure($$SELECT kafka_retry('not yet')$$), unit_failure_delay($$SELECT kafka_retry('not yet')$$);
SELECT unit_failure($$SELECT kafka_retry('not yet', '1 min')$$), unit_failure_delay($$SELECT kafka_retry('not yet', '1 min')$$),
       unit_failure_delay($$SELECT raised_again('SELECT kafka_retry(''not yet'', ''1 min'')')$$);
SELECT unit_failure_delay($$SELECT kafka_retry('not yet', '0')$$), unit_failure_delay($$SELECT kafka_retry('not yet', '1 us')$$),
       unit_failure_delay($$SELECT kafka_retry('not yet', '24 days')$$);
SELECT unit_failure_delay($q$DO $d$BEGIN RAISE EXCEPTION USING errcode = 'KE001', message = 'x',
                            detail = 'The next attempt begins after 60000 ms.'; END$d$$q$);
SELECT unit_failure_delay($$SELECT kafka_reject('no')$$), unit_failure_delay($$SELECT 1 / 0$$);

-- no failure
SELECT unit_failure($$SELECT 1$$) IS NULL AS none;

SELECT unit_failure_make('0A000', 'position 5 is outside of 7..9');
SELECT unit_failure_make('XX999', 'a' || repeat('b', 2000)) = 'XX999: a' || repeat('b', 399) || '...' AS cut;

-- fingerprints: CRC-32C of lengths and bytes
SELECT unit_fingerprint('ab', 'c') <> unit_fingerprint('a', 'bc') AS moved,
       unit_fingerprint('', 'x') = unit_fingerprint(NULL, 'x') AS no_key,
       unit_fingerprint('a', 'b') = unit_fingerprint('a', 'b') AS stable,
       unit_fingerprint('a', 'b') <> unit_fingerprint('b', 'a') AS swapped;
SELECT unit_fingerprint('key', 'value');
