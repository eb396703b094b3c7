# src/kafka and brokers that cannot be used: what the errors say, and that
# nothing waits for ever.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Client;
use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_secure;
my $client = KafkaEvents::Client->new;
my $topic = $kafka->create_topic('orders', partitions => 2);
my $ca = $kafka->ca_pem;
my $wait = 1000 * $PostgreSQL::Test::Utils::timeout_default;
my @lines;

$kafka->produce($topic, [ 1 .. 100 ]);

# One member with these options, and a script for it.
sub with_member
{
	my ($address, $options, $script) = @_;
	my $list = join '', map { ", '$_=$options->{$_}'" } sort keys %$options;

	return $client->run(
		qq{SELECT client.open(0, '$address', 'g', 'i0'$list);
		   SELECT client.subscribe(0, '$topic');
		   $script});
}

# The first error a member with these options gets, and its hint.
sub first_error
{
	return join "\n", with_member(
		@_, qq{
		SELECT text, client.hint(error)
		  FROM client.poll('{0}', $wait, 'ERROR', 1, 0) WHERE kind = 'ERROR'});
}

sub sasl
{
	my (%options) = @_;

	return {
		security_protocol => 'sasl_plaintext',
		sasl_mechanism => 'PLAIN',
		username => 'alice',
		password => 'wonderland',
		%options
	};
}

# ---- what goes wrong is said

like(
	first_error($kafka->address('sasl_plaintext'), sasl(password => 'wrong')),
	qr/Invalid username or password.*\|Check username and password/,
	'wrong password');
like(
	first_error(
		$kafka->address('sasl_plaintext'),
		sasl(sasl_mechanism => 'SCRAM-SHA-256')),
	qr/supported mechanisms: PLAIN.*\|Check username and password.*"sasl_mechanism"/,
	'wrong mechanism');
like(
	first_error('no-such-host.invalid:9092', {}),
	qr/Failed to resolve 'no-such-host\.invalid:9092'.*\|Check the host names/,
	'unknown host');
like(
	first_error('127.0.0.1:1', {}),
	qr/Connection refused.*\|Check that the brokers run/,
	'nobody listens');
like(
	first_error($kafka->address('ssl'), {}),
	qr/\|Check .*"security_protocol" is what their listener speaks/,
	'plaintext to a listener that wants TLS');
like(
	first_error($kafka->address, { security_protocol => 'ssl' }),
	qr/(the listener does not speak TLS|unexpected eof while reading)\|Check .*"security_protocol"/,
	'TLS to a listener that does not, whichever way it ends the connection');
like(
	first_error($kafka->address('ssl'), { security_protocol => 'ssl' }),
	qr/certificate is not signed by a trusted authority\|Set "ssl_ca_pem"/,
	'a certificate of an unknown authority');
like(
	first_error(
		$kafka->address('sasl_plaintext'),
		sasl(username => 'bob', password => 'builder')),
	qr/Group authorization failed.*\|The Kafka user needs Read on the consumer group/,
	'no permission for the group');

@lines = with_member(
	'127.0.0.1:1', {}, qq{
	SELECT DISTINCT error, text LIKE '%Connection refused%'
	  FROM client.poll('{0}', $wait, 'ERROR', 3, 0) WHERE kind = 'ERROR'});
is(scalar(@lines), 1, 'that all brokers are down never hides the reason');

like(
	$client->run_fails(
		qq{SELECT client.open(0, 'h:1', 'g', 'i0', 'security_protocol=ssl',
							  'ssl_ca_pem=nonsense')}),
	qr/could not create Kafka client: .*ssl\.ca\.pem/,
	'a certificate that is none');
like(
	$client->run_fails(
		qq{SELECT client.open(0, 'h:1', 'g', 'i0', 'no.such.property=1')}),
	qr/refuses property "no\.such\.property"/,
	'a property the library does not know');

# ---- with the right options it works

