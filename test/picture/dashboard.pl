# The picture of the dashboard in README.md:
#
#	PICTURE=/tmp/dashboard.svg PG_CONFIG=... test/tap test/picture/dashboard.pl
#
# A run of some minutes with things that happen: orders go into a table,
# payments to a function that fails now and then, and refuses some for good; a
# burst of orders, a worker that is killed, a topic that is paused.  A real
# Prometheus scrapes it; each panel of monitoring/grafana.json then gets what
# its own expressions answer.  Only the drawing is ours, not Grafana's.

use strict;
use warnings;

use JSON::PP;
use List::Util qw(max min);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

use KafkaEvents::Monitoring;
use KafkaEvents::Test;

my $minutes = $ENV{MINUTES} || 5;
my $picture = $ENV{PICTURE} || plan(skip_all => 'PICTURE names no file');

# ---- the run

my $kafka = KafkaEvents::Kafka->start_own;
my $node = KafkaEvents::Node->start_new('main');
my $monitoring = KafkaEvents::Monitoring->new($node);

$kafka->create_topic('orders', partitions => 4);
$kafka->create_topic('payments', partitions => 2);
$kafka->create_topic('receipts');
$node->create_service($kafka, 'shop', workers => 2);
$node->safe_psql('postgres', q{
	CREATE TABLE orders (id bigint, key text, seq bigint);
	CREATE FUNCTION on_payment(m kafka_message) RETURNS void LANGUAGE plpgsql AS
	$$
	BEGIN
		IF m."offset" % 40 = 7 AND m.attempt = 0 THEN
			RAISE EXCEPTION 'the bank does not answer';
		ELSIF m."offset" % 900 = 500 THEN
			PERFORM kafka_reject('no such account');
		END IF;
		PERFORM kafka_produce('receipts', m.key || ' paid');
	END
	$$;
	SELECT kafka_subscribe('orders', into_table => 'orders');
	SELECT kafka_subscribe('payments', handler => 'on_payment', initial_delay => '2 s')});
$monitoring->start_exporter('sql_exporter');
$monitoring->start_prometheus;

my @producers = map {
	$kafka->start_producer($_->[0], count => 10_000_000, rate => $_->[1], batch => 20)
} (['orders', 300], ['payments', 60]);

$node->wait_for('SELECT count(*) > 1000 FROM orders', 't', 'orders');
sleep(0.5) until $monitoring->ask('kafka_events_received_messages_total > 0');
my $from = time();

# When what happens, as parts of the run.
my @story = (
	[ 0.2, sub { $kafka->produce_events('orders', count => 30_000) } ],
	[ 0.45, sub { $node->kill_worker('shop') } ],
	[ 0.65, sub { $node->safe_psql('postgres', q{SELECT kafka_consumer_pause('payments')}) } ],
	[ 0.75, sub { $node->safe_psql('postgres', q{SELECT kafka_consumer_resume('payments')}) } ],
	[ 1, sub { } ]);

foreach my $step (@story)
{
	sleep(0.2) until time() >= $from + $step->[0] * $minutes * 60;
	$step->[1]->();
}
my $to = time();

# ---- the drawing

my @colours = map { "#$_" } qw(56a64b f2cc0c 3274d9 ff780a e02f44 a352cc);
my ($column, $row, $top) = (50, 30, 8);
my @svg;

sub text
{
	my ($x, $y, $text, %style) = @_;

	$text =~ s/&/&amp;/g;
	$text =~ s/</&lt;/g;
	push @svg, sprintf '<text x="%.1f" y="%.1f"%s>%s</text>', $x, $y,
	  join('', map { qq( $_="$style{$_}") } sort keys %style), $text;
	return;
}

# 1200 as 1.2 k, 0.25 of a second as 250 ms.
sub figure
{
	my ($value, $unit) = @_;
	my %of = (ops => '/s', percentunit => ' %', s => ' s', short => '');

	$value *= 100 if $unit eq 'percentunit';
	($value, $of{s}) = ($value * 1000, ' ms') if $unit eq 's' && $value < 1;
	my $k = $value >= 1000 ? ' k' : '';
	$value /= 1000 if $k;
	return sprintf('%.3g', $value) . $k . $of{$unit};
}

sub answers
{
	my ($target) = @_;

	return $monitoring->range(
		KafkaEvents::Monitoring::expression($target->{expr}, '15s'),
		int($from), int($to), 2);
}

