# A run that moves dead letters is frozen until the coordinator has given up
# its transaction: nobody has taken over, so it goes on, and sends each once.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_own(
	'transaction.abort.timed.out.transaction.cleanup.interval.ms' => 500);
my $source = $kafka->create_topic($kafka->unique('orders'));
my $dlq = $kafka->create_topic("$source.dlq");
my $node = KafkaEvents::Node->start_new('main');

$node->skip_unless_test_build;
$node->create_service($kafka, 'shop');

my $sql =
  "SELECT total, successful, failed FROM kafka_dlq_reprocess('$source')";
my $sent = 0;
foreach my $point ('dlq_sent', 'dlq_position_sent')
{
	my ($out, $err) = ('', '');

	$kafka->produce($dlq, [ map { $sent + $_ } 1 .. 100 ],
		'-H', "x-original-topic=$source");
	$sent += 100;
	$node->crash_at("$point freeze");
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ],
		'>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	ok($node->has_crashed, "$point: the run is frozen");
	my ($pid) = split /\n/, $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kafka_events task'});

	my $state = 'Ongoing';
	for (my $i = 0; $i < 60 && $state =~ /Ongoing|Prepare/; $i++)
	{
		($state) = grep { /-admin-/ } split /\n/,
		  $kafka->tool('transactions', 'list');
	}
	like($state, qr/CompleteAbort/, '... until its transaction is aborted');
	kill 'CONT', $pid;
	$run->finish;
	is($out, "100|100|0\n", '... goes on, and moves everything')
	  or diag($err);
	is(scalar $kafka->consume($source), $sent, '... once each');
}

$node->stays_up_ok;
$node->stop;
done_testing();
