/*
 * checks.c
 *	  Whether a subscription may run: its objects, and its owner's rights.
 *
 * Consumers are sessions of the server's owner, so it is the owner's
 * privileges that count, whoever subscribes.  A superuser's server is the
 * special case: see subscription/trust.
 *
 * Only catalogs are read, without any lock on the objects: a view that shows
 * what is broken must not wait for a migration, nor fail because of one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "subscription/checks.h"
#include "subscription/extension.h"
#include "subscription/names.h"
#include "subscription/trust.h"

static const char *
role_name(Oid role)
{
	return GetUserNameFromId(role, true);
}

/* ----------------------------------------------------- the foreign table */

static void
check_itself(KeServer *server, KeSubscription *sub, List **problems)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(sub->oid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		return;					/* about to be made, or just dropped */
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (form->relnamespace != ke_extension_schema())
		ke_options_problem(problems, NULL,
						   "Foreign table %s is not in schema kafka_events",
						   ke_names_of_table(sub->oid));
	if (form->relnatts > 0)
		ke_options_problem(problems, NULL,
						   "Foreign table %s has columns: a subscription has none",
						   ke_names_of_table(sub->oid));
	if (form->relowner != server->owner)
		ke_options_problem(problems, NULL,
						   "Its owner is \"%s\", but the owner of server \"%s\" is \"%s\"",
						   role_name(form->relowner), server->name,
						   role_name(server->owner));
	ReleaseSysCache(tuple);
}

/* ------------------------------------------------------------ the owner */

void
ke_checks_owner(KeServer *server, List **problems)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID,
										ObjectIdGetDatum(server->owner));

	if (!HeapTupleIsValid(tuple))
		return;					/* dropped: so is the server, soon */
	if (!((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin)
		ke_options_problem(problems,
						   "Consumers are sessions of the server's owner.",
						   "Role \"%s\", the owner of server \"%s\", cannot log in",
						   role_name(server->owner), server->name);
	ReleaseSysCache(tuple);

	if (ke_aclcheck_database(MyDatabaseId, server->owner,
							 ACL_CONNECT) != ACLCHECK_OK)
		ke_options_problem(problems,
						   "Consumers are sessions of the server's owner.",
						   "Role \"%s\", the owner of server \"%s\", may not connect to database \"%s\"",
						   role_name(server->owner), server->name,
						   get_database_name(MyDatabaseId));
}

/* -------------------------------------------------------- the functions */

static void
check_use(Oid function, KeFunctionUse use, List **problems)
{
	char	   *unfit;

	if (!OidIsValid(function))
		return;					/* none, or resolving it made a problem */
	unfit = ke_names_unfit(function, use);
	if (unfit != NULL)
		ke_options_problem(problems, NULL, "%s %s %s",
						   ke_names_use(use),
						   ke_names_of_function(function), unfit);
}

static void
check_execute(KeServer *server, Oid function, List **problems)
{
	if (OidIsValid(function) &&
		SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)) &&
		ke_aclcheck_function(function, server->owner,
							 ACL_EXECUTE) != ACLCHECK_OK)
		ke_options_problem(problems, NULL,
						   "Role \"%s\", the owner of server \"%s\", has no EXECUTE privilege on function %s",
						   role_name(server->owner), server->name,
						   ke_names_of_function(function));
}

/* ------------------------------------------------------------ the table */

/* Why rows cannot go to a relation of this kind, as "is a sequence". */
static const char *
unfit_relation(Oid table)
{
	char		kind = get_rel_relkind(table);

	if (get_rel_persistence(table) == RELPERSISTENCE_TEMP)
		return "is temporary";
	if (IsCatalogRelationOid(table) ||
		get_rel_namespace(table) == PG_CATALOG_NAMESPACE ||
		IsToastNamespace(get_rel_namespace(table)))
		return "is a system relation";
	if (get_rel_namespace(table) == ke_extension_schema())
		return "belongs to extension kafka_events";
	switch (kind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_VIEW:
			return NULL;
		case RELKIND_MATVIEW:
			return "is a materialized view";
		case RELKIND_SEQUENCE:
			return "is a sequence";
		case RELKIND_COMPOSITE_TYPE:
			return "is a composite type";
	}
	return "is no table";
}

