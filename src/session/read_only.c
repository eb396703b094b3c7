/*
 * read_only.c
 *	  Whether transactions of this session are still to be read-only.
 *
 * A session has what ALTER DATABASE and ALTER ROLE have set when it begins,
 * and ours are there for long: one that began while the database was
 * read-only would refuse its work for ever.  So whoever finds that a
 * transaction is read-only looks whether one of a new session would be.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "session/read_only.h"

#define SETTING "default_transaction_read_only"

/* As the configuration files had it when the session began. */
static bool in_files = false;

void
ke_read_only_connecting(void)
{
	in_files = DefaultXactReadOnly;
}

/* Of a row's settings; false: they do not have it. */
static bool
read_settings(ArrayType *settings, bool *value)
{
	Datum	   *elements;
	int			count;

	deconstruct_array(settings, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name;
		char	   *given;

		ParseLongOption(TextDatumGetCString(elements[i]), &name, &given);
		if (given != NULL && pg_strcasecmp(name, SETTING) == 0)
			return parse_bool(given, value);
	}
	return false;
}

/* What is set for this database and role, or for all if these are invalid. */
static bool
find_setting(Relation rel, Oid database, Oid role, bool *value)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(database));
	ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	scan = systable_beginscan(rel, DbRoleSettingDatidRolidIndexId, true, NULL,
							  2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		settings = heap_getattr(tuple,
											Anum_pg_db_role_setting_setconfig,
											RelationGetDescr(rel), &isnull);

		if (!isnull)
			found = read_settings(DatumGetArrayTypeP(settings), value);
	}
	systable_endscan(scan);
	return found;
}

void
ke_read_only_look_again(void)
{
	Relation	rel = table_open(DbRoleSettingRelationId, AccessShareLock);
	Oid			role = GetSessionUserId();
	bool		value = in_files;

	/* The first that has it counts, as when a session begins. */
	(void) (find_setting(rel, MyDatabaseId, role, &value) ||
			find_setting(rel, InvalidOid, role, &value) ||
			find_setting(rel, MyDatabaseId, InvalidOid, &value) ||
			find_setting(rel, InvalidOid, InvalidOid, &value));
	table_close(rel, AccessShareLock);
	if (value)
		return;
	SetConfigOption(SETTING, "off", PGC_SUSET, PGC_S_DATABASE_USER);
	XactReadOnly = DefaultXactReadOnly;
}
