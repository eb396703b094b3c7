# A real Apache Kafka for tests, and Kafka's own clients and tools.  See the
# head of KafkaEvents::Test for how to use it.
package KafkaEvents::Kafka;

use strict;
use warnings;

use Carp;
use File::Basename qw(basename dirname);
use File::Spec;
use IPC::Run;
use JSON::PP;
use List::Util qw(sum0);
use MIME::Base64;
use Test::More;
use Time::HiRes qw(usleep);

use PostgreSQL::Test::Utils;

use KafkaEvents::Link;

my $here = File::Spec->rel2abs(dirname(__FILE__) . '/../../kafka');
my $json = JSON::PP->new->utf8->canonical;
my @own;

# The broker of this run (the environment names it), or one of this file's
# own.
sub shared
{
	my ($class) = @_;
	my $address = $ENV{KAFKA_EVENTS_BROKER};

	return bless { address => $address }, $class if $address;
	return $class->start_own;
}

# A broker that nobody else uses, to be killed at will; properties is a hash
# of broker settings.
sub start_own
{
	my ($class, %properties) = @_;

	return $class->_start_with(map { "$_=$properties{$_}" }
		  sort keys %properties);
}

# The same, listening with TLS and for passwords, too: see test/kafka/broker.
# With a KafkaEvents::Provider, for its tokens as well.
sub start_secure
{
	my ($class, $provider) = @_;

	return $class->_start_with('secure') unless $provider;
	return $class->_start_with('tokens', $provider->keys_file);
}

# The same, to be reached over a link as well: see KafkaEvents::Link.
sub start_far
{
	my ($class) = @_;
	my $link = KafkaEvents::Link->new;
	my $self = $class->_start_with('far', $link->port);
	my $far = slurp_file("$self->{dir}/far");

	chomp $far;
	$link->start($far);
	$self->{link} = $link;
	return $self;
}

# A cluster of so many brokers, which are controllers, too: topics have three
# replicas and want two of them.  broker(0), ... are there to be killed.
sub start_cluster
{
	my ($class, $count, %properties) = @_;
	my @ports = split ' ', qx($here/broker ports @{[ 2 * $count ]});
	my $cluster = join '', map { ('A' .. 'Z', 'a' .. 'z', 0 .. 9)[ rand 62 ] } 1 .. 22;
	my $voters = join ',', map { "$_\@127.0.0.1:$ports[ $count + $_ - 1 ]" } 1 .. $count;
	my (@brokers, @starting);

	foreach my $node (1 .. $count)
	{
		my $dir = PostgreSQL::Test::Utils::tempdir("kafka$node");
		my $broker = bless {
			dir => $dir,
			address => "127.0.0.1:$ports[ $node - 1 ]"
		}, $class;

		push @brokers, $broker;
		push @own, $broker;
		push @starting,
		  IPC::Run::start([
				"$here/broker", 'start', $dir, 'member', $cluster, $node,
				$ports[ $node - 1 ], $ports[ $count + $node - 1 ], $voters,
				map { "$_=$properties{$_}" } sort keys %properties ],
			'<', \undef);
	}
	$_->finish or croak 'a broker of the cluster did not start' foreach @starting;
	return bless {
		brokers => \@brokers,
		address => join(',', map { $_->{address} } @brokers)
	}, $class;
}

sub broker { return $_[0]->{brokers}[ $_[1] ] }

# Which broker of a cluster is its active controller.
sub active_controller
{
	my ($self) = @_;
	my ($node) = $self->tool('quorum', 'describe', '--status') =~ /LeaderId:\s+(\d+)/
	  or croak 'no controller';

	return $node - 1;
}

# Wait until every partition of a topic has so many replicas in sync.
sub wait_for_replicas
{
	my ($self, $topic, $count) = @_;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;
	my $out = '';

	while (time() < $deadline)
	{
		IPC::Run::run([ 'kcat', '-L', '-J', '-b', $self->address, '-t', $topic ],
			'<', \undef, '>', \$out, '2>', \my $err);
		my ($found) = grep { $_->{topic} eq $topic }
		  @{ (eval { $json->decode($out) } || { topics => [] })->{topics} };
		return 1
		  if $found
		  && @{ $found->{partitions} }
		  && !grep { @{ $_->{isrs} } != $count } @{ $found->{partitions} };
		usleep(200_000);
	}
	diag("$topic does not get $count replicas in sync: $out");
	return 0;
}

