/*
 * private_table.h
 *	  Rows of the tables in schema kafka_events, through the table access
 *	  method: no SQL text, no plan, no privilege or setting of the session.
 *
 * All functions need a transaction.  A table is opened, used and closed
 * within one function of its user; the lock stays until the transaction ends.
 */
#ifndef KE_PRIVATE_TABLE_H
#define KE_PRIVATE_TABLE_H

#include "access/skey.h"
#include "executor/tuptable.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

typedef struct KePrivateTable
{
	Relation	rel;
	TupleTableSlot *slot;		/* one row: found, or to be written */
	Snapshot	snapshot;		/* held for writing, or NULL */
} KePrivateTable;

extern void ke_private_table_open(KePrivateTable *table, const char *name,
								  LOCKMODE lockmode);
extern void ke_private_table_close(KePrivateTable *table);

/* First row that fits the primary key's columns in keys; to table->slot. */
extern bool ke_private_table_find(KePrivateTable *table, ScanKey keys,
								  int nkeys, Snapshot snapshot);

/*
 * All rows that fit, in the primary key's order: visit() sees each in
 * table->slot.
 */
typedef void (*KePrivateTableVisit) (KePrivateTable *table, void *argument);

extern void ke_private_table_each(KePrivateTable *table, ScanKey keys,
								  int nkeys, Snapshot snapshot,
								  KePrivateTableVisit visit, void *argument);

/* Empty the slot so that tts_values and tts_isnull can be filled in. */
extern void ke_private_table_blank(KePrivateTable *table);

/* Write the filled-in slot.  Insert raises 23505 if the key is there. */
extern void ke_private_table_insert(KePrivateTable *table);

/* False if the row was changed since snapshot; waits for who is at it. */
extern bool ke_private_table_update(KePrivateTable *table, ItemPointer tid,
									Snapshot snapshot);
extern bool ke_private_table_delete(KePrivateTable *table, ItemPointer tid,
									Snapshot snapshot);

#endif							/* KE_PRIVATE_TABLE_H */
