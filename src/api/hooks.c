/*
 * hooks.c
 *	  Where PostgreSQL tells us about what users do.
 *
 * Three things are made of it.  A change of what our processes depend on is
 * noted, and they are told when the transaction commits.  A statement that
 * needs a database without sessions first gets our processes out of it.  And
 * api/ddl looks at every statement, before and after it runs.
 *
 * Noting a change sets a flag: it happens at each object access of any DDL
 * in any database.  What concerns no process of ours costs one wake-up.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "api/ddl.h"
#include "api/hooks.h"
#include "shm/database_hold_wait.h"
#include "shm/roster.h"

/* How long a statement waits for our processes to leave a database. */
#define HOLD_TIMEOUT_MS 5000

static object_access_hook_type prev_object_access = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* What the current transaction did. */
static bool change_noted = false;
static Oid	database_noted = InvalidOid;

/* It has committed: processes are to be told. */
static bool telling = false;

/* ------------------------------------------------------------- changes */

void
ke_hooks_note_change(void)
{
	change_noted = true;
}

static void
forget_notes(void)
{
	change_noted = false;
	database_noted = InvalidOid;
	telling = false;
}

static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			telling = change_noted || OidIsValid(database_noted);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_notes();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

/*
 * Tell those concerned, at the end of the commit: at XACT_EVENT_COMMIT other
 * processes have not been sent the cache invalidations yet, and would see
 * the catalogs as they were.
 */
static void
tell_processes(ResourceReleasePhase phase, bool is_commit, bool is_top_level,
			   void *arg)
{
	if (!telling || phase != RESOURCE_RELEASE_AFTER_LOCKS)
		return;
	if (change_noted)
		ke_roster_config_changed(MyDatabaseId);
	if (OidIsValid(database_noted))
		ke_roster_config_changed(database_noted);
	forget_notes();
}

/*
 * Can a change of this relation concern us?  Foreign tables are
 * subscriptions; plain ones, views and partitioned tables may be a target.
 * Temporary tables, which some applications make all the time, may not.
 */
static bool
relation_matters(Oid relid)
{
	switch (get_rel_relkind(relid))
	{
		case RELKIND_FOREIGN_TABLE:
			return true;
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_VIEW:
			return get_rel_persistence(relid) != RELPERSISTENCE_TEMP;
		default:
			return false;
	}
}

static bool
access_matters(ObjectAccessType access, Oid class_id, Oid object_id)
{
	if (access != OAT_POST_CREATE && access != OAT_POST_ALTER &&
		access != OAT_DROP)
		return false;

	switch (class_id)
	{
		case ForeignServerRelationId:
		case ForeignTableRelationId:
		case ForeignDataWrapperRelationId:
		case UserMappingRelationId:
		case ExtensionRelationId:
		case ProcedureRelationId:
		case AuthIdRelationId:
			return true;
		case RelationRelationId:
			/* A new one matters only as a subscription: see utility hook. */
			return access != OAT_POST_CREATE && relation_matters(object_id);
		default:
			return false;
	}
}

static void
object_access(ObjectAccessType access, Oid class_id, Oid object_id,
			  int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);

	ke_schema_guard_object_access(access, class_id, object_id, sub_id, arg);

	if (!change_noted && access_matters(access, class_id, object_id))
		change_noted = true;
}

/* Statements that matter and change no object that object_access sees. */
static void
note_statement(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateForeignTableStmt:
		case T_GrantStmt:
		case T_GrantRoleStmt:
			change_noted = true;
			break;
		default:
			break;
	}
}

/* -------------------------------------- statements about whole databases */

/* The database's oid if it exists and the user owns it. */
static Oid
owned_database(const char *name)
{
	Oid			database = get_database_oid(name, true);

	if (OidIsValid(database) && ke_owns_database(database, GetUserId()))
		return database;
	return InvalidOid;
}

static bool
is_template(Oid database)
{
	HeapTuple	tuple;
	bool		result = false;

	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* Minor releases of PostgreSQL 15 differ in whether they export this. */
static bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		result = false;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* The template of CREATE DATABASE, if the user may copy it. */
static Oid
copied_database(CreatedbStmt *stmt)
{
	char	   *name = "template1";
	Oid			database;
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			name = defGetString(option);
	}
	database = get_database_oid(name, true);
	if (!OidIsValid(database) || !may_create_databases())
		return InvalidOid;
	if (!is_template(database) &&
		!ke_owns_database(database, GetUserId()))
		return InvalidOid;
	return database;
}

/* The database of ALTER DATABASE ... SET TABLESPACE, if the user owns it. */
static Oid
moved_database(AlterDatabaseStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "tablespace") == 0)
			return owned_database(stmt->dbname);
	}
	return InvalidOid;
}

/*
 * The database this statement needs for itself, or InvalidOid.  Whoever must
 * not run it must not stop processes by trying: the checks that PostgreSQL
 * will make for itself are made here first.
 */
static Oid
needed_database(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return owned_database(((DropdbStmt *) statement)->dbname);
		case T_CreatedbStmt:
			return copied_database((CreatedbStmt *) statement);
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType != OBJECT_DATABASE)
				return InvalidOid;
			return owned_database(((RenameStmt *) statement)->subname);
		case T_AlterDatabaseStmt:
			return moved_database((AlterDatabaseStmt *) statement);
		default:
			return InvalidOid;
	}
}

/* Get our processes out of the database that the statement needs. */
static void
clear_database(Node *statement)
{
	Oid			database = needed_database(statement);

	if (OidIsValid(database) && database != MyDatabaseId)
		ke_database_hold_wait(database, HOLD_TIMEOUT_MS);
}

/* A new database may be a copy of one with servers: its manager says so. */
static void
note_database(Node *statement)
{
	const char *name = NULL;

	if (IsA(statement, CreatedbStmt))
		name = ((CreatedbStmt *) statement)->dbname;
	else if (IsA(statement, AlterDatabaseStmt))
		name = ((AlterDatabaseStmt *) statement)->dbname;

	if (name != NULL)
		database_noted = get_database_oid(name, true);
}

/* --------------------------------------------------------------- the hook */

static bool
commits_prepared(Node *statement)
{
	return IsA(statement, TransactionStmt) &&
		((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;
}

/*
 * Statements that are only a way to run others, or to end the transaction:
 * they concern nobody, and may not be looked at any more after they ran.
 */
static bool
is_control(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_TransactionStmt:
		case T_CallStmt:
		case T_DoStmt:
		case T_ExecuteStmt:
		case T_FetchStmt:
			return true;
		default:
			return false;
	}
}

static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *env, DestReceiver *dest,
				QueryCompletion *completion)
{
	Node	   *statement = pstmt->utilityStmt;
	bool		concerns_us = !is_control(statement);
	bool		commit_prepared = commits_prepared(statement);

	if (concerns_us)
	{
		ke_ddl_before(statement);
		clear_database(statement);
	}

	if (prev_process_utility)
		prev_process_utility(pstmt, query, read_only_tree, context, params,
							 env, dest, completion);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params,
								env, dest, completion);

	if (concerns_us)
	{
		ke_ddl_after(statement);
		note_statement(statement);
		note_database(statement);
	}

	/* What had been prepared is not known here any more. */
	if (commit_prepared)
		ke_roster_config_changed(MyDatabaseId);
}

void
ke_hooks_install(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_access;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	RegisterXactCallback(end_transaction, NULL);
	RegisterResourceReleaseCallback(tell_processes, NULL);
}
