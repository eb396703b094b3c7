# What transactions produce reaches Kafka if, and only if, and in the order
# in which, they commit.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 4);
my $node =
  KafkaEvents::Node->start_new('main', conf => 'max_prepared_transactions = 5');
# KafkaJS knows no lz4
$node->create_service($kafka, 'shop', workers => 0, compression => 'gzip');

my $published = 0;

# Wait until so many more messages are published, and nothing is pending.
sub published_ok
{
	my ($more, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$published += $more;
	ok( $node->wait_for(
			q{SELECT published_total || ' ' || pending_total FROM kafka_outbox_status WHERE server = 'shop'},
			"$published 0",
			"$published published messages"),
		$name);
	return;
}

sub values_of
{
	my ($name) = @_;

	return join ' ', sort map { $_->{payload} } $kafka->consume($name);
}

# commit, rollback, savepoints
$node->safe_psql('postgres', qq{
	SELECT kafka_produce('$topic', '{"a": 1}'::jsonb, key => 'k', headers => '{"h": ["1", "2"], "b": {"base64": "AP8="}}');
	BEGIN;
	SELECT kafka_produce('$topic', 'rolled back');
	ROLLBACK;
	BEGIN;
	SELECT kafka_produce('$topic', 'one', partition => 2);
	SAVEPOINT s;
	SELECT kafka_produce('$topic', 'rolled back');
	ROLLBACK TO s;
	SELECT kafka_produce('$topic', NULL, key => 'tombstone');
	COMMIT});
published_ok(3, 'what was committed is published, and no more');
my @messages = $kafka->consume_bytes($topic);
is(scalar @messages, 3, 'each message is there once');
my ($first) = grep { ($_->{key} || '') eq 'k' } @messages;
is($first->{value}, '{"a": 1}', 'a value');
my ($id) = map { $_->[1] } grep { $_->[0] eq 'x-message-id' } @{ $first->{headers} };
like($id, qr/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d+-\d{16}$/,
	'a message has an id');
is( join(' ', map { $_->[0] . '=' . unpack('H*', $_->[1]) }
		grep { $_->[0] ne 'x-message-id' } @{ $first->{headers} }),
	'b=00ff h=31 h=32', 'headers are any bytes, and may repeat');
my ($second) = grep { ($_->{value} || '') eq 'one' } @messages;
is($second->{partition}, 2, 'the partition asked for');
my ($third) = grep { ($_->{key} || '') eq 'tombstone' } @messages;
is($third->{value}, undef, 'a tombstone has no value');

# a header without a value
my $null = $kafka->create_topic($kafka->unique('null'));
$node->safe_psql('postgres',
	"SELECT kafka_produce('$null', 'v', headers => '{\"h\": null, \"x-message-id\": \"mine\"}')");
published_ok(1, 'a message with a header without a value');
is( join(' ', map { defined $_ ? $_ : 'null' } map { @$_ } map { @{ $_->{headers} } }
		  $kafka->consume_bytes($null)),
	'h null x-message-id mine', 'it arrives so, and an id of its own is kept');

# keys go where the Java and JavaScript clients put them
my $keys = $kafka->create_topic($kafka->unique('keys'), partitions => 8);
my $theirs = $kafka->create_topic($kafka->unique('theirs'), partitions => 8);
$node->safe_psql('postgres',
	"SELECT count(kafka_produce('$keys', i::text, key => 'key-' || i)) FROM generate_series(1, 50) i");
published_ok(50, 'a set of messages');
$kafka->produce_messages($theirs, map { { value => "$_", key => "key-$_" } } 1 .. 50);
is( join(' ', map { "$_->{key}:$_->{partition}" } sort { $a->{key} cmp $b->{key} } $kafka->consume($keys)),
	join(' ', map { "$_->{key}:$_->{partition}" } sort { $a->{key} cmp $b->{key} } $kafka->consume($theirs)),
	'keys are partitioned as KafkaJS does');

# two-phase commit
my $prepared = $kafka->create_topic($kafka->unique('prepared'));
$node->safe_psql('postgres', qq{
	BEGIN;
	SELECT kafka_produce('$prepared', 'committed');
	PREPARE TRANSACTION 'good';
	BEGIN;
	SELECT kafka_produce('$prepared', 'rolled back');
	PREPARE TRANSACTION 'bad';
	SELECT kafka_produce('$topic', 'meanwhile')});
published_ok(1, 'others are published while transactions are prepared');
is(values_of($prepared), '', 'what is prepared is not');
$node->restart;
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'bad'; COMMIT PREPARED 'good'});
published_ok(1, 'COMMIT PREPARED publishes, after a restart too');
is(values_of($prepared), 'committed', 'ROLLBACK PREPARED does not');

