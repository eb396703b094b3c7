# What is in monitoring/: real exporters with these files against a live
# database, a real Prometheus that scrapes both, alerts and dashboard.

use strict;
use warnings;

use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use KafkaEvents::Monitoring;
use KafkaEvents::Test;

my $monitoring;

sub until_there
{
	my ($what, $test) = @_;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;
	my @found;

	usleep(100_000) until (@found = $test->()) || time() > $deadline;
	ok(scalar @found, $what)
	  or diag($monitoring->logs);
	return @found;
}

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id bigint);
	SELECT kafka_subscribe('$topic', into_table => 'orders')});
$kafka->produce($topic, [ '{"id":"x"}', map { qq({"id": $_}) } 1 .. 10 ]);
$node->wait_for(
	'SELECT sum(received_total), sum(dead_lettered_total) FROM kafka_metrics',
	'11|1', 'all to be counted');
$node->wait_for(
	q{SELECT count(*) FROM kafka_metrics_samples()
	   WHERE metric = 'kafka_events_dlq_pending_messages' AND value = 1},
	'1', 'the dead letter to be pending');

# what the extension says, read by the reference parser
my $families = $node->safe_psql('postgres', 'SELECT kafka_metrics_prometheus()');
my ($parsed, $err) = ('', '');
ok( IPC::Run::run(
		[
			'python3', '-c', q{
import sys
from prometheus_client.parser import text_string_to_metric_families
seen = set()
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.name not in seen, 'torn: ' + family.name
    seen.add(family.name)
    assert family.type in ('counter', 'gauge', 'histogram'), family.type
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in seen, 'twice: %s' % (key,)
        seen.add(key)
        print(sample.name)
}
		],
		'<', \"$families\n", '>', \$parsed, '2>', \$err),
	'the reference parser takes the text') or diag($err);
my %names = map { $_ => 1 } split /\n/, $parsed;
is( join(' ', sort keys %names),
	$node->safe_psql(
		'postgres', q{
		SELECT string_agg(DISTINCT metric COLLATE "C", ' ' ORDER BY metric COLLATE "C")
		  FROM kafka_metrics_samples()}),
	'text and rows have the same metrics');

# the exporters, as a role that may only look
$monitoring = KafkaEvents::Monitoring->new($node);
foreach my $name (qw(sql_exporter postgres_exporter))
{
	$monitoring->start_exporter($name);
	until_there("$name has samples",
		sub { $monitoring->page($name, '/metrics') =~ /^(?:sql_)?(kafka_events_sample\S*)/m });
}

# Prometheus
$monitoring->start_prometheus;
foreach my $name (qw(sql_exporter postgres_exporter))
{
	my ($sample) = until_there(
		"Prometheus has them from $name",
		sub {
			$monitoring->ask(qq(kafka_events_received_messages_total{job="$name",topic="$topic"}));
		});

	is($sample->{value}, 11, '... the value');
	is("$sample->{database} $sample->{server}", 'postgres shop', '... the labels');
	ok(!exists $sample->{metric} && !exists $sample->{kafka_server},
		'... and none that only carried something');

	my %scraped = map { $_->{__name__} => 1 }
	  $monitoring->ask(qq({__name__=~"kafka_events_.*",job="$name"}));
	is_deeply([ sort keys %scraped ], [ sort keys %names ], '... every metric');
}
is( ($monitoring->ask(qq(kafka_events_latency_seconds_bucket{job="sql_exporter",topic="$topic",le="+Inf"})))[0]
	->{value},
	11, 'a histogram is one again');

# the alerts
my $output = '';
ok(IPC::Run::run([ 'promtool', 'check', 'rules', KafkaEvents::Monitoring::path('alerts.yml') ], '>&', \$output),
	'promtool reads the alerts') or diag($output);
ok( IPC::Run::run(
		[ 'promtool', 'test', 'rules', KafkaEvents::Monitoring::path('alerts_test.yml') ],
		'>&', \$output),
	'each fires when it should, and not otherwise') or diag($output);
foreach my $name (KafkaEvents::Monitoring::file('alerts.yml') =~ /\b(kafka_events_\w+)/g)
{
	ok($names{$name}, "$name, of an alert, is there");
}

# the dashboard: what a panel asks can be asked, and is about what is there
my $dashboard = decode_json(KafkaEvents::Monitoring::file('grafana.json'));
my %ids;

foreach my $panel (@{ $dashboard->{panels} })
{
	ok(!$ids{ $panel->{id} }++, "panel $panel->{title}: has a number of its own");
	foreach my $target (@{ $panel->{targets} })
	{
		my $expression =
		  KafkaEvents::Monitoring::expression($target->{expr}, '1m');

		unlike($expression, qr/\$/, '... knows its variables');
		ok($monitoring->answer($expression), "... can ask $target->{expr}");
		ok($names{$_}, "... $_ is there") foreach $expression =~ /\b(kafka_events_\w+)/g;
	}
}

done_testing();
