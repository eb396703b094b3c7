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

$node->safe_psql('postgres', q{
	CREATE TABLE effects (seq serial, topic text, off bigint);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE sql AS
	'INSERT INTO effects (topic, off) VALUES (m.topic, m."offset")'});

# All workers leave the group, so that Kafka's tools may change it.
sub leave
{
	$node->safe_psql('postgres',
		q{ALTER SERVER shop OPTIONS (ADD workers '0')});
	$node->wait_for(
		q{SELECT count(*) FROM pg_stat_activity
		   WHERE backend_type = 'kafka_events consumer'},
		'0', 'workers to leave');
	return;
}

sub come_back
{
	$node->safe_psql('postgres', q{ALTER SERVER shop OPTIONS (DROP workers)});
	return;
}

sub effects_are
{
	my ($topic, $expected, $name) = @_;
	my $query = qq{
		SELECT coalesce(string_agg(off::text, ' ' ORDER BY seq), '')
		  FROM effects WHERE topic = '$topic'};

	$node->poll_query_until('postgres', $query, $expected);
	is($node->safe_psql('postgres', $query), $expected, $name);
	return;
}

sub set_position
{
	my ($topic, $next) = @_;

	$node->safe_psql('postgres',
		"UPDATE kafka_events.positions SET next_offset = $next WHERE topic = '$topic'"
	);
	return;
}

sub reset_group
{
	my ($topic, @how) = @_;

	$kafka->reset_group("$service-main", $topic, @how);
	return;
}

sub expire
{
	my ($topic) = @_;

	$kafka->tool('groups', '--delete-offsets', '--group', "$service-main",
		'--topic', $topic);
	return;
}

sub recreate
{
	my ($topic, $count) = @_;

	$kafka->delete_topic($topic);
	$kafka->create_topic($topic);
	$kafka->produce($topic, [ map { "new $_" } 1 .. $count ]);
	return;
}

# Each row has a topic of its own, with ten messages that were processed and
# committed.  Then the workers leave, change() happens, three more messages
# come, and the workers come back: effects are what was processed then, log
# is what the server's log says, stopped why the partition stopped.
my @rows = (
	{
		name => 'K is ours, P is there: P',
		effects => '10 11 12',
	},
	{
		name => 'P is behind K, as after a recovery: P',
		change => sub { set_position($_[0], 8) },
		effects => '8 9 10 11 12',
	},
	{
		name => 'P is ahead of K: P',
		change => sub { set_position($_[0], 12) },
		effects => '12',
	},
	{
		name => 'P is lost: the start that the stamp names',
		change => sub {
			$node->safe_psql('postgres',
				"DELETE FROM kafka_events.positions WHERE topic = '$_[0]'");
		},
		effects => '0 1 2 3 4 5 6 7 8 9 10 11 12',
	},
	{
		name => '--to-earliest is followed',
		change => sub { reset_group($_[0], '--to-earliest') },
		effects => '0 1 2 3 4 5 6 7 8 9 10 11 12',
		log => qr/moves from offset 10 to 0: its group was reset from outside/,
	},
	{
		name => '--to-offset is followed backwards',
		change => sub { reset_group($_[0], '--to-offset', 7) },
		effects => '7 8 9 10 11 12',
		log => qr/moves from offset 10 to 7: its group was reset from outside/,
	},
	{
		name => '--to-offset is followed forwards, and says what it skips',
		change => sub {
			$kafka->produce($_[0], [ 'a' .. 'c' ]);
			reset_group($_[0], '--to-offset', 12);
		},
		effects => '12 13 14 15',
		log => qr/moves from offset 10 to 12.*\n.*2 offsets are skipped/,
	},
	{
		name => '--to-current is recognised: nothing moves',
		change => sub { reset_group($_[0], '--to-current') },
		effects => '10 11 12',
	},
	{
		name => '--by-duration is followed',
		change => sub { reset_group($_[0], '--by-duration', 'PT1H') },
		effects => '0 1 2 3 4 5 6 7 8 9 10 11 12',
	},
	{
		name => 'K expired, the last message is still there: P',
		change => sub { expire($_[0]) },
		effects => '10 11 12',
	},
	{
		name => 'K expired, the last message too, P is in the log: P, unchecked',
		change => sub {
			expire($_[0]);
			$kafka->delete_records($_[0], 0, 10);
		},
		effects => '10 11 12',
		log => qr/goes on at offset 10 unchecked/,
	},
	{
		name => 'K expired, retention passed P: stopped',
		change => sub {
			expire($_[0]);
			$kafka->produce($_[0], [ 'a' .. 'j' ]);
			$kafka->delete_records($_[0], 0, 15);
		},
		stopped => qr/offset 10 is outside of the log \(15 to \d+\)/,
	},
	{
		name => 'K is there, retention passed P: stopped',
		change => sub {
			$kafka->produce($_[0], [ 'a' .. 'j' ]);
			$kafka->delete_records($_[0], 0, 15);
		},
		stopped => qr/offset 10 is not in the log any more/,
		seek => '15 16 17 18 19 20 21 22',
	},
	{
		name => 'the topic was made again with more messages: stopped',
		change => sub { recreate($_[0], 20) },
		stopped => qr/offset 9 is not the one that was processed/,
	},
	{
		name => 'the topic was made again with fewer messages: stopped',
		change => sub { recreate($_[0], 2) },
		stopped => qr/offset 10 is outside of the log \(0 to 5\)/,
	});

