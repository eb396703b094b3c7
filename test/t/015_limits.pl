
# Too few slots: a WARNING, a reason in the views, and work once there is
# room.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 20);

# PostgreSQL's slots: launcher, logical replication's, manager, one consumer
my $node = KafkaEvents::Node->start_new('postgres_slots',
	conf => "max_worker_processes = 4");
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kafka_events manager'},
	'0', 'the managers that find no server');
$node->create_service($kafka, 'shop', workers => 2);
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
my $reason = 'no free background worker slot: raise max_worker_processes';
$node->wait_for(
	q{SELECT status, last_error FROM kafka_consumer_health
	   WHERE consumer_id LIKE '%-main-1'},
	"stopped|$reason", 'the reason to be shown');
$node->wait_for_workers('shop', 1);
my $warnings = () = slurp_file($node->logfile) =~ /WARNING:  could not start .*-main-1: \Q$reason\E/g;
is($warnings, 1, 'one WARNING');

$node->safe_psql('postgres', q{ALTER SERVER shop OPTIONS (SET workers '1')});
$node->wait_for('SELECT count(*) FROM kafka_consumer_health',
	'1', 'the second one not to be expected any more');
$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 1000 ]);
$node->wait_until_drained($kafka, $topic);
$node->stays_up_ok;
$node->stop;

# not even the manager
$node = KafkaEvents::Node->start_new('no_slot',
	conf => "max_worker_processes = 2");
$node->create_service($kafka, 'shop', service_name => $kafka->unique('none'));
my ($out, $err);
$node->psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')},
	stdout => \$out,
	stderr => \$err);
like($err, qr/WARNING.*max_worker_processes/s,
	'subscribing warns of it');
$node->wait_for(
	'SELECT status, last_error FROM kafka_consumer_health',
	"stopped|$reason", 'the reason to be shown');
$node->stop;

# slots of ours, and room for 16 partitions in the view
$node = KafkaEvents::Node->start_new('our_slots',
	conf => "kafka_events.max_workers = 2\nkafka_events.max_subscriptions = 1");
$node->create_service($kafka, 'shop',
	workers => 2,
	service_name => $kafka->unique('ours'));
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
$node->wait_for(
	q{SELECT status, last_error FROM kafka_consumer_health
	   WHERE consumer_id LIKE '%-main-1'},
	'stopped|no free slot: raise kafka_events.max_workers',
	'the reason to be shown');
$node->wait_for('SELECT count(*) FROM kafka_consumer_lag',
	'16', 'as many partitions as there is room for');
$node->wait_for('SELECT count(*) FROM orders', '1000', 'all rows');
$warnings = () =
  slurp_file($node->logfile) =~ /no place for more partitions/g;
cmp_ok($warnings, '<=', 2, 'one WARNING per process that publishes');

# what another database gives back is taken
$node->safe_psql('postgres', 'CREATE DATABASE other');
my $address = $kafka->address;
my $service = $kafka->unique('other');
$node->safe_psql(
	'other', qq{
	CREATE EXTENSION kafka_events;
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '$address', service_name '$service');
	CREATE TABLE orders (id bigint);
	SET client_min_messages = error;
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
ok( $node->poll_query_until(
		'other', 'SELECT status_reason FROM kafka_subscriptions',
		'no free slot: raise kafka_events.max_workers'),
	'no slot for the other database');
$node->safe_psql('postgres', 'DROP SERVER shop CASCADE');
ok( $node->poll_query_until(
		'postgres', q{
		SELECT count(*) FROM pg_stat_activity
		 WHERE datname = 'other' AND backend_type = 'kafka_events manager'},
		'1'),
	'then there is one');

$node->stays_up_ok;
$node->stop;

done_testing();
