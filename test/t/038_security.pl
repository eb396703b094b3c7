# A role that wants more than it has, with a subscription of its own: code of
# its in every place where a consumer runs code gets it nothing.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $address = $kafka->address;
my $name = $kafka->unique('service');
my $node = KafkaEvents::Node->start_new('main');
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my @as_mallory = (extra_params => [ '-U', 'mallory' ]);

$node->safe_psql(
	'postgres', q{
	CREATE ROLE mallory LOGIN;
	CREATE ROLE victim LOGIN;
	GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO mallory;
	CREATE SCHEMA mallory AUTHORIZATION mallory;
	ALTER ROLE mallory SET search_path = mallory, public, pg_catalog});

$node->safe_psql(
	'postgres', qq{
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '$address', service_name '$name');

	CREATE TABLE attempts (place text, statement text, as_whom text, session text, outcome text);

	-- try everything; what it brought is written down, if there is a way
	CREATE FUNCTION try_all(place text) RETURNS boolean LANGUAGE plpgsql AS
	\$\$DECLARE
		statement text;
		outcome text;
	BEGIN
		FOREACH statement IN ARRAY ARRAY[
			'ALTER ROLE mallory SUPERUSER',
			'GRANT pg_execute_server_program TO mallory',
			'SET ROLE "$superuser"',
			'SET ROLE victim',
			'SET SESSION AUTHORIZATION "$superuser"',
			'RESET ROLE',
			'RESET SESSION AUTHORIZATION',
			'SELECT set_config(''role'', ''$superuser'', false)',
			'COPY attempts TO PROGRAM ''true''',
			'UPDATE kafka_events.positions SET next_offset = 0',
			'DELETE FROM kafka_events.positions',
			'CREATE TRIGGER mine BEFORE UPDATE ON kafka_events.positions FOR EACH ROW EXECUTE FUNCTION mallory.on_row()',
			'ALTER TABLE kafka_events.positions ADD CHECK (mallory.try_all(''positions''))',
			'CREATE INDEX ON kafka_events.positions ((mallory.try_all(topic)))',
			'ALTER TABLE kafka_events.positions OWNER TO mallory',
			'SET session_replication_role = replica',
			'LOAD ''kafka_events''',
			'ALTER FUNCTION kafka_subscribe OWNER TO mallory',
			'CREATE FUNCTION kafka_events.mine() RETURNS integer LANGUAGE sql AS ''SELECT 1''',
			'CREATE TABLE kafka_events.mine (n integer)']
		LOOP
			BEGIN
				EXECUTE statement;
				outcome := 'done';
			EXCEPTION WHEN OTHERS THEN
				outcome := SQLSTATE;
			END;
			INSERT INTO mallory.attempts
			VALUES (place, statement, current_user, session_user, outcome);
		END LOOP;
		RETURN true;
	END\$\$;

	CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS
	\$\$BEGIN PERFORM mallory.try_all(TG_NAME); RETURN NEW; END\$\$;
	CREATE FUNCTION on_event(m jsonb) RETURNS void LANGUAGE plpgsql AS
	\$\$BEGIN
		PERFORM mallory.try_all('handler');
		EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT mallory.try_all(''held cursor'')';
		CREATE TEMPORARY TABLE gone (n integer CHECK (mallory.try_all('temporary table'))) ON COMMIT DELETE ROWS;
		INSERT INTO gone VALUES (1);
	END\$\$;
	CREATE FUNCTION is_valid(m jsonb) RETURNS boolean LANGUAGE sql AS
	\$\$SELECT mallory.try_all('validator')\$\$;

	CREATE DOMAIN checked AS integer CHECK (mallory.try_all('domain'));
	CREATE TABLE rows (
		id checked,
		by_default boolean DEFAULT mallory.try_all('default'),
		CONSTRAINT tried CHECK (mallory.try_all('check constraint')));
	CREATE TRIGGER row_trigger BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION on_row();
	CREATE TRIGGER statement_trigger AFTER INSERT ON rows FOR EACH STATEMENT EXECUTE FUNCTION on_row();
	CREATE CONSTRAINT TRIGGER deferred_trigger AFTER INSERT ON rows
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION on_row();
	ALTER TABLE rows ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY mine ON rows WITH CHECK (mallory.try_all('policy'));

	-- names that stand before PostgreSQL's own in the search path
	CREATE FUNCTION jsonb_typeof(jsonb) RETURNS text LANGUAGE sql AS
	\$\$SELECT mallory.try_all('jsonb_typeof')::text\$\$;
	CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS
	\$\$SELECT mallory.try_all('lower')::text\$\$;

	SELECT kafka_subscribe('$topic', handler => 'mallory.on_event', into_table => 'mallory.rows',
		validator => 'mallory.is_valid', batch_size => 1)},
	@as_mallory);