my $number = 0;

foreach my $row (@rows)
{
	$row->{topic} = $kafka->create_topic($kafka->unique('row' . ++$number));
	$kafka->produce($row->{topic}, [ 0 .. 9 ]);
	$node->safe_psql('postgres',
		"SELECT kafka_subscribe('$row->{topic}', handler => 'note')");
}
foreach my $row (@rows)
{
	effects_are($row->{topic}, join(' ', 0 .. 9),
		"$row->{topic}: a new subscription starts at the start");
	$kafka->wait_for_group("$service-main", $row->{topic});
}
leave();
$node->safe_psql('postgres', 'TRUNCATE effects');
foreach my $row (@rows)
{
	$row->{change}->($row->{topic}) if $row->{change};
	$kafka->produce($row->{topic}, [ 'x', 'y', 'z' ]);
}
come_back();

foreach my $row (@rows)
{
	my ($topic, $name) = ($row->{topic}, $row->{name});

	if ($row->{stopped})
	{
		$node->wait_for(
			"SELECT status FROM kafka_consumer_lag WHERE topic = '$topic'",
			'stopped', $name);
		like(
			$node->safe_psql('postgres',
				"SELECT status_reason FROM kafka_consumer_lag WHERE topic = '$topic'"
			),
			$row->{stopped},
			$name);
		effects_are($topic, '', "$name: nothing is skipped");
	}
	else
	{
		effects_are($topic, $row->{effects}, $name);
	}
	like(slurp_file($node->logfile),
		qr/partition 0 of topic "\Q$topic\E" $row->{log}/, "$name: says so")
	  if $row->{log};
	if ($row->{seek})
	{
		$node->safe_psql('postgres',
			qq{SELECT kafka_consumer_seek('$topic', "position" => 'earliest')});
		effects_are($topic, $row->{seek}, "$name: kafka_consumer_seek goes on");
	}
}

# ---- nothing at all ----

my $topic = $kafka->create_topic($kafka->unique('latest'), partitions => 1);

$kafka->produce($topic, [ 0 .. 4 ]);
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$topic', handler => 'note', start_from => 'latest')"
);
$kafka->produce($topic, [ 5, 6 ]);
effects_are($topic, '5 6', 'latest: what comes after the call');
$kafka->grow_topic($topic, 2);
$kafka->produce($topic, [ 7, 8 ], '-p', 1);
effects_are($topic, '5 6 0 1',
	'a partition that appears later is read from its start');

# ---- a topic that is made again while it is consumed ----

$topic = $kafka->create_topic($kafka->unique('live'));
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$topic', handler => 'note')");
$kafka->produce($topic, [ 0 .. 9 ]);
$node->wait_until_drained($kafka, $topic);
recreate($topic, 20);
$node->wait_for(
	"SELECT status FROM kafka_consumer_lag WHERE topic = '$topic'",
	'stopped', 'the partition of a topic that was made again to stop');
like(
	$node->safe_psql('postgres',
		"SELECT status_reason FROM kafka_consumer_lag WHERE topic = '$topic'"),
	qr/not the one that was processed|outside of the log|not in the log/,
	'made again while it is consumed: stopped');
effects_are($topic, join(' ', 0 .. 9), 'and nothing is skipped');

# ---- another database in the group ----

$topic = $rows[0]{topic};
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql(
	'other', qq{
	CREATE EXTENSION kafka_events;
	CREATE TABLE effects (seq serial, topic text, off bigint);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE sql AS
	'INSERT INTO effects (topic, off) VALUES (m.topic, m."offset")';
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '${\ $kafka->address}', service_name '$service')});
leave();
$node->safe_psql('other',
	"SELECT kafka_subscribe('$topic', handler => 'note')");
ok( $node->poll_query_until(
		'other',
		"SELECT status <> 'running' AND status_reason ~ 'belongs to database'
		   FROM kafka_consumer_lag WHERE topic = '$topic'"
	),
	'another database holds the group: not consumed');
like(
	$node->safe_psql(
		'other',
		"SELECT status_reason FROM kafka_consumer_lag WHERE topic = '$topic'"),
	qr/group "\Q$service\E-main" belongs to database .* shared/,
	'and says what to do');
$kafka->produce($topic, [13]);
is($node->safe_psql('other', 'SELECT count(*) FROM effects'),
	'0', 'nothing is consumed');
$node->safe_psql('other', q{ALTER SERVER shop OPTIONS (ADD shared 'true')});
ok( $node->poll_query_until(
		'other', q{SELECT string_agg(off::text, ' ') = '13' FROM effects}),
	'shared: the larger of K and P');

$node->stays_up_ok;
$node->stop;

done_testing();
