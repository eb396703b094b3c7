# A process that dies by kill -9 at each step of a message's way through
# retries: no retry, effect or dead letter is lost, and none happens twice.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_)) } qw(none key);
my $node = KafkaEvents::Node->start_new('main',
	conf => "log_min_messages = warning\n");

$node->create_service($kafka, 'shop');
$node->skip_unless_test_build;

$node->safe_psql('postgres', q{
	CREATE TABLE calls (topic text, id bigint, attempt int);
	CREATE FUNCTION on_event(m kafka_message) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		n bigint := convert_from(m.value, 'UTF8');
	BEGIN
		IF n % 5 = 1 AND m.attempt = 0 OR n % 10 = 3 THEN
			RAISE EXCEPTION 'fails';
		END IF;
		INSERT INTO calls VALUES (m.topic, n, m.attempt);
	END $$});
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$topic{$_}', handler => 'on_event', ordering => '$_', max_retries => 1,
		initial_delay => '100 ms', breaker_threshold => 0)})
  foreach sort keys %topic;

my $sent = 0;

# 50 more events for each, of which 5 are bad
sub produce
{
	my @values = $sent + 1 .. $sent + 50;

	$kafka->produce($topic{$_}, \@values, '-k', 'k') foreach sort keys %topic;
	$sent += 50;
	return;
}

# How many different letters there are, once there are that many or no more
# come; a relay that was killed sends some of them again.
sub count_letters
{
	my ($topic, $wanted) = @_;
	my %ids;

	$kafka->wait_for_records($topic, $wanted);
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		%ids = map { my %h = @{ $_->{headers} }; ($h{'x-copy-id'} => 1) }
		  $kafka->consume($topic);
		last if keys %ids >= $wanted;
		usleep(100_000);
	}
	return scalar keys %ids;
}

sub all_done_ok
{
	my ($name) = @_;
	my $dead = $sent / 10;
	my $good = $sent - $dead;

	foreach my $ordering (sort keys %topic)
	{
		my $topic = $topic{$ordering};

		$node->wait_for("SELECT count(*) >= $good FROM calls WHERE topic = '$topic'",
			't', "$name, $ordering: all effects");
		$node->wait_for("SELECT count(*) FROM kafka_retries WHERE topic = '$topic'",
			0, "$name, $ordering: all retries");
		is( $node->safe_psql('postgres',
				"SELECT count(*), count(DISTINCT id) FROM calls WHERE topic = '$topic'"),
			"$good|$good", "$name, $ordering: every good event has its effect, once");
		is(count_letters("$topic.dlq", $dead), $dead,
			"$name, $ordering: every other is a dead letter, once");
	}
	return;
}

produce();
all_done_ok('without any crash');

foreach my $point (qw(before_routing in_routing after_routing in_parking))
{
	$node->crash_at($point);
	produce();
	ok($node->has_crashed, "$point: a process died there");
	$node->poll_query_until('postgres', 'SELECT true');
	all_done_ok($point);
}

$node->stop;

done_testing();
