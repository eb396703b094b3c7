# An older database under a newer library: the objects of 1.0 go on doing what
# they did, ALTER EXTENSION ... UPDATE goes through while everything is at
# work, and what comes of it is what a new database has.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 4);
my $later = $kafka->create_topic($kafka->unique('later'));
my $out = $kafka->create_topic($kafka->unique('out'));
my $node = KafkaEvents::Node->start_new('main', version => '1.0');
my $count = 4000;

sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database || 'postgres', $sql);
}

is(query(q{SELECT extversion FROM pg_extension WHERE extname = 'kafka_events'}),
	'1.0', 'objects of 1.0');

# ---- what 1.0 does

# Some fail once and are retried, some become dead letters, all are announced.
$node->create_service($kafka, 'shop', workers => 2);
query(qq{
	CREATE TABLE effects (part int, off bigint, dead boolean);
	CREATE TABLE rows (id bigint, kafka_topic text, kafka_partition int, kafka_offset bigint);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE plpgsql AS
	\$\$
	BEGIN
		IF m."offset" % 100 = 7 AND m.attempt = 0 THEN
			RAISE EXCEPTION 'fails once';
		ELSIF m."offset" % 100 = 8 THEN
			PERFORM kafka_reject('is no good');
		END IF;
		INSERT INTO effects VALUES (m.partition, m."offset", false);
		PERFORM kafka_produce('$out', m.partition || ' ' || m."offset");
	END
	\$\$;
	SELECT kafka_subscribe('$topic', handler => 'note', into_table => 'rows',
		initial_delay => '1 s')});

# What users have made of the extension's objects stays.
query(q{
	CREATE ROLE watcher;
	GRANT SELECT ON kafka_events.positions TO watcher;
	GRANT EXECUTE ON FUNCTION kafka_consumer_pause TO watcher;
	CREATE VIEW due AS SELECT topic, min(due_at) FROM kafka_retries GROUP BY topic});

my $producer = $kafka->start_producer($topic, count => $count, rate => 1000);
$node->wait_for('SELECT count(*) > 100 FROM effects', 't', 'objects of 1.0 to serve');

my @views = split /\n/, query(q{
	SELECT c.oid::regclass FROM pg_class c JOIN pg_depend d ON d.objid = c.oid
	 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kafka_events')
	   AND d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind = 'v'
	 ORDER BY c.relname});
cmp_ok(scalar @views, '>=', 10, 'views of 1.0');
foreach my $view (@views)
{
	my ($status, undef, $stderr) =
	  $node->psql('postgres', "SELECT * FROM $view");

	is("$status $stderr", '0 ', "$view of 1.0");
}
like(query('SELECT kafka_metrics_prometheus()'),
	qr/^kafka_events_/m, 'metrics of 1.0');
is( query(q{
		SELECT ok, detail, hint FROM kafka_production_check()
		 WHERE check_name = 'versions'}),
	'f|the extension has version 1.0, and the library that is loaded is 1.1: what came since is missing|ALTER EXTENSION kafka_events UPDATE;',
	'kafka_production_check says that there is an update');

# ---- the update, while all of it is at work

my $workers = q{
	SELECT string_agg(pid::text, ' ' ORDER BY consumer_id)
	  FROM kafka_consumer_health WHERE server = 'shop'};
my $pids = query($workers);
my $before = query('SELECT count(*) FROM effects');

cmp_ok($before, '<', $count, 'events still come');
query('ALTER EXTENSION kafka_events UPDATE');
is(query('SELECT library, sql_objects, installed, action FROM kafka_versions'),
	'1.1|1.1|1.1|', 'ALTER EXTENSION ... UPDATE');
