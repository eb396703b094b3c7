/*
 * schema_guard.c
 *	  Nothing but subscriptions is made in schema kafka_events.
 *
 * Everybody may create in it, so that subscriptions belong to whoever owns
 * the server; somebody's function or table in it has no business there.
 *
 * An object that is being made or moved is not visible to ordinary
 * snapshots yet: SnapshotSelf sees it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "api/ddl.h"
#include "api/subscription_define.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"

/* The row of an object as this command has just left it, or NULL. */
static HeapTuple
newest_row(Relation catalog, Oid object_id)
{
	Oid			class_id = RelationGetRelid(catalog);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, get_object_attnum_oid(class_id), BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object_id));
	scan = systable_beginscan(catalog, get_object_oid_index(class_id), true,
							  SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	return tuple;
}

/*
 * Foreign tables are looked at once they are complete; row types and array
 * types come with what they belong to, indexes with their table.
 */
static bool
may_be_there(Oid class_id, HeapTuple tuple)
{
	if (class_id == RelationRelationId)
	{
		char		kind = ((Form_pg_class) GETSTRUCT(tuple))->relkind;

		return kind == RELKIND_FOREIGN_TABLE || kind == RELKIND_INDEX;
	}
	if (class_id == TypeRelationId)
	{
		Form_pg_type type = (Form_pg_type) GETSTRUCT(tuple);

		return type->typtype == TYPTYPE_COMPOSITE || OidIsValid(type->typelem);
	}
	return false;
}

static bool
is_internal(ObjectAccessType access, void *arg)
{
	if (arg == NULL)
		return false;
	if (access == OAT_POST_CREATE)
		return ((ObjectAccessPostCreate *) arg)->is_internal;
	return ((ObjectAccessPostAlter *) arg)->is_internal;
}

/* The object's name, if it is a stranger in the schema; else NULL. */
static char *
stranger(Oid class_id, Oid object_id, Oid schema)
{
	Relation	catalog = table_open(class_id, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(catalog);
	HeapTuple	tuple = newest_row(catalog, object_id);
	char	   *name = NULL;
	bool		isnull;
	Datum		value;

	if (HeapTupleIsValid(tuple))
	{
		value = heap_getattr(tuple, get_object_attnum_namespace(class_id),
							 desc, &isnull);
		if (DatumGetObjectId(value) == schema &&
			!may_be_there(class_id, tuple))
		{
			value = heap_getattr(tuple, get_object_attnum_name(class_id),
								 desc, &isnull);
			name = pstrdup(NameStr(*DatumGetName(value)));
		}
	}
	table_close(catalog, AccessShareLock);
	return name;
}

void
ke_schema_guard_object_access(ObjectAccessType access, Oid class_id,
							  Oid object_id,
							  int sub_id, void *arg)
{
	Oid			schema;
	char	   *name;

	if (access != OAT_POST_CREATE && access != OAT_POST_ALTER)
		return;
	if (IsBinaryUpgrade || sub_id != 0 || is_internal(access, arg) ||
		class_id == ConstraintRelationId ||
		!is_objectclass_supported(class_id) ||
		get_object_attnum_namespace(class_id) == InvalidAttrNumber)
		return;
	schema = ke_extension_schema();
	if (!OidIsValid(schema) || !OidIsValid(ke_extension()))
		return;
	if (creating_extension &&
		CurrentExtensionObject == ke_extension())
		return;

	name = stranger(class_id, object_id, schema);
	if (name != NULL &&
		getExtensionOfObject(class_id, object_id) != ke_extension())
		ke_subscription_define_refuse_stranger(name);
}
