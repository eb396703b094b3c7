/*
 * retries.c
 *	  Messages that wait in the database to be run again.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "core/headers.h"
#include "state/private_table.h"
#include "state/retries.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"

/* Columns of kafka_events.retries. */
enum
{
	RETRY_CLUSTER = 1,
	RETRY_GROUP,
	RETRY_TOPIC,
	RETRY_PARTITION,
	RETRY_OFFSET,
	RETRY_SOURCE,
	RETRY_ORDERING,
	RETRY_ATTEMPT,
	RETRY_DUE_AT,
	RETRY_TRIES,
	RETRY_SQLSTATE,
	RETRY_ORIGINAL_TOPIC,
	RETRY_ORIGINAL_PARTITION,
	RETRY_ORIGINAL_OFFSET,
	RETRY_ORIGINAL_TIMESTAMP,
	RETRY_TIMESTAMP_TYPE,
	RETRY_KEY,
	RETRY_VALUE,
	RETRY_HEADERS,
	RETRY_WRITTEN_AT,
	RETRY_COLUMNS = RETRY_WRITTEN_AT
};

/* The rows of a subscription in the order in which they are due. */
#define DUE_INDEX "retries_due"

uint64
ke_retries_chain(KeOrdering ordering, const KeMessage *msg)
{
	if (ordering == KE_ORDER_PARTITION)
		return 0;
	if (msg->key == NULL)
		return hash_bytes_extended((const unsigned char *) &msg->offset,
								   sizeof(msg->offset), 1);
	return hash_bytes_extended((const unsigned char *) msg->key,
							   msg->key_len, 2);
}

/* ------------------------------------------------------------------ rows */

static void
set(TupleTableSlot *slot, int column, Datum value)
{
	slot->tts_values[column - 1] = value;
}

static void
set_bytes(TupleTableSlot *slot, int column, const char *bytes, int32 len)
{
	bytea	   *value;

	slot->tts_isnull[column - 1] = (bytes == NULL);
	if (bytes == NULL)
		return;
	value = (bytea *) palloc(VARHDRSZ + (Size) len);
	SET_VARSIZE(value, VARHDRSZ + (Size) len);
	memcpy(VARDATA(value), bytes, len);
	set(slot, column, PointerGetDatum(value));
}

static void
set_headers(TupleTableSlot *slot, const KeMessage *msg)
{
	Size		size = ke_headers_size(msg->headers, msg->nheaders);
	bytea	   *value = (bytea *) palloc(VARHDRSZ + size);

	SET_VARSIZE(value, VARHDRSZ + size);
	ke_headers_write(msg->headers, msg->nheaders, VARDATA(value));
	set(slot, RETRY_HEADERS, PointerGetDatum(value));
}

/* A row out of key and retry, into a blank slot. */
static void
store(TupleTableSlot *slot, const KePositionKey *key, const KeRetry *retry)
{
	const KeMessage *msg = &retry->msg;

	set(slot, RETRY_CLUSTER, CStringGetTextDatum(key->cluster_id));
	set(slot, RETRY_GROUP, CStringGetTextDatum(key->group_id));
	set(slot, RETRY_TOPIC, CStringGetTextDatum(retry->topic));
	set(slot, RETRY_PARTITION, Int32GetDatum(retry->partition));
	set(slot, RETRY_OFFSET, Int64GetDatum(retry->offset));
	set(slot, RETRY_SOURCE, CStringGetTextDatum(retry->source));
	set(slot, RETRY_ORDERING, Int32GetDatum(retry->ordering));
	set(slot, RETRY_ATTEMPT, Int32GetDatum(msg->attempt));
	set(slot, RETRY_DUE_AT, TimestampTzGetDatum(retry->due_at));
	set(slot, RETRY_WRITTEN_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	set(slot, RETRY_TRIES, Int32GetDatum(retry->tries));
	if (retry->sqlstate == 0)
		slot->tts_isnull[RETRY_SQLSTATE - 1] = true;
	else
		set(slot, RETRY_SQLSTATE,
			CStringGetTextDatum(unpack_sql_state(retry->sqlstate)));
	set(slot, RETRY_ORIGINAL_TOPIC, CStringGetTextDatum(msg->topic));
	set(slot, RETRY_ORIGINAL_PARTITION, Int32GetDatum(msg->partition));
	set(slot, RETRY_ORIGINAL_OFFSET, Int64GetDatum(msg->offset));
	set(slot, RETRY_ORIGINAL_TIMESTAMP, Int64GetDatum(msg->timestamp_ms));
	set(slot, RETRY_TIMESTAMP_TYPE, Int32GetDatum(msg->timestamp_type));
	set_bytes(slot, RETRY_KEY, msg->key, msg->key_len);
	set_bytes(slot, RETRY_VALUE, msg->value, msg->value_len);
	set_headers(slot, msg);
}

static const char *
get_bytes(TupleTableSlot *slot, int column, int32 *len)
{
	bytea	   *value;

	*len = 0;
	if (slot->tts_isnull[column - 1])
		return NULL;
	value = DatumGetByteaPCopy(slot->tts_values[column - 1]);
	*len = VARSIZE(value) - VARHDRSZ;
	return VARDATA(value);
}

/* MAKE_SQLSTATE of five characters. */
static int
pack_sqlstate(const char *code)
{
	return strlen(code) != 5 ? 0 :
		MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]);
}

