-- Topics by a regular expression: what is accepted, shown and refused.  The
-- subscriptions of single topics are written here as a dump has them.
CREATE EXTENSION kafka_events;
SET kafka_events.request_timeout = '100ms';
SET client_min_messages = error;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
CREATE TABLE orders (id bigint PRIMARY KEY, note text);
CREATE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS '';

-- what can be one
SELECT kafka_subscribe(topics => 'orders-.*', into_table => 'orders', start_from => 'latest');
SELECT kafka_subscribe(topics => '(?i)(?!shop\.test$)shop\.public\..*', handler => 'on_order');
SELECT subscription, topic, topics, handler, into_table, status, status_reason FROM kafka_subscriptions ORDER BY topics COLLATE "C";
SELECT ftrelid::regclass, ftoptions FROM pg_foreign_table ORDER BY 1;
SELECT topic FROM kafka_events.starts;
SELECT kafka_subscribe(topics => repeat('ab', 50), handler => 'on_order');
SELECT kafka_unsubscribe(repeat('ab', 50));

-- what cannot
SELECT kafka_subscribe('orders', topics => 'orders', into_table => 'orders');
SELECT kafka_subscribe(handler => 'on_order');
SELECT kafka_subscribe(topics => 'orders-.*', into_table => 'orders');
SELECT kafka_subscribe(topics => '', into_table => 'orders');
SELECT kafka_subscribe(topics => 'orders-(.*', into_table => 'orders', batch_size => 0);
SELECT kafka_subscribe(topics => 'a)|(b', into_table => 'orders');
SELECT kafka_subscribe(topics => '(.)\1', into_table => 'orders');
SELECT kafka_subscribe(topics => '***=orders', into_table => 'orders');
SELECT kafka_subscribe(topics => repeat('a', 1001), into_table => 'orders');
SELECT kafka_subscribe(topics => 'x.*');
CREATE FOREIGN TABLE kafka_events.both () SERVER shop OPTIONS (topic 'x', topics 'x.*', handler 'on_order');
CREATE FOREIGN TABLE kafka_events.hand () SERVER shop OPTIONS (pattern 'orders-.*');
CREATE FOREIGN TABLE kafka_events.hand () SERVER shop OPTIONS (pattern 'orders-.*', handler 'on_order');

-- a topic of one
SET check_function_bodies = off;
CREATE FOREIGN TABLE kafka_events."orders-de" () SERVER shop OPTIONS (pattern 'orders-.*');
CREATE FOREIGN TABLE kafka_events.fr () SERVER shop OPTIONS (pattern 'orders-.*', topic 'orders-fr');
CREATE FOREIGN TABLE kafka_events.lost () SERVER shop OPTIONS (pattern 'nobody', topic 'orders-lost');
RESET check_function_bodies;
SELECT topic, topics, into_table, start_from, status, status_reason FROM kafka_subscriptions ORDER BY topic, topics COLLATE "C";
SELECT kafka_unsubscribe('orders-lost');

-- has the pattern's options, and those only
SELECT kafka_subscription_alter('orders-.*', batch_size => 5, on_conflict => 'ignore');
SELECT topic, batch_size, on_conflict FROM kafka_subscriptions WHERE topics = 'orders-.*' ORDER BY topic, topics COLLATE "C";
ALTER FOREIGN TABLE kafka_events."orders-.*" OPTIONS (DROP batch_size);
SELECT topic, batch_size, on_conflict FROM kafka_subscriptions WHERE topics = 'orders-.*' ORDER BY topic, topics COLLATE "C";
SELECT kafka_subscription_alter('orders-de', batch_size => 5);
ALTER FOREIGN TABLE kafka_events."orders-de" OPTIONS (ADD batch_size '5', ADD ordering 'key');
ALTER FOREIGN TABLE kafka_events."orders-de" OPTIONS (DROP pattern);
ALTER FOREIGN TABLE kafka_events."orders-.*" OPTIONS (DROP topics);
ALTER FOREIGN TABLE kafka_events."orders-.*" OPTIONS (ADD topic 'x');
ALTER FOREIGN TABLE kafka_events."orders-.*" OPTIONS (SET topics 'orders-[');
ALTER FOREIGN TABLE kafka_events."orders-.*" RENAME TO other;
SELECT kafka_consumer_seek('orders-.*', to_position => 'earliest');
SELECT kafka_consumer_pause('orders-.*');
SELECT topic, status FROM kafka_subscriptions WHERE topics = 'orders-.*' ORDER BY topic, topics COLLATE "C";
SELECT kafka_consumer_resume('orders-de');
SELECT kafka_consumer_resume('orders-.*');

-- does not go alone
DROP TABLE orders;
SELECT kafka_unsubscribe('orders-de');
DROP FOREIGN TABLE kafka_events."orders-de";
DROP FOREIGN TABLE kafka_events."orders-de" CASCADE;
ALTER FOREIGN TABLE kafka_events."orders-.*" OPTIONS (SET topics '(?!orders-de$)orders-.*');
SELECT topic FROM kafka_subscriptions ORDER BY topic, topics COLLATE "C";

-- gives way to a subscription by its name
SELECT kafka_subscribe('orders-fr', handler => 'on_order');
SELECT topic, topics, handler FROM kafka_subscriptions WHERE topic = 'orders-fr';
SELECT kafka_unsubscribe('orders-fr');
SET check_function_bodies = off;
CREATE FOREIGN TABLE kafka_events."orders-fr" () SERVER shop OPTIONS (pattern 'orders-.*');
RESET check_function_bodies;
CREATE FOREIGN TABLE kafka_events."orders-fr" () SERVER shop OPTIONS (handler 'on_order');
SELECT topic, topics, handler FROM kafka_subscriptions WHERE topic = 'orders-fr';

-- a regular expression that is a topic too
SELECT kafka_subscribe(topics => 'orders.v1', handler => 'on_order');
SET check_function_bodies = off;
CREATE FOREIGN TABLE kafka_events.v1 () SERVER shop OPTIONS (pattern 'orders.v1', topic 'orders.v1');
RESET check_function_bodies;
SELECT kafka_unsubscribe('orders.v1');
SELECT topic, topics FROM kafka_subscriptions ORDER BY topic, topics COLLATE "C";

-- owners, and the end
CREATE ROLE pattern_owner LOGIN;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO pattern_owner;
GRANT ALL ON orders TO pattern_owner;
SET check_function_bodies = off;
CREATE FOREIGN TABLE kafka_events."orders-it" () SERVER shop OPTIONS (pattern 'orders-.*');
RESET check_function_bodies;
ALTER SERVER shop OWNER TO pattern_owner;
SELECT relname, relowner::regrole FROM pg_class WHERE relkind = 'f' ORDER BY 1;
SET ROLE pattern_owner;
SELECT kafka_unsubscribe('(?!orders-de$)orders-.*');
SELECT topic, topics FROM kafka_subscriptions ORDER BY topic, topics COLLATE "C";
RESET ROLE;
DROP FUNCTION on_order(jsonb) CASCADE;
SELECT count(*) FROM kafka_subscriptions;
DROP EXTENSION kafka_events CASCADE;
DROP TABLE orders;
DROP OWNED BY pattern_owner;
DROP ROLE pattern_owner;
