# One trace through everything that happens to a message: what its handler
# produces, the retries and the dead letter of that, and its second life.  The
# headers are read by KafkaJS, which knows nothing of ours.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my ($orders, $invoices, $batches, $kept, $lost) =
  map { $kafka->create_topic($kafka->unique($_)) } qw(orders invoices batches kept lost);
my $node = KafkaEvents::Node->start_new('main');
my $service = $node->create_service($kafka, 'shop', compression => 'none');

# as the recommendation writes them
my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
my $parent = "00-$trace-00f067aa0ba902b7-01";
my $state = 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE';
my $own = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';

$node->safe_psql('postgres', qq{
	CREATE TABLE seen (what text, key text, trace text, attempt int);
	CREATE TABLE repaired (since timestamptz);
	CREATE FUNCTION note(what text) RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE it kafka_message := kafka_current_message();
	BEGIN
		INSERT INTO seen VALUES (what, convert_from(it.key, 'UTF8'), kafka_trace_id(), it.attempt);
	END \$\$;
	CREATE FUNCTION on_order(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		PERFORM note('order');
		RAISE LOG 'an order is handled';
		PERFORM kafka_produce('$invoices', '{}', m ->> 'key', headers => m -> 'headers');
		IF m ? 'nowhere' THEN
			PERFORM kafka_produce('$invoices', '{}', partition => 99);
		END IF;
	END \$\$;
	CREATE FUNCTION on_invoice(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF NOT EXISTS (SELECT FROM repaired) THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		PERFORM note('invoice');
	END \$\$;
	CREATE FUNCTION on_batch(batch kafka_message[]) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		INSERT INTO seen SELECT 'batch', convert_from(m.key, 'UTF8'), kafka_trace_id() FROM unnest(batch) m;
		PERFORM kafka_produce('$invoices', '{}', convert_from(m.key, 'UTF8') || ' of a batch',
			headers => CASE WHEN m.value = 'passes it on'
				THEN jsonb_build_object('traceparent', m.headers -> 'traceparent') END)
		   FROM unnest(batch) m;
	END \$\$;
	CREATE FUNCTION on_kept(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF (kafka_current_message()).attempt = 0 THEN
			RAISE EXCEPTION 'once more';
		END IF;
		PERFORM note('kept');
	END \$\$;
	CREATE FUNCTION on_lost(m jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		RAISE EXCEPTION 'never';
	END \$\$;
	SELECT kafka_subscribe('$orders', handler => 'on_order');
	SELECT kafka_subscribe('$invoices', handler => 'on_invoice', max_retries => 1,
		initial_delay => '100 ms', max_delay => '100 ms', breaker_threshold => 0);
	SELECT kafka_subscribe('$batches', handler => 'on_batch');
	SELECT kafka_subscribe('$kept', handler => 'on_kept', ordering => 'key', initial_delay => '100 ms');
	SELECT kafka_subscribe('$lost', handler => 'on_lost', max_retries => 0, dlq => false)});
is($node->safe_psql('postgres', 'SELECT kafka_trace_id() IS NULL'), 't',
	'outside of a handler there is no trace');

# Headers of the messages of a topic, by key: "traceparent tracestate", where
# there is none a dash, all values of a header that is there several times.
sub traces
{
	my ($topic) = @_;
	my %traces;

	foreach my $message ($kafka->consume_bytes($topic))
	{
		push @{ $traces{ $message->{key} // 'none' } }, join ' ', map {
			my $name = $_;
			my @values = map { $_->[1] // 'null' }
			  grep { $_->[0] eq $name } @{ $message->{headers} };
			@values ? join '+', @values : '-';
		} qw(traceparent tracestate);
	}
	return \%traces;
}

my %traced = (headers => { traceparent => $parent, tracestate => $state });

# ---- hop by hop

$kafka->produce_messages($orders,
	{ key => 'plain', value => '{"key": "plain"}', %traced },
	{ key => 'more', value => '{"key": "more", "headers": {"tenant": "acme"}}', %traced },
	{ key => 'own', value => qq({"key": "own", "headers": {"traceparent": "$own"}}), %traced },
	{ key => 'cut', value => '{"key": "cut", "headers": {"traceparent": null}}', %traced },
	{ key => 'state', value => '{"key": "state", "headers": {"tracestate": "mine=1"}}', %traced },
	{ key => 'none', value => '{"key": "none"}' },
	{ key => 'broken', value => '{"key": "broken"}',
		headers => { traceparent => uc $parent, tracestate => $state } },
	{ key => 'nowhere', value => '{"key": "nowhere", "nowhere": true}', %traced });
my @keys = qw(broken cut more none nowhere own plain state);

$node->wait_for(
	"SELECT message_count, pending FROM kafka_dlq_stats('$invoices')",
	'8|8', 'what the handler produced to fail, and to fail again');
my %expected = (
	(map { $_ => ["$parent $state"] } qw(plain more nowhere)),
	own => ["$own -"],
	cut => ['null -'],
	state => ["$parent mine=1"],
	none => ['- -'],
	broken => ['- -']);
is_deeply(traces($invoices), \%expected, 'what a handler produces belongs to its trace');
is_deeply(traces("$invoices.retry"), \%expected, '... and so do the retry copies of that');
is_deeply(traces("$invoices.dlq"), \%expected, '... and its dead letters');
is( $node->safe_psql('postgres', q{
		SELECT key, trace FROM seen WHERE what = 'order' ORDER BY key}),
	join("\n", map { "$_|" . (/^(broken|none)$/ ? '' : $trace) } @keys),
	'handlers see the id');

$node->safe_psql('postgres', qq{
	INSERT INTO repaired VALUES (now());
	SELECT FROM kafka_dlq_reprocess('$invoices')});
$node->becomes(
	q{SELECT key, trace FROM seen WHERE what = 'invoice' ORDER BY key},
	join("\n", map {
			"$_|" . (/^(broken|cut|none)$/ ? '' : /own/ ? substr($own, 3, 32) : $trace)
	} @keys),
	'reprocessed dead letters are still of that trace');
is_deeply(traces($invoices), { map { $_ => [ (@{ $expected{$_} }) x 2 ] } keys %expected },
	'... also for others that read the topic');

# a copy of another system's keeps what it has, whatever it is
$kafka->produce_messages("$invoices.retry",
	{ key => 'odd', value => '"', headers => { traceparent => '00-4bf92f-00f067-01', 'x-retry-attempt' => '1' } });
$node->wait_for("SELECT message_count FROM kafka_dlq_stats('$invoices')", '9', 'another dead letter');
is(traces("$invoices.dlq")->{odd}[0], '00-4bf92f-00f067-01 -',
	'copies are not told what a traceparent is');

# ---- the log

my $log = slurp_file($node->logfile);
like($log, qr/LOG:  an order is handled\n.*CONTEXT:.*\n(?:\t.*\n)*?\tmessage at offset 0 of partition 0 of topic "$orders", trace $trace\n/,
	'what a handler logs has the trace in its context');
like($log, qr/\tmessage at offset 5 of partition 0 of topic "$orders"\n/, '... where there is one');
$node->wait_for_log(qr/LOG:  parked a message to topic "$invoices", trace $trace: /);
pass('... so has a message that no broker takes');
$kafka->produce_messages($lost, { value => '{}', %traced });
$node->wait_for_log(
	qr/LOG:  message at offset 0 of partition 0 of topic "$lost", trace $trace is passed over: P0001/);
pass('... and one that is passed over');
$node->becomes(
	qq{SELECT last_error FROM kafka_consumer_health WHERE role = 'main'},
	qq{message at offset 0 of partition 0 of topic "$lost", trace $trace: P0001 (raise_exception)},
	'... also in the view');

# ---- retries in the database, and batches

$kafka->produce_messages($kept, { key => 'kept', value => '{}', %traced });
$node->becomes(q{SELECT trace, attempt FROM seen WHERE what = 'kept'},
	"$trace|1", 'a message that waited in the database comes with its trace');
$kafka->produce_messages($batches,
	{ key => 'one', value => 'passes nothing on', %traced },
	{ key => 'two', value => 'passes it on', %traced });
$node->becomes(q{SELECT key, trace FROM seen WHERE what = 'batch' ORDER BY key},
	"one|\ntwo|", 'a batch belongs to no trace');
$node->wait_for(q{SELECT pending_total FROM kafka_outbox_status}, '0', 'the outbox to be empty');
my $traces = traces($invoices);
is($traces->{'one of a batch'}[0], '- -', 'what its handler produces neither');
is($traces->{'two of a batch'}[0], "$parent -", '... unless it says so');

$node->stays_up_ok;
$node->stop;

done_testing();