/* What the sink does to a table for each way of settling conflicts. */
static AclMode
needed_privileges(KeOnConflict on_conflict)
{
	switch (on_conflict)
	{
		case KE_CONFLICT_ERROR:
			return ACL_INSERT;
		case KE_CONFLICT_IGNORE:
			return ACL_INSERT | ACL_SELECT; /* of the primary key */
		case KE_CONFLICT_UPDATE:
			return ACL_INSERT | ACL_SELECT | ACL_UPDATE | ACL_DELETE;
	}
	return ACL_NO_RIGHTS;		/* not reached */
}

static void
check_privileges(Oid owner, const KeSubscription *sub, List **problems)
{
	static const struct
	{
		AclMode		mode;
		const char *name;
	}			privileges[] =
	{
		{ACL_INSERT, "INSERT"},
		{ACL_SELECT, "SELECT"},
		{ACL_UPDATE, "UPDATE"},
		{ACL_DELETE, "DELETE"}
	};
	AclMode		needed = needed_privileges(sub->options.on_conflict);
	StringInfoData missing;
	bool		gone = false;
	int			i;

	initStringInfo(&missing);
	for (i = 0; i < lengthof(privileges); i++)
		if ((needed & privileges[i].mode) != 0 &&
			pg_class_aclcheck_ext(sub->into_table, owner,
								  privileges[i].mode, &gone) != ACLCHECK_OK)
			appendStringInfo(&missing, "%s%s", missing.len > 0 ? ", " : "",
							 privileges[i].name);
	if (missing.len > 0 && !gone)
		ke_options_problem(problems, NULL,
						   "Role \"%s\", the owner of server \"%s\", has no %s privilege on table %s",
						   role_name(owner),
						   GetForeignServer(sub->server)->servername,
						   missing.data, ke_names_of_table(sub->into_table));
}

/* The columns of the primary key, if there is one that is checked at once. */
static Bitmapset *
primary_key_columns(Oid table)
{
	Relation	catalog = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Bitmapset  *columns = NULL;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, IndexIndrelidIndexId, true, NULL, 1,
							  &key);
	while (columns == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

		if (!index->indisprimary || !index->indimmediate ||
			!index->indisvalid)
			continue;
		for (int i = 0; i < index->indnkeyatts; i++)
			columns = bms_add_member(columns, index->indkey.values[i]);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return columns;
}

/* Conflicts are settled by the primary key, so there must be one. */
static void
check_primary_key(const KeSubscription *sub, List **problems)
{
	KeOnConflict on_conflict = sub->options.on_conflict;
	const char *name = ke_options_subscription_on_conflict_name(on_conflict);

	if (primary_key_columns(sub->into_table) == NULL)
		ke_options_problem(problems, NULL,
						   "Option \"on_conflict\" is '%s', but table %s has no primary key that is checked at once",
						   name, ke_names_of_table(sub->into_table));
}

/* Is it filled with what is the same for all that a message holds? */
static bool
is_of_whole_message(const KeSubscriptionOptions *options, const char *column)
{
	static const char *const names[] =
	{"topic", "partition", "offset", "timestamp", "headers"};
	bool		is_envelope = options->row_format == KE_ROW_ENVELOPE;

	for (int i = 0; i < options->ncolumn_map && !is_envelope; i++)
		if (strcmp(options->column_map[i].column, column) == 0)
			return false;
	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(column, is_envelope ? names[i] :
				   psprintf("kafka_%s", names[i])) == 0)
			return true;
	return false;
}

/* Rows of one message need keys that differ. */
static void
check_split(const KeSubscription *sub, List **problems)
{
	bool		is_envelope = sub->options.row_format == KE_ROW_ENVELOPE;
	Bitmapset  *key;
	int			column = -1;

	if (sub->options.split == KE_SPLIT_NONE)
		return;
	key = primary_key_columns(sub->into_table);
	if (key == NULL)
		return;
	while ((column = bms_next_member(key, column)) >= 0)
		if (!is_of_whole_message(&sub->options,
								 get_attname(sub->into_table, column, false)))
			return;
	ke_options_problem(problems,
					   psprintf("Add a column %s of type integer to the table and its primary key.",
								is_envelope ? "element" : "kafka_element"),
					   "Option \"split\" makes several rows of a message, but the primary key of table %s is the same for all of them",
					   ke_names_of_table(sub->into_table));
}

/* ------------------------------------------------------- the column map */

/* Has the relation, or composite type, a column that a user can name so? */
static bool
has_column(Oid relation, const char *name)
{
	return OidIsValid(relation) && get_attnum(relation, name) > 0;
}

