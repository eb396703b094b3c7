/* kafka_events 1.0 to 1.1: which versions run. */

-- complain if the script is sourced in psql instead of ALTER EXTENSION
\echo Use "ALTER EXTENSION kafka_events UPDATE TO '1.1'" to load this file. \quit

CREATE FUNCTION kafka_events.versions(
  OUT library      text,
  OUT sql_objects  text,
  OUT is_served    boolean,
  OUT librdkafka   text)
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'kafka_versions';
COMMENT ON FUNCTION kafka_events.versions() IS
  'What view kafka_versions takes from the library';

CREATE VIEW @extschema@.kafka_versions AS
  SELECT versions.library,
         versions.sql_objects,
         available.default_version AS installed,
         versions.librdkafka,
         CASE
           WHEN available.default_version OPERATOR(pg_catalog.<>) versions.library
             THEN 'Restart PostgreSQL: it runs another version than is installed.'
           WHEN NOT versions.is_served
             THEN pg_catalog.format('Install kafka_events %s or later and restart PostgreSQL: nothing is consumed.', versions.sql_objects)
           WHEN versions.sql_objects OPERATOR(pg_catalog.<>) versions.library
             THEN 'ALTER EXTENSION kafka_events UPDATE;'
         END AS action
    FROM kafka_events.versions() AS versions
    LEFT JOIN pg_catalog.pg_available_extensions() AS available
      ON available.name OPERATOR(pg_catalog.=) 'kafka_events';
COMMENT ON VIEW @extschema@.kafka_versions IS
  'Which version of kafka_events runs, is in this database and is installed, and what to do where they differ';
COMMENT ON COLUMN @extschema@.kafka_versions.library IS
  'Version of the library that is loaded';
COMMENT ON COLUMN @extschema@.kafka_versions.sql_objects IS
  'Version of this database''s functions, views and tables';
COMMENT ON COLUMN @extschema@.kafka_versions.installed IS
  'Version whose files are installed: what PostgreSQL loads when it starts; NULL if there are none any more';
COMMENT ON COLUMN @extschema@.kafka_versions.librdkafka IS
  'Version of librdkafka that is loaded';
COMMENT ON COLUMN @extschema@.kafka_versions.action IS
  'What to do, as long as the versions differ; NULL if there is nothing to do';

GRANT SELECT ON @extschema@.kafka_versions TO PUBLIC;
