-- Messages into tables: formats, conflicts, kinds of relations, changes while
-- a sink is open, and what goes wrong.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA sink_write;
SET search_path = sink_write, public;
CREATE FUNCTION unit_sink_write(target regclass, format text, on_conflict text, reference boolean, keys bytea[], vals bytea[])
  RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION unit_sink_open(target regclass, format text, on_conflict text, reference boolean)
  RETURNS void LANGUAGE C AS :'module';
CREATE FUNCTION unit_sink_again(keys bytea[], vals bytea[]) RETURNS text LANGUAGE C AS :'module';
CREATE FUNCTION unit_sink_growth(keys bytea[], vals bytea[], n integer) RETURNS bigint LANGUAGE C AS :'module';
-- values as text; a key for each, or none
CREATE FUNCTION bytes(VARIADIC texts text[]) RETURNS bytea[] LANGUAGE sql AS
  $$SELECT array_agg(convert_to(t, 'UTF8') ORDER BY n) FROM unnest(texts) WITH ORDINALITY AS u(t, n)$$;
CREATE FUNCTION write(target regclass, VARIADIC vals text[]) RETURNS text LANGUAGE sql AS
  $$SELECT unit_sink_write(target, 'fields', 'error', false, '{}', bytes(VARIADIC vals))$$;
CREATE FUNCTION write_envelope(target regclass, key text, value text) RETURNS text LANGUAGE sql AS
  $$SELECT unit_sink_write(target, 'envelope', 'error', false, bytes(key), bytes(value))$$;
CREATE FUNCTION upsert(target regclass, keys bytea[], VARIADIC vals text[]) RETURNS text LANGUAGE sql AS
  $$SELECT unit_sink_write(target, 'fields', 'update', false, keys, bytes(VARIADIC vals))$$;

-- fields go to the columns of the same name
CREATE TABLE events (
  id bigint PRIMARY KEY, name text DEFAULT 'none', "Mixed Case" integer, made timestamptz DEFAULT '2020-01-01',
  detail jsonb, tags text[], kafka_topic text, kafka_partition integer, kafka_offset bigint, kafka_timestamp timestamptz,
  kafka_key text, kafka_headers jsonb);
SELECT unit_sink_write('events', 'fields', 'error', false, bytes('key one', NULL), bytes(
  '{"id": 1, "name": "caf\u00e9 \ud83d\ude00", "Mixed Case": 3, "detail": {"b": [1, 2.50], "a": null}, "tags": ["x", "y"]}',
  ' {"unknown": {"deep": [[[]]]}, "id": 9, "name": null, "kafka_offset": 77, "id": 2}'));
SELECT * FROM events \gx
-- missing and null fields
SELECT write('events', '{"id":3}', '{"id":4,"name":null,"made":null}');
SELECT id, name, made FROM events WHERE id > 2 ORDER BY id;

-- what is wrong with a message
SELECT write('events', '{"id":5}', '{"id":6');
SELECT write('events', '{"id":5}', '{"id":6 "name":7}');
SELECT write('events', '');
SELECT write('events', '{"id":5} x');
SELECT write('events', '[{"id":5}]');
SELECT write('events', '"secret"');
SELECT write('events', 'null');
SELECT write('events', '{"id":5}', NULL);
SELECT write('events', '{"id":5,"name":"a\u0000b"}');
SELECT write('events', '{"id":5,"unknown":"\ud83d"}');
SELECT write('events', '{"id":"secret"}');
SELECT write('events', '{"id":5,"Mixed Case":99999999999}');
SELECT write('events', '{"id":5,"made":"yesterdayish"}');
SELECT write('events', '{"id":5,"tags":{"secret":1}}');
SELECT write('events', '{"name":"no id"}');
SELECT write('events', '{"id":5}', '{"id":1}', '{"id":6}');
SELECT write('events', repeat('[', 1000000));
SELECT write('events', '{"id":5,"detail":' || repeat('[', 1000000) || repeat(']', 1000000) || '}');
SELECT unit_sink_write('events', 'fields', 'error', false, '{}', ARRAY['\x7b226964223a352c226e616d65223a22ff227d']::bytea[]);
SELECT unit_sink_write('events', 'fields', 'error', false, '{}', ARRAY['\x7b226964223a352c226e616d65223a2200227d']::bytea[]);
SELECT unit_sink_write('events', 'fields', 'error', false, '{}', ARRAY['\x000000002a0c7365637265']::bytea[]);
-- a serialized number, a key that is one, and a byte order mark are called so
SELECT unit_sink_write('events', 'fields', 'error', false, '{}', ARRAY['\x00000000000000ff']::bytea[]);
SELECT unit_sink_write('events', 'fields', 'error', false, '{}', ARRAY['\xefbbbf7b226964223a357d']::bytea[]);
SELECT count(*) FROM events;

