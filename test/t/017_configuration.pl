
# What managers make of the configuration: other versions, transactions that
# are prepared, more workers than partitions.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $node =
  KafkaEvents::Node->start_new('main', conf => 'max_prepared_transactions = 5');
my $address = $kafka->address;

# A server that comes with COMMIT PREPARED, of another session than the one
# that made it.
my $service = $kafka->unique('shop');
my $managers =
  q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kafka_events manager'};
$node->wait_for($managers, '0', 'the managers that find no server');
$node->safe_psql(
	'postgres', qq{
	BEGIN;
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '$address', service_name '$service', workers '4');
	PREPARE TRANSACTION 'shop'});
is($node->safe_psql('postgres', $managers), '0', 'no manager yet');
$node->safe_psql('postgres', q{COMMIT PREPARED 'shop'});
$node->wait_for($managers, '1', 'the manager');

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});

# librdkafka below 2.6.1 cannot do with members that have nothing to do
SKIP:
{
	my ($major, $minor, $patch) =
	  `pkg-config --modversion rdkafka` =~ /^(\d+)\.(\d+)\.(\d+)/;

	skip 'librdkafka can do with idle members', 1
	  if $major * 10_000 + $minor * 100 + $patch >= 2_06_01;
	$node->wait_for_workers('shop', 2);
	is( $node->safe_psql(
			'postgres',
			q{SELECT count(*), min(status), min(last_error)
				FROM kafka_consumer_health WHERE pid IS NULL}),
		'2|stopped|no partition left for this worker',
		'no more consumers than partitions');
}
$node->wait_for(
	q{SELECT count(DISTINCT consumer_id) FROM kafka_consumer_lag}, '2',
	'each to have a partition');

# A library that does not know the version of the SQL objects does nothing.
$node->safe_psql('postgres',
	q{UPDATE pg_extension SET extversion = '9.0' WHERE extname = 'kafka_events';
	  CREATE ROLE any_change}
);
my $mismatch =
  'extension kafka_events has version 9.0, this library serves 1.0, 1.1';
$node->wait_for(
	q{SELECT count(*), min(last_error) FROM kafka_consumer_health
	   WHERE pid IS NULL},
	"4|$mismatch", 'everything to stop');
is( $node->safe_psql('postgres', q{
		SELECT action FROM kafka_versions;
		SELECT ok, detail, hint FROM kafka_production_check() WHERE check_name = 'versions'}),
	"Install kafka_events 9.0 or later and restart PostgreSQL: nothing is consumed.\n"
	  . 'f|the extension has version 9.0, and the library that is loaded serves 1.0, 1.1: nothing is consumed'
	  . '|Install kafka_events 9.0 or later and restart PostgreSQL.',
	'what to do');
$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 100 ]);
$node->safe_psql('postgres',
	q{UPDATE pg_extension SET extversion = '1.1' WHERE extname = 'kafka_events';
	  DROP ROLE any_change}
);
$node->wait_until_drained($kafka, $topic);
is($node->safe_psql('postgres', 'SELECT count(*) FROM orders'),
	'100', 'it goes on where it stopped');

# Positions are not configuration, but consumers hear of their changes.
is( $node->safe_psql(
		'postgres',
		qq{SELECT count(*) FROM kafka_consumer_seek('$topic', "position" => 'earliest')}
	),
	'2',
	'positions are moved');
$node->wait_for('SELECT count(*) FROM orders', '200',
	'everything to be there twice');

$node->stays_up_ok;
$node->stop;

done_testing();
