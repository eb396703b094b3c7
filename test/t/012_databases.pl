
# Statements that need a database, or the extension, for themselves go
# through while consumers work; whoever may not run them stops nobody.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
# autovacuum comes and goes where this test counts processes
my $node = KafkaEvents::Node->start_new('main', conf => 'autovacuum = off');
my $address = $kafka->address;
my $service = $kafka->unique('shop');

sub consumers_of
{
	my ($database) = @_;

	return
	  "SELECT count(*) FROM pg_stat_activity WHERE datname = '$database' AND backend_type = 'kafka_events consumer'";
}

# Make a database of this name with consumers that have work without end.
sub make_busy
{
	my ($database, $suffix) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql(
		$database, qq{
		CREATE EXTENSION kafka_events;
		CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
			OPTIONS (bootstrap_servers '$address',
					 service_name '$service$suffix', workers '2');
		CREATE FUNCTION handle(jsonb) RETURNS void LANGUAGE sql
		AS 'SELECT pg_sleep(0.05)';
		SELECT kafka_subscribe('$topic', handler => 'handle', batch_size => 20)
	});
	return is_busy($database);
}

sub is_busy
{
	my ($database) = @_;

	return $node->wait_for(
		qq{SELECT count(*) = 2 FROM pg_stat_activity
			WHERE datname = '$database' AND query LIKE '%: processing%'},
		't', "consumers in $database to be busy");
}

# Run it, and see that it took less than the time that PostgreSQL waits.
sub goes_through
{
	my ($sql, $database) = @_;
	my $start = time;
	my ($out, $err) = ('', '');
	my $failed = $node->psql(
		$database || 'postgres', $sql,
		stdout => \$out,
		stderr => \$err);

	is($failed, 0, "$sql goes through") or diag($err);
	# 5 s for our processes to go, on a busy machine as well
	cmp_ok(time - $start, '<', 8, '... in time');
	return;
}

# A server that is made while a manager finds that there is none: its database
# gets another one.  The launcher hears of both at the same time.
sub manager_of
{
	my ($database, $condition) = @_;

	return qq{SELECT count(*) FROM pg_stat_activity
		WHERE datname = '$database' AND backend_type = 'kafka_events manager' $condition};
}

$node->safe_psql('postgres', 'CREATE DATABASE late');
$node->safe_psql('late', 'CREATE EXTENSION kafka_events');
$node->wait_for(manager_of('late', ''), '0', 'the manager that finds no server');
my ($in, $out) = ("BEGIN; DROP EXTENSION kafka_events; SELECT 'dropped';\n", '');
my $dropping = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('late') ],
	'<', \$in, '>', \$out);
$dropping->pump until $out =~ /dropped/;
foreach my $enabled ('off', 'on')
{
	$node->append_conf('postgresql.conf', "kafka_events.enabled = $enabled");
	$node->reload;
	$node->wait_for('SHOW kafka_events.enabled', $enabled);
}
$node->wait_for(manager_of('late', "AND wait_event_type = 'Lock'"),
	'1', 'a manager that waits for the lock on the extension');
my $launcher = $node->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kafka_events launcher'});
kill 'STOP', $launcher;
$in .= "ROLLBACK;\n\\q\n";
$dropping->finish;
$node->wait_for(manager_of('late', ''), '0', 'the manager that finds no server');
$node->safe_psql('late', qq{
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '$address', service_name '${service}0', workers '0')});
kill 'CONT', $launcher;
ok($node->wait_for(manager_of('late', ''), '1', 'a manager for the new server'),
	'a server that is made at the wrong moment gets a manager');
$node->safe_psql('postgres', 'DROP DATABASE late');

# kcat may put a burst into one partition, and then one consumer has nothing
foreach my $partition (0, 1)
{
	$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 10000 ],
		'-p', $partition);
}

make_busy('work', 1);

# a stranger, and a statement that fails
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN CREATEDB');
my $pids = $node->safe_psql('postgres',
	"SELECT array_agg(pid ORDER BY pid) FROM pg_stat_activity WHERE datname = 'work'"
);
foreach my $sql (
	'DROP DATABASE work',
	'CREATE DATABASE copied TEMPLATE work',
	'ALTER DATABASE work RENAME TO mine',
	'ALTER DATABASE work SET TABLESPACE pg_default')
{
	isnt(
		$node->psql('postgres', $sql, extra_params => [ '-U', 'stranger' ]),
		0, "a stranger cannot: $sql");
}
is( $node->safe_psql('postgres',
		"SELECT array_agg(pid ORDER BY pid) FROM pg_stat_activity WHERE datname = 'work'"
	),
	$pids,
	'... and has stopped nobody');
isnt($node->psql('postgres', 'CREATE DATABASE postgres TEMPLATE work'),
	0, 'a copy with a name that is taken fails');
is_busy('work');

goes_through('ALTER DATABASE work RENAME TO renamed');
is_busy('renamed');
goes_through('CREATE DATABASE copied TEMPLATE renamed');
is_busy('renamed');

# The copy has the other one's identity: it must not consume.
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity
	   WHERE datname = 'copied' AND backend_type = 'kafka_events manager'},
	'1', 'a manager in the copy');
my $reason = q{SELECT DISTINCT last_error FROM kafka_consumer_health};
ok( $node->poll_query_until(
		'copied', $reason,
		'identity not confirmed: call kafka_identity_confirm'),
	'the copy says why it does not consume');
is($node->safe_psql('postgres', consumers_of('copied')),
	'0', 'the copy does not consume');
goes_through('DROP DATABASE copied');

my $tablespace = PostgreSQL::Test::Utils::tempdir('tablespace');
$node->safe_psql('postgres', "CREATE TABLESPACE other LOCATION '$tablespace'");
goes_through('ALTER DATABASE renamed SET TABLESPACE other');
is_busy('renamed');

# within the database
goes_through('ALTER SERVER shop RENAME TO store', 'renamed');
is_busy('renamed');
goes_through('DROP EXTENSION kafka_events CASCADE', 'renamed');
$node->wait_for(
	"SELECT count(*) FROM pg_stat_activity WHERE datname = 'renamed'",
	'0', 'all processes to leave');
goes_through('DROP DATABASE renamed');

make_busy('owned', 2);
$node->safe_psql(
	'owned', q{
	CREATE ROLE app LOGIN SUPERUSER;
	ALTER SERVER shop OWNER TO app;
	ALTER FUNCTION handle(jsonb) OWNER TO app});
is_busy('owned');
goes_through('DROP OWNED BY app CASCADE', 'owned');
$node->wait_for(
	"SELECT count(*) FROM pg_stat_activity WHERE datname = 'owned'",
	'0', 'all processes to leave');
$node->safe_psql('postgres', 'DROP DATABASE owned');

make_busy('dropped', 3);
goes_through('DROP DATABASE dropped');

unlike(slurp_file($node->logfile),
	qr/database \d+ does not exist|FATAL:  database/,
	'nobody was started in a database that is gone');
$node->stays_up_ok;
$node->stop;

done_testing();
