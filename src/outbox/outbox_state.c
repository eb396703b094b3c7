/*
 * outbox_state.c
 *	  How far each server's relay is: the rows of kafka_events.outbox_state.
 *
 * A busy relay changes its row many times per second.  Under an old snapshot
 * all those versions stay, so the row is looked for where this process left
 * it; the index would lead through all of them.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/stratnum.h"
#include "access/tableam.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "outbox/outbox_state.h"
#include "outbox/outbox_table.h"
#include "outbox/outbox_xids.h"

/* Columns of kafka_events.outbox_state. */
enum
{
	STATE_SERVER = 1,
	STATE_READER,
	STATE_PUBLISHED,
	STATE_TAKEN,
	STATE_DONE_MARKER,
	STATE_DONE_ID,
	STATE_DONE_ROWS,
	STATE_PUBLISHED_TOTAL,
	STATE_LAST_ERROR
};

static int64
number(TupleTableSlot *slot, int column)
{
	return DatumGetInt64(slot->tts_values[column - 1]);
}

static char *
xids(TupleTableSlot *slot, int column)
{
	if (slot->tts_isnull[column - 1])
		return NULL;
	return ke_outbox_xids_text(slot->tts_values[column - 1]);
}

static void
load(TupleTableSlot *slot, KeOutboxState *state)
{
	state->reader = number(slot, STATE_READER);
	state->published = xids(slot, STATE_PUBLISHED);
	state->taken = xids(slot, STATE_TAKEN);
	state->done_marker = number(slot, STATE_DONE_MARKER);
	state->done_id = number(slot, STATE_DONE_ID);
	state->done_rows = number(slot, STATE_DONE_ROWS);
	state->published_total = number(slot, STATE_PUBLISHED_TOTAL);
	state->last_error = slot->tts_isnull[STATE_LAST_ERROR - 1] ? NULL :
		TextDatumGetCString(slot->tts_values[STATE_LAST_ERROR - 1]);
	state->tid = slot->tts_tid;
}

/* Is the server's row, as snapshot sees it, still at tid? */
static bool
find_there(KePrivateTable *table, Oid server, ItemPointer tid,
		   Snapshot snapshot)
{
	if (!ItemPointerIsValid(tid) ||
		!table_tuple_fetch_row_version(table->rel, tid, snapshot,
									   table->slot))
		return false;
	slot_getallattrs(table->slot);
	return DatumGetObjectId(table->slot->tts_values[STATE_SERVER - 1]) ==
		server;
}

static bool
find(KePrivateTable *table, Oid server, Snapshot snapshot)
{
	ScanKeyData key;

	ScanKeyInit(&key, STATE_SERVER, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(server));
	return ke_private_table_find(table, &key, 1, snapshot);
}

bool
ke_outbox_state_read(Oid server, KeOutboxState *state)
{
	KePrivateTable table;
	ItemPointerData tid = state->tid;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		found;

	memset(state, 0, sizeof(KeOutboxState));
	ItemPointerSetInvalid(&state->tid);
	ke_private_table_open(&table, "outbox_state", AccessShareLock);
	found = find_there(&table, server, &tid, now) ||
		find(&table, server, now);
	if (found)
		load(table.slot, state);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return found;
}

static void
put_xids(TupleTableSlot *slot, int column, const char *text)
{
	slot->tts_isnull[column - 1] = (text == NULL);
	if (text != NULL)
		slot->tts_values[column - 1] = ke_outbox_xids_datum(text);
}

static void
fill(TupleTableSlot *slot, Oid server, const KeOutboxState *state)
{
	Datum	   *values = slot->tts_values;

	values[STATE_SERVER - 1] = ObjectIdGetDatum(server);
	values[STATE_READER - 1] = Int64GetDatum(state->reader);
	put_xids(slot, STATE_PUBLISHED, state->published);
	put_xids(slot, STATE_TAKEN, state->taken);
	values[STATE_DONE_MARKER - 1] = Int64GetDatum(state->done_marker);
	values[STATE_DONE_ID - 1] = Int64GetDatum(state->done_id);
	values[STATE_DONE_ROWS - 1] = Int64GetDatum(state->done_rows);
	values[STATE_PUBLISHED_TOTAL - 1] = Int64GetDatum(state->published_total);
	ke_outbox_put_text(slot, STATE_LAST_ERROR, state->last_error);
}

bool
ke_outbox_state_write(Oid server, bool is_new, KeOutboxState *state)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		written = true;

	ke_private_table_open(&table, "outbox_state", RowExclusiveLock);
	ke_private_table_blank(&table);
	fill(table.slot, server, state);
	if (is_new)
		ke_private_table_insert(&table);
	else
		written = ke_private_table_update(&table, &state->tid, now);
	if (written)
		state->tid = table.slot->tts_tid;
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return written;
}

typedef struct Keep
{
	List	   *servers;
	Snapshot	snapshot;
} Keep;

/* If somebody is at a row, it goes the next time. */
static void
delete_stranger(KePrivateTable *table, void *argument)
{
	Keep	   *keep = (Keep *) argument;
	Datum		server = table->slot->tts_values[STATE_SERVER - 1];

	if (!list_member_oid(keep->servers, DatumGetObjectId(server)))
		(void) ke_private_table_delete(table, &table->slot->tts_tid,
									   keep->snapshot);
}

void
ke_outbox_state_keep_only(List *servers)
{
	KePrivateTable table;
	Keep		keep = {servers, RegisterSnapshot(GetLatestSnapshot())};

	ke_private_table_open(&table, "outbox_state", RowExclusiveLock);
	ke_private_table_each(&table, NULL, 0, keep.snapshot, delete_stranger,
						  &keep);
	ke_private_table_close(&table);
	UnregisterSnapshot(keep.snapshot);
}
