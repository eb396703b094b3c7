# kafka_production_check: each check fails for what it is there for, and what
# its hint says to type mends that.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $orders = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $missing = $kafka->unique('missing');

# One broker, without TLS; and a server without workers, so that its topics
# can be changed without anybody having to join a group again.
my %always = (
	shop => [qw(replication tls)],
	depot => [qw(consumers lag replication tls)]);

sub column
{
	my ($server, $check, $column) = @_;

	return $node->safe_psql('postgres',
		"SELECT $column FROM kafka_production_check('$server') WHERE check_name = '$check' AND NOT ok");
}

sub wait_until_failing
{
	my ($server, @checks) = @_;
	my $expected = join ' ', sort @{ $always{$server} }, @checks;

	$node->wait_for(
		"SELECT string_agg(DISTINCT check_name, ' ' ORDER BY check_name) FROM kafka_production_check('$server') WHERE NOT ok",
		$expected, "$server to fail in $expected");
	return pass("$server: nothing but '$expected' is wrong");
}

sub fails_ok
{
	my ($server, $check, $detail) = @_;

	wait_until_failing($server, $check);
	return like(column($server, $check, 'detail'), $detail, "$check says why");
}

# Type the SQL that a check's hint says.
sub follow_hint
{
	my ($server, $check) = @_;
	my $hint = column($server, $check, 'hint');
	my @statements = $hint =~ /((?:ALTER SERVER|SELECT) [^;]+;)/g;

	ok(scalar @statements, "$check says what to type: $hint");
	$node->safe_psql('postgres', $_) foreach @statements;
	return;
}

# Type a command of Kafka's own that a check's hint says.
sub follow_command
{
	my ($server, $check) = @_;
	my ($tool, @arguments) = split ' ', column($server, $check, 'hint');

	$tool =~ s/^kafka-(.*)\.sh$/$1/;
	$kafka->tool($tool, @arguments);
	return;
}

# Much faster than Kafka's own tool.  A copy is larger than its message.
sub make_topic
{
	my ($topic, $config) = @_;

	$config =~ s/^\{/{"max.message.bytes": 20065536, / unless $config =~ /max\.message/;
	$node->safe_psql('postgres',
		"SELECT kafka_topic_create('$topic', 1, config => '$config', server => 'depot')");
	return;
}

my $service = $node->create_service($kafka, 'shop');
$node->safe_psql('postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$orders', into_table => 'orders')});
wait_until_failing('shop');
is( $node->safe_psql('postgres', q{
		SELECT check_name FROM kafka_production_check() WITH ORDINALITY AS c
		 GROUP BY check_name ORDER BY min(ordinality)}),
	join("\n", qw(service_name tls librdkafka versions partitions replication
	  copy_topics_exist copy_topics_not_compacted copy_topics_not_shared
	  dlq_retention retry_retention message_sizes min_insync_replicas rights clock
	  max_worker_processes lag fields row_keys consumers)),
	'the checks come in a stable order');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM kafka_production_check() c
		 GROUP BY check_name, ok HAVING ok AND count(*) > 1 OR max(length(c::text)) > 500}),
	'', 'one row for each finding, and none is long');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM kafka_production_check() WHERE ok AND hint IS NOT NULL OR detail IS NULL"),
	0, 'a check that succeeds has no hint, and each has a detail');
like(column('shop', 'replication', 'detail'),
	qr/^topic "$orders" is on one broker only\ntopic "$orders.retry" .*\ntopic "$orders.dlq" .*$/,
	'one broker is not enough, for any topic');

# ---- partitions and workers

$node->safe_psql('postgres', "ALTER SERVER shop OPTIONS (ADD workers '3')");
$node->wait_for(
	"SELECT ok, detail FROM kafka_production_check() WHERE check_name = 'partitions'",
	qq{f|topic "$orders" has 2 partitions for 3 workers: some have nothing to do},
	'too few partitions');
follow_hint('shop', 'partitions');
wait_until_failing('shop');
$node->safe_psql('postgres', "ALTER SERVER shop OPTIONS (SET workers '20')");
like(column('shop', 'max_worker_processes', 'detail'),
	qr/^16 are set; kafka_events may need 26, and 1 belong/,
	'too many workers');