foreach my $case (
	[ 'ssl', { security_protocol => 'ssl', ssl_ca_pem => $ca } ],
	[ 'sasl_plaintext', sasl() ],
	[
		'sasl_ssl',
		sasl(security_protocol => 'sasl_ssl', ssl_ca_pem => $ca)
	])
{
	my ($protocol, $options) = @$case;

	@lines = with_member(
		$kafka->address($protocol), $options, qq{
		SELECT count(*) FROM client.poll('{0}', $wait, 'END', 2, 0)
		 WHERE kind = 'MESSAGE';
		SELECT client.close(0, true) <= 4000});
	is_deeply(\@lines, [ '100', 't' ], "reads by $protocol");
}

# ---- permissions that come and go

$kafka->tool('acls', '--add', '--allow-principal', 'User:bob', '--operation',
	'Read', '--group', '*');
like(
	first_error(
		$kafka->address('sasl_plaintext'),
		sasl(username => 'bob', password => 'builder')),
	qr/$topic: Broker: Topic authorization failed.*\|The Kafka user needs Read on the topic/,
	'no permission for the topic');

# ---- brokers that do not answer

my $frozen = $kafka->{dir} . '/pid';
@lines = with_member(
	$kafka->address, {}, qq{
	SELECT FROM client.poll('{0}', $wait, 'END', 2, 0);
	\\! kill -STOP \$(cat $frozen)
	SELECT client.act(0, 'commit', '$topic/0/5');
	SELECT client.ask(0, 'committed', '{$topic/0/0}', 1000);
	SELECT client.ask(0, 'commit_wait', '{$topic/0/6}', 1000);
	SELECT client.ask(0, 'watermarks', '{$topic/0/0}', 1000);
	SELECT client.cluster_open('@{[ $kafka->address ]}', 'g');
	SELECT client.cluster_topics('$topic', 1000);
	SELECT client.close(0, true) <= 4000;
	\\! kill -CONT \$(cat $frozen)
	SELECT client.cluster_topics('$topic', $wait);
	SELECT client.cluster_close()});
is_deeply(
	[ @lines[ 0 .. 2, 4, 5 ] ],
	[ ('{"Local: Timed out"}') x 3, 't', "($topic,2,1,Success)" ],
	'no question to a frozen broker waits longer than it may');
like($lines[3], qr/Local: (Timed out|Broker transport failure)/,
	'nor one for topics');

# ---- errors that pass

# COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS
@lines = $client->run(
	qq{
	SELECT client.cluster_mock('$topic', 15, 16, 14, 16) AS mock \\gset
	SELECT client.cluster_open(:'mock', 'g');
	SELECT client.cluster_ask('committed', '{$topic/0/0}', $wait);
	SELECT client.cluster_close()});
is_deeply(\@lines, ["{$topic/0/-1001}"],
	'a group whose broker changes is asked again for its positions');

# ---- dead brokers

$kafka->kill9;
my $started = time();
@lines = with_member(
	$kafka->address, {}, qq{
	SELECT client.ask(0, 'committed', '{$topic/0/0}', 1000);
	SELECT client.close(0, true) <= 4000});
is_deeply(
	\@lines,
	[ '{"Local: Timed out"}', 't' ],
	'nor to a dead one');
cmp_ok(time() - $started, '<', 30, 'the process ends at once');

# ---- processes end cleanly, whatever their members are at

$kafka->restart;
foreach my $round (1 .. 6)
{
	my @protocol = $round % 2 ? ('ssl', "'security_protocol=ssl', 'ssl_ca_pem=$ca'") :
	  ('plaintext', "'debug=cgrp'");

	$client->run(
		qq{SELECT client.open(m, '@{[ $kafka->address($protocol[0]) ]}', 'ends',
							  'i' || m, $protocol[1]),
				  client.subscribe(m, '$topic') FROM generate_series(0, 2) m;
		   SELECT FROM client.poll('{0,1,2}', @{[ 200 * $round ]}, 'NONE', 1,
				@{[ $round % 3 ? 0 : 'NULL' ]});
		   SELECT client.close(2, false);
		   SELECT client.close(1, @{[ $round > 3 ? 'true' : 'false' ]})});
}
unlike(slurp_file($client->node->logfile),
	qr/terminated by signal|TRAP:|Assertion/, 'no process died of a signal');

done_testing();