static void
load_headers(TupleTableSlot *slot, KeMessage *msg)
{
	int			count;
	int32		len;
	const char *bytes = get_bytes(slot, RETRY_HEADERS, &len);

	if (!ke_headers_read(bytes, len, &msg->headers, &count))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("headers of a parked message are damaged")));
	msg->nheaders = count;
}

/* 0: not known. */
static TimestampTz
get_written_at(TupleTableSlot *slot)
{
	return slot->tts_isnull[RETRY_WRITTEN_AT - 1] ? 0 :
		DatumGetTimestampTz(slot->tts_values[RETRY_WRITTEN_AT - 1]);
}

/* When a row is due if the clock was set back after it was written. */
static TimestampTz
correct_due_at(TimestampTz due_at, TimestampTz written_at, TimestampTz now)
{
	if (TIMESTAMP_NOT_FINITE(due_at) || written_at <= now)
		return due_at;
	return now + Max(due_at - written_at, 0);
}

/* Everything but the key, from a row into retry. */
static void
load(TupleTableSlot *slot, KeRetry *retry)
{
	KeMessage  *msg = &retry->msg;
	Datum	   *values = slot->tts_values;

	slot_getallattrs(slot);
	retry->source = TextDatumGetCString(values[RETRY_SOURCE - 1]);
	retry->ordering = (KeOrdering) DatumGetInt32(values[RETRY_ORDERING - 1]);
	retry->due_at = DatumGetTimestampTz(values[RETRY_DUE_AT - 1]);
	retry->written_at = get_written_at(slot);
	retry->tries = DatumGetInt32(values[RETRY_TRIES - 1]);
	retry->sqlstate = slot->tts_isnull[RETRY_SQLSTATE - 1] ? 0 :
		pack_sqlstate(TextDatumGetCString(values[RETRY_SQLSTATE - 1]));
	retry->tid = slot->tts_tid;

	memset(msg, 0, sizeof(*msg));
	msg->attempt = DatumGetInt32(values[RETRY_ATTEMPT - 1]);
	msg->topic = TextDatumGetCString(values[RETRY_ORIGINAL_TOPIC - 1]);
	msg->partition = DatumGetInt32(values[RETRY_ORIGINAL_PARTITION - 1]);
	msg->offset = DatumGetInt64(values[RETRY_ORIGINAL_OFFSET - 1]);
	msg->timestamp_ms = DatumGetInt64(values[RETRY_ORIGINAL_TIMESTAMP - 1]);
	msg->timestamp_type = (KeTimestampType)
		DatumGetInt32(values[RETRY_TIMESTAMP_TYPE - 1]);
	msg->key = get_bytes(slot, RETRY_KEY, &msg->key_len);
	msg->value = get_bytes(slot, RETRY_VALUE, &msg->value_len);
	load_headers(slot, msg);
}

