
# What is counted, how long it took, and what Prometheus makes of it.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $counted = qq{
	SELECT received_total, succeeded_total, retried_total, dead_lettered_total,
		   skipped_total, failed_total, rows_total, bytes_total
	  FROM kafka_metrics WHERE topic = '$topic'};

sub prometheus
{
	return $node->safe_psql('postgres', 'SELECT kafka_metrics_prometheus()');
}

# The value of one sample, found by a pattern of its name and labels.
sub sample
{
	my ($pattern) = @_;
	my ($value) = prometheus() =~ /^$pattern (\S+)$/m;

	return $value;
}

$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	CREATE FUNCTION seen(jsonb) RETURNS void LANGUAGE sql STRICT AS '';
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
is($node->safe_psql('postgres', $counted), '0|0|0|0|0|0|0|0',
	'a new subscription has counted nothing');
is( $node->safe_psql(
		'postgres', q{
		SELECT num_nulls(latency_p50_ms, latency_p95_ms, latency_p99_ms,
						 last_success_at, last_failure_at)
		  FROM kafka_metrics}),
	'5',
	'... and knows no times');

# 100 values of 10 bytes with a key of 1
$kafka->produce($topic, [ map { sprintf '{"id":%3d}', $_ } 1 .. 100 ],
	'-k', 'k');
$node->wait_for($counted, '100|100|0|0|0|0|100|1100', 'all to be counted');
is( $node->safe_psql(
		'postgres', q{
		SELECT batches_total BETWEEN 1 AND 100, processing_ms_total >= 0,
			   latency_p50_ms > 0, latency_p95_ms >= latency_p50_ms,
			   latency_p99_ms >= latency_p95_ms, latency_p99_ms < 60000,
			   last_success_at > now() - interval '1 min',
			   last_failure_at IS NULL
		  FROM kafka_metrics}),
	join('|', ('t') x 8),
	'batches and times are plausible');

# 900 messages that took an hour, beside 100 that did not
$kafka->produce_messages($topic,
	map { { value => qq({"id": $_}), timestamp => (time - 3600) * 1000 } }
	  1 .. 900);
$node->wait_for("SELECT received_total FROM kafka_metrics", '1000',
	'the old ones');
cmp_ok(
	abs($node->safe_psql('postgres',
			'SELECT latency_p95_ms FROM kafka_metrics') / 3_600_000 - 1),
	'<', 0.2, 'the 95th percentile is the hour, as far as buckets can tell');
cmp_ok(
	$node->safe_psql('postgres',
		'SELECT last_success_at - now() FROM kafka_metrics') =~ /^-?00:0/,
	'==', 1, 'the last success is when it was, not what the message says');

# what Prometheus reads
my ($out, $err) = ('', '');
my $text = prometheus();
ok( IPC::Run::run([ 'promtool', 'check', 'metrics' ],
		'<', \"$text\n", '>', \$out, '2>', \$err),
	'promtool has nothing to complain about') or diag("$out$err");
is("$out$err", '', '... and says nothing');
my $labels = qr/database="postgres",server="shop",topic="\Q$topic\E"/;
is(sample(qr/kafka_events_received_messages_total\{$labels\}/),
	1000, 'a counter');
is(sample(qr/kafka_events_latency_seconds_bucket\{$labels,le="\+Inf"\}/),
	1000, 'all latencies');
is(sample(qr/kafka_events_latency_seconds_count\{$labels\}/),
	1000, '... as many as it says');
is(sample(qr/kafka_events_latency_seconds_bucket\{$labels,le="65\.536"\}/),
	100, '... and how many of them were short');
cmp_ok(sample(qr/kafka_events_latency_seconds_sum\{$labels\}/),
	'>', 900 * 3600 - 1, '... and their sum');
$node->wait_for(
	'SELECT count(*) = count(lag_messages), sum(lag_messages) FROM kafka_consumer_lag',
	't|0', 'no lag');
is( sample(
		qr/kafka_events_lag_messages\{$labels,role="main",partition="1"\}/),
	0, 'the lag of a partition');
is( sample(
		qr/kafka_events_healthy_consumers\{database="postgres",server="shop",role="main"\}/
	),
	1,
	'the consumer');

# names that need quoting
$node->safe_psql(
	'postgres', q{
	CREATE SERVER "a ""quoted"" \\name" FOREIGN DATA WRAPPER kafka_events
		OPTIONS (bootstrap_servers '127.0.0.1:1', service_name 'quoted', workers '0')});
