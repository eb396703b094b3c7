/*
 * references.c
 *	  The objects a subscription refers to: recorded, resolved, renamed.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "subscription/extension.h"
#include "subscription/names.h"
#include "subscription/references.h"

/* What a subscription's recorded dependencies point at. */
typedef struct Recorded
{
	List	   *functions;		/* of Oid, each once */
	Oid			table;
	Oid			pattern;
} Recorded;

static void
read_recorded(Oid subscription, Recorded *recorded)
{
	Relation	depend;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	recorded->functions = NIL;
	recorded->table = InvalidOid;
	recorded->pattern = InvalidOid;
	if (!OidIsValid(subscription))
		return;

	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(subscription));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend entry = (Form_pg_depend) GETSTRUCT(tuple);

		if (entry->deptype == DEPENDENCY_INTERNAL &&
			entry->refclassid == RelationRelationId)
			recorded->pattern = entry->refobjid;
		if (entry->deptype != DEPENDENCY_NORMAL)
			continue;
		if (entry->refclassid == ProcedureRelationId)
			recorded->functions =
				list_append_unique_oid(recorded->functions, entry->refobjid);
		else if (entry->refclassid == RelationRelationId)
			recorded->table = entry->refobjid;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/* InvalidOid and a problem if the function is gone once it is locked. */
static Oid
lock_function(Oid function, const char *text, List **problems)
{
	if (!OidIsValid(function))
		return InvalidOid;
	LockDatabaseObject(ProcedureRelationId, function, 0, AccessShareLock);
	if (SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		return function;
	ke_options_problem(problems, NULL,
					   "Function \"%s\" was dropped just now", text);
	return InvalidOid;
}

void
ke_references_lock(KeSubscription *sub, List **problems)
{
	sub->handler = lock_function(sub->handler, sub->options.handler,
								 problems);
	sub->validator = lock_function(sub->validator, sub->options.validator,
								   problems);
	sub->route = lock_function(sub->route, sub->options.route, problems);
	if (!OidIsValid(sub->into_table))
		return;
	LockRelationOid(sub->into_table, AccessShareLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(sub->into_table)))
	{
		ke_options_problem(problems, NULL,
						   "Table \"%s\" was dropped just now",
						   sub->options.into_table);
		sub->into_table = InvalidOid;
	}
}

/* What the pattern needs is the pattern's. */
static bool
record_pattern(const KeSubscription *sub)
{
	Recorded	recorded;

	read_recorded(sub->oid, &recorded);
	if (!OidIsValid(sub->pattern) || recorded.pattern == sub->pattern)
		return false;
	ke_references_link(sub->oid, sub->pattern);
	return true;
}

bool
ke_references_record(const KeSubscription *sub)
{
	ObjectAddress table;
	ObjectAddress referenced;
	Recorded	recorded;
	List	   *functions = NIL;

	if (sub->options.pattern != NULL)
		return record_pattern(sub);

	if (OidIsValid(sub->handler))
		functions = lappend_oid(functions, sub->handler);
	if (OidIsValid(sub->validator))
		functions = list_append_unique_oid(functions, sub->validator);
	if (OidIsValid(sub->route))
		functions = list_append_unique_oid(functions, sub->route);

	read_recorded(sub->oid, &recorded);
	if (recorded.table == sub->into_table &&
		list_difference_oid(recorded.functions, functions) == NIL &&
		list_difference_oid(functions, recorded.functions) == NIL)
		return false;

	deleteDependencyRecordsForClass(RelationRelationId, sub->oid,
									ProcedureRelationId, DEPENDENCY_NORMAL);
	deleteDependencyRecordsForClass(RelationRelationId, sub->oid,
									RelationRelationId, DEPENDENCY_NORMAL);
	ObjectAddressSet(table, RelationRelationId, sub->oid);
	while (functions != NIL)
	{
		ObjectAddressSet(referenced, ProcedureRelationId,
						 linitial_oid(functions));
		recordDependencyOn(&table, &referenced, DEPENDENCY_NORMAL);
		functions = list_delete_first(functions);
	}
	if (OidIsValid(sub->into_table))
	{
		ObjectAddressSet(referenced, RelationRelationId, sub->into_table);
		recordDependencyOn(&table, &referenced, DEPENDENCY_NORMAL);
	}
	CommandCounterIncrement();
	return true;
}

