# One topic into several tables: rows, order, what a route cannot return, and
# tables that change while consumers run.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop');

# Plain tables, NULL, and everything that rows cannot go to.
{
	my $topic = $kafka->create_own_topic('routes');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE payments (id int PRIMARY KEY, amount int);
		CREATE TABLE refunds (id int PRIMARY KEY, reason text);
		CREATE SEQUENCE numbers;
		CREATE TABLE gone (id int);
		CREATE TABLE oids AS SELECT 'gone'::regclass::oid AS gone;
		DROP TABLE gone;
		CREATE FUNCTION table_of(event jsonb) RETURNS regclass LANGUAGE plpgsql STABLE AS \$\$
		BEGIN
		  IF event ->> 'to' = 'gone' THEN RETURN (SELECT gone FROM public.oids); END IF;
		  IF event ->> 'to' = 'none' THEN RETURN 0::oid::regclass; END IF;
		  IF event ->> 'to' = 'reject' THEN PERFORM public.kafka_reject('not wanted'); END IF;
		  IF event ->> 'to' = 'error' THEN RETURN (event ->> 'name')::regclass; END IF;
		  RETURN CASE event ->> 'to' WHEN 'payments' THEN 'public.payments' WHEN 'refunds' THEN 'public.refunds'
		    WHEN 'seq' THEN 'public.numbers' WHEN 'secret' THEN 'pg_catalog.pg_authid' WHEN 'ours' THEN 'kafka_events.positions' END::regclass;
		END \$\$;
		SELECT kafka_subscribe('$topic', route => 'table_of', max_retries => 0, breaker_threshold => 0)});
	$kafka->produce_in_order($topic, '{"to": "payments", "id": 1, "amount": 5}', '{"to": "refunds", "id": 2, "reason": "broken"}',
		'{"to": "payments", "id": 3}', '{"id": 4}', '{"to": "seq", "id": 5}', '{"to": "secret", "id": 6}',
		'{"to": "ours", "id": 7}', '{"to": "none", "id": 8}', '{"to": "gone", "id": 9}', '{"to": "reject", "id": 10}',
		'{"to": "error", "name": "nowhere"}', '{"to": "refunds", "id": "x"}', '{"to": "refunds", "id": 12}');
	$node->becomes('SELECT id FROM refunds ORDER BY 1', "2\n12", 'rows of one table');
	is($node->safe_psql('postgres', 'SELECT * FROM payments ORDER BY 1'), "1|5\n3|", 'and of another');
	$node->becomes("SELECT count(*) FROM kafka_dlq_messages('$topic')", 8, 'what cannot be is a dead letter');
	my $gone = $node->safe_psql('postgres', 'SELECT gone FROM oids');
	my $cannot = 'which rows cannot go to: Relation';
	is($node->safe_psql('postgres', "SELECT original_offset, reason FROM kafka_dlq_messages('$topic') ORDER BY 1"),
		join("\n",
			"4|route table_of(jsonb) returned public.numbers, $cannot public.numbers is a sequence",
			"5|route table_of(jsonb) returned pg_catalog.pg_authid, $cannot pg_catalog.pg_authid is a system relation",
			"6|route table_of(jsonb) returned kafka_events.positions, $cannot kafka_events.positions belongs to extension kafka_events",
			'7|route table_of(jsonb) returned "-", which is no table',
			"8|route table_of(jsonb) returned $gone, $cannot $gone does not exist",
			'9|not wanted',
			'10|relation "nowhere" does not exist',
			'11|invalid input syntax for type integer: "x" (column "id")'),
		'with a reason');
	$node->becomes("SELECT succeeded_total, skipped_total, dead_lettered_total, rows_total FROM kafka_metrics WHERE topic = '$topic'",
		'4|1|8|4', 'NULL is counted as skipped');

	# tables that change, go and come
	$node->safe_psql('postgres', 'ALTER TABLE refunds ADD note text; DROP TABLE payments; CREATE TABLE payments (id int, note text)');
	$kafka->produce_in_order($topic, '{"to": "refunds", "id": 20, "note": "new column"}', '{"to": "payments", "id": 21, "note": "new table"}');
	$node->becomes('SELECT note FROM refunds WHERE id = 20', 'new column', 'a changed table');
	$node->becomes('SELECT note FROM payments', 'new table', 'another one of the same name');
}

