# What keeps the only consumer, or the relay, from its work, though the
# cluster answers: said in the views where one looks first, for as long as it
# lasts.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_far;
my $node = KafkaEvents::Node->start_new('main');

$node->safe_psql('postgres', 'CREATE TABLE events (id int)');

# What the views say of one service's trouble.
sub says
{
	my ($server, $pattern) = @_;

	return qq{
		SELECT (SELECT status || ': ' || (status_reason ~ '$pattern')::text
				  FROM kafka_subscriptions WHERE server = '$server'),
			   (SELECT status IN ('degraded', 'down') AND message ~ '$pattern'
				  FROM kafka_health('$server'))};
}

# Nothing is the matter, and so many rows have come.
sub is_well
{
	my ($server, $count, $name) = @_;

	return $node->becomes(qq{
		SELECT (SELECT status FROM kafka_subscriptions
				 WHERE server = '$server' AND status_reason IS NULL),
			   (SELECT status FROM kafka_health('$server')),
			   (SELECT count(*) FROM events)},
		"active|up|$count", $name);
}

# ---- a group whose members use another assignor

my $topic = $kafka->create_topic('assigned');
my $stranger = $kafka->join_group('rangers-main', $topic,
	'partition.assignment.strategy' => 'range');
foreach (1 .. $PostgreSQL::Test::Utils::timeout_default)
{
	last if grep { defined $_->{client_id} } $kafka->describe_group('rangers-main');
}
$node->create_service($kafka, 'rangers', service_name => 'rangers', retry_workers => 0);
$node->safe_psql('postgres',
	"SELECT kafka_subscribe('$topic', into_table => 'events', start_from => 'earliest')");
$node->becomes(
	says('rangers', 'use another assignor than cooperative-sticky'),
	'active: true|t', 'another assignor is named');
$kafka->leave_group($stranger);
$kafka->produce($topic, ['{"id": 1}']);
is_well('rangers', 1, '... and once its members are gone all is well');

# ---- transactions of the database are read-only

$node->safe_psql('postgres',
	'ALTER DATABASE postgres SET default_transaction_read_only = on');
$node->restart;
$node->becomes(
	says('rangers', 'transactions of role "[^"]+" are read-only'),
	'active: true|t', 'a read-only database is named');
$kafka->produce($topic, ['{"id": 2}']);
$node->safe_psql('postgres', q{
	SET default_transaction_read_only = off;
	ALTER DATABASE postgres RESET default_transaction_read_only});
is_well('rangers', 2, '... and consumed into as soon as it is not, by itself');

# ---- brokers that advertise what cannot be reached

$topic = $kafka->create_topic('far');
my $far = slurp_file("$kafka->{dir}/far");
chomp $far;
$kafka->far_link->stop;
$node->create_service($kafka, 'far', bootstrap_servers => $far);
$node->psql('postgres',
	"SELECT kafka_subscribe('$topic', into_table => 'events', server => 'far', start_from => 'earliest')");
my $advertised = '127.0.0.1:' . $kafka->far_link->port . '.*advertised.listeners';
$node->becomes(says('far', $advertised), 'active: true|t',
	'an advertised address that cannot be reached is named');
$node->safe_psql('postgres',
	qq{ALTER SERVER far OPTIONS (SET bootstrap_servers '} . $kafka->address . q{')});
$kafka->produce($topic, ['{"id": 3}']);
is_well('far', 3, '... and with one that can all is well');

# ---- brokers that do not acknowledge

$kafka->create_topic('slow');
$node->safe_psql('postgres', q{SELECT kafka_produce('slow', '1', server => 'rangers')});
$node->becomes('SELECT sum(pending_total) FROM kafka_outbox_status', '0',
	'an event is published');
$kafka->freeze;
$node->safe_psql('postgres', q{SELECT kafka_produce('slow', '2', server => 'rangers')});
$node->becomes(
	q{SELECT (SELECT reason = 'publishing: no broker tells about topic "slow"'
				FROM kafka_consumer_health WHERE server = 'rangers' AND role = 'relay'),
			 (SELECT last_error IS NOT NULL FROM kafka_outbox_status WHERE server = 'rangers')},
	't|t', 'that the next one is not acknowledged is said soon');
$kafka->thaw;
$node->becomes('SELECT sum(pending_total) FROM kafka_outbox_status', '0',
	'... until it is published');
is_well('rangers', 3, '... and all is well');

$node->stays_up_ok;
$node->stop;

done_testing();
