# Runs that follow each other share a producer: the second one asks for no new
# place.  Where another database has moved letters in between, the run begins
# anew and takes the place back, and each letter is sent once.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop');
my $source = $kafka->create_topic($kafka->unique('orders'));
my $dlq = $kafka->create_topic("$source.dlq");

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other',
	    'CREATE EXTENSION kafka_events; CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events '
	  . "OPTIONS (bootstrap_servers '"
	  . $kafka->address
	  . "', service_name '$service')");

sub letters
{
	my @numbers = @_;

	$kafka->produce_messages(
		$dlq,
		map {
			{
				value => "$_",
				headers => { 'x-original-topic' => $source, 'x-service' => $service }
			}
		} @numbers);
	return;
}

# total, successful and failed
sub reprocess
{
	my ($database, $more) = @_;

	return $node->safe_psql(
		$database, qq{
		SET client_min_messages = warning;
		SELECT total, successful, failed
		  FROM kafka_dlq_reprocess('$source', 1$more)});
}

# which producer has the place: its id and epoch
sub producer
{
	my ($line) = grep { /^\d/ } split /\n/,
	  $kafka->tool('transactions', 'describe', '--transactional-id',
		"$service-admin-$dlq");

	return join ' ', (split /\s+/, $line)[ 2, 3 ];
}

letters(1 .. 8);
is(reprocess('postgres', ''), '1|1|0', 'the first run');
my $first = producer();
is(reprocess('postgres', ''), '1|1|0', 'one that follows');
is(reprocess('postgres', ', target => $$discard$$'),
	'1|1|0', '... of another kind');
is(producer(), $first, '... goes on with what is there');

is(reprocess('other', ''), '1|1|0', 'another database takes over');
my $other = producer();
isnt($other, $first, '... with a producer of its own');
is(reprocess('postgres', ''), '1|1|0', '... and is followed as well');
isnt(producer(), $other, '... by one that begins anew');
is(reprocess('other', ''), '1|1|0', '... and again');

# a run that has nothing to send looks first who has the place
letters('x');
$kafka->produce_messages($dlq, { value => 'nowhere', headers => { 'x-service' => $service } });
is(reprocess('other', ''), '1|1|0', 'a letter more');
is(reprocess('other', ''), '1|1|0', '... and another');
is(reprocess('postgres', ''), '1|1|0', '... for either');
is(reprocess('postgres', ''), '1|0|1', 'one that cannot be sent');
is(reprocess('other', ''), '0|0|0', '... is on record where that was');
is(reprocess('postgres', ''), '1|0|1', '... and told once by the next run');

is( join(' ', map { $_->{payload} } $kafka->consume($source)),
	'1 2 4 5 6 7 8 x', 'every letter was sent once, in order');

$node->stays_up_ok;
$node->stop;
done_testing();
