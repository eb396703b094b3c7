/*
 * properties.c
 *	  librdkafka's properties that may be options of a server.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/string.h"

#include "core/option_table.h"
#include "core/options.h"
#include "core/properties.h"

/* Where a checked value is put, to be forgotten. */
typedef union Scratch
{
	int			integer;
	double		number;
	char	   *text;
} Scratch;

static const char *const booleans[] = {"true", "false", NULL};
static const char *const families[] = {"any", "v4", "v6", NULL};

static const char *check_debug(const char *value);

#define PROPERTY(property, type, ...) \
	{.name = property, .kind = KE_OPTION_##type, __VA_ARGS__}

/* Bounds are librdkafka 2.0.2's, which later versions did not narrow. */
static const KeOption allowed[] = {
	PROPERTY("linger.ms", NUMBER, .min = 0, .max = 900000),
	PROPERTY("compression.level", INTEGER, .min = -1, .max = 12),
	PROPERTY("fetch.min.bytes", INTEGER, .min = 1, .max = 100000000),
	PROPERTY("fetch.max.bytes", INTEGER, .min = 0, .max = 2147483135),
	PROPERTY("fetch.message.max.bytes", INTEGER, .min = 1, .max = 1000000000),
	PROPERTY("max.partition.fetch.bytes", INTEGER, .min = 1,
			 .max = 1000000000),
	PROPERTY("queued.min.messages", INTEGER, .min = 1, .max = 10000000),
	PROPERTY("queued.max.messages.kbytes", INTEGER, .min = 1, .max = 2097151),
	PROPERTY("message.max.bytes", INTEGER, .min = 1000, .max = 1000000000),
	PROPERTY("receive.message.max.bytes", INTEGER, .min = 1000,
			 .max = 2147483647),
	PROPERTY("socket.timeout.ms", INTEGER, .min = 10, .max = 300000),
	PROPERTY("socket.keepalive.enable", WORD, .choices = booleans),
	PROPERTY("reconnect.backoff.ms", INTEGER, .min = 0, .max = 3600000),
	PROPERTY("reconnect.backoff.max.ms", INTEGER, .min = 0, .max = 3600000),
	PROPERTY("metadata.max.age.ms", INTEGER, .min = 1, .max = 86400000),
	PROPERTY("client.rack", TEXT),
	PROPERTY("broker.address.family", WORD, .choices = families),
	PROPERTY("connections.max.idle.ms", INTEGER, .min = 0, .max = 2147483647),
	PROPERTY("request.timeout.ms", INTEGER, .min = 1, .max = 900000),
	PROPERTY("transaction.timeout.ms", INTEGER, .min = 10000, .max = 60000),
	PROPERTY("ssl.cipher.suites", TEXT),
	PROPERTY("ssl.sigalgs.list", TEXT),
	PROPERTY("ssl.curves.list", TEXT),
	PROPERTY("debug", TEXT, .check = check_debug)
};

static const KeOptionSet allowed_set = {
	.object = "librdkafka",
	.options = allowed,
	.noptions = lengthof(allowed)
};

const KeOptionSet *
ke_properties_set(void)
{
	return &allowed_set;
}

typedef struct Refusal
{
	const char *pattern;		/* a name; with a star, its start or end */
	const char *reason;
} Refusal;

#define POSITIONS "kafka_events keeps positions itself, in PostgreSQL"
#define GROUPS "kafka_events names groups and their members itself"
#define LOADS "it can load code into the server"
#define TRUST "the broker's certificate and name are always verified"
#define DELIVERY "exactly-once delivery depends on the value kafka_events sets"
#define OPTION_INSTEAD(name) "option \"" name "\" of the server sets it"
#define MAPPING_INSTEAD(name) "option \"" name "\" of a user mapping sets it"

/* The first that matches gives the reason. */
static const Refusal refusals[] = {
	{"plugin.*", LOADS},
	{"ssl.engine.*", LOADS},
	{"ssl.providers", LOADS},
	{"sasl.kerberos.*", "it can run a command on the server"},
	{"*.location", "it reads or writes a file of the server"},
	{"offset.store.*", POSITIONS},
	{"enable.auto.*", POSITIONS},
	{"auto.*", POSITIONS},
	{"test.*", "it is for tests of librdkafka"},
	{"enable.ssl.certificate.verification", TRUST},
	{"ssl.endpoint.identification.algorithm", TRUST},
	{"group.protocol", OPTION_INSTEAD("group_protocol")},
	{"group.*", GROUPS},
	{"client.id", GROUPS},
	{"transactional.id", GROUPS},
	{"bootstrap.servers", OPTION_INSTEAD("bootstrap_servers")},
	{"metadata.broker.list", OPTION_INSTEAD("bootstrap_servers")},
	{"security.protocol", OPTION_INSTEAD("security_protocol")},
	{"sasl.mechanism", OPTION_INSTEAD("sasl_mechanism")},
	{"sasl.mechanisms", OPTION_INSTEAD("sasl_mechanism")},
	{"ssl.ca.pem", OPTION_INSTEAD("ssl_ca_pem")},
	{"session.timeout.ms", OPTION_INSTEAD("session_timeout")},
	{"heartbeat.interval.ms", OPTION_INSTEAD("heartbeat_interval")},
	{"max.poll.interval.ms", OPTION_INSTEAD("max_poll_interval")},
	{"fetch.wait.max.ms", OPTION_INSTEAD("fetch_wait")},
	{"compression.codec", OPTION_INSTEAD("compression")},
	{"compression.type", OPTION_INSTEAD("compression")},
	{"sasl.oauthbearer.client.id", MAPPING_INSTEAD("oidc_client_id")},
	{"sasl.oauthbearer.client.secret", MAPPING_INSTEAD("oidc_client_secret")},
	{"sasl.oauthbearer.token.endpoint.url",
	MAPPING_INSTEAD("oidc_token_endpoint")},
	{"sasl.oauthbearer.scope", MAPPING_INSTEAD("oidc_scope")},
	{"sasl.oauthbearer.extensions", MAPPING_INSTEAD("oidc_extensions")},
	{"https.ca.pem", MAPPING_INSTEAD("oidc_ca_pem")},
	{"enable.sasl.oauthbearer.unsecure.jwt",
	"whoever writes such a token is whoever he says"},
	{"sasl.username", MAPPING_INSTEAD("username")},
	{"sasl.password", MAPPING_INSTEAD("password")},
	{"ssl.certificate.pem", MAPPING_INSTEAD("ssl_certificate_pem")},
	{"ssl.key.pem", MAPPING_INSTEAD("ssl_key_pem")},
	{"ssl.key.password", MAPPING_INSTEAD("ssl_key_password")},
	{"isolation.level", DELIVERY},
	{"enable.idempotence", DELIVERY},
	{"enable.partition.eof", DELIVERY},
	{"enable.gapless.guarantee", DELIVERY},
	{"partition.assignment.strategy", DELIVERY},
	{"request.required.acks", DELIVERY},
	{"allow.auto.create.topics", "a typo must not create a topic"},
	{"internal.*", "it is internal to librdkafka"},
	{"*", "it is not on the list of properties that are known to be safe"}
};

/* Contexts of property debug. */
static const char *const debug_contexts[] = {
	"generic", "broker", "topic", "metadata", "feature", "queue", "msg",
	"protocol", "cgrp", "security", "fetch", "interceptor", "plugin",
	"consumer", "admin", "eos", "mock", "assignor", "conf", "all"
};

static const char *
check_debug(const char *value)
{
	const char *p = value;

	for (;;)
	{
		int			length = strcspn(p, ",");
		int			i;

		for (i = 0; i < lengthof(debug_contexts); i++)
		{
			if (strlen(debug_contexts[i]) == length &&
				strncmp(p, debug_contexts[i], length) == 0)
				break;
		}
		if (i == lengthof(debug_contexts))
			return "must be a list of librdkafka's debug contexts, like broker,cgrp";
		if (p[length] == '\0')
			return NULL;
		p += length + 1;
	}
}

static bool
matches(const char *name, const char *pattern)
{
	int			length = strlen(pattern);

	if (pattern[0] == '*')
		return pg_str_endswith(name, pattern + 1);
	if (pattern[length - 1] == '*')
		return strncmp(name, pattern, length - 1) == 0;
	return strcmp(name, pattern) == 0;
}

static const char *
refusal_reason(const char *name)
{
	int			i = 0;

	/* the last pattern matches every name */
	while (!matches(name, refusals[i].pattern))
		i++;
	return refusals[i].reason;
}

bool
ke_properties_is_meant(const char *name)
{
	return strchr(name, '.') != NULL ||
		ke_option_table_find(&allowed_set, name) != NULL;
}

char *
ke_properties_check(const char *name, const char *value, List **problems)
{
	const KeOption *property = ke_option_table_find(&allowed_set, name);
	Scratch		scratch;
	const char *rule;

	if (property == NULL)
	{
		char	   *closest = ke_option_table_closest_hint(&allowed_set, name);
		char	   *hint = psprintf("%s%sThe librdkafka properties that may be options of a server are: %s.",
									closest != NULL ? closest : "",
									closest != NULL ? "\n" : "",
									ke_option_table_names(&allowed_set));

		ke_options_problem(problems, hint,
						   "Property %s cannot be set: %s",
						   ke_option_table_quote(name), refusal_reason(name));
		return NULL;
	}

	rule = ke_option_table_assign(property, value, &scratch);
	if (rule != NULL)
	{
		ke_options_problem(problems, NULL, "Property \"%s\" %s, but is %s",
						   name, rule, ke_option_table_quote(value));
		return NULL;
	}

	/* librdkafka does not know every spelling that we do */
	return property->kind == KE_OPTION_WORD ? scratch.text : pstrdup(value);
}

/* The value of an integer property, or what librdkafka takes without it. */
static int64
value_or_default(List *properties, const char *name, int64 without)
{
	ListCell   *lc;

	foreach(lc, properties)
	{
		KeProperty *property = lfirst(lc);

		if (strcmp(property->name, name) == 0)
			return strtoi64(property->value, NULL, 10);
	}
	return without;
}

void
ke_properties_check_together(List *properties, List **problems)
{
	int64		fetch = value_or_default(properties, "fetch.max.bytes", -1);
	int64		receive = value_or_default(properties,
										   "receive.message.max.bytes", -1);
	int64		message = value_or_default(properties, "message.max.bytes",
										   1000000);

	if (fetch >= 0 && fetch < message)
		ke_options_problem(problems, NULL,
						   "Property \"fetch.max.bytes\" must be at least message.max.bytes (" INT64_FORMAT ")",
						   message);
	if (receive >= 0 && fetch >= 0 && receive < fetch + 512)
		ke_options_problem(problems, NULL,
						   "Property \"receive.message.max.bytes\" must be at least fetch.max.bytes + 512");
	if (value_or_default(properties, "reconnect.backoff.max.ms", 10000) <
		value_or_default(properties, "reconnect.backoff.ms", 100))
		ke_options_problem(problems, NULL,
						   "Property \"reconnect.backoff.max.ms\" (default 10000) must be at least reconnect.backoff.ms (default 100)");
}

int
ke_properties_since(const char *name)
{
	/* it turns on fetching from followers, which works from then on */
	if (strcmp(name, "client.rack") == 0)
		return 0x020601ff;
	return 0;
}
