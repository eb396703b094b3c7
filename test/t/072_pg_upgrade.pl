# pg_upgrade: the check and the upgrade pass with a preloaded library, nothing
# is consumed or published afterwards before kafka_identity_confirm, and then
# every event has its effect once and what was in the outbox is sent once.
# From the installation that OLD_PG_CONFIG names, or else from this version to
# itself, which takes all the steps.

use strict;
use warnings;

use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

# Where the older installation's bin and lib are, if there is one.
sub old_installation
{
	my $pg_config = $ENV{OLD_PG_CONFIG} or return;

	chomp(my $bindir = qx{"$pg_config" --bindir});
	return dirname($bindir);
}

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $sent = $kafka->create_topic($kafka->unique('sent'));
my $old =
  KafkaEvents::Node->start_new('old', install_path => old_installation());

$old->create_service($kafka, 'shop');
$old->safe_psql('postgres', qq{
	CREATE TABLE effects (off bigint, part int);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE sql AS
	'INSERT INTO effects VALUES (m."offset", m.partition)';
	SELECT kafka_subscribe('$topic', handler => 'note')});
$kafka->produce_events($topic, count => 1000);
$old->wait_until_drained($kafka, $topic);

# One event is published, one is not, of a server whose oid will be another.
my $server_oid = q{SELECT oid FROM pg_foreign_server WHERE srvname = 'shop'};
my $old_oid = $old->safe_psql('postgres', $server_oid);
$old->safe_psql('postgres', "SELECT kafka_produce('$sent', 'before')");
$old->wait_for('SELECT published_total FROM kafka_outbox_status',
	1, 'the first event to be published');
$old->append_conf('postgresql.conf', 'kafka_events.enabled = off');
$old->reload;
$old->wait_for(
	q{SELECT count(*) FROM pg_stat_activity
	   WHERE backend_type LIKE 'kafka_events %' AND datname IS NOT NULL},
	0, 'the processes to end');
$old->safe_psql('postgres', "SELECT kafka_produce('$sent', 'at the upgrade')");
$old->stop;

my $new = KafkaEvents::Node->new('new');
note('from ' . $old->pg_version . ' to ' . $new->pg_version);
$new->init;
$new->append_conf('postgresql.conf', <<CONF);
shared_preload_libraries = 'kafka_events'
max_worker_processes = 16
CONF

chdir $PostgreSQL::Test::Utils::tmp_check;
my @upgrade = (
	'pg_upgrade', '--no-sync',
	'-d', $old->data_dir, '-D', $new->data_dir,
	'-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
	'-s', $new->host, '-p', $old->port, '-P', $new->port);

command_ok([ @upgrade, '--check' ], 'pg_upgrade --check');
command_ok(\@upgrade, 'pg_upgrade');

$new->start;
$kafka->produce_events($topic, first => 1001, count => 100);
$new->wait_for(
	q{SELECT count(*) FROM kafka_subscriptions WHERE status_reason ~ 'identity'},
	1, 'the views to say what is missing');
is($new->safe_psql('postgres', 'SELECT count(*) FROM effects'),
	'1000', 'nothing is consumed before the identity is confirmed');
isnt($new->safe_psql('postgres', $server_oid),
	$old_oid, 'the server has another oid');
$new->safe_psql('postgres', "SELECT kafka_produce('$sent', 'after')");
is(scalar $kafka->consume($sent), 1, 'nor is anything published');

$new->safe_psql('postgres', q{SELECT kafka_identity_confirm('continue')});
$new->wait_until_drained($kafka, $topic);
is( $new->safe_psql('postgres',
		'SELECT count(*), count(DISTINCT (part, off)) FROM effects'),
	'1100|1100', 'then every event has its effect once');
$new->wait_for('SELECT pending_total = 0 FROM kafka_outbox_status',
	't', 'the outbox to be published');
is_deeply([ map { $_->{payload} } $kafka->consume($sent) ],
	[ 'before', 'at the upgrade', 'after' ],
	'and what the outbox had is published once');
# what a fast stop ends says FATAL, too
unlike(slurp_file($old->logfile) . slurp_file($new->logfile),
	qr/PANIC|FATAL:  (?!terminating (background worker|autovacuum process))/,
	'nothing of ours ran during the upgrade');

$new->stays_up_ok;
$new->stop;

done_testing();
