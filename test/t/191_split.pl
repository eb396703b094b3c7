# Messages that hold several values: rows, calls, one unit, from a real broker.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop');

# Rows and calls of an array are one unit.
{
	my $topic = $kafka->create_own_topic('arrays');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE clicks (kafka_offset bigint, kafka_element int, id int UNIQUE, page text,
		  PRIMARY KEY (kafka_offset, kafka_element));
		CREATE TABLE called (id int, whole text, header text);
		CREATE FUNCTION on_click(event jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
		BEGIN
		  INSERT INTO called VALUES ((event ->> 'id')::int, convert_from((kafka_current_message()).value, 'UTF8'),
		    (kafka_current_message()).headers ->> 'h');
		  IF event ->> 'page' = 'reject' THEN PERFORM kafka_reject('not this one'); END IF;
		  IF event ->> 'page' = 'skip' THEN PERFORM kafka_skip('none of these'); END IF;
		END \$\$;
		CREATE FUNCTION fits(event jsonb) RETURNS boolean LANGUAGE sql AS \$\$SELECT event ->> 'page' <> 'unfit'\$\$;
		SELECT kafka_subscribe('$topic', into_table => 'clicks', handler => 'on_click', validator => 'fits',
		  split => 'array', max_retries => 0)});
	$kafka->produce_messages($topic, map { { key => 'k', partition => 0, headers => { h => 'x' }, value => $_ } } (
		'[{"id": 1, "page": "a"}, {"id": 2, "page": "b"}]',
		'[]',
		'[{"id": 3}, {"id": "x"}, {"id": 4}]',
		'[{"id": 5}, {"id": 6, "page": "reject"}]',
		'[{"id": 7}, {"id": 8, "page": "unfit"}]',
		'[{"id": 9}, {"id": 10, "page": "skip"}]',
		'[{"id": 11}, {"id": 12}, {"id": 11}]',
		'{"id": 13}',
		'[{"id": 14}, 15]',
		'[{"id": 16},]',
		' [ {"id": 17} ] '));
	$node->becomes('SELECT kafka_offset, kafka_element, id, page FROM clicks ORDER BY 1, 2',
		"0|1|1|a\n0|2|2|b\n10|1|17|", 'all rows of a message, or none');
	$node->becomes('SELECT id, whole, header FROM called ORDER BY id',
		qq(1|{"id": 1, "page": "a"}|x\n2|{"id": 2, "page": "b"}|x\n17|{"id": 17}|x),
		'the handler is called for each element, and sees it as a message');
	$node->becomes("SELECT original_offset, reason FROM kafka_dlq_messages('$topic') ORDER BY 1",
		join("\n",
			'2|element 2: invalid input syntax for type integer: "x" (column "id")',
			'3|element 2: not this one',
			'4|element 2: validator fits(jsonb) rejected the message',
			'6|element 3: duplicate key value violates unique constraint "clicks_id_key"',
			'7|message value is not a JSON array: it does not begin with a bracket',
			'8|element 2: message value is not a JSON object',
			'9|message value is not a JSON array: element 2 is missing'),
		'a message is one dead letter, whose reason names the element');
	$node->becomes("SELECT succeeded_total, skipped_total, dead_lettered_total, rows_total FROM kafka_metrics WHERE topic = '$topic'",
		'2|2|7|3', 'messages are counted, and rows');
	$node->becomes("SELECT string_agg(convert_from(value, 'UTF8'), ' ') FROM kafka_dlq_messages('$topic') WHERE original_offset = 2",
		'[{"id": 3}, {"id": "x"}, {"id": 4}]', 'the dead letter is the message as it came');
}

