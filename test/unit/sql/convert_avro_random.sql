-- Random Avro schemas and data of several writers, against what fastavro reads.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
CREATE SCHEMA convert_avro_random;
SET search_path = convert_avro_random, public;
CREATE FUNCTION avro(schema text, data bytea, refs text[] DEFAULT '{}', bare boolean DEFAULT false, lazy boolean DEFAULT false)
  RETURNS jsonb LANGUAGE C STRICT AS :'module', 'unit_avro';
CREATE FUNCTION avro_text(schema text, data bytea, refs text[] DEFAULT '{}', bare boolean DEFAULT false, lazy boolean DEFAULT false)
  RETURNS text LANGUAGE C STRICT AS :'module', 'unit_avro_text';
CREATE FUNCTION damage(schema text, data bytea, refs text[], seed integer, n integer) RETURNS integer LANGUAGE C STRICT AS :'module', 'unit_avro_damage';
CREATE FUNCTION fields(schema text, data bytea) RETURNS text LANGUAGE C STRICT AS :'module', 'unit_avro_fields';
CREATE TABLE cases (n serial, schema text, data text, expected text);

-- the same each time; others each time; names that few libraries take
\copy cases (schema, data, expected) from program '"$KAFKA_EVENTS_PYTHON" "$PG_ABS_SRCDIR/../avro/random_cases.py" 1 300'
\copy cases (schema, data, expected) from program '"$KAFKA_EVENTS_PYTHON" "$PG_ABS_SRCDIR/../avro/random_cases.py" $(date +%s) 300'
\copy cases (schema, data, expected) from program '"$KAFKA_EVENTS_PYTHON" "$PG_ABS_SRCDIR/../avro/random_cases.py" $(date +%N) 300 extended'
-- written again by Java's blocking encoder and by hamba, with negative counts of items
\copy cases (schema, data, expected) from program 'gzip -dc "$PG_ABS_SRCDIR/../avro/java.tsv.gz"'
\copy cases (schema, data, expected) from program 'gzip -dc "$PG_ABS_SRCDIR/../avro/hamba.tsv.gz"'
SELECT count(*) >= 1300 AS enough FROM cases;

-- as jsonb, from text and from what is printed when it is asked for
SELECT n, schema, data, expected, result
  FROM cases, LATERAL (SELECT avro(schema, decode(data, 'hex'))::text AS result OFFSET 0) AS decoded
  WHERE result <> expected::jsonb::text LIMIT 3;
SELECT n, schema, data FROM cases
  WHERE avro(schema, decode(data, 'hex'), lazy => true)::text <> expected::jsonb::text
     OR avro_text(schema, decode(data, 'hex'))::jsonb::text <> expected::jsonb::text
     OR avro_text(schema, decode(data, 'hex'), lazy => true)::json::text <> avro_text(schema, decode(data, 'hex')) LIMIT 3;
-- of records, each field alone: what nobody wants is passed over to its end
SELECT n, schema, data FROM cases WHERE fields(schema, decode(data, 'hex'))::jsonb::text <> expected::jsonb::text LIMIT 3;
SELECT count(fields(schema, decode(data, 'hex'))) > 300 AS records FROM cases;
-- damaged: an error of the data, or another value
SELECT sum(damage(schema, decode(data, 'hex'), '{}', n, 20)) > 1000 AS damaged FROM cases WHERE length(data) < 20000;
-- a difference is noticed
SELECT count(*) > 100 AS noticed FROM cases WHERE avro(schema, decode(data, 'hex'))::text <> (SELECT min(expected::jsonb::text) FROM cases);

SET client_min_messages = warning;
DROP SCHEMA convert_avro_random CASCADE;
