/*
 * validator.c
 *	  Checks options whenever somebody writes them.
 *
 * PostgreSQL calls the wrapper's validator with the complete list an object
 * would have, and only with that: neither the object nor, for a foreign
 * table, its server is known here; api/ddl checks what needs them.  This runs
 * in pg_restore and pg_upgrade as well, so it needs no shared memory, no
 * preload, and no object of the extension.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

#include "core/oidc.h"
#include "core/options.h"
#include "core/pem.h"
#include "core/properties.h"
#include "kafka/client.h"
#include "shm/ready.h"

PG_FUNCTION_INFO_V1(kafka_wrapper_validator);

/* What depends on who writes the options, and where. */
static void
check_server_privileges(const KeServerOptions *server, List **problems)
{
	ListCell   *lc;

	if (server->ssl_ca_file != NULL &&
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ke_options_problem(problems,
						   "Option \"ssl_ca_pem\" takes the certificates themselves.",
						   "Option \"ssl_ca_file\" may be set only by members of role pg_read_server_files");

	foreach(lc, server->properties)
	{
		KeProperty *property = lfirst(lc);
		int			since = ke_properties_since(property->name);

		if (!superuser())
			ke_options_problem(problems, NULL,
							   "Property \"%s\" may be set only by superusers, who alone then alter the server",
							   property->name);
		if (ke_client_library_version() < since)
			ke_options_problem(problems, NULL,
							   "Property \"%s\" needs librdkafka %d.%d.%d or later",
							   property->name, (since >> 24) & 0xff,
							   (since >> 16) & 0xff, (since >> 8) & 0xff);
	}
}

/* What the library that is loaded cannot do. */
static void
check_library(const KeServerOptions *server, List **problems)
{
	if (IsBinaryUpgrade)
		return;
	if (ke_oidc_is_used(server) && !ke_client_has_oidc())
		ke_options_problem(problems,
						   "Install a librdkafka that was built with libcurl and restart PostgreSQL, or use another sasl_mechanism, such as SCRAM-SHA-512, or client certificates (security_protocol ssl).",
						   "Option \"sasl_mechanism\" cannot be OAUTHBEARER with librdkafka %s as it is installed here: it was built without libcurl",
						   ke_client_library_name());
	if (server->consumer_protocol && !ke_client_has_consumer_protocol())
		ke_options_problem(problems,
						   "Leave it classic, or install a later librdkafka and restart PostgreSQL. The brokers must be Kafka 4.0 or later, too.",
						   "Option \"group_protocol\" can be consumer with librdkafka %s or later, but this is %s",
						   KE_CLIENT_CONSUMER_PROTOCOL_SINCE,
						   ke_client_library_name());
}

/* What works with some brokers, and what will not work for long. */
static void
warn_about_login(const KeServerOptions *server)
{
	const char *mechanism = server->sasl_mechanism;

	if (strncmp(server->security_protocol, "sasl", 4) == 0 &&
		!ke_client_can_log_in(mechanism))
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("librdkafka %s cannot log in to Kafka 4 or later with %s",
						ke_client_library_name(), mechanism),
				 errhint("Install librdkafka 2.6.1 or later, or use another sasl_mechanism. With Kafka 3 it works.")));
}

static void
warn_about_certificate(const KeMappingOptions *mapping)
{
	char	   *over = NULL;

	if (mapping->ssl_certificate_pem != NULL)
		over = ke_pem_expired_at(mapping->ssl_certificate_pem,
								 GetCurrentTimestamp());
	if (over != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the certificate in option \"ssl_certificate_pem\" expired on %s",
						over),
				 errhint("Brokers refuse it: set a new certificate and its key.")));
}

/* A server or a subscription can be made, and nothing comes of it. */
static void
warn_without_preload(const char *what)
{
	if (ke_ready() || IsBinaryUpgrade)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("kafka_events is not loaded: nothing will be consumed or published, and this %s is checked only in part",
					what),
			 errhint("Add kafka_events to shared_preload_libraries and restart the server.")));
}

static void
validate_server(List *options)
{
	KeServerOptions server;
	List	   *problems = NIL;

	ke_options_server_parse(options, &server, &problems);
	check_server_privileges(&server, &problems);
	check_library(&server, &problems);
	ke_options_report("a server of kafka_events", problems);
	warn_about_login(&server);
	warn_without_preload("server");
}

static void
validate_mapping(List *options)
{
	KeMappingOptions mapping;
	List	   *problems = NIL;

	ke_options_server_parse_mapping(options, &mapping, &problems);
	ke_options_report("a user mapping of kafka_events", problems);
	warn_about_certificate(&mapping);
}

static void
validate_subscription(List *options)
{
	KeSubscriptionOptions sub;
	List	   *problems = NIL;

	/* whatever profile the server has: no bound depends on it */
	ke_options_subscription_parse(options, false, &sub, &problems);
	ke_options_report("a subscription of kafka_events", problems);
	warn_without_preload("subscription");
}

static void
validate_nothing(const char *object, List *options)
{
	List	   *problems = NIL;
	ListCell   *lc;

	foreach(lc, options)
		ke_options_problem(&problems, NULL,
						   "Option \"%s\" does not exist: there are none",
						   lfirst_node(DefElem, lc)->defname);
	ke_options_report(object, problems);
}

Datum
kafka_wrapper_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));

	switch (PG_GETARG_OID(1))
	{
		case ForeignServerRelationId:
			validate_server(options);
			break;
		case UserMappingRelationId:
			validate_mapping(options);
			break;
		case ForeignTableRelationId:
			validate_subscription(options);
			break;
		case AttributeRelationId:
			validate_nothing("a column", options);
			break;
		case ForeignDataWrapperRelationId:
			validate_nothing("foreign-data wrapper \"kafka_events\"", options);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("catalog %u has no options of kafka_events",
							PG_GETARG_OID(1))));
	}
	PG_RETURN_VOID();
}
