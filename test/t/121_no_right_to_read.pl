
# What the Kafka user may not do, and who it is not: in the view where one
# looks first, in health and the metrics, and once in the log.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_secure;
my $node = KafkaEvents::Node->start_new('main');

sub warnings_since
{
	my ($offset, $pattern) = @_;

	return
	  scalar(grep { /$pattern/ }
		  slurp_file($node->logfile, $offset) =~ /WARNING:  (.*)/g);
}

sub rights
{
	my ($what, $operation, @on) = @_;

	$kafka->tool('acls', "--$what", '--force', '--allow-principal',
		'User:bob', '--operation', $operation, @on);
	return;
}

my $service = $node->create_service(
	$kafka, 'shop',
	bootstrap_servers => $kafka->address('sasl_plaintext'),
	security_protocol => 'sasl_plaintext',
	sasl_mechanism => 'PLAIN');

# ---- a wrong password

my $offset = -s $node->logfile;
$kafka->create_topic('orders', partitions => 2);
$node->safe_psql('postgres',
	q{CREATE USER MAPPING FOR CURRENT_USER SERVER shop
		OPTIONS (username 'bob', password 'wrong');
	  CREATE TABLE orders (id bigint)});
$node->psql('postgres',
	q{SELECT kafka_subscribe('orders', into_table => 'orders', start_from => 'earliest')});
my $says = q{~ '^could not reach Kafka at "[^"]+": .*uthentication.*Check username and password in the user mapping'};
$node->becomes(
	qq{SELECT (SELECT status_reason $says FROM kafka_subscriptions),
			  (SELECT reason $says FROM kafka_consumer_health WHERE role = 'main'),
			  (SELECT message ~ 'uthentication' FROM kafka_health())},
	't|t|t',
	'a wrong password is named in all three views');
$node->wait_for_log(qr/WARNING:  server "shop": could not reach Kafka/, $offset);
is(warnings_since($offset, '^server "shop": could not reach Kafka'),
	1, '... and once in the log');

$offset = -s $node->logfile;
rights('add', 'Read', '--topic', 'orders');
rights('add', 'Describe', '--topic', 'orders');
rights('add', 'Read', '--group', $service, '--resource-pattern-type', 'prefixed');
$node->safe_psql('postgres',
	q{ALTER USER MAPPING FOR CURRENT_USER SERVER shop OPTIONS (SET password 'builder')});
$kafka->produce('orders', ['{"id": 1}'], '-p', 0);
$node->becomes('SELECT id FROM orders', '1', 'the right one');
$node->becomes(
	'SELECT status_reason IS NULL FROM kafka_subscriptions',
	't', '... leaves no reason');

# ---- Read is taken, Describe stays

$offset = -s $node->logfile;
rights('remove', 'Read', '--topic', 'orders');
$node->wait_for_log(qr/WARNING:  .*the Kafka user needs Read on topic "orders"/, $offset);
$kafka->produce('orders', ['{"id": 2}'], '-p', 0);
$kafka->produce('orders', ['{"id": 3}'], '-p', 1);
$says = q{~ 'the Kafka user needs Read on topic "orders"'};
my $seen = qq{
	SELECT (SELECT status || ': ' || (status_reason $says)::text FROM kafka_subscriptions),
		   (SELECT status || ': ' || (message $says)::text || ' ' || lag_messages FROM kafka_health()),
		   (SELECT sum(lag_messages) FROM kafka_consumer_lag WHERE role = 'main'),
		   (SELECT max(right(line, 1))
			  FROM regexp_split_to_table(kafka_metrics_prometheus(), '\\n') AS line
			 WHERE line ~ '^kafka_events_subscription_troubled\\W')};
$node->becomes(
	$seen,
	'active: true|degraded: true 2|2|1',
	'no right to read a topic: named, and what waits is counted');

# the manager looks again, and nothing of that goes
my $heartbeat = $node->safe_psql('postgres',
	q{SELECT max(last_heartbeat) + interval '5 s' FROM kafka_consumer_health});
$node->wait_for(
	"SELECT max(last_heartbeat) > '$heartbeat' FROM kafka_consumer_health",
	't', 'some rounds');
is($node->safe_psql('postgres', $seen), 'active: true|degraded: true 2|2|1',
	'... for as long as it lasts');

# who looks at messages is told at once, and not after a time of silence
my ($status, $out, $err) = $node->psql('postgres',
	q{SET kafka_events.request_timeout = '10min';
	  SELECT * FROM kafka_messages('orders', 1, partition => 0)}, timeout => 60);
like($err, qr/ERROR:  could not read topic "orders": .*uthoriz/,
	'... also to who looks at messages');
is(warnings_since($offset, 'needs Read'), 1, '... with one warning');

rights('add', 'Read', '--topic', 'orders');
$node->becomes('SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM orders',
	'1 2 3', 'with the right, all comes');
$node->becomes(
	q{SELECT status, message IS NULL, lag_messages FROM kafka_health()},
	'up|t|0', '... and all is well');

$node->stays_up_ok;
$node->stop;

done_testing();
