# Where a partition starts: every row of the table in
# docs/delivery-guarantees.md, with Kafka's own tools moving the group.
#
# P is the position stored in PostgreSQL, K what is committed in Kafka.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');
my $topic;

$node->safe_psql('postgres', q{
	CREATE TABLE effects (seq serial, topic text, off bigint);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE sql AS
	'INSERT INTO effects (topic, off) VALUES (m.topic, m."offset")'});

# All workers leave the group, so that Kafka's tools may change it.
sub leave
{
	$node->safe_psql('postgres', q{ALTER SERVER shop OPTIONS (ADD workers '0')});
	$node->wait_for(q{SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'kafka_events consumer'}, '0', 'workers to leave');
}

sub come_back
{
	$node->safe_psql('postgres', q{ALTER SERVER shop OPTIONS (DROP workers)});
}

sub offsets
{
	return $node->safe_psql('postgres',
		"SELECT coalesce(string_agg(off::text, ' ' ORDER BY seq), '') FROM effects WHERE topic = '$topic'");
}

sub is_effect
{
	my ($expected, $name) = @_;
	$node->poll_query_until('postgres',
		"SELECT coalesce(string_agg(off::text, ' ' ORDER BY seq), '') FROM effects WHERE topic = '$topic'",
		$expected);
	is(offsets(), $expected, $name);
	$node->safe_psql('postgres', 'TRUNCATE effects');
}

# A topic of its own for each row, with ten messages that were processed.
sub begin
{
	my ($name) = @_;

	$topic = $kafka->create_topic($kafka->unique($name));
	$kafka->produce($topic, [ 0 .. 9 ]);
	$node->safe_psql('postgres',
		"SELECT kafka_subscribe('$topic', handler => 'note')");
	is_effect(join(' ', 0 .. 9), "$name: a new subscription starts at the start");
	$kafka->wait_for_group("$service-main", $topic);
	leave();
}

sub set_position
{
	my ($next) = @_;
	$node->safe_psql('postgres',
		"UPDATE kafka_events.positions SET next_offset = $next WHERE topic = '$topic'");
}

sub stopped_reason
{
	$node->wait_for(
		"SELECT status FROM kafka_consumer_lag WHERE topic = '$topic'",
		'stopped', "$topic to stop");
	return $node->safe_psql('postgres',
		"SELECT status_reason FROM kafka_consumer_lag WHERE topic = '$topic'");
}

# ---- K has this database's stamp, unchanged ----

begin('ours');
$kafka->produce($topic, [10]);
come_back();
is_effect('10', 'K ours, P there: goes on at P');
leave();
set_position(8);
come_back();
is_effect('8 9 10', 'P is behind K, as after a recovery: P decides');
leave();
$kafka->produce($topic, [ 11, 12 ]);
set_position(12);
come_back();
is_effect('12', 'P is ahead of K: P decides');
leave();
$node->safe_psql('postgres',
	"DELETE FROM kafka_events.positions WHERE topic = '$topic'");
come_back();
is_effect(join(' ', 0 .. 12), 'P is lost: the start that the stamp names');
$kafka->wait_for_group("$service-main", $topic);

# ---- moved by Kafka's tools ----

begin('earliest');
$kafka->reset_group("$service-main", $topic, '--to-earliest');
come_back();
is_effect(join(' ', 0 .. 9), '--to-earliest is followed');
$node->wait_for_log(
	qr/partition 0 of topic "\Q$topic\E" moves from offset 10 to 0: its group was reset from outside/);
pass('and a warning says both numbers');
$kafka->wait_for_group("$service-main", $topic);

begin('offset');
$kafka->reset_group("$service-main", $topic, '--to-offset', 7);
come_back();
is_effect('7 8 9', '--to-offset is followed backwards');
$kafka->wait_for_group("$service-main", $topic);
leave();
$kafka->produce($topic, [ 10 .. 14 ]);
$kafka->reset_group("$service-main", $topic, '--to-offset', 13);
come_back();
is_effect('13 14', '--to-offset is followed forwards');
$node->wait_for_log(qr/3 offsets are skipped/);
pass('and what is skipped is counted');
$kafka->wait_for_group("$service-main", $topic);

begin('current');
$kafka->reset_group("$service-main", $topic, '--to-current');
$kafka->produce($topic, [10]);
come_back();
is_effect('10', '--to-current is recognised: nothing moves');
$kafka->wait_for_group("$service-main", $topic);

