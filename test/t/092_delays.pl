# When retries run: each after the delay that its strategy gives, within 200 ms
# at the median and never early, and none behind another one's delay.
#
# The handler writes a line into the server's log for each attempt, which a
# rollback does not undo.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');
$node->safe_psql('postgres', q{
	CREATE FUNCTION never(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		delay interval := convert_from(m.value, 'UTF8')::jsonb->>'delay';
	BEGIN
		RAISE LOG 'attempt % of %/%/% at % after %', m.attempt, m.topic,
			m.partition, m."offset", extract(epoch FROM clock_timestamp()) * 1000,
			coalesce(m.headers->>'x-retry-delay', '-');
		IF delay IS NULL THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		PERFORM kafka_retry('not yet', delay);
	END $$});

my $messages = 20;
my @subscriptions = (
	{
		name => 'exponential',
		options => q{retry_strategy => 'exponential', initial_delay => '500 ms', max_delay => '1500 ms'},
		delays => [ 500, 1000, 1500 ]
	},
	{
		name => 'linear',
		options => q{retry_strategy => 'linear', initial_delay => '500 ms'},
		delays => [ 500, 1000, 1500 ]
	},
	{
		name => 'fixed',
		options => q{retry_strategy => 'fixed', initial_delay => '700 ms'},
		delays => [ 700, 700, 700 ]
	},
	{
		# the way through the outbox, Kafka and the database takes less
		name => 'short',
		options => q{retry_strategy => 'fixed', initial_delay => '300 ms'},
		delays => [ 300, 300, 300 ]
	},
	{
		# these stay in the database
		name => 'ordered',
		options => q{retry_strategy => 'fixed', initial_delay => '300 ms', ordering => 'key'},
		delays => [ 300, 300, 300 ]
	});

foreach my $subscription (@subscriptions)
{
	my $topic = $kafka->create_topic($kafka->unique($subscription->{name}),
		partitions => 2);

	$subscription->{topic} = $topic;
	subscribe($topic, $subscription->{options});
}

# The first retries wait for the retry topics and their workers.
$kafka->produce($_->{topic}, ['{}'], '-p', 0) foreach @subscriptions;

# Long delays before short ones, all in the same partition of the retry topic.
my $mixed = $kafka->create_topic($kafka->unique('mixed'));

subscribe($mixed, q{max_delay => '2 s', max_retries => 1});
$node->wait_for(
	q{SELECT count(*) FROM kafka_consumer_lag
		WHERE role = 'main' AND status = 'running'}, 2 * @subscriptions + 1);
$kafka->produce($mixed, ['{"delay": "0"}']);
$node->wait_for('SELECT min(dead_lettered_total) FROM kafka_metrics', 1);

$kafka->produce($mixed, [ ('{"delay": "10 min"}') x 50 ]);
$kafka->produce($mixed, [ ('{"delay": "1 s"}', '{"delay": "4 s"}') x 10 ]);
$kafka->produce($_->{topic}, [ ('{}') x $messages ]) foreach @subscriptions;

# The last of every message's attempts makes a dead letter of it.
$node->wait_for(
	"SELECT min(dead_lettered_total) FROM kafka_metrics
	  WHERE topic <> '$mixed'", $messages + 1);
$node->wait_for(
	"SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$mixed'",
	21);

my $log = slurp_file($node->logfile);
my %attempts;    # topic => partition/offset => attempt => [at, header]

while ($log =~
	m{attempt (\d+) of ([^/ ]+)/(\d+/\d+) at ([\d.]+) after (\S+)}g)
{
	my ($attempt, $topic, $message, $at, $delay) = ($1, $2, $3, $4, $5);

	# the first one is run with others before it is run alone
	ok(0, "attempt $attempt of $topic/$message only once")
	  if $attempt > 0 && $attempts{$topic}{$message}[$attempt];
	$attempts{$topic}{$message}[$attempt] = [ $at, $delay ];
}

foreach my $subscription (@subscriptions)
{
	my $observed = $attempts{ $subscription->{topic} };

	delete $observed->{'0/0'};
	is(scalar keys %$observed, $messages,
		"$subscription->{name}: each message was tried");
	is((grep { @$_ == 4 } values %$observed), $messages,
		"$subscription->{name}: and retried three times");
	my @late = map {
		my $retry = $_;

		check_delays("$subscription->{name}, retry $retry",
			$subscription->{delays}[ $retry - 1 ],
			0.1, map { [ $_->[ $retry - 1 ], $_->[$retry] ] } values %$observed)
	} 1 .. 3;
	soon_ok($subscription->{name}, @late);
}

note 'delays that handlers ask for, and nobody behind them';
{
	my @messages = map { $attempts{$mixed}{"0/$_"} } 1 .. 70;

	is((grep { @$_ == 1 } @messages[ 0 .. 49 ]), 50, 'what waits for 10 minutes waits');
	soon_ok(
		'behind those',
		check_delays('1 s behind those', 1000, 0,
			map { $messages[ 50 + 2 * $_ ] } 0 .. 9),
		check_delays('4 s, more than max_delay', 4000, 0,
			map { $messages[ 51 + 2 * $_ ] } 0 .. 9));
	is(
		$node->safe_psql(
			'postgres',
			"SELECT count(*), min(attempt), max(attempt), min(due_at) > now(),
			        max(due_at) < now() + interval '10 min'
			   FROM kafka_retries WHERE topic = '$mixed'"),
		'50|1|1|t|t',
		'and can be seen');
}

$node->stays_up_ok;
$node->stop;
done_testing();

sub subscribe
{
	my ($topic, $options) = @_;

	return $node->safe_psql('postgres',
		"SELECT kafka_subscribe('$topic', handler => 'never',
			breaker_threshold => 0, $options)");
}

# Pairs of attempts, the second delay ms after the first: as its header says,
# if it was a copy, with at most so much of jitter, and never early.  Returns
# how late each was.
sub check_delays
{
	my ($what, $delay, $jitter, @pairs) = @_;
	my @headers = grep { $_ ne '-' } map { $_->[1][1] } @pairs;
	my @late = sort { $a <=> $b }
	  map { $_->[1][0] - $_->[0][0] - ($_->[1][1] eq '-' ? $delay : $_->[1][1]) } @pairs;

	is((grep { $_ >= $delay && $_ <= $delay * (1 + $jitter) } @headers),
		scalar @headers, "$what: by the formula");
	cmp_ok($late[0], '>=', 0, "$what: not early");
	note(sprintf '%s: late by %.0f ms at the median, by %.0f at most',
		$what, $late[ @late / 2 ], $late[-1]);
	return @late;
}

# One retry of all may meet a pause of the machine.
sub soon_ok
{
	my ($what, @late) = @_;

	@late = sort { $a <=> $b } @late;
	return cmp_ok($late[ @late / 2 ], '<', 200, "$what: soon");
}
