# What must be true after a storm (KafkaEvents::Storm): tests, one for each
# promise.  What Kafka has is read by an independent client that sees only what
# is committed there; what the database has, from tables without constraints.
#
# A message of a producer is a line: its end is an effect, or a skip, or a dead
# letter that goes on where it is sent back.  What is sent back carries the
# letter's x-copy-id.
package KafkaEvents::StormLedger;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT_OK = qw(effects_ok letters_ok events_ok order_ok);

sub _few
{
	my @all = @_;

	return join(', ', @all > 8 ? (@all[ 0 .. 7 ], '...') : @all);
}

# A test that a list of what is wrong is empty; what its members have to do
# with the storm is said.
sub _none
{
	my ($name, @wrong) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(_few(@wrong), '', $name);
}

sub _id
{
	my ($message) = @_;

	return $message->{value} =~ /"id":(\d+)/ ? $1 : die "no id in $message->{value}";
}

sub _is_skipped { return $_[0] % 50 == 21 }

# place => how many rows
sub _counts
{
	my ($node, $sql) = @_;

	return map { split /=/ } split /\n/, $node->ask($sql);
}

# Each message has its effect once, however long its way was; effects and rows
# belong together; nothing that was acknowledged is lost.
sub effects_ok
{
	my ($storm, $topic, $source) = @_;
	my $node = $storm->node;
	my (%written, %back);

	$_->{header}->{'x-copy-id'} ? $back{ _id($_) }++ : $written{ _id($_) }++ foreach @$source;
	my %effects = _counts($node, "SELECT id || '=' || count(*) FROM effects WHERE topic = '$topic' GROUP BY id");
	my %places = _counts($node,
		"SELECT part || '/' || off || '=' || count(*) FROM effects WHERE topic = '$topic' GROUP BY part, off");

	_none("$topic: no message has two effects", grep { $places{$_} > 1 } sort keys %places);
	_none("$topic: nothing is lost", grep { !_is_skipped($_) && ($effects{$_} // 0) < $written{$_} } sort keys %written);
	_none("$topic: nothing is doubled",
		grep { _is_skipped($_) ? $effects{$_} : ($effects{$_} // 0) > $written{$_} } sort keys %written);
	_none("$topic: nothing that was acknowledged is missing in Kafka",
		grep { !$written{$_} } map { $_->{id} } $storm->kafka->read_journal($storm->journal($topic)));
	return if $topic ne 'plain';
	is( $node->ask(q{
			SELECT count(*) FROM (SELECT id::bigint, kafka_partition, kafka_offset FROM rows) r
			  FULL JOIN (SELECT id, part, off FROM effects WHERE topic = 'plain') e
				ON (r.id, kafka_partition, kafka_offset) = (e.id, part, off)
			 WHERE r.id IS NULL OR e.id IS NULL}),
		'0', "$topic: rows and effects are the same");
	is($node->ask('SELECT count(*) = count(DISTINCT (kafka_partition, kafka_offset)) FROM rows'), 't',
		"$topic: no row is there twice");
	return;
}

# Each record of the source has one end; each dead letter was sent back once.
sub letters_ok
{
	my ($storm, $topic, $source, $dead, $retries) = @_;
	my (%letters, %on_wire, %sent, %retried, %ended, %seen);
	my %effects = _counts($storm->node,
		"SELECT part || '/' || off || '=' || count(*) FROM effects WHERE topic = '$topic' GROUP BY part, off");

	foreach my $letter (@$dead)
	{
		my %header = @{ $letter->{headers} };
		my $place = "$header{'x-original-partition'}/$header{'x-original-offset'}";

		$letters{$place}->{ $header{'x-copy-id'} } = 1;
		$on_wire{ $header{'x-copy-id'} }++;
	}
	foreach my $copy (@$retries)
	{
		my %header = @{ $copy->{headers} };

		next unless $on_wire{ $header{'x-copy-id'} };
		$retried{ $header{'x-copy-id'} } = 1;
		$sent{ $header{'x-copy-id'} }++;
	}
	foreach my $message (@$source)
	{
		my $place = "$message->{partition}/$message->{offset}";
		my $id = $message->{header}->{'x-copy-id'};

		$sent{$id}++ if $id;
		my $ends = ($effects{$place} // 0) +
		  grep { !$retried{$_} } keys %{ $letters{$place} || {} };
		# a letter that a crash had published twice is sent back twice: one of
		# the two is dropped
		$seen{ $id || $place } += $ends;
		$ended{ $id || $place } = _is_skipped(_id($message)) ? 'may be none' : 'one';
	}
	_none("$topic: each record's end is explained, and there is one",
		map { "$_ has $seen{$_}" } grep { $seen{$_} != 1 && !($seen{$_} == 0 && $ended{$_} ne 'one') } sort keys %seen);
	_none("$topic: each dead letter was sent back, once",
		map { sprintf '%s %d of %d times', $_, $sent{$_} // 0, $on_wire{$_} }
		  grep { ($sent{$_} // 0) != $on_wire{$_} } sort keys %on_wire);
	note sprintf '%s: %d records, %d of them sent back, %d dead letters (%d twice), %d retried from there',
	  $topic, scalar @$source, scalar(grep { $_->{header}->{'x-copy-id'} } @$source),
	  scalar keys %on_wire, scalar(grep { $_ > 1 } values %on_wire), scalar keys %retried;
	return;
}

# Each effect and each committed transaction has its events, once; what a crash
# published twice has the same x-message-id.
sub events_ok
{
	my ($storm, $events) = @_;
	my (%ids, %wanted);
	my $twice = 0;

	foreach my $event (@$events)
	{
		$twice++ if $ids{ $event->{value} }->{ $event->{header}->{'x-message-id'} }++;
	}
	$wanted{$_}++ foreach split /\n/, $storm->node->ask(q{
		SELECT concat_ws(' ', topic, part, off) FROM effects UNION ALL SELECT 'app ' || serial FROM produced});
	_none('each event that was committed is published',
		grep { !$ids{$_} } sort keys %wanted);
	_none('... and none that was rolled back', grep { !$wanted{$_} } sort keys %ids);
	_none('... each once, but for those that carry the same x-message-id',
		grep { keys %{ $ids{$_} } != ($wanted{$_} // 1) } sort keys %ids);
	note sprintf '%d events, %d of them twice', scalar keys %ids, $twice;
	return;
}

# In the order of the partition, and of the key, where that was asked for.
sub order_ok
{
	my ($storm, $topic, $by) = @_;

	is( $storm->node->ask(qq{
			SELECT count(*) FROM (
				SELECT off, lag(off) OVER (PARTITION BY $by ORDER BY arrival) AS before
				  FROM effects WHERE topic = '$topic') AS o
			 WHERE before >= off}),
		'0', "$topic: in order by $by");
	return;
}

1;
