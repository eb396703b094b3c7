# src/kafka alone, driven from SQL: see test/client.
#
#	my $client = KafkaEvents::Client->new;
#	my @lines = $client->run(q{SELECT client.library()});
#
# Each run is a session of its own, with the members that it opens.
package KafkaEvents::Client;

use strict;
use warnings;

use Carp;
use File::Basename qw(dirname);
use File::Spec;
use IPC::Run;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my $here = File::Spec->rel2abs(dirname(__FILE__) . '/../../client');

sub new
{
	my ($class) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('client');
	my $node = PostgreSQL::Test::Cluster->new('client');
	my $log = '';

	IPC::Run::run([ 'make', '-s', '-C', $dir, '-f', "$here/Makefile" ],
		'>&', \$log)
	  or croak "could not build test/client: $log";
	$node->init;
	$node->start;
	$node->safe_psql('postgres', slurp_file("$here/drive.sql"),
		extra_params => [ '-v', "module=$dir/kafka_events_client" ]);
	return bless { node => $node }, $class;
}

sub node { return $_[0]->{node} }

# The lines that a script prints, without those that are empty.
sub run
{
	my ($self, $script) = @_;

	return grep { $_ ne '' } split /\n/,
	  $self->{node}->safe_psql('postgres', $script);
}

# What it says when it fails.
sub run_fails
{
	my ($self, $script) = @_;
	my ($status, $out, $err) = $self->{node}->psql('postgres', $script);

	return $status == 0 ? "no error: $out" : $err;
}

1;
