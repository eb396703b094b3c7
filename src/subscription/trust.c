/*
 * trust.c
 *	  Whether a superuser's consumers would run only what superusers made.
 *
 * Writing a row runs the table's triggers, rules, policies, defaults, CHECK
 * constraints and index expressions, and the checks of its columns' domains.
 * Of all of them the catalogs say what functions, operators, casts and types
 * they use.  What functions call in their bodies they do not say: that is
 * refused while it runs, by session/foreign_code.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "subscription/names.h"
#include "subscription/trust.h"

static const char set_role_hint[] =
"Give the server to a role of its own, which then needs its user mapping (ALTER SERVER ... OWNER TO ...): consumers of a superuser's server run only what belongs to superusers.";

static void check_type(Oid type, List **problems);

static const char *
role_name(Oid role)
{
	return GetUserNameFromId(role, true);
}

/* ------------------------------------------------- functions and types */

static void
check_function(Oid function, List **problems)
{
	HeapTuple	tuple;
	Form_pg_proc form;

	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (!superuser_arg(form->proowner))
		ke_options_problem(problems, set_role_hint,
						   "The server's owner is a superuser, but function %s belongs to \"%s\", who is not",
						   ke_names_of_function(function),
						   role_name(form->proowner));
	ReleaseSysCache(tuple);
}

/* The function itself, and the types of its arguments. */
static void
check_called(Oid function, List **problems)
{
	HeapTuple	tuple;
	Form_pg_proc form;
	int			i;

	if (!OidIsValid(function))
		return;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	check_function(function, problems);
	for (i = 0; i < form->pronargs; i++)
		check_type(form->proargtypes.values[i], problems);
	ReleaseSysCache(tuple);
}

/* The types of the columns of a table, or attributes of a composite type. */
static void
check_column_types(Oid relation, List **problems)
{
	AttrNumber	column;
	HeapTuple	tuple;

	for (column = 1;
		 HeapTupleIsValid(tuple = SearchSysCache2(ATTNUM,
												  ObjectIdGetDatum(relation),
												  Int16GetDatum(column)));
		 column++)
	{
		Oid			type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;

		ReleaseSysCache(tuple);
		if (OidIsValid(type))	/* else it was dropped */
			check_type(type, problems);
	}
}

/* What a type that somebody can give checks, or attributes, is made of. */
static void
check_parts(Oid type, Form_pg_type form, List **problems)
{
	switch (form->typtype)
	{
		case TYPTYPE_DOMAIN:
			check_type(form->typbasetype, problems);
			break;
		case TYPTYPE_COMPOSITE:
			check_column_types(form->typrelid, problems);
			break;
		case TYPTYPE_RANGE:
			check_type(get_range_subtype(type), problems);
			break;
		case TYPTYPE_MULTIRANGE:
			check_type(get_multirange_range(type), problems);
			break;
	}
}

/*
 * Making a value of a type runs its domains' constraints, at any depth, and
 * the owner of a composite type may give it another attribute of a domain.
 */
static void
check_type(Oid type, List **problems)
{
	HeapTuple	tuple;
	Form_pg_type form;
	Oid			element = get_element_type(type);

	check_stack_depth();
	if (OidIsValid(element))
		type = element;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_type) GETSTRUCT(tuple);
	if (form->typtype == TYPTYPE_BASE || form->typtype == TYPTYPE_ENUM ||
		form->typtype == TYPTYPE_PSEUDO)
		;						/* no code of its owner's */
	else if (!superuser_arg(form->typowner))
		ke_options_problem(problems, set_role_hint,
						   "The server's owner is a superuser, but type %s belongs to \"%s\", who is not",
						   format_type_be_qualified(type),
						   role_name(form->typowner));
	else
		check_parts(type, form, problems);
	ReleaseSysCache(tuple);
}

/* --------------------------------------------- what hangs on a relation */

static void
check_operator(Oid operator, List **problems)
{
	Oid			function = get_opcode(operator);

	if (OidIsValid(function))
		check_function(function, problems);
}