/* Foreign tables that depend on an object in this way. */
static List *
list_dependents(Oid class_id, Oid object_id, char how)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	List	   *dependents = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(class_id));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object_id));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend entry = (Form_pg_depend) GETSTRUCT(tuple);

		if (entry->deptype == how &&
			entry->classid == RelationRelationId && entry->objsubid == 0 &&
			get_rel_relkind(entry->objid) == RELKIND_FOREIGN_TABLE)
			dependents = list_append_unique_oid(dependents, entry->objid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return dependents;
}

List *
ke_references_dependents(Oid class_id, Oid object_id)
{
	return list_dependents(class_id, object_id, DEPENDENCY_NORMAL);
}

/* ------------------------------------------------------------- patterns */

/* The options of a pattern of the server; NIL: it is none. */
static List *
patterns_options(Oid pattern, Oid server)
{
	ForeignTable *table;

	if (!SearchSysCacheExists1(FOREIGNTABLEREL, ObjectIdGetDatum(pattern)))
		return NIL;
	table = GetForeignTable(pattern);
	if (table->serverid != server ||
		ke_options_find(table->options, "topics") == NULL)
		return NIL;
	return table->options;
}

Oid
ke_references_pattern(Oid subscription, Oid server, List **options)
{
	DefElem    *name = ke_options_find(*options, "pattern");
	Recorded	recorded;
	Oid			pattern;
	List	   *its;
	ListCell   *lc;

	read_recorded(subscription, &recorded);
	pattern = recorded.pattern;
	if (!OidIsValid(pattern))
		pattern = get_relname_relid(defGetString(name),
									ke_extension_schema());
	its = patterns_options(pattern, server);
	foreach(lc, its)
	{
		const char *option = lfirst_node(DefElem, lc)->defname;

		if (strcmp(option, "topics") != 0 &&
			ke_options_find(*options, option) == NULL)
			*options = lappend(*options, lfirst(lc));
	}
	return its != NIL ? pattern : InvalidOid;
}

List *
ke_references_members(Oid pattern)
{
	return list_dependents(RelationRelationId, pattern, DEPENDENCY_INTERNAL);
}