-- constraints, domains, generated columns
CREATE DOMAIN positive AS integer NOT NULL CHECK (VALUE > 0);
CREATE TABLE strict (
  id integer CHECK (id < 100), amount positive, code varchar(3) NOT NULL DEFAULT 'new', twice integer GENERATED ALWAYS AS (id * 2) STORED,
  number integer GENERATED ALWAYS AS IDENTITY);
SELECT write('strict', '{"id":1,"amount":5}', '{"id":100,"amount":5}');
SELECT write('strict', '{"id":1,"amount":5}', '{"id":1,"amount":0}');
SELECT write('strict', '{"id":1,"amount":5}', '{"id":1}');
SELECT write('strict', '{"id":1,"amount":5,"code":null}');
SELECT write('strict', '{"id":1,"amount":5,"code":"long"}');
SELECT write('strict', '{"id":1,"amount":5,"twice":2}');
SELECT write('strict', '{"id":1,"amount":5,"number":2}');
SELECT write('strict', '{"id":1,"amount":5}', '{"id":2,"amount":6,"code":"x"}');
SELECT id, amount, code, twice FROM strict;
-- a user's error keeps the column it names
CREATE FUNCTION raise_column(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
  $$BEGIN RAISE EXCEPTION USING errcode = '22000', message = 'secret', column = 'mine'; END$$;
CREATE DOMAIN raising AS integer CHECK (raise_column(VALUE));
CREATE TABLE raise (id raising, other integer DEFAULT 1);
SELECT write('raise', '{"id":1}');

-- envelope: columns by name, converted to their types
CREATE TABLE envelope (
  topic text, partition integer, "offset" bigint, "timestamp" timestamptz, key bytea, value jsonb, headers jsonb,
  stored date DEFAULT '2020-02-02', PRIMARY KEY (topic, partition, "offset"));
SELECT write_envelope('envelope', 'k', '{"b": 1, "a": [true, null]}');
SELECT * FROM envelope \gx
TRUNCATE envelope;
SELECT unit_sink_write('envelope', 'envelope', 'error', false, '{}', bytes('1', NULL, '"x"'));
SELECT topic, partition, "offset", key, value FROM envelope ORDER BY "offset";
CREATE TABLE narrow (
  topic varchar(10), partition smallint, "offset" numeric, "timestamp" bigint, key integer, value json, headers text, value2 text);
SELECT write_envelope('narrow', '42', '{"b": 1,  "b": 2}');
SELECT * FROM narrow \gx
CREATE TABLE raw (value bytea, key text, "timestamp" timestamp(0));
SELECT unit_sink_write('raw', 'envelope', 'error', false, ARRAY['\x6b']::bytea[], ARRAY['\x00ff7b']::bytea[]);
SELECT * FROM raw;
CREATE TABLE words (value text, key uuid);
SELECT write_envelope('words', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'not { json');
SELECT * FROM words;
SELECT write_envelope('words', 'secret', 'x');
SELECT write_envelope('envelope', 'k', 'not json');
SELECT unit_sink_write('words', 'envelope', 'error', false, '{}', ARRAY['\x61ff']::bytea[]);
SELECT unit_sink_write('words', 'envelope', 'error', false, ARRAY['\xff']::bytea[], ARRAY['\x61']::bytea[]);
CREATE TABLE nothing ();
SELECT write_envelope('nothing', 'k', 'v'), write('nothing', '{"a":1}', '{}');
SELECT count(*) FROM nothing;

-- conflicts
CREATE TABLE items (id integer PRIMARY KEY, name text, price numeric DEFAULT 0, code text UNIQUE);
SELECT unit_sink_write('items', 'fields', 'ignore', false, '{}',
  bytes('{"id":1,"name":"first"}', '{"id":2}', '{"id":1,"name":"second"}'));
SELECT unit_sink_write('items', 'fields', 'ignore', false, '{}', bytes('{"id":2,"name":"again"}', '{"id":3,"code":"c"}'));
SELECT unit_sink_write('items', 'fields', 'ignore', false, '{}', bytes('{"id":4}', '{"id":5,"code":"c"}'));
SELECT * FROM items ORDER BY id;
-- update: the row becomes what inserting the message would have made
SELECT upsert('items', '{}', '{"id":1,"price":5}', '{"id":6,"name":"a","price":6}', '{"id":6,"name":"b"}');
SELECT * FROM items ORDER BY id;
-- tombstones: the last operation of a key counts
SELECT upsert('items', bytes('1', '7', '7', '2', '99'), NULL, '{"id":7}', NULL, '{"id":2,"name":"stays"}', NULL);
SELECT upsert('items', bytes('3', '3', '8', '8'), '{"id":3,"name":"before"}', NULL, NULL, '{"id":8}');
SELECT * FROM items ORDER BY id;
-- a key may be JSON; what is no key
SELECT upsert('items', bytes('"6"', ' {"id": 8, "more": 1}'), NULL, NULL);
SELECT upsert('items', '{}', '{"id":2}', NULL);
SELECT upsert('items', bytes('secret'), NULL);
SELECT upsert('items', bytes('{"no":1}'), NULL);
SELECT upsert('items', bytes('{"id":'), NULL);
SELECT upsert('items', '{}', '{"name":"no id"}', '{"name":"no id"}');
SELECT * FROM items ORDER BY id;
-- a tombstone frees what the row of another key takes
SELECT upsert('items', '{}', '{"id":20,"code":"free"}');
SELECT upsert('items', bytes('21', '20'), '{"id":21,"code":"free"}', NULL);
SELECT id, code FROM items WHERE id >= 20;
-- keys of several columns, text, equal by their type
CREATE TABLE pairs (a numeric, b bpchar, v integer, PRIMARY KEY (b, a));
SELECT upsert('pairs', bytes('', '', '{"b":"x ","a":1.00}', ''),
  '{"a":1,"b":"x","v":1}', '{"a":2,"b":"y","v":1}', NULL, '{"a":2.0,"b":"y ","v":2}');
SELECT * FROM pairs;
SELECT upsert('pairs', bytes('{"a":1}'), NULL);
SELECT upsert('pairs', bytes('2'), NULL);
-- of several key columns, the one that is wrong is named, or none
SELECT upsert('pairs', bytes('{"b":"X"}'), NULL);
SELECT upsert('pairs', bytes('{"a":"secret","b":"X"}'), NULL);
SELECT upsert('pairs', bytes('{"a":1,'), NULL);
SELECT upsert('pairs', ARRAY['\x000000000000002a']::bytea[], NULL);
CREATE TABLE only_key (id text PRIMARY KEY);
SELECT upsert('only_key', bytes('', '', '"abc"'), '{"id":"abc"}', '{"id":"def"}', NULL), upsert('only_key', '{}', '{"id":"def"}');
SELECT * FROM only_key;
-- key columns that are metadata; a log keeps its tombstones
CREATE TABLE latest (key text PRIMARY KEY, value jsonb, "offset" bigint);
SELECT unit_sink_write('latest', 'envelope', 'update', false, bytes('a', 'b', 'a', 'b', 'c'), bytes('1', '2', '3', NULL, '4'));
SELECT * FROM latest ORDER BY key;
TRUNCATE envelope;
SELECT unit_sink_write('envelope', 'envelope', 'update', false, bytes('k', 'k'), bytes('1', NULL));
SELECT unit_sink_write('envelope', 'envelope', 'update', false, bytes('k', 'k'), bytes('2', NULL));
SELECT "offset", value FROM envelope ORDER BY "offset";
-- in order where triggers look
CREATE TABLE audit (n serial, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO audit (what) VALUES (format('%s %s -> %s', TG_OP, OLD, NEW)); RETURN NULL; END$$;
CREATE TABLE watched (id integer PRIMARY KEY, v integer);
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON watched FOR EACH ROW EXECUTE FUNCTION note();
SELECT upsert('watched', bytes('', '', '', '1', ''), '{"id":1,"v":1}', '{"id":2,"v":1}', '{"id":1,"v":2}', NULL, '{"id":1,"v":3}');
SELECT what FROM audit ORDER BY n;
-- modes that need a primary key
CREATE TABLE keyless (id integer UNIQUE);
SELECT unit_sink_write('keyless', 'fields', 'ignore', false, '{}', bytes('{"id":1}')), upsert('keyless', '{}', '{"id":1}');
CREATE TABLE deferred (id integer PRIMARY KEY DEFERRABLE);
SELECT upsert('deferred', '{}', '{"id":1}');

-- which relations are written in bulk
CREATE TABLE plain (id integer PRIMARY KEY, v positive DEFAULT 1, n integer GENERATED BY DEFAULT AS IDENTITY, CHECK (id > 0));
CREATE INDEX ON plain ((id % 10)) WHERE v > 1;
CREATE UNLOGGED TABLE unlogged (id integer);
CREATE TABLE triggered (id integer);
CREATE TRIGGER note AFTER INSERT ON triggered FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TABLE referring (id integer REFERENCES plain);
CREATE TABLE postponed (id integer UNIQUE DEFERRABLE);
CREATE TABLE excluding (id int4range, EXCLUDE USING gist (id WITH &&));
CREATE TABLE generating (id integer, g integer GENERATED ALWAYS AS (id + 1) STORED);
CREATE TABLE numbering (id integer, n integer GENERATED ALWAYS AS IDENTITY);
CREATE TABLE volatile (id integer, r double precision DEFAULT random());
CREATE TABLE numbered (id integer, u uuid DEFAULT gen_random_uuid(), n bigserial, made timestamptz DEFAULT clock_timestamp());
CREATE TABLE secured (id integer);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE TABLE mother (id integer);
CREATE TABLE daughter () INHERITS (mother);
CREATE TABLE whole (id integer) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF whole FOR VALUES IN (1, 2, 3, 5);
CREATE TABLE ruled (id integer);
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO audit (what) VALUES ('rule ' || NEW.id);
CREATE VIEW simple_view AS SELECT id, v AS w FROM plain WHERE id < 1000 WITH CHECK OPTION;
CREATE VIEW instead_view AS SELECT 1 AS id, 'x'::text AS name, 7 AS other;
ALTER VIEW instead_view ALTER name SET DEFAULT 'view''s';
CREATE FUNCTION note_instead() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO audit (what) VALUES (format('instead %s', NEW)); RETURN NEW; END$$;
CREATE TRIGGER instead INSTEAD OF INSERT ON instead_view FOR EACH ROW EXECUTE FUNCTION note_instead();
TRUNCATE audit;
SELECT name, write(name::regclass, '{"id":2}', '{"id":3}')
FROM unnest('{plain,unlogged,triggered,referring,postponed,generating,numbering,volatile,numbered,secured,mother,daughter,whole,part,ruled,instead_view}'::text[])
  WITH ORDINALITY AS u(name, n) ORDER BY n;
SELECT write('excluding', '{"id":"[1,3)"}'), write('simple_view', '{"id":12,"w":5}', '{"id":13}', '{"id":14,"w":6}');
SELECT unit_sink_write('plain', 'fields', 'ignore', false, '{}', bytes('{"id":7}')), upsert('plain', '{}', '{"id":7,"v":3}');
SELECT * FROM plain ORDER BY id;
SELECT what FROM audit ORDER BY n;
SELECT write('simple_view', '{"id":15}', '{"id":1001}');
SELECT write('whole', '{"id":5}', '{"id":4}');

-- the whole batch fails where no message can be named
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'refused'; END$$;
CREATE TABLE refusing (id integer);
CREATE TRIGGER refuse AFTER INSERT ON refusing FOR EACH STATEMENT EXECUTE FUNCTION refuse();
SELECT write('refusing', '{"id":1}', '{"id":2}');
CREATE TABLE refusing_row (id integer);
CREATE TRIGGER refuse BEFORE INSERT ON refusing_row FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION refuse();
SELECT write('refusing_row', '{"id":1}', '{"id":2}');

-- more than one flush, and rows that are large
SELECT unit_sink_write('events', 'fields', 'error', false, '{}',
  (SELECT array_agg(convert_to(format('{"id":%s}', 1000 + i), 'UTF8') ORDER BY i) FROM generate_series(1, 3500) i));
SELECT unit_sink_write('events', 'fields', 'error', false, '{}',
  (SELECT array_agg(convert_to(format('{"id":%s}', 1000 + i), 'UTF8') ORDER BY i) FROM generate_series(3499, 7000) i));
SELECT unit_sink_write('events', 'fields', 'error', false, '{}',
  (SELECT array_agg(convert_to(format('{"id":%s,"name":"%s"}', 10000 + i, repeat(md5(i::text), 40000)), 'UTF8') ORDER BY i) FROM generate_series(1, 10) i));
SELECT count(*), max(length(name)) FROM events;

-- a sink sees what happens to its table
CREATE TABLE changing (id integer, a text DEFAULT 'a');
SELECT unit_sink_open('changing', 'fields', 'error', false);
CREATE FUNCTION again(VARIADIC vals text[]) RETURNS text LANGUAGE sql AS $$SELECT unit_sink_again('{}', bytes(VARIADIC vals))$$;
SELECT again('{"id":1}');
ALTER TABLE changing ADD b integer DEFAULT 5;
SELECT again('{"id":2,"b":6}');
ALTER TABLE changing DROP a;
SELECT again('{"id":3,"a":"ignored"}');
ALTER TABLE changing ALTER id TYPE text USING 'was ' || id;
SELECT again('{"id":4}');
ALTER TABLE changing RENAME b TO c;
SELECT again('{"id":"5","b":1,"c":2}');
ALTER TABLE changing ADD CHECK (c < 10);
SELECT again('{"id":"6","c":10}');
CREATE FUNCTION seven() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 7';
ALTER TABLE changing ALTER c SET DEFAULT seven();
SELECT again('{"id":"7"}');
CREATE OR REPLACE FUNCTION seven() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 8';
SELECT again('{"id":"8"}');
CREATE TRIGGER note AFTER INSERT ON changing FOR EACH ROW EXECUTE FUNCTION note();
TRUNCATE audit;
SELECT again('{"id":"9"}');
SELECT what FROM audit;
SELECT again('{"id":"10"');
SELECT again('{"id":"11"}');
-- by oid, not by name
ALTER TABLE changing RENAME TO changed;
CREATE TABLE changing (id text);
SELECT again('{"id":"12"}');
CREATE SCHEMA sink_write_other;
ALTER TABLE changed SET SCHEMA sink_write_other;
SELECT again('{"id":"13"}');
ALTER SCHEMA sink_write_other RENAME TO sink_write_third;
SELECT again('{"id":"14"}');
SELECT * FROM sink_write_third.changed;
SELECT count(*) FROM changing;
DROP TABLE sink_write_third.changed;
SELECT again('{"id":"15"}');

-- and to the types of its columns, at any depth
CREATE TYPE inner_part AS (a integer, b text);
CREATE TYPE outer_part AS (i inner_part);
CREATE DOMAIN part_domain AS inner_part;
CREATE DOMAIN amount AS integer DEFAULT 6;
CREATE TYPE sort AS ENUM ('x');
CREATE TABLE typed (id integer PRIMARY KEY, p outer_part, d part_domain, l inner_part[], n amount, s sort);
CREATE FUNCTION typed_again(id integer, field text) RETURNS text LANGUAGE sql AS $$
  SELECT unit_sink_again('{}', bytes(format('{"id":%s,"p":{"i":%s},"d":%s,"l":[%s],"s":"x"}', id, field, field, field)));
  SELECT p::text || ' ' || d::text || ' ' || l::text || ' ' || n || ' ' || s ||
         CASE WHEN p = (json_populate_record(NULL::typed, format('{"p":{"i":%s}}', field)::json)).p THEN '' ELSE ' differs' END
    FROM typed WHERE typed.id = typed_again.id$$;
SELECT unit_sink_open('typed', 'fields', 'update', false);
SELECT typed_again(1, '{"a":1,"b":"q","n":7,"aa":2}');
ALTER TYPE inner_part ADD ATTRIBUTE n integer CASCADE;
SELECT typed_again(2, '{"a":1,"b":"q","n":7,"aa":2}');
ALTER TYPE inner_part RENAME ATTRIBUTE a TO aa;
SELECT typed_again(3, '{"a":1,"b":"q","n":7,"aa":2}');
ALTER TYPE inner_part DROP ATTRIBUTE b CASCADE;
SELECT typed_again(4, '{"a":1,"b":"q","n":7,"aa":2}');
ALTER DOMAIN amount SET DEFAULT 8;
SELECT typed_again(5, '{}');
ALTER DOMAIN amount DROP DEFAULT;
ALTER TABLE typed ALTER n SET DEFAULT 9;
ALTER DOMAIN part_domain ADD CHECK ((VALUE).n > 5) NOT VALID;
SELECT unit_sink_again('{}', bytes('{"id":6,"d":{"n":5}}'));
ALTER TYPE sort RENAME VALUE 'x' TO 'y';
SELECT unit_sink_again('{}', bytes('{"id":6,"s":"x"}'));
SELECT unit_sink_again('{}', bytes('{"id":7,"d":{"n":6},"s":"y"}'));
DROP TABLE typed;

-- memory does not grow, errors or not, SQL functions in defaults or not
CREATE FUNCTION slow_default() RETURNS integer LANGUAGE sql STABLE AS 'SELECT 1; SELECT 2';
CREATE TABLE growing (id integer PRIMARY KEY, a integer DEFAULT slow_default(), b positive DEFAULT 3, tags integer[]);
INSERT INTO growing VALUES (1000);
SELECT unit_sink_open('growing', 'fields', 'update', false);
SELECT unit_sink_growth(bytes('1', '1', '2'), bytes('{"id":1,"tags":[1,2]}', NULL, '{"id":2}'), 1000) < 100000 AS flat;
SELECT unit_sink_open('growing', 'fields', 'error', false);
SELECT unit_sink_growth('{}', bytes('{"id":3,"tags":[1,2]}', '{"id":1000}'), 1000) < 100000 AS flat;
SELECT unit_sink_open('growing', 'fields', 'error', true);
SELECT unit_sink_growth('{}', bytes('{"id":3,"tags":[1,2]}', '{"id":1000}'), 1000) < 100000 AS flat;

-- who writes: rows, columns and tables that a role may not
CREATE ROLE unit_sink_role;
GRANT USAGE ON SCHEMA sink_write TO unit_sink_role;
CREATE TABLE partly (id integer, secret integer DEFAULT 42, note text DEFAULT 'n');
GRANT INSERT (id, note) ON partly TO unit_sink_role;
GRANT INSERT, SELECT ON secured TO unit_sink_role;
CREATE POLICY small ON secured USING (true) WITH CHECK (id < 10);
CREATE TABLE their (id integer);
ALTER TABLE their OWNER TO unit_sink_role;
CREATE TABLE parts (id integer) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
ALTER TABLE parts_1 OWNER TO unit_sink_role;
CREATE VIEW their_view AS SELECT * FROM their;
SET ROLE unit_sink_role;
SELECT write('plain', '{"id":1}');
SELECT write('partly', '{"id":1}', '{"id":2,"note":"x"}'), write('partly', '{"id":1,"secret":1}');
SELECT write('secured', '{"id":4}', '{"id":10}');
SELECT write('their', '{"id":4}');
RESET ROLE;
SELECT * FROM partly;
SELECT write('their', '{"id":4}');
SELECT write('parts', '{"id":1}');
SELECT write('their_view', '{"id":1}');

-- a read-only session
SET default_transaction_read_only = on;
SELECT unit_sink_write('plain', 'fields', 'error', r, '{}', bytes('{"id":50}')) FROM unnest('{f,t}'::boolean[]) AS r;
RESET default_transaction_read_only;

-- the name of our relation is nobody else's while we write
CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN PERFORM * FROM "kafka_events rows"; RETURN NULL; END$$;
CREATE TABLE thief (id integer);
CREATE TRIGGER steal AFTER INSERT ON thief REFERENCING NEW TABLE AS "kafka_events rows" FOR EACH STATEMENT EXECUTE FUNCTION steal();
SELECT write('thief', '{"id":1}');

DROP OWNED BY unit_sink_role CASCADE;
DROP ROLE unit_sink_role;
DROP SCHEMA sink_write, sink_write_third CASCADE;
