# A server that lets brokers wait long before they answer: who reads dead
# letters or messages does not wait for such answers.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

# Far below what brokers may wait, and far above what anything here takes.
my $hurry = "SET statement_timeout = '60s'";

my $kafka = KafkaEvents::Kafka->shared;
my $orders = $kafka->create_topic($kafka->unique('orders'));
$kafka->create_topic("$orders.dlq");
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');
$node->safe_psql('postgres', "ALTER SERVER shop OPTIONS (ADD fetch_wait '300000')");

$kafka->produce("$orders.dlq", [ map { "letter $_" } 1 .. 5 ],
	'-H', "x-original-topic=$orders");
is($node->safe_psql('postgres', qq{
	$hurry;
	SELECT total, successful FROM kafka_dlq_reprocess('$orders', max_messages => 1);
	SELECT total, successful FROM kafka_dlq_reprocess('$orders', max_messages => 1);
	SELECT total, successful FROM kafka_dlq_reprocess('$orders')}),
	"1|1\n1|1\n3|3", 'letters are moved one after the other, and all that are left');
is($node->safe_psql('postgres', qq{
	$hurry;
	SELECT count(*) FROM kafka_dlq_messages('$orders');
	SELECT count(*) FROM kafka_messages('$orders');
	SELECT count(*) FROM kafka_dlq_messages('$orders', from_offset => 3)}),
	"5\n5\n2", 'likewise messages are read up to their end');
is(scalar($kafka->consume($orders)), 5, 'all letters have arrived, once');

$node->stop;
done_testing();
