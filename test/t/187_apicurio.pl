# What Apicurio's own serializers write, in every way they can be configured
# to say which schema a message has.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Registry;
use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $registry = KafkaEvents::Registry->start;
my $node = KafkaEvents::Node->start_new('main');
my $prefix = $kafka->unique('apicurio') . '.';

# What the server's schema_registry_id has to be; "any" where a header says it.
my %ids = (
	headers => 'any',
	headers_content => 'any',
	json => 'any',
	eight => 'global',
	eight_content => 'content',
	four => 'global',
	four_content => 'confluent');

$node->safe_psql('postgres', 'CREATE TABLE items (id int PRIMARY KEY, name text, price numeric)');
foreach my $id (qw(global content confluent))
{
	$node->create_service($kafka, $id, schema_registry_url => $registry->url,
		schema_registry_id => $id);
}
foreach my $way (sort keys %ids)
{
	my $topic = $kafka->create_topic("$prefix$way");
	my $server = $ids{$way} eq 'any' ? 'confluent' : $ids{$way};

	$node->safe_psql('postgres', qq{
		SELECT kafka_subscribe('$topic', into_table => 'items', on_conflict => 'update',
			value_format => 'registry', key_format => 'registry', server => '$server')});
}

# Its topics' artifacts share their contents, so global ids and content ids
# are not the same numbers.
$registry->write_apicurio($kafka, $prefix);
$node->becomes(
	'SELECT * FROM items ORDER BY id',
	join("\n", '1|headers|1.50', '2|headers_content|2.50', '4|eight|4.50',
		'5|eight_content|5.50', '6|four|6.50', '7|four_content|7.50'),
	'rows of every way but one');
$node->becomes(
	qq{SELECT sqlstate, reason ~ 'written in Avro.s JSON encoding \\(schema with globalId \\d+\\), which cannot be decoded'
		FROM kafka_dlq_messages('${prefix}json', server => 'confluent')},
	'0A000|t', "Avro's JSON encoding is named");

$node->stays_up_ok;
done_testing();
