# A random storm: processes are killed, terminated and frozen, PostgreSQL and
# the broker die, stop and come back, the clock jumps, tables, functions and
# rights change and are locked, subscriptions are steered, over all that the
# product does at once: plain, ordered by key and by partition, retries, dead
# letters that are sent back meanwhile, and events out of the database, by
# handlers and by transactions that commit, roll back and are prepared.
#
# Then every cause is taken away.  Nothing is lost, nothing is doubled, every
# message's end is explained, within 60 s every partition of every group is
# owned and everything is done, and in every second in which something stood
# still, kafka_health said so.
#
# STORM_SEED="7 8" chooses the storms, STORM_SECONDS=300 how long they are:
# "make storm" does ten of five minutes.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use KafkaEvents::Test;
use KafkaEvents::Storm;
use KafkaEvents::StormLedger qw(effects_ok letters_ok events_ok order_ok);
use KafkaEvents::StormWatch qw(silences);

my @names = @KafkaEvents::Storm::NAMES;
my $seconds = $ENV{STORM_SECONDS} || 60;

# Until a query's answer is this; how long after the storm that was.
sub wait_after
{
	my ($storm, $sql, $expected, $limit, $help) = @_;
	my $answer = '';

	while (time() - $storm->{healed} < $limit)
	{
		my $before = $answer;

		$storm->node->ask($help) if $help;
		$answer = $storm->node->ask($sql);
		note sprintf '%.1f s: %s', time() - $storm->{healed}, $answer if $answer ne $before;
		return time() - $storm->{healed} if $answer eq $expected;
		usleep(250_000);
	}
	diag("$sql: $answer");
	diag($storm->node->state);
	return;
}

sub owned_ok
{
	my ($storm) = @_;
	my $all = 0;

	$all += $KafkaEvents::Storm::TOPICS{$_}->{partitions} foreach @names;
	# those of the retry topic, too, which plain has
	$all += $KafkaEvents::Storm::TOPICS{plain}->{partitions};
	my $took = wait_after($storm, q{
		SELECT count(*) FROM kafka_consumer_lag
		 WHERE consumer_id IS NOT NULL AND status IN ('running', 'paused')}, $all, 60);
	ok(defined $took, "every partition of every group is owned within 60 s");
	note sprintf 'after %.1f s', $took if defined $took;
	my @unowned;

	# a worker may have started again since
	do
	{
		@unowned = grep { !defined $_->{consumer_id} }
		  $storm->kafka->describe_group(map { "$storm->{service}-$_" } qw(main retry));
	} while (@unowned && time() - $storm->{healed} < 60);
	is(join(' ', map { "$_->{topic}/$_->{partition}" } @unowned), '', '... as Kafka has it, too');
	return;
}

sub drained_ok
{
	my ($storm, $name, $limit) = @_;
	my $kafka = $storm->kafka;
	my %end = map { $_ => '{' . join(',', $kafka->end_offsets($_)) . '}' } @names;
	my $left = join ', ', map { qq{CASE WHEN (SELECT array_agg(next_offset ORDER BY partition)
			  FROM kafka_events.positions WHERE topic = '$_') >= '$end{$_}'::bigint[] THEN NULL ELSE '$_' END} } @names;
	my $took = wait_after($storm, qq{
		SELECT concat_ws(', ', $left,
			(SELECT count(*) || ' retries' FROM kafka_retries HAVING count(*) > 0),
			(SELECT pending_total || ' to publish' FROM kafka_outbox_status WHERE pending_total > 0),
			(SELECT concat('lag of ', count(*), ' partitions') FROM kafka_consumer_lag
			  WHERE lag_messages IS DISTINCT FROM 0 HAVING count(*) > 0))}, '', $limit,
		# where each partition begins with a message at fault, no try can go
		# well, and a human has to say that they may be routed
		q{SELECT kafka_circuit_reset(topic) FROM kafka_circuit_breakers WHERE state = 'open'});

	ok(defined $took, $name);
	note sprintf '%s: after %.1f s', $name, $took if defined $took;
	return defined $took;
}

# Send back everything, until nothing dies any more.
sub reprocess_ok
{
	my ($storm) = @_;
	my $node = $storm->node;
	my $pending = '';

	$node->ask('UPDATE mood SET bad = false');
	$node->ask('ALTER TABLE rows ALTER COLUMN id TYPE bigint');
	foreach my $round (1 .. 6)
	{
		foreach my $topic (@names)
		{
			my $out = $node->ask("SELECT total, successful, failed, messages FROM kafka_dlq_reprocess('$topic')");

			note "$topic: " . substr($out, 0, 200) if $out !~ /\|0\|/;
		}
		$storm->{healed} = time();
		last unless drained_ok($storm, "what was sent back is done ($round)", 60);
		$pending = $node->ask('SELECT sum(pending) FROM kafka_dlq_stats()');
		last if $pending eq '0';
	}
	is($pending, '0', 'every dead letter could be sent back');
	is($node->ask('SELECT count(*) FROM kafka_outbox_parked'), '0', 'nothing is parked');
	return;
}

# When the producers' messages had arrived, by partition.
sub arrivals
{
	my (%source) = @_;
	my %arrivals;

	foreach my $topic (@names)
	{
		push @{ $arrivals{"$topic/$_->{partition}"} }, [ $_->{offset}, $_->{ts} / 1000 ]
		  foreach grep { !$_->{header}->{'x-copy-id'} } @{ $source{$topic} };
	}
	foreach my $list (values %arrivals)
	{
		@$list = sort { $a->[0] <=> $b->[0] } @$list;
	}
	return \%arrivals;
}

sub storm_ok
{
	my ($seed) = @_;
	my $storm = KafkaEvents::Storm->new(seed => $seed, seconds => $seconds);
	my %source;

	note "STORM_SEED=$seed STORM_SECONDS=$seconds";
	$storm->start;
	$storm->rage;
	$storm->heal;
	owned_ok($storm);
	$storm->quiet;
	note sprintf 'quiet after %.1f s', time() - $storm->{healed};
	drained_ok($storm, 'everything is done within 60 s', 60 + time() - $storm->{healed});
	$storm->stop_watching;
	reprocess_ok($storm);

	foreach my $topic (@names)
	{
		$source{$topic} = [ $storm->kafka->consume_briefly($topic) ];
		effects_ok($storm, $topic, $source{$topic});
		letters_ok($storm, $topic, $source{$topic}, [ $storm->kafka->consume("$topic.dlq") ],
			$topic eq 'plain' ? [ $storm->kafka->consume("$topic.retry") ] : []);
	}
	events_ok($storm, [ $storm->kafka->consume_briefly('out') ]);
	order_ok($storm, 'keyed', 'part, key');
	order_ok($storm, 'strict', 'part');

	my ($silent, $quiet) = silences($storm->watched('views'), $storm->watched('health'),
		arrivals(%source), $storm->{began});
	is(join("\n", @$silent), '', 'nothing stood still in silence');
	is(join("\n", @$quiet), '', '... or was said in a view and not in kafka_health');
	note join ', ', map { "$_ $storm->{count}->{$_}" } sort keys %{ $storm->{count} };
	unlike(slurp_file($storm->node->logfile), qr/TRAP:|PANIC:|signal 11/, 'nothing crashed by itself');
	$storm->stop;
	return;
}

foreach my $seed (split ' ', $ENV{STORM_SEED} || '1 2')
{
	subtest("seed $seed, $seconds s" => sub { storm_ok($seed) });
}
done_testing();
