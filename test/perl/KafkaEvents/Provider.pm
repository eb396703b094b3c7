# An identity provider for tests, which gives tokens to Kafka's clients: see
# the head of test/oidc/provider.py.
#
#	my $provider = KafkaEvents::Provider->start(clients => { dora => 'map' });
#	my $kafka = KafkaEvents::Kafka->start_secure($provider);
#	... token_endpoint => $provider->url ...
#	$provider->set(lifetime => 60);
package KafkaEvents::Provider;

use strict;
use warnings;

use Carp;
use File::Basename qw(dirname);
use File::Spec;
use JSON::PP;
use Time::HiRes qw(usleep);

use PostgreSQL::Test::Utils;

my $script = File::Spec->rel2abs(dirname(__FILE__) . '/../../oidc/provider.py');
my $python =
  File::Spec->rel2abs(dirname(__FILE__) . '/../../../build/python/bin/python');
my $json = JSON::PP->new->utf8->canonical;
my @pids;

sub start
{
	my ($class, %settings) = @_;
	my $self = bless {
		dir => PostgreSQL::Test::Utils::tempdir('provider'),
		settings => {
			issuer => 'https://login.example.com',
			audience => 'kafka',
			lifetime => 3600,
			%settings
		}
	}, $class;

	$self->set;
	$self->_launch('address');
	return $self;
}

# Listen with TLS as well: files of a certificate and its key.
sub start_tls
{
	my ($self, $certificate, $key) = @_;

	return $self->_launch('https', $certificate, $key);
}

sub _launch
{
	my ($self, $name, @arguments) = @_;
	my $pid = fork();

	croak 'could not fork' unless defined $pid;
	if ($pid == 0)
	{
		open STDOUT, '>>', "$self->{dir}/log" or die;
		open STDERR, '>&', \*STDOUT or die;
		exec $python, $script, $self->{dir}, @arguments or die;
	}
	push @pids, $pid;
	foreach (1 .. 600)
	{
		return $self if -f "$self->{dir}/$name";
		usleep(100_000);
	}
	croak 'no identity provider: ' . slurp_file("$self->{dir}/log");
}

# Change settings of it.
sub set
{
	my ($self, %settings) = @_;
	my $file = "$self->{dir}/settings.json";

	%{ $self->{settings} } = (%{ $self->{settings} }, %settings);
	append_to_file("$file.new", $json->encode($self->{settings}));
	rename "$file.new", $file or croak "could not write $file: $!";
	return;
}

sub setting { return $_[0]->{settings}{ $_[1] } }

# The file of the keys that vouch for its tokens.
sub keys_file { return "$_[0]->{dir}/jwks.json" }

sub url
{
	my ($self, $name) = @_;
	my $address = slurp_file("$self->{dir}/" . ($name || 'address'));

	chomp $address;
	return ($name || 'http') . "://$address/token";
}

# The status of each request so far.
sub requests
{
	my ($self) = @_;
	my $file = "$self->{dir}/requests";

	return -f $file ? map { (split)[2] } split /\n/, slurp_file($file) : ();
}

# Until there were so many.
sub wait_for_requests
{
	my ($self, $count) = @_;

	foreach (1 .. 1800)
	{
		return if $self->requests >= $count;
		usleep(100_000);
	}
	croak "fewer than $count requests for tokens";
}

END
{
	# The test's verdict is in $?; what we do here must not change it.
	local $?;
	foreach my $pid (@pids)
	{
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
}

1;