sub far_link { return $_[0]->{link} }

sub _start_with
{
	my ($class, @arguments) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('kafka');
	my $self = bless { dir => $dir }, $class;

	$self->_broker('start', @arguments);
	$self->{address} = slurp_file("$dir/address");
	chomp $self->{address};
	push @own, $self;
	return $self;
}

# Where to connect, with the security protocol wanted (plaintext).
sub address
{
	my ($self, $protocol) = @_;

	return $self->{address} unless $protocol && $protocol ne 'plaintext';
	return '127.0.0.1:' . $self->{link}->port if $protocol eq 'far';
	my $address = slurp_file("$self->{dir}/$protocol");
	chomp $address;
	return $address;
}

# What vouches for a start_secure broker.
sub ca_pem { return $_[0]->pem('ca.pem') }

# A certificate or key that start_secure made: client.pem, stray.key, ...
sub pem { return slurp_file($_[0]->file($_[1])) }
sub file { return "$_[0]->{dir}/$_[1]" }

# The port of its controller, where no client should knock.
sub controller_address
{
	my ($self) = @_;

	slurp_file("$self->{dir}/server.properties") =~
	  m{CONTROLLER://([\d.:]+)}
	  or croak 'no controller';
	return $1;
}

# What a start_own broker can be made to suffer.
sub stop { return $_[0]->_broker('stop') }
sub kill9 { return $_[0]->_broker('kill') }
sub restart { return $_[0]->_broker('restart') }
sub freeze { return $_[0]->_broker('freeze') }
sub thaw { return $_[0]->_broker('thaw') }
sub runs { return system("$here/broker", 'runs', $_[0]->{dir}) == 0 }

# The same as restart, in the background: finish the handle that is returned.
sub start_restart
{
	my ($self) = @_;

	return IPC::Run::start([ "$here/broker", 'restart', $self->{dir} ], '<', \undef);
}

sub _broker
{
	my ($self, $command, @args) = @_;

	croak 'the shared broker is not ours to command' unless $self->{dir};
	system_or_bail("$here/broker", $command, $self->{dir}, @args);
	return;
}

END
{
	# The test's verdict is in $?; what we run here must not change it.
	local $?;
	system("$here/broker", 'kill', $_->{dir}) foreach @own;
}

# A name that no other test file uses: they share the broker.
sub unique
{
	my ($self, $name) = @_;
	my $file = basename($0);

	$file =~ s/\.[^.]+$//;
	$file =~ s/\W/_/g;
	return "$file.$name";
}

# A topic of one partition, of this file's own.
sub create_own_topic
{
	my ($self, $name) = @_;

	return $self->create_topic($self->unique($name), partitions => 1);
}

# Values in their order: one key, one partition.
sub produce_in_order
{
	my ($self, $topic, @values) = @_;

	$self->produce_messages($topic, map { { key => 'k', partition => 0, value => $_ } } @values);
	return;
}

# Run one of Kafka's command line tools (see test/kafka/tool); its output.
sub tool
{
	my ($self, $tool, @args) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ "$here/tool", $tool, '--bootstrap-server',
			$self->address, @args ], '<', \'', '>', \$out, '2>', \$err)
	  or croak "kafka tool $tool @args failed: $out$err";
	return $out;
}

# create_topic('t', partitions => 4, config => { 'retention.ms' => 1000 })
sub create_topic
{
	my ($self, $topic, %args) = @_;
	my $config = $args{config} || {};

	$self->tool('topics', '--create', '--topic', $topic, '--partitions',
		$args{partitions} || 1,
		map { ('--config', "$_=$config->{$_}") } sort keys %$config);
	return $topic;
}

sub delete_topic
{
	my ($self, $topic) = @_;

	$self->tool('topics', '--delete', '--topic', $topic);
	return;
}

