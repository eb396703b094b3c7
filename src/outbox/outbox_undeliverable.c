/*
 * outbox_undeliverable.c
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

#include "outbox/outbox_entry.h"
#include "outbox/outbox_read.h"
#include "outbox/outbox_table.h"
#include "outbox/outbox_undeliverable.h"

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
	PARKED_PARKED_AT,
	PARKED_WAITS
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
ke_outbox_undeliverable_insert(TupleTableSlot *slot, TimestampTz written_at,
							   const char *reason, bool waits_for_topic)
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
		to->tts_values[PARKED_WAITS - 1] = BoolGetDatum(waits_for_topic);
		ke_private_table_insert(&table);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

Oid
ke_outbox_undeliverable_server(int64 id)
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

		ke_outbox_entry_load_row(table.slot, &parked_columns, &row);
		new_id = ke_outbox_append(&row);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return new_id;
}

void
ke_outbox_undeliverable_discard(int64 id)
{
	(void) take_out(id, false);
}

int64
ke_outbox_undeliverable_retry(int64 id)
{
	return take_out(id, true);
}

/* ------------------------------------------------------------- all of them */

static Oid
server_of(KePrivateTable *table)
{
	return DatumGetObjectId(table->slot->tts_values[PARKED_SERVER - 1]);
}

static bool
waits(KePrivateTable *table)
{
	return DatumGetBool(table->slot->tts_values[PARKED_WAITS - 1]);
}

/* Show the rows of all servers to visit(). */
static void
look_at_all(LOCKMODE lockmode, KePrivateTableVisit visit, void *argument)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "outbox_parked", lockmode);
	ke_private_table_each(&table, NULL, 0, now, visit, argument);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

typedef struct Count
{
	Oid			server;
	KeOutboxUndeliverableCount *result;
} Count;

static void
count_row(KePrivateTable *table, void *argument)
{
	Count	   *count = (Count *) argument;
	KeOutboxUndeliverableCount *result = count->result;
	TimestampTz written_at;

	if (server_of(table) != count->server)
		return;
	if (!waits(table))
	{
		result->parked++;
		return;
	}
	result->waiting++;
	written_at =
		DatumGetTimestampTz(table->slot->tts_values[PARKED_WRITTEN_AT - 1]);
	if (result->oldest == 0 || written_at < result->oldest)
		result->oldest = written_at;
}

void
ke_outbox_undeliverable_count(Oid server, KeOutboxUndeliverableCount *count)
{
	Count		argument = {server, count};

	memset(count, 0, sizeof(*count));
	look_at_all(AccessShareLock, count_row, &argument);
}

/* -------------------------------------------------- waiting for a topic */

typedef struct Waiting
{
	Oid			server;
	const char *topic;			/* only these; NULL: all */
	List	   *topics;			/* of KeOutboxWaiting, in context */
	List	   *ids;			/* of int64 *, likewise */
	MemoryContext context;
} Waiting;

static KeOutboxWaiting *
find_waiting(List *topics, const char *name)
{
	ListCell   *lc;

	foreach(lc, topics)
	{
		KeOutboxWaiting *known = (KeOutboxWaiting *) lfirst(lc);

		if (strcmp(known->topic, name) == 0)
			return known;
	}
	return NULL;
}

static void
note_waiting(KePrivateTable *table, void *argument)
{
	Waiting    *waiting = (Waiting *) argument;
	KeOutboxRow row;
	MemoryContext old;

	if (server_of(table) != waiting->server || !waits(table))
		return;
	ke_outbox_entry_load_row(table->slot, &parked_columns, &row);
	old = MemoryContextSwitchTo(waiting->context);
	if (find_waiting(waiting->topics, row.topic) == NULL)
	{
		KeOutboxWaiting *found = palloc(sizeof(KeOutboxWaiting));

		found->topic = pstrdup(row.topic);
		found->source_topic = pstrdup(row.source_topic);
		found->kind = row.kind;
		waiting->topics = lappend(waiting->topics, found);
	}
	MemoryContextSwitchTo(old);
}

List *
ke_outbox_undeliverable_waiting(Oid server, MemoryContext context)
{
	Waiting		waiting = {.server = server, .context = context};

	look_at_all(AccessShareLock, note_waiting, &waiting);
	return waiting.topics;
}

static void
note_id(KePrivateTable *table, void *argument)
{
	Waiting    *waiting = (Waiting *) argument;
	char	   *topic =
	TextDatumGetCString(table->slot->tts_values[PARKED_TOPIC - 1]);

	if (server_of(table) == waiting->server && waits(table) &&
		strcmp(topic, waiting->topic) == 0)
	{
		int64	   *id = palloc(sizeof(int64));

		*id = DatumGetInt64(table->slot->tts_values[PARKED_ID - 1]);
		waiting->ids = lappend(waiting->ids, id);
	}
	pfree(topic);
}

void
ke_outbox_undeliverable_resume(Oid server, const char *topic)
{
	Waiting		waiting = {.server = server, .topic = topic};
	ListCell   *lc;

	look_at_all(AccessShareLock, note_id, &waiting);
	foreach(lc, waiting.ids)
		(void) ke_outbox_undeliverable_retry(*(int64 *) lfirst(lc));
}

/* ------------------------------------------ of servers that are gone */

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
ke_outbox_undeliverable_keep_only(List *servers)
{
	Keep		keep = {servers, RegisterSnapshot(GetLatestSnapshot())};

	look_at_all(RowExclusiveLock, delete_stranger, &keep);
	UnregisterSnapshot(keep.snapshot);
}
