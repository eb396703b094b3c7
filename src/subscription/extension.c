/*
 * extension.c
 *	  The extension itself as the catalogs have it, and its objects.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "foreign/foreign.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "subscription/extension.h"

/*
 * An update of the objects comes after that of the library, database by
 * database.  Until then those of the versions before do what they did.
 */
#define OBJECTS_BEFORE "1.0"


Oid
ke_extension(void)
{
	return get_extension_oid(KE_EXTENSION_NAME, true);
}

void
ke_extension_lock(void)
{
	Oid			extension = ke_extension();

	if (OidIsValid(extension))
		LockDatabaseObject(ExtensionRelationId, extension, 0,
						   AccessShareLock);
	if (!OidIsValid(extension) || ke_extension() != extension)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" was dropped just now",
						KE_EXTENSION_NAME)));
}

/* A copy of the extension's row of pg_extension, or NULL. */
static HeapTuple
extension_tuple(Relation catalog)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(KE_EXTENSION_NAME));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	return tuple;
}

char *
ke_extension_version(void)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	HeapTuple	tuple = extension_tuple(catalog);
	char	   *version = NULL;

	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple,
										 Anum_pg_extension_extversion,
										 RelationGetDescr(catalog), &isnull);

		version = TextDatumGetCString(value);
	}
	table_close(catalog, AccessShareLock);
	return version;
}

bool
ke_extension_is_served(const char *version)
{
	return version != NULL &&
		(strcmp(version, KE_EXTENSION_VERSION) == 0 ||
		 strcmp(version, OBJECTS_BEFORE) == 0);
}

const char *
ke_extension_served(void)
{
	return OBJECTS_BEFORE ", " KE_EXTENSION_VERSION;
}

/* The schema that the extension's functions, views and types live in. */
static Oid
public_schema(void)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	HeapTuple	tuple = extension_tuple(catalog);
	Oid			schema = InvalidOid;

	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	table_close(catalog, AccessShareLock);
	return schema;
}

Oid
ke_extension_wrapper(void)
{
	return get_foreign_data_wrapper_oid(KE_EXTENSION_NAME, true);
}

Oid
ke_extension_schema(void)
{
	return get_namespace_oid(KE_EXTENSION_NAME, true);
}

Oid
ke_extension_private_table(const char *name)
{
	return get_relname_relid(name, ke_extension_schema());
}

Oid
ke_extension_message_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum("kafka_message"),
						   ObjectIdGetDatum(public_schema()));
}
