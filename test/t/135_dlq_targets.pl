# Where dead letters may be sent: what a letter says of itself does not open
# other topics to it, and one that cannot go stops no other one.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');
my %topic = map {
	($_ => $kafka->create_topic($kafka->unique($_),
		config => $_ eq 'small' ? { 'max.message.bytes' => 1000 } :
		  $_ eq 'compact' ? { 'cleanup.policy' => 'compact' } : {}))
} qw(orders small compact ordered foreign);
my $dlq = $kafka->create_topic("$topic{orders}.dlq");

$node->safe_psql('postgres',
	q{CREATE FUNCTION on_order(jsonb) RETURNS void LANGUAGE sql AS ''});
foreach my $name (qw(orders small compact))
{
	$node->safe_psql('postgres',
		"SELECT kafka_subscribe('$topic{$name}', handler => 'on_order')");
}
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$topic{ordered}', handler => 'on_order', ordering => 'key')");

sub letter
{
	my ($n, $from, $value) = @_;

	return {
		value => $value // qq({"id": $n}),
		key => "key $n",
		partition => 0,
		headers => {
			'x-service' => $service,
			defined $from ? ('x-original-topic' => $from) : ()
		}
	};
}

sub values_of
{
	my ($topic) = @_;

	return join ' ', map { $_->{payload} =~ /(\d+)/ } $kafka->consume($topic);
}

# ---- each letter by itself

my $noise = join '', map { chr(97 + rand 26) } 1 .. 4000;
$kafka->produce_messages(
	$dlq,
	letter(0, $topic{orders}),
	letter(1, '__consumer_offsets'),
	letter(2, $topic{foreign}),
	letter(3, $dlq),
	letter(4, 'a/b'),
	letter(5, undef),
	letter(6, $topic{small}, qq({"id": 6, "noise": "$noise"})),
	letter(7, $topic{small}),
	letter(8, $topic{compact}),
	letter(9, $topic{ordered}),
	letter(10, $topic{orders}));
my $unknown = sub {
	qq(topic "$_[0]" is not subscribed on this server; to send the letter to a topic all the same, name that with to_topic);
};
my $no_topic = 'its header x-original-topic is missing or names no topic';
my $too_large =
  'refused by the broker: Broker: Message size too large (Raise max.message.bytes of the topic, or send less in one message.)';
is( $node->reprocess("'$topic{orders}'"),
	join("\n",
		'11|4|7',
		'1|topic "__consumer_offsets" is one of Kafka\'s own',
		'2|' . $unknown->($topic{foreign}),
		'3|' . $unknown->($dlq),
		"4|$no_topic",
		"5|$no_topic",
		"6|$too_large",
		qq(8|topic "$topic{compact}" is compacted: an old message would replace the newer ones of its key; if that is wanted, say target => 'original')
	),
	'seven of eleven cannot be sent, for a reason each');
is(values_of($topic{orders}), '0 10', 'those around them are');
is(values_of($topic{small}), '7', '... also to the topic that refused one');
is(values_of($topic{foreign}), '', 'nothing goes where nobody has subscribed');

# ---- one by its offset that is refused stays pending

my $one = qq('$topic{orders}', partition => 0, "offset" => 6);
is($node->reprocess($one), "1|0|1\n6|$too_large", 'a single letter is refused');
is($node->reprocess($one), "1|0|1\n6|$too_large", '... and is still there');
is( $node->safe_psql('postgres',
		"SELECT pending FROM kafka_dlq_stats('$topic{orders}')"),
	'7', '... and pending');

# one ahead of the position has no record of its own yet
$kafka->produce_messages($dlq,
	letter(11, $topic{small}, qq({"id": 11, "noise": "$noise"})));
$one = qq('$topic{orders}', partition => 0, "offset" => 11);
is($node->reprocess($one), "1|0|1\n11|$too_large", 'a new one is refused');
is($node->reprocess($one), "1|0|1\n11|$too_large", '... and is still there');
is( $node->safe_psql('postgres',
		"SELECT pending FROM kafka_dlq_stats('$topic{orders}')"),
	'8', '... and pending');

# ---- where the user says

is( $node->reprocess("'$topic{orders}', target => 'original', max_messages => 8"),
	join("\n",
		'8|1|7',
		'1|topic "__consumer_offsets" is one of Kafka\'s own',
		'2|' . $unknown->($topic{foreign}),
		'3|' . $unknown->($dlq),
		"4|$no_topic",
		"5|$no_topic",
		"6|$too_large",
		"11|$too_large"),
	'a compacted topic takes one if that is said');
is( $node->reprocess("'$topic{orders}', to_topic => '$topic{foreign}'"),
	'7|7|0', 'a topic that is named takes all of them');
is(values_of($topic{foreign}), '1 2 3 4 5 6 11', '... whatever they said');
my $missing = $kafka->unique('missing');
$kafka->produce_messages($dlq, letter(12, $topic{orders}));
like(
	$node->reprocess("'$topic{orders}', to_topic => '$missing'"),
	qr/^1\|0\|1\n12\|topic "\Q$missing\E": Broker: Unknown topic/,
	'... if it is there');

# ---- many, some of them refused

$kafka->produce_messages($dlq,
	map { letter($_, $topic{small}, $_ % 700 == 699 ? $noise : undef) }
	  0 .. 4999);
like($node->reprocess("'$topic{orders}'"),
	qr/^5001\|4994\|7\n/, 'seven in five thousand are found');
is(scalar $kafka->consume($topic{small}),
	4994, '... and the others sent, each once');

$node->stays_up_ok;
$node->stop;
done_testing();