$text = prometheus();
like(
	$text,
	qr/^kafka_events_expected_consumers\{database="postgres",server="a \\"quoted\\" \\\\name",role="main"\} 0$/m,
	'labels are escaped');
ok( IPC::Run::run([ 'promtool', 'check', 'metrics' ],
		'<', \"$text\n", '>', \$out, '2>', \$err),
	'promtool reads them');
$node->safe_psql('postgres', 'DROP SERVER "a ""quoted"" \\name"');

# a STRICT handler is not called for a tombstone
my $other = $kafka->create_topic($kafka->unique('tombstones'));
$node->safe_psql('postgres', "SELECT kafka_subscribe('$other', handler => 'seen')");
$kafka->produce_messages(
	$other,
	{ key => 'a', value => undef },
	{ key => 'a', value => '{}' });
$node->wait_for(
	"SELECT received_total, succeeded_total, skipped_total, rows_total
	   FROM kafka_metrics WHERE topic = '$other'",
	'2|1|1|0', 'the tombstone is skipped');

# a worker's end takes nothing away
my $before = $node->safe_psql('postgres', $counted);
my $pid = $node->worker_pid('shop');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$node->wait_for(
	"SELECT count(*) FROM kafka_consumer_health WHERE status = 'running' AND pid <> $pid",
	'1', 'another worker');
is($node->safe_psql('postgres', $counted), $before,
	'what was counted outlives the worker');

# messages that fail: one for good, one that is tried again and succeeds
$node->safe_psql(
	'postgres', q{
	CREATE TABLE gate (open boolean);
	INSERT INTO gate VALUES (false);
	CREATE FUNCTION check_gate() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.id = 2001 AND NOT (SELECT open FROM gate) THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER gate BEFORE INSERT ON orders
		FOR EACH ROW EXECUTE FUNCTION check_gate()});
$kafka->produce($topic, [ '{"id":"x"}', '{"id":2001}' ], '-p', '0');
$node->wait_for(
	"SELECT retried_total > 0, dead_lettered_total, failed_total,
			last_failure_at > now() - interval '1 min'
	   FROM kafka_metrics WHERE topic = '$topic'",
	't|1|0|t', 'both to fail');
$node->safe_psql('postgres', 'UPDATE gate SET open = true');
$node->wait_for(
	"SELECT succeeded_total, dead_lettered_total,
			received_total = succeeded_total + retried_total + dead_lettered_total
	   FROM kafka_metrics WHERE topic = '$topic'",
	'1001|1|t', 'the second one to succeed, and each to be one of the three');
$node->wait_for(
	qq{SELECT kafka_metrics_prometheus() ~
		 'kafka_events_dlq_pending_messages\\{[^\n]*"$topic"\\} 1\n'},
	't', 'the dead letter to be pending');
pass('failures are counted, and dead letters that wait');
is(sample(qr/kafka_events_circuit_open\{$labels\}/), 0,
	'a breaker that is closed');
is( sample(
		qr/kafka_events_outbox_parked_messages\{database="postgres",server="shop"\}/
	),
	0,
	'nothing is parked');

# Timestamps of 1970, as somebody forged them or did not know better, are no
# latencies.
my $latencies = sample(qr/kafka_events_latency_seconds_count\{$labels\}/);
my $received = $node->safe_psql('postgres',
	"SELECT received_total FROM kafka_metrics WHERE topic = '$topic'");
$kafka->produce_messages($topic,
	map { { value => qq({"id": $_}), timestamp => 1000 } } 1 .. 100);
$node->wait_for(
	"SELECT received_total FROM kafka_metrics WHERE topic = '$topic'",
	$received + 100, 'messages of 1970');
cmp_ok(
	$node->safe_psql('postgres',
		"SELECT latency_p99_ms FROM kafka_metrics WHERE topic = '$topic'"),
	'<', 2 * 3_600_000, 'a forged timestamp does not show as latency');
is(sample(qr/kafka_events_latency_seconds_count\{$labels\}/),
	$latencies, '... and is not counted as one');

# forgotten with the subscription
$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$topic')");
is($node->safe_psql('postgres', $counted), '', 'what is gone is not shown');
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$topic', into_table => 'orders')");
is($node->safe_psql('postgres', $counted), '0|0|0|0|0|0|0|0',
	'a subscription that comes back starts from zero');

$node->stays_up_ok;
$node->stop;

done_testing();
