# kafka_dlq_reprocess moves a position in Kafka, and has on record in the
# database which letters behind it have failed.  After a recovery to before a run
# that record is lost, so that the position says nothing: letters that failed
# in the lost run are still pending, and those that it had sent have their
# effect once.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $dlq = $kafka->create_topic("$topic.dlq", partitions => 2);
my $primary = KafkaEvents::Node->start_new('primary',
	init => { allows_streaming => 1, has_archiving => 1 });

sub produce
{
	my ($from, $to) = @_;

	return $kafka->produce($topic, [ map { qq({"id": $_}) } $from .. $to ]);
}

# Everything that is in the topic has been processed.
sub wait_until_quiet
{
	my ($node) = @_;

	$node->wait_for('SELECT sum(pending_total) FROM kafka_outbox_status',
		'0', 'an empty outbox');
	return $node->wait_until_drained($kafka, $topic);
}

sub effects
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		q{SELECT count(*) || ' effects of ' || count(DISTINCT id) FROM effects});
}

sub reprocess
{
	my ($node, $arguments) = @_;

	return $node->safe_psql('postgres', qq{
		SET client_min_messages = warning;
		SELECT successful, failed FROM kafka_dlq_reprocess('$topic'$arguments)});
}

sub pending
{
	my ($node) = @_;

	return $node->safe_psql('postgres', qq{
		SELECT pending, (SELECT count(*) FROM kafka_dlq_messages('$topic', 1000, pending_only => true))
		  FROM kafka_dlq_stats('$topic')});
}

$primary->create_service($kafka, 'shop');
$primary->safe_psql('postgres', qq{
	CREATE TABLE effects (id bigint);
	CREATE TABLE broken ();
	INSERT INTO broken DEFAULT VALUES;
	CREATE FUNCTION handle(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF EXISTS (SELECT FROM broken) THEN PERFORM kafka_reject('no'); END IF;
		INSERT INTO effects VALUES ((m->>'id')::bigint);
	END \$\$;
	SELECT kafka_subscribe('$topic', handler => 'handle', breaker_threshold => 0)});
produce(1, 10);
$primary->becomes("SELECT pending FROM kafka_dlq_stats('$topic')", 10, 'ten letters');
is(reprocess($primary, ', max_messages => 4'), '4|0', 'four were sent back before the backup');
$primary->becomes("SELECT pending FROM kafka_dlq_stats('$topic')", 10, 'and failed again');
# nobody here knows where these come from
$kafka->produce($dlq, [ '{"id": 11}', '{"id": 12}' ], '-p', $_, '-H', 'x-original-topic=elsewhere')
  foreach 0 .. 1;
is(pending($primary), '14|14', 'fourteen letters are pending');
$primary->backup('backup');
my $lsn = $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');

note 'the history that will be lost';
$primary->safe_psql('postgres', 'TRUNCATE broken');
is(reprocess($primary, ''), '10|4', 'ten letters are sent, four fail');
wait_until_quiet($primary);
is(effects($primary), '10 effects of 10', 'ten have their effect');
is(pending($primary), '4|4', 'four are pending');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$primary->stop;

note 'recovered to before that';
my $restored = KafkaEvents::Node->start_recovered('restored', $primary, 'backup', $lsn,
	'kafka_events.enabled = off');
# what the lost run had sent is read by a handler that works
$restored->safe_psql('postgres', 'TRUNCATE broken');
$restored->append_conf('postgresql.conf', 'kafka_events.enabled = on');
$restored->reload;
wait_until_quiet($restored);
is(effects($restored), '10 effects of 10', 'what the lost run had sent has its effect');
is(pending($restored), '14|14', 'the position of the lost run does not count');
$restored->becomes(
	q{SELECT kafka_metrics_prometheus() LIKE '%dlq_pending_messages{%} 14%'},
	't', 'nor for the metric');

is(reprocess($restored, ', max_messages => 3'), '3|0', 'a run of the new history begins where that was');
is(pending($restored), '11|11', '... and from then on counts');
is(reprocess($restored, ''), '7|4', '... and goes on: four letters fail');
wait_until_quiet($restored);
is(effects($restored), '10 effects of 10', '... and nothing has its effect twice');
is(pending($restored), '4|4', 'no failed letter was passed');
is(reprocess($restored, ", to_topic => '$topic'"), '4|0', 'so that they can be sent');
wait_until_quiet($restored);
is(effects($restored), '14 effects of 12', '... which is done once each');
is(pending($restored), '0|0', 'nothing is pending any more');

$restored->stays_up_ok;
$restored->stop;
done_testing();
