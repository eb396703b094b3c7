-- Random tables and messages, written in bulk, by statement, and by SQL that
-- shares no code with the sink: rows and failures must be the same.
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/kafka_events_unit'
SET client_min_messages = warning;
CREATE FUNCTION unit_sink_deliver(target regclass, format text, on_conflict text, reference boolean, keys bytea[], vals bytea[])
  RETURNS text LANGUAGE C AS :'module';

CREATE FUNCTION unit_sink_options(VARIADIC options text[]) RETURNS void LANGUAGE C AS :'module';

CREATE SCHEMA differential;
SET search_path = differential, public;
CREATE TYPE level AS ENUM ('low', 'high');
CREATE TYPE pair AS (x integer, y varchar(3));
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(4) NOT NULL CHECK (VALUE <> 'abc');

-- one of several
CREATE FUNCTION pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS
  $$SELECT choices[1 + floor(random() * cardinality(choices))::integer]$$;
-- true p times of 100
CREATE FUNCTION chance(p integer) RETURNS boolean LANGUAGE sql VOLATILE AS
  $$SELECT random() * 100 < p$$;

CREATE FUNCTION stamp_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  IF NEW.touched = 'refuse' THEN
    RAISE EXCEPTION 'refused' USING errcode = 'P0002';
  END IF;
  IF NEW.touched = 'skip' THEN
    RETURN NULL;
  END IF;
  NEW.touched := coalesce(NEW.touched, '') || '!';
  RETURN NEW;
END$$;

