# Dumps and copies of a database: they can be restored by whom it should be
# possible, nothing is consumed before kafka_identity_confirm, and then every
# message has its effect once.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $service = $kafka->unique('shop');
my $dependencies = q{
	SELECT count(*) FROM pg_depend
	 WHERE objid IN (SELECT ftrelid FROM pg_foreign_table)
	   AND refclassid IN ('pg_proc'::regclass, 'pg_class'::regclass)};

# Run a client program against the node.
sub run_ok
{
	my ($name, @command) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	command_ok(\@command, $name);
}

sub in_db
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

sub wait_in
{
	my ($database, $sql, $expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->poll_query_until($database, $sql, $expected), $name)
	  or diag(in_db($database, 'TABLE kafka_subscriptions; TABLE kafka_consumer_lag'));
}

# The original: a database of a role that is no superuser, subscriptions of
# another one, functions and tables that sort behind the foreign table.
$node->safe_psql('postgres', q{
	CREATE ROLE db_owner LOGIN;
	CREATE ROLE seller LOGIN;
	CREATE DATABASE original OWNER db_owner});
in_db('original', qq{
	CREATE EXTENSION kafka_events;
	GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO seller;
	CREATE SCHEMA zoo;
	CREATE TABLE zoo.effects (off bigint, part int, by text);
	CREATE FUNCTION zoo.note(m kafka_message) RETURNS void LANGUAGE sql AS
	'INSERT INTO zoo.effects VALUES (m."offset", m.partition, current_user)';
	CREATE TABLE zoo.rows (id bigint);
	REVOKE EXECUTE ON FUNCTION zoo.note FROM PUBLIC;
	GRANT EXECUTE ON FUNCTION zoo.note TO seller;
	GRANT USAGE ON SCHEMA zoo TO seller, db_owner;
	GRANT INSERT ON zoo.effects, zoo.rows TO seller;
	GRANT SELECT ON zoo.effects, zoo.rows TO db_owner;
	SET ROLE seller;
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS
		(bootstrap_servers '@{[ $kafka->address ]}', service_name '$service');
	CREATE USER MAPPING FOR seller SERVER shop;
	SELECT kafka_subscribe('$topic', handler => 'zoo.note', into_table => 'zoo.rows')});
$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 20 ]);
wait_in('original', 'SELECT count(*) FROM zoo.rows', '20', 'the original consumes');
in_db('original', 'ALTER SERVER shop OPTIONS (ADD workers \'0\')');
wait_in('postgres',
	q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'original' AND backend_type = 'kafka_events consumer'},
	'0', 'its consumer stops');

# dumps
run_ok('the database owner dumps', 'pg_dump', '-U', 'db_owner', '-f',
	"$dir/owner.sql", 'original');
run_ok('a superuser dumps', 'pg_dump', '-f', "$dir/super.sql", 'original');
run_ok('custom format', 'pg_dump', '-Fc', '-f', "$dir/super.dump", 'original');
run_ok('schema only', 'pg_dump', '-s', '-f', "$dir/schema.sql", 'original');
unlike(slurp_file("$dir/super.sql"), qr/kafka_subscribe|CREATE TABLE kafka_events/,
	'a dump has core statements only');

