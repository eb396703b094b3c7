# Every way to log in, with a librdkafka that knows them all: right, wrong,
# and changed while consumers run.  What goes wrong with TLS is in
# 155_tls_and_logins.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use KafkaEvents::Test;

# ---- a library that does not know them

my $system = KafkaEvents::Node->start_new('system');

sub server_options
{
	my (%options) = @_;

	return join ', ', map { "$_ \$\$$options{$_}\$\$" } sort keys %options;
}

# CREATE SERVER with these, which is not right.
sub refusal
{
	my ($node, %options) = @_;
	my (undef, undef, $stderr) = $node->psql('postgres',
		'CREATE SERVER no FOREIGN DATA WRAPPER kafka_events OPTIONS ('
		  . server_options(
			bootstrap_servers => 'k1:9092',
			service_name => 'no',
			security_protocol => 'sasl_ssl',
			%options) . ')');
	return $stderr;
}

SKIP:
{
	my $answer = refusal($system, sasl_mechanism => 'OAUTHBEARER');

	skip 'the system\'s librdkafka was built with libcurl', 1 if $answer eq '';
	like(
		$answer,
		qr/"sasl_mechanism" cannot be OAUTHBEARER with librdkafka [\d.]+ as it is installed here: it was built without libcurl\.\nHINT:  Install a librdkafka that was built with libcurl and restart PostgreSQL, or use another sasl_mechanism/,
		'tokens: a library without them');
}
like(
	refusal($system, sasl_mechanism => 'GSSAPI'),
	qr/must be PLAIN, .* or OAUTHBEARER, but is "GSSAPI"\.\nHINT:  Kerberos needs a ticket.*client certificates/,
	'Kerberos: what to do instead');
like(
	refusal($system, sasl_mechanism => 'AWS_MSK_IAM'),
	qr/but is "AWS_MSK_IAM"\.\nHINT:  IAM wants each login signed.*SCRAM-SHA-512/,
	'IAM: what to do instead');
$system->stop;

# ---- a library that does

$ENV{LD_LIBRARY_PATH} = KafkaEvents::Test::newer_librdkafka();

my $provider = KafkaEvents::Provider->start(clients => { dora => 'looking' });
my $kafka = KafkaEvents::Kafka->start_secure($provider);
my $node = KafkaEvents::Node->start_new('main');
my $topic = $kafka->create_topic('orders');
my %ssl = (security_protocol => 'ssl', ssl_ca_pem => $kafka->ca_pem);
my %sasl = (%ssl, security_protocol => 'sasl_ssl');
my %token = (%sasl, sasl_mechanism => 'OAUTHBEARER');
my $sent = 0;
my %altered;

$node->safe_psql('postgres', 'CREATE TABLE effects (way text, id int)');

