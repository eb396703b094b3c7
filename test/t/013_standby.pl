
# A standby does nothing; once promoted, it goes on where the primary was as
# far as it knows, however much further Kafka is.  So does a server that was
# recovered to an earlier time.  pg_upgrade's server runs nothing of ours.

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

# Consume so many more.
sub consume
{
	my ($node, $from, $to) = @_;

	$kafka->produce($topic, [ map { qq({"id": $_}) } $from .. $to ]);
	return $node->wait_until_drained($kafka, $topic);
}

# Each message has had its effect once.
sub is_complete
{
	my ($node, $count, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->wait_for_workers('shop', 1);
	$node->wait_until_drained($kafka, $topic);
	return is(
		$node->safe_psql(
			'postgres',
			'SELECT count(*), count(DISTINCT id), max(id) FROM orders'),
		"$count|$count|$count",
		$name);
}

consume($primary, 1, 1000);
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

# whatever asks or changes something says so at once, whatever it could wait
foreach my $call (
	"kafka_subscribe('payments', into_table => 'orders')",
	"kafka_subscription_alter('$topic', batch_size => 2)",
	"kafka_unsubscribe('$topic')",
	"kafka_consumer_pause('$topic')",
	"kafka_consumer_resume('$topic')",
	"kafka_consumer_seek('$topic', to_offset => 1)",
	"kafka_circuit_reset('$topic')",
	"kafka_topics('shop')",
	"kafka_topic_create('payments')",
	"kafka_identity_confirm('new')",
	"kafka_produce('payments', '{}'::jsonb)",
	'kafka_outbox_retry(1)',
	'kafka_outbox_discard(1)',
	'kafka_dlq_stats()',
	"kafka_dlq_stats('$topic')",
	"kafka_dlq_messages('$topic')",
	"kafka_dlq_reprocess('$topic')")
{
	my ($status, undef, $error) = $standby->psql('postgres',
		"SET kafka_events.request_timeout = '1h'; SELECT * FROM $call");

	like($error, qr/ERROR:  .*: this PostgreSQL server is a standby\nHINT:  .* on the primary server\./,
		"$call says why");
}
like($standby->safe_psql('postgres', 'SELECT status, message FROM kafka_health()'),
	qr/^down\|this PostgreSQL server is a standby/, 'so does health');
is($standby->safe_psql('postgres', q{
		SELECT detail FROM kafka_production_check() WHERE check_name = 'partitions'}),
	'this PostgreSQL server is a standby', 'and the production check');
foreach my $statement (
	"CREATE SERVER mart FOREIGN DATA WRAPPER kafka_events OPTIONS (bootstrap_servers 'a:1', service_name 'mart')",
	"ALTER SERVER shop OPTIONS (ADD workers '2')",
	'ALTER SERVER shop OWNER TO pg_monitor',
	'DROP SERVER shop CASCADE',
	qq{ALTER FOREIGN TABLE kafka_events."$topic" OPTIONS (ADD batch_size '2')})
{
	my ($status, undef, $error) = $standby->psql('postgres', $statement);

	like($error, qr/ERROR:  cannot execute (CREATE|ALTER|DROP) [A-Z ]+ in a read-only transaction/,
		"PostgreSQL itself refuses $statement");
}

# failover to a standby that has not heard of what Kafka was told
$standby->stop;
consume($primary, 1001, 2000);
$primary->wait_for(
	q{SELECT bool_and(committed_offset = "position") FROM kafka_consumer_lag WHERE role = 'main'});
$primary->stop('immediate');
$kafka->produce($topic, [ map { qq({"id": $_}) } 2001 .. 3000 ]);
$standby->start;
is($standby->safe_psql('postgres', 'SELECT count(*) FROM orders'),
	'1000', 'a standby that is behind');
$standby->promote;
is_complete($standby, 3000, 'once promoted, it goes on where it was');
$standby->wait_for(
	q{SELECT bool_and(committed_offset = "position") FROM kafka_consumer_lag WHERE role = 'main'});
$standby->stop('immediate');

# recovery to a time before all that
my $restored = KafkaEvents::Node->new('restored');
$restored->init_from_backup($primary, 'backup');
$restored->append_conf('postgresql.conf', <<CONF);
restore_command = 'false'
recovery_target = 'immediate'
recovery_target_action = 'promote'
CONF
$restored->set_recovery_mode;
$restored->start;
is_complete($restored, 3000, 'a server that was recovered goes on where it was');
is($restored->safe_psql('postgres', 'SELECT timeline_id > 1 FROM pg_control_checkpoint()'),
	't', '... in a timeline of its own');
$restored->stop;
$restored->stays_up_ok('no process of it died of a signal');

# binary upgrade mode
my $log = PostgreSQL::Test::Utils::tempdir('upgrade') . '/log';
system_or_bail('pg_ctl', '-w', '-D', $standby->data_dir, '-l', $log, '-o',
	'-b', 'start');
is($standby->safe_psql('postgres', $processes),
	'0', 'nothing runs under binary upgrade');
isnt(
	$standby->psql('postgres', q{
		SET kafka_events.request_timeout = '1 s';
		SELECT * FROM kafka_topics('shop')}),
	0, 'nothing can be asked either');
system_or_bail('pg_ctl', '-w', '-D', $standby->data_dir, 'stop');

$standby->stays_up_ok;

done_testing();