$node->safe_psql('postgres', "ALTER SERVER shop OPTIONS (SET workers '1')");

# ---- lag and consumers

$node->safe_psql('postgres', "SELECT kafka_consumer_pause('$orders')");
fails_ok('shop', 'lag', qr/^topic "$orders" is paused$/);
follow_hint('shop', 'lag');
wait_until_failing('shop');

# more than a minute's work is left
$node->safe_psql('postgres', qq{
	CREATE FUNCTION slow(jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.1)';
	SELECT kafka_subscription_alter('$orders', handler => 'slow', batch_size => 1)});
$kafka->produce($orders, [ map { qq({"id": $_}) } 1 .. 2000 ]);
$node->wait_for(
	"SELECT detail ~ '^topic .*: [0-9]+ messages behind, which take about [0-9]+ s\$' FROM kafka_production_check() WHERE check_name = 'lag' AND NOT ok",
	't', 'the lag to be too large');
$node->safe_psql('postgres', qq{
	SELECT kafka_subscription_alter('$orders', batch_size => 1000);
	SELECT FROM kafka_consumer_seek('$orders', "position" => 'latest')});
wait_until_failing('shop');

# ---- topics

$service = $node->create_service($kafka, 'depot', workers => 0, retry_workers => 0);
$node->safe_psql('postgres', qq{
	SELECT kafka_subscribe('$orders', into_table => 'orders', server => 'depot')});
wait_until_failing('depot');
is(column('depot', 'consumers', 'detail'),
	'the server option workers is 0: nothing is consumed',
	'a server that consumes nothing is not fit');
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$missing', into_table => 'orders', server => 'depot')");
like(column('depot', 'partitions', 'detail'), qr/topic "$missing" does not exist/,
	'a topic is missing');
follow_hint('depot', 'partitions');
wait_until_failing('depot');
is( $node->safe_psql('postgres', qq{
		SELECT detail FROM kafka_production_check('depot') WHERE check_name = 'partitions'}),
	join("\n", map { qq{topic "$_->[0]" has $_->[1] partitions for 0 workers} }
		  sort { $a->[0] cmp $b->[0] } [ $orders, 2 ], [ $missing, 1 ]),
	'one row for each topic');
$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$missing', 'depot')");

# ---- topics for copies

$node->safe_psql('postgres', qq{
	ALTER SERVER depot OPTIONS (ADD create_topics 'false', ADD retry_suffix '.again', ADD dlq_suffix '.dead')});
fails_ok('depot', 'copy_topics_exist',
	qr/^topic "$orders.again" does not exist, and create_topics is off\ntopic "$orders.dead" does not/);
follow_hint('depot', 'copy_topics_exist');
wait_until_failing('depot');

make_topic("$orders.compact", '{"cleanup.policy": "compact"}');
$node->safe_psql('postgres', "ALTER SERVER depot OPTIONS (SET dlq_suffix '.compact')");
fails_ok('depot', 'copy_topics_not_compacted', qr/^topic "$orders.compact" is compacted/);
$kafka->tool('configs', '--alter', '--entity-type', 'topics', '--entity-name',
	"$orders.compact", '--add-config', 'cleanup.policy=delete');
wait_until_failing('depot');

# another service uses the same names
$kafka->produce("$orders.compact", ['{}'], '-H', "x-service=$service");
wait_until_failing('depot');
$kafka->produce("$orders.compact", ['{}'], '-H', 'x-service=warehouse');
fails_ok('depot', 'copy_topics_not_shared',
	qr/^topic "$orders.compact" holds copies of service "warehouse", too$/);
$node->safe_psql('postgres', "ALTER SERVER depot OPTIONS (SET create_topics 'true')");
follow_hint('depot', 'copy_topics_not_shared');
wait_until_failing('depot');

# ---- retention

make_topic("$orders.short", '{"retention.ms": 3600000, "retention.bytes": 1000000}');
$node->safe_psql('postgres', "ALTER SERVER depot OPTIONS (SET dlq_suffix '.short')");
fails_ok('depot', 'dlq_retention',
	qr/keeps 1000000 bytes of a partition.*\ntopic "$orders.short" keeps letters for 1 h/);

