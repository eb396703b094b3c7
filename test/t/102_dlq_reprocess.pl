# Dead letters are sent again: each once, to where it came from, as it was
# but for the headers of its death; what cannot be sent stays pending, by
# name; and what is another service's is left alone.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $source = $kafka->create_topic($kafka->unique('orders'), partitions => 4);
my $dlq = $kafka->create_topic("$source.dlq", partitions => 2);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');

sub letter
{
	my ($n, %more) = @_;

	return {
		value => qq({"id": $n}),
		key => "key $n",
		partition => $n % 2,
		headers => {
			traceparent => "trace $n",
			'x-message-id' => "m$n",
			'x-original-topic' => $source,
			'x-original-partition' => '' . $n % 4,
			'x-original-offset' => "$n",
			'x-retry-attempts' => '3',
			'x-dlq-reason' => 'because',
			'x-dlq-sqlstate' => '22P02',
			'x-service' => $service
		},
		%more
	};
}

sub without
{
	my ($letter, @headers) = @_;

	delete $letter->{headers}->{$_} foreach @headers;
	return $letter;
}

sub pending
{
	my ($topic) = @_;

	return $node->safe_psql('postgres',
		"SELECT pending FROM kafka_dlq_stats('$topic')");
}

# total, successful and failed, and how many messages were told one by one
sub reprocess
{
	my ($arguments, $err) = @_;
	my $out;

	$node->psql(
		'postgres', qq{
		SELECT total, successful, failed, jsonb_array_length(messages)
		  FROM kafka_dlq_reprocess($arguments)},
		stdout => \$out,
		stderr => $err);
	return $out;
}

# 9 900 of ours, 50 of them without an original topic, and 100 of others
$kafka->produce_messages($dlq,
	map { letter($_) } 0 .. 4999);
$kafka->produce_messages($dlq,
	map { without(letter($_), 'x-original-topic') } 5000 .. 5049);
my @foreign = map { letter($_) } 5050 .. 5149;
$_->{headers}->{'x-service'} = 'somebody-else' foreach @foreign;
$kafka->produce_messages($dlq, @foreign);
$kafka->produce_messages($dlq, map { letter($_) } 5150 .. 9998);
$kafka->produce_messages($dlq, without(letter(9999), 'x-service'));
is($node->safe_psql('postgres', "SELECT * FROM kafka_dlq_stats('$source')"),
	"$dlq|$source|10000|10000|2|0|5000|0", 'all of them are counted');

my $err = '';
is(reprocess("'$source', 100", \$err), '100|100|0|100', 'the first 100');
like($err, qr/NOTICE:  every consumer group/, 'who reads them is said');
is(pending($dlq), 9900, 'the rest is pending');

my $start = time;
is(reprocess("'$dlq'"), '9800|9750|50|1050', 'and all others but the foreign');
note('took ' . (time - $start) . ' s');
is(pending($source), 50, 'those that failed are pending');
is( $node->safe_psql(
		'postgres', qq{
		SELECT count(*), min(original_partition), count(original_topic)
		  FROM kafka_dlq_messages('$source', 1000, pending_only => true)}),
	'50|0|0',
	'... and can be looked at');
is(reprocess("'$source'"), '50|0|50|50', '... and are tried again');
is( $node->safe_psql(
		'postgres', qq{
		SELECT DISTINCT message->>'status', message->>'error'
		  FROM kafka_dlq_reprocess('$source'), jsonb_array_elements(messages) message}),
	'failed|its header x-original-topic is missing or names no topic',
	'... which says why');

