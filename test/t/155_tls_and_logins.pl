# What a person is told about TLS, logins and addresses that are set up wrong:
# each mistake by its name, with what to do.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

my $kafka = KafkaEvents::Kafka->start_secure;
my $node = KafkaEvents::Node->start_new('main');
my $owner = $node->safe_psql('postgres', 'SELECT quote_ident(current_user)');
my $count = 0;

# A server with these options, and a user mapping of its owner with those.
sub create_server
{
	my ($address, $options, $mapping, $role) = @_;
	my $name = 's' . ++$count;
	my $list = sub { join ', ', map { "$_ \$\$$_[0]->{$_}\$\$" } sort keys %{ $_[0] } };

	$node->safe_psql('postgres', join '',
		"CREATE SERVER $name FOREIGN DATA WRAPPER kafka_events OPTIONS (",
		$list->({
				bootstrap_servers => $address,
				service_name => "tls-$name",
				%$options
			}),
		');',
		$mapping
		? ("CREATE USER MAPPING FOR " . ($role || 'CURRENT_USER') .
			  " SERVER $name OPTIONS (", $list->($mapping), ')')
		: ());
	return $name;
}

# What kafka_health says about such a server comes to match.
sub says
{
	my ($what, $pattern, @server) = @_;
	my $name = create_server(@server);

	$node->becomes(
		qq{SELECT status, coalesce(message, '') ~ '$pattern'
			FROM kafka_health('$name')},
		($pattern eq '^$' ? 'up' : 'down') . '|t', $what);
	$node->safe_psql('postgres', "DROP SERVER $name CASCADE");
	return;
}

sub pair
{
	my ($name) = @_;

	return {
		ssl_certificate_pem => $kafka->pem("$name.pem"),
		ssl_key_pem => $kafka->pem("$name.key")
	};
}

my %ssl = (security_protocol => 'ssl', ssl_ca_pem => $kafka->ca_pem);
my %sasl = (%ssl, security_protocol => 'sasl_ssl', sasl_mechanism => 'PLAIN');
my $alice = { username => 'alice', password => 'wonderland' };

$node->safe_psql('postgres', 'CREATE ROLE somebody LOGIN');

# ---- the certificate of the broker

says('a certificate that has expired',
	'the broker.s certificate has expired.*Give the broker a new certificate',
	$kafka->address('expired'), \%ssl);
says('a certificate of another host',
	'certificate is for another host name.*"bootstrap_servers".*subjectAltName',
	$kafka->address('other_host'), \%ssl);
says('a certificate of another authority',
	'not signed by a trusted authority.*"ssl_ca_pem"',
	$kafka->address('ssl'),
	{ %ssl, ssl_ca_pem => $kafka->pem('other_ca.pem') });
says('a listener without TLS', 'does not speak TLS.*"security_protocol"',
	$kafka->address, \%ssl);

# ---- the certificate of the client

says('the right certificate', '^$', $kafka->address('mtls'), \%ssl, pair('client'));
says('no certificate',
	'wants a client certificate, and the user mapping has none.*"ssl_certificate_pem"',
	$kafka->address('mtls'), \%ssl);
says('a certificate that the broker does not trust',
	'the broker refuses the client certificate;.*ssl.truststore',
	$kafka->address('mtls'), \%ssl, pair('stray'));
says('a certificate of ours that has expired',
	'refuses the client certificate, which has expired \(Jan  1 00:00:00 2021 GMT\)',
	$kafka->address('mtls'), \%ssl, pair('late'));

# ---- a login

says('the right password', '^$', $kafka->address('sasl_ssl'), \%sasl, $alice);
says('a wrong password', 'Check username and password in the user mapping',
	$kafka->address('sasl_ssl'), \%sasl, { %$alice, password => 'looking-glass' });
says('no user mapping',
	"role $owner, the owner of server s\\d+, has no user mapping.*CREATE USER MAPPING FOR $owner SERVER s\\d+ OPTIONS",
	$kafka->address('sasl_ssl'), \%sasl);
says('a user mapping of somebody else',
	"role $owner, the owner of server s\\d+, has no user mapping",
	$kafka->address('sasl_ssl'), \%sasl, $alice, 'somebody');
says('a user mapping without a login',
	"user mapping of $owner for server s\\d+ has no username.*ALTER USER MAPPING FOR $owner",
	$kafka->address('sasl_ssl'), \%sasl, pair('client'));

# ---- SCRAM, which an older library cannot do with Kafka 4

my $plain = create_server('127.0.0.1:1', {});
my $version = $node->safe_psql('postgres', qq{
	SELECT substring(detail FROM 'librdkafka ([0-9.]+)')
	  FROM kafka_production_check('$plain') WHERE check_name = 'librdkafka'});
my ($major, $minor, $patch) = split /\./, $version;
my $is_new = $major * 10000 + $minor * 100 + $patch >= 20601;
foreach my $mechanism ('SCRAM-SHA-256', 'SCRAM-SHA-512')
{
	my %scram = (%sasl, sasl_mechanism => $mechanism);
	my $carol = { username => 'carol', password => 'rabbit-hole' };
	my $warning = "librdkafka $version cannot log in to Kafka 4 or later with $mechanism";
	my (undef, undef, $stderr) = $node->psql('postgres', qq{
		CREATE SERVER old FOREIGN DATA WRAPPER kafka_events OPTIONS (
			bootstrap_servers 'k1:9092', service_name 'old',
			security_protocol 'sasl_ssl', sasl_mechanism '$mechanism')});
	my $check = $node->safe_psql('postgres', q{
		SELECT ok, detail FROM kafka_production_check('old')
		 WHERE check_name = 'librdkafka'});

	if (!$is_new)
	{
		like($stderr, qr/WARNING:  $warning\nHINT:  Install librdkafka 2\.6\.1/,
			"$mechanism: a warning when it is written");
		is($check, "f|$warning", "$mechanism: the production check");
		says("$mechanism: the library is too old", 'install librdkafka 2.6.1 or later',
			$kafka->address('sasl_ssl'), \%scram, $carol);
	}
	else
	{
		is($stderr, '', "$mechanism: no warning");
		is($check, "t|librdkafka $version", "$mechanism: the production check");
		says("$mechanism: logs in", '^$', $kafka->address('sasl_ssl'),
			\%scram, $carol);
	}
	$node->safe_psql('postgres', 'DROP SERVER old');
}

# ---- an address

says('a controller', 'Is this a KRaft controller.s port', $kafka->controller_address, {});

$node->stays_up_ok;
done_testing();
