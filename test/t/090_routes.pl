# What happens to messages that fail, seen from outside: 10 000 events of
# which some fail once, some always and some are never valid.  The good ones
# have their effect once, the others are dead letters, once, with all that
# they were and exactly the headers that say why.

use strict;
use warnings;

use IPC::Run;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $count = 10_000;
my $max_retries = 2;

my $kafka = KafkaEvents::Kafka->shared;
my $topic = $kafka->create_topic($kafka->unique('events'), partitions => 4);
my $node = KafkaEvents::Node->start_new('main');
# KafkaJS reads no lz4
my $service = $node->create_service($kafka, 'shop', compression => 'gzip');

sub fails_once { return $_[0] % 20 == 7 }
sub fails_always { return $_[0] % 100 == 33 }
sub is_invalid { return $_[0] % 200 == 111 }
sub is_bad { return fails_always($_[0]) || is_invalid($_[0]) }

# ---- the events: binary keys and headers, repeats, empty values ----

my @events;
foreach my $n (0 .. $count - 1)
{
	my $binary = encode_base64(pack('N C*', $n, 0 .. 31, 0xff, 0xfe), '');

	push @events,
	  {
		key => $n % 3 ? "k$n" : { base64 => $binary },
		value => is_invalid($n) ? "{broken $n" : qq({"n": $n, "text": "\\u00fc"}),
		partition => $n % 4,
		headers => {
			n => "$n",
			binary => { base64 => $binary },
			traceparent => sprintf('00-%032x-%016x-01', $n + 1, $n + 1),
			tracestate => "vendor=$n",
			repeated => [ 'one', 'two', 'one' ],
			empty => '',
			'x-foreign' => 'kept',
			$n % 2 ? ('x-message-id' => "id-$n") : ()
		}
	  };
}
$kafka->produce_messages($topic, @events);

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE effects (n bigint, attempt int, coordinates text);
	CREATE FUNCTION on_event(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE
		it kafka_message := kafka_current_message();
		n bigint := m ->> 'n';
	BEGIN
		IF n % 20 = 7 AND it.attempt = 0 OR n % 100 = 33 THEN
			RAISE EXCEPTION 'event % fails', n USING ERRCODE = 'P0001';
		END IF;
		INSERT INTO effects VALUES (n, it.attempt, concat_ws('/', it.topic, it.partition, it."offset",
			(extract(epoch FROM it."timestamp") * 1000)::bigint));
	END \$\$;
	SELECT kafka_subscribe('$topic', handler => 'on_event', max_retries => $max_retries,
		initial_delay => '300 ms', max_delay => '1 s')});

my $bad = grep { is_bad($_) } 0 .. $count - 1;
my $once = grep { fails_once($_) } 0 .. $count - 1;
my $always = grep { fails_always($_) } 0 .. $count - 1;

$node->wait_for('SELECT count(*) FROM effects', $count - $bad, 'all good effects');
$node->wait_for(
	"SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'",
	$bad, 'all dead letters');
$node->wait_for('SELECT pending_total FROM kafka_outbox_status', 0,
	'everything to be published');

# ---- effects ----

is( $node->safe_psql('postgres', q{
		SELECT count(*), count(DISTINCT n), count(*) FILTER (WHERE attempt = 1), max(attempt)
		  FROM effects}),
	join('|', $count - $bad, $count - $bad, $once, 1),
	'every good event has its effect, once');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM effects WHERE n % 100 = 33 OR n % 200 = 111 OR (attempt = 1) <> (n % 20 = 7)}),
	0, 'no bad one has, and those that failed once were retried');
$node->becomes(qq{
	SELECT received_total, succeeded_total, retried_total, dead_lettered_total, skipped_total, failed_total
	  FROM kafka_metrics WHERE topic = '$topic'},
	join('|',
		$count + $once + $max_retries * $always, $count - $bad,
		$once + $max_retries * $always, $bad, 0, 0),
	'everything is counted');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kafka_retries'),
	0, 'nothing waits any more');

# ---- copies, read by KafkaJS ----

my %source = map { header($_, 'n') => $_ } $kafka->consume_bytes($topic);
is(scalar keys %source, $count, 'the source as KafkaJS has it');
my @coordinates = split /\n/, $node->safe_psql('postgres',
	'SELECT n, coordinates FROM effects WHERE attempt = 1');
is_deeply(
	[
		map {
			my ($n, $where) = split /\|/;
			my $it = $source{$n};
			my $expected = "$topic/$it->{partition}/$it->{offset}/$it->{timestamp}";
			$where eq $expected ? () : "$where is not $expected"
		} @coordinates
	],
	[],
	'a handler sees where a retried event came from');

my @own = qw(n binary traceparent tracestate repeated repeated repeated empty x-foreign);
my @common = qw(x-copy-history x-copy-id x-message-id x-original-offset x-original-partition
  x-original-timestamp x-original-timestamp-type x-original-topic x-service);
my @of_retry = qw(x-retry-at x-retry-attempt x-retry-delay);
my @of_dead = qw(x-dlq-handler x-dlq-reason x-dlq-sqlstate x-dlq-timestamp x-retry-attempts);

