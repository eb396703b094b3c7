# Data that a type or user code cannot take, with SQLSTATEs that otherwise mean
# a deployment that is wrong: such messages are dead letters, the others go on,
# and no view or line of the log shows what was in them.  A deployment that is
# wrong indeed stops the subscription, and a reset has its messages routed.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $node = KafkaEvents::Node->start_new('main');

$node->create_service($kafka, 'shop');

# A value that nobody may see; queries, which are logged, have it in two parts.
my $secret = 'pin4711';
my $is_secret = "LIKE '%pin' || '4711%'";

sub topic
{
	my ($name, $partitions) = @_;

	return $kafka->create_topic($kafka->unique($name),
		partitions => $partitions || 1);
}

sub status
{
	my ($topic) = @_;

	return "SELECT status FROM kafka_subscriptions WHERE topic = '$topic'";
}

sub wait_for_letters
{
	my ($topic, $count) = @_;

	return $node->becomes(
		"SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'",
		$count, "$topic: dead letters");
}

note 'values that their types refuse';
{
	my %types = (
		regclass => [ 'pg_class', $secret, '42P01' ],
		jsonpath => [ '$.a', "\$.a $secret", '42601' ],
		tsvector => [ 'a b', "'$secret", '42601' ],
		regconfig => [ 'english', $secret, '42704' ],
		regprocedure => [ 'now()', "$secret()", '42883' ]);

	foreach my $type (sort keys %types)
	{
		my ($good, $bad, $sqlstate) = @{ $types{$type} };
		my $topic = topic("type_$type");

		$node->safe_psql('postgres', qq{
			CREATE TABLE t_$type (id int, v $type);
			SELECT kafka_subscribe('$topic', into_table => 't_$type')});
		$kafka->produce($topic, [ map {
			sprintf('{"id": %d, "v": "%s"}', $_,
				$_ == 1 || $_ == 6 ? $good : $bad) } 1 .. 6 ]);
		$node->becomes("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t_$type",
			'1 6', "$type: the good ones are rows");
		wait_for_letters($topic, 4);
		is( $node->safe_psql('postgres',
				"SELECT retried_total FROM kafka_metrics WHERE topic = '$topic'"),
			0, "$type: without a retry");
		$node->becomes(qq{
				SELECT DISTINCT sqlstate, (reason $is_secret OR '$type' = 'jsonpath') AND reason LIKE '%(column "v")', attempts
				  FROM kafka_dlq_messages('$topic')},
			"$sqlstate|t|0", "$type: the reason names value and column");
	}
}

note 'a field for a generated column';
{
	my $topic = topic('generated');

	$node->safe_psql('postgres', qq{
		CREATE TABLE generated (id int PRIMARY KEY, g int GENERATED ALWAYS AS IDENTITY);
		SELECT kafka_subscribe('$topic', into_table => 'generated')});
	$kafka->produce($topic,
		[ '{"id": 1}', (map { "{\"id\": $_, \"g\": 5}" } 2 .. 5), '{"id": 6}' ]);
	$node->becomes("SELECT string_agg(id::text, ' ' ORDER BY id) FROM generated",
		'1 6', 'the good ones are rows');
	wait_for_letters($topic, 4);
}

note 'user code that cannot take some values';
{
	my $topic = topic('check', 2);

	$node->safe_psql('postgres', qq{
		CREATE TABLE checked (id int, n numeric CHECK (n::bigint > 0));
		SELECT kafka_subscribe('$topic', into_table => 'checked', max_retries => 0)});

	# more in a row than the circuit breaker would allow
	$kafka->produce_messages($topic,
		{ partition => 0, value => '{"id": 1, "n": 1}' },
		(map { { partition => 0, value => "{\"id\": $_, \"n\": \"NaN\"}" } } 2 .. 31),
		{ partition => 0, value => '{"id": 32, "n": 1}' });
	$node->becomes("SELECT string_agg(id::text, ' ' ORDER BY id) FROM checked",
		'1 32', 'the good ones are rows');
	wait_for_letters($topic, 30);

	# no later one yet: it stops, and goes on when one comes
	$kafka->produce_messages($topic,
		map { { partition => 0, value => "{\"id\": $_, \"n\": \"NaN\"}" } } 41 .. 44);
	$node->becomes(status($topic), 'broken', 'three that fail, and none behind');
	is( $node->safe_psql('postgres',
			"SELECT dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'"),
		32, 'the third one is not routed');
	like( $node->safe_psql('postgres',
			"SELECT status_reason FROM kafka_subscriptions WHERE topic = '$topic'"),
		qr/0A000 \(feature_not_supported\); no later one went well.*kafka_circuit_reset/,
		'the reason says what to do');
	$kafka->produce_messages($topic,
		{ partition => 1, value => '{"id": 45, "n": 1}' });
	$node->becomes(status($topic), 'active', 'one of another partition goes well');
	$node->wait_for('SELECT count(*) FROM checked WHERE id = 45', 1);
	wait_for_letters($topic, 34);
}