sub grow_topic
{
	my ($self, $topic, $partitions) = @_;

	$self->tool('topics', '--alter', '--topic', $topic, '--partitions',
		$partitions);
	return;
}

# Move the low watermark of one partition, as retention does.
sub delete_records
{
	my ($self, $topic, $partition, $before) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir('records') . '/offsets.json';

	append_to_file(
		$file,
		$json->encode(
			{
				version => 1,
				partitions => [
					{
						topic => $topic,
						partition => $partition,
						offset => $before
					}
				]
			}));
	$self->tool('delete-records', '--offset-json-file', $file);
	return;
}

# Produce values with kcat, fast and plain: one message per value, all with
# the same kcat options, e.g. produce('t', \@values, '-p', 0, '-k', 'key',
# '-H', 'name=value').  Values must not contain line feeds.
sub produce
{
	my ($self, $topic, $values, @options) = @_;
	my $input = join('', map { "$_\n" } @$values);
	my $err = '';

	IPC::Run::run([ 'kcat', '-P', '-b', $self->address, '-t', $topic,
			@options ], '<', \$input, '2>', \$err)
	  or croak "kcat could not produce to $topic: $err";
	return;
}

# Produce messages that differ in everything, through KafkaJS: hashes with
# value and, where wanted, key, headers, partition, timestamp (ms); see
# test/kafka/produce.js for what value and headers may be.
sub produce_messages
{
	my ($self, $topic, @messages) = @_;
	my $input = join('', map { $json->encode($_) . "\n" } @messages);
	my $err = '';

	IPC::Run::run([ $self->_producer($topic, '--stdin') ],
		'<', \$input, '2>', \$err)
	  or croak "KafkaJS could not produce to $topic: $err";
	return;
}

# Let KafkaJS make events (see produce.js for the options and the events):
# produce_events('t', count => 10000, rate => 2000, journal => $file).
sub produce_events
{
	my ($self, @args) = @_;
	my $producer = $self->start_producer(@args);

	$producer->finish or croak 'KafkaJS could not produce';
	return;
}

# The same in the background.  finish the handle that is returned for the
# producer's verdict; kill_kill it to stop early.
sub start_producer
{
	my ($self, $topic, %args) = @_;
	my @options =
	  map { defined $args{$_} ? ("--$_", $args{$_}) : "--$_" } sort keys %args;

	return IPC::Run::start([ $self->_producer($topic, @options) ],
		'<', \undef);
}

sub _producer
{
	my ($self, $topic, @options) = @_;

	return ('env', "NODE_PATH=$here/../../build/kafkajs/node_modules",
		"$here/produce.js", '--broker', $self->address, '--topic', $topic,
		@options);
}

# Let Spring Kafka write dead letters: see test/spring/SpringLetters.java.
# spring('dead', $topic), or spring('retry', $topic, $count).
sub spring
{
	my ($self, $what, @arguments) = @_;
	my $home = "$here/../../build/spring";
	my $err = '';

	IPC::Run::run([ 'java', '-Xmx256m', '-XX:+UseSerialGC',
			'-XX:TieredStopAtLevel=1', '-cp', "$home/libs/*:$home/classes",
			'SpringLetters', $what, $self->address, @arguments ],
		'<', \undef, '2>', \$err)
	  or croak "Spring could not write dead letters of $arguments[0]: $err";
	return;
}

# Let the CloudEvents SDK write events: see test/connect/WriteEvents.java.
sub write_cloudevents
{
	my ($self, $topic, $encoding) = @_;
	my $err = '';

	IPC::Run::run([ 'java', '-Xmx256m', '-XX:+UseSerialGC',
			'-XX:TieredStopAtLevel=1', '-cp', "$here/../../build/cloudevents/*",
			"$here/../connect/WriteEvents.java", $self->address, $topic,
			$encoding ],
		'<', \undef, '2>', \$err)
	  or croak "the CloudEvents SDK could not write to $topic: $err";
	return;
}

# What produce_events wrote down: a list of hashes with id, key, state.
sub read_journal
{
	my ($self, $file) = @_;

	return map { $json->decode($_) } split /\n/, slurp_file($file);
}