# what has arrived
my @arrived = $kafka->consume($source);
my %headers;
my %seen;
is(scalar @arrived, 9850, 'as many have arrived');
foreach my $message (@arrived)
{
	my ($n) = $message->{payload} =~ /(\d+)/;
	my %got = @{ $message->{headers} };
	my $letter = letter($n);
	my %expected = %{ $letter->{headers} };

	delete @expected{ grep { /^x-(dlq|retry)-/ } keys %expected };
	delete $expected{'x-service'} if $n == 9999;
	$seen{$n}++;
	$headers{ JSON::PP->new->canonical->encode(\%got) eq
		  JSON::PP->new->canonical->encode(\%expected) ? 'same' : "not of $n" }++;
	$headers{other}++
	  if $message->{payload} ne $letter->{value}
	  || $message->{key} ne $letter->{key}
	  || $message->{partition} != $n % 4;
}
is(scalar keys %seen, 9850, '... each once');
is_deeply(\%headers, { same => 9850 },
	'... with key, value, partition and headers as they were');
ok(!grep({ $seen{$_} } 5000 .. 5149), '... and nobody else\'s');

# one by itself; the next run passes it over
$kafka->produce_messages($dlq, map { letter($_) } 10000 .. 10009);
my ($single) =
  grep { $_->{payload} =~ /10005/ } $kafka->consume($dlq);
my $at = "partition => $single->{partition}, \"offset\" => $single->{offset}";
is(reprocess("'$source', $at"), '1|1|0|1', 'a single letter');
is(pending($source), 59, '... is not pending any more');
is(reprocess("'$source', $at"), '1|0|1|1', '... and not moved twice');
is(reprocess("'$source'"), '59|9|50|59', '... nor by the next run');
is(pending($source), 50, 'only failures are left');

# a failure by itself, and all of them closed
my ($failed) = split /\n/, $node->safe_psql('postgres',
	qq{SELECT format('partition => %s, "offset" => %s', partition, "offset")
		 FROM kafka_dlq_messages('$source', 1, pending_only => true)});
is(reprocess("'$source', target => 'discard', $failed"),
	'1|1|0|1', 'a failure is discarded');
is(pending($source), 49, '... and gone');
is(reprocess("'$source', target => 'discard'"), '49|49|0|49',
	'so are the others');
is(pending($source), 0, 'nothing is left');
is(scalar $kafka->consume($source), 9860, 'nothing else was sent');

# a letter the broker refuses, among others
my $small = $kafka->create_topic($kafka->unique('small'),
	config => { 'max.message.bytes' => 1000 });
$kafka->create_topic("$small.dlq");
my @letters = map { letter($_, partition => 0) } 0 .. 999;
$_->{headers}->{'x-original-topic'} = $small foreach @letters;
$letters[700]->{value} = join('', map { chr(33 + rand 90) } 1 .. 5000);
$kafka->produce_messages("$small.dlq", @letters);
is(reprocess("'$small'"), '1000|999|1|1000', 'one of a chunk is refused');
is(scalar $kafka->consume($small), 999, '... and its neighbours are sent');
is( $node->safe_psql(
		'postgres', qq{
		SELECT message->'offset', message->>'error' FROM kafka_dlq_reprocess('$small'), jsonb_array_elements(messages) message}),
	'700|refused by the broker: Broker: Message size too large (Raise max.message.bytes of the topic, or send less in one message.)',
	'... by name');

# to be retried: only where somebody reads that
$node->psql('postgres',
	"SELECT * FROM kafka_dlq_reprocess('$small', target => 'retry')",
	stderr => \$err);
like($err, qr/nobody reads the retry topic/, 'no retries without a reader');

# compacted topics only if that is said
my $compact = $kafka->create_topic($kafka->unique('compact'),
	config => { 'cleanup.policy' => 'compact' });
$kafka->create_topic("$compact.dlq");
@letters = map { letter($_, partition => 0) } 0 .. 9;
$_->{headers}->{'x-original-topic'} = $compact foreach @letters;
$kafka->produce_messages("$compact.dlq", @letters);
$node->psql('postgres', "SELECT * FROM kafka_dlq_reprocess('$compact')",
	stderr => \$err);
like($err, qr/is compacted.*\n.*\n.*target => 'original'/,
	'a compacted topic is refused');
is(reprocess("'$compact', target => 'original'"),
	'10|10|0|10', '... unless it is meant');

$node->stays_up_ok;
$node->stop;
done_testing();
