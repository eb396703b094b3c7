/*
 * ddl.c
 *	  Keeps servers, subscriptions and what they depend on consistent,
 *	  whatever statement changes them.
 *
 * A subscription is made and changed by core statements, so this is where
 * its rules live, for kafka_subscribe as well, which only writes such a
 * statement.  "Before" is for what must be refused and for locks that make
 * looking worthwhile; "after" sees the result, through the catalogs.
 *
 * Who makes or alters a subscription first locks its server with
 * ShareUpdateExclusiveLock: that orders sessions that subscribe the same
 * topic, or change the server meanwhile.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "api/ddl.h"
#include "api/pattern_ddl.h"
#include "api/service_rename.h"
#include "api/subscription_define.h"
#include "outbox/outbox_adopt.h"
#include "subscription/catalog.h"
#include "subscription/checks.h"
#include "subscription/extension.h"
#include "subscription/references.h"
#include "subscription/trust.h"

/* ------------------------------------------------------------- finding */

/* The server a foreign table is on, if it is of ours. */
static KeServer *
server_of(Oid relid)
{
	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return NULL;
	return ke_catalog_server(GetForeignTable(relid)->serverid);
}

/* The subscription a statement is about; InvalidOid if it is none. */
static Oid
subscription_of(RangeVar *relation)
{
	Oid			relid;

	if (relation == NULL)
		return InvalidOid;
	relid = RangeVarGetRelid(relation, NoLock, true);
	if (!OidIsValid(relid) || server_of(relid) == NULL)
		return InvalidOid;
	return relid;
}

/* A server of ours by name, or NULL. */
static KeServer *
server_by_name(const char *name)
{
	Oid			oid = get_foreign_server_oid(name, true);

	return OidIsValid(oid) ? ke_catalog_server(oid) : NULL;
}

/* The same, locked so that it stays as it is. */
static KeServer *
lock_server(const char *name)
{
	KeServer   *server = server_by_name(name);
	Oid			oid;

	if (server == NULL)
		return NULL;
	oid = server->oid;
	LockDatabaseObject(ForeignServerRelationId, oid, 0,
					   ShareUpdateExclusiveLock);
	return ke_catalog_server(oid);
}

/* ------------------------------------------------------- subscriptions */

void
ke_ddl_require_membership(KeServer *server)
{
	if (has_privs_of_role(GetUserId(), server->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for subscriptions of server \"%s\"",
					server->name),
			 errdetail("Its subscriptions run as the server's owner, \"%s\".",
					   GetUserNameFromId(server->owner, false)),
			 errhint("You must be a member of role \"%s\".",
					 GetUserNameFromId(server->owner, false))));
}

static void
before_create(CreateForeignTableStmt *stmt)
{
	KeServer   *server;

	server = server_by_name(stmt->servername);
	if (server == NULL)
		return;
	ke_extension_lock();
	ke_ddl_require_membership(server);
	server = lock_server(stmt->servername);

	/* whoever held the lock may have given the server away */
	if (server == NULL)
		return;
	ke_ddl_require_membership(server);
	ke_pattern_ddl_before_create(stmt, server);
}

static void
after_create(CreateForeignTableStmt *stmt)
{
	Oid			namespace;
	Oid			relid;

	namespace = RangeVarGetCreationNamespace(stmt->base.relation);
	relid = get_relname_relid(stmt->base.relation->relname, namespace);
	/* what IF NOT EXISTS found stays as it is, and nobody has locked it */
	if (!OidIsValid(relid) || !ke_subscription_define_is_new(relid))
		return;
	if (server_of(relid) != NULL)
		ke_subscription_define(relid, KE_ADOPT_CREATED);
	else if (namespace == ke_extension_schema())
		ke_subscription_define_refuse_stranger(get_rel_name(relid));
}

/* Do the options of an ALTER touch only what cannot break anything? */
static bool
only_pauses(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, "paused") != 0)
			return false;
	return true;
}

static void
before_subscription_options(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, "topic") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot change the topic of a subscription"),
					 errhint("Drop the subscription and subscribe the other topic.")));
	ke_pattern_ddl_before_options(options);
}

static void
before_subscription_owner(Oid relid, RoleSpec *owner)
{
	KeServer   *server = server_of(relid);

	if (get_rolespec_oid(owner, false) != server->owner)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the owner of subscription \"%s\"",
						get_rel_name(relid)),
				 errdetail("A subscription belongs to the owner of its server \"%s\".",
						   server->name),
				 errhint("ALTER SERVER ... OWNER TO takes its subscriptions along.")));
}

static void
before_alter_table(AlterTableStmt *stmt)
{
	Oid			relid = subscription_of(stmt->relation);
	ListCell   *lc;

	if (!OidIsValid(relid))
		return;
	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_GenericOptions)
		{
			before_subscription_options((List *) command->def);
			(void) lock_server(server_of(relid)->name);
		}
		else if (command->subtype == AT_ChangeOwner)
			before_subscription_owner(relid, command->newowner);
		else
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot alter subscription \"%s\" in this way",
							get_rel_name(relid)),
					 errdetail("A subscription has options and nothing else."),
					 errhint("Use ALTER FOREIGN TABLE ... OPTIONS, or kafka_subscription_alter.")));
	}
}

