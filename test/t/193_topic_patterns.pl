# Topics by a regular expression: those that are there and those that come, who
# has one that several want, options, what becomes of one alone, dump, restart.

use strict;
use warnings;

use File::Temp;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop', session_timeout => '6000');

my $prefix = $kafka->unique('orders');
my $regex = "$prefix-[a-z]+";
my $name = qq{kafka_events."$regex"};

sub topic
{
	my ($suffix) = @_;
	$node->safe_psql('postgres', "SELECT kafka_topic_create('$prefix-$suffix', 1)");
	return "$prefix-$suffix";
}

sub order
{
	my ($topic, @ids) = @_;
	$kafka->produce($topic, [ map { qq({"id": $_}) } @ids ]);
}

my $members = qq{SELECT coalesce(string_agg(substr(topic, length('$prefix-') + 1), ',' ORDER BY topic), '')
	FROM kafka_subscriptions WHERE topics = '$regex' AND topic IS NOT NULL};
my $pattern = q{SELECT status, status_reason FROM kafka_subscriptions WHERE topic IS NULL};
my $ids = q{SELECT string_agg(id::text, ',' ORDER BY id) FROM orders};

$node->safe_psql('postgres', 'CREATE TABLE orders (id int PRIMARY KEY, kafka_topic text)');

# Nothing matches yet.
{
	my $err = '';
	$node->psql('postgres', "SELECT kafka_subscribe(topics => '$regex', into_table => 'orders')", stderr => \$err);
	like($err, qr/WARNING:  no topic of server "shop" matches "\Q$regex\E" yet/, 'none yet is said at the call');
	$node->becomes($pattern, "pattern|0 topics; no topic that the server's login may describe matches \"$regex\"", 'and by the view');
	is($node->ask("SELECT status, message LIKE '%no topic that the server''s login%' FROM kafka_health()"),
		'degraded|t', 'and by kafka_health');
}

# What matches the whole name, and is none of ours or of Kafka's.
{
	topic($_) for 'de', 'FR', 'de2', 'x.retry', 'retry.dlq';
	order("$prefix-de", 1);
	$node->becomes($members, 'de', 'a topic joins by itself');
	order("$prefix-de", 2);
	$node->becomes($ids, '1,2', 'and is read from its beginning');
	is($node->safe_psql('postgres', $pattern), 'pattern|1 topic', 'the pattern says how many it has');
	is($node->ask('SELECT status FROM kafka_health()'), 'up', 'all is well');

	# one that comes later, from elsewhere, with a message in it
	order($kafka->create_topic("$prefix-fr"), 3);
	$node->becomes($ids, '1,2,3', 'the first message of one that comes later');
	is($node->safe_psql('postgres', 'SELECT kafka_topic FROM orders WHERE id = 3'), "$prefix-fr", 'of that topic');
	is($node->safe_psql('postgres', $members), 'de,fr', 'it is listed');
}

# Options are the pattern's, at once.
{
	$node->safe_psql('postgres', "SELECT kafka_subscription_alter('$regex', batch_size => 7, max_retries => 0)");
	is($node->safe_psql('postgres', 'SELECT DISTINCT batch_size, max_retries FROM kafka_subscriptions'), '7|0', 'they reach the members');
	foreach my $sql ("SELECT kafka_subscription_alter('$prefix-de', batch_size => 8)",
		qq{ALTER FOREIGN TABLE kafka_events."$prefix-de" OPTIONS (ADD batch_size '8')},
		qq{ALTER FOREIGN TABLE kafka_events."$prefix-de" OPTIONS (SET pattern 'other')})
	{
		isnt($node->psql('postgres', $sql), 0, "refused: $sql");
	}
	$node->safe_psql('postgres', "SELECT kafka_consumer_pause('$prefix-de')");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM kafka_subscriptions WHERE status = 'paused'}), 1, 'one alone can be paused');
	$node->safe_psql('postgres', "SELECT kafka_consumer_resume('$prefix-de'); SELECT kafka_consumer_pause('$regex')");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM kafka_subscriptions WHERE status = 'paused'}), 3, 'and all with the pattern');
	isnt($node->psql('postgres', "SELECT kafka_consumer_resume('$prefix-de')"), 0, 'then not one alone resumed');
	$node->safe_psql('postgres', "SELECT kafka_consumer_resume('$regex')");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM kafka_subscriptions WHERE status = 'paused'}), 0, 'resumed');
}

# One does not go alone.
{
	foreach my $sql ("SELECT kafka_unsubscribe('$prefix-de')", qq{DROP FOREIGN TABLE kafka_events."$prefix-de"})
	{
		my $err = '';
		isnt($node->psql('postgres', $sql, stderr => \$err), 0, $sql);
		like($err, qr/cannot unsubscribe topic "$prefix-de" alone.*It is subscribed by pattern.*\(\?!$prefix-de\$\)/s, 'says what to do');
	}
	$node->safe_psql('postgres', "ALTER FOREIGN TABLE $name OPTIONS (SET topics '(?!$prefix-fr\$)$regex')");
	is($node->safe_psql('postgres', 'SELECT topic FROM kafka_subscriptions WHERE topic IS NOT NULL'), "$prefix-de", 'left out at once');
	order("$prefix-fr", 4);
	$node->safe_psql('postgres', "ALTER FOREIGN TABLE $name OPTIONS (SET topics '$regex')");
	$node->becomes($ids, '1,2,3,4', 'and when it is back it goes on');
}

