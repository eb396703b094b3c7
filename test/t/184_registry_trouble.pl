# A schema registry that is away, slow, somebody else's, or wants a login: what
# waits, what does not, and what people are told.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Registry;
use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->shared;
my $registry = KafkaEvents::Registry->start;
my $node = KafkaEvents::Node->start_new('main');
my $json = JSON::PP->new->canonical;

$registry->front;

sub schema
{
	my ($name, $field) = @_;

	return $json->encode(
		{
			type => 'record',
			name => $name,
			fields => [ { name => $field, type => 'int' } ]
		});
}

# Why partitions of a topic wait, once they say so.
sub waits
{
	my ($what, $topic, $pattern) = @_;

	$node->becomes(qq{
		SELECT status, status_reason ~ '$pattern' FROM kafka_consumer_lag
		WHERE topic = '$topic' AND role = 'main' AND status = 'paused'},
		'paused|t', $what);
	return;
}

my %topics;

# A server of this name with its topic and table; options of server and user
# mapping.
sub subscribe
{
	my ($name, $options, $mapping, %more) = @_;
	my $topic = $topics{$name} ||= $kafka->create_topic($kafka->unique($name),
		partitions => $more{partitions} || 1);

	$node->create_service($kafka, $name, %$options);
	if ($mapping)
	{
		my $list = join ', ', map { "$_ '$mapping->{$_}'" } sort keys %$mapping;

		$node->safe_psql('postgres',
			"CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS ($list)");
	}
	$node->safe_psql('postgres', qq{
		CREATE TABLE $name (a int);
		SELECT kafka_subscribe('$topic', into_table => '$name',
			value_format => 'registry', server => '$name')});
	return $topic;
}

my $id = $registry->register('a', schema('A', 'a'));
my %one = (id => $id, records => [ { value => '02' } ]);

# ---- logins and certificates: each mistake by its name

my $ca = $registry->pem('ca.pem');
my %https = (schema_registry_url => $registry->url('https'), schema_registry_ca_pem => $ca);
my $alice = { schema_registry_username => 'alice', schema_registry_password => 'wonderland' };

sub says
{
	my ($what, $name, $pattern, @how) = @_;
	my $topic = subscribe($name, @how);

	$registry->write($kafka, { topic => $topic, %one });
	waits($what, $topic, "waits for schema id $id: schema registry http.*$pattern");
	return;
}

says('no login', 'nologin', 'HTTP 401: it wants a login: give the user mapping', \%https);

# ... which is mended while the partition waits
$node->safe_psql('postgres', q{
	CREATE USER MAPPING FOR CURRENT_USER SERVER nologin
		OPTIONS (schema_registry_username 'alice', schema_registry_password 'wonderland')});
$node->becomes('SELECT a FROM nologin', '1', 'it goes on when the login is there');
$node->safe_psql('postgres', 'DROP SERVER nologin CASCADE');

sub drop
{
	my ($name) = @_;

	$node->safe_psql('postgres', "DROP SERVER $name CASCADE");
	return;
}

says('a wrong password', 'wrong', 'HTTP 401: it refuses the user mapping.s schema_registry_username',
	{ schema_registry_url => $registry->url('basic') },
	{ schema_registry_username => 'alice', schema_registry_password => 'builder' });
drop('wrong');
says('another authority', 'otherca', 'certificate.*schema_registry_ca_pem says who is trusted',
	{
		schema_registry_url => 'https://' . $registry->address('https') . '/other',
		schema_registry_ca_pem => $registry->pem('other_ca.pem')
	},
	$alice);
drop('otherca');
says('an expired certificate', 'expired', 'certificate has expired',
	{ %https, schema_registry_url => $registry->url('expired') }, $alice);
drop('expired');
says('a certificate of another host', 'otherhost', 'certificate subject|does not match target host|no alternative certificate subject',
	{ %https, schema_registry_url => $registry->url('other_host') }, $alice);
drop('otherhost');
says('a wrong path', 'wrongpath', 'HTTP 404.*is the path in schema_registry_url right',
	{ schema_registry_url => 'http://' . $registry->address . '/nothing' });
drop('wrongpath');
says('no schema registry at all', 'nobody', '(refused|connect)',
	{ schema_registry_url => 'http://127.0.0.1:1' });
