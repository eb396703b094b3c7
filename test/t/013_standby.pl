
# A standby does nothing; once promoted, it goes on where the primary was.
# pg_upgrade's server runs nothing of ours.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $primary = KafkaEvents::Node->start_new('primary',
	init => { allows_streaming => 1 });
my $processes =
  q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'kafka_events%'};

$primary->create_service($kafka, 'shop');
$primary->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 1000 ]);
$primary->wait_until_drained($kafka, $topic);

$primary->backup('backup');
my $standby = KafkaEvents::Node->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay');

is($standby->safe_psql('postgres', $processes),
	'0', 'no process on a standby, not even the launcher');
is( $standby->safe_psql(
		'postgres', 'SELECT status, last_error FROM kafka_consumer_health'),
	'stopped|this PostgreSQL server is a standby',
	'the view says why');

# failover
$primary->stop('immediate');
$kafka->produce($topic, [ map { qq({"id": $_}) } 1001 .. 2000 ]);
$standby->promote;
$standby->wait_for_workers('shop', 1);
$standby->wait_until_drained($kafka, $topic);
is( $standby->safe_psql(
		'postgres', 'SELECT count(*), count(DISTINCT id) FROM orders'),
	'2000|2000',
	'the promoted standby goes on where the primary was');

# binary upgrade mode
$standby->stop;
my $socket_directory = $standby->host;
my $log = PostgreSQL::Test::Utils::tempdir('upgrade') . '/log';
system_or_bail('pg_ctl', '-w', '-D', $standby->data_dir, '-l', $log, '-o',
	'-b', 'start');
is($standby->safe_psql('postgres', $processes),
	'0', 'nothing runs under binary upgrade');
isnt(
	$standby->psql('postgres', "SELECT * FROM kafka_topics('shop')"),
	0, 'nothing can be asked either');
system_or_bail('pg_ctl', '-w', '-D', $standby->data_dir, 'stop');

$standby->stays_up_ok;

done_testing();