begin('duration');
$kafka->reset_group("$service-main", $topic, '--by-duration', 'PT1H');
come_back();
is_effect(join(' ', 0 .. 9), '--by-duration is followed');
$kafka->wait_for_group("$service-main", $topic);

# ---- K is gone ----

begin('expired');
$kafka->tool('groups', '--delete-offsets', '--group', "$service-main",
	'--topic', $topic);
$kafka->produce($topic, [10]);
come_back();
is_effect('10', 'K expired, the last message is still there: goes on at P');
$kafka->wait_for_group("$service-main", $topic);

begin('retention');
$kafka->produce($topic, [ 10 .. 19 ]);
$kafka->tool('groups', '--delete-offsets', '--group', "$service-main",
	'--topic', $topic);
$kafka->delete_records($topic, 0, 10);
come_back();
is_effect(join(' ', 10 .. 19), 'the last message is gone, P is not: goes on');
$node->wait_for_log(qr/topic "\Q$topic\E" goes on at offset 10 unchecked/);
pass('and says that it could not be checked');
$kafka->wait_for_group("$service-main", $topic);

begin('passed');
$kafka->produce($topic, [ 10 .. 19 ]);
$kafka->tool('groups', '--delete-offsets', '--group', "$service-main",
	'--topic', $topic);
$kafka->delete_records($topic, 0, 15);
come_back();
like(stopped_reason(), qr/offset 10 is outside of the log \(15 to 20\)/,
	'retention passed P: the partition stops by name');
is(offsets(), '', 'and nothing is skipped');
leave();

begin('passed_k');
$kafka->produce($topic, [ 10 .. 19 ]);
$kafka->delete_records($topic, 0, 15);
come_back();
like(stopped_reason(), qr/offset 10 is not in the log/,
	'retention passed P while K is there: the partition stops by name');
is(offsets(), '', 'and nothing is skipped');
$node->safe_psql('postgres',
	qq{SELECT kafka_consumer_seek('$topic', "position" => 'earliest')});
is_effect(join(' ', 15 .. 19), 'kafka_consumer_seek goes on');
leave();

begin('recreated');
$kafka->delete_topic($topic);
$kafka->create_topic($topic);
$kafka->produce($topic, [ 100 .. 119 ]);
come_back();
like(stopped_reason(), qr/not the one that was processed/,
	'the topic was made again with more messages: stopped by name');
is(offsets(), '', 'and nothing is skipped');
leave();

begin('recreated_short');
$kafka->delete_topic($topic);
$kafka->create_topic($topic);
$kafka->produce($topic, [ 100 .. 102 ]);
come_back();
like(stopped_reason(), qr/outside of the log \(0 to 3\)/,
	'the topic was made again with fewer messages: stopped by name');
leave();

# ---- nothing at all ----

$topic = $kafka->create_topic($kafka->unique('latest'), partitions => 1);
$kafka->produce($topic, [ 0 .. 4 ]);
come_back();
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$topic', handler => 'note', start_from => 'latest')");
$kafka->produce($topic, [ 5, 6 ]);
is_effect('5 6', 'latest: what comes after the call');
$kafka->grow_topic($topic, 2);
$kafka->produce($topic, [ 7, 8 ], '-p', 1);
is_effect('0 1', 'a partition that appears later is read from its start');

# ---- another database in the group ----

begin('foreign');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', qq{
	CREATE EXTENSION kafka_events;
	CREATE TABLE effects (seq serial, topic text, off bigint);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE sql AS
	'INSERT INTO effects (topic, off) VALUES (m.topic, m."offset")';
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '${\ $kafka->address}', service_name '$service');
	SELECT kafka_subscribe('$topic', handler => 'note')});
$kafka->produce($topic, [10]);
$node->poll_query_until('other',
	"SELECT status = 'stopped' FROM kafka_consumer_lag WHERE topic = '$topic'");
like($node->safe_psql('other',
		"SELECT status_reason FROM kafka_consumer_lag WHERE topic = '$topic'"),
	qr/group "\Q$service\E-main" belongs to database .* shared/,
	'another database holds the group: refused, with what to do');
is($node->safe_psql('other', 'SELECT count(*) FROM effects'),
	'0', 'and nothing is consumed');
$node->safe_psql('other', q{ALTER SERVER shop OPTIONS (ADD shared 'true')});
ok($node->poll_query_until('other',
		q{SELECT string_agg(off::text, ' ') = '10' FROM effects}),
	'shared: the larger of K and P');

$node->stays_up_ok;
$node->stop;

done_testing();
