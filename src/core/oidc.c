/*
 * oidc.c
 *	  Logins by a token that an OpenID Connect token endpoint gives.
 *
 * librdkafka asks the endpoint itself.  It puts the scope into its request as
 * it is, so that must not have what would begin another field there.
 */
#include "postgres.h"
#include "core/compat.h"

#include <ctype.h>

#include "core/oidc.h"
#include "core/option_table.h"

#define PLAIN "http://"
#define SECURE "https://"

#define URL_RULE "must be http://host:port/path or https://host:port/path"
#define EXTENSIONS_RULE \
	"must be a list of name=value separated by commas, with names of letters other than \"auth\""

static bool
is_secure(const char *url)
{
	return pg_strncasecmp(url, SECURE, strlen(SECURE)) == 0;
}

const char *
ke_oidc_check_endpoint(const char *value)
{
	const char *host = NULL;
	size_t		length;

	if (is_secure(value))
		host = value + strlen(SECURE);
	else if (pg_strncasecmp(value, PLAIN, strlen(PLAIN)) == 0)
		host = value + strlen(PLAIN);
	if (host == NULL)
		return URL_RULE;
	length = strcspn(host, "/?");
	if (memchr(host, '@', length) != NULL)
		return "must not contain a name or password: give them as oidc_client_id and oidc_client_secret";
	if (length == 0 || *host == ':')
		return URL_RULE;
	for (const char *p = host; *p != '\0'; p++)
	{
		if (*p <= ' ' || *p > '~' || strchr("#\"<>\\^`{|}", *p) != NULL)
			return URL_RULE;
	}
	return NULL;
}

const char *
ke_oidc_check_scope(const char *value)
{
	if (*value == '\0')
		return "must not be empty";
	for (const char *p = value; *p != '\0'; p++)
	{
		if (*p < ' ' || *p > '~' || strchr("\"\\&%+#", *p) != NULL)
			return "must be words of ASCII characters, without quotes, backslashes, \"&\", \"%\", \"+\" and \"#\", separated by blanks";
	}
	return NULL;
}

const char *
ke_oidc_check_extensions(const char *value)
{
	const char *p = value;

	for (;;)
	{
		const char *name = p;

		while (isalpha((unsigned char) *p))
			p++;
		if (p == name || *p != '=' ||
			(p - name == 4 && strncmp(name, "auth", 4) == 0))
			return EXTENSIONS_RULE;
		p++;
		while (*p != ',' && *p >= ' ' && *p <= '~')
			p++;
		if (*p == '\0')
			return NULL;
		if (*p++ != ',')
			return EXTENSIONS_RULE;
	}
}

void
ke_oidc_check_together(List *options, List **problems)
{
	static const char *const extras[] =
	{"oidc_scope", "oidc_extensions", "oidc_ca_pem"};
	const char *endpoint = ke_option_table_written(options,
												   "oidc_token_endpoint");
	bool		id = ke_option_table_written(options, "oidc_client_id") != NULL;
	bool		secret = ke_option_table_written(options,
												 "oidc_client_secret") != NULL;

	if (id != secret || id != (endpoint != NULL))
		ke_options_problem(problems, NULL,
						   "Options \"oidc_client_id\", \"oidc_client_secret\" and \"oidc_token_endpoint\" need each other");
	for (int i = 0; i < lengthof(extras); i++)
	{
		if (endpoint == NULL &&
			ke_option_table_written(options, extras[i]) != NULL)
			ke_options_problem(problems, NULL,
							   "Option \"%s\" needs option \"oidc_token_endpoint\"",
							   extras[i]);
	}
	if (endpoint != NULL && !is_secure(endpoint) &&
		ke_option_table_written(options, "oidc_ca_pem") != NULL)
		ke_options_problem(problems, NULL,
						   "Option \"oidc_ca_pem\" needs an oidc_token_endpoint that begins with https://");
}

const char *
ke_oidc_instead_of(const char *mechanism)
{
	if (pg_strcasecmp(mechanism, "GSSAPI") == 0)
		return "Kerberos needs a ticket that a command on the server fetches, which kafka_events never runs. Let the brokers have another listener, for SCRAM-SHA-512, OAUTHBEARER or client certificates (security_protocol ssl).";
	if (pg_strcasecmp(mechanism, "AWS_MSK_IAM") == 0)
		return "IAM wants each login signed with AWS credentials, which librdkafka does not do. Amazon MSK also offers SASL/SCRAM (sasl_mechanism SCRAM-SHA-512, the secret in AWS Secrets Manager) and client certificates (security_protocol ssl).";
	return NULL;
}
