# Faults of every kind at random, over everything that the product does at
# once: test/t/190_random_storm.pl has the story.
#
#	my $storm = KafkaEvents::Storm->new(seed => 7, seconds => 60);
#	$storm->start;    a Kafka, a PostgreSQL, subscriptions, producers, sessions
#	$storm->rage;     the faults
#	$storm->heal;     every cause is taken away; from here on 60 s count
#
# What happens, and when, is drawn from the seed before anything starts (draw_plan),
# so that a seed names one storm.  Which process is hit depends on which ones
# there are, and moments on the machine: a seed is a likeness, not a copy.
#
# A fault that lasts is two entries of the plan: its beginning, tried once, and
# its end, tried until it succeeds.  Faults overlap.
#
# Note: nothing here may wait for a process that the storm may have frozen.
# SQL that does is sent by sessions in the background (try_sql, insist).
package KafkaEvents::Storm;

use strict;
use warnings;

use Carp;
use File::Basename qw(dirname);
use IPC::Run;
use Test::More;
use Time::HiRes qw(time usleep);

use PostgreSQL::Test::Utils;

use KafkaEvents::Clock;
use KafkaEvents::Kafka;
use KafkaEvents::Node;

my $scripts = dirname(__FILE__) . '/../../storm';

# What is consumed: by topic its partitions, its ordering, its messages per
# second, of which strict cannot have many: one that fails holds up the others.
# plain goes into a table, too.
our %TOPICS = (
	plain => { partitions => 4, ordering => 'none', rate => 60 },
	keyed => { partitions => 3, ordering => 'key', rate => 30 },
	strict => { partitions => 2, ordering => 'partition', rate => 6 });
our @NAMES = sort keys %TOPICS;

# ------------------------------------------------------------------ the plan

# Each kind of fault: how often, and what draws its entries.  An entry is
# [after seconds, action, arguments...].
my @KINDS = (
	[ 10, sub { [ 0, 'kill', process(), int(rand 8) ] } ],
	[ 3, sub { [ 0, 'terminate', process(), int(rand 8) ] } ],
	[ 8, sub { freeze('process', process(), int(rand 8)) } ],
	[ 4, sub { [ 0, 'postmaster', pick('kill', 'immediate', 'fast') ] } ],
	[ 2, sub { my $down = 0.2 + rand 5;
			return ([ 0, 'broker', pick('kill9', 'stop') ], [ $down, 'broker', 'restart' ]) } ],
	[ 3, sub { freeze('broker') } ],
	[ 3, sub { [ 0, 'clock', pick(-7200, -600, -60, -3, 0, 3, 60, 600, 1800) ] } ],
	[ 7, \&ddl ],
	[ 6, \&rights ],
	[ 6, \&steering ],
	[ 6, sub { [ 0, 'reprocess', pick(@NAMES), pick('', '', '', q{, target => 'retry'},
					', max_messages => 5') ] } ]);

sub pick { return $_[ int(rand @_) ] }

sub process
{
	return pick('main', 'main', 'main', 'retry', 'retry', 'relay', 'relay',
		'manager', 'manager', 'launcher', 'task', 'backend');
}

sub freeze
{
	my ($what, @which) = @_;

	return ([ 0, "freeze_$what", @which ],
		[ 0.5 + rand(rand() < 0.15 ? 20 : 6), "thaw_$what" ]);
}

# A change and what takes it back.
sub for_a_while
{
	my ($seconds, $do, $undo) = @_;

	return ([ 0, 'try_sql', $do ], [ $seconds, 'insist', $undo ]);
}

