# A wall clock that a test can set, for the PostgreSQL servers it starts: see
# test/clock/clock.c.
#
#	my $clock = KafkaEvents::Clock->new;
#	my $node = $clock->run(sub { KafkaEvents::Node->start_new('main') });
#	$clock->set(-7200);     for all processes of the server, from now on
#
# A server that is started again needs run again.
package KafkaEvents::Clock;

use strict;
use warnings;

use Carp;
use File::Basename qw(dirname);

use PostgreSQL::Test::Utils;

my $source = dirname(__FILE__) . '/../../clock/clock.c';

sub new
{
	my ($class) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('clock');

	system_or_bail('cc', '-shared', '-fPIC', '-O1', '-o', "$dir/clock.so",
		$source, '-ldl');
	append_to_file("$dir/ahead", pack('l!', 0));
	return bless { dir => $dir }, $class;
}

# Run something that starts a server.
sub run
{
	my ($self, $code) = @_;

	local $ENV{LD_PRELOAD} = "$self->{dir}/clock.so";
	local $ENV{KE_CLOCK} = "$self->{dir}/ahead";
	return $code->();
}

# So many seconds ahead of the real one.
sub set
{
	my ($self, $ahead) = @_;

	open my $file, '+<', "$self->{dir}/ahead" or croak "no clock: $!";
	syswrite $file, pack('l!', $ahead);
	close $file;
	return;
}

1;