/* Scan keys for the columns of the primary key. */
static void
make_keys(ScanKey keys, const KePositionKey *key, const char *topic,
		  int32 partition, int64 offset)
{
	ScanKeyInit(&keys[0], RETRY_CLUSTER, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->cluster_id));
	ScanKeyInit(&keys[1], RETRY_GROUP, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->group_id));
	ScanKeyInit(&keys[2], RETRY_TOPIC, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(topic));
	ScanKeyInit(&keys[3], RETRY_PARTITION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(partition));
	ScanKeyInit(&keys[4], RETRY_OFFSET, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(offset));
}

static bool
find(KePrivateTable *table, const KePositionKey *key, const KeRetry *retry,
	 Snapshot snapshot)
{
	ScanKeyData keys[5];

	make_keys(keys, key, retry->topic, retry->partition, retry->offset);
	return ke_private_table_find(table, keys, 5, snapshot);
}

void
ke_retries_put(const KePositionKey *key, const KeRetry *retry)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "retries", RowExclusiveLock);
	if (find(&table, key, retry, now) &&
		!ke_private_table_delete(&table, &table.slot->tts_tid, now))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not park a message: another process runs it")));
	ke_private_table_blank(&table);
	store(table.slot, key, retry);
	ke_private_table_insert(&table);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

/* Lock what the slot holds, unless somebody else has; not waiting for him. */
static bool
lock_tuple(KePrivateTable *table, Snapshot snapshot)
{
	ItemPointerData tid = table->slot->tts_tid;
	TM_FailureData failure;

	ExecClearTuple(table->slot);
	return table_tuple_lock(table->rel, &tid, snapshot, table->slot,
							GetCurrentCommandId(true), LockTupleExclusive,
							LockWaitSkip, 0, &failure) == TM_Ok;
}

bool
ke_retries_lock(const KePositionKey *key, KeRetry *retry)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		locked;

	ke_private_table_open(&table, "retries", RowExclusiveLock);
	locked = find(&table, key, retry, now) && lock_tuple(&table, now);
	if (locked)
		load(table.slot, retry);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return locked;
}

/* The locks are ours until the transaction ends, so this cannot happen. */
static void
lost_lock(void)
{
	elog(ERROR, "a parked message that was locked has changed");
}

void
ke_retries_delete(const KeRetry *retry)
{
	KePrivateTable table;
	ItemPointerData tid = retry->tid;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "retries", RowExclusiveLock);
	if (!ke_private_table_delete(&table, &tid, now))
		lost_lock();
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

void
ke_retries_update(const KePositionKey *key, const KeRetry *retry)
{
	KePrivateTable table;
	ItemPointerData tid = retry->tid;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "retries", RowExclusiveLock);
	ke_private_table_blank(&table);
	store(table.slot, key, retry);
	if (!ke_private_table_update(&table, &tid, now))
		lost_lock();
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

/* ---------------------------------------------------------------- ranges */

/*
 * The subscription's rows in the order in which they are due: visit() sees
 * each until it has seen enough.
 */
typedef bool (*Visit) (HeapTuple tuple, TupleDesc desc, void *argument);

static void
scan_due(const KePositionKey *key, const char *source, Visit visit,
		 void *argument)
{
	Relation	rel = table_open(ke_extension_private_table("retries"),
								 AccessShareLock);
	Relation	index = index_open(ke_extension_private_table(DUE_INDEX),
								   AccessShareLock);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], RETRY_CLUSTER, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->cluster_id));
	ScanKeyInit(&keys[1], RETRY_GROUP, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->group_id));
	ScanKeyInit(&keys[2], RETRY_SOURCE, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(source));
	scan = systable_beginscan_ordered(rel, index, now, 3, keys);
	do
		tuple = systable_getnext_ordered(scan, ForwardScanDirection);
	while (HeapTupleIsValid(tuple) &&
		   visit(tuple, RelationGetDescr(rel), argument));
	systable_endscan_ordered(scan);
	UnregisterSnapshot(now);
	index_close(index, NoLock);
	table_close(rel, NoLock);
}

static Datum
attribute(HeapTuple tuple, int column, TupleDesc desc)
{
	bool		isnull;

	return heap_getattr(tuple, column, desc, &isnull);
}

