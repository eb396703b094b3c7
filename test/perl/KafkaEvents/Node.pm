# A PostgreSQL server with the extension.  See the head of KafkaEvents::Test
# for how to use it.
package KafkaEvents::Node;

use strict;
use warnings;

use Carp;
use Test::More;
use Time::HiRes qw(usleep);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

use parent -norequire, 'PostgreSQL::Test::Cluster';

# A running server, preloaded, with the extension in database postgres.
sub start_new
{
	my ($class, $name, %args) = @_;
	my $node = $class->new($name, install_path => $args{install_path});

	$node->init(%{ $args{init} || {} });
	$node->append_conf('postgresql.conf', <<CONF);
shared_preload_libraries = 'kafka_events'
restart_after_crash = on
max_worker_processes = 16
log_min_messages = info
CONF
	$node->append_conf('postgresql.conf', $args{conf}) if $args{conf};
	$node->start;
	my $version = $args{version} || $ENV{EXTENSION_VERSION};
	$node->safe_psql('postgres', 'CREATE EXTENSION kafka_events'
		  . ($version ? " VERSION '$version'" : ''));
	return $node;
}

# A foreign server with this name; its service has a name that no other test
# file uses, which is returned.
sub create_service
{
	my ($self, $kafka, $server, %options) = @_;

	$options{bootstrap_servers} ||= $kafka->address;
	$options{service_name} ||= $kafka->unique($server);
	my $list = join ', ',
	  map { "\"$_\" '$options{$_}'" } sort keys %options;
	$self->safe_psql('postgres',
		"CREATE SERVER \"$server\" FOREIGN DATA WRAPPER kafka_events OPTIONS ($list)"
	);
	return $options{service_name};
}

# A running server that was recovered from a backup to an earlier position in
# the WAL; conf is what else stands in its configuration.
sub start_recovered
{
	my ($class, $name, $primary, $backup, $lsn, $conf) = @_;
	my $node = $class->new($name);

	$node->init_from_backup($primary, $backup, has_restoring => 1);
	$node->append_conf('postgresql.conf', <<CONF);
archive_mode = off
recovery_target_lsn = '$lsn'
recovery_target_action = 'promote'
CONF
	$node->append_conf('postgresql.conf', $conf) if $conf;
	$node->set_recovery_mode;
	$node->start;
	$node->wait_for('SELECT pg_is_in_recovery()', 'f', 'the promotion');
	return $node;
}

# What kafka_dlq_reprocess makes of these arguments: total, successful and
# failed; then each failure.
sub reprocess
{
	my ($self, $arguments) = @_;

	return $self->safe_psql(
		'postgres', qq{
		SET client_min_messages = warning;
		CREATE TEMPORARY TABLE run AS SELECT * FROM kafka_dlq_reprocess($arguments);
		SELECT total, successful, failed FROM run;
		SELECT message->>'offset', message->>'error'
		  FROM run, jsonb_array_elements(messages) message
		 WHERE message->>'status' = 'failed' ORDER BY (message->>'offset')::int});
}

# Where the server is away, psql may end before it has read its query; then
# IPC::Run dies of the pipe, and nothing has been asked yet.
sub _despite_pipes
{
	my ($ask) = @_;
	my @answer;

	foreach (1 .. 100)
	{
		return @answer if eval { @answer = $ask->(); 1 };
		die $@ unless $@ =~ /Broken pipe/;
		usleep(100_000);
	}
	die $@;
}

sub psql
{
	my ($self, @arguments) = @_;
	my @answer = _despite_pipes(sub { $self->SUPER::psql(@arguments) });

	return wantarray ? @answer : $answer[0];
}

sub poll_query_until
{
	my ($self, @arguments) = @_;

	return (_despite_pipes(
			sub { scalar $self->SUPER::poll_query_until(@arguments) }))[0];
}

# Ask a server that may be away at any moment, until it answers.
sub ask
{
	my ($self, $query) = @_;
	my $deadline = time() + 60;
	my ($status, $out, $err);

	do
	{
		($status, $out, $err) = $self->psql('postgres', $query);
		return $out if defined $status && $status == 0;
		usleep(100_000);
	} while (time() < $deadline);
	croak "$query: $err";
}

# Poll until the query's output is what is expected; a failure here is the
# test's end, and says in what state everything is.
sub wait_for
{
	my ($self, $sql, $expected, $what) = @_;

	$expected = 't' unless defined $expected;
	return 1 if $self->poll_query_until('postgres', $sql, $expected);
	diag($self->state);
	croak 'timed out waiting for ' . ($what || $sql);
}

