# What src/kafka makes of the library, against a real Kafka: members of a
# group, their partitions, positions and pauses.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Client;
use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $broker = $kafka->address;
my $client = KafkaEvents::Client->new;
my $many = $kafka->create_topic($kafka->unique('many'), partitions => 4);
my $wait = 1000 * $PostgreSQL::Test::Utils::timeout_default;
my @lines;

# A group that no other test uses, joined by members 0, 1, ... of a script.
sub group { return $kafka->unique($_[0]) }

sub open_members
{
	my ($group, @members) = @_;

	return join '', map { "SELECT client.open($_, '$broker', '$group', 'i$_');\n" }
	  @members;
}

sub list
{
	my ($topic, %offsets) = @_;

	return join ', ', map { "'$topic/$_/$offsets{$_}'" } sort keys %offsets;
}

foreach my $partition (0 .. 3)
{
	$kafka->produce($many, [ 1 .. 1000 ], '-p', $partition);
}

# ---- messages as they came

my $odd = $kafka->create_topic($kafka->unique('odd'));
$kafka->produce_messages(
	$odd,
	{ value => 'v', key => 'k', headers => { a => [ '1', '2' ], b => '' } },
	{ value => undef, key => 'tombstone' },
	{ value => '', key => undef },
	{ value => { repeat => 'x', times => 1_000_000 } });
@lines = $client->run(
	open_members(group('odd'), 0) . qq{
	SELECT client.subscribe(0, '$odd');
	SELECT kind, "offset", key IS NULL, key, value IS NULL, left(value, 3),
		   length(value), headers
	  FROM client.poll('{0}', $wait, 'END', 1, 0) WHERE kind <> 'LOG'});
is_deeply(
	\@lines,
	[
		'ASSIGN||t||t|||', 'MESSAGE|0|f|k|f|v|1|a=1,a=2,b=',
		'MESSAGE|1|f|tombstone|t|||', 'MESSAGE|2|t||f||0|',
		'MESSAGE|3|t||f|xxx|1000000|', 'END|4|t||t|||'
	],
	'nulls, empty values, large values and repeated headers are kept apart');

# ---- commits

my $group = group('commit');
@lines = $client->run(
	open_members($group, 0) . qq{
	SELECT client.subscribe(0, '$many');
	SELECT client.summary('{0}', $wait, 'ASSIGN', 1, 990);
	SELECT client.ask(0, 'committed', '{$many/0/0}');
	SELECT client.act(0, 'commit', '$many/0/7/ke1;o=7');
	SELECT list, error FROM client.poll('{0}', $wait, 'COMMITTED', 1)
	 WHERE kind = 'COMMITTED';
	SELECT client.ask(0, 'commit_wait', '{$many/1/8/second}');
	SELECT client.ask(0, 'committed', '{$many/0/0,$many/1/0,$many/9/0}');
	SELECT client.ask(0, 'watermarks', '{$many/0/0}');
	SELECT client.id(0, $wait) <> '';
	SELECT client.idle(0) < 60000});
