/*
 * outbox_scan.c
 *	  Finds markers and rows in both tables of the outbox, by index.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "outbox/outbox_scan.h"
#include "subscription/catalog.h"

/* Server, marker or not, and two for the transaction. */
#define KEYS 4

static Datum
xid8_datum(uint64 xid)
{
	return FullTransactionIdGetDatum(FullTransactionIdFromU64(xid));
}

/* The keys of all that is searched for: the server's markers, or its rows. */
static void
init_keys(ScanKey keys, Oid server, bool markers)
{
	ScanKeyInit(&keys[0], OUTBOX_SERVER, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(server));
	ScanKeyInit(&keys[1], OUTBOX_MARKER, BTEqualStrategyNumber, F_BOOLEQ,
				BoolGetDatum(markers));
}

/* ---------------------------------------------------------------- markers */

static void
load_marker(KePrivateTable *table, int number, KeOutboxMarker *marker)
{
	Datum	   *values = table->slot->tts_values;

	slot_getallattrs(table->slot);
	marker->id = DatumGetInt64(values[OUTBOX_ID - 1]);
	marker->xid = U64FromFullTransactionId(
		DatumGetFullTransactionId(values[OUTBOX_XID - 1]));
	marker->rows = DatumGetInt64(values[OUTBOX_ROW_COUNT - 1]);
	marker->written_at =
		DatumGetTimestampTz(values[OUTBOX_WRITTEN_AT - 1]);
	marker->table = number;
	marker->foreign =
		DatumGetInt64(values[OUTBOX_SYSTEM - 1]) !=
		(int64) GetSystemIdentifier() ||
		DatumGetObjectId(values[OUTBOX_DATABASE - 1]) != MyDatabaseId;
}

/* What ke_outbox_scan_table works with. */
typedef struct MarkerScan
{
	int			number;
	KePrivateTable table;
	IndexScanDesc scan;
	ScanKeyData keys[KEYS];
	const KeOutboxXids *upto;
	KeOutboxMarkerVisit visit;
	void	   *argument;
} MarkerScan;

/* Those that fit the keys. */
static bool
visit_markers(MarkerScan *markers)
{
	TupleTableSlot *slot = markers->table.slot;

	index_rescan(markers->scan, markers->keys, KEYS, NULL, 0);
	while (index_getnext_slot(markers->scan, ForwardScanDirection, slot))
	{
		KeOutboxMarker marker;

		CHECK_FOR_INTERRUPTS();
		load_marker(&markers->table, markers->number, &marker);
		if (markers->upto != NULL &&
			!ke_outbox_xids_have(markers->upto, marker.xid))
			continue;
		if (!markers->visit(&markers->table, &marker, markers->argument))
			return false;
	}
	return true;
}

/*
 * An index scan keeps the number of keys it was made with, so that one
 * transaction is looked for as a range, too.
 */
static bool
visit_range(MarkerScan *markers, uint64 from, uint64 below)
{
	ScanKeyInit(&markers->keys[2], OUTBOX_XID,
				BTGreaterEqualStrategyNumber, F_XID8GE, xid8_datum(from));
	ScanKeyInit(&markers->keys[3], OUTBOX_XID,
				BTLessStrategyNumber, F_XID8LT, xid8_datum(below));
	return visit_markers(markers);
}

bool
ke_outbox_scan_table(int table, Oid server, const KeOutboxXids *after,
					 const KeOutboxXids *upto, Snapshot snapshot,
					 KeOutboxMarkerVisit visit, void *argument)
{
	MarkerScan	markers = {
		.number = table,
		.upto = upto,
		.visit = visit,
		.argument = argument
	};
	Relation	index;
	bool		go_on = true;

	ke_private_table_open(&markers.table, ke_outbox_tables[table],
						  AccessShareLock);
	index = index_open(ke_primary_key_index(markers.table.rel),
					   AccessShareLock);
	markers.scan = ke_index_beginscan(markers.table.rel, index, snapshot,
									  KEYS);
	init_keys(markers.keys, server, true);

	for (int i = 0; i < after->nrunning && go_on; i++)
	{
		uint64		xid = after->running[i];

		if (upto == NULL || ke_outbox_xids_have(upto, xid))
			go_on = visit_range(&markers, xid, xid + 1);
	}
	if (go_on)
		go_on = visit_range(&markers, after->xmax,
							upto != NULL ? upto->xmax : PG_UINT64_MAX);

	index_endscan(markers.scan);
	index_close(index, NoLock);
	ke_private_table_close(&markers.table);
	return go_on;
}

void
ke_outbox_scan_markers(Oid server, const KeOutboxXids *after,
					   const KeOutboxXids *upto,
					   Snapshot snapshot, KeOutboxMarkerVisit visit,
					   void *argument)
{
	for (int table = 0; table < KE_OUTBOX_TABLES; table++)
	{
		if (!ke_outbox_scan_table(table, server, after, upto, snapshot,
								  visit, argument))
			return;
	}
}

typedef struct Origins
{
	bool		own;
	bool		foreign;
} Origins;

static bool
note_origin(KePrivateTable *table, const KeOutboxMarker *marker,
			void *argument)
{
	Origins    *origins = (Origins *) argument;

	if (marker->foreign)
		origins->foreign = true;
	else
		origins->own = true;
	return !origins->foreign;
}

void
ke_outbox_scan_origins(bool *own, bool *foreign)
{
	KeOutboxXids *nothing = ke_outbox_xids_parse(NULL);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	Origins		origins = {0};
	ListCell   *lc;

	foreach(lc, ke_catalog_servers())
		ke_outbox_scan_markers(lfirst_oid(lc), nothing, NULL, now,
							   note_origin, &origins);
	UnregisterSnapshot(now);
	*own = origins.own;
	*foreign = origins.foreign;
}

/* ------------------------------------------------------------------- rows */

static void
open_rows(KeOutboxRows *rows, int number)
{
	KePrivateTable *table = &rows->tables[number].table;
	Relation	index;

	ke_private_table_open(table, ke_outbox_tables[number], AccessShareLock);
	index = index_open(ke_primary_key_index(table->rel), AccessShareLock);
	rows->tables[number].index = index;
	rows->tables[number].scan = ke_index_beginscan(table->rel, index,
												   rows->snapshot, KEYS);
	rows->tables[number].open = true;
}

void
ke_outbox_scan_seek(KeOutboxRows *rows, int table, Oid server, uint64 xid,
					int64 after)
{
	ScanKeyData keys[KEYS];

	if (!rows->tables[table].open)
		open_rows(rows, table);
	rows->current = &rows->tables[table].table;
	rows->scan = rows->tables[table].scan;
	init_keys(keys, server, false);
	ScanKeyInit(&keys[2], OUTBOX_XID, BTEqualStrategyNumber, F_XID8EQ,
				xid8_datum(xid));
	ScanKeyInit(&keys[3], OUTBOX_ID, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(after));
	index_rescan(rows->scan, keys, KEYS, NULL, 0);
}

bool
ke_outbox_scan_next(KeOutboxRows *rows)
{
	if (!index_getnext_slot(rows->scan, ForwardScanDirection,
							rows->current->slot))
		return false;
	slot_getallattrs(rows->current->slot);
	return true;
}

void
ke_outbox_scan_close(KeOutboxRows *rows)
{
	for (int i = 0; i < KE_OUTBOX_TABLES; i++)
	{
		if (!rows->tables[i].open)
			continue;
		index_endscan(rows->tables[i].scan);
		index_close(rows->tables[i].index, NoLock);
		ke_private_table_close(&rows->tables[i].table);
		rows->tables[i].open = false;
	}
}