sub header
{
	my ($message, $name) = @_;
	my ($found) = grep { $_->[0] eq $name } @{ $message->{headers} };

	return defined $found ? $found->[1] : undef;
}

sub own_headers
{
	my ($message) = @_;

	return join ',', map { "$_->[0]=" . encode_base64($_->[1], '') }
	  sort { $a->[0] cmp $b->[0] }
	  grep { $_->[0] !~ /^x-/ || $_->[0] eq 'x-foreign' } @{ $message->{headers} };
}

# What is wrong with a copy, or nothing.
sub fault
{
	my ($copy, @ours) = @_;
	my $n = header($copy, 'n');
	my $source = $source{$n};
	my $names = join ' ', sort map { $_->[0] } @{ $copy->{headers} };
	my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
	my %expected = (
		'x-original-topic' => $topic,
		'x-original-partition' => $source->{partition},
		'x-original-offset' => $source->{offset},
		'x-original-timestamp' => $source->{timestamp},
		'x-original-timestamp-type' => 'CreateTime',
		'x-message-id' => $n % 2 ? "id-$n" : "$topic-$source->{partition}-$source->{offset}",
		'x-service' => $service);

	return "headers $names" if $names ne join ' ', sort @own, @common, @ours;
	return 'key' if $copy->{key} ne $source->{key};
	return 'value' if $copy->{value} ne $source->{value};
	return 'partition' if $copy->{partition} != $source->{partition};
	return 'own headers' if own_headers($copy) ne own_headers($source);
	return 'timestamp' if $copy->{timestamp} <= $source->{timestamp};
	foreach my $name (keys %expected)
	{
		return "$name: " . header($copy, $name)
		  if header($copy, $name) ne $expected{$name};
	}
	foreach my $name (qw(x-retry-at x-dlq-timestamp))
	{
		return $name
		  if defined header($copy, $name) && header($copy, $name) !~ $time;
	}
	return;
}

my @dead = $kafka->consume_bytes("$topic.dlq");
my %dead = map { header($_, 'n') => $_ } @dead;
my @dead_numbers = sort { $a <=> $b } map { header($_, 'n') } @dead;
is_deeply(\@dead_numbers, [ grep { is_bad($_) } 0 .. $count - 1 ],
	'the dead letters are the bad events, once each');
is_deeply([ map { fault($_, @of_dead) } @dead ],
	[], 'they are what they were, with the headers of dead letters');
is_deeply(
	[
		map {
			my $n = header($_, 'n');
			my $why = join ' ', map { header($dead{$n}, $_) }
			  qw(x-retry-attempts x-dlq-sqlstate x-dlq-handler x-dlq-reason);
			my $expected = is_invalid($n) ?
			  qr/^0 22P02 public.on_event\(jsonb\) message value is not valid JSON$/ :
			  qr/^$max_retries P0001 public.on_event\(jsonb\) event $n fails$/;
			$why =~ $expected ? () : $why
		} @dead
	],
	[],
	'which say why, and after how many retries');

my @retries = $kafka->consume_bytes("$topic.retry");
my %attempts;
$attempts{ header($_, 'n') } .= header($_, 'x-retry-attempt') foreach @retries;
is(scalar @retries, $once + $max_retries * $always, 'so many retry copies');
is_deeply([ map { fault($_, @of_retry) } @retries ],
	[], 'they are what they were, with the headers of retry copies');
is_deeply(
	[ grep { $attempts{$_} ne (fails_always($_) ? '12' : '1') } keys %attempts ],
	[], 'numbered from 1');
is_deeply(
	[
		grep {
			my $base = header($_, 'x-retry-attempt') == 1 ? 300 : 600;
			my $delay = header($_, 'x-retry-delay');
			$delay < $base || $delay > 1.1 * $base
		} @retries
	],
	[],
	'with the delays of the strategy');
my %copy_ids = map { header($_, 'x-copy-id') => 1 } @dead, @retries;
is(scalar keys %copy_ids, @dead + @retries, 'every copy has an identifier of its own');

# ---- and by kcat, which keeps the order of headers ----

my $out;
IPC::Run::run([ 'kcat', '-C', '-b', $kafka->address, '-t', "$topic.dlq", '-o',
		'beginning', '-e', '-q', '-f', '%h,end of message' ],
	'<', \undef, '>', \$out) or die 'kcat failed';
my @by_kcat = split /,end of message/, $out;
is(scalar @by_kcat, $bad, 'kcat reads as many dead letters');
is( scalar(
		grep {
			!/^binary=.*,empty=,n=\d+,repeated=one,repeated=two,repeated=one,traceparent=[^,]+,tracestate=[^,]+,x-foreign=kept,x-message-id=[^,]+,x-original/s
		} @by_kcat),
	0,
	'the headers an event had come first, in their order');

unlike(slurp_file($node->logfile), qr/event \d+ fails/, 'no text of a handler in the log');
$node->stays_up_ok;
$node->stop;

done_testing();