# concurrent transactions that wait for each other, having produced before
my $counted = $kafka->create_topic($kafka->unique('counted'), partitions => 2);
my $script = PostgreSQL::Test::Utils::tempdir('bench') . '/counted.sql';
append_to_file($script, <<SQL);
\\set key random(1, 4)
BEGIN;
SELECT kafka_produce('$counted', 'v', key => :key::text) AS id \\gset
UPDATE counters SET n = n + 1 WHERE key = :key RETURNING n \\gset
INSERT INTO counted VALUES (:key, :n, :id);
COMMIT;
SQL
$node->safe_psql('postgres', q{
	CREATE TABLE counters AS SELECT key, 0 AS n FROM generate_series(1, 4) key;
	CREATE TABLE counted (key int, n int, id bigint)});
command_ok(
	[ 'pgbench', '-n', '-c', '8', '-t', '100', '-f', $script, $node->connstr('postgres') ],
	'eight sessions produce and wait for each other');
published_ok(800, 'all of it is published');
my %order;
foreach my $message ($kafka->consume($counted))
{
	my %header = @{ $message->{headers} };
	my ($id) = $header{'x-message-id'} =~ /-(\d+)-\d+$/;

	push @{ $order{ $message->{key} } }, $id;
}
is( join("\n", map { "$_|" . join(',', @{ $order{$_} || [] }) } 1 .. 4),
	$node->safe_psql('postgres',
		q{SELECT key, string_agg(id::text, ',' ORDER BY n) FROM counted GROUP BY key ORDER BY key}),
	'in the order in which they committed');
isnt($node->safe_psql('postgres',
		q{SELECT count(*) FROM counted a JOIN counted b USING (key) WHERE a.n < b.n AND a.id > b.id}),
	'0', 'which is not the order in which they produced');

# A big table is taken out of use and, once everything in it is published,
# emptied: not before a transaction that has a row in it has ended.
my $held = $kafka->create_topic($kafka->unique('held'));
my $table_b =
  $node->safe_psql('postgres', 'SELECT table_b FROM kafka_events.outbox_current');
my $table = 'kafka_events.outbox_' . ($table_b eq 't' ? 'b' : 'a');
my ($in, $out, $err) = ('', '', '');
my $holder = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$err);
$in = "BEGIN; SELECT kafka_produce('$held', 'held'); SELECT 'begun';\n";
$holder->pump until $out =~ /begun/;
$node->safe_psql('postgres', qq{
	SELECT kafka_produce('$topic', string_agg(md5(i::text), ''))
	  FROM generate_series(1, 28000 * 40) i GROUP BY i / 28000});
published_ok(41, '36 MB');
$node->wait_for("SELECT table_b <> '$table_b' FROM kafka_events.outbox_current",
	't', 'the other table to be used');
$node->safe_psql('postgres', "SELECT kafka_produce('$held', 'behind')");
published_ok(1, 'a message in the other table');
$in .= "COMMIT; SELECT 'committed';\n";
$holder->pump until $out =~ /committed/;
published_ok(1, 'and then one in the table that was used before');
is(join(' ', map { $_->{payload} } $kafka->consume($held)),
	'behind held', 'in that order');
$node->wait_for("SELECT pg_relation_size('$table')", '0',
	'the first table to be emptied');
$in .= "SELECT kafka_produce('$held', 'last') > 0;\n\\q\n";
$holder->finish;
published_ok(1, 'nothing is lost on the way');

# two databases, each with its own outbox
$node->safe_psql('postgres', 'CREATE DATABASE other');
my ($address, $service) = ($kafka->address, $kafka->unique('other'));
$node->safe_psql('other', qq{
	CREATE EXTENSION kafka_events;
	CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS
		(bootstrap_servers '$address', service_name '$service', workers '0');
	SELECT kafka_produce('$held', 'from the other')});
$node->poll_query_until('other', 'SELECT published_total FROM kafka_outbox_status', '1');
is((map { $_->{payload} } $kafka->consume($held))[-1], 'from the other',
	'another database publishes too');

$node->stays_up_ok;
$node->stop;
done_testing();
