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

sub topic
{
	my ($name) = @_;

	return $kafka->create_topic($kafka->unique($name), partitions => 1);
}

sub produce
{
	my ($topic, @values) = @_;

	$kafka->produce_messages($topic, map { { key => 'k', partition => 0, value => $_ } } @values);
	return;
}

# Names and paths, into a table and a handler's row type in one subscription.
{
	my $topic = topic('names');
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
	produce($topic,
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
	produce($topic, '{"user_id": 4, "town": "Bern", "address": {"city": "no"}, "sku": "pot"}');
	$node->becomes('SELECT city FROM orders WHERE user_id = 4', 'Bern', 'changed while it runs');
	$node->becomes('SELECT sku FROM handled WHERE user_id = 4', 'pot', 'for the handler too');

	# a column that is gone: nothing is lost, the reason names it
	$node->safe_psql('postgres', 'ALTER TABLE orders RENAME city TO place');
	produce($topic, '{"user_id": 5, "town": "Rome"}');
	$node->becomes("SELECT status, status_reason FROM kafka_subscriptions WHERE topic = '$topic'",
		'broken|Option "column_map" names column "city", which table public.orders has not',
		'a mapped column that is renamed stops the subscription');
	$node->safe_psql('postgres', "SELECT kafka_subscription_alter('$topic', column_map => '{\"place\": \"town\"}')");
	$node->becomes('SELECT place FROM orders WHERE user_id = 5', 'Rome', 'and it goes on where it stopped');
}

done_testing();
