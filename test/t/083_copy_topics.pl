# Topics for retry copies and dead letters: made with the right settings
# before anything fails; and if nobody may make them, copies wait.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 3,
	config => { 'max.message.bytes' => 2_000_000 });
my $own = $kafka->create_topic($kafka->unique('own'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');

# Settings of a topic, as Kafka's own tool has them.
sub settings
{
	my ($name, @settings) = @_;
	my $text = $kafka->tool('configs', '--describe', '--all', '--entity-type',
		'topics', '--entity-name', $name);

	return join ' ',
	  map { $text =~ /^\s*\Q$_\E=(\S*)/m ? "$_=$1" : "no $_" }
	  @settings;
}

sub wait_for_topic
{
	my ($name) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $deadline)
	{
		my $count = eval { $kafka->partition_count($name) };

		return $count if $count;
	}
	die "no topic $name";
}

$node->create_service($kafka, 'shop', dlq_retention => '3 days');
$node->safe_psql('postgres', qq{
	CREATE FUNCTION fail(jsonb) RETURNS void LANGUAGE plpgsql AS
	\$\$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'KE002'; END \$\$;
	SELECT kafka_subscribe('$topic', handler => 'fail');
	SELECT kafka_subscribe('$own', handler => 'fail', ordering => 'key', dlq => false)});

is(wait_for_topic("$topic.retry"), 3, 'a retry topic like its source topic');
is(wait_for_topic("$topic.dlq"), 3, '... and one for dead letters');
is( settings("$topic.retry", 'cleanup.policy', 'max.message.bytes'),
	'cleanup.policy=delete max.message.bytes=2065536',
	'settings of the retry topic');
is( settings("$topic.dlq", 'cleanup.policy', 'max.message.bytes', 'retention.ms'),
	'cleanup.policy=delete max.message.bytes=2065536 retention.ms=259200000',
	'settings of the topic for dead letters');
is(eval { $kafka->partition_count("$own$_") } // 0, 0, "no topic $own$_")
  foreach '.retry', '.dlq';

# A topic that is gone is made again when a copy has nowhere to go.
$kafka->delete_topic("$topic.dlq");
$kafka->produce($topic, ['{"id": 1}'], '-k', 'k');
$node->wait_for(
	'SELECT published_total, pending_total, parked_total FROM kafka_outbox_status',
	'1|0|0', 'the dead letter');
my @letters = $kafka->consume("$topic.dlq");
is($letters[0]->{payload}, '{"id": 1}', 'the dead letter arrives');
is(wait_for_topic("$topic.dlq"), 3, '... in a topic made on first need');

# Options that say otherwise; and nobody makes topics.
my $strict = $kafka->create_topic($kafka->unique('strict'), partitions => 2);
my $few = $kafka->create_topic($kafka->unique('few'), partitions => 2);
$node->create_service($kafka, 'few', topic_partitions => 1, dlq_suffix => '.dead');
$node->create_service($kafka, 'strict', create_topics => 'off');
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$few', handler => 'fail', server => 'few');
	SELECT kafka_subscribe('$strict', handler => 'fail', max_retries => 0, server => 'strict')});
is(wait_for_topic("$few.dead"), 1, 'as many partitions as the server says');
$kafka->produce($strict, [ map { qq({"id": $_}) } 1 .. 3 ], '-p', 0);
my $status = q{
	SELECT pending_total, parked_total, published_total, last_error
	  FROM kafka_outbox_status WHERE server = 'strict'};
my $missing =
  qq{topic "$strict.dlq" does not exist, and the server option create_topics is off};
$node->wait_for($status, "3|0|0|$missing", 'copies to wait');
$node->becomes(
	q{SELECT last_error FROM kafka_consumer_health WHERE role = 'relay' AND server = 'strict'},
	$missing, 'the health of the relay says which topic is missing');
$node->safe_psql('postgres',
	"SELECT kafka_produce('$own', '{}'::text, server => 'strict')");
$node->wait_for(
	q{SELECT published_total FROM kafka_outbox_status WHERE server = 'strict'},
	'1', 'other messages, which do not wait');
$node->restart;
$kafka->create_topic("$strict.dlq");
$node->wait_for($status, '0|0|4|', 'copies that have waited');
is_deeply([ map { $_->{payload} } $kafka->consume("$strict.dlq") ],
	[ map { qq({"id": $_}) } 1 .. 3 ], '... arrive in order');

$node->stays_up_ok;
$node->stop;

done_testing();