# Lines, upserts and retries.
{
	my $topic = $kafka->create_own_topic('lines');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE stock (item text PRIMARY KEY, amount int, kafka_element int);
		CREATE TABLE allowed (item text);
		CREATE FUNCTION check_item() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN
		  IF NEW.item LIKE 'late%' AND NOT EXISTS (SELECT FROM public.allowed WHERE item = NEW.item) THEN
		    RAISE 'not yet' USING ERRCODE = 'P0001';
		  END IF;
		  RETURN NEW;
		END \$\$;
		CREATE TRIGGER check_item BEFORE INSERT ON stock FOR EACH ROW EXECUTE FUNCTION check_item();
		SELECT kafka_subscribe('$topic', into_table => 'stock', on_conflict => 'update', split => 'lines',
		  max_retries => 10, retry_strategy => 'fixed', initial_delay => '3 s', max_delay => '3 s')});
	$kafka->produce_in_order($topic, qq({"item": "tea", "amount": 1}\r\n\r\n{"item": "cup", "amount": 1}\n{"item": "tea", "amount": 2}));
	$node->becomes('SELECT * FROM stock ORDER BY item', "cup|1|3\ntea|2|4", 'the last line of a key counts');

	# a message that is retried holds back what may write its rows
	$kafka->produce_in_order($topic, qq({"item": "pot", "amount": 1}\n{"item": "late", "amount": 1}), qq({"item": "pot", "amount": 2}));
	$node->becomes("SELECT sum(retried_total) > 0 FROM kafka_metrics WHERE topic = '$topic'", 't', 'retried');
	is($node->safe_psql('postgres', "SELECT count(*) FROM stock WHERE item = 'pot'"), 0, 'as a whole, and in order');
	$node->safe_psql('postgres', "INSERT INTO allowed VALUES ('late')");
	$node->becomes("SELECT item, amount FROM stock WHERE item IN ('pot', 'late') ORDER BY 1", "late|1\npot|2", 'then it goes on');

	# a tombstone is one as ever
	$kafka->produce_messages($topic, { key => 'pot', partition => 0, value => undef });
	$node->becomes("SELECT count(*) FROM stock WHERE item = 'pot'", 0, 'a tombstone deletes the row of its key');
}

# One message of many elements: the bulk way, and a handler of whole batches.
{
	my $topic = $kafka->create_own_topic('many');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE many (id int);
		CREATE TABLE batches (count int);
		CREATE FUNCTION on_many(messages kafka_message[]) RETURNS void LANGUAGE sql AS
		  'INSERT INTO batches VALUES (cardinality(messages))';
		SELECT kafka_subscribe('$topic', into_table => 'many', handler => 'on_many', split => 'array', max_retries => 0)});
	$kafka->produce_in_order($topic, '[' . join(',', map { qq({"id": $_}) } (1 .. 2500)) . ']', '[{"id": 0}]',
		'[' . join(',', map { qq({"id": $_}) } (1 .. 1500)) . ',{"id": "x"}]');
	$node->becomes('SELECT count(*), sum(id) FROM many', '2501|' . (2500 * 2501 / 2), 'every element is a row');
	$node->becomes('SELECT max(count) <= 1000, sum(count) FROM batches', 't|2501', 'and goes to the handler');
	$node->becomes("SELECT reason FROM kafka_dlq_messages('$topic')",
		'element 1501: invalid input syntax for type integer: "x" (column "id")', 'however far back the fault is');
}

# Each element in an envelope of its own: CloudEvents' batches.
{
	my $topic = $kafka->create_own_topic('events');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE payments (ce_id text PRIMARY KEY, ce_type text, amount numeric);
		SELECT kafka_subscribe('$topic', into_table => 'payments', split => 'array', unwrap => 'cloudevents', max_retries => 0)});
	$kafka->produce_in_order($topic, '[' . join(',', map {
			qq({"specversion": "1.0", "id": "e$_", "type": "paid", "source": "/s", "data": {"amount": $_.50}}) } (1 .. 2)) . ']');
	$node->becomes('SELECT * FROM payments ORDER BY 1', "e1|paid|1.50\ne2|paid|2.50", 'elements are unwrapped');
}

# The envelope's columns: the element, and its number.
{
	my $topic = $kafka->create_own_topic('envelope');
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE log ("offset" bigint, element int, key text, value text, PRIMARY KEY ("offset", element));
		SELECT kafka_subscribe('$topic', into_table => 'log', row_format => 'envelope', split => 'lines', max_retries => 0)});
	$kafka->produce_messages($topic, { key => 'k', partition => 0, value => "a\n\nb" }, { key => 'k', partition => 0, value => undef });
	$node->becomes('SELECT * FROM log WHERE value IS NOT NULL ORDER BY 1, 2', "0|1|k|a\n0|3|k|b", 'text that is no JSON');
	$node->becomes("SELECT original_offset, sqlstate FROM kafka_dlq_messages('$topic')", '1|23502', 'a tombstone has no number');
}

done_testing();
