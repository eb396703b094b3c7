# Partitions that a group has given to nobody: the consumers of that group, be
# it the main or the retry group, join it again, and the views say so.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop',
	session_timeout => 6000, heartbeat_interval => 500);

$node->safe_psql('postgres', qq{
	CREATE TABLE done (id int);
	CREATE FUNCTION run(m kafka_message) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF m.attempt = 0 THEN
			PERFORM kafka_retry('not yet', '1 s');
		END IF;
		INSERT INTO done VALUES (convert_from(m.value, 'UTF8')::int);
	END\$\$;
	SELECT kafka_subscribe('$topic', handler => 'run', breaker_threshold => 0)});
$kafka->produce($topic, [ 1 .. 20 ]);
$node->wait_for(
	q{SELECT count(*) FROM kafka_consumer_lag
	   WHERE role = 'retry' AND consumer_id IS NOT NULL},
	'2', 'the retry consumer to have both partitions');

# A member that nobody knows, in a place that could be one of ours: to us it
# looks as if the group had given its partitions to nobody.
my $uuid = $node->safe_psql('postgres', 'SELECT uuid FROM kafka_events.identity');

foreach my $role (qw(main retry))
{
	my $fetched = $role eq 'main' ? $topic : "$topic.retry";
	my $before = -s $node->logfile;
	my $ghost = $kafka->join_group("$service-$role", $fetched,
		'group.instance.id' => "$uuid-ghost", 'session.timeout.ms' => 6000,
		'enable.auto.commit' => 'false');

	$node->wait_for(
		qq{SELECT count(*) FROM kafka_consumer_lag
		    WHERE role = '$role' AND status = 'unassigned' AND consumer_id IS NULL
		      AND status_reason = 'group "$service-$role" has given it to no consumer yet'},
		'1', "a partition of the $role group without an owner to be shown");
	$node->becomes(q{SELECT status, message LIKE '%not consumed here%' FROM kafka_health()},
		'degraded|t', "health says that a partition of the $role group has no owner");
	ok( $node->wait_for_log(
			qr/deliver nothing: its $role consumers join the group again/, $before),
		"the $role consumers join their group again");
	$kafka->leave_group($ghost);
	$node->wait_for(
		qq{SELECT count(*) FROM kafka_consumer_lag
		    WHERE role = '$role' AND consumer_id IS NOT NULL},
		'2', "every partition of the $role group to have an owner again");
}

$kafka->produce($topic, [ 21 .. 40 ]);
$node->becomes('SELECT count(*), count(DISTINCT id) FROM done', '40|40',
	'every message runs, once');
$node->stays_up_ok;
$node->stop;

done_testing();
