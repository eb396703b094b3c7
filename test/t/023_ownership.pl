# Roles come and go under running consumers, and nobody gets a superuser's
# consumers to run his code.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'));
my $trap = $kafka->create_topic($kafka->unique('trap'));
my $node = KafkaEvents::Node->start_new('main');

$node->safe_psql('postgres', qq{
	CREATE ROLE first LOGIN;
	CREATE ROLE second LOGIN;
	CREATE TABLE effects (id bigint, by name DEFAULT current_user);
	GRANT INSERT ON effects TO PUBLIC;
	GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO first, second;
	GRANT CREATE ON SCHEMA public TO first;
	SET ROLE first;
	CREATE FUNCTION note(v jsonb) RETURNS void LANGUAGE sql AS
	\$\$INSERT INTO effects VALUES ((v->>'id')::bigint)\$\$;
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS
		(bootstrap_servers '@{[ $kafka->address ]}', service_name '@{[ $kafka->unique('shop') ]}');
	SELECT kafka_subscribe('$topic', handler => 'note')});

my $id = 0;

# Produce a message; see that it is processed, and by whom.
sub processed_by
{
	my ($role, $name) = @_;

	$id++;
	$kafka->produce($topic, [qq({"id": $id})]);
	$node->wait_for("SELECT count(*) FROM effects WHERE id = $id", '1', $name);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres', "SELECT by FROM effects WHERE id = $id"),
		$role, $name);
}

processed_by('first', "consumers are sessions of the server's owner");

# what a role owns goes to another one
$node->safe_psql('postgres', 'REASSIGN OWNED BY first TO second');
is($node->safe_psql('postgres', 'SELECT owner FROM kafka_subscriptions'),
	'second', 'REASSIGN OWNED takes server and subscription along');
processed_by('second', 'and its consumers');
$node->safe_psql('postgres', q{
	ALTER SERVER shop OWNER TO first;
	ALTER FUNCTION note(jsonb) OWNER TO first});
is($node->safe_psql('postgres', q{
		SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relkind = 'f'}),
	'first', 'ALTER SERVER OWNER takes the subscription along');
processed_by('first', 'and its consumers');

# a kill switch of every administrator
$node->safe_psql('postgres', 'ALTER ROLE first NOLOGIN');
$node->wait_for('SELECT status FROM kafka_subscriptions', 'broken');
$node->wait_for(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'first'},
	'0', 'NOLOGIN to stop the consumers');
$node->safe_psql('postgres', 'ALTER ROLE first LOGIN');
processed_by('first', 'LOGIN lets them go on');

# a superuser's server: functions and tables of others are refused, whichever
# way they come
$node->safe_psql('postgres', qq{
	CREATE ROLE boss LOGIN SUPERUSER;
	SET ROLE boss;
	CREATE FUNCTION trap(v jsonb) RETURNS void LANGUAGE sql AS
	\$\$INSERT INTO effects VALUES (-1)\$\$;
	CREATE SERVER boss FOREIGN DATA WRAPPER kafka_events OPTIONS
		(bootstrap_servers '@{[ $kafka->address ]}', service_name '@{[ $kafka->unique('boss') ]}');
	SELECT kafka_subscribe('$trap', handler => 'trap', server => 'boss')});
$kafka->produce($trap, ['{"id": 0}']);
$node->wait_for('SELECT by FROM effects WHERE id = -1', 'boss',
	"the superuser's consumer to run his function");
$node->safe_psql('postgres', 'DELETE FROM effects WHERE id = -1');
my ($ret, $out, $err) =
  $node->psql('postgres', 'ALTER FUNCTION trap(jsonb) OWNER TO first');
like($err, qr/function public.trap\(jsonb\) belongs to "first", who is not/,
	'ALTER FUNCTION OWNER is refused');

# REASSIGN OWNED moves server and function, so make the function another
# superuser's first
$node->safe_psql('postgres', q{
	CREATE ROLE other_boss SUPERUSER;
	ALTER FUNCTION trap(jsonb) OWNER TO other_boss;
	REASSIGN OWNED BY other_boss TO first});
$node->wait_for(
	q{SELECT status || ' ' || status_reason FROM kafka_subscriptions WHERE server = 'boss'},
	q{broken The server's owner is a superuser, but function public.trap(jsonb) belongs to "first", who is not},
	'REASSIGN OWNED to break it');
$kafka->produce($trap, ['{"id": 0}']);
processed_by('first', 'others are not concerned');
is($node->safe_psql('postgres', 'SELECT count(*) FROM effects WHERE id = -1'),
	'0', "a stranger's function does not run as superuser");

# and a superuser who is none any more
$node->safe_psql('postgres', 'ALTER FUNCTION trap(jsonb) OWNER TO other_boss');
$node->wait_for('SELECT count(*) FROM effects WHERE id = -1', '1',
	'the subscription to go on by itself');
$node->safe_psql('postgres', 'ALTER ROLE other_boss NOSUPERUSER');
$node->wait_for(
	q{SELECT status FROM kafka_subscriptions WHERE server = 'boss'},
	'broken', 'NOSUPERUSER to break it');
$kafka->produce($trap, ['{"id": 0}']);
processed_by('first', 'others are not concerned');
is($node->safe_psql('postgres', 'SELECT count(*) FROM effects WHERE id = -1'),
	'1', 'nothing more has run');
$node->safe_psql('postgres', 'ALTER ROLE other_boss SUPERUSER');
$node->wait_for('SELECT count(*) FROM effects WHERE id = -1', '2',
	'it to go on');

# owners that go away
my $stderr;
$node->psql('postgres', 'DROP ROLE first', stderr => \$stderr);
like($stderr, qr/role "first" cannot be dropped because some objects depend on it/,
	'a role with subscriptions is not dropped');
like($stderr, qr/owner of foreign table kafka_events."\Q$topic\E"/, 'and they are named');
$node->safe_psql('postgres', 'DROP OWNED BY first CASCADE; DROP ROLE first');
$node->wait_for(q{SELECT count(*) FROM kafka_subscriptions WHERE server = 'shop'}, '0');
$node->wait_for(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'first'},
	'0', 'consumers to end');

# the extension goes while others consume
$node->safe_psql('postgres', 'DROP EXTENSION kafka_events CASCADE');
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'kafka_events %' AND datname IS NOT NULL},
	'0', 'all processes of the database to end');

$node->stays_up_ok;
$node->stop;
done_testing();
