# The first events of a database, in transactions that are prepared, and in
# one that is copied before they are published: nobody waits for another, and
# nothing is published twice.  And topics that were made just now.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main',
	conf => "max_prepared_transactions = 5\n");
my %topic = map { ($_ => $kafka->create_topic($kafka->unique($_))) }
  qw(prepared undone copied);

sub create_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql(
		$name, qq{
		CREATE EXTENSION kafka_events;
		CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS
			(bootstrap_servers '} . $kafka->address . qq{', service_name '}
		  . $kafka->unique($name) . qq{')});
	return;
}

# Until the query in that database has this output.
sub wait_in
{
	my ($name, $sql, $expected) = @_;

	return 1 if $node->poll_query_until($name, $sql, $expected);
	diag($node->safe_psql($name, 'TABLE kafka_outbox_status'));
	die "timed out waiting for $sql";
}

sub wait_until_published
{
	my ($name, $count) = @_;

	return wait_in($name,
		'SELECT pending_total, published_total FROM kafka_outbox_status',
		"0|$count");
}

sub values_of
{
	return join ' ', sort map { $_->{payload} } $kafka->consume($_[0]);
}

# ---- prepared, and for long

create_database('prepared');
$node->safe_psql(
	'prepared', qq{
	BEGIN;
	SELECT kafka_produce('$topic{prepared}', 'first');
	PREPARE TRANSACTION 'open'});
my $timed_out;
$node->psql(
	'prepared',
	"SELECT kafka_produce('$topic{prepared}', 'second')",
	timeout => $PostgreSQL::Test::Utils::timeout_default,
	timed_out => \$timed_out);
ok(!$timed_out, 'another event commits while the first one is prepared');
wait_until_published('prepared', 1);
is(values_of($topic{prepared}), 'second', '... and is published');
$node->safe_psql(
	'prepared', qq{
	CREATE TABLE events (v text);
	SET statement_timeout = '60 s';
	SELECT kafka_subscribe('$topic{prepared}', into_table => 'events')});
pass('... as is subscribed');
$node->safe_psql('prepared', "COMMIT PREPARED 'open'");
wait_until_published('prepared', 2);
is(values_of($topic{prepared}), 'first second', 'the first one follows');

# ---- prepared and undone

create_database('undone');
$node->safe_psql(
	'undone', qq{
	BEGIN;
	SELECT kafka_produce('$topic{undone}', 'never');
	PREPARE TRANSACTION 'gone'});
my $relay = q{SELECT status, restarts_total FROM kafka_consumer_health WHERE role = 'relay'};
wait_in('undone', $relay, 'running|0');
$node->safe_psql('undone', "ROLLBACK PREPARED 'gone'");
wait_in('undone', q{SELECT status, coalesce(message, '') FROM kafka_health()},
	'up|');
is($node->safe_psql('undone', 'SELECT count(*) FROM kafka_events.identity'),
	'0', 'what was rolled back gives the database no identity');
$node->safe_psql('undone', "SELECT kafka_produce('$topic{undone}', 'real')");
wait_until_published('undone', 1);
is(values_of($topic{undone}), 'real', 'the next event is published');
is($node->safe_psql('undone', $relay),
	'running|0', '... by the relay that was there');

# ---- committed, and copied before it was published

create_database('copied');
$node->append_conf('postgresql.conf', 'kafka_events.enabled = off');
$node->reload;
$node->poll_query_until('postgres', 'SHOW kafka_events.enabled', 'off');
$node->safe_psql('copied', "SELECT kafka_produce('$topic{copied}', 'one')");
$node->safe_psql('postgres', 'CREATE DATABASE twin TEMPLATE copied');
$node->append_conf('postgresql.conf', 'kafka_events.enabled = on');
$node->reload;
wait_until_published('copied', 1);
wait_in(
	'twin', q{
	SELECT last_error ~ 'identity .* not confirmed' FROM kafka_consumer_health
	 WHERE role = 'relay'}, 't');
is($node->safe_psql('twin', 'SELECT count(*) FROM kafka_events.identity'),
	'0', 'a copy gets no identity by events that are not its own');
$node->safe_psql(
	'twin', qq{
	SELECT kafka_identity_confirm('new');
	SELECT kafka_produce('$topic{copied}', 'two')});
wait_until_published('twin', 1);
is(values_of($topic{copied}), 'one two', '... and does not publish them');

# ---- topics that were missing

my $parked = 'SELECT count(*) FROM kafka_outbox_parked';
foreach my $round (1 .. 3)
{
	my $topic = $kafka->unique("late$round");

	$node->safe_psql('undone', "SELECT kafka_produce('$topic', 'early')");
	wait_in('undone', $parked, '1');
	$node->safe_psql('undone', "SELECT kafka_topic_create('$topic')");
	$node->safe_psql('undone', "SELECT kafka_produce('$topic', 'new')");
	$node->safe_psql('undone',
		'SELECT kafka_outbox_retry(id) FROM kafka_outbox_parked');
	wait_until_published('undone', 1 + 2 * $round);
	is(values_of($topic), 'early new', 'a topic is used when it is made');
}
is($node->safe_psql('undone', $parked), '0', 'nothing is parked');

$node->stays_up_ok;
$node->stop;
done_testing();
