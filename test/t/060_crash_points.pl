# A process that dies by kill -9 at each step that matters: nothing is lost,
# nothing has a second effect.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main',
	conf => "log_min_messages = warning\n");
my $service = $node->create_service($kafka, 'shop');
my $marker = $node->data_dir . '/kafka_events.crashed';

plan skip_all => 'not a test build (COPT=-DKE_TESTING)'
  if $node->safe_psql('postgres',
	"SELECT count(*) FROM pg_settings WHERE name = 'kafka_events.test_fence'")
  eq '0';

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
	unlink $marker;
	$node->append_conf('postgresql.conf',
		"kafka_events.test_crash_point = '$point'");
	$node->reload;
	# a claim needs a reason
	$node->safe_psql('postgres',
		'SELECT pg_terminate_backend(pid) FROM kafka_consumer_health')
	  if $point eq 'after_claim';
	produce();
	ok(eval { wait_for_file($marker); 1 }, "$point: a process died there");
	$node->poll_query_until('postgres', 'SELECT true');
	$node->wait_until_drained($kafka, $topic);
	is( $node->safe_psql('postgres', q{
			SELECT count(*), count(DISTINCT id) FROM rows
			UNION ALL SELECT count(*), count(DISTINCT id) FROM calls}),
		"$sent|$sent\n$sent|$sent", "$point: every event has its effect once");
}

sub wait_for_file
{
	my ($file) = @_;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if -e $file;
		usleep(100_000);
	}
	die "no $file";
}

$node->stop;

done_testing();
