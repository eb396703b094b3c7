/*
 * private_table.c
 *	  Rows of the tables in schema kafka_events, through the table access
 *	  method.
 *
 * Every write is followed by CommandCounterIncrement, so that the same
 * transaction sees it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "state/private_table.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"

void
ke_private_table_open(KePrivateTable *table, const char *name,
					  LOCKMODE lockmode)
{
	table->rel = table_open(ke_extension_private_table(name), lockmode);
	table->slot = table_slot_create(table->rel, NULL);

	/*
	 * What writes a table that has a TOAST table needs a snapshot, as the
	 * end of a transaction, and a transaction of ours, do not have.
	 */
	table->snapshot = NULL;
	if (lockmode >= RowExclusiveLock && !HaveRegisteredOrActiveSnapshot())
		table->snapshot = RegisterSnapshot(GetTransactionSnapshot());
}

void
ke_private_table_close(KePrivateTable *table)
{
	if (table->snapshot != NULL)
		UnregisterSnapshot(table->snapshot);
	ExecDropSingleTupleTableSlot(table->slot);
	table_close(table->rel, NoLock);
}

static void
keep(KePrivateTable *table, HeapTuple tuple)
{
	ExecForceStoreHeapTuple(tuple, table->slot, false);
	table->slot->tts_tid = tuple->t_self;
	slot_getallattrs(table->slot);
}

bool
ke_private_table_find(KePrivateTable *table, ScanKey keys, int nkeys,
					  Snapshot snapshot)
{
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(table->rel, ke_primary_key_index(table->rel),
							  true, snapshot, nkeys, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		keep(table, tuple);
	systable_endscan(scan);
	return HeapTupleIsValid(tuple);
}

void
ke_private_table_each(KePrivateTable *table, ScanKey keys, int nkeys,
					  Snapshot snapshot, KePrivateTableVisit visit,
					  void *argument)
{
	Relation	index = index_open(ke_primary_key_index(table->rel),
								   AccessShareLock);
	SysScanDesc scan = systable_beginscan_ordered(table->rel, index, snapshot,
												  nkeys, keys);
	HeapTuple	tuple;

	for (;;)
	{
		tuple = systable_getnext_ordered(scan, ForwardScanDirection);
		if (!HeapTupleIsValid(tuple))
			break;
		keep(table, tuple);
		visit(table, argument);
	}
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
}

void
ke_private_table_blank(KePrivateTable *table)
{
	ExecClearTuple(table->slot);
	memset(table->slot->tts_isnull, false,
		   table->slot->tts_tupleDescriptor->natts * sizeof(bool));
}

/* Point every index at the row that was just written. */
static void
insert_index_entries(KePrivateTable *table)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(table->rel))
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo  *desc = BuildIndexInfo(index);
		Datum		values[INDEX_MAX_KEYS];
		bool		isnull[INDEX_MAX_KEYS];

		/* An administrator may have added one; keep to what needs no EState */
		if (desc->ii_Expressions != NIL || desc->ii_Predicate != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot maintain index \"%s\" on table \"%s\"",
							RelationGetRelationName(index),
							RelationGetRelationName(table->rel)),
					 errhint("Drop the index: private tables of kafka_events take indexes on plain columns only.")));

		FormIndexDatum(desc, table->slot, NULL, values, isnull);
		index_insert(index, values, isnull, &table->slot->tts_tid, table->rel,
					 index->rd_index->indisunique ?
					 UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
					 false, desc);
		index_close(index, RowExclusiveLock);
	}
}

void
ke_private_table_insert(KePrivateTable *table)
{
	ExecStoreVirtualTuple(table->slot);
	table_tuple_insert(table->rel, table->slot, GetCurrentCommandId(true), 0,
					   NULL);
	insert_index_entries(table);
	CommandCounterIncrement();
}

bool
ke_private_table_update(KePrivateTable *table, ItemPointer tid,
						Snapshot snapshot)
{
	TM_FailureData failure;
	LockTupleMode lockmode;
	TU_UpdateIndexes update_indexes;

	ExecStoreVirtualTuple(table->slot);
	if (ke_table_tuple_update(table->rel, tid, table->slot,
							  GetCurrentCommandId(true), snapshot, &failure,
							  &lockmode, &update_indexes) != TM_Ok)
		return false;
	if (update_indexes != TU_None)
		insert_index_entries(table);
	CommandCounterIncrement();
	return true;
}

bool
ke_private_table_delete(KePrivateTable *table, ItemPointer tid,
						Snapshot snapshot)
{
	TM_FailureData failure;

	if (ke_table_tuple_delete(table->rel, tid, GetCurrentCommandId(true),
							  snapshot, &failure) != TM_Ok)
		return false;
	CommandCounterIncrement();
	return true;
}
