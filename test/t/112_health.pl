
# kafka_health tells what is wrong, in words that say what to do; and what
# the cluster has and gets: kafka_topics, kafka_topic_create.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_secure;
my $node = KafkaEvents::Node->start_new('main');

sub health
{
	my ($server, $columns) = @_;

	return $node->safe_psql('postgres',
		"SELECT $columns FROM kafka_health('$server')");
}

# Until it has this status, for this reason.
sub wait_for_health
{
	my ($server, $status, $reason) = @_;

	$node->wait_for(
		qq{SELECT status = '$status' AND coalesce(message, '') ~ '$reason'
			 FROM kafka_health('$server')},
		't', "$server to be $status: $reason");
	pass("$status: $reason");
	return;
}

$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id bigint);
	CREATE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS ''});

# ---- topics

is( $node->safe_psql(
		'postgres', q{
		SELECT kafka_topic_create('orders', 3, 1,
			'{"retention.ms": 3600000, "cleanup.policy": "delete", "preallocate": false}'),
			   kafka_topic_create('orders', 3),
			   kafka_topic_create('by.default');
		SELECT string_agg(t::text, ' ' ORDER BY topic)
		  FROM kafka_topics() t WHERE topic ~ '^[a-z]'}),
	"t|f|t\n(by.default,1,1) (orders,3,1)",
	'topics are created if they are not there, and are there at once');
like(
	$kafka->tool(
		'configs', '--describe', '--entity-type', 'topics',
		'--entity-name', 'orders'),
	qr/retention\.ms=3600000/,
	'... with their properties');

my ($out, $err);
$node->psql(
	'postgres',
	q{SELECT kafka_topic_create('other', config => '{"no.such.property": 1}')},
	stderr => \$err);
like(
	$err,
	qr/ERROR:  cannot create topic "other" on server "shop": .*no\.such\.property/,
	'what the cluster refuses is an error');
$node->psql(
	'postgres',
	q{SELECT kafka_topic_create('other', 1, 2)},
	stderr => \$err);
like($err, qr/ERROR:  cannot create topic .*replication/i,
	'... with its reason');

# ---- all is well

like(
	health('shop', '*'),
	qr/^shop\|up\|1\|[\d.]+\|0\|0\|\|$/,
	'a server without subscriptions is up');
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('orders', into_table => 'orders', handler => 'on_order')");
wait_for_health('shop', 'up', '^$');
$node->wait_for(
	"SELECT lag_messages FROM kafka_health('shop')", '0', 'the lag');
$node->becomes(q{
	SELECT status, brokers, latency_ms > 0, consumers_running, consumers_expected,
		   lag_messages, message
	  FROM kafka_health('shop')},
	'up|1|t|1|1|0|', 'one with a consumer, too');

# ---- subscriptions that do not run

$node->safe_psql('postgres',
	"SELECT kafka_subscribe('no.such.topic', into_table => 'orders')");
wait_for_health('shop', 'degraded',
	'topic "no.such.topic" does not exist in the cluster');
$node->safe_psql('postgres', "SELECT kafka_unsubscribe('no.such.topic')");
wait_for_health('shop', 'up', '^$');

$node->safe_psql(
	'postgres', q{
	CREATE ROLE shopkeeper LOGIN;
	GRANT ALL ON TABLE orders TO shopkeeper;
	GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO shopkeeper;
	ALTER SERVER shop OWNER TO shopkeeper;
	REVOKE EXECUTE ON FUNCTION on_order FROM PUBLIC, shopkeeper});
wait_for_health('shop', 'down',
	'0 of 1 main consumers run: .*; topic "orders" is not consumed: .* no EXECUTE privilege');
$node->safe_psql('postgres',
	'GRANT EXECUTE ON FUNCTION on_order TO shopkeeper');
wait_for_health('shop', 'up', '^$');

# a partition whose position is gone from the log
$node->safe_psql('postgres', "SELECT kafka_consumer_pause('orders')");
$kafka->produce('orders', [ map { qq({"id": $_}) } 1 .. 10 ], '-p', 1);
wait_for_health('shop', 'up', '^$');
$kafka->delete_records('orders', 1, 10);
$node->safe_psql('postgres', "SELECT kafka_consumer_resume('orders')");
wait_for_health('shop', 'degraded',
	'1 partitions stopped: partition 1 of topic "orders"');
$node->safe_psql('postgres',
	q{SELECT FROM kafka_consumer_seek('orders', "position" => 'latest')});
wait_for_health('shop', 'up', '^$');

# a circuit breaker that is open, and what no broker takes
$node->safe_psql(
	'postgres', q{
	CREATE OR REPLACE FUNCTION on_order(jsonb) RETURNS void LANGUAGE plpgsql
		AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$;
	SELECT kafka_subscription_alter('orders', breaker_threshold => 1,
									breaker_timeout => '1 min')});
