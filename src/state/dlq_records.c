/*
 * dlq_records.c
 *	  What Kafka alone cannot remember about dead letters.
 *
 * Rows are written by the one task process of a server, under Kafka's own
 * fence, so nobody else writes the same row at the same time; a second
 * writer would meet a row that was updated meanwhile, and give up.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/stratnum.h"
#include "storage/lockdefs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "state/dlq_records.h"
#include "state/private_table.h"

/* Columns of kafka_events.dlq_positions; the key is that of dlq_letters. */
enum
{
	DLQ_CLUSTER = 1,
	DLQ_GROUP,
	DLQ_TOPIC,
	DLQ_PARTITION,
	POSITION_NEXT,
	POSITION_IN_MOTION,
	POSITION_WRITTEN_AT
};

/* Columns of kafka_events.dlq_letters. */
enum
{
	LETTER_OFFSET = DLQ_PARTITION + 1,
	LETTER_MOVED,
	LETTER_MARKER,
	LETTER_ERROR
};

#define POSITION_KEYS 4
#define LETTER_KEYS 5

/* Kafka keeps positions for 7 days, or for less if an operator says so. */
#define FRESH_MS (24 * 3600 * 1000)

/* Keys for as many columns as are given, in order. */
static int
make_keys(ScanKey keys, const KePositionKey *key, const char *topic,
		  int32 partition, int64 offset)
{
	ScanKeyInit(&keys[0], DLQ_CLUSTER, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->cluster_id));
	ScanKeyInit(&keys[1], DLQ_GROUP, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->group_id));
	if (topic == NULL)
		return 2;
	ScanKeyInit(&keys[2], DLQ_TOPIC, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(topic));
	if (partition < 0)
		return 3;
	ScanKeyInit(&keys[3], DLQ_PARTITION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(partition));
	if (offset < 0)
		return 4;
	ScanKeyInit(&keys[4], LETTER_OFFSET, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(offset));
	return 5;
}

/* Write the row that fill() makes in place of the one that fits keys. */
static void
replace(KePrivateTable *table, ScanKey keys, int nkeys,
		void (*fill) (TupleTableSlot *slot, const void *row), const void *row)
{
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		known = ke_private_table_find(table, keys, nkeys, now);
	ItemPointerData tid = table->slot->tts_tid;
	bool		written = true;

	ke_private_table_blank(table);
	fill(table->slot, row);
	if (known)
		written = ke_private_table_update(table, &tid, now);
	else
		ke_private_table_insert(table);
	UnregisterSnapshot(now);
	if (!written)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("another process has moved dead letters of the same topic")));
}

/* -------------------------------------------------------------- positions */

static void
take_position(KePrivateTable *table, void *argument)
{
	List	  **list = (List **) argument;
	Datum	   *values = table->slot->tts_values;
	KeDlqPosition *position = palloc(sizeof(KeDlqPosition));

	position->topic = TextDatumGetCString(values[DLQ_TOPIC - 1]);
	position->partition = DatumGetInt32(values[DLQ_PARTITION - 1]);
	position->next = DatumGetInt64(values[POSITION_NEXT - 1]);
	position->in_motion = DatumGetBool(values[POSITION_IN_MOTION - 1]);
	position->written_at =
		DatumGetTimestampTz(values[POSITION_WRITTEN_AT - 1]);
	*list = lappend(*list, position);
}

List *
ke_dlq_records_positions(const KePositionKey *key, const char *topic)
{
	List	   *list = NIL;
	KePrivateTable table;
	ScanKeyData keys[POSITION_KEYS];
	int			nkeys = make_keys(keys, key, topic, -1, -1);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "dlq_positions", AccessShareLock);
	ke_private_table_each(&table, keys, nkeys, now, take_position, &list);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return list;
}

List *
ke_dlq_records_due_topics(const KePositionKey *key)
{
	TimestampTz now = GetCurrentTimestamp();
	const char *last = NULL;
	List	   *topics = NIL;
	ListCell   *lc;

	foreach(lc, ke_dlq_records_positions(key, NULL))
	{
		const KeDlqPosition *position = (KeDlqPosition *) lfirst(lc);

		if (last != NULL && strcmp(last, position->topic) == 0)
			continue;
		if (!position->in_motion &&
			!TimestampDifferenceExceeds(position->written_at, now, FRESH_MS))
			continue;
		topics = lappend(topics, position->topic);
		last = position->topic;
	}
	return topics;
}

typedef struct PositionRow
{
	const KePositionKey *key;
	const KeDlqPosition *position;
} PositionRow;

static void
fill_position(TupleTableSlot *slot, const void *row)
{
	const PositionRow *from = row;
	Datum	   *values = slot->tts_values;

	values[DLQ_CLUSTER - 1] = CStringGetTextDatum(from->key->cluster_id);
	values[DLQ_GROUP - 1] = CStringGetTextDatum(from->key->group_id);
	values[DLQ_TOPIC - 1] = CStringGetTextDatum(from->position->topic);
	values[DLQ_PARTITION - 1] = Int32GetDatum(from->position->partition);
	values[POSITION_NEXT - 1] = Int64GetDatum(from->position->next);
	values[POSITION_IN_MOTION - 1] = BoolGetDatum(from->position->in_motion);
	values[POSITION_WRITTEN_AT - 1] =
		TimestampTzGetDatum(GetCurrentTimestamp());
}