-- A column's definition behind its name.
CREATE FUNCTION random_column(kind text, conflict text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  definition text := pick('integer', 'bigint', 'smallint', 'numeric', 'numeric(8,2)', 'text', 'varchar(6)', 'boolean',
                          'timestamptz', 'timestamp', 'date', 'uuid', 'jsonb', 'json', 'double precision', 'real', 'text[]',
                          'integer[]', 'positive', 'code', 'level', 'pair', 'char(4)', 'bytea');
  fallback text := CASE
    WHEN definition IN ('integer', 'bigint', 'smallint', 'numeric', 'numeric(8,2)', 'positive', 'double precision', 'real')
      THEN pick('7', '-1', '(3 * 4)')
    WHEN definition IN ('text', 'varchar(6)', 'code', 'char(4)') THEN pick('''def''', 'upper(''ab'')', '''abc''', 'NULL')
    WHEN definition IN ('timestamptz', 'timestamp', 'date') THEN pick('now()', '''2020-02-02''')
    WHEN definition = 'level' THEN '''low'''
    END;
BEGIN
  IF fallback IS NOT NULL AND chance(40) THEN
    definition := definition || ' DEFAULT ' || fallback;
  END IF;
  -- what the sink leaves out as superseded, must not be able to fail
  IF conflict <> 'update' AND chance(15) THEN
    definition := definition || ' NOT NULL';
  END IF;
  RETURN definition;
END$$;

-- A JSON value for any column, more often than not for this type.
CREATE FUNCTION random_value(type text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF chance(4) THEN
    RETURN pick('null', '"abc"', '12', 'true', '[1,2]', '{"x":1}', '""', '1e400', '"\u0000"', '-5', '"2024-02-30"');
  END IF;
  RETURN CASE
    WHEN type IN ('integer', 'bigint', 'smallint', 'positive') THEN floor(random() * 200 - 5)::text
    WHEN type LIKE 'numeric%' OR type IN ('double precision', 'real') THEN round((random() * 1000)::numeric, 3)::text
    WHEN type IN ('timestamptz', 'timestamp', 'timestamp with time zone', 'timestamp without time zone')
      THEN pick('"2024-05-01T12:34:56Z"', '"2024-05-01 12:34:56.789+02"', '"2024-05-01T00:00:00"')
    WHEN type = 'date' THEN pick('"2024-05-01"', '"2024-02-29"', '"May 5, 2024"')
    WHEN type = 'uuid' THEN '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a' || floor(random() * 80 + 10)::text || '"'
    WHEN type = 'boolean' THEN pick('true', 'false', '"yes"')
    WHEN type IN ('json', 'jsonb') THEN pick('{"b": [1, {"a":2.50}], "a":null}', '[]', '1.0', '"x\ty"')
    WHEN type = 'text[]' THEN pick('["a","b"]', '[]', '"{x,y}"', '[null]')
    WHEN type = 'integer[]' THEN pick('[1,2]', '[[1],[2]]', '"{3}"')
    WHEN type = 'level' THEN pick('"low"', '"high"', '"middle"')
    WHEN type = 'pair' THEN pick('{"x":1,"y":"abc"}', '{"x":2}', '"(1,b)"', '{"y":"long"}')
    WHEN type = 'bytea' THEN pick('"\\x6162"', '"ab"')
    ELSE pick('"x"', '"yy"', '"zzz"', '"abc"', '"\u00e9"', '"longer text"', '"refuse"', '"skip"', '5')
    END;
END$$;

-- A message's value; its id is one of few, so that keys repeat.
CREATE FUNCTION random_message(target regclass) RETURNS bytea LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  field record;
  fields text := '';
BEGIN
  IF chance(4) THEN
    RETURN NULL;
  ELSIF chance(3) THEN
    RETURN convert_to(pick('{', '{"id":1,}', '[1]', '7', '', '{"id":1} x', 'null'), 'UTF8');
  ELSIF chance(1) THEN
    RETURN '\x7b226964223aff7d';
  END IF;
  FOR field IN
    SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
    WHERE attrelid = target AND attnum > 0 AND NOT attisdropped ORDER BY random()
  LOOP
    CONTINUE WHEN field.name LIKE 'kafka%' OR field.name IN ('made', 'serial') AND chance(97);
    IF field.name IN ('made', 'serial') THEN
      RETURN convert_to(format('{"id":30,"%s":5}', field.name), 'UTF8');
    END IF;
    CONTINUE WHEN chance(CASE field.name WHEN 'id' THEN 2 ELSE 20 END);
    fields := fields || ',' || to_json(field.name)::text || ':' ||
      CASE field.name WHEN 'id' THEN floor(random() * 40)::text ELSE random_value(field.type) END;
  END LOOP;
  IF chance(20) THEN
    fields := fields || ',"unknown":' || random_value('jsonb') || ',"id":' || floor(random() * 40)::text;
  END IF;
  RETURN convert_to('{' || substr(fields, 2) || '}', 'UTF8');
END$$;

-- Where column_map, or snake_case, looks for a column's field.
CREATE FUNCTION place_of(name text) RETURNS text LANGUAGE sql AS
  $$SELECT (ARRAY['own', 'deep', 'list', 'other'])[1 + abs(hashtext(name)) % 4]$$;
CREATE FUNCTION path_of(name text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE place_of(name) WHEN 'deep' THEN 'deep.er.' || to_json(upper(name))
    WHEN 'list' THEN format('list[%s].v', abs(hashtext(name)) % 5)
    WHEN 'other' THEN to_json('other ' || name)::text END$$;
CREATE FUNCTION map_of(target regclass) RETURNS text LANGUAGE sql AS $$
  SELECT json_object_agg(attname, path_of(attname))::text FROM pg_attribute
  WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE 'kafka%' AND path_of(attname) IS NOT NULL$$;

-- The same message with its fields where the map says.
CREATE FUNCTION put_away(target regclass, message bytea) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
DECLARE
  fields json;
  names name[];
  own text;
  deep text;
  list text;
BEGIN
  SELECT array_agg(attname) INTO names FROM pg_attribute WHERE attrelid = target AND attnum > 0 AND NOT attisdropped;
  fields := convert_from(message, 'UTF8')::json;
  SELECT string_agg(CASE WHEN key = ANY (names) AND place_of(key) = 'other' THEN to_json('other ' || key) ELSE to_json(key) END || ': ' || value, ', ' ORDER BY n)
           FILTER (WHERE key <> ALL (names) OR place_of(key) IN ('own', 'other')),
         string_agg(to_json(upper(key)) || ': ' || value, ', ' ORDER BY n) FILTER (WHERE key = ANY (names) AND place_of(key) = 'deep')
  INTO own, deep
  FROM json_each(fields) WITH ORDINALITY e(key, value, n);
  SELECT string_agg(coalesce('{"w": 1, "v": ' || value || '}', '{}'), ', ' ORDER BY i) INTO list
  FROM generate_series(0, 4) i LEFT JOIN LATERAL (
    SELECT value FROM json_each(fields) WITH ORDINALITY e(key, value, n)
    WHERE key = ANY (names) AND place_of(key) = 'list' AND abs(hashtext(key)) % 5 = i ORDER BY n DESC LIMIT 1) v ON true;
  RETURN convert_to(format('{"deep": 1, %s"list": [%s], "deep": {"x": [], "er": {%s}}}', own || ', ', list, deep), 'UTF8');
EXCEPTION WHEN OTHERS THEN
  RETURN message;
END$$;

-- The column definitions of a table of this kind.
CREATE FUNCTION random_columns(kind text, conflict text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  columns text := 'id ' || pick('integer', 'bigint', 'numeric');
  n integer := floor(random() * 6);
BEGIN
  FOR i IN 1 .. n LOOP
    columns := columns || format(', %I ', pick('c', 'C ', 'select', 'é', 'c"') || i) || random_column(kind, conflict);
  END LOOP;
  columns := columns || ', touched text';
  IF chance(30) THEN
    columns := columns || ', kafka_offset bigint, kafka_partition ' || pick('integer', 'text', 'smallint') ||
      ', kafka_topic ' || pick('text', 'varchar(10)') || ', kafka_timestamp ' || pick('timestamptz', 'timestamp', 'bigint', 'date');
  END IF;
  IF conflict <> 'update' AND chance(30) THEN
    columns := columns || ', CONSTRAINT small CHECK (id < 38)';
  END IF;
  IF conflict <> 'update' AND chance(30) THEN
    columns := columns || ', UNIQUE (touched, id)';
  END IF;
  IF kind = 'generated' THEN
    columns := columns || ', made bigint GENERATED ALWAYS AS (id * 2) STORED';
  ELSIF chance(20) THEN
    columns := columns || ', serial integer GENERATED ' || pick('ALWAYS', 'BY DEFAULT') || ' AS IDENTITY';
  END IF;
  IF conflict <> 'error' OR chance(70) THEN
    columns := columns || ', PRIMARY KEY (id)';
  END IF;
  RETURN columns;
END$$;

CREATE TABLE parent (id numeric PRIMARY KEY);
INSERT INTO parent SELECT generate_series(0, 30);

-- Make a table of the kind; returns what to write into.
CREATE FUNCTION make_table(name text, kind text, columns text) RETURNS regclass LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE %I (%s)%s', name, columns,
                 CASE kind WHEN 'partitioned' THEN ' PARTITION BY RANGE (id)' ELSE '' END);
  CASE kind
    WHEN 'partitioned' THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (0) TO (20)', name || '_low', name);
      EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (20) TO (36)', name || '_high', name);
    WHEN 'trigger' THEN
      EXECUTE format('CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION stamp_row()', name);
    WHEN 'foreign key' THEN
      EXECUTE format('ALTER TABLE %I ADD FOREIGN KEY (id) REFERENCES parent', name);
    WHEN 'index' THEN
      EXECUTE format('CREATE UNIQUE INDEX ON %I ((id %% 25)) WHERE touched IS NOT NULL', name);
    WHEN 'dropped' THEN
      EXECUTE format('ALTER TABLE %I ADD gone integer DEFAULT 3, ADD late text DEFAULT ''late''', name);
      EXECUTE format('ALTER TABLE %I DROP gone', name);
    WHEN 'view' THEN
      EXECUTE format('CREATE VIEW %I AS SELECT * FROM %I WHERE id >= 0', name || '_view', name);
      RETURN (name || '_view')::regclass;
    ELSE
  END CASE;
  RETURN name::regclass;
END$$;

-- One message as SQL would write it; the SQLSTATE it fails with.
CREATE FUNCTION write_by_sql(target regclass, conflict text, key bytea, value bytea, number integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  fields json;
  names text[];
  definitions text;
  list text;
  source text;
  clause text := '';
BEGIN
  IF value IS NULL AND conflict = 'update' THEN
    EXECUTE format('DELETE FROM %s WHERE id = $1::text::numeric', target) USING convert_from(key, 'UTF8');
    RETURN NULL;
  ELSIF value IS NULL THEN
    RETURN '22004';
  END IF;
  fields := convert_from(value, 'UTF8')::json;
  -- escapes that text cannot hold
  PERFORM fields::text::jsonb;
  IF json_typeof(fields) <> 'object' THEN
    RETURN '22023';
  END IF;
  SELECT array_agg(DISTINCT k) INTO names FROM json_object_keys(fields) k;
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
         string_agg(CASE attname
                      WHEN 'kafka_offset' THEN number::text
                      WHEN 'kafka_partition' THEN (number % 3)::text
                      WHEN 'kafka_topic' THEN '''topic'''
                      WHEN 'kafka_timestamp' THEN
                        CASE format_type(atttypid, NULL) WHEN 'bigint' THEN (1700000000000 + number)::text
                          ELSE format('(timestamptz ''2023-11-14 22:13:20+00'' + interval ''%s ms'')', number) END
                      ELSE quote_ident(attname) END, ', ' ORDER BY attnum),
         string_agg(CASE WHEN attname NOT LIKE 'kafka%' THEN quote_ident(attname) || ' ' || format_type(atttypid, atttypmod) END,
                    ', ' ORDER BY attnum)
  INTO list, source, definitions
  FROM pg_attribute
  WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND (attname LIKE 'kafka%' OR attname = ANY (names));
  IF conflict <> 'error' THEN
    SELECT ' ON CONFLICT (id) DO ' ||
           CASE conflict WHEN 'ignore' THEN 'NOTHING'
             ELSE 'UPDATE SET ' || string_agg(format('%I = EXCLUDED.%I', attname, attname), ', ') END
    INTO clause
    FROM pg_attribute
    WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attname <> 'id' AND attgenerated = '' AND attidentity <> 'a';
  END IF;
  IF definitions IS NULL THEN
    EXECUTE format('INSERT INTO %s %s SELECT %s%s', target, coalesce('(' || list || ')', ''), coalesce(source, ''), clause);
  ELSE
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM json_to_record($1) AS r(%s)%s', target, list, source, definitions, clause)
      USING fields;
  END IF;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END$$;

-- The rows, but for what differs with each try.
CREATE FUNCTION rows_of(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  list text;
  result text;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO list
  FROM pg_attribute WHERE attrelid = name::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'serial';
  EXECUTE format('SELECT string_agg(r::text, E''\n'' ORDER BY r::text) FROM (SELECT %s FROM %I) r', list, name) INTO result;
  RETURN result;
END$$;

CREATE TABLE tally (kind text, conflict text, mapped boolean, messages bigint, failed bigint, rows bigint);

-- One table and its messages; NULL if all three agree.
CREATE FUNCTION differential_case(seed integer, spoil boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  kind text;
  conflict text;
  mapped boolean := seed % 3 = 0;
  columns text;
  keys bytea[];
  vals bytea[];
  sent bytea[];
  bulk text;
  reference text;
  failed text[] := '{}';
  state text;
BEGIN
  PERFORM setseed(seed / 1000000.0);
  kind := pick('plain', 'plain', 'plain', 'plain', 'index', 'dropped', 'generated', 'partitioned', 'trigger', 'foreign key', 'view');
  conflict := pick('error', 'error', 'error', 'ignore', 'update');
  IF kind IN ('index', 'generated') AND conflict = 'update' OR kind = 'view' THEN
    conflict := 'error';
  END IF;
  columns := random_columns(kind, conflict);
  PERFORM make_table('bulk', kind, columns), make_table('reference', kind, columns), make_table('sql', kind, columns);
  SELECT array_agg(convert_to(floor(random() * 40)::text, 'UTF8')),
         array_agg(random_message('sql'::regclass))
  INTO keys, vals FROM generate_series(1, 30);
  sent := vals;
  PERFORM unit_sink_options(VARIADIC '{}');
  IF mapped THEN
    -- two columns in one element would be one
    mapped := NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'sql'::regclass AND attnum > 0 AND path_of(attname) LIKE 'list%'
                          GROUP BY path_of(attname) HAVING count(*) > 1);
  END IF;
  IF mapped THEN
    PERFORM unit_sink_options('column_map', coalesce(map_of('sql'), '{}'));
    SELECT array_agg(put_away('sql', v) ORDER BY n) INTO sent FROM unnest(vals) WITH ORDINALITY u(v, n);
  END IF;

  bulk := unit_sink_deliver(('bulk' || CASE kind WHEN 'view' THEN '_view' ELSE '' END)::regclass,
                            'fields', conflict, false, keys, sent);
  reference := unit_sink_deliver(('reference' || CASE kind WHEN 'view' THEN '_view' ELSE '' END)::regclass,
                                 'fields', conflict, true, keys, sent);
  FOR i IN 1 .. cardinality(vals) LOOP
    state := write_by_sql(('sql' || CASE kind WHEN 'view' THEN '_view' ELSE '' END)::regclass,
                          conflict, keys[i], vals[i], i - 1);
    IF state IS NOT NULL THEN
      failed := failed || ((i - 1) || ': ' || state);
    END IF;
  END LOOP;
  IF spoil THEN
    DELETE FROM bulk WHERE id = (SELECT max(id) FROM bulk);
  END IF;

  IF bulk <> reference THEN
    RETURN format('seed %s: bulk and reference fail differently: %s | %s', seed, bulk, reference);
  ELSIF regexp_replace(bulk, '(: .....)[^;]*', '\1', 'g') <> array_to_string(failed, '; ') THEN
    RETURN format('seed %s: the sink and SQL fail differently: %s | %s', seed, bulk, array_to_string(failed, '; '));
  ELSIF rows_of('bulk') IS DISTINCT FROM rows_of('reference') THEN
    RETURN format(E'seed %s: bulk and reference have other rows:\n%s\n--\n%s', seed, rows_of('bulk'), rows_of('reference'));
  ELSIF rows_of('bulk') IS DISTINCT FROM rows_of('sql') THEN
    RETURN format(E'seed %s: the sink and SQL have other rows:\n%s\n--\n%s', seed, rows_of('bulk'), rows_of('sql'));
  END IF;
  EXECUTE format('INSERT INTO tally SELECT %L, %L, %L, %s, %s, count(*) FROM bulk', kind, conflict, mapped, cardinality(vals), cardinality(failed));
  EXECUTE 'DROP TABLE bulk, reference, sql CASCADE';
  RETURN NULL;
END$$;

-- the same tables each time, then others
\set first 1
\set other `echo $((RANDOM * 20))`
CREATE PROCEDURE run_cases(first integer, n integer) LANGUAGE plpgsql AS $$
DECLARE
  problem text;
BEGIN
  FOR i IN first .. first + n - 1 LOOP
    problem := differential_case(i);
    IF problem IS NOT NULL THEN
      RAISE EXCEPTION '%', problem;
    END IF;
    COMMIT;
  END LOOP;
END$$;
CALL run_cases(:first, 100);
CALL run_cases(:other, 30);

-- every kind was there, most messages were written, many failed
SELECT count(DISTINCT kind) AS kinds, count(DISTINCT conflict) AS conflicts, sum(messages) AS messages,
       sum(messages) FILTER (WHERE mapped) > 600 AS many_mapped, sum(failed) > 500 AS many_failed, sum(rows) > 1000 AS many_rows
FROM tally;

-- a row too few is noticed
SELECT differential_case(1, true) LIKE '%have other rows%' AS noticed;
DROP SCHEMA differential CASCADE;
DROP FUNCTION unit_sink_deliver, unit_sink_options;
