/*
 * databases.c
 *	  The databases of this PostgreSQL server, for the launcher.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "utils/syscache.h"

#include "session/databases.h"

static KeDatabase *
describe(Form_pg_database form)
{
	KeDatabase *database = palloc(sizeof(KeDatabase));

	database->oid = form->oid;
	database->name = pstrdup(NameStr(form->datname));
	return database;
}

List *
ke_databases_list(void)
{
	List	   *databases = NIL;
	Relation	rel = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (form->datallowconn)
			databases = lappend(databases, describe(form));
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);

	return databases;
}

KeDatabase *
ke_databases_find(Oid oid)
{
	KeDatabase *database = NULL;
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(oid));

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (form->datallowconn)
			database = describe(form);
		ReleaseSysCache(tuple);
	}
	return database;
}
