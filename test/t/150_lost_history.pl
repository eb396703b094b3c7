# A database that was recovered to an earlier time, or a standby that lagged
# behind and was promoted, does again what it has forgotten.  The retry copies
# and dead letters that the lost history has sent are still in Kafka, and what
# it had reprocessed is back in the topic: orphans, which are left out.  Each
# message has its effect once in the end, also where the handler was broken in
# the lost history only.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;

# Messages that end in 3 fail once, those in 7 always, those in 5 while the
# handler is broken.
sub subscribe
{
	my ($node, $topic, %options) = @_;

	$node->create_service($kafka, 'shop', %options);
	return $node->safe_psql(
		'postgres', qq{
		CREATE TABLE effects (id bigint, attempt integer);
		CREATE TABLE broken (digit integer);
		INSERT INTO broken VALUES (7);
		CREATE FUNCTION handle(m kafka_message) RETURNS void LANGUAGE plpgsql AS \$\$
		DECLARE
			i bigint := (convert_from(m.value, 'UTF8')::jsonb->>'id')::bigint;
		BEGIN
			IF i % 10 = 3 AND m.attempt = 0 THEN RAISE 'once'; END IF;
			IF EXISTS (SELECT FROM broken WHERE digit = i % 10) THEN
				PERFORM kafka_reject('no');
			END IF;
			INSERT INTO effects VALUES (i, m.attempt);
		END \$\$;
		SELECT kafka_subscribe('$topic', handler => 'handle',
			initial_delay => '100 ms', breaker_threshold => 0)});
}

sub produce
{
	my ($topic, $from, $to) = @_;

	return $kafka->produce($topic, [ map { qq({"id": $_}) } $from .. $to ]);
}

# Nothing is on its way any more, in Kafka or the database.
sub wait_until_quiet
{
	my ($node, $topic) = @_;
	my $ends = '';

	for (;;)
	{
		my $now = '';

		foreach my $part ([ $topic, 'main' ], [ "$topic.retry", 'retry' ])
		{
			my $offsets = '{' . join(',', $kafka->end_offsets($part->[0])) . '}';

			$node->wait_for(
				qq{SELECT array_agg("position" ORDER BY partition)
					 FROM kafka_consumer_lag
					WHERE topic = '$topic' AND role = '$part->[1]'},
				$offsets, "$part->[0] to be consumed up to $offsets");
			$now .= $offsets;
		}
		$node->wait_for('SELECT count(*) FROM kafka_retries', '0', 'no retries');
		$node->wait_for('SELECT sum(pending_total) FROM kafka_outbox_status',
			'0', 'an empty outbox');
		return if $now eq $ends;
		$ends = $now;
	}
}

# How many messages had an effect, how many of those twice or more.
sub effects
{
	my ($node) = @_;

	return $node->safe_psql(
		'postgres', q{
		SELECT count(*) || ' effects, ' || count(*) FILTER (WHERE n > 1) || ' twice'
		  FROM (SELECT count(*) AS n FROM effects GROUP BY id) AS e});
}

sub mend
{
	my ($node, $topic, $arguments) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SET client_min_messages = warning;
		TRUNCATE broken;
		SELECT failed FROM kafka_dlq_reprocess('$topic'$arguments)});
}

# ------------------------------------------------ recovery into the middle

my $topic = $kafka->create_topic($kafka->unique('recovered'), partitions => 2);
$kafka->create_topic("$topic.retry", partitions => 2);
$kafka->create_topic("$topic.dlq", partitions => 2);
my $primary = KafkaEvents::Node->start_new('primary',
	init => { allows_streaming => 1, has_archiving => 1 });

subscribe($primary, $topic);
produce($topic, 1, 100);
wait_until_quiet($primary, $topic);
is(effects($primary), '90 effects, 0 twice', 'before');
$primary->backup('backup');
my $lsn = $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');

# The history that is lost: broken for a while, mended, partly reprocessed.
$primary->safe_psql('postgres', 'INSERT INTO broken VALUES (5)');
produce($topic, 101, 200);
wait_until_quiet($primary, $topic);
is(effects($primary), '170 effects, 0 twice', 'the history that will be lost');
my $letters = $primary->safe_psql('postgres',
	qq{SELECT count(*), count(*) FILTER (WHERE orphan) FROM kafka_dlq_messages('$topic', 1000)});
is($letters, '30|0', '... has no orphans');
is( $primary->safe_psql('postgres',
		qq{SELECT count(*) FROM kafka_dlq_messages('$topic', 1000)
			WHERE headers->>'x-copy-history' ~ '^ke1;s=[0-9]+;d=[0-9]+;t=1;h=[0-9a-f]{16};l='}),
	'30', '... and each letter says which history it belongs to');
my ($one) = split /\n/, $primary->safe_psql(
	'postgres', qq{
	SELECT format(', partition => %s, "offset" => %s', partition, "offset")
	  FROM kafka_dlq_messages('$topic', 1000) ORDER BY original_offset, partition LIMIT 1});
is(mend($primary, $topic, $one), '0', '... one letter is sent back');
is(mend($primary, $topic, ', max_messages => 20'), '0', '... and twenty more');
wait_until_quiet($primary, $topic);
is(effects($primary), '191 effects, 0 twice', '... which have their effect');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$primary->stop;

sub restore
{
	my ($name) = @_;
	my $restored = KafkaEvents::Node->start_recovered($name, $primary, 'backup', $lsn);

	$restored->wait_for_workers('shop', 3);
	return $restored;
}

my $restored = restore('restored');
wait_until_quiet($restored, $topic);
isnt($restored->safe_psql('postgres', 'SELECT max(orphaned_total) FROM kafka_metrics'),
	'0', 'after recovery to before, copies of the lost history are counted');
is($restored->safe_psql('postgres',
		qq{SELECT count(*) FROM kafka_dlq_messages('$topic', 1000) WHERE orphan}),
	'20', '... and its letters are told from others');
my $counts = qq{
	SELECT orphans, pending - (SELECT count(*) FROM kafka_dlq_messages('$topic', 1000, pending_only => true))
	  FROM kafka_dlq_stats('$topic')};
is($restored->safe_psql('postgres', $counts), '20|0',
	'... and are not counted as pending');
is($restored->safe_psql('postgres',
		qq{SELECT count(*) FROM effects WHERE id % 10 NOT IN (7)}),
	'180', '... and what it had dead-lettered had its effect this time');
like(effects($restored), qr/, 0 twice$/, '... once');

# Another history with the same number of a timeline: nobody has archived it.
produce($topic, 201, 300);
wait_until_quiet($restored, $topic);
$restored->stop;
my $again = restore('again');
wait_until_quiet($again, $topic);
is($again->safe_psql('postgres',
		q{SELECT count(*) FROM effects WHERE id % 10 <> 7}),
	'270', 'recovered once more, everything has its effect again');
like(effects($again), qr/, 0 twice$/, '... once');

like($again->safe_psql('postgres', $counts), qr/^[1-9]\d*\|0$/,
	'letters of all lost histories are orphans');
is(mend($again, $topic, ''), '0', 'what is pending is reprocessed');
wait_until_quiet($again, $topic);
is(effects($again), '300 effects, 0 twice', '... and nothing is lost or doubled');
is($again->safe_psql('postgres', "SELECT pending, orphans FROM kafka_dlq_stats('$topic')"),
	'0|0', '... and counted');
is(mend($again, $topic, ''), '0', 'nothing is pending any more');
wait_until_quiet($again, $topic);
is(effects($again), '300 effects, 0 twice', '... so nothing happens');
$again->stays_up_ok;
$again->stop;

done_testing();
