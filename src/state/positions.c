/*
 * positions.c
 *	  Where each partition goes on: the fence of exactly once.
 *
 * A row is updated in the transaction of the effects it stands for, by
 * compare-and-set on (next_offset, owner_epoch).  The row is first looked
 * for where this process left it (a remembered TID, which may have been
 * recycled, so key, epoch and next are compared), then by the primary key.
 * What table_tuple_update says decides: only TM_Ok is success, everything
 * else means that somebody else has the partition now.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "core/testing.h"
#include "state/position_work.h"
#include "state/positions.h"
#include "state/private_table.h"
#include "subscription/catalog.h"

/* What is announced for the first time ran in one claim before, at most. */
#define UNCLEAN_FIRST_TRY 2

/* Claims after which what was announced before is not run again. */
#define UNCLEAN_STOP (KE_POSITIONS_TRIES + 1)

/* Columns of kafka_events.positions. */
enum
{
	POS_CLUSTER = 1,
	POS_GROUP,
	POS_TOPIC,
	POS_PARTITION,
	POS_NEXT,
	POS_EPOCH,
	POS_UNCLEAN,
	POS_TRYING,
	POS_COMMITTED,
	POS_LAST_OFFSET,
	POS_LAST_TIMESTAMP,
	POS_LAST_CRC,
	POS_COLUMNS = POS_LAST_CRC
};

/* Columns of kafka_events.starts. */
enum
{
	START_GROUP = 1,
	START_TOPIC,
	START_REQUESTED_AT,
	START_COLUMNS = START_REQUESTED_AT
};

static int64
nullable(TupleTableSlot *slot, int column)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column, &isnull);

	return isnull ? KE_OFFSET_NONE : DatumGetInt64(value);
}

/* Everything but the key, from a row into pos. */
static void
load(TupleTableSlot *slot, KePosition *pos)
{
	slot_getallattrs(slot);
	pos->next = DatumGetInt64(slot->tts_values[POS_NEXT - 1]);
	pos->epoch = DatumGetInt64(slot->tts_values[POS_EPOCH - 1]);
	pos->unclean = DatumGetInt32(slot->tts_values[POS_UNCLEAN - 1]);
	pos->trying = nullable(slot, POS_TRYING);
	pos->committed = nullable(slot, POS_COMMITTED);
	pos->last_offset = nullable(slot, POS_LAST_OFFSET);
	pos->last_timestamp = nullable(slot, POS_LAST_TIMESTAMP);
	pos->last_crc = slot->tts_isnull[POS_LAST_CRC - 1] ? 0 :
		DatumGetInt32(slot->tts_values[POS_LAST_CRC - 1]);
	pos->tid = slot->tts_tid;
}

static void
set_nullable(TupleTableSlot *slot, int column, int64 value)
{
	slot->tts_isnull[column - 1] = (value == KE_OFFSET_NONE);
	slot->tts_values[column - 1] = Int64GetDatum(value);
}

/* A row out of key and pos, into a blank slot. */
static void
store(TupleTableSlot *slot, const KePositionKey *key, const KePosition *pos)
{
	slot->tts_values[POS_CLUSTER - 1] = CStringGetTextDatum(key->cluster_id);
	slot->tts_values[POS_GROUP - 1] = CStringGetTextDatum(key->group_id);
	slot->tts_values[POS_TOPIC - 1] = CStringGetTextDatum(pos->topic);
	slot->tts_values[POS_PARTITION - 1] = Int32GetDatum(pos->partition);
	slot->tts_values[POS_NEXT - 1] = Int64GetDatum(pos->next);
	slot->tts_values[POS_EPOCH - 1] = Int64GetDatum(pos->epoch);
	slot->tts_values[POS_UNCLEAN - 1] = Int32GetDatum(pos->unclean);
	set_nullable(slot, POS_TRYING, pos->trying);
	set_nullable(slot, POS_COMMITTED, pos->committed);
	set_nullable(slot, POS_LAST_OFFSET, pos->last_offset);
	set_nullable(slot, POS_LAST_TIMESTAMP, pos->last_timestamp);
	slot->tts_values[POS_LAST_CRC - 1] = Int32GetDatum(pos->last_crc);
	slot->tts_isnull[POS_LAST_CRC - 1] = (pos->last_offset == KE_OFFSET_NONE);
}

