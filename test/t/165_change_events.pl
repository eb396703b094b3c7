# Change events of Debezium, values of Kafka Connect and CloudEvents, into
# tables and handlers.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop', topic_partitions => 1);

sub topic { return $kafka->create_topic($kafka->unique($_[0])) }

sub event
{
	my ($op, $after, $before) = @_;

	$after = 'null' unless defined $after;
	$before = 'null' unless defined $before;
	return qq({"before": $before, "after": $after, "source": {"lsn": 1}, "op": "$op", "ts_ms": 1});
}

sub counters
{
	my ($topic) = @_;

	return "SELECT succeeded_total, skipped_total, dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'";
}

# Into a table: writes, deletes, what is about no row, and what stays as it is.
my $gone = '"__debezium_unavailable_value"';
my $changes = topic('changes');
$node->safe_psql('postgres', qq{
	CREATE TABLE customers (id int PRIMARY KEY, name text, notes text DEFAULT 'none', doc jsonb,
		tags text[], numbers int[]);
	SELECT kafka_subscribe('$changes', into_table => 'customers', on_conflict => 'update', unwrap => 'debezium')});
is($node->safe_psql('postgres', "SELECT unwrap FROM kafka_subscriptions WHERE topic = '$changes'"),
	'debezium', 'the view shows the option');
$kafka->produce_messages($changes,
	{ key => '{"id": 1}', value => event('r', '{"id": 1, "name": "Ann", "notes": "long", "doc": "{\"a\": 1}", "tags": ["x"], "numbers": [1]}') },
	{ key => '{"id": 2}', value => event('c', '{"id": 2, "name": "Bob", "notes": null}') },
	{ key => '{"id": 3}', value => event('c', '{"id": 3, "name": "Cid"}') },
	{ key => '{"id": 1}', value => event('u', qq({"id": 1, "name": "Anna", "notes": $gone, "doc": $gone, "tags": [$gone],
		"numbers": [95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]})) },
	{ key => '{"id": 3}', value => event('d', undef, '{"id": 3, "name": null}') },
	{ key => '{"id": 3}', value => undef },
	{ key => undef, value => event('t') },
	{ key => '{"prefix": "p"}', value => event('m') },
	{ key => '{"id": "1:2"}', value => '{"status": "BEGIN", "id": "1:2", "event_count": null, "data_collections": null, "ts_ms": 1}' });
$node->wait_until_drained($kafka, $changes);
my $rows = 'SELECT id, name, notes, doc, tags, numbers FROM customers ORDER BY id';
is($node->safe_psql('postgres', $rows), qq(1|Anna|long|{"a": 1}|{x}|{1}\n2|Bob||||),
	'rows are as after the changes, and keep what an update left in TOAST');
$node->becomes(counters($changes), '5|4|0', 'the tombstone behind a delete, truncate, message and transaction are skipped');

# Another key: what is not in the event is where the row was.
$kafka->produce_messages($changes,
	{ key => '{"id": 1}', value => event('d', undef, '{"id": 1}'), headers => { '__debezium.newkey' => '{"id":10}' } },
	{ key => '{"id": 1}', value => undef, headers => { '__debezium.newkey' => '{"id":10}' } },
	{ key => '{"id": 10}', value => event('c', qq({"id": 10, "name": "Anne", "notes": $gone, "doc": $gone, "tags": [$gone], "numbers": null})),
		headers => { '__debezium.oldkey' => '{"id":1}' } },
	{ key => '{"id": 2}', value => event('d'), headers => { '__debezium.newkey' => '{"id":10}' } },
	# a row that nobody has seen
	{ key => '{"id": 4}', value => event('u', qq({"id": 4, "name": "Dan", "notes": $gone})) },
	# in one batch: written, then kept; deleted, then gone
	{ key => '{"id": 5}', value => event('c', '{"id": 5, "name": "Eve", "notes": "n", "doc": "[]"}') },
	{ key => '{"id": 5}', value => event('u', qq({"id": 5, "name": "Eva", "notes": $gone, "doc": "{}"})) },
	{ key => '{"id": 5}', value => event('u', qq({"id": 5, "name": "Evi", "notes": $gone, "doc": $gone})) },
	# a lone tombstone is all that compaction leaves of a delete
	{ key => '{"id": 6}', value => event('c', '{"id": 6}') },
	{ key => '{"id": 6}', value => undef },
	# flattened by ExtractNewRecordState
	{ key => '{"id": 7}', value => '{"id": 7, "name": "Flo", "__deleted": "false"}' },
	{ key => '{"id": 8}', value => '{"id": 8, "name": "Gus", "__deleted": "false"}' },
	{ key => '{"id": 8}', value => '{"id": 8, "name": null, "__deleted": "true"}' });
$node->wait_until_drained($kafka, $changes);
is($node->safe_psql('postgres', $rows),
	qq(5|Evi|n|{}||\n7|Flo|none|||\n10|Anne|long|{"a": 1}|{x}|), 'a new key, kept values of one batch, flattened rows');