# Privileges are the owner's, and looked at again.
{
	my $topic = $kafka->create_own_topic('rights');
	$node->safe_psql(
		'postgres', qq{
		CREATE ROLE carrier LOGIN;
		GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO carrier;
		GRANT CREATE ON SCHEMA public TO carrier;
		CREATE TABLE open (id int);
		CREATE TABLE closed (id int);
		GRANT INSERT ON open TO carrier});
	$node->create_service($kafka, 'carrier');
	$node->safe_psql(
		'postgres', qq{
		ALTER SERVER carrier OWNER TO carrier;
		SET ROLE carrier;
		CREATE FUNCTION by_name(event jsonb) RETURNS regclass LANGUAGE sql AS \$\$SELECT to_regclass('public.' || (event ->> 'to'))\$\$;
		SELECT kafka_subscribe('$topic', route => 'by_name', max_retries => 0, server => 'carrier')});
	$kafka->produce_in_order($topic, '{"to": "open", "id": 1}', '{"to": "closed", "id": 2}', '{"to": "nowhere", "id": 3}', '{"to": "open", "id": 4}');
	$node->becomes('SELECT id FROM open ORDER BY 1', "1\n4", 'with the privilege');
	$node->becomes("SELECT sqlstate, reason FROM kafka_dlq_messages('$topic', server => 'carrier')",
		'22023|route by_name(jsonb) returned public.closed, which rows cannot go to: Role "carrier", the owner of server "carrier", has no INSERT privilege on table public.closed',
		'and without');
	$node->safe_psql('postgres', 'GRANT INSERT ON closed TO carrier; REVOKE INSERT ON open FROM carrier');
	$kafka->produce_in_order($topic, '{"to": "open", "id": 5}', '{"to": "closed", "id": 6}');
	$node->becomes('SELECT id FROM closed', 6, 'granted meanwhile');
	$node->becomes("SELECT original_offset FROM kafka_dlq_messages('$topic', server => 'carrier') ORDER BY 1", "1\n4", 'and revoked');
}

# Order between tables: foreign keys, and a message that is retried.
{
	my $topic = $kafka->create_own_topic('order');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE carts (id int PRIMARY KEY);
		CREATE TABLE items (id int PRIMARY KEY, cart int REFERENCES carts, note text);
		CREATE FUNCTION kind_of(event kafka_message) RETURNS regclass LANGUAGE sql
		  AS \$\$SELECT CASE WHEN convert_from(event.key, 'UTF8') LIKE 'c%' THEN 'carts' ELSE 'items' END::regclass\$\$});
	my @messages = map {
		my $cart = $_;
		({ key => "c$cart", partition => 0, value => qq({"id": $cart}) },
			map { { key => "i$cart.$_", partition => 0, value => qq({"id": $cart$_, "cart": $cart}) } } (1 .. 3))
	} (1 .. 100);
	$kafka->produce_messages($topic, @messages);
	$node->safe_psql('postgres', "SELECT kafka_subscribe('$topic', route => 'kind_of', server => 'shop')");
	$node->becomes('SELECT count(*), count(DISTINCT cart) FROM items', '300|100', 'rows find those they refer to');
	is($node->safe_psql('postgres', "SELECT retried_total, dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'"),
		'0|0', 'at once');

	# upserts and tombstones, each into the table of its key
	$node->safe_psql('postgres', "SELECT kafka_subscription_alter('$topic', on_conflict => 'update', ordering => 'key', server => 'shop')");
	$kafka->produce_messages($topic, map { { key => $_->[0], partition => 0, value => $_->[1] } } (
		[ '11' => '{"id": 11, "cart": 1, "note": "changed"}' ], [ '12' => undef ], [ '13' => undef ]));
	$node->becomes('SELECT id, note FROM items WHERE cart = 1', '11|changed', 'rows are updated and deleted');
}

# A route for elements, beside a handler, and more tables than stay open.
{
	my $topic = $kafka->create_own_topic('many');
	$node->safe_psql(
		'postgres', qq{
		SELECT format('CREATE TABLE tenant_%s (id int)', n) FROM generate_series(1, 150) n \\gexec
		CREATE TABLE heard (id int);
		CREATE FUNCTION on_element(event jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO heard SELECT (event ->> ''id'')::int';
		CREATE FUNCTION of_tenant(event jsonb) RETURNS regclass LANGUAGE sql AS \$\$SELECT to_regclass('public.tenant_' || (event ->> 'tenant'))\$\$;
		SELECT kafka_subscribe('$topic', route => 'of_tenant', handler => 'on_element', split => 'array', max_retries => 0, server => 'shop')});
	my @values = map { my $m = $_; '[' . join(',', map { qq({"tenant": $_, "id": $m}) } (1 .. 151)) . ']' } (1 .. 3);
	$kafka->produce_in_order($topic, @values, '[{"tenant": 1, "id": 4}, {"tenant": 1, "id": "x"}]');
	my $all = join(' UNION ALL ', map { "SELECT * FROM tenant_$_" } (1 .. 150));
	$node->becomes("SELECT count(*), sum(id) FROM ($all) rows", '450|900', 'each element into its table');
	$node->becomes('SELECT count(*) FROM heard', 453, 'the handler is called for those without a table too');
	$node->becomes("SELECT reason FROM kafka_dlq_messages('$topic', server => 'shop')",
		'element 2: invalid input syntax for type integer: "x" (column "id")', 'a message is one unit');
	$node->safe_psql('postgres', 'DROP TABLE tenant_7');
	$kafka->produce_in_order($topic, '[{"tenant": 7, "id": 5}, {"tenant": 8, "id": 5}]');
	$node->becomes('SELECT count(*) FROM tenant_8 WHERE id = 5', 1, 'a table that is dropped is forgotten');
}

# Dump and restore.
{
	my $dump = $node->basedir . '/dump.sql';
	command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');
	$node->safe_psql('postgres', 'CREATE DATABASE copy');
	command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ], 'restore');
	is($node->safe_psql('copy', "SELECT count(*) FROM kafka_subscriptions WHERE route IS NOT NULL"), 4, 'routes are restored');
}

done_testing();