/*
 * What columns the map can mean: those of a table that gets fields, those of a
 * handler's row type.
 */
static void
check_column_map(KeSubscription *sub, List **problems)
{
	const KeSubscriptionOptions *options = &sub->options;
	Oid			table = options->row_format == KE_ROW_FIELDS ?
		sub->into_table : InvalidOid;
	Oid			row = sub->handler_argument == KE_ARG_COMPOSITE ?
		typeOrDomainTypeRelid(sub->handler_argument_type) : InvalidOid;

	char	   *where;

	/* with a route, the columns may be those of any table */
	if (options->ncolumn_map == 0 || options->route != NULL)
		return;
	if (!OidIsValid(table) && !OidIsValid(row))
	{
		/* one that was not found has made a problem already */
		if ((options->into_table == NULL || OidIsValid(sub->into_table)) &&
			(options->handler == NULL || OidIsValid(sub->handler)))
			ke_options_problem(problems, NULL,
							   "Option \"column_map\" needs a table with row_format 'fields', or a handler that takes a row type");
		return;
	}
	where = OidIsValid(table) ?
		psprintf("table %s", ke_names_of_table(table)) :
		psprintf("type %s", format_type_be(sub->handler_argument_type));
	for (int i = 0; i < options->ncolumn_map; i++)
	{
		const char *column = options->column_map[i].column;

		if (has_column(table, column) &&
			get_attgenerated(table, get_attnum(table, column)) != '\0')
			ke_options_problem(problems, NULL,
							   "Option \"column_map\" names column \"%s\", which table %s generates",
							   column, ke_names_of_table(table));
		if (has_column(table, column) || has_column(row, column))
			continue;
		ke_options_problem(problems, NULL,
						   "Option \"column_map\" names column \"%s\", which %s has not",
						   column, where);
	}
}

/* A column of the table that values can be told to be newer in. */
static void
check_update_if(const KeSubscription *sub, List **problems)
{
	const char *column = sub->options.update_if;
	AttrNumber	attribute;

	if (column == NULL || !OidIsValid(sub->into_table))
		return;
	attribute = get_attnum(sub->into_table, column);
	if (attribute <= 0)
		ke_options_problem(problems, NULL,
						   "Option \"update_if\" names column \"%s\", which table %s has not",
						   column, ke_names_of_table(sub->into_table));
	else if (!OidIsValid(lookup_type_cache(get_atttype(sub->into_table,
													   attribute),
										   TYPECACHE_GT_OPR)->gt_opr))
		ke_options_problem(problems, NULL,
						   "Option \"update_if\" names column \"%s\", whose type has no order",
						   column);
}

void
ke_checks_table(Oid owner, const KeSubscription *sub, List **problems)
{
	const char *unfit;

	if (!OidIsValid(sub->into_table))
		return;					/* none, or resolving it made a problem */
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(sub->into_table)))
	{
		ke_options_problem(problems, NULL, "Relation %u does not exist",
						   sub->into_table);
		return;
	}
	unfit = unfit_relation(sub->into_table);
	if (unfit != NULL)
	{
		ke_options_problem(problems, NULL, "Relation %s %s",
						   ke_names_of_table(sub->into_table), unfit);
		return;
	}
	check_privileges(owner, sub, problems);
	if (sub->options.on_conflict != KE_CONFLICT_ERROR)
		check_primary_key(sub, problems);
	check_split(sub, problems);
	check_update_if(sub, problems);
}

/* ---------------------------------------------------------- everything */

void
ke_checks_subscription(KeServer *server, KeSubscription *sub,
					   List **problems)
{
	ke_options_subscription_check(&server->options, sub->topic,
								  &sub->options, problems);
	check_itself(server, sub, problems);
	ke_checks_owner(server, problems);
	check_use(sub->handler, KE_USE_HANDLER, problems);
	check_use(sub->validator, KE_USE_VALIDATOR, problems);
	check_use(sub->route, KE_USE_ROUTE, problems);
	check_execute(server, sub->handler, problems);
	if (sub->validator != sub->handler)
		check_execute(server, sub->validator, problems);
	check_execute(server, sub->route, problems);
	ke_checks_table(server->owner, sub, problems);
	check_column_map(sub, problems);
	ke_trust_check(server, sub, problems);
}

char *
ke_checks_first(List *problems)
{
	char	   *first = pstrdup((char *) linitial(problems));
	char	   *end = strchr(first, '\n');

	if (end != NULL)
		*end = '\0';
	return first;
}
