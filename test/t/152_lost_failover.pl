# A standby that has stopped receiving is promoted; the former primary is
# rewound, follows it, lags behind in its turn and is promoted.  Both times the
# history that is lost goes on under load, with retries and dead letters.  In
# the end each message has had its effect once.

use strict;
use warnings;

use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
$kafka->create_topic("$topic.retry", partitions => 2);
my $dlq = $kafka->create_topic("$topic.dlq", partitions => 2);
my $first = KafkaEvents::Node->start_new('first',
	init => { allows_streaming => 1 },
	conf => "wal_log_hints = on\nwal_keep_size = '256MB'\n");

# Those that end in 3 fail once, those in 7 while the handler is broken.
$first->create_service($kafka, 'shop');
$first->safe_psql(
	'postgres', qq{
	CREATE TABLE effects (id bigint);
	CREATE TABLE broken ();
	INSERT INTO broken DEFAULT VALUES;
	CREATE FUNCTION handle(m kafka_message) RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE
		i bigint := (convert_from(m.value, 'UTF8')::jsonb->>'id')::bigint;
	BEGIN
		IF i % 10 = 3 AND m.attempt = 0 THEN RAISE 'once'; END IF;
		IF i % 10 = 7 AND EXISTS (SELECT FROM broken) THEN PERFORM kafka_reject('no'); END IF;
		INSERT INTO effects VALUES (i);
	END \$\$;
	SELECT kafka_subscribe('$topic', handler => 'handle',
		initial_delay => '100 ms', breaker_threshold => 0)});

my $last = 0;

sub produce
{
	my ($count) = @_;

	$kafka->produce($topic, [ map { qq({"id": $_}) } $last + 1 .. $last + $count ]);
	$last += $count;
	return;
}

sub done
{
	my ($node) = @_;

	return $node->wait_for('SELECT count(DISTINCT id) FROM effects',
		$last * 9 / 10, "$last messages to be done");
}

# The standby receives no more while messages are at work; then its primary
# goes on for a while, and is lost.
sub fail_over
{
	my ($from, $to) = @_;

	$from->wait_for_catchup($to, 'replay');
	produce(200);
	$from->wait_for("SELECT count(*) > $last - 150 FROM effects", 't', 'some of them');
	$to->stop;
	produce(200);
	done($from);
	$from->stop('immediate');
	$to->start;
	$to->promote;
	done($to);
	return is(
		$to->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT id) FROM effects'),
		'0', 'promoted, ' . $to->name . ' does everything once');
}

produce(100);
done($first);
$first->backup('backup');
my $second = KafkaEvents::Node->new('second');
$second->init_from_backup($first, 'backup', has_streaming => 1);
$second->start;
fail_over($first, $second);

my $conf = $first->data_dir . '/postgresql.conf';
my $kept = PostgreSQL::Test::Utils::tempdir('conf') . '/postgresql.conf';
copy($conf, $kept);
$second->safe_psql('postgres', 'CHECKPOINT');
command_ok([ 'pg_rewind', '-D', $first->data_dir,
		'--source-server', $second->connstr('postgres'), '-N' ], 'pg_rewind');
copy($kept, $conf);
$first->enable_streaming($second);
$first->set_standby_mode;
$first->start;
fail_over($second, $first);

# What is quiet stays so: orphans that come late would have run by now.
$first->wait_until_drained($kafka, $topic);
$first->wait_for('SELECT count(*) FROM kafka_retries', '0', 'the retries');
cmp_ok($first->safe_psql('postgres', 'SELECT sum(orphaned_total) FROM kafka_metrics'),
	'>', 0, 'orphans are counted');
is( $first->safe_psql('postgres', q{
		SET client_min_messages = warning;
		TRUNCATE broken;
		SELECT failed FROM kafka_dlq_reprocess('} . $topic . q{')}),
	'0', 'its dead letters are reprocessed');
$first->wait_for('SELECT count(DISTINCT id) FROM effects', $last, 'all of them');
$first->wait_until_drained($kafka, $topic);
is($first->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), max(id) FROM effects'),
	"$last|$last|$last", '... and nothing is lost or doubled');
$first->stays_up_ok;

done_testing();