# A test of what takes a moment to be true: the query's output is this, now or
# soon.
sub becomes
{
	my ($self, $sql, $expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return pass($name) if $self->poll_query_until('postgres', $sql, $expected);
	return is($self->safe_psql('postgres', $sql), $expected, $name);
}

# The positions that kafka_consumer_lag shows, in partition order.
sub positions
{
	my ($self, $topic) = @_;

	return $self->safe_psql('postgres', _positions_query($topic));
}

sub _positions_query
{
	my ($topic) = @_;

	return qq{
		SELECT array_agg("position" ORDER BY partition)
		  FROM kafka_consumer_lag
		 WHERE topic = '$topic' AND role = 'main'};
}

# Until everything that is in the topic now has had its effect.
sub wait_until_drained
{
	my ($self, $kafka, $topic) = @_;
	my $ends = '{' . join(',', $kafka->end_offsets($topic)) . '}';

	return $self->wait_for(_positions_query($topic), $ends,
		"$topic to be consumed up to $ends");
}

sub wait_for_workers
{
	my ($self, $server, $count) = @_;

	return $self->wait_for(
		qq{SELECT count(*) FROM kafka_consumer_health
			WHERE server = '$server' AND status = 'running'},
		$count,
		"$count running workers of $server");
}

# The process id of one worker, or '' if it does not run.
sub worker_pid
{
	my ($self, $server, $role, $ordinal) = @_;

	$role ||= 'main';
	$ordinal ||= 0;
	return $self->safe_psql(
		'postgres', qq{
		SELECT pid FROM kafka_consumer_health
		 WHERE server = '$server' AND role = '$role'
		   AND consumer_id LIKE '%-$role-$ordinal'});
}

# Signal one worker (KILL takes the whole server through crash recovery) and
# return its process id.
sub kill_worker
{
	my ($self, $server, $signal, $role, $ordinal) = @_;
	my $pid = $self->worker_pid($server, $role, $ordinal);

	croak "no such worker of $server" if $pid eq '';
	kill($signal || 'KILL', $pid)
	  or croak "could not signal worker $pid of $server: $!";
	return $pid;
}

# What a power cut does, as far as processes go.
sub crash
{
	my ($self) = @_;
	my $postmaster = $self->{_pid};

	$self->kill9;
	foreach (1 .. 300)
	{
		# its children keep the shared memory until they have noticed
		return if !kill(0, $postmaster) && $self->start(fail_ok => 1);
		usleep(100_000);
	}
	croak 'server does not start after a crash';
}

# For tests that need crash points, or the fence taken out: they are compiled
# into test builds only.
sub skip_unless_test_build
{
	my ($self) = @_;

	plan skip_all => 'not a test build (COPT=-DKE_TESTING)'
	  if $self->safe_psql('postgres',
		"SELECT count(*) FROM pg_settings WHERE name = 'kafka_events.test_fence'")
	  eq '0';
	return;
}

# The file that a process leaves that died at a crash point, with the point's
# name.  While it is there, no other one does.
sub crash_marker { return $_[0]->data_dir . '/kafka_events.crashed' }

# From now on: the first process that comes to this crash point dies there.
sub crash_at
{
	my ($self, $point) = @_;

	$self->append_conf('postgresql.conf',
		"kafka_events.test_crash_point = '$point'");
	$self->reload;
	$self->poll_query_until('postgres', 'SHOW kafka_events.test_crash_point',
		$point);
	$self->{crash_point} = $point;
	unlink $self->crash_marker;
	return;
}

# Wait until one has; false if none does within so many seconds.  One that had
# not heard yet may have died at the point before.
sub has_crashed
{
	my ($self, $seconds) = @_;

	$seconds ||= $PostgreSQL::Test::Utils::timeout_default;
	foreach (1 .. 10 * $seconds)
	{
		my $where = -s $self->crash_marker ? slurp_file($self->crash_marker) : '';

		return 1 if $where ne '' && $where eq ($self->{crash_point} // $where);
		unlink $self->crash_marker if $where ne '';
		usleep(100_000);
	}
	return 0;
}

# A test: since the server's first start none of its processes was ended by
# a signal, an assertion or a PANIC, and none wrote past its memory, which a
# PostgreSQL with assertions finds.  Of no use where the test itself kills.
sub stays_up_ok
{
	my ($self, $name) = @_;
	my $log = slurp_file($self->logfile);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return unlike($log, qr/terminated by signal|TRAP:|PANIC:|problem in (?:alloc set|Generation|slab) /,
		$name || 'no process died of a signal');
}

sub state
{
	my ($self) = @_;
	my $text = '';
	my $databases = $self->safe_psql('postgres',
		'SELECT datname FROM pg_database WHERE datallowconn');

	foreach my $database (split /\n/, $databases)
	{
		foreach my $query (
			'TABLE kafka_consumer_health',
			'SELECT subscription, status, status_reason FROM kafka_subscriptions',
			'TABLE kafka_consumer_lag',
			q{SELECT pid, backend_type, state, wait_event, query
				FROM pg_stat_activity
			   WHERE backend_type LIKE 'kafka%'
				 AND datname = current_database()})
		{
			my ($out, $err) = ('', '');

			$self->psql(
				$database, $query,
				stdout => \$out,
				stderr => \$err,
				extra_params => ['--expanded']);
			$text .= "$database: $query\n$out\n" if $out ne '';
		}
	}
	return $text . "end of the server's log:\n" . _tail($self->logfile, 40);
}

sub _tail
{
	my ($file, $count) = @_;
	my @lines = split /\n/, slurp_file($file);

	@lines = @lines[ -$count .. -1 ] if @lines > $count;
	return join("\n", @lines) . "\n";
}

1;
