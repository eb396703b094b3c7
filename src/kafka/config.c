/*
 * config.c
 *	  The options of a server as the library's properties.
 *
 * The result of every rd_kafka_conf_set() is checked: a misspelt property
 * that is passed over silently shows years later.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/oidc.h"
#include "kafka/client.h"
#include "kafka/config.h"

/* Given as server options for producers; a consumer would complain. */
static const char *const producer_properties[] = {
	"linger.ms",
	"compression.level",
	"request.timeout.ms",
	"transaction.timeout.ms",
	NULL
};

/* Likewise for consumers. */
static const char *const consumer_properties[] = {
	"fetch.min.bytes",
	"fetch.max.bytes",
	"fetch.message.max.bytes",
	"max.partition.fetch.bytes",
	"queued.min.messages",
	"queued.max.messages.kbytes",
	NULL
};

/* Whose values must not be seen in an error. */
static const char *const secret_properties[] = {
	"sasl.password",
	"ssl.key.pem",
	"ssl.key.password",
	"sasl.oauthbearer.client.secret",
	NULL
};

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
	{
		if (strcmp(name, *names) == 0)
			return true;
	}
	return false;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		reason[512];

	if (value == NULL)
		return;
	if (rd_kafka_conf_set(conf, name, value, reason,
						  sizeof(reason)) == RD_KAFKA_CONF_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("Kafka client refuses property \"%s\"", name),
			 is_one_of(name, secret_properties) ? 0 :
			 errdetail("The library says: %s", reason)));
}

/* A login needs a user; say whose mapping is to name one. */
static void
require_login(const KeServerOptions *server, const KeMappingOptions *mapping)
{
	const char *role = mapping->role != NULL ? mapping->role : "CURRENT_USER";
	const char *name = mapping->server != NULL ? mapping->server : "...";

	if (mapping->username != NULL && mapping->password != NULL)
		return;
	if (!mapping->exists)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role %s, the owner of server %s, has no user mapping for it, which security_protocol %s needs",
						role, name, server->security_protocol),
				 errhint("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (username '...', password '...');",
						 role, name)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("the user mapping of %s for server %s has no username and password, which security_protocol %s needs",
					role, name, server->security_protocol),
			 errhint("ALTER USER MAPPING FOR %s SERVER %s OPTIONS (ADD username '...', ADD password '...');",
					 role, name)));
}

/* Likewise for a token. */
static void
require_token_endpoint(const KeMappingOptions *mapping)
{
	const char *role = mapping->role != NULL ? mapping->role : "CURRENT_USER";
	const char *name = mapping->server != NULL ? mapping->server : "...";

	if (!ke_client_has_oidc())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("librdkafka %s cannot log in with OAUTHBEARER: it was built without libcurl",
						ke_client_library_name())));
	if (mapping->oidc_token_endpoint != NULL)
		return;
	if (!mapping->exists)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role %s, the owner of server %s, has no user mapping for it, which sasl_mechanism OAUTHBEARER needs",
						role, name),
				 errhint("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (oidc_token_endpoint '...', oidc_client_id '...', oidc_client_secret '...');",
						 role, name)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("the user mapping of %s for server %s has no oidc_token_endpoint, which sasl_mechanism OAUTHBEARER needs",
					role, name),
			 errhint("ALTER USER MAPPING FOR %s SERVER %s OPTIONS (ADD oidc_token_endpoint '...', ADD oidc_client_id '...', ADD oidc_client_secret '...');",
					 role, name)));
}

/* The library fetches tokens in a thread of its own, whenever it needs one. */
static void
set_token_endpoint(rd_kafka_conf_t *conf, const KeMappingOptions *mapping)
{
	set(conf, "sasl.oauthbearer.method", "oidc");
	set(conf, "sasl.oauthbearer.token.endpoint.url",
		mapping->oidc_token_endpoint);
	set(conf, "sasl.oauthbearer.client.id", mapping->oidc_client_id);
	set(conf, "sasl.oauthbearer.client.secret", mapping->oidc_client_secret);
	set(conf, "sasl.oauthbearer.scope", mapping->oidc_scope);
	set(conf, "sasl.oauthbearer.extensions", mapping->oidc_extensions);
	set(conf, "https.ca.pem", mapping->oidc_ca_pem);
}

static void
set_connection(rd_kafka_conf_t *conf, const KeServerOptions *server,
			   const KeMappingOptions *mapping)
{
	bool		tls = strcmp(server->security_protocol, "ssl") == 0 ||
		strcmp(server->security_protocol, "sasl_ssl") == 0;
	bool		sasl = strncmp(server->security_protocol, "sasl", 4) == 0;

	set(conf, "bootstrap.servers", server->bootstrap_servers);
	set(conf, "security.protocol", server->security_protocol);
	if (tls)
	{
		set(conf, "ssl.ca.pem", server->ssl_ca_pem);
		set(conf, "ssl.ca.location", server->ssl_ca_file);
		set(conf, "ssl.certificate.pem", mapping->ssl_certificate_pem);
		set(conf, "ssl.key.password", mapping->ssl_key_password);
		set(conf, "ssl.key.pem", mapping->ssl_key_pem);
	}
	if (sasl)
	{
		set(conf, "sasl.mechanism", server->sasl_mechanism);
		if (ke_oidc_is_used(server))
		{
			require_token_endpoint(mapping);
			set_token_endpoint(conf, mapping);
			return;
		}
		require_login(server, mapping);
		set(conf, "sasl.username", mapping->username);
		set(conf, "sasl.password", mapping->password);
	}
}

static void
set_common(rd_kafka_conf_t *conf, const char *client_id)
{
	set(conf, "client.id", client_id);

	/* A typo must not create a topic; a late topic must be seen. */
	set(conf, "allow.auto.create.topics", "false");
	set(conf, "topic.metadata.refresh.interval.ms", "10000");

	/* Logs come as events, as everything else does. */
	set(conf, "log.queue", "true");

	/* Nothing about this server goes to a broker's operator unasked. */
	if (rd_kafka_version() >= 0x02050000)
		set(conf, "enable.metrics.push", "false");
}

/* Properties are given for the server, so for clients of both types. */
static bool
is_meant_for(rd_kafka_type_t type, const char *property)
{
	return !is_one_of(property, type == RD_KAFKA_CONSUMER ?
					  producer_properties : consumer_properties);
}

static void
set_all(rd_kafka_conf_t *conf, rd_kafka_type_t type,
		const KeServerOptions *server, const KeMappingOptions *mapping,
		const char *client_id, const KeSetting *settings)
{
	ListCell   *lc;

	set_connection(conf, server, mapping);
	set_common(conf, client_id);
	for (; settings->name != NULL; settings++)
		set(conf, settings->name, settings->value);

	/* Last, so that they win; the validator keeps ours out of them. */
	foreach(lc, server->properties)
	{
		KeProperty *property = lfirst(lc);

		if (is_meant_for(type, property->name))
			set(conf, property->name, property->value);
	}
}

rd_kafka_conf_t *
ke_config_make(rd_kafka_type_t type, const KeServerOptions *server,
			   const KeMappingOptions *mapping, const char *client_id,
			   const KeSetting *settings)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	PG_TRY();
	{
		set_all(conf, type, server, mapping, client_id, settings);
	}
	PG_CATCH();
	{
		rd_kafka_conf_destroy(conf);
		PG_RE_THROW();
	}
	PG_END_TRY();

	return conf;
}