# Who subscribes a topic himself has it, and goes on where the pattern was.
{
	$node->safe_psql('postgres', "SELECT kafka_subscribe('$prefix-de', into_table => 'orders', batch_size => 3)");
	is($node->safe_psql('postgres', $members), 'fr', 'it is the pattern\'s no more');
	order("$prefix-de", 5);
	$node->becomes($ids, '1,2,3,4,5', 'it goes on');
	topic('it');
	$node->becomes($members, 'fr,it', 'others join meanwhile');
	is($node->safe_psql('postgres', "SELECT batch_size FROM kafka_subscriptions WHERE topic = '$prefix-de'"), '3', 'it stays');
	$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$prefix-de')");
	$node->becomes($members, 'de,fr,it', 'and comes back');

	# two patterns
	$node->safe_psql('postgres', "SELECT kafka_subscribe(topics => '$prefix-(fr|es)', into_table => 'orders')");
	order(topic('es'), 6);
	$node->becomes($ids, '1,2,3,4,5,6', 'of two patterns one has it');
	is($node->safe_psql('postgres', "SELECT topics FROM kafka_subscriptions WHERE topic = '$prefix-es'"),
		"$prefix-(fr|es)", 'the first by its regular expression');
	is($node->safe_psql('postgres', "SELECT topics FROM kafka_subscriptions WHERE topic = '$prefix-fr'"), $regex, 'and keeps what it has');
	$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$prefix-(fr|es)')");
	$node->becomes($members, 'de,es,fr,it', 'the other takes its topics');
}

# A dump, restored; a restart.
{
	my $file = File::Temp->new->filename;
	my $known = q{SELECT topic, topics, batch_size FROM kafka_subscriptions ORDER BY topic};
	my $before = $node->safe_psql('postgres', $known);

	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	command_ok([ 'pg_dump', '-Fc', '-f', $file, 'postgres' ], 'dumped');
	$node->safe_psql('postgres', 'CREATE DATABASE copy');
	command_ok([ 'pg_restore', '-e', '-d', 'copy', $file ], 'restored');
	is($node->safe_psql('copy', $known), $before, 'with its topics');
	is($node->safe_psql('copy', q{SELECT count(*) FROM pg_depend WHERE deptype = 'i' AND classid = 'pg_class'::regclass
		AND refclassid = 'pg_class'::regclass AND refobjid = (SELECT subscription FROM kafka_subscriptions WHERE topic IS NULL)}),
		4, 'that are parts of it');
	$node->safe_psql('copy', "DROP FOREIGN TABLE $name");
	is($node->safe_psql('copy', 'SELECT count(*) FROM kafka_subscriptions'), 0, 'and go with it');
	unlink $file;

	$node->restart;
	order(topic('pl'), 7);
	$node->becomes($ids, '1,2,3,4,5,6,7', 'after a restart others join');
}

# Where topics start that are there, and where later ones do; what cannot be subscribed.
{
	my $late = $kafka->unique('late');
	my @names = map { "$late-$_" } 'a', 'b', ('x' x (246 - length($late) - 1));
	my $long = $names[2];
	$node->safe_psql('postgres', "SELECT kafka_topic_create('$_', 1)") foreach @names;

	$kafka->produce($names[0], ['{"id": 100}']);
	$node->safe_psql('postgres', "SELECT kafka_subscribe(topics => '$late-.*', into_table => 'orders', start_from => 'latest')");
	$node->becomes("SELECT count(*) FROM kafka_events.positions WHERE topic LIKE '$late-%'", 2, 'positions of those that are there');
	my $third = "$late-c";
	$node->safe_psql('postgres', "SELECT kafka_topic_create('$third', 1)");
	$kafka->produce($third, ['{"id": 102}']);
	$kafka->produce($names[0], ['{"id": 101}']);
	$node->becomes("$ids WHERE id >= 100", '101,102', 'latest for those that were there, all of one that came');
	is($node->safe_psql('postgres', "SELECT status_reason FROM kafka_subscriptions WHERE topic IS NULL AND topics LIKE '$late%'"),
		"3 topics; cannot subscribe topic \"" . substr($long, 0, 40) . '...": '
		  . "Topic \"" . substr($long, 0, 64) . "...\" is too long: together with \".retry\" or \".dlq\" it must have at most 249 characters",
		'one that cannot be subscribed holds up no other');
	$node->restart;
	$node->becomes(qq{SELECT status_reason ~ 'cannot subscribe topic' FROM kafka_subscriptions WHERE topic IS NULL AND topics LIKE '$late%'}, 't',
		'and is told again');
}

# The end.
{
	$node->safe_psql('postgres', "SELECT kafka_unsubscribe('$regex')");
	is($node->safe_psql('postgres', "SELECT count(*) FROM kafka_subscriptions WHERE topics = '$regex'"), 0, 'unsubscribed with all its topics');
	is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM kafka_events.positions'), 't', 'positions stay');
	$node->safe_psql('postgres', 'DROP SERVER shop CASCADE');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM kafka_subscriptions'), 0, 'a server goes with its patterns');
}

done_testing();
