# Subscribing against a real cluster: topics that are missing, starts from
# the end, coming back, changes while consuming, and no worker to be had.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');

$node->safe_psql('postgres', q{
	CREATE TABLE rows (topic text, id bigint, by text);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE sql AS
	$$INSERT INTO rows VALUES (m.topic,
		(convert_from(m.value, 'UTF8')::jsonb->>'id')::bigint, 'note')$$;
	CREATE FUNCTION other(v jsonb) RETURNS void LANGUAGE sql AS
	$$INSERT INTO rows VALUES ('?', (v->>'id')::bigint, 'other')$$});

sub events
{
	return [ map { qq({"id": $_}) } @_ ];
}

sub ids
{
	my ($topic) = @_;

	return $node->safe_psql('postgres',
		"SELECT string_agg(id::text, ' ' ORDER BY id) FROM rows WHERE topic = '$topic'");
}

# Subscribe, and return the result and what psql said on the side.
sub subscribe
{
	my ($arguments) = @_;
	my ($out, $err);

	$node->psql('postgres', "SELECT kafka_subscribe($arguments)",
		stdout => \$out, stderr => \$err);
	return ($out, $err);
}

# a topic that comes later; the first connection takes its time
$node->wait_for('SELECT count(*) >= 0 FROM kafka_topics()');
my $late = $kafka->unique('late');
my ($out, $err) = subscribe("'$late', handler => 'note'");
is($out, qq(kafka_events."$late"), 'a missing topic can be subscribed');
like($err, qr/WARNING:  topic "\Q$late\E" does not exist on server "shop" yet/,
	'with a warning');
$node->wait_for(
	"SELECT status || ': ' || status_reason FROM kafka_subscriptions WHERE topic = '$late'",
	qq(active: topic "$late" does not exist in the cluster),
	'the reason of no rows');
$kafka->create_topic($late, partitions => 2);
$kafka->produce($late, events(1 .. 5), '-p', 0);
$kafka->produce($late, events(6 .. 9), '-p', 1);
$node->wait_until_drained($kafka, $late);
is(ids($late), '1 2 3 4 5 6 7 8 9', 'it is consumed from its start');
$node->becomes(
	"SELECT status, status_reason FROM kafka_subscriptions WHERE topic = '$late'",
	'active|', 'and nothing is left to say');

# from the end: now, and what is added later from its start
my $tail = $kafka->create_topic($kafka->unique('tail'), partitions => 2);
$kafka->produce($tail, events(1 .. 10), '-p', 0);
($out, $err) = subscribe("'$tail', handler => 'note', start_from => 'latest'");
is($err, '', 'subscribing a topic that is there says nothing');
is($node->safe_psql('postgres',
		"SELECT partition, next_offset FROM kafka_events.positions WHERE topic = '$tail' ORDER BY 1"),
	"0|10\n1|0", "'latest' is resolved at the call");
$kafka->produce($tail, events(11, 12), '-p', 0);
$kafka->produce($tail, events(13), '-p', 1);
$node->wait_until_drained($kafka, $tail);
is(ids($tail), '11 12 13', 'what was there before is passed over');
$kafka->grow_topic($tail, 3);
$kafka->produce($tail, events(14, 15), '-p', 2);
$node->wait_until_drained($kafka, $tail);
is(ids($tail), '11 12 13 14 15', 'a partition that is added is read from its start');

# from the end, with a server that nobody can ask yet
my $young = $kafka->create_topic($kafka->unique('young'));
$kafka->produce($young, events(1 .. 3));
$node->psql('postgres', qq{
	BEGIN;
	CREATE SERVER young FOREIGN DATA WRAPPER kafka_events OPTIONS
		(bootstrap_servers '@{[ $kafka->address ]}', service_name '@{[ $kafka->unique('young-service') ]}');
	SELECT kafka_subscribe('$young', handler => 'note', start_from => 'latest', server => 'young');
	COMMIT}, stderr => \$err);
like($err, qr/WARNING:  could not look for topic/, 'a server of the same transaction is not asked');
$node->wait_for("SELECT count(*) FROM kafka_events.starts", '0',
	'the start to be resolved later');
