# A file copy of the whole server is started beside the original: it has the
# same identity, so only Kafka can tell.  It is noticed and stopped, and what
# the original does is still exactly once.

use strict;
use warnings;

use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $node = KafkaEvents::Node->start_new('original',
	init => { allows_streaming => 1 });
my $service = $node->create_service($kafka, 'shop',
	session_timeout => 6000, heartbeat_interval => 500);

$node->safe_psql('postgres', qq{
	CREATE TABLE effects (off bigint, part int);
	CREATE FUNCTION note(m kafka_message) RETURNS void LANGUAGE sql AS
	'INSERT INTO effects VALUES (m."offset", m.partition)';
	SELECT kafka_subscribe('$topic', handler => 'note')});
$kafka->produce_events($topic, count => 1000);
$node->wait_until_drained($kafka, $topic);

$node->backup('files');
my $copy = KafkaEvents::Node->new('copy');
$copy->init_from_backup($node, 'files');
$copy->start;

# events keep coming, so that whoever consumes is seen to advance
my $producer = $kafka->start_producer($topic, first => 1001, count => 100_000,
	rate => 100, batch => 10);
my $said = q{SELECT count(*) > 0 FROM kafka_subscriptions
	WHERE status_reason ~ 'copy' };
my $noticed = 0;

foreach my $round (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$noticed = grep { $_->safe_psql('postgres', $said) eq 't' } $node, $copy;
	last if $noticed;
	usleep(100_000);
}
ok($noticed, 'a copy that is alive is noticed, and the views say so');
diag(map { $_->state } $node, $copy) unless $noticed;

$copy->stop;
$producer->signal('TERM');
$producer->finish;

# the administrator has removed the copy: the original goes on
$node->restart;
$node->wait_until_drained($kafka, $topic);
is( $node->safe_psql('postgres',
		'SELECT count(*) - count(DISTINCT (part, off)) FROM effects'),
	'0', 'no event has had a second effect in the original');
is( $node->safe_psql('postgres', 'SELECT count(*) FROM effects'),
	sum($kafka->end_offsets($topic)),
	'and none is missing');

$node->stays_up_ok;
$node->stop;

done_testing();