drop('nobody');
says('a token that is refused', 'badtoken', 'HTTP 401: it refuses the user mapping.s schema_registry_token',
	{ schema_registry_url => $registry->url('basic') . '/' },
	{ schema_registry_token => 'open-barley' });

# ... and a right one
$node->safe_psql('postgres', q{
	ALTER USER MAPPING FOR CURRENT_USER SERVER badtoken
		OPTIONS (SET schema_registry_token 'open-sesame')});
$node->becomes('SELECT a FROM badtoken', '1', 'a token that is accepted');
drop('badtoken');

unlike(slurp_file($node->logfile), qr/LOG:  (?!statement).*(wonderland|builder|open-barley)/,
	'no secret in the log');

# ---- several URLs

subscribe('several',
	{ schema_registry_url => "http://127.0.0.1:1, " . $registry->url });
$registry->write($kafka, { topic => $topics{several}, %one });
$node->becomes('SELECT a FROM several', '1', 'the second URL is asked when the first is away');
drop('several');

# ---- a registry that is away holds up what nobody has seen before

my $url = $registry->url;
my $topic = subscribe('away', { schema_registry_url => $url }, undef, partitions => 3);
my $new_id = $registry->register('b', schema('B', 'a'));

$registry->write($kafka, { topic => $topic, %one });
$node->becomes('SELECT a FROM away', '1', 'a schema that is known');
$registry->kill9;
$registry->write($kafka,
	{ topic => $topic, partition => 0, id => $id, records => [ { value => '04' } ] },
	{ topic => $topic, partition => 1, id => $id, records => [ { value => '06' } ] },
	{ topic => $topic, partition => 1, id => $new_id, records => [ { value => '08' } ] },
	{ topic => $topic, partition => 1, id => $id, records => [ { value => '0a' } ] },
	{ topic => $topic, partition => 2, id => $id, records => [ { value => '0c' } ] });
$node->becomes('SELECT array_agg(a ORDER BY a) FROM away', '{1,2,3,6}',
	'what is known goes on while the registry is away');
waits('and the partition with the other waits', $topic,
	"waits for schema id $new_id: schema registry $url: .*(refused|connect)");
is( $node->safe_psql('postgres', qq{
		SELECT retried_total + dead_lettered_total FROM kafka_metrics WHERE topic = '$topic'}),
	'0', 'which is no failure');

# Known schemas outlive PostgreSQL's restart.
$node->restart;
$registry->write($kafka,
	{ topic => $topic, partition => 2, id => $id, records => [ { value => '0e' } ] });
$node->becomes('SELECT count(*) FROM away WHERE a = 7', '1',
	'what was learnt survives a restart');

# It comes back with an empty memory: it does not know the id.  Registering
# both again in the same order gives them their numbers back.
$registry->restart;
$registry->register('a', schema('A', 'a'));
$registry->register('b', schema('B', 'a'));
$node->becomes('SELECT array_agg(a ORDER BY a) FROM away', '{1,2,3,4,5,6,7}',
	'and nothing is missing when the registry is back');

# ---- one that does not answer

my $slow_id = $registry->register('c', schema('C', 'a'));

$registry->freeze;
$registry->write($kafka,
	{ topic => $topic, partition => 0, id => $slow_id, records => [ { value => '10' } ] },
	{ topic => $topic, partition => 1, id => $id, records => [ { value => '12' } ] });
$node->becomes('SELECT count(*) FROM away WHERE a = 9', '1',
	'a registry that is silent holds up nothing else');
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM kafka_topics('away')}),
	't', 'and the manager answers questions meanwhile');
waits('until it is told so', $topic, "waits for schema id $slow_id.*does not answer in time");
$registry->thaw;
$node->becomes('SELECT count(*) FROM away WHERE a = 8', '1', 'and then goes on');

# ---- to forget

is($node->safe_psql('postgres', qq{SELECT kafka_schema_forget('$id', server => 'away')}),
	'1', 'one schema is forgotten');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kafka_schemas WHERE id = ' . "'$id'"),
	'0', 'and not shown any more');
$registry->write($kafka, { topic => $topic, partition => 2, id => $id, records => [ { value => '14' } ] });
$node->becomes('SELECT count(*) FROM away WHERE a = 10', '1', 'and asked for again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kafka_schemas WHERE id = ' . "'$id'"),
	'1', 'as can be seen');

$node->stays_up_ok;
done_testing();