$kafka->produce($young, events(4, 5));
$node->wait_until_drained($kafka, $young);
is(ids($young), '4 5', 'it starts where the end was when it was subscribed');
$node->safe_psql('postgres', 'DROP SERVER young CASCADE');

# coming back
$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$tail')");
$kafka->produce($tail, events(16, 17), '-p', 0);
subscribe("'$tail', handler => 'note', start_from => 'latest'");
$node->wait_until_drained($kafka, $tail);
is(ids($tail), '11 12 13 14 15 16 17', 'a subscription that comes back goes on where it was');

# changes while consuming
$node->safe_psql('postgres',
	"SELECT kafka_subscription_alter('$tail', handler => 'other')");
my $id = 17;
do
{
	$kafka->produce($tail, events(++$id), '-p', 0);
	$node->wait_until_drained($kafka, $tail);
} until $id == 100
  or $node->safe_psql('postgres', "SELECT count(*) FROM rows WHERE by = 'other'") > 0;
isnt($id, 100, 'the new handler is called');
$node->safe_psql('postgres', q{ALTER FUNCTION other(jsonb) RENAME TO renamed});
$kafka->produce($tail, events(101), '-p', 0);
$node->wait_for("SELECT max(id) FROM rows WHERE by = 'other'", '101',
	'the handler to be called by its new name');
is($node->safe_psql('postgres',
		"SELECT handler, status FROM kafka_subscriptions WHERE topic = '$tail'"),
	'renamed(jsonb)|active', 'the subscription knows it');

# a function that is dropped and restored, without privileges meanwhile
$node->safe_psql('postgres', q{
	CREATE ROLE runner LOGIN;
	GRANT USAGE ON FOREIGN DATA WRAPPER kafka_events TO runner;
	REVOKE EXECUTE ON FUNCTION renamed(jsonb) FROM PUBLIC;
	GRANT EXECUTE ON FUNCTION note(kafka_message), renamed(jsonb) TO runner;
	GRANT INSERT ON rows TO runner;
	ALTER SERVER shop OWNER TO runner});
$kafka->produce($tail, events(102), '-p', 0);
$node->wait_for("SELECT max(id) FROM rows WHERE by = 'other'", '102',
	'the new owner to consume');
$node->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION renamed(jsonb) FROM runner');
$node->wait_for(
	"SELECT status, status_reason FROM kafka_subscriptions WHERE topic = '$tail'",
	'broken|Role "runner", the owner of server "shop", has no EXECUTE privilege on function public.renamed(jsonb)',
	'a revoked privilege to break the subscription');
$kafka->produce($tail, events(103), '-p', 0);
$kafka->produce($late, events(10), '-p', 0);
$node->wait_for("SELECT max(id) FROM rows WHERE topic = '$late'", '10',
	'the other subscription to go on');
$node->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION renamed(jsonb) TO runner');
$node->wait_for("SELECT max(id) FROM rows WHERE by = 'other'", '103',
	'the subscription to go on by itself');

# every message once
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM (SELECT 1 FROM rows GROUP BY topic, id, by HAVING count(*) > 1) twice}),
	'0', 'nothing was processed twice');
$node->stays_up_ok;
$node->stop;

# no process to be had: not even the manager, or no consumer beside it
foreach my $slots (2, 3)
{
	my $small = KafkaEvents::Node->start_new("small$slots",
		conf => "max_worker_processes = $slots\n");

	$small->create_service($kafka, 'small');
	$small->wait_for(
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kafka_events manager'},
		'1', 'the manager, which has the last slot')
	  if $slots == 3;
	$small->psql('postgres', qq{
		CREATE TABLE t (id bigint);
		SET kafka_events.request_timeout = '2s';
		SELECT kafka_subscribe('$tail', into_table => 't')}, stderr => \$err);
	like($err,
		qr/WARNING:  server "small" does not consume yet: no free background worker slot: raise max_worker_processes/,
		"$slots slots: a warning at the call");
	$small->wait_for(
		q{SELECT status_reason LIKE '%max_worker_processes' FROM kafka_subscriptions},
		't', 'a reason in the view');
	pass('and a reason in the view');
	$small->stays_up_ok;
	$small->stop;
}

done_testing();
