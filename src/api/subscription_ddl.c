/*
 * subscription_ddl.c
 *	  Finds a subscription by its topic, and runs the statements that make
 *	  and change one.
 *
 * The statements are ordinary ones, run with the user's own rights: event
 * triggers, other extensions and api/ddl see the same as when the user types
 * them.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/ddl.h"
#include "api/subscription_ddl.h"
#include "subscription/extension.h"
#include "subscription/names.h"

/* -------------------------------------------------------------- finding */

KeServer *
ke_subscription_ddl_server(const char *name)
{
	KeServer   *server;
	Oid			oid;

	ke_extension_lock();
	server = ke_catalog_server_by_name(name);
	ke_ddl_require_membership(server);
	oid = server->oid;
	LockDatabaseObject(ForeignServerRelationId, oid, 0,
					   ShareUpdateExclusiveLock);
	server = ke_catalog_server(oid);
	if (server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the server was dropped just now")));

	/* whoever held the lock may have given the server away */
	ke_ddl_require_membership(server);
	return server;
}

/*
 * A regular expression may be the name of a topic too, of one that it
 * matches; what the pattern made of that cannot be told from the pattern, and
 * is altered with it.
 */
KeSubscription *
ke_subscription_ddl_find(KeServer *server, const char *topic)
{
	Oid			pattern = ke_catalog_find_pattern(server, topic, InvalidOid);
	KeSubscription *sub;

	sub = ke_catalog_read(server, ke_catalog_find(server, topic, InvalidOid),
						  false, NULL);
	if (OidIsValid(pattern) && (sub == NULL || OidIsValid(sub->pattern)))
		sub = ke_catalog_read(server, pattern, false, NULL);
	if (sub == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" is not subscribed on server \"%s\"",
						topic, server->name),
				 errhint("View kafka_subscriptions shows what is subscribed; kafka_subscribe subscribes.")));
	return sub;
}

List *
ke_subscription_ddl_options(Oid relid)
{
	return GetForeignTable(relid)->options;
}

/* ------------------------------------------------------------ statements */

static void
run(const char *statement)
{
	int			result;

	SPI_connect();
	result = SPI_execute(statement, false, 0);
	if (result != SPI_OK_UTILITY)
		elog(ERROR, "SPI_execute returned %s", SPI_result_code_string(result));
	SPI_finish();
}

Oid
ke_subscription_ddl_create(KeServer *server, const char *table, List *options)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE FOREIGN TABLE %s () SERVER %s OPTIONS (",
					 quote_qualified_identifier("kafka_events", table),
					 quote_identifier(server->name));
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		appendStringInfo(&buf, "%s%s %s",
						 foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(option->defname),
						 quote_literal_cstr(defGetString(option)));
	}
	appendStringInfoChar(&buf, ')');
	run(buf.data);
	return get_relname_relid(table, ke_extension_schema());
}

void
ke_subscription_ddl_alter(KeSubscription *sub, List *options)
{
	List	   *stored = ke_subscription_ddl_options(sub->oid);
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		bool		there = ke_options_find(stored, option->defname) != NULL;
		const char *separator = buf.len > 0 ? ", " : "";

		if (option->defaction != DEFELEM_DROP)
			appendStringInfo(&buf, "%s%s %s %s", separator,
							 there ? "SET" : "ADD",
							 quote_identifier(option->defname),
							 quote_literal_cstr(defGetString(option)));
		else if (there)
			appendStringInfo(&buf, "%sDROP %s", separator,
							 quote_identifier(option->defname));
	}
	if (buf.len > 0)
		run(psprintf("ALTER FOREIGN TABLE %s OPTIONS (%s)",
					 ke_names_of_table(sub->oid), buf.data));
}

void
ke_subscription_ddl_drop(KeSubscription *sub)
{
	run(psprintf("DROP FOREIGN TABLE %s", ke_names_of_table(sub->oid)));
}
