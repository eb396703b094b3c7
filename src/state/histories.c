/*
 * histories.c
 *	  Which history this database lives in.
 *
 * A timeline never changes under a running process: only a server that was in
 * recovery gets a new one, and then none of ours runs.  So its history file is
 * read once per process.
 *
 * Who writes takes ShareRowExclusiveLock on the table first and then reads
 * with a snapshot of that moment: two relays may begin at the same time.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/skey.h"
#include "access/stratnum.h"
#include "access/timeline.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"

#include "state/histories.h"
#include "state/private_table.h"

/* Columns of kafka_events.histories. */
enum
{
	HISTORY_SYSTEM = 1,
	HISTORY_DATABASE,
	HISTORY_TIMELINE,
	HISTORY_NUMBER,
	HISTORY_BEGUN
};

/* The timelines, once they are known; never freed. */
static KeTimeline *timelines = NULL;
static int	ntimelines = 0;

static TimeLineID
current_timeline(void)
{
	TimeLineID	timeline;

	if (!RecoveryInProgress())
		return GetWALInsertionTimeLine();
	(void) GetXLogReplayRecPtr(&timeline);
	return timeline;
}

/* ------------------------------------------------------------------ record */

/* Rows of this system and database, by timeline. */
static void
set_keys(ScanKeyData *keys)
{
	ScanKeyInit(&keys[0], HISTORY_SYSTEM, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) GetSystemIdentifier()));
	ScanKeyInit(&keys[1], HISTORY_DATABASE, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(MyDatabaseId));
}

static uint64
number_of(const KePrivateTable *table)
{
	return (uint64)
		DatumGetInt64(table->slot->tts_values[HISTORY_NUMBER - 1]);
}

/* The number of the timeline; false: it has none yet. */
static bool
find_number(KePrivateTable *table, KeCopyHistory *history)
{
	ScanKeyData keys[3];
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		found;

	set_keys(keys);
	ScanKeyInit(&keys[2], HISTORY_TIMELINE, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) history->timeline));
	found = ke_private_table_find(table, keys, 3, now);
	if (found)
		history->number = number_of(table);
	UnregisterSnapshot(now);
	return found;
}

static void
insert_number(KePrivateTable *table, KeCopyHistory *history)
{
	Datum	   *values = table->slot->tts_values;

	if (!pg_strong_random(&history->number, sizeof(history->number)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
	ke_private_table_blank(table);
	values[HISTORY_SYSTEM - 1] = Int64GetDatum((int64) history->system);
	values[HISTORY_DATABASE - 1] = ObjectIdGetDatum(history->database);
	values[HISTORY_TIMELINE - 1] = Int64GetDatum((int64) history->timeline);
	values[HISTORY_NUMBER - 1] = Int64GetDatum((int64) history->number);
	values[HISTORY_BEGUN - 1] = LSNGetDatum(GetXLogInsertRecPtr());
	ke_private_table_insert(table);
}

void
ke_histories_current(KeCopyHistory *history)
{
	KePrivateTable table;
	bool		found;

	history->system = GetSystemIdentifier();
	history->database = MyDatabaseId;
	history->timeline = current_timeline();
	history->lsn = InvalidXLogRecPtr;

	/* the common case takes no lock that anybody waits for */
	ke_private_table_open(&table, "histories", AccessShareLock);
	found = find_number(&table, history);
	ke_private_table_close(&table);
	if (found)
		return;

	ke_private_table_open(&table, "histories", ShareRowExclusiveLock);
	if (!find_number(&table, history))
		insert_number(&table, history);
	ke_private_table_close(&table);
}

/* -------------------------------------------------------------------- past */

static void
add_number(KePrivateTable *table, void *argument)
{
	KePast	   *past = (KePast *) argument;
	KeHistoryNumber *number;

	past->numbers = past->numbers == NULL ? palloc(sizeof(KeHistoryNumber)) :
		repalloc(past->numbers,
				 (past->nnumbers + 1) * sizeof(KeHistoryNumber));
	number = &past->numbers[past->nnumbers++];
	number->number = number_of(table);
	number->begun =
		DatumGetLSN(table->slot->tts_values[HISTORY_BEGUN - 1]);
}

/*
 * PostgreSQL keeps the history files of its timelines in pg_wal for ever, and
 * would take a missing one for a timeline without parents.
 */
static bool
has_history_file(TimeLineID timeline)
{
	static bool warned = false;

	if (timeline == 1 || existsTimeLineHistory(timeline))
		return true;
	if (!warned)
		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("pg_wal has no history file of timeline %u",
						timeline),
				 errdetail("Retry copies and dead letters that were sent by a history which this database has left cannot be told from others, and count."),
				 errhint("Put file %08X.history from the archive into pg_wal.",
						 timeline)));
	warned = true;
	return false;
}

static void
load_timelines(void)
{
	TimeLineID	timeline = current_timeline();
	List	   *entries;
	KeTimeline *loaded;
	int			count = 0;
	ListCell   *lc;

	if (!has_history_file(timeline))
		return;
	entries = readTimeLineHistory(timeline);
	loaded = MemoryContextAlloc(TopMemoryContext,
								list_length(entries) * sizeof(KeTimeline));
	foreach(lc, entries)
	{
		const TimeLineHistoryEntry *entry = lfirst(lc);

		loaded[count].timeline = entry->tli;
		loaded[count].end = entry->end;
		count++;
	}
	timelines = loaded;
	ntimelines = count;
}

KePast *
ke_histories_past(void)
{
	KePast	   *past = palloc0(sizeof(KePast));
	KePrivateTable table;
	ScanKeyData keys[2];
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	if (timelines == NULL)
		load_timelines();
	past->system = GetSystemIdentifier();
	past->database = MyDatabaseId;
	past->timelines = timelines;
	past->ntimelines = ntimelines;
	set_keys(keys);
	ke_private_table_open(&table, "histories", AccessShareLock);
	ke_private_table_each(&table, keys, 2, now, add_number, past);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return past;
}
