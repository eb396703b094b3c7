# Much to publish: while the broker restarts, and under an old snapshot.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_own;
my $topic = $kafka->create_topic('bulk', partitions => 4);
my $node = KafkaEvents::Node->start_new('main');
$node->create_service($kafka, 'shop', workers => 0);

sub wait_for_published
{
	my ($total) = @_;

	return $node->wait_for(
		q{SELECT published_total || ' ' || pending_total FROM kafka_outbox_status},
		"$total 0", "$total published messages");
}

# 100 000 messages, in order per key
my $count = 100_000;
my $dir = PostgreSQL::Test::Utils::tempdir('scripts');
append_to_file("$dir/many.sql", qq{
	SELECT count(kafka_produce('$topic', i::text, key => (i % 50)::text))
	  FROM generate_series(10000 * $_ + 1, 10000 * ($_ + 1)) i;}) foreach 0 .. 9;
my $producing = IPC::Run::start(
	[ 'psql', '-XAtq', '-f', "$dir/many.sql", $node->connstr('postgres') ],
	'<', \undef, '>', \my $output);
$node->wait_for('SELECT published_total > 5000 FROM kafka_outbox_status', 't',
	'some to be published');
$kafka->stop;
$kafka->restart;
$producing->finish;
ok(wait_for_published($count), "$count messages are published");
my (%last, %wrong);
my @messages = $kafka->consume($topic);
foreach my $message (@messages)
{
	my $key = $message->{key};

	$wrong{$key} = $message->{payload}
	  if $message->{payload} <= ($last{$key} || 0);
	$last{$key} = $message->{payload};
}
is(scalar @messages, $count, 'each of them once');
is_deeply(\%wrong, {}, 'in order per key, though the broker was restarted');

# A session with an old snapshot keeps all versions of what the relay changes.
# It must not have to look through them: two databases, one of them with such a
# session, each with a relay that publishes messages one at a time.
foreach my $database ('plain', 'held')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, qq{
		CREATE EXTENSION kafka_events;
		CREATE PROCEDURE produce_one_by_one(count int) LANGUAGE plpgsql AS \$\$
		DECLARE
			published bigint;
		BEGIN
			FOR i IN 1 .. count LOOP
				SELECT messages_total INTO published FROM kafka_consumer_health;
				PERFORM kafka_produce('$topic', 'v');
				COMMIT;
				WHILE published = (SELECT messages_total FROM kafka_consumer_health) LOOP
					PERFORM pg_sleep(0.0002);
				END LOOP;
			END LOOP;
		END \$\$;
		CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS
			(bootstrap_servers '@{[ $kafka->address ]}', service_name '$database-service', workers '0');
		SELECT kafka_produce('$topic', 'v')});
	$node->poll_query_until($database,
		"SELECT messages_total FROM kafka_consumer_health WHERE status = 'running'", '1')
	  or die $node->state;
}

my ($in, $out) = ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'old';\n", '');
my $holder = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('held') ],
	'<', \$in, '>', \$out);
$holder->pump until $out =~ /old/;
my $one_by_one = 3000;
$_->finish foreach map {
	IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr($_),
			'-c', "CALL produce_one_by_one($one_by_one)" ])
} 'plain', 'held';

# Processes tell what they have read when they end, at the latest.
$node->append_conf('postgresql.conf', 'kafka_events.enabled = off');
$node->reload;
$node->wait_for(
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^kafka_events relay'},
	'0', 'the relays to end');
my %pages = map {
	$_ => $node->safe_psql($_, q{
		SELECT sum(coalesce(heap_blks_read, 0) + coalesce(heap_blks_hit, 0) +
				   coalesce(idx_blks_read, 0) + coalesce(idx_blks_hit, 0))
		  FROM pg_statio_all_tables WHERE schemaname = 'kafka_events'}) /
	  $one_by_one
} 'plain', 'held';
$in .= "COMMIT;\n\\q\n";
$holder->finish;
note "pages that a message takes: $pages{plain}, under an old snapshot $pages{held}";
cmp_ok($pages{plain}, '>', 1, 'the test sees what is read for a message');
# looking through all versions it would be more than twice as many
cmp_ok($pages{held} / $pages{plain}, '<', 1.5,
	'a session with an old snapshot does not make the relay read more');

$node->stays_up_ok;
$node->stop;
done_testing();
