# Did anything stand still in silence?  What test/storm/watch has written during
# a storm is compared with when producers' messages had arrived.
#
# A thing is a partition, the retries of a topic that are overdue, or the
# outbox.  It stands still while it has something to do and nothing of it
# changes; after PATIENCE seconds of that somebody has to say why, and on it
# has to be said in each second.  Seconds in which PostgreSQL did not answer
# are nobody's: from its return on it has PATIENCE seconds again.
#
# A partition whose consumer works on its others waits for its turn: what is
# fetched is taken one after the other, and on a machine that is busy a backlog
# takes its time.  It has QUEUE_PATIENCE seconds for that.
package KafkaEvents::StormWatch;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT_OK = qw(silences);

# A thing has that long until somebody has to say what keeps it.
our $PATIENCE = 15;
our $QUEUE_PATIENCE = 60;

# What was said about health counts for seconds so near to it.
my $NEAR = 3;

# Samples of a watcher: hashes with begin, end, ok, and rows, references to
# lists.
sub _samples
{
	my ($text) = @_;
	my @samples;
	my $sample;

	foreach my $line (split /\n/, $text)
	{
		if ($line =~ /^begin ([\d.]+)$/)
		{
			$sample = { begin => $1, rows => [] };
		}
		elsif ($line =~ /^end ([\d.]+) (\d+)$/)
		{
			@$sample{qw(end ok)} = ($1, $2 == 0);
			push @samples, $sample;
		}
		else
		{
			push @{ $sample->{rows} }, [ split /\|/, $line, -1 ];
		}
	}
	return @samples;
}

# The things of a sample: name => [state, since when it has had something to do
# or undef].  The latter is asked of arrivals, by partition.
sub _things
{
	my ($sample, $arrivals) = @_;
	my %things;

	foreach my $row (@{ $sample->{rows} })
	{
		my ($kind, @fields) = @$row;

		if ($kind eq 'position' && $arrivals->{"$fields[0]/$fields[1]"})
		{
			$things{"partition $fields[1] of $fields[0]"} =
			  [ $fields[2], _first_at($arrivals->{"$fields[0]/$fields[1]"}, $fields[2]) ];
		}
		elsif ($kind eq 'overdue')
		{
			$things{"retries of $fields[0]"} = [ $fields[1], 0 ];
		}
		elsif ($kind eq 'outbox')
		{
			$things{outbox} = [ $fields[1], $fields[0] > 0 ? 0 : undef ];
		}
	}
	return \%things;
}

# When the first message at an offset or behind it had arrived.
sub _first_at
{
	my ($list, $offset) = @_;
	my ($low, $high) = (0, scalar @$list);

	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);

		if ($list->[$middle]->[0] < $offset) { $low = $middle + 1 }
		else { $high = $middle }
	}
	return $low < @$list ? $list->[$low]->[1] : undef;
}

# Partitions (as _things names them) by the consumer that has them.
sub _owners
{
	my ($sample) = @_;

	return map { ("partition $_->[3] of $_->[2]" => $_->[4]) }
	  grep { $_->[0] eq 'lag' && $_->[1] eq 'main' && $_->[4] ne '' } @{ $sample->{rows} };
}

# What the views of a sample say about a thing.
sub _view_reason
{
	my ($sample, $thing) = @_;
	my ($partition, $topic) = $thing =~ /^partition (\d+) of (.*)/;
	my @reasons;

	($topic) = $thing =~ /^retries of (.*)/ unless $topic;
	foreach my $row (@{ $sample->{rows} })
	{
		my ($kind, @fields) = @$row;

		push @reasons, "$fields[1] $fields[2]"
		  if $kind eq 'subscription' && defined $topic && $fields[0] eq $topic
		  && ($fields[1] ne 'active' || $fields[2] ne '');
		push @reasons, $fields[5]
		  if $kind eq 'lag' && defined $topic && $fields[1] eq $topic && $fields[5] ne ''
		  && ($fields[2] eq '' || !defined $partition || $fields[2] eq $partition);
		push @reasons, $fields[3] if $kind eq 'outbox' && $thing eq 'outbox' && $fields[3] ne '';
	}
	return join '; ', @reasons;
}

# What kafka_health said around a moment, or was unable to say.
sub _health_reason
{
	my ($health, $at) = @_;

	foreach my $sample (@$health)
	{
		next if $sample->{end} < $at - $NEAR || $sample->{begin} > $at + $NEAR;
		return 'no answer' if !$sample->{ok};
		foreach my $row (@{ $sample->{rows} })
		{
			return $row->[5] if $row->[0] eq 'health' && $row->[1] ne 'up';
		}
	}
	return '';
}

# Lists of what stood still in silence: [in no view and not in health], [in a
# view only].  arrivals is, by "topic/partition", a list of [offset, time] in
# order.
sub silences
{
	my ($views, $health, $arrivals, $began) = @_;
	my @health = _samples($health);
	my (%since, %state, %worked, %silent, %quiet);
	my ($still, $seconds) = (0, 0);

	foreach my $sample (_samples($views))
	{
		my $at = $sample->{begin};

		if (!$sample->{ok})
		{
			%state = ();
			next;
		}
		$seconds++;
		my $things = _things($sample, $arrivals);
		my %owner = _owners($sample);

		delete @state{ grep { !$things->{$_} } keys %state };
		foreach my $name (grep { $owner{$_} && defined $state{$_} } keys %$things)
		{
			$worked{ $owner{$name} } = $at if $state{$name} ne $things->{$name}->[0];
		}
		foreach my $name (sort keys %$things)
		{
			my ($now, $todo) = @{ $things->{$name} };

			$since{$name} = $at if !defined $state{$name} || $state{$name} ne $now || !defined $todo;
			$state{$name} = $now;
			next unless defined $todo;
			my $from = $todo > $since{$name} ? $todo : $since{$name};
			my $busy = $owner{$name} && $at - ($worked{ $owner{$name} } // 0) < $PATIENCE;
			next if $at - $from < ($busy ? $QUEUE_PATIENCE : $PATIENCE);
			$still++;
			next if _health_reason(\@health, $at) ne '';
			my $list = _view_reason($sample, $name) eq '' ? \%silent : \%quiet;
			push @{ $list->{$name} }, sprintf '%.0f', $at - $began;
			$list->{"$name: why"} = [ _view_reason($sample, $name) ];
		}
	}
	note "in $seconds seconds that were looked at, something stood still $still times for more than $PATIENCE s";
	return (_ranges(\%silent), _ranges(\%quiet));
}

sub _ranges
{
	my ($list) = @_;

	return [ map {
			my $why = $list->{"$_: why"}->[0];

			"$_ from $list->{$_}->[0] to $list->{$_}->[-1] s" . ($why ne '' ? " ($why)" : '')
		} grep { !/: why$/ } sort keys %$list ];
}

1;
