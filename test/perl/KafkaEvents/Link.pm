# A link between a broker and whoever connects to its port, which can be made
# as bad as real ones are.  A process of its own passes the bytes on.
#
#	my $link = KafkaEvents::Link->new;
#	$link->start('127.0.0.1:9092');
#	$link->set(delay => 0.5);       each way, in seconds
#	$link->set(rate => 20_000);     bytes per second and direction
#	$link->set(reset => 2);         connections live so many seconds
#	$link->set(silent => 1);        nothing passes, nothing is closed
#	$link->set;                     as good as new
#	$link->stop;                    nobody listens any more
#
# What a call does not name is as good as new.
package KafkaEvents::Link;

use strict;
use warnings;

use Carp;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);
use POSIX ();
use Time::HiRes qw(time);

my %links;

sub new
{
	my ($class) = @_;
	my $listener;

	# not one of the ports that outgoing connections get
	foreach (1 .. 1000)
	{
		$listener = IO::Socket::INET->new(
			LocalAddr => '127.0.0.1',
			LocalPort => 10000 + int(rand(22000)),
			Listen => 64);
		last if $listener;
	}
	croak 'no free port' unless $listener;
	return bless { listener => $listener, port => $listener->sockport },
	  $class;
}

sub port { return $_[0]->{port} }

sub start
{
	my ($self, $target) = @_;

	pipe(my $reader, my $writer) or croak "pipe: $!";
	my $pid = fork;
	croak "fork: $!" unless defined $pid;
	if (!$pid)
	{
		close $writer;
		$self->{target} = $target;
		$self->{reader} = $reader;
		eval { $self->_pass };
		warn $@ if $@;
		POSIX::_exit(0);
	}
	close $reader;
	close $self->{listener};
	$writer->autoflush(1);
	$self->{writer} = $writer;
	$self->{pid} = $pid;
	$links{$pid} = 1;
	return;
}

# From now on nobody listens at its port.
sub stop
{
	my ($self) = @_;

	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	delete $links{ $self->{pid} };
	return;
}

sub set
{
	my ($self, %state) = @_;

	print { $self->{writer} } join(' ', %state), "\n";
	return;
}

# The process ends when nobody can tell it anything any more.
sub _pass
{
	my ($self) = @_;

	$self->{select} = IO::Select->new($self->{listener}, $self->{reader});
	$self->{state} = {};
	while (1)
	{
		foreach my $ready ($self->{select}->can_read($self->_wait))
		{
			if ($ready == $self->{reader})
			{
				my $line = readline($ready);

				return unless defined $line;
				$self->{state} = { split ' ', $line };
			}
			elsif ($ready == $self->{listener}) { $self->_connect }
			else { $self->_read($ready) }
		}
		$self->_deliver;
	}
	return;
}

# Until something has to be passed on, or to be looked at.
sub _wait
{
	my ($self) = @_;
	my $wait = 1;

	return 1 if $self->{state}{silent};
	foreach my $end (values %{ $self->{ends} })
	{
		next unless @{ $end->{queue} };
		my $left = $end->{queue}[0][0] - time;
		$wait = $left if $left < $wait;
	}
	return $wait > 0.001 ? $wait : 0.001;
}

sub _connect
{
	my ($self) = @_;
	my $client = $self->{listener}->accept or return;
	my $server = IO::Socket::INET->new($self->{target});

	if (!$server) { close $client; return; }
	foreach my $pair ([ $client, $server ], [ $server, $client ])
	{
		my ($from, $to) = @$pair;

		$self->{ends}{$from} = {
			from => $from,
			to => $to,
			queue => [],
			made_at => time,
			free_at => time
		};
		$self->{select}->add($from);
	}
	return;
}

# What has come is passed on after the delay, and no faster than the rate.
sub _read
{
	my ($self, $from) = @_;
	my $end = $self->{ends}{$from} or return;
	my $state = $self->{state};
	my $now = time;
	my $free_at = $end->{free_at} > $now ? $end->{free_at} : $now;
	my $chunk = $state->{rate} ? 2048 : 65536;
	my $count = sysread($from, my $data, $chunk);

	return if !defined $count && $!{EINTR};
	if (!$count)
	{
		push @{ $end->{queue} }, [ $free_at + ($state->{delay} || 0), undef ];
		$self->{select}->remove($from);
		return;
	}
	$free_at += $count / $state->{rate} if $state->{rate};
	$end->{free_at} = $free_at;
	push @{ $end->{queue} }, [ $free_at + ($state->{delay} || 0), $data ];

	# the sender has to wait, too
	$self->{select}->remove($from) if @{ $end->{queue} } > 32;
	return;
}

sub _deliver
{
	my ($self) = @_;
	my $state = $self->{state};

	return if $state->{silent};
	my @ends = values %{ $self->{ends} };

	foreach my $end (@ends)
	{
		my $queue = $end->{queue};

		next unless $self->{ends}{ $end->{from} };
		if ($state->{reset} && time - $end->{made_at} > $state->{reset})
		{
			$self->_close($end, 1);
			next;
		}
		while (@$queue && $queue->[0][0] <= time)
		{
			my $data = (shift @$queue)->[1];

			if (!defined $data || !_write($end->{to}, $data))
			{
				$self->_close($end, 0);
				last;
			}
			$self->{select}->add($end->{from}) if @$queue == 16;
		}
	}
	return;
}

sub _write
{
	my ($to, $data) = @_;

	local $SIG{PIPE} = 'IGNORE';
	while (length $data)
	{
		my $count = syswrite($to, $data);

		return 0 unless defined $count || $!{EINTR};
		substr($data, 0, $count // 0) = '';
	}
	return 1;
}

sub _close
{
	my ($self, $end, $reset) = @_;

	foreach my $sock ($end->{from}, $end->{to})
	{
		setsockopt($sock, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $reset;
		$self->{select}->remove($sock);
		delete $self->{ends}{$sock};
		close $sock;
	}
	return;
}

END
{
	local $?;
	foreach my $pid (keys %links)
	{
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
}

1;
