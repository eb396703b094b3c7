# A task process that dies by kill -9 between any two steps of moving dead
# letters: the next run finds out how far it came, sends what is left, and
# nothing twice.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $source = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $dlq = $kafka->create_topic("$source.dlq");
my $node = KafkaEvents::Node->start_new('main',
	conf => "log_min_messages = warning\n");
my $marker = $node->data_dir . '/kafka_events.crashed';

plan skip_all => 'not a test build (COPT=-DKE_TESTING)'
  if $node->safe_psql('postgres',
	"SELECT count(*) FROM pg_settings WHERE name = 'kafka_events.test_fence'")
  eq '0';

$node->create_service($kafka, 'shop');

my $sent = 0;				# letters that can be sent
my $stuck = 0;				# letters that cannot

# 50 letters, and in the middle of them one that names no topic
sub produce_letters
{
	foreach my $half (1, 2)
	{
		$kafka->produce($dlq, [ $sent + 1 .. $sent + 25 ], '-H',
			"x-original-topic=$source");
		$kafka->produce($dlq, ['stuck']) if $half == 1;
		$sent += 25;
	}
	$stuck++;
	return;
}

# Kafka may end the transaction of a run that died a little later.
sub pending_ok
{
	my ($count, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $node->becomes("SELECT pending FROM kafka_dlq_stats('$source')", $count, $name);
}

# total, successful and failed; or what is wrong
sub reprocess
{
	my ($arguments) = @_;
	my ($out, $err);

	return $out
	  if $node->psql(
		'postgres',
		"SELECT total, successful, failed FROM kafka_dlq_reprocess($arguments)",
		stdout => \$out,
		stderr => \$err) == 0;
	return $err;
}

# Have the next task process die at a point while it does what is wanted.
sub crash_ok
{
	my ($point, $arguments, $name) = @_;

	# A new process has the new setting; with the marker nobody dies.
	append_to_file($marker, '');
	$node->append_conf('postgresql.conf',
		"kafka_events.test_crash_point = '$point'");
	$node->restart;
	unlink $marker;
	like(reprocess($arguments), qr/ERROR|server closed|terminat/,
		"$name: who asked is told");
	ok(-e $marker, '... because the task process died there');
	$node->poll_query_until('postgres', 'SELECT true');
	return;
}

# Run until somebody who came back from a crash can answer.
sub finish
{
	my ($arguments) = @_;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $result = reprocess($arguments);

		return $result if $result =~ /^\d+\|/;
		note($result);
		usleep(100_000);
	}
	die 'dead letters cannot be sent';
}

sub each_once_ok
{
	my ($name) = @_;
	my %seen;

	$seen{ $_->{payload} }++ foreach $kafka->consume($source);
	is(join(' ', grep { !$seen{$_} } 1 .. $sent), '', "$name: no letter is lost");
	is(join(' ', grep { $seen{$_} > 1 } keys %seen), '', '... and none is sent twice');
	pending_ok($stuck, '... and only those that cannot be sent are pending');
	return;
}

produce_letters();
is(finish("'$source'"), '51|50|1', 'without any crash');
each_once_ok('without any crash');

foreach my $point (qw(dlq_sent dlq_position_sent dlq_committed dlq_recorded))
{
	# before Kafka's transaction has committed nothing was moved
	my $moved = $point =~ /committed|recorded/;
	my ($offset, $result);

	produce_letters();
	crash_ok($point, "'$source'", $point);
	pending_ok($moved ? $stuck : 50 + $stuck, '... and the letters are where they are');
	is(finish("'$source'"), ($moved ? 0 : 50) + $stuck . '|' . ($moved ? 0 : 50) . "|$stuck",
		'... and a run moves the rest');
	each_once_ok($point);

	# A letter by itself leaves the position where it is: what the database
	# has on record is settled by what Kafka says of its transaction.
	next unless $point =~ /position_sent|committed/;
	produce_letters();
	($offset) = map { $_->{offset} } grep { $_->{payload} eq $sent } $kafka->consume($dlq);
	crash_ok($point, "'$source', partition => 0, \"offset\" => $offset", "$point, a single letter");
	$result = finish("'$source', partition => 0, \"offset\" => $offset");
	is($result, $moved ? '1|0|1' : '1|1|0', '... and is moved unless it was');
	is(finish("'$source'"), 49 + $stuck . "|49|$stuck", '... and so are the others');
	each_once_ok("$point, a single letter");
}

$node->stop;

done_testing();