# restores
foreach my $how (
	[ 'plain', 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/super.sql", '-d' ],
	[ 'one_transaction', 'psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/owner.sql", '-d' ],
	[ 'parallel', 'pg_restore', '-e', '-j', '2', "$dir/super.dump", '-d' ],
	[ 'no_owner', 'pg_restore', '-e', '-O', '-x', "$dir/super.dump", '-d' ],
	[ 'clean', 'pg_restore', '-e', '-c', '--if-exists', "$dir/super.dump", '-d' ],
	[ 'schema', 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/schema.sql", '-d' ])
{
	my ($name, @command) = @$how;
	my $schema_only = $name eq 'schema';

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	run_ok("restore: $name", @command, $name);
	is(in_db($name, $dependencies), '2', "$name: dependencies are recorded");
	is( in_db($name, 'SELECT owner, handler, into_table FROM kafka_subscriptions'),
		($name eq 'no_owner' ? $node->safe_psql('postgres', 'SELECT current_user') : 'seller')
		  . '|zoo.note(kafka_message)|zoo.rows',
		"$name: the subscription is there");
	is( in_db($name, 'SELECT count(*) FROM kafka_events.positions'),
		$schema_only ? '0' : '2', "$name: the positions too");
	in_db($name, q{ALTER SERVER shop OPTIONS (DROP workers)});
	wait_in($name,
		q{SELECT status_reason LIKE '%identity%not confirmed%' FROM kafka_subscriptions},
		't', "$name: its identity is not confirmed");
	wait_in($name,
		'SELECT DISTINCT pid IS NULL, last_error FROM kafka_consumer_health',
		't|identity not confirmed: call kafka_identity_confirm',
		"$name: nothing runs");
}

# a copy of the files of a database
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE original');
in_db('copied', q{ALTER SERVER shop OPTIONS (DROP workers)});
wait_in('copied',
	q{SELECT status_reason LIKE '%identity%not confirmed%' FROM kafka_subscriptions},
	't', 'a copied database is not confirmed');

# produced meanwhile: consumed by nobody yet
$kafka->produce($topic, [ map { qq({"id": $_}) } 21 .. 30 ]);

# one of them takes over from the original
is(in_db('plain', q{SELECT kafka_identity_confirm('continue')}),
	in_db('original', 'SELECT uuid FROM kafka_events.identity'),
	'the restored database goes on as the original');
wait_in('plain', 'SELECT count(*) FROM zoo.rows', '30', 'it consumes what is new');
is( in_db('plain', 'SELECT count(*), count(DISTINCT (part, off)), min(by) FROM zoo.effects'),
	'30|30|seller', 'every message has its effect once, as the same role');

# another one is a new database: the group is not its own
my $uuid = in_db('copied', q{SELECT kafka_identity_confirm('new')});
is(in_db('copied', 'SELECT uuid FROM kafka_events.identity'), $uuid,
	'a new identity');
isnt($uuid, in_db('plain', 'SELECT uuid FROM kafka_events.identity'),
	'of its own');
wait_in('copied',
	q{SELECT bool_and(status_reason LIKE 'group "%" belongs to database %') FROM kafka_consumer_lag},
	't', 'a copy does not take part in the group of the original');
is(in_db('copied', 'SELECT count(*) FROM zoo.rows'), '20', 'and consumes nothing');

# with a service of its own it does
in_db('copied', qq{
	SELECT kafka_unsubscribe('$topic');
	ALTER SERVER shop OPTIONS (SET service_name '$service-copy');
	TRUNCATE zoo.rows;
	SET ROLE seller;
	SELECT kafka_subscribe('$topic', into_table => 'zoo.rows')});
wait_in('copied', 'SELECT count(*) FROM zoo.rows', '30', 'as another service it reads everything');

# restored, and changed, while the library is not preloaded: nobody records
# dependencies or follows new names until the manager does
$node->safe_psql('postgres', 'CREATE DATABASE bare');
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->restart;
run_ok('restore without the library', 'psql', '-X', '-q', '-v',
	'ON_ERROR_STOP=1', '-f', "$dir/super.sql", '-d', 'bare');
is(in_db('bare', $dependencies), '0', 'no dependencies yet');
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries',
	"'kafka_events'");
$node->restart;
wait_in('bare', $dependencies, '2', 'the manager records them');
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->restart;
in_db('bare', q{
	ALTER FUNCTION zoo.note RENAME TO "New name";
	ALTER TABLE zoo.rows SET SCHEMA public});
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries',
	"'kafka_events'");
$node->restart;
wait_in('bare', 'SELECT ftoptions FROM pg_foreign_table',
	'{"handler=zoo.\\"New name\\"(public.kafka_message)",into_table=public.rows}',
	'and follows new names');

# databases with all this go away
$node->safe_psql('postgres', "DROP DATABASE $_")
  foreach (qw(original plain one_transaction parallel no_owner clean schema copied bare));
pass('all of them can be dropped');

$node->stays_up_ok;
$node->stop;
done_testing();
