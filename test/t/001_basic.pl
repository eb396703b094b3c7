# A topic fills a table, and PostgreSQL and Kafka agree about the position.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic =
  $kafka->create_topic($kafka->unique('orders'), partitions => 4);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint PRIMARY KEY, key text, seq bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});

# what is there before the subscription's first worker, and what comes later
$kafka->produce_events($topic, count => 3000);
$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql(
		'postgres', 'SELECT count(*), min(id), max(id) FROM orders'),
	'3000|1|3000',
	'every event is a row');

$kafka->produce_events($topic, first => 3001, count => 2000);
$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql(
		'postgres', 'SELECT count(*), count(DISTINCT id) FROM orders'),
	'5000|5000',
	'later events are rows too');

is( $node->safe_psql(
		'postgres', qq{
		SELECT sum("position"), sum(lag_messages), count(DISTINCT consumer_id)
		  FROM kafka_consumer_lag WHERE topic = '$topic'}),
	'5000|0|1',
	'position is the end, lag is 0, one consumer has all');
is( $node->safe_psql(
		'postgres', q{
		SELECT consumer_id, status, is_healthy, assigned_partitions,
			   messages_total
		  FROM kafka_consumer_health WHERE server = 'shop' AND role = 'main'}),
	"$service-main-0|running|t|4|5000",
	'the consumer is healthy');

# what Kafka's own tools see
ok($kafka->wait_for_group("$service-main", $topic),
	'kafka-consumer-groups sees lag 0');
is_deeply(
	[ grep { /^\Q$service\E/ } $kafka->groups ],
	["$service-main"],
	'the only group is the main group');

$node->stays_up_ok;
$node->stop;

done_testing();
