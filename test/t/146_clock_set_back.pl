
# The machine's clock is set back two hours: no interval of ours becomes
# longer by it.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $clock = KafkaEvents::Clock->new;
my ($fails, $plain) =
  map { $kafka->create_topic($kafka->unique($_)) } qw(fails plain);
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
$node->stays_up_ok;
$node->stop;

done_testing();
