
# Which processes run, and what each of them is called.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 4);
my $node = KafkaEvents::Node->start_new('main');

my $processes = q{
	SELECT string_agg(backend_type || ' ' || application_name, ','
					  ORDER BY backend_type, application_name)
	  FROM pg_stat_activity WHERE backend_type LIKE 'kafka_events%'};
my $launcher = 'kafka_events launcher launcher';
my $manager = 'kafka_events manager manager of database "postgres"';

sub consumers
{
	my ($service, $count) = @_;
	my @names = map { "kafka_events consumer $service-main-$_" } 0 .. $count - 1;

	return join ',', @names, $launcher, $manager;
}

sub pid_of
{
	my ($type) = @_;

	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'kafka_events $type'"
	);
}

# nothing configured, the extension apart
$node->wait_for($processes, $launcher, 'the launcher to be alone');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kafka_consumer_health'),
	'0', 'nobody is expected');

# a server alone has a manager, for questions
my $service = $node->create_service($kafka, 'shop');
$node->wait_for($processes, "$launcher,$manager", 'the manager');

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
$node->wait_for($processes, consumers($service, 1), 'one consumer');
$node->wait_for_workers('shop', 1);
like(
	$node->safe_psql('postgres',
		q{SELECT query FROM pg_stat_activity WHERE backend_type = 'kafka_events consumer'}
	),
	qr/^server "shop": waiting for messages$/,
	'it says what it does, and for which server');
$node->wait_for(
	q{SELECT query FROM pg_stat_activity
	   WHERE backend_type = 'kafka_events manager'},
	'managing servers: "shop"', 'the manager to say the same');

# more and fewer of them, in place
my $first = $node->worker_pid('shop');
$node->safe_psql('postgres', 'ALTER SERVER shop OPTIONS (ADD workers \'4\')');
$node->wait_for($processes, consumers($service, 4), 'four consumers');
$node->wait_for(
	q{SELECT count(DISTINCT consumer_id) FROM kafka_consumer_lag},
	'4', 'each to have a partition');
$node->safe_psql('postgres', 'ALTER SERVER shop OPTIONS (SET workers \'2\')');
$node->wait_for($processes, consumers($service, 2), 'two consumers');
$node->wait_for(
	q{SELECT count(*), count(DISTINCT consumer_id) FROM kafka_consumer_lag
	   WHERE status = 'running'},
	'4|2', 'the two to have all partitions');
is($node->worker_pid('shop'), $first, 'the first one was never touched');

$node->safe_psql('postgres', 'ALTER SERVER shop OPTIONS (SET workers \'0\')');
$node->wait_for($processes, "$launcher,$manager", 'no consumer');
$node->safe_psql('postgres', 'ALTER SERVER shop OPTIONS (SET workers \'1\')');
$node->wait_for_workers('shop', 1);

# an alteration that an open connection cannot follow
$first = $node->worker_pid('shop');
$node->safe_psql('postgres', 'ALTER SERVER shop OPTIONS (fetch_wait \'50\')');
$node->wait_for(
	"SELECT pid <> $first FROM kafka_consumer_health WHERE status = 'running'",
	't', 'another process');

# each may be ended, and comes back
foreach my $type ('consumer', 'manager', 'launcher')
{
	my $pid = pid_of($type);

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	$node->wait_for(
		"SELECT count(*) FROM pg_stat_activity
		  WHERE backend_type = 'kafka_events $type' AND pid <> $pid",
		'1', "another $type");
	$node->wait_for_workers('shop', 1);
}
$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 100 ]);
$node->wait_until_drained($kafka, $topic);
is($node->safe_psql('postgres', 'SELECT count(*) FROM orders'),
	'100', 'they work as before');

# the kill switch
$node->append_conf('postgresql.conf', 'kafka_events.enabled = off');
$node->reload;
$node->wait_for($processes, $launcher, 'everything to stop');
is( $node->safe_psql(
		'postgres',
		'SELECT status, pid IS NULL, last_error FROM kafka_consumer_health'),
	'stopped|t|kafka_events.enabled is off',
	'the view says why');
$node->append_conf('postgresql.conf', 'kafka_events.enabled = on');
$node->reload;
$node->wait_for_workers('shop', 1);

# without subscription, without server, without extension
$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$topic')");
$node->wait_for($processes, "$launcher,$manager", 'no consumer');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kafka_consumer_lag'),
	'0', 'no partitions are shown');
$node->safe_psql('postgres', 'DROP SERVER shop');
$node->wait_for($processes, $launcher, 'no manager');
$node->safe_psql('postgres', 'DROP EXTENSION kafka_events');

$node->stays_up_ok;
$node->stop;

done_testing();