note 'their retries do not stop it either';
{
	my $topic = topic('retried');

	$node->safe_psql('postgres', qq{
		CREATE TABLE texts (id int, body tsvector);
		CREATE FUNCTION store_text(e jsonb) RETURNS void LANGUAGE sql AS \$\$
			INSERT INTO texts VALUES ((e->>'id')::int, to_tsvector((e->>'lang')::regconfig, 'a cat'))
		\$\$;
		SELECT kafka_subscribe('$topic', handler => 'store_text', max_retries => 2,
			initial_delay => '100 ms')});
	$kafka->produce($topic, [ map {
		sprintf('{"id": %d, "lang": "%s"}', $_,
			$_ == 1 || $_ == 9 ? 'english' : $secret) } 1 .. 9 ]);
	$node->becomes("SELECT string_agg(id::text, ' ' ORDER BY id) FROM texts",
		'1 9', 'the good ones have their effect');
	wait_for_letters($topic, 7);
	is($node->safe_psql('postgres', status($topic)), 'active', 'it goes on');
}

note 'a deployment that is wrong: nothing is routed but by hand';
{
	my $topic = topic('wrong');

	$node->safe_psql('postgres', qq{
		CREATE TABLE calls (id int);
		CREATE FUNCTION wrong(e jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
		BEGIN
			INSERT INTO calls VALUES ((e->>'id')::int);
			INSERT INTO not_yet VALUES ((e->>'id')::int);
		END \$\$;
		SELECT kafka_subscribe('$topic', handler => 'wrong', max_retries => 0,
			breaker_threshold => 5, breaker_timeout => '1 hour')});
	$kafka->produce($topic, [ map { "{\"id\": $_}" } 1 .. 40 ]);
	$node->becomes(status($topic), 'broken', 'it stops');
	like( $node->safe_psql('postgres',
			"SELECT status_reason FROM kafka_subscriptions WHERE topic = '$topic'"),
		qr/relation "not_yet" does not exist/, 'names of the source are shown');

	# more arrive, and are tried in vain; what was tried has no effect
	$kafka->produce($topic, [ map { "{\"id\": $_}" } 41 .. 60 ]);
	$node->safe_psql('postgres', "SELECT kafka_consumer_resume('$topic')");
	$node->wait_for("SELECT failures_in_row > 3 FROM kafka_circuit_breakers WHERE topic = '$topic'");
	is( $node->safe_psql('postgres', qq{
			SELECT dead_lettered_total, (SELECT count(*) FROM calls), status
			  FROM kafka_metrics JOIN kafka_subscriptions USING (topic)
			 WHERE topic = '$topic'}),
		'2|0|broken', 'two were routed, none had an effect');
	$node->safe_psql('postgres', "SELECT kafka_circuit_reset('$topic')");
	wait_for_letters($topic, 7);
	is( $node->safe_psql('postgres', status($topic)), 'open',
		'after a reset they are routed, up to the threshold');
	$node->safe_psql('postgres', 'CREATE TABLE not_yet (id int)');
	$node->safe_psql('postgres', "SELECT kafka_circuit_reset('$topic')");
	$node->becomes('SELECT count(*) FROM not_yet', 53, 'the rest succeeds');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM calls'), 53,
		'... once each');
}

note 'texts that user code gives to other errors';
{
	my $topic = topic('texts');

	$node->safe_psql('postgres', qq{
		CREATE TABLE gate (open boolean);
		INSERT INTO gate VALUES (false);
		CREATE FUNCTION full(e jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
		BEGIN
			IF NOT (SELECT open FROM gate) THEN
				RAISE EXCEPTION USING ERRCODE = '53100',
					MESSAGE = 'no space for ' || repeat(e->>'id', 1000000);
			END IF;
			PERFORM kafka_reject(repeat('public ', 100000));
		END \$\$;
		SELECT kafka_subscribe('$topic', handler => 'full')});
	$kafka->produce($topic, ["{\"id\": \"$secret\"}"]);
	$node->wait_for(
		"SELECT status_reason FROM kafka_subscriptions WHERE topic = '$topic'",
		'partition 0: waits for the database: 53100 (disk_full)');
	$node->safe_psql('postgres', 'UPDATE gate SET open = true');
	wait_for_letters($topic, 1);
	is( $node->safe_psql('postgres', qq{
			SELECT length(last_error) < 600 FROM kafka_consumer_health
			 WHERE last_error LIKE '%public public%'}),
		't', 'long texts are cut');
}

is( $node->safe_psql('postgres', qq{
		SELECT count(*) FROM (
			SELECT s::text FROM kafka_subscriptions AS s
			UNION ALL SELECT h::text FROM kafka_consumer_health AS h
			UNION ALL SELECT l::text FROM kafka_consumer_lag AS l
			UNION ALL SELECT c::text FROM kafka_circuit_breakers AS c
			UNION ALL SELECT kafka_health()::text) AS rows(t)
		 WHERE t $is_secret}),
	0, 'no value in any view');
unlike(slurp_file($node->logfile), qr/$secret/,
	'nor in the log')
  or diag(join("\n", grep { /$secret/ } split(/\n/, slurp_file($node->logfile))));
$node->stays_up_ok;
$node->stop;
done_testing();