static bool
text_is(TupleTableSlot *slot, int column, const char *value)
{
	bool		isnull;
	text	   *stored = DatumGetTextPP(slot_getattr(slot, column, &isnull));

	return VARSIZE_ANY_EXHDR(stored) == strlen(value) &&
		memcmp(VARDATA_ANY(stored), value, strlen(value)) == 0;
}

/* Is the row in slot the one of (key, pos)? */
static bool
is_row_of(TupleTableSlot *slot, const KePositionKey *key,
		  const KePosition *pos)
{
	bool		isnull;

	return DatumGetInt32(slot_getattr(slot, POS_PARTITION,
									  &isnull)) == pos->partition &&
		text_is(slot, POS_TOPIC, pos->topic) &&
		text_is(slot, POS_GROUP, key->group_id) &&
		text_is(slot, POS_CLUSTER, key->cluster_id);
}

/* Scan keys for the first n columns of the primary key. */
static void
make_keys(ScanKey keys, const KePositionKey *key, const char *topic,
		  int32 partition)
{
	ScanKeyInit(&keys[0], POS_CLUSTER, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->cluster_id));
	ScanKeyInit(&keys[1], POS_GROUP, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->group_id));
	ScanKeyInit(&keys[2], POS_TOPIC, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(topic));
	ScanKeyInit(&keys[3], POS_PARTITION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(partition));
}

/* Find the row by the primary key; its contents go to pos. */
static bool
find(KePrivateTable *table, const KePositionKey *key, KePosition *pos,
	 Snapshot snapshot)
{
	ScanKeyData keys[4];

	make_keys(keys, key, pos->topic, pos->partition);
	if (!ke_private_table_find(table, keys, 4, snapshot))
		return false;
	load(table->slot, pos);
	return true;
}

/*
 * Find the row where pos->tid says, else by key, and say whether it still
 * has pos's epoch and next.  On success table->slot holds it.
 */
static bool
find_unchanged(KePrivateTable *table, const KePositionKey *key,
			   const KePosition *pos, Snapshot snapshot)
{
	KePosition	stored = *pos;

	if (ItemPointerIsValid(&stored.tid) &&
		table_tuple_fetch_row_version(table->rel, &stored.tid, snapshot,
									  table->slot) &&
		is_row_of(table->slot, key, pos))
		load(table->slot, &stored);
	else if (!find(table, key, &stored, snapshot))
		return false;
	return stored.next == pos->next && stored.epoch == pos->epoch;
}

/* The negative control of the tests: whatever is there is overwritten. */
static bool
ignore_fence(KePrivateTable *table, const KePositionKey *key,
			 const KePosition *pos, Snapshot snapshot)
{
#ifdef KE_TESTING
	KePosition	there = *pos;

	return !ke_testing_fence && find(table, key, &there, snapshot);
#else
	return false;
#endif
}

/*
 * Read the row as it is now, with a snapshot of this moment: under
 * REPEATABLE READ the transaction's own may be old.
 */
bool
ke_positions_read(const KePositionKey *key, KePosition *pos)
{
	KePrivateTable table;
	bool		found;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "positions", AccessShareLock);
	found = find(&table, key, pos, now);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return found;
}

/*
 * Write newer over the row that newer->tid names, provided nobody changed it
 * since snapshot.  False: somebody did.
 */
static bool
overwrite(KePrivateTable *table, const KePositionKey *key,
		  KePosition *newer, Snapshot snapshot)
{
	ItemPointerData old = newer->tid;

	ke_private_table_blank(table);
	store(table->slot, key, newer);
	if (!ke_private_table_update(table, &old, snapshot))
		return false;
	newer->tid = table->slot->tts_tid;
	return true;
}

/*
 * Find the row and let change() alter it, again and again until no other
 * transaction came between.  Waits for open transactions on the row.
 */
typedef void (*PositionChange) (KePosition *pos, int64 argument);

static bool
change_row(KePrivateTable *table, const KePositionKey *key, KePosition *pos,
		   PositionChange change, int64 argument)
{
	for (;;)
	{
		Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
		bool		found = find(table, key, pos, now);
		bool		done = false;

		if (found)
		{
			change(pos, argument);
			done = overwrite(table, key, pos, now);
		}
		UnregisterSnapshot(now);
		if (!found || done)
			return found;
		CHECK_FOR_INTERRUPTS();
	}
}

