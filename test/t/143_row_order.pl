# With on_conflict update an older message that is retried never overwrites a
# newer row, whatever the messages' keys are.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop', topic_partitions => 1);
my %topic = map { $_ => $kafka->create_topic($kafka->unique($_)) } qw(same none other mixed);

# Orders come before their customers, and are retried until those are there.
$node->safe_psql('postgres', 'CREATE TABLE customers (id int PRIMARY KEY)');
foreach my $name (sort keys %topic)
{
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE orders_$name (id int PRIMARY KEY, customer int REFERENCES customers, v text);
		SELECT kafka_subscribe('$topic{$name}', into_table => 'orders_$name',
			on_conflict => 'update', max_retries => 10, retry_strategy => 'fixed',
			initial_delay => '1 s', max_delay => '1 s')});
}

sub order
{
	my ($key, $id, $customer, $v) = @_;

	return { key => $key, partition => 0,
		value => qq({"id": $id, "customer": $customer, "v": "$v"}) };
}

my %messages = (
	same => [ order('1', 1, 5, 'old'), order('2', 2, 'null', 'new'), order('1', 1, 'null', 'new') ],
	none => [ order(undef, 1, 5, 'old'), order(undef, 2, 'null', 'new'), order(undef, 1, 'null', 'new') ],
	other => [ order('a', 1, 5, 'old'), order('b', 2, 'null', 'new'), order('c', 1, 'null', 'new') ],
	# the key of the one that fails is its row's, but not that of the one behind it
	mixed => [ order('1', 1, 5, 'old'), order('2', 2, 'null', 'new'), order('x', 1, 'null', 'new') ]);

foreach my $name (sort keys %messages)
{
	$kafka->produce_messages($topic{$name}, @{ $messages{$name} });
	$node->wait_for(
		"SELECT attempt > 0 FROM kafka_retries WHERE topic = '$topic{$name}' AND original_offset = 0",
		't', "$name: the first message to fail");
}
$node->becomes('SELECT id, v FROM orders_same', '2|new',
	'same: other rows do not wait where keys are those of the rows');
foreach my $name (qw(none other mixed))
{
	is($node->safe_psql('postgres', "SELECT count(*) FROM orders_$name"),
		0, "$name: all wait where they are not");
	$node->becomes(qq{
			SELECT status_reason LIKE '%waits for a message that is to be retried'
			  FROM kafka_subscriptions WHERE topic = '$topic{$name}'},
		't', "$name: and the reason says so");
}

my $check = $node->safe_psql('postgres',
	q{SELECT ok, detail FROM kafka_production_check('shop') WHERE check_name = 'row_keys'});
like($check, qr/^f\|topic "$topic{$_}": message keys are not the rows' primary keys/m,
	"$_: the production check says so, too") foreach qw(none other);
unlike($check, qr/"$topic{same}"/, 'same: but not where keys are those of the rows');

# also after a restart
$node->restart;
$node->safe_psql('postgres', 'INSERT INTO customers VALUES (5)');
foreach my $name (sort keys %messages)
{
	$node->wait_until_drained($kafka, $topic{$name});
	$node->wait_for("SELECT count(*) FROM kafka_retries WHERE topic = '$topic{$name}'",
		0, "$name: nothing to wait any more");
	is($node->safe_psql('postgres', "SELECT id, v FROM orders_$name ORDER BY id"),
		"1|new\n2|new", "$name: the newest values stay");
}

my ($stdout, $stderr);
$node->psql('postgres',
	"SELECT kafka_subscription_alter('$topic{same}', ordering => 'none')",
	stdout => \$stdout, stderr => \$stderr);
like($stderr, qr/WARNING:  with ordering "none" a message that is retried may overwrite/,
	'who gives the order away is warned');

$node->stays_up_ok;
done_testing();
