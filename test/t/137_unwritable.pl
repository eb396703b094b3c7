# A topic that the Kafka user may see but not write to: its messages and dead
# letters are set aside with the reason, and hold up no others.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_secure;
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service(
	$kafka, 'shop',
	bootstrap_servers => $kafka->address('sasl_plaintext'),
	security_protocol => 'sasl_plaintext',
	sasl_mechanism => 'PLAIN');

$kafka->create_topic($_) foreach qw(orders orders.dlq returns secret);
$kafka->tool(
	'acls', '--add', '--allow-principal', 'User:bob', '--operation', 'All',
	map { ("--$_", '*') } qw(topic group transactional-id));
$kafka->tool('acls', '--add', '--deny-principal', 'User:bob', '--operation',
	'Write', '--topic', $_)
  foreach qw(returns secret);
$node->safe_psql(
	'postgres', q{
	CREATE USER MAPPING FOR CURRENT_USER SERVER shop
		OPTIONS (username 'bob', password 'builder');
	CREATE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS '';
	SELECT kafka_subscribe(topic, handler => 'on_order') FROM unnest('{orders,returns}'::text[]) topic});

# ---- events

$node->safe_psql(
	'postgres', q{
	SELECT kafka_produce('orders', '1');
	SELECT kafka_produce('secret', 'x') FROM generate_series(1, 500);
	SELECT kafka_produce('orders', '2')});
$node->wait_for(
	'SELECT pending_total, published_total, parked_total FROM kafka_outbox_status',
	'0|2|500', 'everything to be published or parked');
is( $node->safe_psql(
		'postgres',
		'SELECT DISTINCT topic, reason FROM kafka_outbox_parked'),
	'secret|topic "secret": Broker: Topic authorization failed (The Kafka user needs Write on the topic.)',
	'what may not be written is parked, and says what is missing');
is(join(' ', map { $_->{payload} } $kafka->consume('orders')),
	'1 2', '... and the others are published, in order');

$kafka->tool('acls', '--remove', '--force', '--deny-principal', 'User:bob',
	'--operation', 'Write', '--topic', 'secret');
$node->wait_for(
	q{
	SELECT (SELECT count(kafka_outbox_retry(id)) FROM kafka_outbox_parked),
		   pending_total, parked_total FROM kafka_outbox_status},
	'0|0|0', 'all of them to be taken when that is allowed');
is(scalar $kafka->consume('secret'), 500, '... once each');

# ---- dead letters

sub letters
{
	my ($from, @topics) = @_;

	return map { {
			value => sprintf(q({"id": %d}), $from + $_),
			partition => 0,
			headers => {
				'x-service' => $service,
				'x-original-topic' => $topics[ $_ % @topics ] } }
	} 0 .. 99;
}

$kafka->produce_messages('orders.dlq', letters(100, qw(orders returns)));
is( $node->safe_psql(
		'postgres', q{
		SET client_min_messages = warning;
		CREATE TEMPORARY TABLE run AS SELECT * FROM kafka_dlq_reprocess('orders');
		SELECT total, successful, failed FROM run;
		SELECT DISTINCT message->>'error' FROM run, jsonb_array_elements(messages) message
		 WHERE message->>'status' = 'failed'}),
	"100|50|50\ntopic \"returns\" is refused by the broker: Broker: Topic authorization failed (The Kafka user needs Write on the topic.)",
	'letters for a topic that may not be written fail, and no others');
is(scalar $kafka->consume('orders'), 52, '... which are sent once each');
is(scalar $kafka->consume('returns'), 0, '... and those are not');
is( $node->safe_psql('postgres',
		q{SELECT pending FROM kafka_dlq_stats('orders')}),
	'50', '... but stay pending');

$node->stays_up_ok;
$node->stop;
done_testing();
