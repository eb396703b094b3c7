# Somebody else's locks: a message waits for them without a failure, the other
# topics of its worker go on, and the reason names the lock and its holder.

use strict;
use warnings;

use PostgreSQL::Test::BackgroundPsql ();
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop', topic_partitions => 1);
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_)) } qw(table row handler free);

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE held (id int);
	CREATE TABLE rows (id int PRIMARY KEY, v int);
	CREATE TABLE counters (name text PRIMARY KEY, n int);
	INSERT INTO counters VALUES ('all', 0);
	CREATE TABLE free (id int);
	CREATE FUNCTION count_all(event jsonb) RETURNS void LANGUAGE sql AS
		\$\$ UPDATE counters SET n = n + 1 \$\$;
	SELECT kafka_subscribe('$topic{table}', into_table => 'held');
	SELECT kafka_subscribe('$topic{row}', into_table => 'rows', on_conflict => 'update');
	SELECT kafka_subscribe('$topic{handler}', handler => 'count_all');
	SELECT kafka_subscribe('$topic{free}', into_table => 'free')});

# One message through each, so that all partitions are fetched.
$kafka->produce($topic{$_}, ['{"id": 1, "v": 1}']) foreach sort keys %topic;
$node->wait_until_drained($kafka, $topic{$_}) foreach sort keys %topic;

my $blocker = $node->background_psql('postgres');
my $pid = $blocker->query_safe('SELECT pg_backend_pid()');
my $free = 1;

sub is_waited_for
{
	my ($name, $lock, $what) = @_;

	$blocker->query_safe("BEGIN; $lock");
	$kafka->produce($topic{$name}, ['{"id": 2, "v": 2}']);
	$node->wait_for(
		"SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()",
		1, "$name: the lock to be waited for");
	$kafka->produce($topic{free}, ['{"id": 2}']);
	$free++;
	$node->becomes('SELECT count(*) FROM free', $free, "$name: another topic goes on");
	$node->becomes(
		qq{SELECT status, status_reason LIKE '%$what, held by pid $pid%'
		     FROM kafka_subscriptions WHERE topic = '$topic{$name}'},
		'active|t', "$name: the reason names the lock and its holder");
	$blocker->query_safe('ROLLBACK');
	$node->wait_until_drained($kafka, $topic{$name});
	is( $node->safe_psql('postgres', qq{
			SELECT succeeded_total, retried_total, dead_lettered_total
			  FROM kafka_metrics WHERE topic = '$topic{$name}'}),
		'2|0|0', "$name: the message has not failed");
	$node->becomes(
		"SELECT status_reason IS NULL FROM kafka_subscriptions WHERE topic = '$topic{$name}'",
		't', "$name: the reason goes");
	return;
}

is_waited_for('table', 'LOCK TABLE held', 'a lock on table "held"');
is_waited_for('row', 'INSERT INTO rows VALUES (2, 0)', 'a row of another transaction');
is_waited_for('handler', 'UPDATE counters SET n = 5', 'a row of another transaction');
is($node->safe_psql('postgres', 'SELECT n FROM counters'), 2, 'the handler ran once for each');

$blocker->quit;
$node->stays_up_ok;
done_testing();
