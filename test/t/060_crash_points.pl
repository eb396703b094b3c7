# A process that dies by kill -9 at each step that matters: nothing is lost,
# nothing has a second effect.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main',
	conf => "log_min_messages = warning\n");
my $service = $node->create_service($kafka, 'shop');

$node->skip_unless_test_build;

$node->safe_psql('postgres', qq{
	CREATE TABLE rows (id bigint, kafka_partition int, kafka_offset bigint);
	CREATE TABLE calls (id bigint);
	CREATE FUNCTION on_event(j jsonb) RETURNS void LANGUAGE sql AS
	\$\$ INSERT INTO calls VALUES ((j ->> 'id')::bigint) \$\$;
	SELECT kafka_subscribe('$topic', handler => 'on_event', into_table => 'rows',
		batch_size => 50)});

my $sent = 0;

sub produce
{
	$kafka->produce($topic, [ map { qq({"id": $_}) } $sent + 1 .. $sent + 500 ]);
	$sent += 500;
}

produce();
$node->wait_until_drained($kafka, $topic);

foreach my $point (
	qw(after_claim in_handler before_commit after_commit
	before_kafka_commit after_kafka_commit))
{
	$node->crash_at($point);
	# a claim needs a reason
	$node->safe_psql('postgres',
		'SELECT pg_terminate_backend(pid) FROM kafka_consumer_health')
	  if $point eq 'after_claim';
	produce();
	ok($node->has_crashed, "$point: a process died there");
	$node->poll_query_until('postgres', 'SELECT true');
	$node->wait_until_drained($kafka, $topic);
	is( $node->safe_psql('postgres', q{
			SELECT count(*), count(DISTINCT id) FROM rows
			UNION ALL SELECT count(*), count(DISTINCT id) FROM calls}),
		"$sent|$sent\n$sent|$sent", "$point: every event has its effect once");
}

$node->stop;

done_testing();
