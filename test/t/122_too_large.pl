
# A message that the library cannot receive: its partition stops and names the
# option, the others of the process go on.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $huge = $kafka->create_topic($kafka->unique('huge'), partitions => 2);
my $small = $kafka->create_topic($kafka->unique('small'), partitions => 2);

$node->create_service(
	$kafka, 'shop',
	'message.max.bytes' => 100000,
	'fetch.max.bytes' => 100000,
	'receive.message.max.bytes' => 200000);
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE huge (id bigint, filler text);
	CREATE TABLE small (id bigint);
	SELECT kafka_subscribe('$huge', into_table => 'huge'), kafka_subscribe('$small', into_table => 'small')});
$kafka->produce($small, [qq({"id": 0})], '-p', $_) foreach 0, 1;
$kafka->produce($huge, [qq({"id": 0})], '-p', $_) foreach 0, 1;
$node->wait_until_drained($kafka, $_) foreach $small, $huge;

$kafka->produce(
	$huge,
	[ '{"id": 1}', '{"id": 2, "filler": "' . 'x' x 400_000 . '"}', '{"id": 3}' ],
	'-p', 1);
$node->becomes(
	qq{SELECT status, status_reason ~ '^partition 1 stopped: .* receive\\.message\\.max\\.bytes \\(200000\\)'
		 FROM kafka_subscriptions WHERE topic = '$huge'},
	'broken|t',
	'the partition stops, and names the option');
$node->becomes(
	qq{SELECT right(line, 1) FROM regexp_split_to_table(kafka_metrics_prometheus(), '\\n') AS line
	   WHERE line ~ '^kafka_events_subscription_broken\\W.*topic="$huge"'},
	'1', '... a metric says so');
foreach my $round (1, 2)
{
	$kafka->produce($small, [qq({"id": $round})], '-p', $_) foreach 0, 1;
	$kafka->produce($huge, [qq({"id": 10})], '-p', 0);
	$node->wait_until_drained($kafka, $small);
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM small'),
	'6', 'another topic goes on');
$node->becomes("SELECT count(*) FROM huge WHERE id = 10",
	'2', '... and so does the topic\'s other partition');
is( $node->safe_psql('postgres',
		"SELECT status, status_reason FROM kafka_subscriptions WHERE topic = '$small'"),
	'active|', '... for which nothing is the matter');

$node->safe_psql(
	'postgres', q{
	ALTER SERVER shop OPTIONS (SET "receive.message.max.bytes" '1000000')});
$node->wait_until_drained($kafka, $huge);
is( $node->safe_psql('postgres',
		q{SELECT string_agg(id || ':' || coalesce(length(filler), 0), ' ' ORDER BY id)
			FROM huge WHERE id BETWEEN 1 AND 3}),
	'1:0 2:400000 3:0',
	'with the limit raised, all comes');
$node->becomes(
	"SELECT count(status_reason) FROM kafka_subscriptions",
	'0', '... and nothing is the matter');

$node->stays_up_ok;
$node->stop;

done_testing();
