# What kafka_production_check finds out by asking the brokers: which rights the
# Kafka user lacks, one by one, and whose clock is wrong.  Asking writes
# nothing anywhere.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_secure;
my $clock = KafkaEvents::Clock->new;
my $node = $clock->run(sub { KafkaEvents::Node->start_new('main') });

sub rights
{
	my ($what, $operations, @on) = @_;

	$kafka->tool('acls', "--$what", '--force', '--allow-principal',
		'User:bob', (map { ('--operation', $_) } split ' ', $operations), @on);
	return;
}

sub findings
{
	my ($check) = @_;

	return "SELECT detail FROM kafka_production_check() WHERE check_name = '$check' AND NOT ok ORDER BY detail";
}

my $service = $node->create_service(
	$kafka, 'shop',
	bootstrap_servers => $kafka->address('sasl_plaintext'),
	security_protocol => 'sasl_plaintext',
	sasl_mechanism => 'PLAIN',
	workers => 0,
	retry_workers => 0,
	create_topics => 'false');
my @copies = qw(orders.dlq orders.retry);
$kafka->create_topic($_) foreach 'orders', @copies;
$node->safe_psql('postgres',
	q{CREATE USER MAPPING FOR CURRENT_USER SERVER shop
		OPTIONS (username 'bob', password 'builder');
	  CREATE TABLE orders (id bigint)});
$node->psql('postgres', q{SELECT kafka_subscribe('orders', into_table => 'orders')});

# ---- one right after the other

sub needs_ok
{
	my ($name, @missing) = @_;

	return $node->becomes(findings('rights'),
		join("\n", sort map { "the Kafka user needs $_" } @missing), $name);
}

my @write = map { qq{Write on topic "$_"} } @copies;
my $transactions =
  qq{Write on transactional ids that begin with "$service-admin"};
needs_ok('no right at all',
	(map { qq{Read on group "$service-$_"} } qw(admin main retry)),
	@write, $transactions);
rights('add', 'Read', '--group', "$service-", '--resource-pattern-type', 'prefixed');
needs_ok('the groups', (map { qq{Read on topic "$_"} } 'orders', @copies),
	@write, $transactions);
rights('add', 'Read Describe', '--topic', 'orders');
rights('add', 'Read Describe', '--topic', 'orders.retry');
rights('add', 'Read Write Describe', '--topic', 'orders.dlq');
needs_ok('two of three topics', qq{Write on topic "orders.retry"}, $transactions);
is( $node->safe_psql('postgres', q{
		SELECT string_agg(hint, E'\n' ORDER BY hint) FROM kafka_production_check()
		 WHERE check_name = 'rights'}),
	join("\n", map { "kafka-acls.sh --add --allow-principal User:... --operation Write $_" }
		  '--topic orders.retry',
		"--transactional-id $service-admin --resource-pattern-type prefixed"),
	'hints say what to type');
rights('add', 'Write', '--topic', 'orders.retry');
rights('add', 'Write Describe', '--transactional-id', "$service-admin",
	'--resource-pattern-type', 'prefixed');
needs_ok('all that is needed');
is( $node->safe_psql('postgres',
		q{SELECT ok, hint IS NULL FROM kafka_production_check() WHERE check_name = 'rights'}),
	't|t', '... is one row that says so');
rights('remove', 'Read', '--topic', 'orders.dlq');
needs_ok('one is taken again', 'Read on topic "orders.dlq"');
rights('add', 'Read', '--topic', 'orders.dlq');

$node->safe_psql('postgres', q{
	ALTER SERVER shop OPTIONS (SET create_topics 'true', ADD dlq_suffix '.dead')});
needs_ok('a topic that is to be made',
	'Create on topic "orders.dead"', 'Read on topic "orders.dead"',
	'Write on topic "orders.dead"');
$node->safe_psql('postgres', q{
	ALTER SERVER shop OPTIONS (SET create_topics 'false', DROP dlq_suffix)});

# ---- clocks

$node->becomes(findings('clock'),
	q{the brokers' clock is not known: Broker: Topic authorization failed},
	'the clock is not known without a right');
rights('add', 'Describe', '--topic', '__transaction_state');
$node->becomes(findings('clock'), '', 'with it, it is right');
$clock->set(600);
like($node->safe_psql('postgres', findings('clock')),
	qr/^the brokers' clock is about (5[0-9][0-9]|600) s behind this server's$/, 'behind');
$clock->set(-600);
like($node->safe_psql('postgres', findings('clock')),
	qr/^the brokers' clock is about (5[0-9][0-9]|600) s ahead of this server's$/, 'ahead');
$clock->set(0);

# ---- nothing happened

is($kafka->count_records($_), 0, "$_ is as empty as before") foreach 'orders', @copies;
is(scalar(grep { /$service/ } $kafka->groups), 0, 'no group has come into being');

$node->stays_up_ok;
$node->stop;

done_testing();
