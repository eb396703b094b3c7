
# A link to the brokers that is slow, breaks or says nothing: everything goes
# on, or what is wrong is said.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_far;
my $link = $kafka->far_link;
my $far = $kafka->address('far');
my $node = KafkaEvents::Node->start_new('main');

$kafka->create_topic('orders', partitions => 2);
$kafka->create_topic('out');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id bigint, size int);
	CREATE FUNCTION on_failure(e jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		RAISE EXCEPTION 'no';
	END $$});

# ---- answers take longer than a process waits for them at a time

$link->set(delay => 0.35);
$kafka->produce('orders', [ map { qq({"id": $_}) } 1 .. 10 ]);
$node->safe_psql(
	'postgres', qq{
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '$far', service_name 'shop')});
$node->safe_psql('postgres',
	q{SELECT kafka_subscribe('orders', into_table => 'orders')});
$node->wait_for('SELECT count(*) FROM orders', 10, 'rows over a slow link');
pass('messages arrive over a link whose answers take 700 ms');

is( $node->safe_psql(
		'postgres', q{
		SELECT string_agg(topic, ' ' ORDER BY topic)
		  FROM kafka_topics() WHERE topic IN ('orders', 'out')}),
	'orders out',
	'topics are listed');
$node->becomes(q{SELECT status FROM kafka_health('shop')},
	'up', 'and the server is up');
$node->becomes(
	q{SELECT count(*) FROM kafka_production_check('shop')
	   WHERE detail ~ 'could not reach|no answer|^[0-9A-Z]{5}(;|$)'},
	0, 'the production check has its answers');

is($node->safe_psql('postgres', q{SELECT kafka_topic_create('made')}),
	't', 'a topic is made');
$node->safe_psql('postgres', q{SELECT kafka_produce('out', 'hello')});
$kafka->wait_for_records('out', 1);
pass('an event is published');

# A late join, with nothing known of the group, and a dead letter.
$node->safe_psql(
	'postgres', q{
	SELECT kafka_subscribe('made', handler => 'on_failure',
						   max_retries => 0)});
$kafka->produce('made', ['{}']);
$node->becomes(
	q{SELECT pending FROM kafka_dlq_stats('made')}, 1, 'a dead letter is counted');
$node->safe_psql(
	'postgres', q{
	CREATE OR REPLACE FUNCTION on_failure(e jsonb) RETURNS void
		LANGUAGE sql AS ''});
is( $node->safe_psql(
		'postgres', q{
		SELECT successful, failed FROM kafka_dlq_reprocess('made')}),
	'1|0',
	'and reprocessed');

# ---- a narrow link: 20 kB/s

$link->set(rate => 20_000);
$kafka->produce('orders',
	[ map { sprintf '{"id": %d, "size": %d}', $_, $_ } 11 .. 2000 ]);
$node->wait_for('SELECT count(*) FROM orders', 2000, 'rows over 20 kB/s');
pass('messages arrive over a narrow link');
is( $node->safe_psql('postgres', q{SELECT count(*) > 0 FROM kafka_topics()}),
	't',
	'topics are listed over it');

# ---- connections that live two seconds

$link->set(reset => 2);
$node->kill_worker('shop', 'TERM');
$kafka->produce('orders', [ map { qq({"id": $_}) } 2001 .. 2100 ]);
$node->wait_for('SELECT count(*) FROM orders',
	2100, 'rows over connections that break');
pass('messages arrive over connections that break every two seconds');

# ---- nothing comes, and nothing is closed

$link->set(silent => 1);
$kafka->produce('orders', [ map { qq({"id": $_}) } 2101 .. 2200 ]);
$node->becomes(
	q{SELECT status <> 'up' AND message IS NOT NULL FROM kafka_health('shop')},
	't', 'a link that says nothing shows in kafka_health');
my ($result, $output, $error) =
  $node->psql('postgres', 'SELECT count(*) FROM kafka_topics()');
isnt($result, 0, 'who asks hears of it');
like($error, qr/could not reach Kafka at/, 'by name');

$link->set;
$node->wait_for('SELECT count(*) FROM orders', 2200, 'rows after a black hole');
$node->becomes(
	q{SELECT status <> 'down' AND lag_messages = 0
		FROM kafka_health('shop')},
	't', 'everything goes on when the link is back');
is( $node->safe_psql(
		'postgres',
		'SELECT count(*), count(DISTINCT id) FROM orders'),
	'2200|2200',
	'each message once');
$node->stays_up_ok;
done_testing();