$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 4 ]);
$node->wait_until_drained($kafka, $topic);

is( $node->safe_psql('postgres',
		'SELECT DISTINCT as_whom, session FROM mallory.attempts'),
	'mallory|mallory', 'everything ran as the owner of the server');
is( $node->safe_psql('postgres',
		'SELECT DISTINCT place FROM mallory.attempts ORDER BY 1'),
	join("\n",
		'check constraint', 'default', 'deferred_trigger', 'domain',
		'handler', 'held cursor', 'policy', 'row_trigger',
		'statement_trigger', 'temporary table', 'validator'),
	'in every place where user code runs, and in no other');
is( $node->safe_psql('postgres',
		q{SELECT DISTINCT statement FROM mallory.attempts WHERE outcome = 'done' ORDER BY 1}),
	"RESET ROLE\nRESET SESSION AUTHORIZATION",
	'and got nothing but itself');
is( $node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_roles WHERE rolname = 'mallory' AND (rolsuper OR pg_has_role(oid, 'victim', 'MEMBER'))}),
	'0', 'it is what it was');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_trigger WHERE tgrelid = 'kafka_events.positions'::regclass
		UNION ALL
		SELECT count(*) FROM pg_proc WHERE pronamespace = 'kafka_events'::regnamespace AND proowner = 'mallory'::regrole}),
	"0\n0", 'nothing of it is on or among the private objects');

# A superuser's server runs nothing of anybody else.
my ($ret, $out, $err) = $node->psql('postgres',
	qq{CREATE SERVER super FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '$address', service_name '$name.super');
	SELECT kafka_subscribe('$topic', handler => 'mallory.on_event', server => 'super')});
like($err, qr/superuser/, "a superuser's server refuses another's function");
($ret, $out, $err) = $node->psql('postgres',
	qq{SELECT kafka_subscribe('$topic', into_table => 'mallory.rows', server => 'super')});
like($err, qr/superuser/, "a superuser's server refuses another's table");

# A server made over to a superuser stops instead of running the owner's code.
$node->safe_psql('postgres', 'DELETE FROM mallory.attempts; ALTER ROLE mallory SUPERUSER');
$node->safe_psql('postgres', qq{ALTER SERVER shop OWNER TO "$superuser"; ALTER ROLE mallory NOSUPERUSER});
$kafka->produce($topic, ['{"id": 5}']);
$node->wait_for(
	qq{SELECT status = 'broken' FROM kafka_subscriptions WHERE server = 'shop' AND topic = '$topic'});
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM mallory.attempts WHERE as_whom <> 'mallory'"),
	'0', 'a server made over to a superuser runs nothing');

# A role that may not log in any more is stopped.
$node->safe_psql('postgres', 'ALTER SERVER shop OWNER TO mallory');
$node->wait_until_drained($kafka, $topic);
$node->safe_psql('postgres', 'ALTER ROLE mallory NOLOGIN');
$kafka->produce($topic, ['{"id": 6}']);
$node->safe_psql('postgres',
	q{SELECT pg_terminate_backend(pid) FROM kafka_consumer_health WHERE server = 'shop' AND role = 'main'});
$node->wait_for(
	q{SELECT bool_or(last_error ~ 'not permitted to log in' OR status_reason ~ 'log in')
		FROM kafka_consumer_health h LEFT JOIN kafka_subscriptions s USING (server) WHERE server = 'shop'});
is($node->safe_psql('postgres', 'SELECT count(*) FROM mallory.rows WHERE id = 6'),
	'0', 'NOLOGIN stops the owner\'s consumers');

$node->stays_up_ok;
$node->stop;

done_testing();