sub ddl
{
	my $topic = pick(@NAMES);
	my $function = "on_$topic(kafka_message)";
	my $n = int(rand 5);
	my $while = 0.5 + rand 6;

	return pick(
		sub { [ 0, 'try_sql', "ALTER TABLE rows ADD COLUMN IF NOT EXISTS more_$n text DEFAULT 'm'" ] },
		sub { [ 0, 'try_sql', "ALTER TABLE rows DROP COLUMN IF EXISTS more_$n" ] },
		sub { [ 0, 'try_sql', 'ALTER TABLE rows ALTER COLUMN id TYPE ' . pick('bigint', 'integer', 'numeric') ] },
		sub { [ 0, 'try_sql', 'REINDEX TABLE kafka_events.' . pick(qw(positions retries outbox_a outbox_b copies)) ] },
		sub { [ 0, 'try_sql', handler($topic, '-- the same again') ] },
		sub { for_a_while($while, 'ALTER TABLE rows RENAME TO rows_away',
				'ALTER TABLE IF EXISTS rows_away RENAME TO rows') },
		sub { for_a_while($while, 'ALTER TABLE rows RENAME COLUMN id TO id_away', RENAME_ID()) },
		sub { for_a_while($while, "ALTER FUNCTION $function RENAME TO on_${topic}_away", rename_back($topic)) },
		sub { for_a_while($while, 'ALTER TABLE rows ADD CONSTRAINT odd CHECK (id::bigint % 9 <> 4) NOT VALID',
				'ALTER TABLE rows DROP CONSTRAINT IF EXISTS odd') },
		sub { for_a_while($while, handler($topic, "RAISE EXCEPTION 'not now';"), handler($topic)) },
		sub { for_a_while($while, handler($topic, 'PERFORM missing FROM nowhere;'), handler($topic)) },
		sub { for_a_while($while, handler($topic, "RAISE EXCEPTION USING ERRCODE = 'disk_full';"), handler($topic)) },
		(sub { [ 0, 'hold', pick('rows', 'effects', 'mood'), 1 + rand 9 ] }) x 3)->();
}

