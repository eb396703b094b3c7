# pg_upgrade: the check and the upgrade pass with a preloaded library, nothing
# is consumed afterwards before kafka_identity_confirm, and then every event
# has its effect once.  From the installation that OLD_PG_CONFIG names, or else
# from this version to itself, which takes all the steps.

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
$new->safe_psql('postgres', q{SELECT kafka_identity_confirm('continue')});
$new->wait_until_drained($kafka, $topic);
is( $new->safe_psql('postgres',
		'SELECT count(*), count(DISTINCT (part, off)) FROM effects'),
	'1100|1100', 'then every event has its effect once');
unlike(slurp_file($old->logfile) . slurp_file($new->logfile),
	qr/FATAL|PANIC/, 'nothing of ours ran during the upgrade');

$new->stays_up_ok;
$new->stop;

done_testing();
