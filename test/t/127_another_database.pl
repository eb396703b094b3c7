# A group that is another database's: who finds that stays out of it and says
# whose it is; and each way that the messages name leads out.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 2);
my $service = $kafka->unique('shop');
my $address = $kafka->address;
my $node = KafkaEvents::Node->start_new('main');
my $last = 0;
my $make = qq{
	CREATE EXTENSION kafka_events;
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '$address', service_name '$service')};
my $subscribe = "SELECT kafka_subscribe('$topic', into_table => 'events')";

sub in_db
{
	my ($db, $sql) = @_;
	my ($out, $err);

	$node->psql($db, $sql, stdout => \$out, stderr => \$err,
		on_error_stop => 1) == 0
	  or die "$sql: $err";
	return ($out, $err);
}

sub wait_in
{
	my ($db, $sql, $what) = @_;

	$node->poll_query_until($db, $sql) or die "timed out waiting for $what";
	return;
}

sub produce
{
	foreach my $partition (0, 1)
	{
		$kafka->produce($topic, [ map { '{"id":' . ++$last . '}' } 1 .. 5 ],
			'-p', $partition);
	}
	return;
}

# Every message up to the last one is there, once.
sub has_all
{
	my ($db, $first, $name) = @_;
	my $count = $last - $first + 1;

	ok( $node->poll_query_until($db,
			"SELECT count(*) = $count AND count(DISTINCT id) = $count
			   FROM events WHERE id >= $first"),
		$name);
	return;
}

# Kafka knows what it has consumed, and whose that is.
sub is_committed
{
	my ($db) = @_;

	wait_in($db, q{
		SELECT count(*) = 2 AND bool_and(committed_offset = position)
		  FROM kafka_consumer_lag WHERE role = 'main'}, "$db to commit");
	return;
}

foreach my $db (qw(one two))
{
	in_db('postgres', "CREATE DATABASE $db");
	in_db($db, "$make; CREATE TABLE events (id int)");
}
in_db('one', $subscribe);
produce();
has_all('one', 1, 'the first database consumes');
is_committed('one');

# ---- the second stays out

my ($out, $err) = in_db('two', $subscribe);
like($err, qr/WARNING:  topic "\Q$topic\E" is not consumed: group "\Q$service\E-main" belongs to database "one"/,
	'kafka_subscribe warns at once, and names the other database');
wait_in('two', q{
	SELECT status_reason LIKE 'group "%-main" belongs to database "one" on host "%'
	  FROM kafka_subscriptions}, 'the reason');
produce();
has_all('one', 1, 'the first is not disturbed');
is($node->safe_psql('two', 'SELECT count(*) FROM kafka_consumer_health WHERE pid IS NOT NULL'),
	'0', 'no consumer of the second runs');
isnt(
	$node->safe_psql('two',
		q{SELECT string_agg(check_name, ' ') FROM kafka_production_check()
		   WHERE NOT ok AND detail LIKE '%"one"%'}),
	'', 'the production check names it, too');
is($node->safe_psql('one', 'SELECT status FROM kafka_health()'), 'up',
	'the first is well');

# ---- another service_name

my ($code, undef, $refusal) = $node->psql('one',
	"ALTER SERVER shop OPTIONS (SET service_name '$service.other')");
like($refusal, qr/cannot change service_name of server "shop" while it consumes/,
	'a server that consumes keeps its service_name');
in_db('two', "ALTER SERVER shop OPTIONS (SET service_name '$service.two')");
produce();
has_all('two', 1, 'as another service, the second consumes from the start');
has_all('one', 1, 'and the first goes on');

# ---- the hint's way for a server that consumes

in_db('two', q{ALTER SERVER shop OPTIONS (ADD workers '0', ADD retry_workers '0')});
wait_in('two', q{SELECT NOT EXISTS (SELECT FROM kafka_consumer_health WHERE pid IS NOT NULL AND role <> 'relay')},
	'nobody to consume');
in_db('two', "ALTER SERVER shop OPTIONS (SET service_name '$service')");
in_db('two', q{ALTER SERVER shop OPTIONS (DROP workers, DROP retry_workers)});
wait_in('two', q{SELECT status_reason LIKE '%belongs to database "one"%' FROM kafka_subscriptions},
	'the second to find the first again');

# ---- take over

in_db('one', q{ALTER SERVER shop OPTIONS (ADD workers '0')});
wait_in('one', q{SELECT NOT EXISTS (SELECT FROM kafka_consumer_health WHERE pid IS NOT NULL AND role <> 'relay')},
	'the first to stop');
my $first = $last + 1;
produce();
($out, $err) = in_db('two', "SELECT kafka_identity_confirm('take over')");
like($err, qr/NOTICE:  topic "\Q$topic\E" of server "shop" goes on where group "\Q$service\E-main" stands: 2 partitions were database "one"/,
	'taking over says from whom');
has_all('two', $first, 'the second goes on where the first has stopped');
is_committed('two');
in_db('one', q{ALTER SERVER shop OPTIONS (DROP workers)});
wait_in('one', q{SELECT status_reason LIKE '%belongs to database "two"%' FROM kafka_subscriptions},
	'the first to stay out now');
produce();
has_all('two', $first, 'the second is not disturbed by the first');

# ---- the extension was dropped and made again

in_db('two', 'DROP EXTENSION kafka_events CASCADE');
$first = $last + 1;
produce();
in_db('two', $make);
($out, $err) = in_db('two', $subscribe);
like($err, qr/belongs to database "two"/, 'the former self is named');
in_db('two', "SELECT kafka_identity_confirm('take over')");
has_all('two', $first, 'and taken over');
is($node->safe_psql('two', 'SELECT count(*) - count(DISTINCT id) FROM events'),
	'0', 'nothing is consumed twice');

$node->stays_up_ok;
$node->stop;

done_testing();