# Where the partitions end, for readers of an isolation level.
sub _ends
{
	my ($self, $topic, $partitions, $isolation) = @_;
	my ($out, $err) = ('', '');
	my @ends;

	IPC::Run::run([ 'kcat', '-Q', '-b', $self->address, '-X',
			"isolation.level=$isolation",
			map { ('-t', "$topic:$_:-1") } 0 .. $partitions - 1 ],
		'<', \undef, '>', \$out, '2>', \$err)
	  or croak "kcat could not query $topic: $err";
	while ($out =~ /\[(\d+)\] offset (\d+)/g)
	{
		$ends[$1] = $2;
	}
	return @ends;
}

# Brokers may still have to end a transaction whose end was asked for; wait
# for that, but not for one that stays open.  Returns the ends, none without
# the topic.
sub settle
{
	my ($self, $topic) = @_;
	my $partitions = $self->partition_count($topic) or return;
	my @ends;

	foreach (1 .. 50)
	{
		@ends = $self->_ends($topic, $partitions, 'read_committed');
		last
		  if "@ends" eq
		  join(' ', $self->_ends($topic, $partitions, 'read_uncommitted'));
		usleep(100_000);
	}
	return @ends;
}

# Everything in a topic that is not of an aborted transaction, by partition
# and offset: hashes as kcat -J gives them (partition, offset, ts, key,
# payload, headers as a flat list).
sub consume
{
	my ($self, $topic) = @_;
	my ($out, $err) = ('', '');

	$self->settle($topic);
	IPC::Run::run([ 'kcat', '-C', '-b', $self->address, '-t', $topic, '-o',
			'beginning', '-e', '-q', '-J', '-X',
			'isolation.level=read_committed' ],
		'<', \undef, '>', \$out, '2>', \$err)
	  or croak "kcat could not consume $topic: $err";
	my @messages =
	  sort { $a->{partition} <=> $b->{partition} || $a->{offset} <=> $b->{offset} }
	  map { $json->decode($_) } split /\n/, $out;
	return @messages;
}

