# Subscribing asks the cluster about what is new, and not again about all that
# is subscribed; topics for copies are made all the same.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main', conf => 'log_min_messages = debug1');
my $service = $node->create_service($kafka, 'shop');
my $count = 15;
my @topics = map { $kafka->unique("orders$_") } 1 .. $count;

$node->safe_psql('postgres',
	q{CREATE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS ''});
$node->safe_psql('postgres', "SELECT kafka_topic_create('$_')") foreach @topics;
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$_', handler => 'on_order')")
  foreach @topics;
my $list = join ', ', map { "'$_.retry', '$_.dlq'" } @topics;
$node->becomes("SELECT count(*) FROM kafka_topics() WHERE topic IN ($list)",
	2 * $count, 'each subscription has its topics for copies');

# each look: whether it was about changes only, and how many topics it asked for
my @looks = slurp_file($node->logfile) =~
  /looked at the cluster of server "shop"( for changes)?: \d+ partitions, (\d+) topics asked for/g;
my ($whole, $changes, $asked) = (0, 0, 0);
while (my ($brief, $topics) = splice @looks, 0, 2)
{
	defined $brief ? $changes++ : $whole++;
	$asked += $topics if defined $brief;
}
note("$whole whole looks, $changes for changes, which asked for $asked topics");
cmp_ok($changes, '>=', 1, 'there were looks for changes');
cmp_ok($asked, '<=', $count, '... that asked for each topic once');

# one that is not there yet is asked for until it is
my $late = $kafka->unique('late');
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$late', handler => 'on_order')");
$node->becomes(
	"SELECT status_reason LIKE '%does not exist%' FROM kafka_subscriptions WHERE topic = '$late'",
	't',
	'a topic that is missing is told');
$kafka->create_topic($late);
$node->becomes(
	"SELECT status || coalesce(status_reason, '') FROM kafka_subscriptions WHERE topic = '$late'",
	'active',
	'... and found when it comes');
$node->becomes(
	"SELECT count(*) FROM kafka_topics() WHERE topic IN ('$late.retry', '$late.dlq')",
	'2',
	'... with its topics for copies');

# one that goes away is missed, though it was known
$kafka->delete_topic($topics[0]);
$node->becomes(
	"SELECT status_reason LIKE '%does not exist%' FROM kafka_subscriptions WHERE topic = '$topics[0]'",
	't',
	'one that is deleted is told');

$node->stays_up_ok;
$node->stop;
done_testing();