sub mapping
{
	my ($name, %options) = @_;

	$node->safe_psql('postgres', "
		DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER $name;
		CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS ("
		  . server_options(%options) . ')');
	return;
}

# A server that consumes into effects, or is about to.
sub create
{
	my ($name, $listener, $options, $mapping) = @_;

	$node->safe_psql('postgres', join '',
		"CREATE SERVER $name FOREIGN DATA WRAPPER kafka_events OPTIONS (",
		server_options(
			bootstrap_servers => $kafka->address($listener),
			service_name => $name,
			%$options),
		");
		CREATE FUNCTION note_$name(jsonb) RETURNS void LANGUAGE sql AS
			\$\$INSERT INTO effects VALUES ('$name', (\$1->>'id')::int)\$\$;");
	mapping($name, %$mapping);
	$node->safe_psql('postgres',
		"SELECT kafka_subscribe('$topic', 'note_$name', server => '$name', start_from => 'earliest')");
	return;
}

sub send_one
{
	$kafka->produce($topic, [ '{"id": ' . ++$sent . '}' ]);
	return;
}

# All that was sent has had its effect there, once.
sub has_all
{
	my ($name, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->becomes(
		"SELECT count(*), count(DISTINCT id) FROM effects WHERE way = '$name'",
		"$sent|$sent", "$name: $what");
	return;
}

sub says
{
	my ($name, $pattern, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->becomes(
		"SELECT status, coalesce(message, '') ~ '$pattern' FROM kafka_health('$name')",
		($pattern eq '^$' ? 'up' : 'down') . '|t', "$name: $what");
	return;
}

# Connections are made anew, as they are when a broker restarts.
sub reconnect
{
	my ($name) = @_;
	my $verb = $altered{$name}++ ? 'SET' : 'ADD';

	$node->safe_psql('postgres',
		"ALTER SERVER $name OPTIONS ($verb fetch_wait '" . (100 + $altered{$name}) . "')");
	return;
}

# ---- SCRAM

foreach my $mechanism ('SCRAM-SHA-256', 'SCRAM-SHA-512')
{
	my $name = lc($mechanism =~ s/-/_/gr);
	my %carol = (username => 'carol', password => 'rabbit-hole');

	create($name, 'sasl_ssl', { %sasl, sasl_mechanism => $mechanism }, \%carol);
	send_one();
	has_all($name, 'the right password');

	$kafka->tool('configs', '--alter', '--entity-type', 'users',
		'--entity-name', 'carol', '--add-config', "$mechanism=[password=tea-party]");
	send_one();
	has_all($name, 'the connections that are there stay');
	reconnect($name);
	says($name, 'Check username and password in the user mapping',
		'a password that was changed at the broker');
	send_one();
	mapping($name, %carol, password => 'tea-party');
	has_all($name, 'the new password');
	says($name, '^$', 'nothing is the matter any more');
}

# ---- PLAIN

my %alice = (username => 'alice', password => 'wonderland');

create('plain', 'sasl_ssl', { %sasl, sasl_mechanism => 'PLAIN' },
	{ %alice, password => 'looking-glass' });
says('plain', 'Check username and password in the user mapping', 'a wrong password');
mapping('plain', %alice);
has_all('plain', 'the right password');

# ---- a client certificate

sub pair
{
	my ($name) = @_;

	return (
		ssl_certificate_pem => $kafka->pem("$name.pem"),
		ssl_key_pem => $kafka->pem("$name.key"));
}

create('mtls', 'mtls', \%ssl, { pair('client') });
has_all('mtls', 'a certificate');
mapping('mtls', pair('stray'));
says('mtls', 'the broker refuses the client certificate', 'one of another authority');
send_one();
mapping('mtls', pair('renewed'));
has_all('mtls', 'a new certificate');

# ---- a token

my %dora = (
	oidc_token_endpoint => $provider->url,
	oidc_client_id => 'dora',
	oidc_client_secret => 'looking');

create('token', 'sasl_token', \%token,
	{ %dora, oidc_extensions => 'team=orders,stage=test' });
has_all('token', 'a token');

$provider->set(lifetime => 5);
reconnect('token');
my $asked = $provider->requests;
$provider->wait_for_requests($asked + 6);
send_one();
has_all('token', 'tokens are renewed, and connections log in again');

$provider->set(clients => { dora => 'glass' });
says('token', 'could not .*acquire .* token.*Check "oidc_token_endpoint"',
	'a secret that was changed at the provider');
send_one();
mapping('token', %dora, oidc_client_secret => 'glass');
has_all('token', 'the new secret');
$provider->set(lifetime => 3600);
$dora{oidc_client_secret} = 'glass';

foreach my $case (
	[ 'tokens that have expired', { lifetime => -60 }, 'unexpired' ],
	[ 'tokens of another issuer', { issuer => 'https://evil.example.com' }, 'The brokers must trust who signs' ],
	[ 'tokens for somebody else', { audience => 'billing' }, 'The brokers must trust who signs' ],
	[ 'tokens that nobody vouches for', { key => 'stray' }, 'The brokers must trust who signs' ],
	[ 'another scope than is granted', { scope => 'kafka' }, 'invalid_scope' ])
{
	my ($what, $settings, $pattern) = @$case;
	my %before = map { $_ => $provider->setting($_) } keys %$settings;

	$provider->set(%$settings);
	reconnect('token');
	says('token', $pattern, $what);
	$provider->set(%before);
}
$provider->set(scope => 'kafka');
mapping('token', %dora, oidc_scope => 'kafka');
send_one();
has_all('token', 'the scope that is granted');

mapping('token', %dora, oidc_token_endpoint => 'http://127.0.0.1:9/token');
says('token', 'Check "oidc_token_endpoint"', 'no provider there');
mapping('token', %dora, oidc_token_endpoint => 'http://login.invalid/token');
says('token', 'Check "oidc_token_endpoint"', 'a provider whose name is wrong');

# ---- its certificate

$provider->set(scope => undef);
$provider->start_tls($kafka->file('broker.pem'), $kafka->file('broker.key'));
$dora{oidc_token_endpoint} = $provider->url('https');
mapping('token', %dora, oidc_ca_pem => $kafka->pem('other_ca.pem'));
says('token', 'certificate.*Check "oidc_token_endpoint"',
	'a provider whose certificate another authority signed');
send_one();
mapping('token', %dora, oidc_ca_pem => $kafka->ca_pem);
has_all('token', 'a provider with TLS');

# ---- what is missing

$node->safe_psql('postgres', 'DROP USER MAPPING FOR CURRENT_USER SERVER token');
says('token', 'has no user mapping for it.*oidc_token_endpoint',
	'no user mapping');
mapping('token', %alice);
says('token', 'has no oidc_token_endpoint.*ALTER USER MAPPING',
	'a user mapping with another login');

# ---- no secret anywhere

# PostgreSQL's tests have statements logged, these have secrets
my $log = slurp_file($node->logfile);
$log =~ s/ statement: .*?(?=^\d{4}-)//gms;
unlike($log, qr/looking|glass|tea-party|rabbit-hole|wonderland|eyJ/,
	'no secret and no token in the log');
$node->stays_up_ok;
done_testing();
