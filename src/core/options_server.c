/*
 * options_server.c
 *	  The options of foreign servers and of user mappings.
 */
#include "postgres.h"
#include "core/compat.h"

#include <ctype.h>

#include "common/string.h"

#include "core/oidc.h"
#include "core/option_table.h"
#include "core/options.h"
#include "core/pem.h"
#include "core/properties.h"
#include "core/registry_url.h"

/* Longest service name, and longest suffix of retry and DLQ topics. */
#define NAME_MAX_LEN	100

#define NAME_FORM "at most 100 letters, digits, \".\", \"_\" and \"-\""

/* A longer run of digits is a time or a random number. */
#define DIGITS_MAX_LEN	9

static const char *const profiles[] = {"development", "production", NULL};
static const char *const protocols[] =
{"plaintext", "ssl", "sasl_plaintext", "sasl_ssl", NULL};
static const char *const mechanisms[] =
{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", NULL};
static const char *const group_protocols[] = {"classic", "consumer", NULL};
static const char *const compressions[] =
{"none", "gzip", "snappy", "lz4", "zstd", NULL};

static const char *const registry_ids[] =
{"confluent", "content", "global", NULL};

static const char *check_bootstrap_servers(const char *value);
static const char *check_service_name(const char *value);
static const char *check_suffix(const char *value);
static const char *check_certificate(const char *value);
static const char *check_key(const char *value);
static const char *check_token(const char *value);
static const char *check_basic_user(const char *value);

#define SERVER(option, type, ...) \
	{.name = #option, .kind = KE_OPTION_##type, \
	 .offset = offsetof(KeServerOptions, option), __VA_ARGS__}

/* Bounds of what has a name in librdkafka are librdkafka's. */
static const KeOption server_options[] = {
	SERVER(bootstrap_servers, TEXT, .check = check_bootstrap_servers,
		   .form = "host:port, ...", .required = true),
	SERVER(service_name, TEXT, .check = check_service_name,
		   .form = NAME_FORM, .required = true),
	{.name = "profile", .kind = KE_OPTION_FLAG,
		.offset = offsetof(KeServerOptions, production),
	"development", .choices = profiles},
	SERVER(security_protocol, WORD, "plaintext", .choices = protocols),
	SERVER(sasl_mechanism, WORD, .choices = mechanisms,
		   .instead = ke_oidc_instead_of),
	SERVER(ssl_ca_pem, TEXT, .check = check_certificate,
		   .form = "certificates in PEM text"),
	SERVER(ssl_ca_file, TEXT, .form = "path on the database server"),
	SERVER(workers, INTEGER, "1", 0, 64),
	SERVER(retry_workers, INTEGER, "1", 0, 64),
	SERVER(shared, BOOLEAN, "false"),
	{.name = "group_protocol", .kind = KE_OPTION_FLAG,
		.offset = offsetof(KeServerOptions, consumer_protocol),
	"classic", .choices = group_protocols},
	SERVER(session_timeout, MS, "45000", 1, 3600000),
	SERVER(heartbeat_interval, MS, "1000", 1, 3600000),
	SERVER(max_poll_interval, MS, "300000", 1, 86400000),
	SERVER(fetch_wait, MS, "100", 0, 300000),
	SERVER(compression, WORD, "lz4", .choices = compressions),
	SERVER(synchronous_commit, BOOLEAN, "off"),
	SERVER(retry_suffix, TEXT, ".retry", .check = check_suffix,
		   .form = NAME_FORM),
	SERVER(dlq_suffix, TEXT, ".dlq", .check = check_suffix,
		   .form = NAME_FORM),
	SERVER(create_topics, BOOLEAN, "true"),
	SERVER(topic_partitions, INTEGER, "0", 0, 100000),
	SERVER(topic_replication_factor, INTEGER, "-1", -1, 32767),
	{.name = "dlq_retention", .kind = KE_OPTION_LONG_INTERVAL,
		.offset = offsetof(KeServerOptions, dlq_retention_ms),
	"30 days", 1000, 36500 * 86400000.0},
	SERVER(schema_registry_url, TEXT, .check = ke_registry_url_check,
		   .form = "http://host:port/path, ...", .quiet = true),
	SERVER(schema_registry_ca_pem, TEXT, .check = check_certificate,
		   .form = "certificates in PEM text"),
	SERVER(schema_registry_id, CHOICE, "confluent", .choices = registry_ids)
};

static bool add_property(const char *name, const char *value, void *out,
						 List **problems);

static const KeOptionSet server_set = {
	.object = "a server",
	.options = server_options,
	.noptions = lengthof(server_options),
	.size = sizeof(KeServerOptions),
	.other = add_property
};

#define MAPPING(option, type, ...) \
	{.name = #option, .kind = KE_OPTION_##type, \
	 .offset = offsetof(KeMappingOptions, option), __VA_ARGS__}

static const KeOption mapping_options[] = {
	MAPPING(username, TEXT),
	MAPPING(password, SECRET),
	MAPPING(ssl_certificate_pem, SECRET, .check = check_certificate,
			.form = "certificates in PEM text"),
	MAPPING(ssl_key_pem, SECRET, .check = check_key,
			.form = "private key in PEM text"),
	MAPPING(ssl_key_password, SECRET),
	MAPPING(oidc_client_id, TEXT, .check = check_basic_user),
	MAPPING(oidc_client_secret, SECRET),
	MAPPING(oidc_token_endpoint, TEXT, .check = ke_oidc_check_endpoint,
			.form = "http://host:port/path", .quiet = true),
	MAPPING(oidc_scope, TEXT, .check = ke_oidc_check_scope),
	MAPPING(oidc_extensions, TEXT, .check = ke_oidc_check_extensions,
			.form = "name=value, ..."),
	MAPPING(oidc_ca_pem, TEXT, .check = check_certificate,
			.form = "certificates in PEM text"),
	MAPPING(schema_registry_username, TEXT, .check = check_basic_user),
	MAPPING(schema_registry_password, SECRET),
	MAPPING(schema_registry_token, SECRET, .check = check_token)
};

static const KeOptionSet mapping_set = {
	.object = "a user mapping",
	.options = mapping_options,
	.noptions = lengthof(mapping_options),
	.size = sizeof(KeMappingOptions)
};

const KeOptionSet *
ke_options_server_set(void)
{
	return &server_set;
}

const KeOptionSet *
ke_options_server_mapping_set(void)
{
	return &mapping_set;
}

/* The end of a host name or of an address in brackets, or p itself. */
static const char *
skip_host(const char *p)
{
	if (*p == '[')
	{
		size_t		length = strspn(p + 1, "0123456789abcdefABCDEF:.%");

		return length > 0 && p[1 + length] == ']' ? p + length + 2 : p;
	}
	return p + strspn(p, KE_OPTION_TOPIC_CHARS);
}

static const char *
check_bootstrap_servers(const char *value)
{
	static const char *const rule =
	"must be a list of host:port separated by commas";
	const char *p = value;

	for (;;)
	{
		const char *host = p + strspn(p, " ");
		int			port;
		char	   *end;

		p = skip_host(host);
		if (p == host || *p++ != ':' || !isdigit((unsigned char) *p))
			return rule;
		errno = 0;
		port = strtoint(p, &end, 10);
		if (errno != 0 || port < 1 || port > 65535)
			return rule;
		p = end + strspn(end, " ");
		if (*p == '\0')
			return NULL;
		if (*p++ != ',')
			return rule;
	}
}

/*
 * Is there a UUID, with or without its dashes, at the start of p?  Without
 * them it is told from words of the letters a to f by its decimal digits: of
 * 32 random digits fewer than eight are hardly ever decimal.
 */
static bool
starts_with_uuid(const char *p)
{
	int			ndigits = 0;
	int			ndecimal = 0;
	int			ndashes = 0;

	for (; ndigits < 32; p++)
	{
		if (isxdigit((unsigned char) *p))
		{
			ndigits++;
			ndecimal += isdigit((unsigned char) *p) != 0;
		}
		else if (*p == '-' && (ndigits == 8 || ndigits == 12 ||
							   ndigits == 16 || ndigits == 20))
			ndashes++;
		else
			return false;
	}
	return ndashes == 4 || ndecimal >= 8;
}

static const char *
check_service_name(const char *value)
{
	const char *p;

	if (*value == '\0')
		return "must not be empty";
	if (strlen(value) > NAME_MAX_LEN)
		return "must have at most 100 characters";
	if (strspn(value, KE_OPTION_TOPIC_CHARS) != strlen(value))
		return "must consist of letters, digits, \".\", \"_\" and \"-\"";
	for (p = value; *p != '\0'; p++)
	{
		if (strspn(p, "0123456789") > DIGITS_MAX_LEN)
			return "must not contain 10 or more digits in a row (a name made from a time or a random number is another consumer group after every start)";
		if (starts_with_uuid(p))
			return "must not contain a UUID (a name made from a random value is another consumer group after every start)";
	}
	return NULL;
}

static const char *
check_suffix(const char *value)
{
	if (*value == '\0')
		return "must not be empty";
	if (strlen(value) > NAME_MAX_LEN)
		return "must have at most 100 characters";
	if (strspn(value, KE_OPTION_TOPIC_CHARS) != strlen(value))
		return "must consist of letters, digits, \".\", \"_\" and \"-\"";
	return NULL;
}

static const char *
check_certificate(const char *value)
{
	if (strstr(value, "-----BEGIN CERTIFICATE-----") == NULL)
		return "must be PEM text with \"-----BEGIN CERTIFICATE-----\"";
	return NULL;
}

static const char *
check_key(const char *value)
{
	if (strstr(value, "-----BEGIN ") == NULL ||
		strstr(value, "PRIVATE KEY-----") == NULL)
		return "must be PEM text with a private key";
	return NULL;
}

/* What may stand in a header of HTTP. */
static const char *
check_token(const char *value)
{
	const char *p;

	if (*value == '\0')
		return "must not be empty";
	for (p = value; *p != '\0'; p++)
	{
		if (*p <= ' ' || *p > '~')
			return "must consist of ASCII characters without blanks";
	}
	return NULL;
}

/* Basic authentication has a colon behind the name. */
static const char *
check_basic_user(const char *value)
{
	if (*value == '\0')
		return "must not be empty";
	if (strchr(value, ':') != NULL)
		return "must not contain \":\"";
	return NULL;
}

static bool
add_property(const char *name, const char *value, void *out, List **problems)
{
	KeServerOptions *server = out;
	KeProperty *property;
	char	   *checked;

	if (!ke_properties_is_meant(name))
		return false;
	checked = ke_properties_check(name, value, problems);
	if (checked == NULL)
		return true;

	property = palloc(sizeof(KeProperty));
	property->name = pstrdup(name);
	property->value = checked;
	server->properties = lappend(server->properties, property);
	return true;
}

static bool
uses_sasl(const KeServerOptions *server)
{
	return strncmp(server->security_protocol, "sasl_", 5) == 0;
}

static void
check_registry(const KeServerOptions *server, List **problems)
{
	if (server->schema_registry_ca_pem != NULL &&
		(server->schema_registry_url == NULL ||
		 !ke_registry_url_is_secure(server->schema_registry_url, false)))
		ke_options_problem(problems, NULL,
						   "Option \"schema_registry_ca_pem\" needs a schema_registry_url that begins with https://");
}

/* How members of the group are watched: by us, or as the brokers say. */
static void
check_group(const KeServerOptions *server, List *options, List **problems)
{
	static const struct
	{
		const char *option;
		const char *setting;
	}			brokers[] = {
		{"session_timeout", "group.consumer.session.timeout.ms"},
		{"heartbeat_interval", "group.consumer.heartbeat.interval.ms"}
	};

	if (server->consumer_protocol)
	{
		for (int i = 0; i < lengthof(brokers); i++)
		{
			if (ke_option_table_written(options, brokers[i].option) != NULL)
				ke_options_problem(problems,
								   psprintf("With that protocol the brokers decide: their setting is %s.",
											brokers[i].setting),
								   "Option \"%s\" cannot be set with group_protocol consumer",
								   brokers[i].option);
		}
		return;
	}
	if (server->heartbeat_interval >= server->session_timeout / 3.0)
		ke_options_problem(problems, NULL,
						   "Option \"heartbeat_interval\" (%d ms) must be less than a third of session_timeout (%d ms)",
						   server->heartbeat_interval,
						   server->session_timeout);
	if (server->max_poll_interval < server->session_timeout)
		ke_options_problem(problems, NULL,
						   "Option \"max_poll_interval\" (%d ms) must be at least session_timeout (%d ms)",
						   server->max_poll_interval,
						   server->session_timeout);
}

/* What no single option can break. */
static void
check_together(const KeServerOptions *server, List *options, List **problems)
{
	if (uses_sasl(server) &&
		ke_option_table_written(options, "sasl_mechanism") == NULL)
		ke_options_problem(problems, NULL,
						   "Option \"sasl_mechanism\" is required with security_protocol %s",
						   server->security_protocol);
	if (server->ssl_ca_pem != NULL && server->ssl_ca_file != NULL)
		ke_options_problem(problems, NULL,
						   "Options \"ssl_ca_pem\" and \"ssl_ca_file\" exclude each other");
	check_group(server, options, problems);
	if (pg_str_endswith(server->retry_suffix, server->dlq_suffix) ||
		pg_str_endswith(server->dlq_suffix, server->retry_suffix))
		ke_options_problem(problems, NULL,
						   "Neither of the options \"retry_suffix\" (%s) and \"dlq_suffix\" (%s) may be the end of the other",
						   server->retry_suffix, server->dlq_suffix);
	if (server->topic_replication_factor == 0)
		ke_options_problem(problems, NULL,
						   "Option \"topic_replication_factor\" must be -1, the broker's default, or at least 1");
	check_registry(server, problems);
	ke_properties_check_together(server->properties, problems);
}

bool
ke_options_server_is_stock_name(const char *service_name)
{
	static const char *const stock[] =
	{"service", "kafka-service", "test", "app"};
	int			i;

	for (i = 0; i < lengthof(stock); i++)
	{
		if (pg_strcasecmp(service_name, stock[i]) == 0)
			return true;
	}
	return false;
}

/* What profile production adds; options in doubt have been reported. */
static void
check_production(const KeServerOptions *server, List **problems)
{
	if (strstr(server->security_protocol, "ssl") == NULL)
		ke_options_problem(problems, NULL,
						   "Option \"security_protocol\" must be ssl or sasl_ssl with profile production");
	if (server->bootstrap_servers[0] != '\0' &&
		strchr(server->bootstrap_servers, ',') == NULL)
		ke_options_problem(problems, NULL,
						   "Option \"bootstrap_servers\" must name at least two hosts with profile production");
	if (server->topic_replication_factor == 1)
		ke_options_problem(problems, NULL,
						   "Option \"topic_replication_factor\" must not be 1 with profile production");
	if (server->schema_registry_url != NULL &&
		!ke_registry_url_is_secure(server->schema_registry_url, true))
		ke_options_problem(problems, NULL,
						   "Option \"schema_registry_url\" must begin with https:// with profile production");
	if (ke_options_server_is_stock_name(server->service_name))
		ke_options_problem(problems,
						   "Name the service after what it does, so that no other service uses its consumer groups.",
						   "Option \"service_name\" must not be a stock name (%s) with profile production",
						   server->service_name);
}

/* What a look into PEM text has found, if anything. */
static void
check_pem(const char *option, const char *rule, List **problems)
{
	if (rule != NULL)
		ke_options_problem(problems, NULL, "Option \"%s\" %s", option, rule);
}

/* What is wrong with certificate and key, each alone and together. */
static void
check_client_certificate(const KeMappingOptions *mapping, List **problems)
{
	const char *certificate = mapping->ssl_certificate_pem;
	const char *key = mapping->ssl_key_pem;
	const char *password = mapping->ssl_key_password;

	if (certificate != NULL)
		check_pem("ssl_certificate_pem",
				  ke_pem_certificates_problem(certificate), problems);
	if (key != NULL)
		check_pem("ssl_key_pem", ke_pem_key_problem(key, password), problems);
	if (certificate != NULL && key != NULL &&
		!ke_pem_belong_together(certificate, key, password))
		ke_options_problem(problems,
						   "The first certificate must be the client's own; those of authorities follow it.",
						   "Option \"ssl_key_pem\" is not the key of the certificate in \"ssl_certificate_pem\"");
}

void
ke_options_server_parse(List *options, KeServerOptions *out, List **problems)
{
	ke_option_table_parse(&server_set, options, false, out, problems);

	/* absent or refused: nobody needs to look for NULL */
	if (out->bootstrap_servers == NULL)
		out->bootstrap_servers = pstrdup("");
	if (out->service_name == NULL)
		out->service_name = pstrdup("");

	check_together(out, options, problems);
	if (problems != NULL && out->ssl_ca_pem != NULL)
		check_pem("ssl_ca_pem", ke_pem_certificates_problem(out->ssl_ca_pem),
				  problems);
	if (problems != NULL && out->schema_registry_ca_pem != NULL)
		check_pem("schema_registry_ca_pem",
				  ke_pem_certificates_problem(out->schema_registry_ca_pem),
				  problems);
	if (out->production)
		check_production(out, problems);
}

static void
check_registry_login(List *options, List **problems)
{
	bool		user = ke_option_table_written(options,
											   "schema_registry_username") != NULL;

	if (user != (ke_option_table_written(options, "schema_registry_password") != NULL))
		ke_options_problem(problems, NULL,
						   "Options \"schema_registry_username\" and \"schema_registry_password\" need each other");
	if (user && ke_option_table_written(options, "schema_registry_token") != NULL)
		ke_options_problem(problems, NULL,
						   "Options \"schema_registry_username\" and \"schema_registry_token\" exclude each other");
}

void
ke_options_server_parse_mapping(List *options, KeMappingOptions *out,
								List **problems)
{
	ke_option_table_parse(&mapping_set, options, false, out, problems);

	if ((ke_option_table_written(options, "username") == NULL) !=
		(ke_option_table_written(options, "password") == NULL))
		ke_options_problem(problems, NULL,
						   "Options \"username\" and \"password\" need each other");
	if ((ke_option_table_written(options, "ssl_certificate_pem") == NULL) !=
		(ke_option_table_written(options, "ssl_key_pem") == NULL))
		ke_options_problem(problems, NULL,
						   "Options \"ssl_certificate_pem\" and \"ssl_key_pem\" need each other");
	if (ke_option_table_written(options, "ssl_key_password") != NULL &&
		ke_option_table_written(options, "ssl_key_pem") == NULL)
		ke_options_problem(problems, NULL,
						   "Option \"ssl_key_password\" needs option \"ssl_key_pem\"");
	ke_oidc_check_together(options, problems);
	if (problems != NULL && out->oidc_ca_pem != NULL)
		check_pem("oidc_ca_pem", ke_pem_certificates_problem(out->oidc_ca_pem),
				  problems);
	check_registry_login(options, problems);
	if (problems != NULL)
		check_client_certificate(out, problems);
}
