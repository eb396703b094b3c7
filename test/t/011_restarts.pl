
# A process that ends is started again, later and later; why is shown.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'));
my $node = KafkaEvents::Node->start_new('main');

# A consumer that cannot even start: its owner may not log in any more.
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');
$node->safe_psql('postgres',
	'GRANT CREATE ON SCHEMA public TO app; GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO app'
);
my $service = $node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', qq{
	ALTER SERVER shop OWNER TO app;
	SET ROLE app;
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
$node->wait_for_workers('shop', 1);

my $pid = $node->worker_pid('shop');
$node->safe_psql(
	'postgres', qq{
	ALTER ROLE app NOLOGIN;
	SELECT pg_terminate_backend($pid)});
$node->wait_for(
	q{SELECT count(*) FROM kafka_consumer_health
	   WHERE status IN ('failed', 'stopped') AND pid IS NULL AND NOT is_healthy
		 AND last_error LIKE '%cannot log in%'},
	'1', 'the failure to be shown');
$node->wait_for(q{SELECT status = 'broken' FROM kafka_subscriptions},
	't', 'the subscription to be broken');
$node->safe_psql('postgres', 'ALTER ROLE app LOGIN');
$node->wait_for_workers('shop', 1);

# A handler that ends its own process before anything is done: it is not the
# message's fault until it has happened often enough.
$node->safe_psql(
	'postgres', qq{
	SET ROLE app;
	CREATE FUNCTION suicide(jsonb) RETURNS void LANGUAGE sql
	AS 'SELECT pg_terminate_backend(pg_backend_pid())';
	SELECT kafka_subscription_alter('$topic', handler => 'suicide')});
my $log = -s $node->logfile;
$kafka->produce($topic, ['{"id": 1}']);
$node->wait_for(
	q{SELECT status FROM kafka_consumer_lag WHERE partition = 0},
	'stopped', 'the partition to stop');
my @delays =
  slurp_file($node->logfile, $log) =~ /main-0 has ended, and is started again in (\d+) ms/g;
cmp_ok(scalar @delays, '>=', 2, 'it was started again more than once');
is($delays[0], 100, 'at once, the first time');
cmp_ok($delays[-1], '>', 150, 'later, then');
cmp_ok(
	$node->safe_psql(
		'postgres', 'SELECT restarts_total FROM kafka_consumer_health'),
	'>=', 2, 'restarts are counted');

$node->stays_up_ok;
$node->stop;

done_testing();
