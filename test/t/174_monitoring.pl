# What is in monitoring/: real exporters with these files against a live
# database, a real Prometheus that scrapes both, alerts and dashboard.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use KafkaEvents::Test;

my $files = File::Spec->rel2abs(dirname(__FILE__) . '/../../monitoring');
my $dir = PostgreSQL::Test::Utils::tempdir('monitoring');
my %port = map { $_ => PostgreSQL::Test::Cluster::get_free_port() }
  qw(sql_exporter postgres_exporter prometheus);
my @running;

sub write_file
{
	my ($name, $text) = @_;

	open(my $file, '>', "$dir/$name") or die "$dir/$name: $!";
	print $file $text;
	close($file);
	return "$dir/$name";
}

sub start
{
	my ($name, $environment, @command) = @_;

	push @running,
	  IPC::Run::start(\@command, '<', \undef, '>&', "$dir/$name.log",
		init => sub { $ENV{$_} = $environment->{$_} foreach keys %$environment });
	return;
}

sub page
{
	my ($name, $path) = @_;
	my $answer =
	  HTTP::Tiny->new(timeout => 20)->get("http://127.0.0.1:$port{$name}$path");

	return $answer->{success} ? $answer->{content} : '';
}

sub until_there
{
	my ($what, $test) = @_;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;
	my @found;

	usleep(100_000) until (@found = $test->()) || time() > $deadline;
	ok(scalar @found, $what)
	  or diag(map { slurp_file($_) } glob "$dir/*.log");
	return @found;
}

# What Prometheus says to an expression, or '' if it cannot be asked.
sub answer
{
	my ($expression) = @_;

	$expression =~ s/([^\w.-])/sprintf '%%%02x', ord $1/ge;
	my $text = page('prometheus', "/api/v1/query?query=$expression");

	return $text =~ /^\{"status":"success"/ ? $text : '';
}

# The same as hashes of labels to value.
sub ask
{
	my $text = answer(@_);

	return if $text eq '';
	return map { { %{ $_->{metric} }, value => $_->{value}->[1] } }
	  @{ decode_json($text)->{data}->{result} };
}

END
{
	$_->kill_kill foreach @running;
}

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('orders'), partitions => 2);
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', qq{
	CREATE ROLE monitor LOGIN;
	GRANT pg_monitor TO monitor;
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
my $config = slurp_file("$files/sql_exporter.yml");
my $url = sprintf 'postgres://monitor@/postgres?host=%s&port=%d&sslmode=disable',
  $node->host, $node->port;
$config =~ s{- \Kpostgres://.*}{$url};
$config =~ s{interval: \K.*}{1s};
start('sql_exporter', {}, 'prometheus-sql-exporter',
	'-config.file', write_file('sql_exporter.yml', $config),
	'-web.listen-address', "127.0.0.1:$port{sql_exporter}");
start(
	'postgres_exporter',
	{ DATA_SOURCE_NAME => $url },
	'prometheus-postgres-exporter',
	'--extend.query-path', "$files/postgres_exporter.yml",
	'--disable-default-metrics', '--disable-settings-metrics',
	'--web.listen-address', "127.0.0.1:$port{postgres_exporter}");
foreach my $name (qw(sql_exporter postgres_exporter))
{
	until_there("$name has samples",
		sub { page($name, '/metrics') =~ /^(?:sql_)?(kafka_events_sample\S*)/m });
}

# Prometheus, with its own file but for ports and how often
$config = slurp_file("$files/prometheus.yml");
$config =~ s/localhost:9237/127.0.0.1:$port{sql_exporter}/;
$config =~ s/localhost:9187/127.0.0.1:$port{postgres_exporter}/;
write_file('alerts.yml', slurp_file("$files/alerts.yml"));
start('prometheus', {}, 'prometheus',
	'--config.file',
	write_file('prometheus.yml', "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n$config"),
	'--storage.tsdb.path', "$dir/data",
	'--web.listen-address', "127.0.0.1:$port{prometheus}");
foreach my $name (qw(sql_exporter postgres_exporter))
{
	my ($sample) = until_there(
		"Prometheus has them from $name",
		sub {
			ask(qq(kafka_events_received_messages_total{job="$name",topic="$topic"}));
		});

	is($sample->{value}, 11, '... the value');
	is("$sample->{database} $sample->{server}", 'postgres shop', '... the labels');
	ok(!exists $sample->{metric} && !exists $sample->{kafka_server},
		'... and none that only carried something');

	my %scraped = map { $_->{__name__} => 1 }
	  ask(qq({__name__=~"kafka_events_.*",job="$name"}));
	is_deeply([ sort keys %scraped ], [ sort keys %names ], '... every metric');
}
is( (ask(qq(kafka_events_latency_seconds_bucket{job="sql_exporter",topic="$topic",le="+Inf"})))[0]
	->{value},
	11, 'a histogram is one again');

# the alerts
my $output = '';
ok(IPC::Run::run([ 'promtool', 'check', 'rules', "$files/alerts.yml" ], '>&', \$output),
	'promtool reads the alerts') or diag($output);
ok( IPC::Run::run(
		[ 'promtool', 'test', 'rules', "$files/alerts_test.yml" ],
		'>&', \$output),
	'each fires when it should, and not otherwise') or diag($output);
foreach my $name (slurp_file("$files/alerts.yml") =~ /\b(kafka_events_\w+)/g)
{
	ok($names{$name}, "$name, of an alert, is there");
}

# the dashboard: what a panel asks can be asked, and is about what is there
my $dashboard = decode_json(slurp_file("$files/grafana.json"));
my %ids;

foreach my $panel (@{ $dashboard->{panels} })
{
	ok(!$ids{ $panel->{id} }++, "panel $panel->{title}: has a number of its own");
	foreach my $target (@{ $panel->{targets} })
	{
		my $expression = $target->{expr};

		$expression =~ s/\$__rate_interval/1m/g;
		$expression =~ s/"\$(database|server|topic)"/".*"/g;
		unlike($expression, qr/\$/, '... knows its variables');
		ok(answer($expression), "... can ask $target->{expr}");
		ok($names{$_}, "... $_ is there") foreach $expression =~ /\b(kafka_events_\w+)/g;
	}
}

done_testing();
