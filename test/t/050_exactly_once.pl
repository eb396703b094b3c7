# 200 000 committed events of an independent client, keyed, with headers and
# timestamps, some in transactions, some of those aborted: each has its effect
# once, in order, and Kafka's own tools agree about the end.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 4);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop', workers => 2);
my $dir = PostgreSQL::Test::Utils::tempdir('journal');

$node->safe_psql('postgres', qq{
	CREATE TABLE events (
		arrival bigint GENERATED ALWAYS AS IDENTITY,
		id bigint, key text, pad text,
		kafka_partition integer, kafka_offset bigint,
		kafka_timestamp timestamptz, kafka_headers jsonb);
	CREATE TABLE calls (
		arrival bigint GENERATED ALWAYS AS IDENTITY,
		id bigint, part integer, off bigint);
	CREATE FUNCTION on_event(m kafka_message) RETURNS void LANGUAGE plpgsql AS
	\$\$
	BEGIN
		INSERT INTO calls (id, part, off)
		VALUES ((convert_from(m.value, 'UTF8')::jsonb ->> 'id')::bigint,
			m.partition, m."offset");
	END
	\$\$;
	SELECT kafka_subscribe('$topic', handler => 'on_event',
		into_table => 'events')});

# Half of the events are there while the workers join, half come meanwhile.
my @producers = (
	$kafka->start_producer($topic, count => 120_000, pad => 50,
		journal => "$dir/plain"),
	$kafka->start_producer($topic, count => 100_000, first => 1_000_001,
		transactional => 'exactly-once', abort => 5, pad => 50,
		journal => "$dir/transactional"));

$node->wait_for_workers('shop', 2);
$_->finish or die 'a producer failed' foreach @producers;
$node->wait_until_drained($kafka, $topic);

my @journal =
  map { $kafka->read_journal("$dir/$_") } qw(plain transactional);
my $committed = grep { $_->{state} eq 'committed' } @journal;
my $aborted = grep { $_->{state} eq 'aborted' } @journal;

is($committed, 200_000, 'that many events were committed');
cmp_ok($aborted, '>=', 10_000, 'and some were aborted');

foreach my $effect ([ 'events', 'kafka_partition', 'kafka_offset' ],
	[ 'calls', 'part', 'off' ])
{
	my ($table, $part, $off) = @$effect;

	is( $node->safe_psql('postgres',
			"SELECT count(*), count(DISTINCT id) FROM $table"),
		"$committed|$committed",
		"$table: every event once");
	is( $node->safe_psql('postgres', qq{
			SELECT count(*) FROM (
				SELECT $off, lag($off) OVER
					(PARTITION BY $part ORDER BY arrival) AS before
				  FROM $table) AS o
			 WHERE before >= $off}),
		'0', "$table: in the order of each partition");
}

# ids of the journal, loaded beside the effects
append_to_file("$dir/committed", join('', map { "$_->{id}\n" }
	grep { $_->{state} eq 'committed' } @journal));
$node->safe_psql('postgres',
	"CREATE TABLE journal (id bigint); COPY journal FROM '$dir/committed'");
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM journal FULL JOIN events USING (id)
		 WHERE journal.* IS NULL OR events.* IS NULL}),
	'0', 'exactly the acknowledged events, no aborted one');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM events
		 WHERE kafka_headers ->> 'id' IS DISTINCT FROM id::text
			OR kafka_headers ->> 'source' IS DISTINCT FROM 'kafkajs'
			OR abs(extract(epoch FROM now() - kafka_timestamp)) > 3600
			OR length(pad) <> 50}),
	'0', 'headers, timestamps and fields are those of the event');

is( $node->safe_psql('postgres', qq{
		SELECT sum(lag_messages), count(*), count(DISTINCT consumer_id)
		  FROM kafka_consumer_lag WHERE topic = '$topic'}),
	'0|4|2', 'lag is 0, control records included; both workers had a share');

ok($kafka->wait_for_group("$service-main", $topic),
	'kafka-consumer-groups sees lag 0');
is_deeply([ grep { /^\Q$service\E/ } $kafka->groups ], ["$service-main"],
	'the only group is the main group');
like($kafka->tool('groups', '--describe', '--state', '--group',
		"$service-main"),
	qr/cooperative-sticky\s+Stable\s+2\b/,
	'two members, cooperative-sticky');

$node->stays_up_ok;
$node->stop;

done_testing();
