
# A cluster that stops to answer while nothing else seems wrong: what was
# known of it is not known any more, and everything says so.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_own;
my $node = KafkaEvents::Node->start_new('main');

$kafka->create_topic('orders', partitions => 2);
$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('orders', into_table => 'orders')});
$kafka->produce('orders', [ map { qq({"id": $_}) } 1 .. 10 ]);
$node->wait_until_drained($kafka, 'orders');

# All that is to be seen, in one row.
my $seen = q{
	SELECT (SELECT count(*) FILTER (WHERE lag_messages IS NULL)
			  FROM kafka_consumer_lag WHERE role = 'main'),
		   (SELECT bool_and(is_healthy) FROM kafka_consumer_health),
		   (SELECT status_reason ~ '^could not reach Kafka at "[^"]+": ' FROM kafka_subscriptions),
		   (SELECT reason ~ '^could not reach Kafka at "[^"]+": '
			  FROM kafka_consumer_health WHERE role = 'main'),
		   (SELECT string_agg(regexp_replace(line, '[{].*[}]', ''), ', ')
			  FROM regexp_split_to_table(kafka_metrics_prometheus(), '\n') AS line
			 WHERE line ~ '^kafka_events_(cluster_up|lag_messages|subscription_troubled)\W')};
my $well = '0|t|||kafka_events_lag_messages 0, kafka_events_lag_messages 0, '
  . 'kafka_events_subscription_troubled 0, kafka_events_cluster_up 1';

$node->becomes($seen, $well, 'all is well');
$node->becomes(
	"SELECT ok, detail FROM kafka_production_check() WHERE check_name = 'lag'",
	't|0 messages behind', '... in the production check, too');

my $offset = -s $node->logfile;
$kafka->freeze;
$node->becomes(
	$seen,
	'2|f|t|t|kafka_events_subscription_troubled 1, kafka_events_cluster_up 0',
	'a silent cluster: no lag, not healthy, not up, and why');
is( $node->safe_psql(
		'postgres', q{
		SET kafka_events.request_timeout = '5s';
		SELECT status, lag_messages IS NULL FROM kafka_health()}),
	'down|t',
	'... and kafka_health knows no lag');
$node->becomes(
	q{SELECT substring(line FROM ' (.*)')::float8 BETWEEN 30 AND 3600
		FROM regexp_split_to_table(kafka_metrics_prometheus(), '\n') AS line
	   WHERE line ~ '^kafka_events_cluster_silent_seconds\W'},
	't',
	'... and since when');
my @warnings = slurp_file($node->logfile, $offset) =~ /WARNING:  (.*)/g;
is(scalar(grep { /^server "shop": could not reach Kafka at / } @warnings),
	1, 'one warning says so')
  or diag(join "\n", @warnings);

$kafka->thaw;
$node->becomes($seen, $well, 'it answers again');
$node->becomes(
	q{SELECT status, lag_messages, message IS NULL FROM kafka_health()},
	'up|0|t', '... and all is well');
ok( $node->log_contains('server "shop": nothing is the matter any more', $offset),
	'... says the log');

$node->stays_up_ok;
$node->stop;

done_testing();
