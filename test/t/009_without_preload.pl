# Without shared_preload_libraries options are checked all the same, and a
# dump is restored: pg_restore and pg_upgrade depend on it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('bare');
$node->init;
$node->start;
my ($ret, undef, $warnings) = $node->psql(
	'postgres', q{
	CREATE EXTENSION kafka_events;
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (
		bootstrap_servers 'k1:9092', service_name 'shop', "linger.ms" '5');
	CREATE USER MAPPING FOR PUBLIC SERVER shop
		OPTIONS (username 'u', password 'p');
	CREATE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS '';
	CREATE FOREIGN TABLE kafka_events."order.created" () SERVER shop
		OPTIONS (handler 'on_order', handler_timeout '5 s')});
is($ret, 0, 'a server and a subscription are made');
foreach my $what ('server', 'subscription')
{
	like(
		$warnings,
		qr/WARNING:  kafka_events is not loaded: nothing will be consumed or published, and this $what .*\nHINT:  Add kafka_events to shared_preload_libraries/,
		"a $what: a warning that nothing comes of it");
}

sub fails_like
{
	my ($statement, $error, $name) = @_;
	my ($ret, $out, $err) = $node->psql('postgres', $statement);

	is($ret, 3, "$name: refused");
	like($err, $error, "$name: error");
	return;
}

fails_like(
	q{ALTER SERVER shop OPTIONS (ADD workers '65', ADD worker '1')},
	qr/"workers" must be an integer between 0 and 64.*"worker" does not exist.*Perhaps you meant the option "workers"/s,
	'a server');
fails_like(
	q{ALTER USER MAPPING FOR PUBLIC SERVER shop OPTIONS (DROP password)},
	qr/"username" and "password" need each other/,
	'a user mapping');
fails_like(
	q{ALTER FOREIGN TABLE kafka_events."order.created"
		OPTIONS (SET handler_timeout 'soon')},
	qr/"handler_timeout" must be an interval between 1 ms and 24 days, but is "soon"/,
	'a subscription');

# what needs the processes says which setting to change
foreach my $call (
	q{kafka_subscribe('t', 'on_order')}, q{kafka_subscription_alter('t')},
	q{kafka_unsubscribe('t')}, q{kafka_produce('t', 'v')},
	q{kafka_outbox_retry(1)}, q{kafka_outbox_discard(1)},
	q{kafka_dlq_stats()}, q{kafka_dlq_messages('t')},
	q{kafka_messages('t')},
	q{kafka_dlq_reprocess('t')}, q{kafka_consumer_pause('t')},
	q{kafka_consumer_resume('t')}, q{kafka_consumer_seek('t', 1)},
	q{kafka_circuit_reset('t')}, q{kafka_topics()},
	q{kafka_topic_create('t')}, q{kafka_identity_confirm('new')},
	q{kafka_health()}, q{kafka_production_check()},
	q{kafka_metrics_prometheus()})
{
	fails_like(
		"SELECT $call",
		qr/kafka_events must be loaded via shared_preload_libraries\nHINT:  Add kafka_events to shared_preload_libraries and restart the server/,
		$call);
}

# a dump goes into another database as it is
my $dump = $node->basedir . '/dump';
$node->command_ok(
	[ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[
		'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'),
		$dump
	],
	'restore');
my $options = q{
	SELECT 'server', s.srvname, o.* FROM pg_foreign_server s,
	       pg_options_to_table(s.srvoptions) o
	UNION ALL
	SELECT 'mapping', u.srvname, o.* FROM pg_user_mappings u,
	       pg_options_to_table(u.umoptions) o
	UNION ALL
	SELECT 'subscription', c.relname, o.* FROM pg_foreign_table f
	       JOIN pg_class c ON c.oid = f.ftrelid,
	       pg_options_to_table(f.ftoptions) o
	ORDER BY 1, 2, 3};
my $written = $node->safe_psql('postgres', $options);
is(scalar(split /\n/, $written), 7, 'seven options');
is($node->safe_psql('restored', $options),
	$written, 'server, mapping and subscription are what they were');

# loading the library later does nothing, quietly
is( $node->safe_psql(
		'postgres', q{
		LOAD 'kafka_events';
		SELECT count(*) FROM pg_settings WHERE name LIKE 'kafka_events.%'}),
	0,
	'no settings without the preload');

$node->stop;
done_testing();
