-- What is wrong with a question about dead letters is said before Kafka is
-- asked; and then that there is nobody to ask.
CREATE EXTENSION kafka_events;
CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'shop-service', workers '0');
SET kafka_events.request_timeout = '100ms';

SELECT * FROM kafka_dlq_stats(server => 'nowhere');
SELECT * FROM kafka_dlq_stats('a topic');
SELECT * FROM kafka_dlq_stats(repeat('x', 246));
SELECT * FROM kafka_dlq_messages(NULL);
SELECT * FROM kafka_dlq_messages('orders', -1);
SELECT * FROM kafka_dlq_messages('orders', from_offset => -1);
SELECT * FROM kafka_dlq_messages('orders', partition => -1);
SELECT * FROM kafka_dlq_messages('orders', server => 'nowhere');
SELECT * FROM kafka_messages(NULL);
SELECT * FROM kafka_messages('a topic');
SELECT * FROM kafka_messages('orders', -1);
SELECT * FROM kafka_messages('orders', from_offset => -1);
SELECT * FROM kafka_messages('orders', partition => -1);
SELECT * FROM kafka_messages('orders', from_offset => 1, from_timestamp => now());
SELECT * FROM kafka_messages('orders', from_timestamp => 'infinity');
SELECT * FROM kafka_messages('orders', server => 'nowhere');
SELECT * FROM kafka_dlq_reprocess(NULL);
SELECT * FROM kafka_dlq_reprocess('orders', -1);
SELECT * FROM kafka_dlq_reprocess('orders', target => 'Original');
SELECT * FROM kafka_dlq_reprocess('orders', "offset" => 5);
SELECT * FROM kafka_dlq_reprocess('orders.dlq', target => 'retry', to_topic => 'repaired');
SELECT * FROM kafka_dlq_reprocess('orders.dlq', to_topic => 'no topic');
SELECT * FROM kafka_dlq_reprocess('orders.dlq', to_topic => '__consumer_offsets');
SELECT * FROM kafka_dlq_reprocess('orders.dlq', to_topic => 'orders.dlq');
SELECT * FROM kafka_dlq_reprocess('orders.dlq', target => 'retry');

-- only retries that have a topic
CREATE FUNCTION handler(jsonb) RETURNS void LANGUAGE sql AS '';
SET client_min_messages = error;
SELECT kafka_subscribe('ordered', handler => 'handler', ordering => 'key');
SELECT kafka_subscribe('impatient', handler => 'handler', max_retries => 0);
RESET client_min_messages;
SELECT * FROM kafka_dlq_reprocess('ordered', target => 'retry');
SELECT * FROM kafka_dlq_reprocess('impatient.dlq', target => 'retry');

-- nothing is listed, nothing runs
SELECT * FROM kafka_dlq_progress;

-- with the server of the same transaction there is nobody to ask yet
BEGIN;
CREATE SERVER fresh FOREIGN DATA WRAPPER kafka_events
  OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'fresh-service');
SELECT * FROM kafka_dlq_messages('orders.dlq', server => 'fresh');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM kafka_dlq_reprocess('orders');
ROLLBACK;

DROP SERVER shop CASCADE;
DROP FUNCTION handler(jsonb);
DROP EXTENSION kafka_events;
