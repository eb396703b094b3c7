/*
 * outbox_scan.h
 *	  Finds markers and rows in both tables of the outbox, by index.
 *
 * Needs a transaction.  What is found costs, not what the tables hold: of
 * transactions before a snapshot's end only those are looked for that were
 * running, one by one, however long the oldest of them has been.
 */
#ifndef KE_OUTBOX_SCAN_H
#define KE_OUTBOX_SCAN_H

#include "access/genam.h"
#include "datatype/timestamp.h"

#include "outbox/outbox_table.h"
#include "outbox/outbox_xids.h"

typedef struct KeOutboxMarker
{
	int64		id;
	uint64		xid;
	int64		rows;
	TimestampTz written_at;
	int			table;
	bool		foreign;		/* of the database this is a copy of */
} KeOutboxMarker;

/*
 * Show the server's markers of transactions that after does not have, and
 * upto (NULL: any) does, in no order, until visit returns false.  It sees
 * the marker's row in table->slot.
 */
typedef bool (*KeOutboxMarkerVisit) (KePrivateTable *table,
									 const KeOutboxMarker *marker,
									 void *argument);

extern void ke_outbox_scan_markers(Oid server, const KeOutboxXids *after,
								   const KeOutboxXids *upto, Snapshot snapshot,
								   KeOutboxMarkerVisit visit,
								   void *argument);

/* The same in one of the tables; false if visit returned that. */
extern bool ke_outbox_scan_table(int table, Oid server,
								 const KeOutboxXids *after,
								 const KeOutboxXids *upto, Snapshot snapshot,
								 KeOutboxMarkerVisit visit, void *argument);

/*
 * Has any server's outbox committed transactions of this database, and of
 * another one that this is a copy of?  The second answer makes do with one.
 */
extern void ke_outbox_scan_origins(bool *own, bool *foreign);

/* Rows of transactions, one after the other; zero it to begin. */
typedef struct KeOutboxRows
{
	Snapshot	snapshot;
	struct
	{
		bool		open;
		KePrivateTable table;
		Relation	index;
		IndexScanDesc scan;
	}			tables[KE_OUTBOX_TABLES];
	KePrivateTable *current;	/* the row found is in its slot */
	IndexScanDesc scan;
} KeOutboxRows;

/* Look for a transaction's rows with ids beyond after. */
extern void ke_outbox_scan_seek(KeOutboxRows *rows, int table, Oid server,
								uint64 xid, int64 after);
extern bool ke_outbox_scan_next(KeOutboxRows *rows);
extern void ke_outbox_scan_close(KeOutboxRows *rows);

#endif							/* KE_OUTBOX_SCAN_H */
