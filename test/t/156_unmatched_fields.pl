# Messages that have none of the fields which a table or a handler takes: they
# succeed, so only counting tells that every row is empty.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');
$node->safe_psql('postgres', q{
	CREATE ROLE app LOGIN;
	GRANT CREATE ON SCHEMA public TO app;
	ALTER SERVER shop OWNER TO app});

# As the server's owner, who is nobody special and so may write into views.
sub run_as_app
{
	my ($statements) = @_;

	return $node->safe_psql('postgres', "SET ROLE app; $statements");
}

sub column_of
{
	my ($column, $view, $topic) = @_;

	return "SELECT $column FROM $view WHERE topic = '$topic'";
}

note 'rows of a table';
my $orders = $kafka->create_own_topic('orders');
run_as_app(qq{
	CREATE TABLE orders (userid int, total numeric, seen timestamptz DEFAULT now(), kafka_offset bigint);
	SELECT kafka_subscribe('$orders', into_table => 'orders')});
$kafka->produce($orders, [ '{"userid": 1, "total": 5}', '{"total": 6}' ]);
$node->becomes('SELECT count(*) FROM orders', 2, 'rows with one of the fields');
is($node->safe_psql('postgres', column_of('status_reason IS NULL', 'kafka_subscriptions', $orders)),
	't', 'are as they should be');

my $log_start = -s $node->logfile;
$kafka->produce($orders,
	[ map { "{\"userId\": $_, \"grandTotal\": 5, \"ann\@example.com\": 1, \"0049151\": 2}" } 1 .. 3 ]);
$node->becomes(column_of('unmatched_total', 'kafka_metrics', $orders), 3,
	'those that have none are counted');
my $names = qr/fields "userId", "grandTotal" and 2 more; columns "userid", "total", "seen"/;
like($node->safe_psql('postgres', column_of('status_reason', 'kafka_subscriptions', $orders)),
	qr/messages have none of the fields that are taken: $names/,
	'status_reason says which there are, and which are taken, but no address and no number');
is($node->safe_psql('postgres', column_of('status', 'kafka_subscriptions', $orders)),
	'active', 'it goes on');
like($node->safe_psql('postgres', "SELECT status, message FROM kafka_health('shop')"),
	qr/^degraded\|.*topic "$orders": messages have none of the fields/, 'so does health');
like($node->safe_psql('postgres', q{
		SELECT ok, detail, hint FROM kafka_production_check('shop') WHERE check_name = 'fields'}),
	qr/^f\|topic "$orders": 3 of 5 messages had none of the fields that are taken, the last one: $names\|.*field_names/,
	'the production check too');
like($node->safe_psql('postgres', 'SELECT kafka_metrics_prometheus()'),
	qr/kafka_events_unmatched_messages_total\{[^}]*topic="$orders"\} 3$/m, 'and a metric');
$node->wait_for_log(qr/topic "$orders": messages have none of the fields that are taken/, $log_start);
unlike(slurp_file($node->logfile, $log_start), qr/0049151|ann\@/, 'no name that is a value is in the log');

$node->safe_psql('postgres', 'ALTER TABLE orders RENAME userid TO "userId"');
$kafka->produce($orders, [ '{"userId": 4}' ]);
$node->becomes('SELECT count(*) FROM orders WHERE "userId" = 4', 1, 'the column is renamed');
$node->becomes(column_of('status_reason IS NULL', 'kafka_subscriptions', $orders), 't',
	'then there is nothing to say');
is($node->safe_psql('postgres', column_of('unmatched_total', 'kafka_metrics', $orders)),
	3, 'but what was counted stays');

note 'other ways to write';
foreach my $way ('view', 'update', 'trigger')
{
	my $topic = $kafka->create_own_topic($way);
	my $conflict = $way eq 'update' ? 'update' : 'error';

	run_as_app(qq{CREATE TABLE t_$way (id bigserial PRIMARY KEY, v text)});
	run_as_app(qq{CREATE VIEW v_$way AS SELECT * FROM t_$way}) if $way eq 'view';
	run_as_app(qq{
		CREATE FUNCTION f_$way() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER t BEFORE INSERT ON t_$way FOR EACH ROW EXECUTE FUNCTION f_$way()})
	  if $way eq 'trigger';
	run_as_app(sprintf(
		q{SELECT kafka_subscribe('%s', into_table => '%s_%s', on_conflict => '%s')},
		$topic, $way eq 'view' ? 'v' : 't', $way, $conflict));
	$kafka->produce($topic, [ map { "{\"V\": $_}" } 1 .. 7 ]);
	$kafka->produce($topic, [ '{"v": "right"}' ]);
	$node->becomes(column_of('succeeded_total, unmatched_total', 'kafka_metrics', $topic),
		'8|7', "$way: each is counted once");
}

note 'a handler that takes a row';
my $taken = $kafka->create_own_topic('taken');
run_as_app(qq{
	CREATE TYPE payment AS (amount numeric, currency text);
	CREATE TABLE payments (p payment);
	CREATE FUNCTION take(payment) RETURNS void LANGUAGE sql AS 'INSERT INTO payments VALUES (\$1)';
	SELECT kafka_subscribe('$taken', 'take(payment)')});
$kafka->produce($taken,
	[ '{"schema": {"type": "struct"}, "payload": {"amount": 5, "currency": "EUR"}}', '{}' ]);
$node->becomes(column_of('unmatched_total', 'kafka_metrics', $taken), 2, 'is the same');
like($node->safe_psql('postgres', column_of('status_reason', 'kafka_subscriptions', $taken)),
	qr/fields ("schema", "payload"|none); attributes of the handler's argument "amount", "currency"/,
	'with its names');

note 'nothing is said where nothing is to be taken';
my $whole = $kafka->create_own_topic('whole');
run_as_app(qq{
	CREATE TABLE whole (value jsonb, key text);
	CREATE TABLE meta (kafka_offset bigint, kafka_key text);
	SELECT kafka_subscribe('$whole', into_table => 'whole', row_format => 'envelope')});
$kafka->produce($whole, [ '{"a": 1}' ]);
$node->becomes(column_of('succeeded_total, unmatched_total', 'kafka_metrics', $whole), '1|0',
	'row_format envelope');
my $meta = $kafka->create_own_topic('meta');
run_as_app(qq{SELECT kafka_subscribe('$meta', into_table => 'meta')});
$kafka->produce($meta, [ '{"a": 1}' ]);
$node->becomes(column_of('succeeded_total, unmatched_total', 'kafka_metrics', $meta), '1|0',
	'columns for what Kafka knows alone');

$node->stop;
done_testing();
