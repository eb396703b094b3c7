# Handlers of every kind, fed by a real Kafka: what they get, what they see,
# and that a message that is refused alone is passed over.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_)) }
  qw(jsonb text bytea row message batch checked);

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, kind text, what text);
	CREATE TYPE order_event AS (id bigint, total numeric(8,2), tags text[], at timestamptz);

	CREATE FUNCTION on_jsonb(m jsonb) RETURNS void LANGUAGE plpgsql AS
	\$\$BEGIN INSERT INTO seen (kind, what) VALUES ('jsonb', COALESCE(m ->> 'a', 'tombstone of ' ||
		convert_from((kafka_current_message()).key, 'UTF8'))); END\$\$;
	CREATE FUNCTION on_text(m text) RETURNS void STRICT LANGUAGE sql AS
	\$\$INSERT INTO seen (kind, what) VALUES ('text', m)\$\$;
	CREATE FUNCTION on_bytea(m bytea) RETURNS integer LANGUAGE sql AS
	\$\$INSERT INTO seen (kind, what) VALUES ('bytea', m) RETURNING 1\$\$;
	CREATE FUNCTION on_row(m order_event) RETURNS void LANGUAGE plpgsql AS
	\$\$BEGIN INSERT INTO seen (kind, what) VALUES ('row', concat_ws(' ', m.id, m.total, m.tags,
		m.at AT TIME ZONE 'UTC')); END\$\$;
	CREATE FUNCTION on_message(m kafka_message) RETURNS void LANGUAGE plpgsql AS
	\$\$BEGIN INSERT INTO seen (kind, what) VALUES ('message', concat_ws(' ', m.partition, m."offset",
		extract(epoch FROM m."timestamp")::bigint, convert_from(m.key, 'UTF8'),
		convert_from(m.value, 'UTF8'), m.headers, m.attempt, m = kafka_current_message())); END\$\$;
	CREATE FUNCTION on_batch(m kafka_message[]) RETURNS void LANGUAGE plpgsql AS
	\$\$BEGIN INSERT INTO seen (kind, what) SELECT 'batch', convert_from(b.value, 'UTF8') FROM unnest(m) b; END\$\$;
	CREATE FUNCTION is_good(m jsonb) RETURNS boolean LANGUAGE sql AS \$\$SELECT m ->> 'good' = 'yes'\$\$;
	CREATE FUNCTION on_checked(m jsonb) RETURNS void LANGUAGE plpgsql AS
	\$\$BEGIN INSERT INTO seen (kind, what) VALUES ('checked', m ->> 'n'); END\$\$;
});
$node->safe_psql('postgres',
	qq{SELECT kafka_subscribe('$topic{$_}', handler => 'on_$_')})
  foreach qw(jsonb text bytea row message batch);
$node->safe_psql('postgres',
	qq{SELECT kafka_subscribe('$topic{checked}', handler => 'on_checked', validator => 'is_good',
		required_headers => '{tenant}', max_retries => 0, dlq => false)});

sub passed_over_ok
{
	my ($offset, $reason, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like(slurp_file($node->logfile),
		qr/message at offset $offset of partition 0 of topic "\Q$topic{checked}\E" is passed over: \Q$reason\E/,
		$name);
	return;
}

sub seen
{
	my ($kind) = @_;

	return $node->safe_psql('postgres',
		"SELECT what FROM seen WHERE kind = '$kind' ORDER BY n");
}

$kafka->produce_messages(
	$topic{jsonb},
	{ value => '{"a": 1}' },
	{ key => 'k', value => undef },
	{ value => '{"a": 2}' });
$kafka->produce_messages(
	$topic{text},
	{ value => 'not {json' },
	{ key => 'k', value => undef },
	{ value => '' });
$kafka->produce($topic{bytea}, ['abc']);
$kafka->produce_messages($topic{row},
	{
		value =>
		  '{"total": "7.005", "id": 1, "at": "2024-02-03T04:05:06Z", "tags": ["x", "y"], "other": {}}'
	},
	{ value => '{}' });
$kafka->produce_messages($topic{message},
	{
		key => 'k',
		value => 'v',
		timestamp => 1700000000000,
		headers => { one => '1' }
	});
$kafka->produce($topic{batch}, [ 1 .. 500 ]);

$node->wait_until_drained($kafka, $topic{$_})
  foreach qw(jsonb text bytea row message batch);
is(seen('jsonb'), "1\ntombstone of k\n2",
	'jsonb; a tombstone is NULL, and its key is still to be had');
is(seen('text'), "not {json\n",
	'text as it came; STRICT is not called for a tombstone');
is(seen('bytea'), '\x616263', 'bytea, and a result that nobody wants');
is(seen('row'), "1 7.01 {x,y} 2024-02-03 04:05:06\n",
	'fields by the types of a row');
is(seen('message'), '0 0 1700000000 k v {"one": "1"} 0 t',
	'the whole message, which is the current one');
is(seen('batch'), join("\n", 1 .. 500), 'a batch in order');

# what is refused is passed over, by name, where there is no dead letter topic
$kafka->produce_messages(
	$topic{checked},
	{ value => '{"good": "yes", "n": 1}', headers => { tenant => 'a' } },
	{ value => '{"good": "yes", "n": 2}', headers => { tenant => 'a' } },
	{ value => '{"good": "no", "n": 3}', headers => { tenant => 'a' } },
	{ value => '{"good": "yes", "n": 4}', headers => { tenant => 'a' } });
$node->wait_until_drained($kafka, $topic{checked});
is(seen('checked'), "1\n2\n4", 'the messages around it were processed');
passed_over_ok(2,
	'22023 (invalid_parameter_value): validator is_good(jsonb) rejected the message',
	'and it is named');

# the user changes his mind
$node->safe_psql(
	'postgres', qq{
	CREATE OR REPLACE FUNCTION is_good(m jsonb) RETURNS boolean LANGUAGE sql AS \$\$SELECT true\$\$});
$kafka->produce_messages($topic{checked},
	{ value => '{"good": "no", "n": 5}', headers => { tenant => 'a' } },
	{ value => '{"good": "yes", "n": 6}' });
$node->wait_until_drained($kafka, $topic{checked});
is(seen('checked'), "1\n2\n4\n5", 'the new function holds at once');
passed_over_ok(5,
	'22023 (invalid_parameter_value): message lacks required header "tenant"',
	'a message without a required header is passed over too');
is( $node->safe_psql('postgres', qq{
		SELECT received_total, succeeded_total, failed_total FROM kafka_metrics
		 WHERE topic = '$topic{checked}'}),
	'6|4|2', 'all of it is counted');

unlike(slurp_file($node->logfile), qr/"good": |not \{json/,
	'no payload in the log');
$node->stays_up_ok;
$node->stop;

done_testing();