is_deeply(
	[ @lines[ 1 .. $#lines ] ],
	[
		"{$many/0/-1001}", "{$many/0/7/ke1;o=7}|0",
		"{$many/1/8/second}", "{$many/0/7/ke1;o=7,$many/1/8/second,$many/9/-1001}",
		'{low/0/0,high/0/1000}', 't', 't'
	],
	'commits carry metadata and are read back');

# ---- two members

@lines = $client->run(
	open_members(group('two'), 0, 1) . qq{
	SELECT client.subscribe(0, '$many');
	SELECT client.summary('{0}', $wait, 'END', 4, 990);
	SELECT client.subscribe(1, '$many');
	SELECT member, list FROM client.poll('{0,1}', $wait, 'MESSAGE', 20, 990)
	 WHERE kind = 'ASSIGN' AND list <> '{}';
	SELECT client.close(1, true) < 3000;
	SELECT member, list FROM client.poll('{0}', $wait, 'MESSAGE', 20, 990)
	 WHERE kind = 'ASSIGN' AND list <> '{}'});
like($lines[0], qr/^0 ASSIGN 1 \{.*\/0\/-1001,.*\/3\/-1001\}$/,
	'the only member is assigned everything');
is(scalar(grep { /^0 MESSAGE .* 10 990-999$/ } @lines),
	4, 'it reads from the offsets given');
is($lines[9], "1|{$many/1/-1001,$many/0/-1001}", 'another one gets its share');
is($lines[10], 't', 'it leaves in time');
is($lines[11], "0|{$many/1/-1001,$many/0/-1001}",
	'what it leaves goes back at once');

# ---- moving

@lines = $client->run(
	open_members(group('move'), 0) . qq{
	SELECT client.subscribe(0, '$many');
	SELECT FROM client.poll('{0}', $wait, 'MESSAGE', 1, 0);
	DO \$\$
	DECLARE
		event record;
		moved integer;
		expected bigint[] := array_fill(NULL::bigint, ARRAY[4]);
		stray integer := 0;
	BEGIN
		FOR round IN 1 .. 100 LOOP
			FOR event IN
				SELECT * FROM client.poll('{0}', 100, 'MESSAGE', round * 7 % 300)
			LOOP
				CONTINUE WHEN event.kind <> 'MESSAGE';
				IF event."offset" <> expected[event.partition + 1] THEN
					stray := stray + 1;
				END IF;
				expected[event.partition + 1] := event."offset" + 1;
			END LOOP;
			moved := round % 4;
			expected[moved + 1] := round * 13 % 1000;
			PERFORM client.act(0, 'restart', format('$many/%s/%s', moved,
				expected[moved + 1]));
		END LOOP;
		RAISE INFO 'stray: %', stray;
		CREATE TEMP TABLE result AS SELECT stray;
	END \$\$;
	SELECT stray FROM result});
is($lines[-1], '0', 'after a move only messages from there on come');

# ---- pausing

@lines = $client->run(
	open_members(group('pause'), 0, 1) . qq{
	SELECT client.subscribe(0, '$many');
	SELECT FROM client.poll('{0}', $wait, 'ASSIGN', 1);
	SELECT client.act(0, 'assign', @{[ list($many, 0 => 900, 1 => 900, 2 => 900, 3 => 900) ]});
	SELECT client.act(0, 'pause', '$many/0/0', '$many/1/0', '$many/2/0');
	SELECT client.summary('{0}', $wait, 'END', 1);
	SELECT client.summary('{0}', 500, 'NONE', 1);
	SELECT client.act(0, 'resume', '$many/0/0');
	SELECT client.summary('{0}', $wait, 'MESSAGE', 50);
	SELECT client.act(0, 'resume', '$many/0/0');
	SELECT client.summary('{0}', $wait, 'MESSAGE', 40);
	SELECT client.act(0, 'restart', '$many/1/950');
	SELECT client.summary('{0}', $wait, 'END', 1);
	SELECT client.summary('{0}', 500, 'NONE', 1);
	SELECT client.subscribe(1, '$many');
	SELECT FROM client.poll('{0,1}', $wait, 'END', 3, 995);
	SELECT client.close(1, true) < 3000;
	SELECT client.summary('{0}', $wait, 'MESSAGE', 10, 995);
	SELECT client.summary('{0}', 500, 'NONE', 1)});
is_deeply(
	[ @lines[ 0 .. 5 ] ],
	[
		"0 END $many/3 1 1000-1000",
		"0 MESSAGE $many/3 100 900-999",
		"0 MESSAGE $many/0 50 900-949",
		"0 MESSAGE $many/0 40 950-989",
		"0 END $many/0 1 1000-1000",
		"0 MESSAGE $many/0 10 990-999"
	],
	'pausing at once, resuming twice, moving while paused');
ok( (grep { $_ eq "0 MESSAGE $many/1 5 995-999" } @lines),
	'a partition that was given up and comes back is not paused');
ok(!(grep { /\Q$many\E\/2/ } @lines),
	'a partition that is kept stays paused over rebalances');

# ---- transactions

my $transactional = $kafka->create_topic($kafka->unique('transactional'));
$kafka->produce_events($transactional, count => 40, batch => 10, abort => 4,
	transactional => $kafka->unique('t'));
my ($end) = $kafka->end_offsets($transactional);
@lines = $client->run(
	open_members(group('transactional'), 0) . qq{
	SELECT client.subscribe(0, '$transactional');
	SELECT client.summary('{0}', $wait, 'END', 1, 0);
	SELECT client.known_end(0, '$transactional', 0)});
is_deeply(
	[ @lines[ 1 .. 3 ] ],
	[
		"0 END $transactional/0 1 $end-$end",
		"0 MESSAGE $transactional/0 30 0-" . ($lines[2] =~ /(\d+)$/)[0],
		"$end/$end"
	],
	'aborted messages are left out, the end is behind the control records');
ok($end >= 44, 'there are control records');

# ---- places in the group

$group = group('static');
my $other = $kafka->create_topic($kafka->unique('other'));
$kafka->produce($other, [ 1 .. 5 ]);
my $changed = qq{
	SELECT client.unsubscribe(0);
	SELECT list FROM client.poll('{0}', $wait, 'REVOKE', 1, 995) WHERE kind = 'REVOKE';
	SELECT client.subscribe(0, '$other');
	SELECT list FROM client.poll('{0}', $wait, 'ASSIGN', 1, 0) WHERE kind = 'ASSIGN';};
@lines = $client->run(
	open_members($group, 0) . qq{
	SELECT client.subscribe(0, '$many');
	SELECT list FROM client.poll('{0}', $wait, 'ASSIGN', 1, 995) WHERE kind = 'ASSIGN'});
my $everything = $lines[0];
my $started = time();
@lines = $client->run(
	open_members($group, 0) . qq{
	SELECT client.subscribe(0, '$many');
	SELECT list FROM client.poll('{0}', $wait, 'ASSIGN', 1, 995) WHERE kind = 'ASSIGN'});
is($lines[0], $everything, 'a new process takes the place of a dead one');
cmp_ok(time() - $started, '<', 20, 'before its session times out');
@lines = $client->run(
	open_members($group, 0) . qq{
	SELECT client.subscribe(0, '$other');
	SELECT list FROM client.poll('{0}', $wait, 'ASSIGN', 1, 995) WHERE kind = 'ASSIGN';
	$changed});
is_deeply(
	\@lines,
	[ $everything, $everything, "{$other/0/-1001}" ],
	'with other topics it has the old partitions until it subscribes again');

$group = group('fenced');
@lines = $client->run(
	qq{
	SELECT client.open(0, '$broker', '$group', 'same');
	SELECT client.subscribe(0, '$other');
	SELECT FROM client.poll('{0}', $wait, 'ASSIGN', 1, 0);
	SELECT client.open(1, '$broker', '$group', 'same');
	SELECT client.subscribe(1, '$other');
	SELECT member FROM client.poll('{0,1}', $wait, 'FENCED', 1, 0)
	 WHERE kind = 'FENCED'});
is_deeply(\@lines, ['0'], 'the older of two processes with one place is told');

# ---- topics that come and go

my $late = $kafka->unique('late');
@lines = $client->run(
	open_members(group('late'), 0) . qq{
	SELECT client.subscribe(0, '$late');
	SELECT text FROM client.poll('{0}', $wait, 'ERROR', 1, 0) WHERE kind = 'ERROR'});
is($lines[0], "Subscribed topic not available: $late: Broker: Unknown topic or partition",
	'a missing topic is named');
ok(!(grep { $_ eq $late } $client->run(
			"SELECT client.cluster_open('$broker', 'x');
			 SELECT name FROM client.cluster_topics(NULL)")),
	'and not created');

# ---- questions about the cluster

my $timed = $kafka->create_topic($kafka->unique('timed'), partitions => 2);
$kafka->produce_messages($timed,
	map { { value => "$_", partition => 0, timestamp => 1_700_000_000_000 + $_ } }
	  0 .. 9);
@lines = $client->run(
	qq{
	SELECT client.cluster_open('$broker', '@{[ group('commit') ]}');
	SELECT client.cluster_topics('$many');
	SELECT client.cluster_topics('$late');
	SELECT client.cluster_ask('committed', '{$many/0/0,$many/2/0}');
	SELECT client.cluster_ask('offsets_for_time', '{$many/3/-2}');
	SELECT client.cluster_ask('offsets_for_time', '{$many/3/-1}');
	SELECT client.cluster_ask('offsets_for_time',
							  '{$timed/0/1700000000004,$timed/1/1700000000004}');
	SELECT client.cluster_ask('offsets_for_time', '{$timed/0/1900000000000}');
	SELECT client.cluster_serve() IS NULL;
	SELECT client.cluster_close();
	SELECT client.cluster_open('$broker', 'x');
	SELECT client.cluster_topics('$many')});
is_deeply(
	\@lines,
	[
		"($many,4,1,Success)",
		qq{($late,0,0,"Broker: Unknown topic or partition")},
		"{$many/0/7/ke1;o=7,$many/2/-1001}",
		"{$many/3/0}",
		"{$many/3/1000}",
		"{$timed/0/4,$timed/1/0}",
		"{$timed/0/10}",
		't',
		"($many,4,1,Success)"
	],
	'topics, positions and offsets');

unlike(slurp_file($client->node->logfile),
	qr/terminated by signal|TRAP:/, 'no process died of a signal');

done_testing();