$node->becomes("SELECT original_offset, reason FROM kafka_dlq_messages('$changes')",
	'13|change event lacks the value of column "notes", which an update left in TOAST, and there is no row that has it',
	'an update of a row that is not there is a dead letter');

# What cannot be told is refused, and the reason names the setting.
my $untold = topic('untold');
$node->safe_psql('postgres', qq{
	CREATE TABLE untold (id int PRIMARY KEY, n numeric, b bytea, d date, t time, ts timestamp, i interval);
	SELECT kafka_subscribe('$untold', into_table => 'untold', on_conflict => 'update', unwrap => 'debezium')});
my %untold = (n => '"+wA="', b => '"AP8Q"', d => 19782, t => 123456, ts => '1709210096789012', i => '37091106789000');
my %setting = (n => 'decimal.handling.mode=string', b => 'binary.handling.mode=hex', i => 'interval.handling.mode=string',
	map { $_ => 'time.precision.mode=isostring' } qw(d t ts));
my $id = 0;
$kafka->produce_messages($untold,
	map { { key => qq({"id": $id}), value => event('c', sprintf('{"id": %d, "%s": %s}', $id++, $_, $untold{$_})) } } sort keys %untold);
$kafka->produce_messages($untold, { key => '{"id": 9}', value => event('c', '{"id": 9, "n": "-1.280", "d": "2024-02-29Z",
	"t": "12:34:56.5Z", "ts": "-0043-03-15T12:00:00.5Z", "i": "P1Y2M3DT4H5M6.789S"}') },
	{ key => '{"id": 10}', value => '{"before": null, "after": {"id": 10}, "source": {}}' });
$node->wait_until_drained($kafka, $untold);
is($node->safe_psql('postgres', 'SELECT * FROM untold'),
	'9|-1.280||2024-02-29|12:34:56.5|0044-03-15 12:00:00.5 BC|1 year 2 mons 3 days 04:05:06.789', 'what can be told is');
my @reasons;
$node->wait_for("SELECT pending FROM kafka_dlq_stats('$untold')", 7, 'seven dead letters');
@reasons = split /\n/, $node->safe_psql('postgres', "SELECT reason FROM kafka_dlq_messages('$untold') ORDER BY original_offset");
foreach my $column (sort keys %untold)
{
	my $reason = shift @reasons;

	like($reason, qr/\Q$setting{$column}\E.*\(column "$column"\)/, "$column: the reason names setting and column");
}
is($reasons[0], 'message value is not a change event of Debezium', 'an event without its operation');

# Order: an older change that is retried does not overwrite a newer one.
my $orders = topic('orders');
$node->safe_psql('postgres', qq{
	CREATE TABLE regions (id int PRIMARY KEY);
	CREATE TABLE orders (id int PRIMARY KEY, region int REFERENCES regions, v text);
	SELECT kafka_subscribe('$orders', into_table => 'orders', on_conflict => 'update', unwrap => 'debezium', max_retries => 10,
		retry_strategy => 'fixed', initial_delay => '1 s', max_delay => '1 s')});
my $key = '{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false},"payload":{"id":%d}}';
$kafka->produce_messages($orders,
	{ key => sprintf($key, 1), value => event('c', '{"id": 1, "region": 5, "v": "old"}') },
	{ key => sprintf($key, 2), value => event('c', '{"id": 2, "region": null, "v": "other"}') },
	{ key => sprintf($key, 1), value => event('u', '{"id": 1, "region": null, "v": "new"}') });
$node->wait_for("SELECT attempt > 0 FROM kafka_retries WHERE topic = '$orders' AND original_offset = 0", 't', 'the first order to fail');
$node->becomes('SELECT id, v FROM orders', '2|other', 'changes of the same row wait, others do not');
$node->safe_psql('postgres', 'INSERT INTO regions VALUES (5)');
$node->becomes('SELECT id, v FROM orders ORDER BY id', "1|new\n2|other", 'the newest change stays');

# A table without keys takes rows, and refuses deletes.
my $log = topic('log');
$node->safe_psql('postgres', qq{
	CREATE TABLE change_log (id int, v text);
	SELECT kafka_subscribe('$log', into_table => 'change_log', unwrap => 'debezium')});
$kafka->produce_messages($log, { key => undef, value => event('c', '{"id": 1, "v": "a"}') },
	{ key => undef, value => event('t') },
	{ key => undef, value => event('u', '{"id": 1, "v": "b"}', '{"id": 1, "v": "a"}') },
	{ key => undef, value => event('d', undef, '{"id": 1, "v": "b"}') }, { key => undef, value => undef },
	{ key => undef, value => event('u', qq({"id": 1, "v": $gone})) });
$node->wait_until_drained($kafka, $log);
is($node->safe_psql('postgres', 'SELECT * FROM change_log'), "1|a\n1|b", 'rows are added');
$node->becomes(counters($log), '2|2|2', 'the delete and what is not available are dead letters');

# Handlers get the row, NULL for a delete, and nothing for what is no row.
my $handled = topic('handled');
$node->safe_psql('postgres', qq{
	CREATE TABLE calls (n serial, arg jsonb);
	CREATE FUNCTION on_change(r jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO calls (arg) VALUES (r)';
	SELECT kafka_subscribe('$handled', handler => 'on_change', unwrap => 'debezium')});
$kafka->produce_messages($handled, { key => '{"id": 1}', value => event('c', qq({"id": 1, "v": $gone, "w": "x"})) },
	{ key => '{"id": 1}', value => event('d') }, { key => '{"id": 1}', value => undef }, { key => undef, value => event('t') });
$node->wait_until_drained($kafka, $handled);
is($node->safe_psql('postgres', 'SELECT arg FROM calls ORDER BY n'), qq({"w": "x", "id": 1}\n),
	'a handler gets the row without what is not available, and NULL');
$node->becomes(counters($handled), '2|2|0', 'tombstone and truncate are skipped');

# Kafka Connect, with a key that has a schema too.
my $connect = topic('connect');
$node->safe_psql('postgres', qq{
	CREATE TABLE amounts (id int PRIMARY KEY, amount numeric, day date, raw bytea, name text);
	SELECT kafka_subscribe('$connect', into_table => 'amounts', on_conflict => 'update', unwrap => 'connect')});
my $schema = '{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},' .
  '{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"amount"},' .
  '{"type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Date","version":1,"field":"day"},' .
  '{"type":"bytes","optional":true,"field":"raw"},{"type":"string","optional":true,"field":"name"}],"optional":false,"name":"amount"}';
$kafka->produce_messages($connect,
	{ key => sprintf($key, 1), value => qq({"schema":$schema,"payload":{"id":1,"amount":"/4A=","day":19782,"raw":"AP8Q","name":"a\\"b"}}) },
	{ key => sprintf($key, 2), value => qq({"schema":$schema,"payload":{"id":2,"amount":null,"day":-719529,"raw":null,"name":null}}) },
	{ key => sprintf($key, 3), value => qq({"schema":$schema,"payload":{"id":3,"amount":"!","day":null,"raw":null,"name":null}}) },
	{ key => sprintf($key, 4), value => qq({"schema":$schema,"payload":{"id":4,"amount":null,"day":null,"raw":null,"name":null}}) },
	{ key => sprintf($key, 4), value => undef },
	{ key => sprintf($key, 5), value => '{"id": 5}' });
$node->wait_until_drained($kafka, $connect);
is($node->safe_psql('postgres', 'SELECT * FROM amounts ORDER BY id'),
	"1|-1.28|2024-02-29|\\x00ff10|a\"b\n2||0002-12-31 BC||", 'values are what their types say, and tombstones delete');
$node->becomes("SELECT original_offset, reason FROM kafka_dlq_messages('$connect') ORDER BY 1",
	"2|message value does not fit the schema in it\n5|message value has no schema and payload, as Kafka Connect's JsonConverter writes them",
	'what is no such value is a dead letter');

# CloudEvents, in both modes.
my $events = topic('events');
$node->safe_psql('postgres', qq{
	CREATE TABLE events (ce_id text PRIMARY KEY, ce_type text, ce_time timestamptz, ce_flag boolean, amount numeric, data jsonb);
	SELECT kafka_subscribe('$events', into_table => 'events', unwrap => 'cloudevents')});
my %ce = (ce_specversion => '1.0', ce_source => '/shop', ce_type => 'paid');
$kafka->produce_messages($events,
	{ value => '{"amount": 1.50}', headers => { %ce, ce_id => 'a', ce_time => '2024-01-01T00:00:00Z', ce_flag => 'True', 'content-type' => 'application/json' } },
	{ value => '{"specversion": "1.0", "id": "b", "source": "/shop", "type": "paid", "data": {"amount": 2}}', headers => { 'content-type' => 'application/cloudevents+json' } },
	{ value => undef, headers => { %ce, ce_id => 'c' } },
	{ value => '', headers => { %ce, ce_id => 'd' } },
	{ value => 'null', headers => { %ce, ce_id => 'e' } },
	{ value => '{"amount": 3}' });
$node->wait_until_drained($kafka, $events);
is($node->safe_psql('postgres', q{SELECT ce_id, ce_type, ce_time AT TIME ZONE 'UTC', ce_flag, amount, data FROM events ORDER BY 1}),
	join("\n", 'a|paid|2024-01-01 00:00:00|t|1.50|{"amount": 1.50}', 'b|paid|||2|{"amount": 2}', map { "$_|paid||||" } qw(c d e)),
	'attributes, fields of the data, and events without data');
$node->becomes("SELECT reason FROM kafka_dlq_messages('$events')", 'message is not a CloudEvent', 'what is none is a dead letter');

$node->stays_up_ok;
done_testing();