# The same in little, for many: hashes with partition, offset, ts (ms), value
# and header, which has those headers of ours that are there.  For topics
# whose values and headers have neither tabs nor line feeds.
sub consume_briefly
{
	my ($self, $topic) = @_;
	my ($out, $err) = ('', '');

	$self->settle($topic);
	IPC::Run::run([ 'kcat', '-C', '-b', $self->address, '-t', $topic, '-o',
			'beginning', '-e', '-q', '-f', '%p\t%o\t%T\t%s\t%h\n', '-X',
			'isolation.level=read_committed' ],
		'<', \undef, '>', \$out, '2>', \$err)
	  or croak "kcat could not consume $topic: $err";
	return map {
		my %message;
		my $headers;

		(@message{qw(partition offset ts value)}, $headers) = split /\t/, $_, 5;
		$message{header} = { ($headers // '') =~ /\b(x-[a-z-]+)=([^,]*)/g };
		\%message;
	} split /\n/, $out;
}

# The same, read by KafkaJS and in bytes: hashes with partition, offset,
# timestamp, key, value and headers, a reference to a list of [name, value].
sub consume_bytes
{
	my ($self, $topic) = @_;
	my ($out, $err) = ('', '');

	$self->settle($topic);
	IPC::Run::run([ 'env', "NODE_PATH=$here/../../build/kafkajs/node_modules",
			"$here/consume.js", '--broker', $self->address, '--topic', $topic ],
		'<', \undef, '>', \$out, '2>', \$err)
	  or croak "KafkaJS could not consume $topic: $err";
	my @messages = map { $json->decode($_) } split /\n/, $out;
	foreach my $message (@messages)
	{
		$_ = defined $_ ? decode_base64($_) : undef
		  foreach $message->{key}, $message->{value};
		$_->[1] = defined $_->[1] ? decode_base64($_->[1]) : undef
		  foreach @{ $message->{headers} };
	}
	@messages =
	  sort { $a->{partition} <=> $b->{partition} || $a->{offset} <=> $b->{offset} }
	  @messages;
	return @messages;
}

# Where each partition ends, as a list.
sub end_offsets { return $_[0]->settle($_[1]) }

# How many records there ever were, in all partitions; 0 without the topic.
sub count_records
{
	my ($self, $topic) = @_;

	return sum0($self->end_offsets($topic));
}

# Wait until there are so many; false if they do not come.
sub wait_for_records
{
	my ($self, $topic, $count) = @_;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;

	while (time() < $deadline)
	{
		return 1 if $self->count_records($topic) >= $count;
		usleep(200_000);
	}
	diag("$topic does not get $count records");
	return 0;
}

sub partition_count
{
	my ($self, $topic) = @_;
	my $out = '';

	IPC::Run::run([ 'kcat', '-L', '-J', '-b', $self->address, '-t', $topic ],
		'<', \undef, '>', \$out)
	  or croak "kcat could not list $topic";
	my ($found) = grep { $_->{topic} eq $topic } @{ $json->decode($out)->{topics} };
	return scalar @{ $found->{partitions} };
}

# Names of all consumer groups the broker knows.
sub groups
{
	my ($self) = @_;

	my @names =
	  sort grep { $_ ne '' } split /\n/, $self->tool('groups', '--list');
	return @names;
}

# kafka-consumer-groups --describe, parsed: one hash per partition with
# topic, partition, current_offset, log_end_offset, lag, consumer_id, host,
# client_id; a '-' is undef.  Empty for a group that does not exist.  Several
# groups are asked about at once.
sub describe_group
{
	my ($self, @groups) = @_;
	my @rows;
	my $out = eval { $self->tool('groups', '--describe', map { ('--group', $_) } @groups) };

	return () if !defined $out && $@ =~ /does not exist/;
	croak $@ unless defined $out;
	foreach my $line (split /\n/, $out)
	{
		my ($name, @fields) = map { $_ eq '-' ? undef : $_ } split ' ', $line;
		my %row;

		next unless defined $name && @fields == 8 && grep { $_ eq $name } @groups;
		@row{qw(topic partition current_offset log_end_offset lag
			  consumer_id host client_id)} = @fields;
		push @rows, \%row;
	}
	@rows =
	  sort { $a->{topic} cmp $b->{topic} || $a->{partition} <=> $b->{partition} }
	  @rows;
	return @rows;
}

# Wait until Kafka itself says that the group has read a topic to its end.
sub wait_for_group
{
	my ($self, $group, $topic) = @_;
	my @rows;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;

	while (time() < $deadline)
	{
		@rows = grep { $_->{topic} eq $topic } $self->describe_group($group);
		return 1
		  if @rows == $self->partition_count($topic)
		  && !grep { !defined $_->{lag} || $_->{lag} != 0 } @rows;
		usleep(200_000);
	}
	diag("group $group on $topic: " . $json->encode(\@rows));
	return 0;
}

# Move a group's committed offsets from outside, e.g.
# reset_group('s-main', 't', '--to-offset', 5); the group must be empty.
sub reset_group
{
	my ($self, $group, $topic, @how) = @_;

	return $self->tool('groups', '--reset-offsets', '--execute', '--group',
		$group, '--topic', $topic, @how);
}

# A consumer of somebody else in a group, with these properties of librdkafka;
# leave_group ends it: it commits what it has read, and leaves.
sub join_group
{
	my ($self, $group, $topic, %properties) = @_;
	my $out = '';

	$properties{'partition.assignment.strategy'} ||= 'cooperative-sticky';
	$properties{'auto.offset.reset'} ||= 'earliest';
	my @settings = map { ('-X', "$_=$properties{$_}") } sort keys %properties;
	return IPC::Run::start([ 'kcat', '-b', $self->address, '-q', '-u', @settings,
			'-G', $group, $topic ],
		'<', \undef, '>', \$out, '2>', '/dev/null');
}

sub leave_group
{
	my ($self, $member) = @_;

	$member->signal('TERM');
	eval { $member->finish; 1 } or note "a consumer ended: $@";
	return;
}

1;
