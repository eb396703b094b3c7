# Handlers that leave things behind: good messages succeed, each once, and
# the one that fails at the commit is the only one that is passed over.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $per_partition = 150;
my $culprit = 90;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('statements'), partitions => 4);
my $node = KafkaEvents::Node->start_new('main');

# Everything belongs to a role without privileges.
$node->safe_psql(
	'postgres', q{
	CREATE ROLE service LOGIN;
	CREATE ROLE other NOLOGIN;
	GRANT other TO service;
	GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO service;
	CREATE SCHEMA service AUTHORIZATION service;
	GRANT ALL ON SCHEMA service TO other;
	ALTER ROLE service SET search_path = service, public});

my @as_service = (extra_params => [ '-U', 'service' ]);
my $name = $kafka->unique('service');
my $address = $kafka->address;
$node->safe_psql(
	'postgres', qq{
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '$address', service_name '$name');

	CREATE TABLE effects (partition integer, "offset" bigint, id integer, who text, held bigint);
	CREATE TABLE parents (id integer PRIMARY KEY);
	CREATE TABLE children (id integer REFERENCES parents DEFERRABLE);
	GRANT ALL ON effects TO other;

	-- what the message says, then a row that tells as whom, and how many of
	-- the cursors, locks and statements of former transactions are there
	CREATE FUNCTION run_it(m jsonb) RETURNS void LANGUAGE plpgsql AS
	\$\$DECLARE
		it kafka_message := kafka_current_message();
	BEGIN
		INSERT INTO effects VALUES (it.partition, it."offset", (m ->> 'id')::integer,
			format('%s %s', current_user, current_setting('role')),
			(SELECT count(*) FROM pg_cursors WHERE creation_time < now()) +
			(SELECT count(*) FROM pg_prepared_statements WHERE prepare_time < now()));
		EXECUTE m ->> 'run';
	END\$\$;
	SELECT kafka_subscribe('$topic', handler => 'run_it(jsonb)', batch_size => 40,
		max_retries => 0, dlq => false)},
	@as_service);

my @leave = (
	'SELECT 1',
	'CREATE TEMPORARY TABLE mine (n integer) ON COMMIT DROP',
	'CREATE TEMPORARY TABLE yours (n integer)',
	'SET CONSTRAINTS ALL DEFERRED',
	'INSERT INTO children VALUES (7)',
	'SET CONSTRAINTS ALL IMMEDIATE',
	"DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 10)",
	"SELECT set_config('statement_timeout', '1ms', false)",
	"SELECT set_config('search_path', 'pg_catalog', false)",
	'SET default_transaction_read_only = on',
	'SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2)',
	'SET ROLE other',
	'SET LOCAL ROLE other',
	'NOTIFY something',
	'PREPARE mine AS SELECT 1',
	'RESET ALL',
	'LOCK TABLE effects IN SHARE MODE');

$node->safe_psql('postgres', 'INSERT INTO parents VALUES (7)', @as_service);
my @messages;
foreach my $partition (0 .. 3)
{
	foreach my $i (0 .. $per_partition - 1)
	{
		my $run = $leave[ ($i * 7 + $partition) % @leave ];

		$run = 'SET CONSTRAINTS ALL DEFERRED; INSERT INTO children VALUES (4711)'
		  if $partition == 3 && $i == $culprit;
		push @messages,
		  {
			partition => $partition,
			value => encode_json({ id => $i, run => $run })
		  };
	}
}
$kafka->produce_messages($topic, @messages);

$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql(
		'postgres', qq{
		SELECT partition, count(*), count(DISTINCT "offset"), max(id)
		  FROM service.effects GROUP BY 1 ORDER BY 1}),
	join("\n",
		(map { "$_|$per_partition|$per_partition|" . ($per_partition - 1) } 0 .. 2),
		"3|" . ($per_partition - 1) . "|" . ($per_partition - 1) . "|" . ($per_partition - 1)),
	'every good message has its effect, once');
is( $node->safe_psql(
		'postgres', q{SELECT DISTINCT who FROM service.effects}),
	'service none', 'always as the owner');
is($node->safe_psql('postgres', 'SELECT max(held) FROM service.effects'),
	0, 'nothing of a former transaction was there');
my @passed_over = slurp_file($node->logfile) =~ /(message at .* is passed over: .*)/g;
is(scalar @passed_over, 1, 'one message is passed over');
like($passed_over[0], qr/offset $culprit of partition 3 .*: 23503 /, 'it is the culprit');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
		UNION ALL
		SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'}),
	"0\n0",
	'no lock and no temporary table is left');

$node->stays_up_ok;
$node->stop;

done_testing();