/* PostgreSQL drops such a table with the other one, and not alone. */
void
ke_references_link(Oid subscription, Oid pattern)
{
	ObjectAddress table;
	ObjectAddress referenced;

	ke_references_unlink(subscription);
	ObjectAddressSet(table, RelationRelationId, subscription);
	ObjectAddressSet(referenced, RelationRelationId, pattern);
	recordDependencyOn(&table, &referenced, DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
}

void
ke_references_unlink(Oid subscription)
{
	deleteDependencyRecordsForClass(RelationRelationId, subscription,
									RelationRelationId, DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
}

/* -------------------------------------------------- text meets objects */

/* The recorded function that goes by exactly this name, taken off the list. */
static Oid
take_by_name(List **functions, const char *text)
{
	ListCell   *lc;

	if (text == NULL)
		return InvalidOid;
	foreach(lc, *functions)
	{
		Oid			function = lfirst_oid(lc);

		if (strcmp(ke_names_of_function(function), text) == 0)
		{
			*functions = list_delete_cell(*functions, lc);
			return function;
		}
	}
	return InvalidOid;
}

/* A function that an option names. */
typedef struct Named
{
	const char *text;			/* NULL: none */
	KeFunctionUse use;
	Oid		   *function;
} Named;

#define NAMED 3

/* Those first that fewer functions can be. */
static void
name_functions(KeSubscription *sub, Named *named)
{
	named[0] = (Named) {sub->options.route, KE_USE_ROUTE, &sub->route};
	named[1] = (Named) {sub->options.validator, KE_USE_VALIDATOR,
	&sub->validator};
	named[2] = (Named) {sub->options.handler, KE_USE_HANDLER, &sub->handler};
}

/* Take off the list the last one that can be used so, else the first one. */
static Oid
take_by_use(List **functions, KeFunctionUse use)
{
	Oid			taken = linitial_oid(*functions);
	ListCell   *lc;

	foreach(lc, *functions)
		if (ke_names_unfit(lfirst_oid(lc), use) == NULL)
			taken = lfirst_oid(lc);
	*functions = list_delete_oid(*functions, taken);
	return taken;
}

/*
 * Assign recorded functions that were renamed without our hooks to the texts
 * that found none: one to the only text, of several by what they can be.
 */
static void
take_by_elimination(List *functions, const Named *named)
{
	int			missing = 0;

	for (int i = 0; i < NAMED; i++)
		missing += named[i].text != NULL && !OidIsValid(*named[i].function);
	if (functions == NIL ||
		(missing > 1 && list_length(functions) != missing))
		return;
	for (int i = 0; i < NAMED; i++)
	{
		if (named[i].text == NULL || OidIsValid(*named[i].function))
			continue;
		*named[i].function = missing == 1 ? linitial_oid(functions) :
			take_by_use(&functions, named[i].use);
	}
}

/* Two options may name the same function, which is recorded once. */
static void
take_same(const Named *named, int i)
{
	for (int j = 0; j < NAMED && !OidIsValid(*named[i].function); j++)
		if (named[j].text != NULL && strcmp(named[j].text, named[i].text) == 0)
			*named[i].function = *named[j].function;
}

static void
resolve_functions(KeSubscription *sub, bool text_decides, List *functions,
				  List **problems)
{
	Named		named[NAMED];

	name_functions(sub, named);
	for (int i = 0; i < NAMED; i++)
		*named[i].function = take_by_name(&functions, named[i].text);
	for (int i = 0; i < NAMED; i++)
		if (named[i].text != NULL)
			take_same(named, i);
	if (!text_decides)
		take_by_elimination(functions, named);
	for (int i = NAMED - 1; i >= 0; i--)
		if (named[i].text != NULL && !OidIsValid(*named[i].function))
			*named[i].function = ke_names_find_function(named[i].text,
														named[i].use,
														text_decides,
														problems);
}

static Oid
resolve_table(const char *text, bool text_decides, Oid recorded,
			  List **problems)
{
	if (text == NULL)
		return InvalidOid;
	if (OidIsValid(recorded) &&
		(!text_decides || strcmp(ke_names_of_table(recorded), text) == 0))
		return recorded;
	return ke_names_find_table(text, text_decides, problems);
}

static Oid
argument_type(Oid function)
{
	Oid		   *types;
	int			count;

	if (!OidIsValid(function))
		return InvalidOid;
	(void) get_func_signature(function, &types, &count);
	return count == 1 ? types[0] : InvalidOid;
}

void
ke_references_resolve(KeSubscription *sub, bool text_decides, List **problems)
{
	Recorded	recorded;
	Oid			type;

	if (sub->options.pattern != NULL && !OidIsValid(sub->pattern))
		ke_options_problem(problems, NULL,
						   "Its pattern \"%s\" does not exist",
						   sub->options.pattern);
	read_recorded(OidIsValid(sub->pattern) ? sub->pattern : sub->oid,
				  &recorded);
	resolve_functions(sub, text_decides, recorded.functions, problems);
	sub->into_table = resolve_table(sub->options.into_table, text_decides,
									recorded.table, problems);

	type = argument_type(sub->handler);
	sub->handler_argument_type = type;
	sub->handler_argument = OidIsValid(type) ?
		ke_names_argument(type) : KE_ARG_NONE;
	type = argument_type(sub->validator);
	sub->validator_argument_type = type;
	sub->validator_argument = OidIsValid(type) ?
		ke_names_argument(type) : KE_ARG_NONE;
	type = argument_type(sub->route);
	sub->route_argument_type = type;
	sub->route_argument = OidIsValid(type) ?
		ke_names_argument(type) : KE_ARG_NONE;
}

/* ------------------------------------------------------------- renaming */

/* An option whose text is to become another one. */
typedef struct Renaming
{
	const char *option;
	const char *text;
	char	   *now;
} Renaming;

/* What differs in sub's option text from the names of its objects. */
static int
find_renamings(const KeSubscription *sub, Renaming *renamings)
{
	int			n = 0;
	int			i;
	int			kept = 0;

	if (OidIsValid(sub->pattern))
		return 0;				/* its options name nothing else */
	if (OidIsValid(sub->handler))
		renamings[n++] = (Renaming) {"handler", sub->options.handler,
		ke_names_of_function(sub->handler)};
	if (OidIsValid(sub->validator))
		renamings[n++] = (Renaming) {"validator", sub->options.validator,
		ke_names_of_function(sub->validator)};
	if (OidIsValid(sub->route))
		renamings[n++] = (Renaming) {"route", sub->options.route,
		ke_names_of_function(sub->route)};
	if (OidIsValid(sub->into_table))
		renamings[n++] = (Renaming) {"into_table", sub->options.into_table,
		ke_names_of_table(sub->into_table)};
	for (i = 0; i < n; i++)
		if (strcmp(renamings[i].text, renamings[i].now) != 0)
			renamings[kept++] = renamings[i];
	return kept;
}

/* Apply them to options, as far as these still are what sub was read from. */
static bool
rename_in(List *options, const Renaming *renamings, int count)
{
	bool		changed = false;
	ListCell   *lc;
	int			i;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		for (i = 0; i < count; i++)
			if (strcmp(option->defname, renamings[i].option) == 0 &&
				strcmp(defGetString(option), renamings[i].text) == 0)
			{
				option->arg = (Node *) makeString(renamings[i].now);
				changed = true;
				break;
			}
	}
	return changed;
}

bool
ke_references_rewrite(const KeSubscription *sub)
{
	Renaming	renamings[4];
	int			count = find_renamings(sub, renamings);
	bool		changed = false;
	Relation	catalog;
	HeapTuple	tuple;

	if (count == 0)
		return false;

	/* ALTER FOREIGN TABLE writes the same row, under a stronger lock */
	LockRelationOid(sub->oid, ShareUpdateExclusiveLock);
	catalog = table_open(ForeignTableRelationId, RowExclusiveLock);
	tuple = SearchSysCacheCopy1(FOREIGNTABLEREL, ObjectIdGetDatum(sub->oid));
	if (HeapTupleIsValid(tuple))
	{
		const int	column = Anum_pg_foreign_table_ftoptions - 1;
		Datum		values[Natts_pg_foreign_table] = {0};
		bool		nulls[Natts_pg_foreign_table] = {0};
		bool		replaces[Natts_pg_foreign_table] = {0};
		bool		isnull;
		List	   *options;

		options = untransformRelOptions(SysCacheGetAttr(FOREIGNTABLEREL, tuple,
														column + 1, &isnull));
		changed = rename_in(options, renamings, count);
		if (changed)
		{
			values[column] = transformGenericOptions(ForeignTableRelationId,
													 PointerGetDatum(NULL),
													 options, InvalidOid);
			replaces[column] = true;
			tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog),
									  values, nulls, replaces);
			CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
			CacheInvalidateRelcacheByRelid(sub->oid);
			InvokeObjectPostAlterHook(ForeignTableRelationId, sub->oid, 0);
			CommandCounterIncrement();
		}
	}
	table_close(catalog, RowExclusiveLock);
	return changed;
}