static void
check_cast(Oid cast, List **problems)
{
	Relation	catalog = table_open(CastRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_cast_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(cast));
	scan = systable_beginscan(catalog, CastOidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			function = ((Form_pg_cast) GETSTRUCT(tuple))->castfunc;

		if (OidIsValid(function))
			check_function(function, problems);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* A function, operator, cast or type that a trigger, a default, ... uses. */
static void
check_used(const Form_pg_depend used, List **problems)
{
	switch (used->refclassid)
	{
		case ProcedureRelationId:
			check_function(used->refobjid, problems);
			break;
		case OperatorRelationId:
			check_operator(used->refobjid, problems);
			break;
		case CastRelationId:
			check_cast(used->refobjid, problems);
			break;
		case TypeRelationId:
			check_type(used->refobjid, problems);
			break;
	}
}

/* What runs when a row is written, of that which depends on a relation. */
static bool
runs_on_write(Oid class, Oid object)
{
	switch (class)
	{
		case AttrDefaultRelationId:
		case ConstraintRelationId:
		case PolicyRelationId:
		case RewriteRelationId:
		case TriggerRelationId:
			return true;
		case RelationRelationId:
			return get_rel_relkind(object) == RELKIND_INDEX ||
				get_rel_relkind(object) == RELKIND_PARTITIONED_INDEX;
	}
	return false;
}

typedef void (*Visit) (Form_pg_depend found, List **problems);

/* Visit what depends on an object, or (uses) what it depends on. */
static void
each_dependency(Oid class, Oid object, bool uses, Visit visit,
				List **problems)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0],
				uses ? Anum_pg_depend_classid : Anum_pg_depend_refclassid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(class));
	ScanKeyInit(&keys[1],
				uses ? Anum_pg_depend_objid : Anum_pg_depend_refobjid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
	scan = systable_beginscan(catalog,
							  uses ? DependDependerIndexId :
							  DependReferenceIndexId,
							  true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		visit((Form_pg_depend) GETSTRUCT(tuple), problems);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * Others' views and policies that only read the relation depend on it, too,
 * but would not go with it.
 */
static void
check_dependent(Form_pg_depend found, List **problems)
{
	if (found->deptype != DEPENDENCY_NORMAL &&
		runs_on_write(found->classid, found->objid))
		each_dependency(found->classid, found->objid, true, check_used,
						problems);
}

/* Does this role make triggers for a table that it does not own? */
static bool
makes_triggers(const AclItem *item, Oid owner)
{
	if ((ACLITEM_GET_PRIVS(*item) & ACL_TRIGGER) == 0 ||
		item->ai_grantee == owner)
		return false;
	return item->ai_grantee == ACL_ID_PUBLIC ||
		!superuser_arg(item->ai_grantee);
}

/* A trigger, with its WHEN, is code of whoever may make one. */
static void
check_grants(Oid relation, Oid owner, HeapTuple tuple, List **problems)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl,
										&isnull);
	Acl		   *acl;
	int			i;

	if (isnull)
		return;
	acl = DatumGetAclPCopy(datum);
	for (i = 0; i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &ACL_DAT(acl)[i];

		if (makes_triggers(item, owner))
			ke_options_problem(problems,
							   "Take the privilege away with REVOKE TRIGGER, or give the server to a role of its own (ALTER SERVER ... OWNER TO ...).",
							   "The server's owner is a superuser, but %s may make triggers on table %s",
							   item->ai_grantee == ACL_ID_PUBLIC ? "everybody" :
							   psprintf("\"%s\"", role_name(item->ai_grantee)),
							   ke_names_of_table(relation));
	}
}

static void
check_relation(Oid relation, List **problems)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	if (!superuser_arg(owner))
		ke_options_problem(problems, set_role_hint,
						   "The server's owner is a superuser, but table %s belongs to \"%s\", who is not",
						   ke_names_of_table(relation), role_name(owner));
	else
	{
		check_grants(relation, owner, tuple, problems);
		each_dependency(RelationRelationId, relation, false,
						check_dependent, problems);
	}
	ReleaseSysCache(tuple);
}

/* The table, its partitions, and the types of its columns. */
void
ke_trust_check_table(Oid table, List **problems)
{
	ListCell   *lc;

	if (get_rel_relkind(table) == RELKIND_VIEW)
	{
		ke_options_problem(problems, set_role_hint,
						   "The server's owner is a superuser, but %s is a view, and the tables under it may belong to others",
						   ke_names_of_table(table));
		return;
	}
	check_relation(table, problems);
	if (get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE)
		foreach(lc, find_all_inheritors(table, NoLock, NULL))
			if (lfirst_oid(lc) != table)
				check_relation(lfirst_oid(lc), problems);
	check_column_types(table, problems);
}

/* The same is often found on several ways. */
static List *
without_repetitions(List *problems)
{
	List	   *once = NIL;
	ListCell   *lc;
	ListCell   *other;

	foreach(lc, problems)
	{
		foreach(other, once)
			if (strcmp((char *) lfirst(other), (char *) lfirst(lc)) == 0)
				break;
		if (other == NULL)
			once = lappend(once, lfirst(lc));
	}
	return once;
}

void
ke_trust_check(KeServer *server, KeSubscription *sub, List **problems)
{
	List	   *found = NIL;

	if (!superuser_arg(server->owner))
		return;
	check_called(sub->handler, &found);
	if (sub->validator != sub->handler)
		check_called(sub->validator, &found);
	check_called(sub->route, &found);
	if (OidIsValid(sub->into_table))
		ke_trust_check_table(sub->into_table, &found);
	*problems = list_concat(*problems, without_repetitions(found));
}
