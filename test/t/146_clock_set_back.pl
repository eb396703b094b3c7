
# The machine's clock is set back two hours: no interval of ours becomes
# longer by it.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $clock = KafkaEvents::Clock->new;
my ($fails, $plain, $again, $keyed) =
  map { $kafka->create_topic($kafka->unique($_)) } qw(fails plain again keyed);
my $late = $kafka->unique('late');

my $node = $clock->run(sub { KafkaEvents::Node->start_new('main') });
$node->create_service($kafka, 'shop');
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE plain (id int);
	CREATE TABLE late (id int);
	CREATE TABLE up (yes bool);
	CREATE TABLE done (t text);
	CREATE FUNCTION on_message(e jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF NOT EXISTS (SELECT FROM up) THEN
			RAISE EXCEPTION 'no';
		END IF;
		INSERT INTO done VALUES ('done');
	END \$\$;
	SELECT kafka_subscribe('$plain', into_table => 'plain'),
		   kafka_subscribe('$late', into_table => 'late'),
		   kafka_subscribe('$fails', handler => 'on_message',
						   breaker_threshold => 3,
						   breaker_timeout => '5 s')});
$kafka->produce($plain, ['{"id":1}']);
$kafka->produce($fails, [ ('{}') x 6 ]);
$node->wait_for('SELECT count(*) FROM plain', '1', 'the first row');
$node->wait_for(
	"SELECT state <> 'closed' FROM kafka_circuit_breakers WHERE topic = '$fails'",
	't', 'an open circuit');
my $opened_at = $node->safe_psql('postgres',
	"SELECT opened_at FROM kafka_circuit_breakers WHERE topic = '$fails'");

$clock->set(-7200);
is($node->safe_psql('postgres',
		"SELECT now() < '$opened_at'::timestamptz - interval '1 h'"),
	't', 'the clock is set back');
is( $node->safe_psql(
		'postgres', qq{
		SELECT opened_at BETWEEN now() - interval '10 min' AND now()
		  FROM kafka_circuit_breakers WHERE topic = '$fails'}),
	't',
	'views count from there');

$node->safe_psql('postgres', 'INSERT INTO up VALUES (true)');
$node->becomes('SELECT count(*) > 0 FROM done',
	't', 'an open circuit is tried again');
$kafka->produce($plain, ['{"id":2}']);
$node->becomes('SELECT count(*) FROM plain', '2', 'messages are consumed');
$kafka->create_topic($late);
$kafka->produce($late, ['{"id":1}']);
$node->becomes('SELECT count(*) FROM late',
	'1', 'a topic that is made then is noticed');
$node->safe_psql('postgres',
	"SELECT kafka_produce('$plain', '{\"id\":3}')");
$node->becomes('SELECT count(*) FROM plain', '3', 'an event is published');
$node->becomes(
	q{SELECT bool_and(is_healthy AND
					  last_heartbeat > now() - interval '1 min')
		FROM kafka_consumer_health},
	't', 'heartbeats are read as they are');

# Messages that wait for a retry, in a row, in the retry topic, and in order:
# the clock is half an hour ahead while they fail, and set back then.
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE retried (topic text, id text, attempt int);
	CREATE FUNCTION on_retry(m kafka_message) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF m.attempt = 0 THEN
			PERFORM kafka_retry('later', '8 s');
		END IF;
		INSERT INTO retried VALUES (m.topic, convert_from(m.value, 'UTF8'), m.attempt);
	END \$\$;
	SELECT kafka_subscribe('$again', handler => 'on_retry'),
		   kafka_subscribe('$keyed', handler => 'on_retry', ordering => 'key')});

sub parked_is
{
	my ($topic, $count, $what) = @_;

	return $node->wait_for(
		"SELECT count(*) FROM kafka_retries WHERE topic = '$topic' AND due_at > now()",
		$count, $what);
}

$kafka->produce($again, ['warm up']);
$node->becomes("SELECT count(*) FROM retried WHERE topic = '$again'",
	'1', 'a retry consumer runs');
$clock->set(1800);
$kafka->produce($again, ['in a row']);
$kafka->produce($keyed, ['in order'], '-k', 'k');
parked_is($again, 1, 'a message to be parked');
parked_is($keyed, 1, 'a message to be parked in order');
$node->safe_psql('postgres', q{ALTER SERVER shop OPTIONS (ADD retry_workers '0')});
$node->wait_for(
	q{SELECT count(*) FROM kafka_consumer_health WHERE role = 'retry'}, 0,
	'no retry consumer');
$kafka->produce($again, ['in the topic']);
$kafka->wait_for_records("$again.retry", 3);
$clock->set(0);
$node->safe_psql('postgres', q{
	ALTER SERVER shop OPTIONS (SET retry_workers '1');
	SELECT pg_terminate_backend(pid) FROM kafka_consumer_health WHERE role = 'main'});
$node->becomes("SELECT string_agg(id, ', ' ORDER BY id) FROM retried WHERE topic = '$again'",
	'in a row, in the topic, warm up',
	'retries of a clock that was set back run, parked or not');
$node->becomes("SELECT id FROM retried WHERE topic = '$keyed'",
	'in order', '... and in order');

# the same while a retry consumer runs
$clock->set(1800);
$kafka->produce($again, ['while it runs']);
parked_is($again, 1, 'one more to be parked');
$clock->set(0);
$node->becomes("SELECT count(*) FROM retried WHERE id = 'while it runs'",
	'1', '... and under a consumer that runs');
# a copy that was written by the clock that was ahead, and sent by this one
my $service = $node->safe_psql('postgres',
	q{SELECT option_value FROM pg_options_to_table(
		(SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'shop'))
	   WHERE option_name = 'service_name'});
$kafka->produce("$again.retry", ['sent afterwards'],
	map { ('-H', $_) } ("x-service=$service", 'x-retry-attempt=1', 'x-retry-delay=8000',
		'x-retry-at=' . 1000 * (time() + 1800), "x-original-topic=$again"));
$node->becomes("SELECT count(*) FROM retried WHERE id = 'sent afterwards'",
	'1', '... and of a copy that was sent afterwards');
is($node->safe_psql('postgres', 'SELECT min(attempt), max(attempt) FROM retried'),
	'1|1', 'each at its first retry');
$node->stays_up_ok;
$node->stop;

done_testing();