/* The key of a row, and when it is due, in the current context. */
static KeRetry *
make_retry(HeapTuple tuple, TupleDesc desc)
{
	KeRetry    *retry = (KeRetry *) palloc0(sizeof(KeRetry));

	retry->topic = TextDatumGetCString(attribute(tuple, RETRY_TOPIC, desc));
	retry->partition =
		DatumGetInt32(attribute(tuple, RETRY_PARTITION, desc));
	retry->offset = DatumGetInt64(attribute(tuple, RETRY_OFFSET, desc));
	retry->due_at = DatumGetTimestampTz(attribute(tuple, RETRY_DUE_AT, desc));
	return retry;
}

typedef struct Due
{
	TimestampTz now;
	int			room;
	List	   *found;
	TimestampTz next;
} Due;

static bool
visit_due(HeapTuple tuple, TupleDesc desc, void *argument)
{
	Due		   *due = (Due *) argument;

	due->next = DatumGetTimestampTz(attribute(tuple, RETRY_DUE_AT, desc));
	if (due->next > due->now || due->room == 0)
		return false;
	due->found = lappend(due->found, make_retry(tuple, desc));
	due->room--;
	due->next = DT_NOEND;
	return true;
}

List *
ke_retries_due(const KePositionKey *key, const char *source, TimestampTz now,
			   int max, TimestampTz *next)
{
	Due			due = {now, max, NIL, DT_NOEND};

	scan_due(key, source, visit_due, &due);
	*next = due.next;
	return due.found;
}

typedef struct Later
{
	TimestampTz now;
	List	   *found;			/* of KeRetry */
} Later;

static bool
visit_later(HeapTuple tuple, TupleDesc desc, void *argument)
{
	Later	   *later = (Later *) argument;
	bool		isnull;
	Datum		written_at = heap_getattr(tuple, RETRY_WRITTEN_AT, desc,
										  &isnull);

	if (!isnull && DatumGetTimestampTz(written_at) > later->now)
		later->found = lappend(later->found, make_retry(tuple, desc));
	return true;
}

/* One that somebody has locked runs, or is turned back by him. */
void
ke_retries_turn_back(const KePositionKey *key, const char *source,
					 TimestampTz now)
{
	Later		later = {now, NIL};
	ListCell   *lc;

	scan_due(key, source, visit_later, &later);
	foreach(lc, later.found)
	{
		KeRetry    *retry = (KeRetry *) lfirst(lc);

		if (!ke_retries_lock(key, retry))
			continue;
		retry->due_at = correct_due_at(retry->due_at, retry->written_at, now);
		ke_retries_update(key, retry);
	}
}

static bool
visit_counted(HeapTuple tuple, TupleDesc desc, void *argument)
{
	int		   *left = (int *) argument;

	return --*left > 0;
}

int
ke_retries_count(const KePositionKey *key, const char *source, int limit)
{
	int			left = limit;

	scan_due(key, source, visit_counted, &left);
	return limit - left;
}

bool
ke_retries_exist(const KePositionKey *key)
{
	KePrivateTable table;
	ScanKeyData keys[5];
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		found;

	ke_private_table_open(&table, "retries", AccessShareLock);
	make_keys(keys, key, "", 0, 0);
	found = ke_private_table_find(&table, keys, 2, now);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return found;
}

static void
gather(KePrivateTable *table, void *argument)
{
	List	  **entries = (List **) argument;
	KeRetryEntry *entry = (KeRetryEntry *) palloc(sizeof(KeRetryEntry));
	Datum	   *values = table->slot->tts_values;
	KeMessage	msg = {0};

	entry->offset = DatumGetInt64(values[RETRY_OFFSET - 1]);
	entry->ordering =
		(KeOrdering) DatumGetInt32(values[RETRY_ORDERING - 1]);
	entry->due_at =
		correct_due_at(DatumGetTimestampTz(values[RETRY_DUE_AT - 1]),
					   get_written_at(table->slot), GetCurrentTimestamp());
	msg.offset = entry->offset;
	msg.key = get_bytes(table->slot, RETRY_KEY, &msg.key_len);
	entry->chain = ke_retries_chain(entry->ordering, &msg);
	*entries = lappend(*entries, entry);
}

List *
ke_retries_list(const KePositionKey *key, const char *topic, int32 partition)
{
	KePrivateTable table;
	ScanKeyData keys[5];
	List	   *entries = NIL;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "retries", AccessShareLock);
	make_keys(keys, key, topic, partition, 0);
	ke_private_table_each(&table, keys, 4, now, gather, &entries);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return entries;
}
