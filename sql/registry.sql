-- Schema registries: options, and what can be said without one.
CREATE EXTENSION kafka_events;

CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1', service_name 'registry',
  schema_registry_url 'ftp://host');
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1', service_name 'registry',
  schema_registry_url 'https://host:8081/path, https://');
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1', service_name 'registry',
  schema_registry_url 'https://host:8081/path?a=b');
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1', service_name 'registry',
  schema_registry_url 'https://host:99999');
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1', service_name 'registry',
  schema_registry_url 'https://ann:secret@host');
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1', service_name 'registry',
  schema_registry_ca_pem 'none', schema_registry_id 'local');
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1', service_name 'registry',
  schema_registry_url 'http://host',
  schema_registry_ca_pem '-----BEGIN CERTIFICATE-----');
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1,127.0.0.1:2', service_name 'registry',
  profile 'production', security_protocol 'ssl',
  schema_registry_url 'https://one, http://two');

CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
  bootstrap_servers '127.0.0.1:1', service_name 'registry');
CREATE TABLE orders (id int PRIMARY KEY);
SELECT kafka_subscribe('orders', into_table => 'orders', value_format => 'avro');
SELECT kafka_subscribe('orders', into_table => 'orders', value_format => 'registry');
SELECT kafka_subscribe('orders', into_table => 'orders', key_format => 'registry');
SELECT kafka_schema_forget();
SELECT kafka_table_create('made', topic => 'orders');

CREATE USER MAPPING FOR CURRENT_USER SERVER shop
  OPTIONS (schema_registry_username 'a:b', schema_registry_token 'two words');
CREATE USER MAPPING FOR CURRENT_USER SERVER shop
  OPTIONS (schema_registry_username 'ann');
CREATE USER MAPPING FOR CURRENT_USER SERVER shop
  OPTIONS (schema_registry_username 'ann', schema_registry_password 'b',
           schema_registry_token 'c');

ALTER SERVER shop OPTIONS (ADD schema_registry_url 'http://127.0.0.1:1/a/, HTTPS://[::1]:8081',
  ADD schema_registry_id 'global');
SET client_min_messages = error;
SELECT kafka_subscribe('orders', into_table => 'orders', on_conflict => 'update',
  value_format => 'registry', key_format => 'registry');
RESET client_min_messages;
SELECT topic, value_format, key_format FROM kafka_subscriptions;
-- what a subscription uses
ALTER SERVER shop OPTIONS (DROP schema_registry_url);
SELECT status, status_reason FROM kafka_subscriptions;
SELECT * FROM kafka_schemas;
SELECT kafka_schema_forget();
SELECT kafka_schema_forget('7');

SET client_min_messages = error;
DROP EXTENSION kafka_events CASCADE;
DROP TABLE orders;
