
# A database that is not what it was, or a cluster that is another one:
# nothing is consumed until somebody says what is meant.

use strict;
use warnings;

use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 1000 ]);
$node->wait_until_drained($kafka, $topic);

# another cluster at the same service
my $other = KafkaEvents::Kafka->start_own;
my $address = $other->address;
$other->create_topic($topic, partitions => 2);
$node->safe_psql('postgres',
	"ALTER SERVER shop OPTIONS (SET bootstrap_servers '$address')");
$node->wait_for(
	qq{SELECT last_error LIKE 'this is Kafka cluster "%", but service "$service" belongs to cluster "%'
		 FROM kafka_consumer_health WHERE pid IS NULL},
	't', 'the other cluster to be refused');
$address = $kafka->address;
$node->safe_psql('postgres',
	"ALTER SERVER shop OPTIONS (SET bootstrap_servers '$address')");
$node->wait_for_workers('shop', 1);
$other->kill9;

# The files of the whole server, copied and started: both take themselves for
# the one that consumes, and the later one takes the other's place in the
# group.  The one that lost it sees the other's commits, and stops.
$node->stop;
my $copy = KafkaEvents::Node->new('copy');
PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $copy->data_dir);
chmod 0700, $copy->data_dir or die "could not chmod: $!";
$copy->append_conf('postgresql.conf',
	'port = ' . $copy->port . "\nunix_socket_directories = '" . $copy->host . "'"
);
$node->start;
$node->wait_for_workers('shop', 1);
$copy->start;

my $seen =
  qr/server "shop" does not consume: another PostgreSQL server with this database's identity consumes in group/;
my $blocked;
foreach (1 .. $PostgreSQL::Test::Utils::timeout_default)
{
	$kafka->produce($topic, [ map { qq({"id": $_}) } 1 .. 10 ]);
	($blocked) =
	  grep { slurp_file($_->logfile) =~ $seen } ($node, $copy);
	last if $blocked;
	sleep 1;
}
ok($blocked, 'a copy is noticed');
$blocked->wait_for(
	q{SELECT count(*) FROM kafka_consumer_health
	   WHERE pid IS NULL AND last_error IS NOT NULL},
	'1', 'the one that noticed it not to consume');
$node->stays_up_ok;
$copy->stays_up_ok;
$node->stop;
$copy->stop;

done_testing();
