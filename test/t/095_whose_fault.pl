# Whose fault an error is: of each kind one message, with how often its handler
# runs, what becomes of it, and what its dead letter says.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');

note 'by SQLSTATE';
{
	# runs of the handler with one retry; -1: no dead letter
	my %runs = (
		# nobody's, but the message's own when run alone three times
		53200 => [ 6, 1 ],

		# conflicts: again at once, three times, then retry
		40001 => [ 8, 1 ],
		'40P01' => [ 8, 1 ],

		# never going to work
		(map { $_ => [ 1, 0 ] } qw(22012 22P02 54001 23502 23505 23514 23P01 KE002)),
		KE003 => [ 1, -1 ],

		# the deployment's; not three in a row
		(map { $_ => [ 2, 1 ] } qw(42883 3F000)),

		# all others
		(map { $_ => [ 2, 1 ] } qw(23503 P0001 KE001 XX000 55P03 21000 38000 ZZ999)));
	my @states = sort keys %runs;
	my $topic = $kafka->create_topic($kafka->unique('states'));
	my $service = join '', map { "CREATE SEQUENCE runs_\L$_\E;\n" } @states;

	# batches of one, so that nobody runs with others first; the counts are
	# not undone with the transactions that count
	$node->safe_psql(
		'postgres', qq{
		$service
		CREATE FUNCTION fail(m kafka_message) RETURNS void LANGUAGE plpgsql AS \$\$
		DECLARE
			state text := convert_from(m.value, 'UTF8');
		BEGIN
			PERFORM nextval('runs_' || lower(state));
			RAISE EXCEPTION 'it is %', state USING ERRCODE = state;
		END \$\$;
		SELECT kafka_subscribe('$topic', handler => 'fail', batch_size => 1, max_retries => 1,
			initial_delay => '100 ms', breaker_threshold => 0)});
	$kafka->produce($topic, \@states);

	my $letters = grep { $_->[1] >= 0 } values %runs;
	$node->wait_for(
		"SELECT dead_lettered_total, skipped_total FROM kafka_metrics WHERE topic = '$topic'",
		"$letters|1", 'everything to be decided');
	my $query = join ' UNION ALL ',
	  map { "SELECT '$_', last_value FROM runs_\L$_\E" } @states;
	is( $node->safe_psql('postgres', $query),
		join("\n", map { "$_|$runs{$_}[0]" } @states),
		'how often each was run');
	$node->wait_for('SELECT pending_total FROM kafka_outbox_status', 0);
	is( $node->safe_psql(
			'postgres', qq{
			SELECT convert_from(value, 'UTF8'), sqlstate, attempts, reason
			  FROM kafka_dlq_messages('$topic')
			 ORDER BY convert_from(value, 'UTF8') COLLATE "C"}),
		join("\n",
			map { "$_|$_|$runs{$_}[1]|it is $_" }
			  grep { $runs{$_}[1] >= 0 } @states),
		'what the dead letters say');
	is( $node->safe_psql('postgres',
			"SELECT retried_total, failed_total FROM kafka_metrics WHERE topic = '$topic'"),
		scalar(grep { $_->[1] == 1 } values %runs) . '|0',
		'each was retried at most once');
}

note 'a deadlock';
{
	my $topic = $kafka->create_topic($kafka->unique('deadlock'));
	my ($out, $err) = ('', '');

	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE counts (id int PRIMARY KEY, n int DEFAULT 0);
		INSERT INTO counts VALUES (1), (2);
		CREATE SEQUENCE runs;
		CREATE FUNCTION count_both(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
		BEGIN
			PERFORM nextval('runs');
			UPDATE counts SET n = n + 1 WHERE id = 1;
			UPDATE counts SET n = n + 1 WHERE id = 2;
		END \$\$;
		SELECT kafka_subscribe('$topic', handler => 'count_both', ordering => 'partition')});

	# this one does not look for deadlocks, so it is the consumer that ends it
	my @statements = (
		q{SET deadlock_timeout = '1 h'},
		'BEGIN',
		'UPDATE counts SET n = n + 1 WHERE id = 2',
		q{DO $$
			BEGIN
				WHILE NOT EXISTS (SELECT FROM pg_locks
								   WHERE NOT granted AND locktype = 'transactionid') LOOP
					PERFORM pg_sleep(0.01);
				END LOOP;
			END $$},
		'UPDATE counts SET n = n + 1 WHERE id = 1',
		'COMMIT');
	my $other = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d',
			$node->connstr('postgres'), map { ('-c', $_) } @statements
		],
		'<', \undef, '>', \$out, '2>', \$err);
	$node->wait_for(
		q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%WHILE NOT%' AND pid <> pg_backend_pid()},
		1, 'the other session to hold its row');
	$kafka->produce($topic, ['{}']);
	ok($other->finish, 'the other session commits') or diag($err);
	$node->wait_for("SELECT succeeded_total FROM kafka_metrics WHERE topic = '$topic'", 1);
	is($node->safe_psql('postgres', 'SELECT n FROM counts ORDER BY id'),
		"2\n2", 'both have had their effect, once');

	# more than once where it got ahead of the other session again
	is( $node->safe_psql('postgres', qq{
			SELECT last_value BETWEEN 2 AND 5, dead_lettered_total
			  FROM runs, kafka_metrics WHERE topic = '$topic'}),
		't|0', 'the handler was run again');
}

unlike(slurp_file($node->logfile), qr/it is P0001/, 'no text of a handler in the log');
$node->stays_up_ok;
$node->stop;
done_testing();