static void
change_claim(KePosition *pos, int64 counts)
{
	pos->epoch++;
	pos->unclean = Max(pos->unclean + counts, 1);
}

static void
change_move(KePosition *pos, int64 next)
{
	pos->next = next;
	pos->epoch++;
	pos->unclean = 0;
	pos->trying = KE_OFFSET_NONE;
	pos->last_offset = KE_OFFSET_NONE;
}

static void
change_forgive(KePosition *pos, int64 unused)
{
	pos->epoch++;
	pos->unclean = 0;
	pos->trying = KE_OFFSET_NONE;
}

/* A row that nobody owns and that has seen no message. */
static KePosition
fresh(const char *topic, int32 partition, int64 next)
{
	KePosition	pos = {
		.topic = topic,
		.partition = partition,
		.next = next,
		.trying = KE_OFFSET_NONE,
		.committed = KE_OFFSET_NONE,
		.last_offset = KE_OFFSET_NONE,
	};

	ItemPointerSetInvalid(&pos.tid);
	return pos;
}

static void
insert_row(KePrivateTable *table, const KePositionKey *key, KePosition *pos)
{
	ke_private_table_blank(table);
	store(table->slot, key, pos);
	ke_private_table_insert(table);
	pos->tid = table->slot->tts_tid;
}

bool
ke_positions_claim(const KePositionKey *key, KePosition *pos,
				   bool counts, int lock_timeout_ms)
{
	KePrivateTable table;
	bool		found;
	int			nest = NewGUCNestLevel();

	(void) set_config_option("lock_timeout",
							 psprintf("%d", lock_timeout_ms),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	ke_private_table_open(&table, "positions", RowExclusiveLock);
	found = change_row(&table, key, pos, change_claim, counts ? 1 : 0);
	ke_private_table_close(&table);
	AtEOXact_GUC(true, nest);
	return found;
}

void
ke_positions_insert(const KePositionKey *key, KePosition *pos)
{
	KePrivateTable table;

	pos->epoch = 1;
	pos->unclean = 1;
	ke_private_table_open(&table, "positions", RowExclusiveLock);
	insert_row(&table, key, pos);
	ke_private_table_close(&table);
}

int
ke_positions_advance(const KePositionKey *key, KePosition *const *olds,
					 KePosition *newer, int count)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	int			i;

	ke_private_table_open(&table, "positions", RowExclusiveLock);
	for (i = 0; i < count; i++)
	{
		if (!find_unchanged(&table, key, olds[i], now) &&
			!ignore_fence(&table, key, olds[i], now))
			break;
		newer[i].tid = table.slot->tts_tid;
		if (!overwrite(&table, key, &newer[i], now))
			break;
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return i;
}

bool
ke_positions_try(const KePositionKey *key, KePosition *pos, int64 offset)
{
	KePosition	newer = *pos;

	if (newer.trying != offset)
		newer.unclean = Min(newer.unclean, UNCLEAN_FIRST_TRY);
	newer.trying = offset;
	if (ke_positions_advance(key, &pos, &newer, 1) != 1)
		return false;
	*pos = newer;
	return true;
}

void
ke_positions_survived(const KePositionKey *key, KePosition *pos)
{
	KePosition	newer = *pos;

	newer.unclean = Min(newer.unclean, 1);
	newer.trying = KE_OFFSET_NONE;
	if (ke_positions_advance(key, &pos, &newer, 1) == 1)
		*pos = newer;
}

bool
ke_positions_is_given_up(const KePosition *pos)
{
	return pos->unclean >= UNCLEAN_STOP && pos->trying != KE_OFFSET_NONE;
}

void
ke_positions_release(const KePositionKey *key, const KePosition *pos)
{
	KePosition	old = *pos;
	KePosition *olds = &old;
	KePosition	newer = *pos;

	if (ke_positions_is_given_up(pos))
		return;
	newer.unclean = 0;
	newer.trying = KE_OFFSET_NONE;
	(void) ke_positions_advance(key, &olds, &newer, 1);
}

void
ke_positions_move(const KePositionKey *key, const char *topic,
				  int32 partition, int64 next, int64 *old)
{
	KePrivateTable table;
	KePosition	pos = fresh(topic, partition, next);
	Snapshot	now;
	bool		found;

	ke_position_work_refuse(key->group_id, topic);
	now = RegisterSnapshot(GetLatestSnapshot());
	ke_private_table_open(&table, "positions", RowExclusiveLock);
	found = find(&table, key, &pos, now);
	UnregisterSnapshot(now);
	*old = KE_OFFSET_NONE;
	if (found)
	{
		*old = pos.next;
		(void) change_row(&table, key, &pos, change_move, next);
	}
	else
	{
		pos = fresh(topic, partition, next);
		insert_row(&table, key, &pos);
	}
	ke_private_table_close(&table);
}

/* What ke_positions_list gathers. */
typedef struct Gathered
{
	const char *topic;
	List	   *positions;
} Gathered;

static void
gather(KePrivateTable *table, void *argument)
{
	Gathered   *gathered = (Gathered *) argument;
	KePosition *pos = (KePosition *) palloc0(sizeof(KePosition));

	pos->topic = gathered->topic;
	pos->partition =
		DatumGetInt32(table->slot->tts_values[POS_PARTITION - 1]);
	load(table->slot, pos);
	gathered->positions = lappend(gathered->positions, pos);
}

List *
ke_positions_list(const KePositionKey *key, const char *topic)
{
	KePrivateTable table;
	ScanKeyData keys[4];
	Gathered	gathered = {topic, NIL};
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "positions", AccessShareLock);
	make_keys(keys, key, topic, 0);
	ke_private_table_each(&table, keys, 3, now, gather, &gathered);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return gathered.positions;
}

