# Pause, resume and seek against a real cluster.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');

$node->safe_psql('postgres', qq{
	CREATE TABLE effects (seq serial, part int, off bigint);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF m.value = 'bad' THEN
			PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);
		END IF;
		INSERT INTO effects (part, off) VALUES (m.partition, m."offset");
	END \$\$;
	SELECT kafka_subscribe('$topic', handler => 'note')});

sub effects
{
	return $node->safe_psql('postgres', q{
		SELECT string_agg(part || ':' || off, ' ' ORDER BY part, off) FROM effects});
}

# The view may show for a moment still where a partition was before a seek,
# so wait for the effects themselves.
sub effects_ok
{
	my ($expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->poll_query_until('postgres', q{
		SELECT coalesce(string_agg(part || ':' || off, ' ' ORDER BY part, off), '')
		  FROM effects}, $expected);
	is(effects(), $expected, $name);
}

sub forget
{
	$node->safe_psql('postgres', 'TRUNCATE effects');
}

# Messages with 1 s between their timestamps, in both partitions.
my $start = 1_700_000_000_000;
$kafka->produce_messages($topic,
	map { { value => "m$_", partition => $_ % 2, timestamp => $start + 1000 * $_ } }
	  0 .. 9);
$node->wait_until_drained($kafka, $topic);
my $all = join ' ', map { my $p = $_; map { "$p:$_" } 0 .. 4 } 0, 1;
effects_ok($all, 'everything is consumed');

# pause
is($node->safe_psql('postgres', "SELECT kafka_consumer_pause('$topic')"),
	qq(kafka_events."$topic"), 'pause');
$node->wait_for(
	"SELECT count(*) FROM kafka_consumer_lag WHERE topic = '$topic' AND status = 'paused'",
	'2', 'both partitions to be paused');
$kafka->produce($topic, ['m10'], '-p', 0);
# another subscription of the same worker shows that time passes for it
my $clock = $kafka->create_topic($kafka->unique('clock'));
$node->safe_psql('postgres', qq{
	CREATE TABLE clock (id bigint);
	SELECT kafka_subscribe('$clock', into_table => 'clock')});
$kafka->produce($clock, ['{"id": 1}']);
$node->wait_until_drained($kafka, $clock);
effects_ok($all, 'what is paused is not consumed, others are');
$node->wait_for(
	qq{SELECT partition, "position", lag_messages FROM kafka_consumer_lag
		WHERE topic = '$topic' ORDER BY partition},
	"0|5|1\n1|5|0", 'the lag of what is paused to be shown');
$node->safe_psql('postgres', "SELECT kafka_consumer_resume('$topic')");
effects_ok(join(' ', sort { $a cmp $b } split(' ', $all), '0:5'), 'resume');

# seek
sub seek_ok
{
	my ($arguments, $expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres',
			"SELECT * FROM kafka_consumer_seek('$topic', $arguments)"),
		$expected, $name);
}

sub seek_fails
{
	my ($arguments, $expected, $name) = @_;
	my $err;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->psql('postgres',
		"SELECT * FROM kafka_consumer_seek('$topic', $arguments)", stderr => \$err);
	like($err, $expected, $name);
}

forget();
seek_ok(q{to_position => 'earliest'}, "0|6|0\n1|5|0", 'to the start');
effects_ok('0:0 0:1 0:2 0:3 0:4 0:5 1:0 1:1 1:2 1:3 1:4', 'all again');

forget();
seek_ok('to_offset => 4', "0|6|4\n1|5|4", 'to an offset in all partitions');
effects_ok('0:4 0:5 1:4', 'from the offset on');

forget();
seek_ok('2, partition => 1', '1|5|2', 'to an offset in one partition');
effects_ok('1:2 1:3 1:4', 'from the offset on, there alone');

forget();
seek_ok("\"timestamp\" => to_timestamp($start / 1000.0 + 7)", "0|6|4\n1|5|3",
	'to a time');
effects_ok('0:4 0:5 1:3 1:4', 'from the first message at or after it');

forget();
seek_ok("\"timestamp\" => now() + interval '1 day'", "0|6|6\n1|5|5",
	'to the future is to the end');
seek_ok("6, partition => 0", '0|6|6', 'the end itself is an offset');
seek_fails('7, partition => 0', qr/partition 0 of topic ".*" has no offset 7/,
	'behind the end');
seek_fails('6', qr/partition 1 of topic ".*" has no offset 6.*Its messages start at 0 and end before 5/s,
	'behind the end of one of them');
seek_fails('0, partition => 2', qr/has no partition 2.*It has 2 partitions/s,
	'a partition that is not there');
$kafka->delete_records($topic, 0, 2);
seek_fails('1, partition => 0', qr/Its messages start at 2/, 'before the start');

# a seek that is rolled back, and one of a subscription that is paused
$node->safe_psql('postgres', qq{
	BEGIN;
	SELECT * FROM kafka_consumer_seek('$topic', "position" => 'earliest');
	ROLLBACK});
$kafka->produce($topic, ['m11'], '-p', 0);
effects_ok('0:6', 'a seek that is rolled back has not happened');
forget();
$node->safe_psql('postgres', qq{
	SELECT kafka_consumer_pause('$topic');
	SELECT * FROM kafka_consumer_seek('$topic', 5, partition => 0);
	SELECT kafka_consumer_resume('$topic')});
effects_ok('0:5 0:6', 'a seek while paused counts when it goes on');

# a message that ends its process: go behind it, or see to it and resume
forget();
$kafka->produce($topic, [ 'bad', 'good' ], '-p', 1);
$node->wait_for(
	"SELECT status || ' ' || (status_reason LIKE 'partition 1 stopped: %') FROM kafka_subscriptions WHERE topic = '$topic'",
	'broken true', 'the partition to stop');
is($node->safe_psql('postgres',
		"SELECT \"position\" FROM kafka_consumer_lag WHERE topic = '$topic' AND partition = 1"),
	'5', 'at the message');
seek_ok('6, partition => 1', '1|5|6', 'go on behind it');
effects_ok('1:6', 'what follows is processed');
ok( $node->wait_for(
		"SELECT status FROM kafka_subscriptions WHERE topic = '$topic'",
		'active', 'the partition to go on'),
	'all is well again');
seek_ok('5, partition => 1', '1|7|5', 'back to it');
$node->wait_for(
	"SELECT status FROM kafka_subscriptions WHERE topic = '$topic'",
	'broken', 'the partition to stop again');
forget();
# the cause is removed, and it is told so
$node->safe_psql('postgres', qq{
	CREATE OR REPLACE FUNCTION note(m kafka_message) RETURNS void LANGUAGE sql AS
	'INSERT INTO effects (part, off) VALUES (m.partition, m."offset")';
	SELECT kafka_consumer_resume('$topic')});
effects_ok('1:5 1:6', 'resume tries the message again');

# dead cluster
my $own = KafkaEvents::Kafka->start_own;
my $gone = $own->create_topic('gone');
$node->create_service($own, 'dead', service_name => $own->unique('dead'));
$node->safe_psql('postgres', "SELECT kafka_subscribe('$gone', handler => 'note', server => 'dead')");
$own->kill9;
my $err;
$node->psql('postgres', qq{
	SET kafka_events.request_timeout = '3s';
	SELECT * FROM kafka_consumer_seek('$gone', "position" => 'latest', server => 'dead')},
	stderr => \$err);
like($err, qr/ERROR:  could not ask server "dead" for the offsets of topic "gone": /,
	'no answer is an error');

$node->stays_up_ok;
$node->stop;
done_testing();