sub draw_stat
{
	my ($panel, $x, $y, $width, $height) = @_;
	my ($answer) = answers($panel->{targets}->[0]);
	my $value = $answer ? $answer->{values}->[-1]->[1] : 0;
	my $steps = $panel->{fieldConfig}->{defaults}->{thresholds}->{steps};
	my ($colour) = map { $_->{color} }
	  grep { !defined $_->{value} || $value >= $_->{value} } reverse @$steps;

	text($x + $width / 2, $y + $height / 2 + 28, sprintf('%g', $value),
		'font-size' => 40, 'text-anchor' => 'middle',
		fill => { green => '#56a64b', red => '#e02f44', orange => '#ff780a' }->{$colour});
	return;
}

sub draw_lines
{
	my ($panel, $x, $y, $width, $height) = @_;
	my $unit = $panel->{fieldConfig}->{defaults}->{unit};
	my @lines;

	foreach my $target (@{ $panel->{targets} })
	{
		foreach my $answer (answers($target))
		{
			my $name = $target->{legendFormat};

			$name =~ s/\{\{(\w+)\}\}/$answer->{labels}->{$1} || ''/ge;
			push @lines, { name => $name, values =>
				[ grep { $_->[1] =~ /^[\d.e+-]+$/ } @{ $answer->{values} } ] };
		}
	}
	my $most = max(map { $_->[1] } map { @{ $_->{values} } } @lines) || 1;
	my ($left, $above, $wide, $high) =
	  ($x + 62, $y + 34, $width - 76, $height - 88);

	foreach my $part (0, 0.5, 1)
	{
		my $at = $above + $high * (1 - $part);

		push @svg, sprintf '<path d="M%.1f %.1fh%.1f" stroke="#e4e7eb"/>',
		  $left, $at, $wide;
		text($left - 6, $at + 4, figure($most * $part, $unit), 'text-anchor' => 'end');
	}
	foreach my $minute (0 .. $minutes)
	{
		text($left + $wide * $minute / $minutes, $above + $high + 16, "$minute min",
			'text-anchor' => $minute == $minutes ? 'end' : 'middle');
	}
	my $legend = $left;

	foreach my $number (0 .. $#lines)
	{
		my $colour = $colours[ $number % @colours ];
		my $pen = 'M';
		my $last;
		my $path = '';

		foreach my $point (@{ $lines[$number]->{values} })
		{
			# where samples are missing the line is, too
			$pen = 'M' if defined $last && $point->[0] - $last > 10;
			$path .= sprintf '%s%.1f %.1f', $pen,
			  $left + $wide * ($point->[0] - int($from)) / (int($to) - int($from)),
			  $above + $high * (1 - $point->[1] / $most);
			($pen, $last) = ('L', $point->[0]);
		}
		push @svg, qq(<path d="$path" fill="none" stroke="$colour" stroke-width="1.5"/>);
		push @svg, sprintf '<rect x="%.1f" y="%.1f" width="12" height="4" fill="%s"/>',
		  $legend, $y + $height - 20, $colour;
		text($legend + 17, $y + $height - 14, $lines[$number]->{name});
		$legend += 34 + 6.3 * length $lines[$number]->{name};
	}
	ok(scalar(grep { @{ $_->{values} } } @lines), "$panel->{title}: something to draw");
	return;
}

my $bottom = 0;

foreach my $panel (@{ decode_json(KafkaEvents::Monitoring::file('grafana.json'))->{panels} })
{
	my $place = $panel->{gridPos};
	my ($x, $y, $width, $height) = (
		$place->{x} * $column + 4, $place->{y} * $row + $top,
		$place->{w} * $column - 8, $place->{h} * $row - 8);

	$bottom = max($bottom, $y + $height);
	if ($panel->{type} eq 'row')
	{
		text($x + 2, $y + 17, $panel->{title}, 'font-size' => 15, 'font-weight' => 'bold');
		next;
	}
	push @svg, qq(<rect x="$x" y="$y" width="$width" height="$height" rx="3" fill="#fff" stroke="#d8dce2"/>);
	text($x + 10, $y + 20, $panel->{title},
		'font-size' => ($panel->{type} eq 'stat' ? 11.5 : 13), 'font-weight' => 600);
	($panel->{type} eq 'stat' ? \&draw_stat : \&draw_lines)->($panel, $x, $y, $width, $height);
}

my $size = sprintf '%d %d', 24 * $column, $bottom + 8;

open(my $file, '>', $picture) or die "$picture: $!";
print $file qq(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $size" font-family="sans-serif" font-size="11" fill="#24292e">\n),
  qq(<rect width="100%" height="100%" fill="#f4f5f7"/>\n),
  map({ "$_\n" } @svg), "</svg>\n";
close($file);

$_->signal('TERM') foreach @producers;
$_->finish foreach @producers;
done_testing();
