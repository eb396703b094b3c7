# What monitoring/ is for, running: the exporters with its files against a
# database, and a Prometheus that scrapes them.
#
#	my $monitoring = KafkaEvents::Monitoring->new($node);   a role is made
#	$monitoring->start_exporter('sql_exporter'), or 'postgres_exporter'
#	$monitoring->start_prometheus;
#	$monitoring->page('sql_exporter', '/metrics')
#	$monitoring->ask('an expression')         labels and value, as hashes
#	$monitoring->range(expression, from, to, step)   labels and [[time, value]]
#
# Everything listens on the loopback and ends with the test.
package KafkaEvents::Monitoring;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my $files = File::Spec->rel2abs(dirname(__FILE__) . '/../../../monitoring');
my @running;

# The text of one of the files that are to be copied.
sub file
{
	my ($name) = @_;

	return slurp_file("$files/$name");
}

sub path
{
	my ($name) = @_;

	return "$files/$name";
}

sub new
{
	my ($class, $node) = @_;

	$node->safe_psql('postgres',
		'CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor');
	return bless {
		dir => PostgreSQL::Test::Utils::tempdir('monitoring'),
		url => sprintf('postgres://monitor@/postgres?host=%s&port=%d&sslmode=disable',
			$node->host, $node->port),
		port => {
			map { $_ => PostgreSQL::Test::Cluster::get_free_port() }
			  qw(sql_exporter postgres_exporter prometheus) },
	}, $class;
}

sub _write
{
	my ($self, $name, $text) = @_;

	open(my $file, '>', "$self->{dir}/$name") or die "$self->{dir}/$name: $!";
	print $file $text;
	close($file);
	return "$self->{dir}/$name";
}

sub _start
{
	my ($self, $name, $environment, @command) = @_;

	push @running,
	  IPC::Run::start(\@command, '<', \undef, '>&', "$self->{dir}/$name.log",
		init => sub { $ENV{$_} = $environment->{$_} foreach keys %$environment });
	return;
}

sub start_exporter
{
	my ($self, $name) = @_;
	my $address = "127.0.0.1:$self->{port}{$name}";

	if ($name eq 'postgres_exporter')
	{
		$self->_start($name, { DATA_SOURCE_NAME => $self->{url} },
			'prometheus-postgres-exporter',
			'--extend.query-path', path('postgres_exporter.yml'),
			'--disable-default-metrics', '--disable-settings-metrics',
			'--web.listen-address', $address);
		return;
	}

	my $config = file('sql_exporter.yml');

	$config =~ s{- \Kpostgres://.*}{$self->{url}};
	$config =~ s{interval: \K.*}{1s};
	$self->_start($name, {}, 'prometheus-sql-exporter',
		'-config.file', $self->_write('sql_exporter.yml', $config),
		'-web.listen-address', $address);
	return;
}

# With its own file but for ports and how often.
sub start_prometheus
{
	my ($self) = @_;
	my $config = file('prometheus.yml');

	$config =~ s/localhost:9237/127.0.0.1:$self->{port}{sql_exporter}/;
	$config =~ s/localhost:9187/127.0.0.1:$self->{port}{postgres_exporter}/;
	$self->_write('alerts.yml', file('alerts.yml'));
	$self->_start('prometheus', {}, 'prometheus',
		'--config.file', $self->_write('prometheus.yml',
			"global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n$config"),
		'--storage.tsdb.path', "$self->{dir}/data",
		'--web.listen-address', "127.0.0.1:$self->{port}{prometheus}");
	return;
}

# '' if it does not answer.
sub page
{
	my ($self, $name, $path) = @_;
	my $answer = HTTP::Tiny->new(timeout => 20)
	  ->get("http://127.0.0.1:$self->{port}{$name}$path");

	return $answer->{success} ? $answer->{content} : '';
}

# What Prometheus says to an expression, or '' if it cannot be asked.
sub answer
{
	my ($self, $expression, $how) = @_;

	$expression =~ s/([^\w.-])/sprintf '%%%02x', ord $1/ge;
	my $text = $self->page('prometheus',
		'/api/v1/' . ($how || 'query?') . "query=$expression");

	return $text =~ /^\{"status":"success"/ ? $text : '';
}

sub _results
{
	my ($text) = @_;

	return $text eq '' ? () : @{ decode_json($text)->{data}->{result} };
}

sub ask
{
	my ($self, $expression) = @_;

	return map { { %{ $_->{metric} }, value => $_->{value}->[1] } }
	  _results($self->answer($expression));
}

sub range
{
	my ($self, $expression, $from, $to, $step) = @_;

	return map { { labels => $_->{metric}, values => $_->{values} } }
	  _results($self->answer($expression,
			"query_range?start=$from&end=$to&step=$step&"));
}

# What they have said, for diag.
sub logs
{
	my ($self) = @_;

	return map { slurp_file($_) } glob "$self->{dir}/*.log";
}

# What a panel of the dashboard asks when nothing in it is chosen.
sub expression
{
	my ($text, $interval) = @_;

	$text =~ s/\$__rate_interval/$interval/g;
	$text =~ s/"\$(database|server|topic)"/".*"/g;
	return $text;
}

END
{
	$_->kill_kill foreach @running;
}

1;
