/*
 * outbox_parked.c
 *	  Messages that no broker takes: the rows of kafka_events.outbox_parked.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/stratnum.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "db/outbox_entry.h"
#include "db/outbox_parked.h"
#include "db/outbox_table.h"

/* Columns of kafka_events.outbox_parked. */
enum
{
	PARKED_ID = 1,
	PARKED_SERVER,
	PARKED_KIND,
	PARKED_TOPIC,
	PARKED_SOURCE_TOPIC,
	PARKED_PARTITION,
	PARKED_KEY,
	PARKED_VALUE,
	PARKED_HEADERS,
	PARKED_REASON,
	PARKED_WRITTEN_AT,
	PARKED_PARKED_AT
};

static const KeOutboxColumns parked_columns = {
	.server = PARKED_SERVER,
	.kind = PARKED_KIND,
	.topic = PARKED_TOPIC,
	.source_topic = PARKED_SOURCE_TOPIC,
	.partition = PARKED_PARTITION,
	.key = PARKED_KEY,
	.value = PARKED_VALUE,
	.headers = PARKED_HEADERS
};

static bool
find(KePrivateTable *table, int64 id, Snapshot snapshot)
{
	ScanKeyData key;

	ScanKeyInit(&key, PARKED_ID, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(id));
	return ke_private_table_find(table, &key, 1, snapshot);
}

/*
 * What is stored out of line there is stored anew here: the rest of its table
 * will be emptied.
 */
static void
copy(TupleTableSlot *from, int column, TupleTableSlot *to, int to_column)
{
	Form_pg_attribute att = TupleDescAttr(from->tts_tupleDescriptor,
										  column - 1);
	Datum		value = from->tts_values[column - 1];

	to->tts_isnull[to_column - 1] = from->tts_isnull[column - 1];
	if (from->tts_isnull[column - 1])
		return;
	if (att->attlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM(value));
	to->tts_values[to_column - 1] = value;
}

void
ke_outbox_parked_insert(TupleTableSlot *slot, TimestampTz written_at,
						const char *reason)
{
	KePrivateTable table;
	TupleTableSlot *to;
	int64		id = DatumGetInt64(slot->tts_values[OUTBOX_ID - 1]);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "outbox_parked", RowExclusiveLock);
	to = table.slot;
	if (!find(&table, id, now))
	{
		ke_private_table_blank(&table);
		copy(slot, OUTBOX_ID, to, PARKED_ID);
		copy(slot, OUTBOX_SERVER, to, PARKED_SERVER);
		copy(slot, OUTBOX_KIND, to, PARKED_KIND);
		copy(slot, OUTBOX_TOPIC, to, PARKED_TOPIC);
		copy(slot, OUTBOX_SOURCE_TOPIC, to, PARKED_SOURCE_TOPIC);
		copy(slot, OUTBOX_PARTITION, to, PARKED_PARTITION);
		copy(slot, OUTBOX_KEY, to, PARKED_KEY);
		copy(slot, OUTBOX_VALUE, to, PARKED_VALUE);
		copy(slot, OUTBOX_HEADERS, to, PARKED_HEADERS);
		ke_outbox_put_text(to, PARKED_REASON, reason);
		to->tts_values[PARKED_WRITTEN_AT - 1] =
			TimestampTzGetDatum(written_at);
		to->tts_values[PARKED_PARKED_AT - 1] =
			TimestampTzGetDatum(GetCurrentTimestamp());
		ke_private_table_insert(&table);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

Oid
ke_outbox_parked_server(int64 id)
{
	KePrivateTable table;
	Oid			server = InvalidOid;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "outbox_parked", AccessShareLock);
	if (find(&table, id, now))
		server =
			DatumGetObjectId(table.slot->tts_values[PARKED_SERVER - 1]);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return server;
}

/* Delete the row; before that, append: put it back. */
static int64
take_out(int64 id, bool append)
{
	KePrivateTable table;
	int64		new_id = 0;
	bool		taken;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "outbox_parked", RowExclusiveLock);
	taken = find(&table, id, now) &&
		ke_private_table_delete(&table, &table.slot->tts_tid, now);
	if (!taken)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("message " INT64_FORMAT " is no longer parked: another session was faster",
						id)));
	if (append)
	{
		KeOutboxRow row;

		ke_outbox_row_load(table.slot, &parked_columns, &row);
		new_id = ke_outbox_append(&row);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return new_id;
}

void
ke_outbox_parked_discard(int64 id)
{
	(void) take_out(id, false);
}

int64
ke_outbox_parked_retry(int64 id)
{
	return take_out(id, true);
}

/* ------------------------------------------------------------- all of them */

typedef struct Count
{
	Oid			server;
	int64		rows;
} Count;

static Oid
server_of(KePrivateTable *table)
{
	return DatumGetObjectId(table->slot->tts_values[PARKED_SERVER - 1]);
}

static void
count_row(KePrivateTable *table, void *argument)
{
	Count	   *count = (Count *) argument;

	if (server_of(table) == count->server)
		count->rows++;
}

int64
ke_outbox_parked_count(Oid server)
{
	KePrivateTable table;
	Count		count = {server, 0};
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "outbox_parked", AccessShareLock);
	ke_private_table_each(&table, NULL, 0, now, count_row, &count);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return count.rows;
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

	if (!list_member_oid(keep->servers, server_of(table)))
		(void) ke_private_table_delete(table, &table->slot->tts_tid,
									   keep->snapshot);
}

void
ke_outbox_parked_keep_only(List *servers)
{
	KePrivateTable table;
	Keep		keep = {servers, RegisterSnapshot(GetLatestSnapshot())};

	ke_private_table_open(&table, "outbox_parked", RowExclusiveLock);
	ke_private_table_each(&table, NULL, 0, keep.snapshot, delete_stranger,
						  &keep);
	ke_private_table_close(&table);
	UnregisterSnapshot(keep.snapshot);
}
