# Messages that fail one after the other may share a transaction: all of them have
# their copies, once and in order, and what lies between them its effects.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

use constant MESSAGES => 2000;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop');
$node->safe_psql('postgres', q{
	CREATE TABLE effects (topic text, value int);
	CREATE FUNCTION reject_all(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM kafka_reject('not today');
	END $$;
	CREATE FUNCTION reject_most(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		value int := convert_from(m.value, 'UTF8')::int;
	BEGIN
		IF value % 50 <> 0 THEN
			PERFORM kafka_reject('not today');
		END IF;
		INSERT INTO effects VALUES (m.topic, value);
	END $$});

# Consume the numbers 1 to MESSAGES with this handler, and return the topic.
sub consume_all
{
	my ($name, $handler, $letters) = @_;
	my $topic = $kafka->create_topic($kafka->unique($name));

	$kafka->produce($topic, [ 1 .. MESSAGES ]);
	$node->safe_psql('postgres',
		"SELECT kafka_subscribe('$topic', handler => '$handler',
			start_from => 'earliest', breaker_threshold => 0)");
	$node->wait_for(
		"SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'",
		$letters, "$letters dead letters of $topic");
	$node->wait_for('SELECT pending_total FROM kafka_outbox_status', 0,
		'all of them are published');
	return $topic;
}

sub letters
{
	my ($topic) = @_;

	return map { $_->{payload} } $kafka->consume("$topic.dlq");
}

my $all = consume_all('all', 'reject_all', MESSAGES);
is_deeply([ letters($all) ], [ 1 .. MESSAGES ],
	'each message is a dead letter, once and in order');
my $most = consume_all('most', 'reject_most', MESSAGES - MESSAGES / 50);
is_deeply([ letters($most) ], [ grep { $_ % 50 != 0 } 1 .. MESSAGES ],
	'likewise those between messages that go well');
is($node->safe_psql('postgres', qq{
	SELECT count(*), count(DISTINCT value), bool_and(value % 50 = 0)
	  FROM effects WHERE topic = '$most'}),
	join('|', MESSAGES / 50, MESSAGES / 50, 't'),
	'which have their effects, once');

$node->stop;
done_testing();