void
ke_dlq_records_position_write(const KePositionKey *key,
							  const KeDlqPosition *position)
{
	PositionRow row = {key, position};
	KePrivateTable table;
	ScanKeyData keys[POSITION_KEYS];
	int			nkeys = make_keys(keys, key, position->topic,
								  position->partition, -1);

	ke_private_table_open(&table, "dlq_positions", RowExclusiveLock);
	replace(&table, keys, nkeys, fill_position, &row);
	ke_private_table_close(&table);
}

/* ---------------------------------------------------------------- letters */

static void
take_letter(KePrivateTable *table, void *argument)
{
	List	  **list = (List **) argument;
	Datum	   *values = table->slot->tts_values;
	KeDlqLetter *letter = palloc(sizeof(KeDlqLetter));

	letter->partition = DatumGetInt32(values[DLQ_PARTITION - 1]);
	letter->offset = DatumGetInt64(values[LETTER_OFFSET - 1]);
	letter->moved = DatumGetBool(values[LETTER_MOVED - 1]);
	letter->marker = table->slot->tts_isnull[LETTER_MARKER - 1] ? 0 :
		DatumGetInt64(values[LETTER_MARKER - 1]);
	*list = lappend(*list, letter);
}

List *
ke_dlq_records_letters(const KePositionKey *key, const char *topic)
{
	List	   *list = NIL;
	KePrivateTable table;
	ScanKeyData keys[LETTER_KEYS];
	int			nkeys = make_keys(keys, key, topic, -1, -1);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "dlq_letters", AccessShareLock);
	ke_private_table_each(&table, keys, nkeys, now, take_letter, &list);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return list;
}

typedef struct LetterRow
{
	const KePositionKey *key;
	const char *topic;
	const KeDlqLetter *letter;
	const char *error;
} LetterRow;

static void
fill_letter(TupleTableSlot *slot, const void *row)
{
	const LetterRow *from = row;
	Datum	   *values = slot->tts_values;

	values[DLQ_CLUSTER - 1] = CStringGetTextDatum(from->key->cluster_id);
	values[DLQ_GROUP - 1] = CStringGetTextDatum(from->key->group_id);
	values[DLQ_TOPIC - 1] = CStringGetTextDatum(from->topic);
	values[DLQ_PARTITION - 1] = Int32GetDatum(from->letter->partition);
	values[LETTER_OFFSET - 1] = Int64GetDatum(from->letter->offset);
	values[LETTER_MOVED - 1] = BoolGetDatum(from->letter->moved);
	values[LETTER_MARKER - 1] = Int64GetDatum(from->letter->marker);
	slot->tts_isnull[LETTER_MARKER - 1] = from->letter->marker == 0;
	slot->tts_isnull[LETTER_ERROR - 1] = from->error == NULL;
	if (from->error != NULL)
		values[LETTER_ERROR - 1] = CStringGetTextDatum(from->error);
}

void
ke_dlq_records_letter_write(const KePositionKey *key, const char *topic,
							const KeDlqLetter *letter, const char *error)
{
	LetterRow	row = {key, topic, letter, error};
	KePrivateTable table;
	ScanKeyData keys[LETTER_KEYS];
	int			nkeys = make_keys(keys, key, topic, letter->partition,
								  letter->offset);

	ke_private_table_open(&table, "dlq_letters", RowExclusiveLock);
	replace(&table, keys, nkeys, fill_letter, &row);
	ke_private_table_close(&table);
}

/* Delete each row that is visited. */
static void
delete_row(KePrivateTable *table, void *argument)
{
	Snapshot	now = (Snapshot) argument;
	ItemPointerData tid = table->slot->tts_tid;

	(void) ke_private_table_delete(table, &tid, now);
}

void
ke_dlq_records_letter_remove(const KePositionKey *key, const char *topic,
							 int32 partition, int64 offset)
{
	KePrivateTable table;
	ScanKeyData keys[LETTER_KEYS];
	int			nkeys = make_keys(keys, key, topic, partition, offset);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "dlq_letters", RowExclusiveLock);
	ke_private_table_each(&table, keys, nkeys, now, delete_row, now);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

void
ke_dlq_records_clear(void)
{
	static const char *const names[] = {"dlq_positions", "dlq_letters"};
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	for (int i = 0; i < lengthof(names); i++)
	{
		KePrivateTable table;

		ke_private_table_open(&table, names[i], ShareRowExclusiveLock);
		ke_private_table_each(&table, NULL, 0, now, delete_row, now);
		ke_private_table_close(&table);
	}
	UnregisterSnapshot(now);
}
