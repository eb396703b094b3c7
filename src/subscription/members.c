/*
 * members.c
 *	  Makes and drops the subscriptions of topics that match a pattern.
 *
 * Each is a foreign table as any subscription is, that says which topic it is
 * and which pattern made it.  All other options are the pattern's, read there
 * whenever the subscription is: see subscription/catalog.  It depends on the
 * pattern as a part of it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "common/hashfn.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

#include "subscription/extension.h"
#include "subscription/members.h"
#include "subscription/references.h"

static bool
is_free(const char *name)
{
	return strlen(name) < NAMEDATALEN &&
		!OidIsValid(get_relname_relid(name, ke_extension_schema()));
}

/* As much of the topic as leaves room for what tells it from others. */
char *
ke_members_table_name(const char *topic, KeServer *server)
{
	char	   *full = psprintf("%s@%s", topic, server->name);
	uint32		seed = 0;
	char	   *name;

	if (is_free(topic))
		return pstrdup(topic);
	name = full;
	while (!is_free(name))
	{
		uint32		hash = hash_bytes((unsigned char *) full, strlen(full)) +
			seed++;
		int			kept = pg_mbcliplen(topic, strlen(topic),
										NAMEDATALEN - 10);

		name = psprintf("%.*s~%08x", kept, topic, hash);
	}
	return name;
}

/*
 * Not Kafka's own and those that clients keep their own state in, and none of
 * the topics that we write copies into.
 */
bool
ke_members_may_be(const KeServerOptions *server, const char *topic)
{
	return strncmp(topic, "__", 2) != 0 &&
		!pg_str_endswith(topic, server->retry_suffix) &&
		!pg_str_endswith(topic, server->dlq_suffix);
}

char *
ke_members_start(Oid pattern)
{
	return psprintf("pattern %s", get_rel_name(pattern));
}

static List *
add_option(List *options, const char *name, const char *value)
{
	return lappend(options,
				   makeDefElem(pstrdup(name),
							   (Node *) makeString(pstrdup(value)), -1));
}

Oid
ke_members_make(KeServer *server, const KeSubscription *pattern,
				const char *topic)
{
	CreateForeignTableStmt *stmt = makeNode(CreateForeignTableStmt);
	char	   *name = ke_members_table_name(topic, server);
	Oid			table;

	stmt->base.relation = makeRangeVar(KE_EXTENSION_NAME, name, -1);
	stmt->base.oncommit = ONCOMMIT_NOOP;
	stmt->servername = server->name;
	if (strcmp(name, topic) != 0)
		stmt->options = add_option(stmt->options, "topic", topic);
	stmt->options = add_option(stmt->options, "pattern",
							   get_rel_name(pattern->oid));
	table = DefineRelation(&stmt->base, RELKIND_FOREIGN_TABLE, server->owner,
						   NULL, NULL).objectId;
	CreateForeignTable(stmt, table);
	CommandCounterIncrement();
	ke_references_link(table, pattern->oid);
	return table;
}

void
ke_members_drop(Oid member)
{
	ObjectAddress table;

	ke_references_unlink(member);
	ObjectAddressSet(table, RelationRelationId, member);
	performDeletion(&table, DROP_RESTRICT, 0);
	CommandCounterIncrement();
}