/* A new owner must not get a superuser to run his code. */
static void
check_dependents(Oid class_id, Oid object_id)
{
	ListCell   *lc;

	foreach(lc, ke_references_dependents(class_id, object_id))
	{
		KeServer   *server = server_of(lfirst_oid(lc));
		KeSubscription *sub;
		List	   *problems = NIL;

		if (server == NULL)
			continue;
		sub = ke_catalog_read(server, lfirst_oid(lc), false, &problems);
		if (sub == NULL)
			continue;
		problems = NIL;
		ke_trust_check(server, sub, &problems);
		ke_subscription_define_report(sub, problems);
	}
}

static void
after_alter_table(AlterTableStmt *stmt)
{
	Oid			relid = subscription_of(stmt->relation);
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (OidIsValid(relid) && command->subtype == AT_GenericOptions &&
			!only_pauses((List *) command->def))
			ke_subscription_define(relid, KE_ADOPT_ALTERED);
		else if (!OidIsValid(relid) && command->subtype == AT_ChangeOwner)
			check_dependents(RelationRelationId,
							 RangeVarGetRelid(stmt->relation, NoLock, true));
	}
}

/* -------------------------------------------------------------- servers */

/* Two servers with one service name would share their groups. */
static void
check_service_name(KeServer *server)
{
	ListCell   *lc;

	foreach(lc, ke_catalog_servers())
	{
		KeServer   *other = ke_catalog_server(lfirst_oid(lc));

		if (other == NULL || other->oid == server->oid ||
			strcmp(other->options.service_name,
				   server->options.service_name) != 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("service \"%s\" is server \"%s\" already",
						server->options.service_name, other->name),
				 errhint("Each server of a database needs a service_name of its own: it names its consumer groups.")));
	}
}

static void
before_create_server(CreateForeignServerStmt *stmt)
{
	Oid			wrapper = ke_extension_wrapper();

	if (get_foreign_data_wrapper_oid(stmt->fdwname, true) == wrapper)
		LockDatabaseObject(ForeignDataWrapperRelationId, wrapper, 0,
						   ShareUpdateExclusiveLock);
}

static void
after_create_server(CreateForeignServerStmt *stmt)
{
	KeServer   *server = server_by_name(stmt->servername);

	if (server == NULL)
		return;
	check_service_name(server);
	ke_outbox_adopt_note_servers();
}

static bool
names_service(const List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "service_name") == 0)
			return true;
	}
	return false;
}

static void
before_alter_server(AlterForeignServerStmt *stmt)
{
	KeServer   *server = lock_server(stmt->servername);
	ListCell   *lc;

	if (server == NULL)
		return;

	/* the validator sees what results, and so not what is dropped */
	if (server->options.properties != NIL && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to alter server \"%s\"",
						server->name),
				 errdetail("It has properties of librdkafka: only superusers may set them, and alter it.")));

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "service_name") != 0)
			continue;
		LockDatabaseObject(ForeignDataWrapperRelationId,
						   ke_extension_wrapper(),
						   0, ShareUpdateExclusiveLock);
		if (option->arg != NULL &&
			strcmp(defGetString(option), server->options.service_name) == 0)
			continue;
		ke_service_rename_check(server);
	}
}

/* What a server's options and its subscriptions' must have in common. */
static void
after_alter_server(AlterForeignServerStmt *stmt)
{
	KeServer   *server = server_by_name(stmt->servername);
	ListCell   *lc;

	if (server == NULL)
		return;
	check_service_name(server);
	if (names_service(stmt->options))
		ke_service_rename_begin(server);
	foreach(lc, ke_catalog_patterns_and_topics(server))
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		List	   *problems = NIL;

		ke_options_subscription_check(&server->options, sub->topic,
									  &sub->options, &problems);
		ke_subscription_define_report(sub, problems);
	}
}

static void
before_alter_owner(AlterOwnerStmt *stmt)
{
	if (stmt->objectType == OBJECT_FOREIGN_SERVER)
		(void) lock_server(strVal(stmt->object));
}

/* Subscriptions follow their server; what it may do is judged again. */
static void
after_server_owner(KeServer *server)
{
	ListCell   *lc;

	foreach(lc, ke_catalog_patterns_and_topics(server))
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);

		ATExecChangeOwner(sub->oid, server->owner, true, AccessExclusiveLock);
	}
	CommandCounterIncrement();
	foreach(lc, ke_catalog_patterns_and_topics(server))
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		List	   *problems = NIL;

		ke_checks_subscription(server, sub, &problems);
		ke_subscription_define_report(sub, problems);
	}
}

