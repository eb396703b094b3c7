# A real schema registry for tests, and a writer that uses it: see the heads of
# test/registry/registry and write.py.
#
#	my $registry = KafkaEvents::Registry->start;
#	my ($id) = $registry->write($kafka, { topic => $topic,
#		schema => '...', records => [ { key => 'a', value => { id => 1 } } ] });
package KafkaEvents::Registry;

use strict;
use warnings;

use Carp;
use File::Basename qw(dirname);
use File::Spec;
use IPC::Run;
use JSON::PP;

use PostgreSQL::Test::Utils;

my $here = File::Spec->rel2abs(dirname(__FILE__) . '/../../registry');
my $python =
  File::Spec->rel2abs(dirname(__FILE__) . '/../../../build/python/bin/python');
my $json = JSON::PP->new->utf8->canonical;
my @own;

sub start
{
	my ($class) = @_;
	my $self = $class->begin;

	$self->finish;
	return $self;
}

# The same in two steps, for what else takes a while.
sub begin
{
	my ($class) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('registry');
	my $self = bless { dir => $dir }, $class;

	push @own, $self;
	$self->{starting} =
	  IPC::Run::start([ "$here/registry", 'start', $dir ], '<', \undef);
	return $self;
}

sub finish
{
	my ($self) = @_;

	$self->{starting}->finish or croak 'the registry does not start';
	return;
}

# HOST:PORT; with a name: of the front, see test/registry/registry.
sub address
{
	my ($self, $name) = @_;
	my $address = slurp_file("$self->{dir}/" . ($name || 'address'));

	chomp $address;
	return $address;
}

# The URL of Confluent's API.
sub url
{
	my ($self, $name) = @_;
	my $scheme = !$name || $name eq 'basic' ? 'http' : 'https';

	return "$scheme://" . $self->address($name) . '/apis/ccompat/v7';
}

sub pem { return slurp_file("$_[0]->{dir}/$_[1]") }

sub front { return $_[0]->_command('front') }
sub kill9 { return $_[0]->_command('kill') }
sub restart { return $_[0]->_command('restart') }
sub freeze { return $_[0]->_command('freeze') }
sub thaw { return $_[0]->_command('thaw') }

sub _command
{
	my ($self, $command) = @_;

	system_or_bail("$here/registry", $command, $self->{dir});
	return;
}

# What the writer makes of these orders: the ids of their schemas.
sub write
{
	my ($self, $kafka, @orders) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(
		[ $python, "$here/write.py", $kafka->address, $self->url ],
		'<', \join('', map { $json->encode($_) . "\n" } @orders),
		'>', \$out, '2>', \$err)
	  or croak "write.py failed: $err";
	return split /\n/, $out;
}

# Let Apicurio's own serializer write, in each of its ways, to the topic of
# this prefix and the way's name: see test/apicurio/ApicurioWriter.java.
sub write_apicurio
{
	my ($self, $kafka, $prefix) = @_;
	my $home = "$here/../../build/apicurio";
	my $err = '';

	IPC::Run::run([ 'java', '-Xmx256m', '-XX:+UseSerialGC',
			'-XX:TieredStopAtLevel=1', '-cp', "$home/libs/*:$home/classes",
			'ApicurioWriter', $kafka->address,
			'http://' . $self->address . '/apis/registry/v2', $prefix ],
		'<', \undef, '2>', \$err)
	  or croak "Apicurio's serializer could not write: $err";
	return;
}

# Register a schema for a subject; returns its id.
sub register
{
	my ($self, $subject, $schema, %more) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(
		[
			'curl', '-sf', '-X', 'POST', '-H',
			'Content-Type: application/vnd.schemaregistry.v1+json',
			'--data-binary', '@-', $self->url . "/subjects/$subject/versions"
		],
		'<', \$json->encode({ schema => $schema, %more }),
		'>', \$out, '2>', \$err)
	  or croak "could not register a schema: $err $out";
	return $json->decode($out)->{id};
}

END
{
	# The test's verdict is in $?; what we run here must not change it.
	local $?;
	system("$here/registry", 'kill', $_->{dir}) foreach @own;
}

1;
