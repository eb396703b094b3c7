# Topics that were not made for our tables: names and paths, on the way from a
# real broker into tables and handlers, and changed while consumers run.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop');

# Names and paths, into a table and a handler's row type in one subscription.
{
	my $topic = $kafka->create_own_topic('names');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE orders (user_id int PRIMARY KEY, city text DEFAULT 'none', raw jsonb);
		CREATE TYPE order_event AS (user_id int, sku text);
		CREATE TABLE handled (user_id int, sku text);
		CREATE FUNCTION on_order(event order_event) RETURNS void LANGUAGE sql
		  AS 'INSERT INTO handled VALUES (event.user_id, event.sku)';
		SELECT kafka_subscribe('$topic', into_table => 'orders', handler => 'on_order', max_retries => 0,
		  field_names => 'snake_case',
		  column_map => '{"city": "address.city", "raw": "\$", "sku": "items[1].sku"}')});
	$kafka->produce_in_order($topic,
		'{"userId": 1, "address": {"city": "Oslo"}, "items": [{"sku": "tea"}, {"sku": "cup"}]}',
		'{"UserID": 2, "items": 5}',
		'{"user_id": "x"}');
	$node->becomes('SELECT user_id, city, raw -> \'items\' FROM orders ORDER BY user_id',
		qq(1|Oslo|[{"sku": "tea"}, {"sku": "cup"}]\n2|none|5), 'names and paths into a table');
	$node->becomes('SELECT * FROM handled ORDER BY user_id', "1|cup\n2|", 'and into a row type');
	$node->becomes("SELECT count(*) FROM kafka_dlq_messages('$topic') WHERE reason LIKE '%integer%'",
		1, 'what does not fit is a dead letter');

	# a change takes effect without a restart
	$node->safe_psql('postgres', "SELECT kafka_subscription_alter('$topic',
	  column_map => '{\"city\": \"town\"}', field_names => 'exact')");
	$kafka->produce_in_order($topic, '{"user_id": 4, "town": "Bern", "address": {"city": "no"}, "sku": "pot"}');
	$node->becomes('SELECT city FROM orders WHERE user_id = 4', 'Bern', 'changed while it runs');
	$node->becomes('SELECT sku FROM handled WHERE user_id = 4', 'pot', 'for the handler too');

	# a column that is gone: nothing is lost, the reason names it
	$node->safe_psql('postgres', 'ALTER TABLE orders RENAME city TO place');
	$kafka->produce_in_order($topic, '{"user_id": 5, "town": "Rome"}');
	$node->becomes("SELECT status, status_reason FROM kafka_subscriptions WHERE topic = '$topic'",
		'broken|Option "column_map" names column "city", which table public.orders has not',
		'a mapped column that is renamed stops the subscription');
	$node->safe_psql('postgres', "SELECT kafka_subscription_alter('$topic', column_map => '{\"place\": \"town\"}')");
	$node->becomes('SELECT place FROM orders WHERE user_id = 5', 'Rome', 'and it goes on where it stopped');
}

# Numbers for dates and times, bytes as text, NULs.
{
	my $topic = $kafka->create_own_topic('values');
	my $message = '{"id": %d, "at": 1714567890123, "day": 1714521600000, "took": 1500, "body": "aGk=", "note": "a\\u0000b"}';
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE readings (id int, at timestamptz, day date, took interval, body bytea, note text);
		CREATE TABLE seen (note text);
		CREATE FUNCTION on_reading(event jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO seen VALUES (event ->> ''note'')';
		SELECT kafka_subscribe('$topic', into_table => 'readings', handler => 'on_reading', max_retries => 0)});
	$kafka->produce_in_order($topic, sprintf($message, 1), '{"id": 2, "took": 1500}', '{"id": 3, "n": NaN}');
	$node->becomes("SELECT reason FROM kafka_dlq_messages('$topic') ORDER BY original_offset",
		"message value contains the escape \\u0000, which text cannot hold\n"
		  . qq(a bare number is no interval while option timestamp_unit is none (column "took")\n)
		  . 'message value is not valid JSON: it has NaN or Infinity as a bare word',
		'what cannot be told is a dead letter whose reason names the option');
	$node->safe_psql('postgres', "SELECT kafka_subscription_alter('$topic', timestamp_unit => 'ms',
		bytes_encoding => 'base64', strip_nul => true);
		SELECT kafka_dlq_reprocess('$topic', 2)");
	$node->becomes("SELECT id, at AT TIME ZONE 'UTC', day, took, body, note FROM readings ORDER BY id",
		"1|2024-05-01 12:51:30.123|2024-05-01|00:00:01.5|\\x6869|ab\n2|||00:00:01.5||",
		'and is read once the options say how');
	$node->becomes('SELECT note FROM seen WHERE note IS NOT NULL', 'ab', 'NULs are out of jsonb too');
	$node->becomes("SELECT stripped_total FROM kafka_metrics WHERE topic = '$topic'", 1, 'and counted, a message once');
}

# Rows that are there, tombstones, and handlers beside them.
{
	my $topic = $kafka->create_own_topic('updates');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE stock (item text PRIMARY KEY, at int, amount int NOT NULL, place text, twice int GENERATED ALWAYS AS (amount * 2) STORED);
		CREATE TABLE called (item text);
		CREATE FUNCTION on_stock(event jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO called VALUES (event ->> ''item'')';
		SELECT kafka_subscribe('$topic', into_table => 'stock', handler => 'on_stock', on_conflict => 'update', max_retries => 0,
			update_columns => 'present', update_if => 'at', tombstones => 'ignore', generated_columns => 'ignore')});
	my @events = (
		[ tea => '{"item": "tea", "at": 10, "amount": 5, "place": "shelf", "twice": 1}' ],
		[ tea => '{"item": "tea", "at": 12, "amount": 4}' ],
		[ tea => '{"item": "tea", "at": 11, "amount": 9, "place": "late"}' ],
		[ tea => undef ],
		[ cup => '{"item": "cup", "at": 1, "place": "no amount"}' ],
		[ pot => '{"item": "pot", "at": 1, "amount": 1}' ]);
	$kafka->produce_messages($topic, map { { key => $_->[0], partition => 0, value => $_->[1] } } @events);
	$node->becomes('SELECT * FROM stock ORDER BY item', "pot|1|1||2\ntea|12|4|shelf|8",
		'only present columns, only if newer, tombstones passed over');
	$node->becomes('SELECT item FROM called', "tea\ntea\ntea\npot", 'and the handler is not called for them');
	$node->becomes("SELECT sqlstate FROM kafka_dlq_messages('$topic')", '23502', 'a new row must be complete');

	$node->safe_psql('postgres', "SELECT kafka_subscription_alter('$topic', tombstones => 'dead_letter')");
	$kafka->produce_messages($topic, { key => 'tea', partition => 0, value => undef });
	$node->becomes("SELECT reason FROM kafka_dlq_messages('$topic') WHERE original_offset = 6",
		'message value is null, and option tombstones is dead_letter', 'a tombstone as a dead letter');
	$node->safe_psql('postgres', "SELECT kafka_subscription_alter('$topic', tombstones => 'delete')");
	$kafka->produce_messages($topic, { key => 'tea', partition => 0, value => undef });
	$node->becomes('SELECT item FROM stock', 'pot', 'a tombstone deletes');
}

done_testing();
