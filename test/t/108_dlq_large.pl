# A hundred dead letters of 10 MB: they stream through the task process and
# the queue to the session, and neither holds more than a few of them.

use strict;
use warnings;

use Digest::MD5;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use KafkaEvents::Test;

use constant LETTERS => 100;
use constant BYTES => 10_000_000;

# The library fetches up to 50 MB ahead and gets that in answers of as much;
# a letter is copied once on its way out.  With all letters it would be 1 GB.
use constant TASK_MB => 200;

# A row is read from the queue, made a tuple, and put into a file.
use constant SESSION_MB => 150;

my $kafka = KafkaEvents::Kafka->start_own;
$kafka->create_topic('large');
$kafka->create_topic('large.dlq',
	config => { 'max.message.bytes' => BYTES + 1_000_000 });
my $node = KafkaEvents::Node->start_new('main',
	conf => "shared_buffers = 16MB\nwork_mem = 4MB\n");
$node->create_service($kafka, 'shop');

# ten different ones, again and again
my $dir = PostgreSQL::Test::Utils::tempdir('letters');
my (@files, @md5);
foreach my $i (0 .. 9)
{
	my $bytes;

	open my $random, '<:raw', '/dev/urandom' or die "could not open /dev/urandom: $!";
	read $random, $bytes, BYTES;
	close $random;
	push @files, "$dir/$i";
	push @md5, Digest::MD5::md5_hex($bytes);
	append_to_file($files[$i], $bytes);
}
system_or_bail('kcat', '-P', '-b', $kafka->address, '-t', 'large.dlq', '-X',
	'message.max.bytes=' . (BYTES + 1_000_000), '-X', 'queue.buffering.max.messages=5',
	@files[ map { $_ % 10 } 0 .. LETTERS - 1 ]);
is($node->safe_psql('postgres', "SELECT message_count FROM kafka_dlq_stats('large')"),
	LETTERS, 'all letters are there');

# What a process had at its peak, in MB, shared memory included; 0: it is gone.
sub peak_mb
{
	my ($pid) = @_;
	my $status = eval { slurp_file("/proc/$pid/status") } // '';

	return $status =~ /^VmHWM:\s+(\d+) kB/m ? $1 / 1024 : 0;
}

sub pid_of_task
{
	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kafka_events task'});
}

# Begin a query; its session and that one's process id.
sub begin
{
	my ($query, $out) = @_;
	my $session = IPC::Run::start(
		[
			'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
			q{SELECT 'pid ' || pg_backend_pid()}, '-c', $query
		],
		'<', \undef, '&>', $out);

	$session->pump until $$out =~ /^pid (\d+)\n/;
	return ($session, $1);
}

my $out = '';
my $started = time;
my ($session, $backend) = begin(
	q{SELECT "offset", length(value), md5(value) FROM kafka_dlq_messages('large', 1000);}, \$out);
my $task = '';
my %most = (task => 0, session => 0);
while ($session->pumpable)
{
	$session->pump_nb;
	$task = pid_of_task() if $task eq '';
	foreach my $process ([ session => $backend ], [ task => $task ])
	{
		my $now = $process->[1] ne '' ? peak_mb($process->[1]) : 0;

		$most{ $process->[0] } = $now if $now > $most{ $process->[0] };
	}
	usleep(20_000);
}
$session->finish;
note(sprintf '%d letters in %.1f s; task %d MB, session %d MB', LETTERS,
	time - $started, $most{task}, $most{session});
is($out,
	join('', "pid $backend\n", map { "$_|" . BYTES . "|$md5[$_ % 10]\n" } 0 .. LETTERS - 1),
	'each letter comes as it was, in order');
cmp_ok($most{task}, '>', 10, 'the test sees the memory of the task process');
cmp_ok($most{task}, '<', TASK_MB, '... which is bounded');
cmp_ok($most{session}, '>', 10, 'the test sees the memory of the session');
cmp_ok($most{session}, '<', SESSION_MB, '... which is bounded, too');

# page by page
is( $node->safe_psql('postgres', q{
		SELECT min("offset"), max("offset"), count(*), sum(length(value))
		  FROM kafka_dlq_messages('large', 7, from_offset => 90)}),
	'90|96|7|' . 7 * BYTES, 'a page in the middle');
is( $node->safe_psql('postgres', q{
		SELECT array_agg("offset") FROM kafka_dlq_messages('large', 7, from_offset => 97)}),
	'{97,98,99}', 'the last one');

# in the middle of it, somebody presses Ctrl-C
$out = '';
($session, $backend) = begin(
	q{SELECT count(*) FROM kafka_dlq_messages('large', NULL);}, \$out);
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity
	   WHERE backend_type = 'kafka_events task' AND query LIKE '%working on dead letters%'},
	'1', 'the letters to be on their way');
$started = time;
$session->signal('INT');
$session->finish;
cmp_ok(time - $started, '<', 2, 'a cancel does not wait for the rest');
like($out, qr/canceling statement due to user request/, '... and is one');
is($node->safe_psql('postgres', q{SELECT count(*) FROM kafka_dlq_messages('large', 1)}),
	'1', 'the next one is served');

$node->stays_up_ok;
$node->stop;

done_testing();