make_topic("$orders.brief", '{"retention.ms": 3600000}');
$node->safe_psql('postgres', "ALTER SERVER depot OPTIONS (SET dlq_suffix '.dead', SET retry_suffix '.brief')");
fails_ok('depot', 'retry_retention',
	qr/^topic "$orders.brief" keeps copies for 1 hour; a retry may be due after 33 s, /);
follow_command('depot', 'retry_retention');
wait_until_failing('depot');

make_topic("$orders.small", '{"max.message.bytes": 20000000}');
$node->safe_psql('postgres', "ALTER SERVER depot OPTIONS (SET retry_suffix '.small')");
fails_ok('depot', 'message_sizes',
	qr/^topic "$orders.small" takes messages of 20000000 bytes; those of "$orders" may have 20000000, and a copy up to 65536 more$/);
follow_command('depot', 'message_sizes');
wait_until_failing('depot');

$node->create_service($kafka, 'narrow', workers => 0, retry_workers => 0,
	'receive.message.max.bytes' => 10_000_000, 'fetch.max.bytes' => 1_000_000);
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$orders', into_table => 'orders', server => 'narrow')");
$node->wait_for(
	q{SELECT detail, hint FROM kafka_production_check('narrow') WHERE check_name = 'message_sizes'},
	qq{topic "$orders" takes batches of 20000000 bytes, and consumers none above 10000000|As a superuser: ALTER SERVER narrow OPTIONS (SET "receive.message.max.bytes" '20065536');},
	'what consumers do not take');
$node->safe_psql('postgres', 'DROP SERVER narrow CASCADE');

my $hour_ago = int((time - 3600) * 1000);
make_topic("$orders.late", '{"retention.ms": 88200000}');
$node->safe_psql('postgres', "ALTER SERVER depot OPTIONS (SET dlq_suffix '.late')");
wait_until_failing('depot');
$kafka->produce_messages("$orders.late",
	(map { { value => "$_", timestamp => $hour_ago } } 1 .. 3), { value => '4' });
fails_ok('depot', 'dlq_retention',
	qr/^3 pending letters of topic "$orders.late" may be lost within 24 hours$/);
like(column('depot', 'dlq_retention', 'hint'),
	qr/SELECT \* FROM kafka_dlq_reprocess\('$orders', server => 'depot'\);/,
	'... and what to do');
$node->safe_psql('postgres',
	"SELECT FROM kafka_dlq_reprocess('$orders', target => 'discard', max_messages => 3, server => 'depot')");
wait_until_failing('depot');

# ---- nobody to ask

$node->create_service($kafka, 'nowhere', bootstrap_servers => '127.0.0.1:1');
$node->safe_psql('postgres', q{
	SELECT kafka_subscribe('orders', into_table => 'orders', server => 'nowhere')});
$node->wait_for(
	q{SELECT detail ~ 'Connection refused' FROM kafka_production_check('nowhere') WHERE check_name = 'replication'},
	't', 'the server to be asked for');
my $started = time;
my @rows = split /\n/, $node->safe_psql('postgres', q{
	SET kafka_events.request_timeout = '8 s';
	SELECT check_name || ': ' || detail FROM kafka_production_check('nowhere')
	 WHERE check_name ~ '^(partitions|replication|copy|dlq)' AND NOT ok AND hint IS NOT NULL});
cmp_ok(time - $started, '<', 20, 'brokers that do not answer are not waited for in each check');
is(scalar(grep { /: could not reach Kafka at "127.0.0.1:1": .*Connection refused/ } @rows),
	6, '... and each check says so');
is( $node->safe_psql('postgres', q{
		SELECT DISTINCT substring(detail FROM '^server "[^"]*": ')
		  FROM kafka_production_check() ORDER BY 1}),
	join("\n", map { qq{server "$_": } } qw(depot nowhere shop)),
	'several servers are told apart');
$node->append_conf('postgresql.conf', 'kafka_events.enabled = off');
$node->reload;
$node->wait_for(
	q{SELECT count(*) FROM kafka_production_check('shop') WHERE detail = 'kafka_events.enabled is off'},
	11, 'the kill switch to be told');

$node->stays_up_ok;
$node->stop;

done_testing();