query("SELECT kafka_subscribe('$later', into_table => 'rows')");
$kafka->produce($later, ['{"id": 1}']);
$producer->finish;
$node->wait_until_drained($kafka, $topic);
my $dead = query(qq{
	SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'});
cmp_ok($dead, '>', 0, 'dead letters');
$node->becomes('SELECT count(*), count(DISTINCT (part, off)) FROM effects',
	($count - $dead) . '|' . ($count - $dead), 'each event has its effect once');
is( query(qq{
		SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset))
		  FROM rows WHERE kafka_topic = '$topic'}),
	($count - $dead) . '|' . ($count - $dead), '... and its row once');
$node->becomes('SELECT pending_total FROM kafka_outbox_status', 0,
	'the outbox is published');
is($kafka->count_records($out), $count - $dead, '... once');
$node->becomes("SELECT sum(\"position\") FROM kafka_consumer_lag WHERE topic = '$later'",
	1, 'subscriptions go on being made');
is(query($workers), $pids, 'no process had to be started again');
is( query(q{
		SELECT has_table_privilege('watcher', 'kafka_events.positions', 'SELECT'),
			has_function_privilege('watcher', 'kafka_consumer_pause(text, name)', 'EXECUTE'),
			(SELECT count(*) FROM due)}),
	't|t|0', 'rights and views of users stay');

# ---- what is updated is what is new

# All that the catalogs say of the extension's objects, without numbers.
my $catalogs = q{
	WITH members AS (
		SELECT classid, objid FROM pg_depend
		 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kafka_events')),
	relations AS (
		SELECT c.* FROM pg_class c JOIN members m
			ON m.classid = 'pg_class'::regclass AND m.objid = c.oid)
	SELECT 'member', pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name)
	  FROM members
	UNION ALL
	SELECT 'function', pg_get_functiondef(p.oid), p.proacl::text
	  FROM members JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
	UNION ALL
	SELECT 'relation', concat_ws(' ', oid::regclass, relkind, relpersistence, reloptions),
		concat_ws(' ', relacl, CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) END)
	  FROM relations
	UNION ALL
	SELECT 'column', concat_ws(' ', attrelid::regclass, attnum, attname,
			format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
			attcollation::regcollation, pg_get_expr(adbin, adrelid)),
		col_description(attrelid, attnum)
	  FROM pg_attribute JOIN relations ON attrelid = relations.oid
	  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
	 WHERE attnum > 0
	UNION ALL
	SELECT 'index', pg_get_indexdef(indexrelid), NULL
	  FROM pg_index JOIN relations ON indrelid = relations.oid
	UNION ALL
	SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname), pg_get_constraintdef(pg_constraint.oid)
	  FROM pg_constraint JOIN relations ON conrelid = relations.oid
	UNION ALL
	SELECT 'dumped', unnest(extconfig)::regclass::text, unnest(extcondition)
	  FROM pg_extension WHERE extname = 'kafka_events'
	UNION ALL
	SELECT 'initial rights', pg_describe_object(i.classoid, i.objoid, i.objsubid), initprivs::text
	  FROM pg_init_privs i JOIN members ON classid = i.classoid AND objid = i.objoid
	ORDER BY 1, 2, 3};

sub catalogs
{
	my ($database) = @_;

	return query(q{SET search_path = pg_catalog; } . $catalogs, $database);
}

# what is granted to somebody is no part of it
query(q{DROP VIEW due; DROP OWNED BY watcher; DROP ROLE watcher});
query('CREATE DATABASE new');
query('CREATE DATABASE updated');
query('CREATE EXTENSION kafka_events', 'new');
query(q{CREATE EXTENSION kafka_events VERSION '1.0'}, 'updated');
isnt(catalogs('updated'), catalogs('new'), 'objects of 1.0 are others');
query('ALTER EXTENSION kafka_events UPDATE', 'updated');
my $new = catalogs('new');
like($new, qr/^member\|view public\.kafka_versions\|/m, 'what is new in 1.1');
is(catalogs('updated'), $new, 'what was updated is what is new');
is(catalogs('postgres') =~ s/\{[^}]*\}//gr, $new =~ s/\{[^}]*\}//gr,
	'... where it is used, too');

$node->stays_up_ok;
done_testing();