sub rights
{
	my $topic = pick(@NAMES);
	my $while = 0.5 + rand 8;

	return for_a_while($while, @{ pick(
		[ 'REVOKE INSERT ON rows FROM storm', 'GRANT INSERT ON rows TO storm' ],
		[ 'REVOKE INSERT ON effects FROM storm', 'GRANT INSERT ON effects TO storm' ],
		[ 'REVOKE SELECT ON mood FROM storm', 'GRANT SELECT ON mood TO storm' ],
		[ "REVOKE EXECUTE ON FUNCTION on_$topic FROM PUBLIC", "GRANT EXECUTE ON FUNCTION on_$topic TO PUBLIC" ],
		[ 'ALTER ROLE storm NOLOGIN', 'ALTER ROLE storm LOGIN' ],
		[ 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC' ],
		[ 'ALTER ROLE storm SET default_transaction_read_only = on', 'ALTER ROLE storm RESET ALL' ],
		[ 'REVOKE USAGE ON SCHEMA public FROM PUBLIC', 'GRANT USAGE ON SCHEMA public TO PUBLIC' ]) });
}

sub steering
{
	my $topic = pick(@NAMES);
	my $while = 0.5 + rand 6;

	return pick(
		sub { for_a_while($while, "SELECT kafka_consumer_pause('$topic')", "SELECT kafka_consumer_resume('$topic')") },
		sub { for_a_while($while, workers(pick(0, 1, 3, 4), pick(0, 1, 3)), workers(2, 2)) },
		sub { for_a_while($while, 'ALTER SYSTEM SET kafka_events.enabled = off', 'ALTER SYSTEM RESET kafka_events.enabled'),
			[ 0.1, 'insist', 'SELECT pg_reload_conf()' ], [ $while + 0.2, 'insist', 'SELECT pg_reload_conf()' ] },
		sub { [ 0, 'try_sql', "SELECT kafka_circuit_reset('$topic')" ] },
		sub { [ 0, 'try_sql', "SELECT kafka_consumer_resume('$topic')" ] },
		sub { [ 0, 'try_sql', "SELECT kafka_subscription_alter('$topic', batch_size => " . pick(1, 20, 1000) . ')' ] },
		sub { [ 0, 'try_sql', "SELECT kafka_subscription_alter('$topic', max_retries => " . pick(0, 2, 4) . ')' ] },
		sub { for_a_while($while, "SELECT kafka_subscription_alter('plain', ordering => '" . pick('key', 'partition') . "')",
				q{SELECT kafka_subscription_alter('plain', ordering => 'none')}) })->();
}

# All entries in the order of their times.
sub draw_plan
{
	my ($seed, $seconds) = @_;
	my @lots = map { ($_->[1]) x $_->[0] } @KINDS;
	my @plan;

	srand($seed);
	for (my $at = 1 + rand 2; $at < $seconds; $at += 0.2 + rand 2.2)
	{
		push @plan, map { [ $at + $_->[0], @$_[ 1 .. $#$_ ] ] } pick(@lots)->();
	}
	return sort { $a->[0] <=> $b->[0] } @plan;
}

# ----------------------------------------------------------- pieces of SQL

# A topic's handler, with something that it does first.
sub handler
{
	my ($topic, $first) = @_;

	$first //= '';
	return qq{
CREATE OR REPLACE FUNCTION on_$topic(m kafka_message) RETURNS void LANGUAGE plpgsql AS \$on\$
DECLARE
	n bigint := convert_from(m.value, 'UTF8')::jsonb ->> 'id';
BEGIN
	$first
	IF n % 50 = 21 THEN
		PERFORM kafka_skip('nobody wants it');
	END IF;
	IF (SELECT bad FROM mood) THEN
		IF n % 20 = 7 AND m.attempt = 0 THEN
			RAISE EXCEPTION 'fails once';
		ELSIF n % 60 = 13 THEN
			PERFORM kafka_reject('is no good');
		ELSIF n % 100 = 33 THEN
			RAISE EXCEPTION 'fails always';
		END IF;
	END IF;
	INSERT INTO effects (topic, part, off, id, key, attempt)
	VALUES (m.topic, m.partition, m."offset", n, convert_from(m.key, 'UTF8'), m.attempt);
	PERFORM kafka_produce('out', concat_ws(' ', m.topic, m.partition, m."offset"), key => n::text);
END \$on\$};
}

sub workers
{
	my ($main, $retry) = @_;

	return "ALTER SERVER shop OPTIONS (SET workers '$main', SET retry_workers '$retry')";
}

sub RENAME_ID
{
	return q{DO $$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attname = 'id_away') THEN
		ALTER TABLE IF EXISTS rows RENAME COLUMN id_away TO id;
		ALTER TABLE IF EXISTS rows_away RENAME COLUMN id_away TO id; END IF; END $$};
}

sub rename_back
{
	my ($topic) = @_;

	return qq{DO \$\$ BEGIN IF to_regprocedure('on_${topic}_away(kafka_message)') IS NOT NULL THEN
		DROP FUNCTION IF EXISTS on_$topic(kafka_message);
		ALTER FUNCTION on_${topic}_away(kafka_message) RENAME TO on_$topic; END IF; END \$\$};
}

my $tables = q{
	CREATE ROLE storm LOGIN;
	CREATE TABLE mood (bad boolean);
	INSERT INTO mood VALUES (true);
	CREATE TABLE effects (arrival bigint GENERATED ALWAYS AS IDENTITY, topic text, part int,
		off bigint, id bigint, key text, attempt int, at timestamptz DEFAULT clock_timestamp());
	CREATE TABLE rows (id bigint NOT NULL, kafka_topic text, kafka_partition int, kafka_offset bigint);
	CREATE TABLE produced (serial uuid);
	GRANT INSERT ON effects, rows TO storm;
	GRANT SELECT ON mood TO storm;
	CREATE FUNCTION put(count int) RETURNS void LANGUAGE sql AS $$
		WITH new AS (INSERT INTO produced SELECT gen_random_uuid() FROM generate_series(1, count) RETURNING serial)
		SELECT kafka_produce('out', 'app ' || serial, key => serial::text) FROM new
	$$};

# What takes every cause away.  Resuming is what a person would do where a
# partition has stopped.
sub cures
{
	return ('ALTER SYSTEM RESET kafka_events.enabled',
		'SELECT pg_reload_conf()',
		'ALTER ROLE storm LOGIN', 'ALTER ROLE storm RESET ALL',
		'GRANT CONNECT ON DATABASE postgres TO PUBLIC',
		'GRANT USAGE ON SCHEMA public TO PUBLIC',
		'ALTER TABLE IF EXISTS rows_away RENAME TO rows', RENAME_ID(),
		'ALTER TABLE rows DROP CONSTRAINT IF EXISTS odd',
		'GRANT INSERT ON effects, rows TO storm',
		'GRANT SELECT ON mood TO storm',
		workers(2, 2),
		(map { (rename_back($_), handler($_), "GRANT EXECUTE ON FUNCTION on_$_ TO PUBLIC") } @NAMES),
		q{SELECT kafka_subscription_alter('plain', ordering => 'none')},
		(map { ("SELECT kafka_subscription_alter('$_', max_retries => 2)",
			"SELECT kafka_consumer_resume('$_')") } @NAMES));
}

# --------------------------------------------------------------- beginnings

sub new
{
	my ($class, %args) = @_;

	return bless {
		%args,
		dir => PostgreSQL::Test::Utils::tempdir('storm'),
		clock => KafkaEvents::Clock->new,
		jobs => [],
		count => {}
	}, $class;
}

sub node { return $_[0]->{node} }
sub kafka { return $_[0]->{kafka} }
sub journal { return "$_[0]->{dir}/journal.$_[1]" }

sub start
{
	my ($self) = @_;
	my $kafka = $self->{kafka} = KafkaEvents::Kafka->start_own;

	$self->{node} = $self->{clock}->run(sub {
		KafkaEvents::Node->start_new("storm_$self->{seed}",
			conf => "max_prepared_transactions = 20\nmax_connections = 60\n") });
	$kafka->create_topic($_, partitions => $TOPICS{$_}->{partitions}) foreach @NAMES;
	$kafka->create_topic('out', partitions => 3);
	$self->{service} = $self->{node}->create_service($kafka, 'shop', workers => 2, retry_workers => 2,
		compression => 'none', session_timeout => 10000);
	$self->{node}->safe_psql('postgres', join ';', $tables,
		'ALTER SERVER shop OWNER TO storm', map({ handler($_) } @NAMES));
	foreach my $topic (@NAMES)
	{
		my $table = $topic eq 'plain' ? ", into_table => 'rows'" : '';

		$self->{node}->safe_psql('postgres', qq{
			SELECT kafka_subscribe('$topic', handler => 'on_$topic' $table,
				ordering => '$TOPICS{$topic}->{ordering}', max_retries => 2, initial_delay => '200 ms',
				max_delay => '500 ms', breaker_timeout => '2 s')});
		push @{ $self->{producers} }, $kafka->start_producer($topic, count => 10_000_000,
			rate => $TOPICS{$topic}->{rate}, batch => 6, keys => 23,
			journal => $self->journal($topic), persistent => undef);
	}
	$self->{sessions} = $self->_start_script('sessions', $self->{seed});
	$self->{watchers} = [ map { $self->_start_script('watch', $_) } 'views', 'health' ];
	$self->{began} = time();
	return;
}

# One of test/storm's scripts, until its file "run" is gone.
sub _start_script
{
	my ($self, $script, $argument) = @_;
	my $run = "$self->{dir}/run.$script.$argument";

	append_to_file($run, '');
	return {
		run => $run,
		output => "$self->{dir}/$script.$argument",
		handle => IPC::Run::start([ 'bash', "$scripts/$script",
				$self->{node}->connstr('postgres'), $run, $argument ],
			'<', \undef, '>', "$self->{dir}/$script.$argument", '2>&1')
	};
}

sub _stop_script
{
	my ($self, $script) = @_;

	unlink $script->{run};
	$script->{handle}->finish;
	return;
}

# A storm that dies leaves nothing behind that is frozen.
my @frozen;

END
{
	kill 'CONT', $_ foreach @frozen;
}

# ------------------------------------------------------------------- faults

sub rage
{
	my ($self) = @_;
	my @plan = draw_plan($self->{seed}, $self->{seconds});

	my $parent = getppid();

	foreach my $entry (@plan)
	{
		croak 'nobody waits for this storm any more' if getppid() != $parent;
		my ($at, $action, @arguments) = @$entry;
		my $early = $at - (time() - $self->{began});

		last if $at > $self->{seconds} || -$early > 30;
		usleep(1e6 * $early) if $early > 0;
		$self->_note($action, @arguments);
		$self->{count}->{$action}++;
		my $code = $self->can("_do_$action") or croak "no action $action";
		$code->($self, @arguments);
		$self->_reap;
	}
	return;
}

sub _note
{
	my ($self, @words) = @_;
	my $text = join ' ', @words;

	$text =~ s/\s+/ /g;
	note sprintf '%6.1f %s', time() - $self->{began}, substr($text, 0, 110);
	return;
}

# A process of a kind, or nothing.
sub _find
{
	my ($self, $kind, $which) = @_;
	my $condition =
	    $kind eq 'backend' ? q{backend_type = 'client backend' AND pid <> pg_backend_pid()}
	  : $kind eq 'main' || $kind eq 'retry' ? "backend_type = 'kafka_events consumer' AND application_name LIKE '%-$kind-%'"
	  : "backend_type = 'kafka_events $kind'";
	my ($status, $out) = $self->_psql(
		"SELECT pid FROM pg_stat_activity WHERE $condition ORDER BY application_name, pid");
	my @pids = split /\n/, $out // '';

	return @pids ? $pids[ $which % @pids ] : undef;
}

# At once: a server that is away is no error.
sub _psql
{
	my ($self, $sql) = @_;
	my ($out, $err) = ('', '');

	local $ENV{PGOPTIONS} = '-c statement_timeout=5s';
	local $ENV{PGCONNECT_TIMEOUT} = 5;
	my $ok = IPC::Run::run([ 'timeout', '10', 'psql', '-XAtq', '-d',
			$self->{node}->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$out, '2>', \$err);
	chomp $out;
	return ($ok, $out, $err);
}

sub _signal
{
	my ($self, $signal, $kind, $which) = @_;
	my $pid = $self->_find($kind, $which);

	return kill($signal, $pid) ? $pid : undef if $pid;
	$self->_note("         no $kind");
	return;
}

sub _do_kill { my ($self, @which) = @_; return $self->_signal('KILL', @which) }
sub _do_terminate { my ($self, @which) = @_; return $self->_signal('TERM', @which) }

sub _do_freeze_process
{
	my ($self, @which) = @_;
	my $pid = $self->_signal('STOP', @which);

	push @{ $self->{frozen_processes} }, $pid if $pid;
	push @frozen, $pid if $pid;
	return;
}

sub _do_thaw_process
{
	my ($self) = @_;
	my $pid = shift @{ $self->{frozen_processes} };

	kill 'CONT', $pid if $pid;
	return;
}

sub _do_postmaster
{
	my ($self, $how) = @_;
	my $node = $self->{node};

	$self->{clock}->run(sub {
		# A clean stop waits for those that are frozen, and PostgreSQL does
		# not start beside them, as it has to.
		$self->_do_thaw_process while @{ $self->{frozen_processes} || [] };
		if ($how eq 'kill')
		{
			$node->crash;
			return;
		}
		my $now = time();
		$node->stop('immediate')
		  if $how eq 'immediate' || !$node->stop('fast', fail_ok => 1);
		$self->_note(sprintf '         stopped in %.1f s', time() - $now);
		$node->start;
	});
	return;
}

sub _do_broker
{
	my ($self, $how) = @_;
	my $kafka = $self->{kafka};

	$self->_do_thaw_broker;
	if ($self->_broker_starts)
	{
		$self->_note('         it starts just now');
	}
	elsif ($how eq 'restart')
	{
		$self->{broker_start} = $kafka->start_restart unless $kafka->runs;
	}
	elsif ($kafka->runs)
	{
		$kafka->$how;
	}
	return;
}

# Does somebody start the broker?
sub _broker_starts
{
	my ($self, $wait) = @_;
	my $start = $self->{broker_start} or return 0;

	return 1 if !$wait && _still_runs($start);
	$start->finish or croak 'the broker does not start';
	delete $self->{broker_start};
	return 0;
}

sub _do_freeze_broker { my ($self) = @_; return $self->{kafka}->runs && $self->{kafka}->freeze }
sub _do_thaw_broker { my ($self) = @_; return $self->{kafka}->runs && $self->{kafka}->thaw }
sub _do_clock { my ($self, $ahead) = @_; return $self->{clock}->set($ahead) }

sub _do_try_sql
{
	my ($self, $sql) = @_;

	return $self->_session(1, $sql);
}

sub _do_insist
{
	my ($self, $sql) = @_;

	return $self->_session(100, $sql);
}

# A session that holds a lock.
sub _do_hold
{
	my ($self, $table, $seconds) = @_;

	return $self->_session(1, "BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep($seconds); COMMIT", 20);
}

sub _do_reprocess
{
	my ($self, $topic, $how) = @_;

	return $self->_session(1, "SELECT total, successful, failed FROM kafka_dlq_reprocess('$topic' $how)", 60);
}

sub _session
{
	my ($self, $tries, $sql, $seconds) = @_;
	my $job = { sql => $sql, out => '' };

	$seconds ||= 4;
	$job->{handle} = IPC::Run::start([ 'bash', '-c',
			'for i in $(seq "$1"); do timeout 70 psql -XAtq -v ON_ERROR_STOP=1 -d "$2" -c "$3" && exit; sleep 0.3; done; exit 1',
			'session', $tries, $self->{node}->connstr('postgres')
			  . " options='-c client_min_messages=error -c lock_timeout=2s -c statement_timeout=${seconds}s'",
			$sql ],
		'<', \undef, '>', \$job->{out}, '2>&1');
	push @{ $self->{jobs} }, $job;
	return;
}

# Without waiting; pumping one that has just ended raises.
sub _still_runs
{
	my ($handle) = @_;

	return eval { $handle->pump_nb; 1 } && $handle->pumpable;
}

# Sessions that have ended say what came of it.
sub _reap
{
	my ($self) = @_;
	my @running;

	foreach my $job (@{ $self->{jobs} })
	{
		if (_still_runs($job->{handle}))
		{
			push @running, $job;
			next;
		}
		$job->{handle}->finish;
		my ($said) = $job->{out} =~ /^(?:ERROR|FATAL|psql: error):\s+(.*)/m;
		$self->_note('         ' . ($said // "did $job->{out}"),
			'<-', substr($job->{sql} =~ s/\s+/ /gr, 0, 40))
		  if defined $said || $job->{sql} =~ /reprocess/;
	}
	$self->{jobs} = \@running;
	return;
}

# ------------------------------------------------------------------ the end

# Take every cause away.  Returns when there is none any more.
sub heal
{
	my ($self) = @_;

	$self->_note('heals');
	$self->_do_thaw_process while @{ $self->{frozen_processes} || [] };
	$self->_do_thaw_broker;
	$self->_broker_starts('wait');
	$self->{kafka}->restart unless $self->{kafka}->runs;
	$self->{clock}->set(0);
	# one that has just ended raises
	eval { $_->{handle}->kill_kill } foreach @{ $self->{jobs} };
	$self->{node}->ask(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE query ~ '^(BEGIN; LOCK|SELECT total)'});
	$self->{node}->ask("SET lock_timeout = '5 s'; $_") foreach cures();
	$self->{healed} = time();
	$self->_note('healed');
	return;
}

# Nothing more is produced, by anybody.
sub quiet
{
	my ($self) = @_;

	$_->signal('TERM') foreach @{ $self->{producers} };
	$_->finish or croak 'a producer failed' foreach @{ $self->{producers} };
	$self->_stop_script($self->{sessions});
	$self->{node}->ask($_) foreach split /\n/, $self->{node}->ask(
		q{SELECT format('COMMIT PREPARED %L', gid) FROM pg_prepared_xacts});
	return;
}

sub stop_watching
{
	my ($self) = @_;

	$self->_stop_script($_) foreach @{ $self->{watchers} };
	return;
}

sub stop
{
	my ($self) = @_;

	$self->{node}->stop;
	$self->{kafka}->stop;
	return;
}

# What the watchers have written.
sub watched { return slurp_file("$_[0]->{dir}/watch.$_[1]") }

1;