static void
after_alter_owner(AlterOwnerStmt *stmt)
{
	ObjectAddress address;
	Relation	relation = NULL;

	switch (stmt->objectType)
	{
		case OBJECT_FOREIGN_SERVER:
			{
				KeServer   *server = lock_server(strVal(stmt->object));

				if (server != NULL)
					after_server_owner(server);
				break;
			}
		case OBJECT_FUNCTION:
		case OBJECT_ROUTINE:
			address = get_object_address(stmt->objectType, stmt->object,
										 &relation, AccessShareLock, true);
			if (OidIsValid(address.objectId))
				check_dependents(ProcedureRelationId, address.objectId);
			break;
		default:
			break;
	}
}

/* ---------------------------------------------------------------- names */

static void
refuse_renaming(const char *kind, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot rename %s \"%s\"", kind, name),
			 errdetail("Extension kafka_events finds it by this name.")));
}

static void
before_rename(RenameStmt *stmt)
{
	Oid			relid;
	KeSubscription *sub;
	List	   *problems = NIL;

	if (stmt->renameType == OBJECT_SCHEMA &&
		get_namespace_oid(stmt->subname, true) == ke_extension_schema())
		refuse_renaming("schema", stmt->subname);
	if (stmt->renameType == OBJECT_FDW &&
		get_foreign_data_wrapper_oid(strVal(stmt->object),
									 true) == ke_extension_wrapper())
		refuse_renaming("foreign-data wrapper", strVal(stmt->object));

	relid = subscription_of(stmt->relation);
	if (!OidIsValid(relid))
		return;
	sub = ke_catalog_read(server_of(relid), relid, false, &problems);
	if (sub != NULL && sub->options.topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rename subscription \"%s\"", sub->topic),
				 errdetail("A subscription is named after its topic."),
				 errhint("Drop it and subscribe the other topic.")));
}

static void
before_set_schema(AlterObjectSchemaStmt *stmt)
{
	Oid			relid = subscription_of(stmt->relation);

	if (OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move subscription \"%s\" to another schema",
						get_rel_name(relid)),
				 errdetail("Subscriptions live in schema kafka_events.")));
}

/* Something has another name: the option texts that hold it follow. */
static void
after_names_changed(void)
{
	ListCell   *lc;

	foreach(lc, ke_catalog_servers())
	{
		KeServer   *server = ke_catalog_server(lfirst_oid(lc));

		if (server != NULL)
			(void) ke_catalog_refresh(server);
	}
}

/* ------------------------------------------------------------- dispatch */

/* Most statements, and all in databases without the extension, are not. */
static bool
is_watched(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateForeignTableStmt:
		case T_AlterTableStmt:
		case T_CreateForeignServerStmt:
		case T_AlterForeignServerStmt:
		case T_AlterOwnerStmt:
		case T_RenameStmt:
		case T_AlterObjectSchemaStmt:
			return !IsBinaryUpgrade && OidIsValid(ke_extension_wrapper());
		default:
			return false;
	}
}

void
ke_ddl_before(Node *statement)
{
	if (IsA(statement, DropStmt))
		ke_pattern_ddl_before_drop((DropStmt *) statement);

	/* PostgreSQL refuses it, but we would lock first */
	if (!is_watched(statement) || RecoveryInProgress())
		return;
	switch (nodeTag(statement))
	{
		case T_CreateForeignTableStmt:
			before_create((CreateForeignTableStmt *) statement);
			break;
		case T_AlterTableStmt:
			before_alter_table((AlterTableStmt *) statement);
			break;
		case T_CreateForeignServerStmt:
			before_create_server((CreateForeignServerStmt *) statement);
			break;
		case T_AlterForeignServerStmt:
			before_alter_server((AlterForeignServerStmt *) statement);
			break;
		case T_AlterOwnerStmt:
			before_alter_owner((AlterOwnerStmt *) statement);
			break;
		case T_RenameStmt:
			before_rename((RenameStmt *) statement);
			break;
		case T_AlterObjectSchemaStmt:
			before_set_schema((AlterObjectSchemaStmt *) statement);
			break;
		default:
			break;
	}
}

void
ke_ddl_after(Node *statement)
{
	if (!is_watched(statement))
		return;

	/* what the statement did is to be seen */
	CommandCounterIncrement();
	switch (nodeTag(statement))
	{
		case T_CreateForeignTableStmt:
			after_create((CreateForeignTableStmt *) statement);
			break;
		case T_AlterTableStmt:
			after_alter_table((AlterTableStmt *) statement);
			break;
		case T_CreateForeignServerStmt:
			after_create_server((CreateForeignServerStmt *) statement);
			break;
		case T_AlterForeignServerStmt:
			after_alter_server((AlterForeignServerStmt *) statement);
			break;
		case T_AlterOwnerStmt:
			after_alter_owner((AlterOwnerStmt *) statement);
			break;
		case T_RenameStmt:
			after_names_changed();
			if (((RenameStmt *) statement)->renameType ==
				OBJECT_FOREIGN_SERVER)
				ke_outbox_adopt_note_servers();
			break;
		case T_AlterObjectSchemaStmt:
			after_names_changed();
			break;
		default:
			break;
	}
}