void
ke_positions_forgive(const KePositionKey *key, const char *topic)
{
	KePrivateTable table;
	List	   *positions = ke_positions_list(key, topic);
	ListCell   *lc;

	ke_position_work_refuse(key->group_id, topic);
	ke_private_table_open(&table, "positions", RowExclusiveLock);
	foreach(lc, positions)
		(void) change_row(&table, key, (KePosition *) lfirst(lc),
						  change_forgive, 0);
	ke_private_table_close(&table);
}

static void
delete_row(KePrivateTable *table, void *argument)
{
	if (!ke_private_table_delete(table, &table->slot->tts_tid,
								 (Snapshot) argument))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not forget the positions: another session is changing them"),
				 errhint("Call kafka_identity_confirm again.")));
}

void
ke_positions_clear(void)
{
	static const char *const names[] =
	{"positions", "starts", "retries", "copies"};
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	int			i;

	for (i = 0; i < lengthof(names); i++)
	{
		KePrivateTable table;

		ke_private_table_open(&table, names[i], ShareRowExclusiveLock);
		ke_private_table_each(&table, NULL, 0, now, delete_row, now);
		ke_private_table_close(&table);
	}
	UnregisterSnapshot(now);
}

/* Find a row of kafka_events.starts. */
static bool
find_start(KePrivateTable *table, const char *group_id, const char *topic,
		   Snapshot snapshot)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], START_GROUP, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(group_id));
	ScanKeyInit(&keys[1], START_TOPIC, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(topic));
	return ke_private_table_find(table, keys, 2, snapshot);
}

bool
ke_positions_start_pending(const char *group_id, const char *topic,
						   TimestampTz *requested_at)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		found;

	ke_private_table_open(&table, "starts", AccessShareLock);
	found = find_start(&table, group_id, topic, now);
	if (found)
	{
		Datum		stored = table.slot->tts_values[START_REQUESTED_AT - 1];

		*requested_at = DatumGetTimestampTz(stored);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return found;
}

void
ke_positions_start_request(const char *group_id, const char *topic,
						   TimestampTz at)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "starts", RowExclusiveLock);
	if (!find_start(&table, group_id, topic, now))
	{
		ke_private_table_blank(&table);
		table.slot->tts_values[START_GROUP - 1] =
			CStringGetTextDatum(group_id);
		table.slot->tts_values[START_TOPIC - 1] = CStringGetTextDatum(topic);
		table.slot->tts_values[START_REQUESTED_AT - 1] =
			TimestampTzGetDatum(at);
		ke_private_table_insert(&table);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

void
ke_positions_start_done(const char *group_id, const char *topic)
{
	KePrivateTable table;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "starts", RowExclusiveLock);
	if (find_start(&table, group_id, topic, now))
		(void) ke_private_table_delete(&table, &table.slot->tts_tid, now);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}
