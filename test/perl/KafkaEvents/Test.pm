# The library of the TAP tests: a PostgreSQL with the extension and a real
# Kafka.  On top of PostgreSQL::Test::Cluster and ::Utils, whose functions
# all work as ever.
#
#	use strict;
#	use warnings;
#	use PostgreSQL::Test::Utils;
#	use Test::More;
#	use KafkaEvents::Test;
#
#	my $kafka = KafkaEvents::Kafka->shared;
#	my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 4);
#	my $node = KafkaEvents::Node->start_new('main');
#	my $service = $node->create_service($kafka, 'shop', workers => 2);
#
#	$node->safe_psql('postgres', qq{
#		CREATE TABLE orders (id bigint);
#		SELECT kafka_subscribe('$topic', into_table => 'orders')});
#	$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 100 ]);
#	$node->wait_until_drained($kafka, $topic);
#	is($node->safe_psql('postgres', 'SELECT count(*) FROM orders'), 100);
#	$node->stays_up_ok;
#	done_testing();
#
# Run it against any installation that has the extension:
#
#	PG_CONFIG=/path/to/pg_config test/tap test/t/001_basic.pl
#
# KafkaEvents::Kafka
#	shared, start_own(%properties)       the run's broker; one to kill at will
#	start_secure([provider])             ... with TLS, passwords and ACLs
#	start_far far_link address('far')    ... behind a link that can be made bad
#	start_cluster(3, %properties)        ... of three, broker(0) to broker(2)
#	active_controller wait_for_replicas(topic, count)
#	address(protocol) ca_pem             where it listens, who vouches for it
#	controller_address pem(file)         see the head of test/kafka/broker
#	stop kill9 restart freeze thaw       ... only for start_own
#	start_restart runs
#	unique(name)                         names no other test file uses
#	create_topic delete_topic grow_topic delete_records
#	produce(topic, \@values, kcat options)      plain and fast
#	produce_messages(topic, {value, key, headers, partition, timestamp}, ...)
#	produce_events(topic, count, rate, keys, transactional, abort, journal...)
#	start_producer(the same)             in the background
#	read_journal(file)                   what was acknowledged
#	consume(topic) end_offsets(topic)    what is in the topic now
#	consume_briefly(topic)               the same in little, for many
#	consume_bytes(topic)                 the same by KafkaJS, in bytes
#	settle(topic)                        wait for its transactions to end
#	count_records(topic) wait_for_records(topic, count)
#	groups describe_group(group) wait_for_group(group, topic) reset_group
#	join_group(group, topic, %properties) leave_group(member)
#	                                     a consumer of somebody else
#	tool(name, args)                     Kafka's own command line tools
#
# KafkaEvents::Link, between a broker and whoever connects to its port
#	set(delay => s, rate => bytes per s, reset => s, silent => 1)
#
# KafkaEvents::Clock, a wall clock that a test can set for its servers
#	run(sub { start a server }) set(seconds ahead)
#
# KafkaEvents::Provider, which gives tokens: see its head
#
# KafkaEvents::Node, a PostgreSQL::Test::Cluster
#	start_new(name, conf => 'lines of postgresql.conf',
#		install_path => 'not the installation of this run',
#		version => 'of the SQL objects', or EXTENSION_VERSION)
#	create_service(kafka, server, %options)     returns the service's name
#	wait_for(sql, expected, what)        polls; shows the views on failure
#	becomes(sql, expected, name)         a test of what takes a moment
#	wait_until_drained(kafka, topic)     position = end in every partition
#	positions(topic)                     what the view says, e.g. '{5,3}'
#	wait_for_workers(server, count)      that many are running
#	worker_pid(server, role, ordinal)    role is main unless given
#	kill_worker(server, signal, role, ordinal)  KILL unless given
#	crash                                kill -9 of the postmaster, then start
#	ask(sql)                             asks a server that may be away
#	skip_unless_test_build               for what follows, and test_fence
#	crash_at(point) has_crashed(seconds) a process dies at a crash point
#	crash_marker                         the file that it leaves
#	stays_up_ok                          a test: no process died of a signal
#	state                                the views as text, for diag
#
# KafkaEvents::Test::seed()              for tests that do things at random
# KafkaEvents::Test::newer_librdkafka()  its directory: LD_LIBRARY_PATH for what
#                                        the system's is too old for
#
# Note: every wait ends with an error after PG_TEST_TIMEOUT_DEFAULT seconds
# (180).  Wait for conditions, never for time.
package KafkaEvents::Test;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use Test::More;
use version;

use KafkaEvents::Clock;
use KafkaEvents::Kafka;
use KafkaEvents::Node;
use KafkaEvents::Provider;

# What ends one file's tests, such as a server that does not start, is not to
# end those of the others.
{
	no warnings 'redefine';
	*Test::Builder::BAIL_OUT = sub { die "$_[1]\n" };
}

# The newest of those that test/setup/librdkafka has built.
sub newer_librdkafka
{
	my $build = File::Spec->rel2abs(dirname(__FILE__) . '/../../../build');
	my @versions =
	  sort { version->parse($a) <=> version->parse($b) }
	  map { m{librdkafka-([\d.]+)$} ? $1 : () } glob("$build/librdkafka-*");

	die "no librdkafka in $build" unless @versions;
	return "$build/librdkafka-$versions[-1]/lib";
}

# Seed what is random; KAFKA_EVENTS_SEED repeats a run that failed.
sub seed
{
	my $seed = $ENV{KAFKA_EVENTS_SEED} || int(rand(2**31));

	srand($seed);
	note "KAFKA_EVENTS_SEED=$seed";
	return $seed;
}

1;
