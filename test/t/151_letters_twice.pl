# A relay that crashes sends copies again that it had sent.  A dead letter that
# is there twice has its effect once, whether its twins are reprocessed to the
# original topic or to be retried, together or one after the other; but what is
# read again after a seek runs again.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 1);
my $dlq = $kafka->create_topic("$topic.dlq", partitions => 1);
my $node = KafkaEvents::Node->start_new('main');

$node->skip_unless_test_build;
$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE effects (id bigint);
	CREATE TABLE broken ();
	INSERT INTO broken DEFAULT VALUES;
	CREATE FUNCTION handle(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF EXISTS (SELECT FROM broken) THEN PERFORM kafka_reject('no'); END IF;
		INSERT INTO effects VALUES ((m->>'id')::bigint);
	END \$\$;
	SELECT kafka_subscribe('$topic', handler => 'handle', breaker_threshold => 0)});

# The relay dies when it knows that letters are in Kafka, and has not stored it.
sub send_twice
{
	my ($from, $to) = @_;
	my $count = $kafka->count_records($dlq);

	$node->crash_at('relay: acknowledged');
	$kafka->produce($topic, [ map { qq({"id": $_}) } $from .. $to ]);
	ok($node->has_crashed, 'the relay dies');
	$node->becomes('SELECT sum(pending_total) FROM kafka_outbox_status',
		'0', '... and another one goes on');
	return $kafka->count_records($dlq) - $count;
}

sub reprocess
{
	my ($arguments) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SET client_min_messages = warning;
		SELECT failed FROM kafka_dlq_reprocess('$topic'$arguments)});
}

sub effects
{
	return $node->safe_psql('postgres',
		'SELECT count(*), count(DISTINCT id) FROM effects');
}

cmp_ok(send_twice(1, 5), '>', 5, 'letters are there twice');
$node->safe_psql('postgres', 'TRUNCATE broken');
is(reprocess(''), '0', 'they are reprocessed');
$node->wait_until_drained($kafka, $topic);
is(effects(), '5|5', '... and have their effect once');
cmp_ok(
	$node->safe_psql('postgres',
		q{SELECT skipped_total FROM kafka_metrics}),
	'>', 0, '... the others are counted');

$node->safe_psql('postgres', 'INSERT INTO broken DEFAULT VALUES');
cmp_ok(send_twice(6, 6), '==', 2, 'another letter is there twice');
$node->safe_psql('postgres', 'TRUNCATE broken');
is(reprocess(', max_messages => 1'), '0', 'one of them is reprocessed');
$node->wait_until_drained($kafka, $topic);
is(effects(), '6|6', '... and has its effect');
is(reprocess(''), '0', 'then the other');
$node->wait_until_drained($kafka, $topic);
is(effects(), '6|6', '... and has none');

$node->safe_psql('postgres', 'INSERT INTO broken DEFAULT VALUES');
cmp_ok(send_twice(7, 7), '==', 2, 'a third one');
$node->safe_psql('postgres', 'TRUNCATE broken');
is(reprocess(q{, target => 'retry'}), '0', 'both are sent to be retried');
$node->wait_for('SELECT count(*) FROM effects', '7', 'the retry');
$node->wait_for(
	q{SELECT bool_and(lag_messages = 0) FROM kafka_consumer_lag WHERE role = 'retry'},
	't', 'the retry topic to be read');
$node->wait_for('SELECT count(*) FROM kafka_retries', '0', 'the retries');
is(effects(), '7|7', '... and it has its effect once');

# Everything again: each letter that had its effect has it again.
$node->safe_psql('postgres', qq{
	TRUNCATE effects;
	SELECT kafka_consumer_seek('$topic', "position" => 'earliest')});
$node->becomes('SELECT count(*), count(DISTINCT id) FROM effects', '13|7',
	 'read again, messages and reprocessed letters run again');

done_testing();
