# A real Kafka Connect for tests: see the head of test/connect/connect.
#
#	my $connect = KafkaEvents::Connect->start($kafka,
#		lines => { 'connector.class' => '...', topic => $topic, ... });
package KafkaEvents::Connect;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;

use PostgreSQL::Test::Utils;

my $here = File::Spec->rel2abs(dirname(__FILE__) . '/../../connect');
my @own;

# Connectors by name, each a hash of its properties.
sub start
{
	my ($class, $kafka, %connectors) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('connect');
	my $self = bless { dir => $dir }, $class;
	my @files;

	push @own, $self;
	foreach my $name (sort keys %connectors)
	{
		my %properties = (
			name => $name,
			'topic.creation.default.replication.factor' => 1,
			'topic.creation.default.partitions' => 1,
			%{ $connectors{$name} });

		append_to_file("$dir/$name.properties",
			join '', map { "$_=$properties{$_}\n" } sort keys %properties);
		push @files, "$dir/$name.properties";
	}
	system_or_bail("$here/connect", 'start', $dir, $kafka->address, @files);
	return $self;
}

# Properties that let a connector's converter write schemas.
sub with_schemas
{
	return map {
		("$_.converter" => 'org.apache.kafka.connect.json.JsonConverter',
			"$_.converter.schemas.enable" => 'true')
	} qw(key value);
}

# Properties of Debezium's connector for a database of a server that listens
# on 127.0.0.1 and has wal_level = logical: topics are prefix.public.table,
# name is that of slot and publication.
sub debezium
{
	my ($node, $database, $name, $prefix, %more) = @_;

	return {
		'connector.class' => 'io.debezium.connector.postgresql.PostgresConnector',
		'database.hostname' => '127.0.0.1',
		'database.port' => $node->port,
		'database.user' => scalar getpwuid($<),
		'database.password' => 'none',
		'database.dbname' => $database,
		'topic.prefix' => $prefix,
		'plugin.name' => 'pgoutput',
		'slot.name' => $name,
		'publication.name' => $name,
		'publication.autocreate.mode' => 'filtered',
		%more
	};
}

END
{
	# The test's verdict is in $?; what we run here must not change it.
	local $?;
	system("$here/connect", 'kill', $_->{dir}) foreach @own;
}

1;