$kafka->produce('orders', [ map { qq({"id": $_}) } 1 .. 2 ], '-p', 0);
wait_for_health('shop', 'degraded',
	'the circuit breaker of topic "orders" is open');
$node->safe_psql(
	'postgres', q{
	CREATE OR REPLACE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS '';
	SELECT kafka_circuit_reset('orders')});
$node->wait_for('SELECT lag_messages FROM kafka_health()', '0',
	'the messages to be processed');
wait_for_health('shop', 'up', '^$');
$node->safe_psql('postgres',
	q{SELECT kafka_topic_create('small', 1, 1, '{"max.message.bytes": 100}');
	  SELECT kafka_produce('small', repeat(md5('x'), 100))});
wait_for_health('shop', 'degraded',
	'1 messages that no broker takes are parked');
$node->safe_psql('postgres',
	'SELECT kafka_outbox_discard(id) FROM kafka_outbox_parked');
wait_for_health('shop', 'up', '^$');

# the kill switch
$node->append_conf('postgresql.conf', 'kafka_events.enabled = off');
$node->reload;
wait_for_health('shop', 'down', 'kafka_events.enabled is off');
$node->append_conf('postgresql.conf', 'kafka_events.enabled = on');
$node->reload;
wait_for_health('shop', 'up', '^$');

# ---- clusters that cannot be reached

my %unreachable = (
	nobody => [
		{ bootstrap_servers => '127.0.0.1:1' },
		'could not reach Kafka at "127.0.0.1:1": .*Connection refused.*Check that the brokers run'
	],
	nowhere => [
		{ bootstrap_servers => 'no-such-host.invalid:9092' },
		'Failed to resolve .*Check the host names'
	],
	plain => [
		{ bootstrap_servers => $kafka->address('ssl') },
		'"security_protocol" is what (the|their) listener speaks'
	],
	stranger => [
		{
			bootstrap_servers => $kafka->address('sasl_plaintext'),
			security_protocol => 'sasl_plaintext',
			sasl_mechanism => 'PLAIN'
		},
		'Check username and password in the user mapping'
	]);
foreach my $server (sort keys %unreachable)
{
	my ($options, $reason) = @{ $unreachable{$server} };

	$node->create_service($kafka, $server, %$options);
	$node->safe_psql(
		'postgres', qq{
		CREATE USER MAPPING FOR CURRENT_USER SERVER $server
			OPTIONS (username 'alice', password 'wrong')})
	  if $server eq 'stranger';
	wait_for_health($server, 'down', $reason);
	$node->psql('postgres', "SELECT FROM kafka_topics('$server')",
		stderr => \$err);
	like(
		$err,
		qr/ERROR:  could not list the topics on server "$server": .*\nHINT: /,
		'... and where a row cannot say so, an error does');
	$node->safe_psql('postgres', "DROP SERVER $server CASCADE");
}

# ---- permissions that are missing

my $service = $node->create_service(
	$kafka, 'bobs',
	bootstrap_servers => $kafka->address('sasl_plaintext'),
	security_protocol => 'sasl_plaintext',
	sasl_mechanism => 'PLAIN');
$node->safe_psql(
	'postgres', q{
	CREATE USER MAPPING FOR CURRENT_USER SERVER bobs
		OPTIONS (username 'bob', password 'builder');
	CREATE TABLE bobs (id bigint)});
$node->psql('postgres',
	"SELECT kafka_subscribe('orders', into_table => 'bobs', server => 'bobs')");
wait_for_health('bobs', 'down',
	'0 of 1 main consumers run.*topic "orders": .*The Kafka user needs Read on the topic');
my @bob = ('--add', '--allow-principal', 'User:bob', '--operation', 'Read');
$kafka->tool('acls', @bob, '--topic', 'orders');
wait_for_health('bobs', 'down',
	qq{consumer group "$service-main": .*Read on the consumer group});
$kafka->tool('acls', @bob, '--group', "$service-main");
wait_for_health('bobs', 'up', '^$');
is( $node->safe_psql('postgres', 'SELECT count(*) FROM kafka_health()'),
	'2', 'without a name, all servers are asked');
$node->safe_psql('postgres', 'DROP SERVER bobs CASCADE');

# ---- brokers that die

foreach my $how ('freeze', 'kill9')
{
	my $started;

	$kafka->$how;
	$started = time;
	like(
		$node->safe_psql(
			'postgres', q{
			SET kafka_events.request_timeout = '10s';
			SELECT status, brokers IS NULL, latency_ms IS NULL, message
			  FROM kafka_health('shop')}),
		qr/^down\|t\|t\|could not reach Kafka at/,
		"a broker that got $how is down");
	cmp_ok(time - $started, '<', 15, '... within the time to ask, not the usual 30 s');
	$how eq 'freeze' ? $kafka->thaw : $kafka->restart;
	wait_for_health('shop', 'up', '^$');
}

$node->stays_up_ok;
$node->stop;

done_testing();
