/*
 * retry_dedup.c
 *	  Retry copies that were seen before: the same one may come twice.
 *
 * Copies of one message go to one partition, whose owner is fenced by its
 * position, so two transactions hardly ever note the same one at a time; if
 * they do, the primary key has the second wait, and fail.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "state/private_table.h"
#include "state/retry_dedup.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"

/* Columns of kafka_events.copies. */
enum
{
	COPY_GROUP = 1,
	COPY_ID,
	COPY_SEEN_AT,
	COPY_PLACE
};

#define SEEN_INDEX "copies_seen"

const char *
ke_retry_dedup_key(const char *copy_id)
{
	int			len = strlen(copy_id);
	const unsigned char *bytes = (const unsigned char *) copy_id;
	int			i;

	for (i = 0; i < len && bytes[i] > ' ' && bytes[i] < 0x7f; i++)
		;
	if (i == len && len < KE_COPY_ID_LEN)
		return copy_id;
	return psprintf("%016llx%016llx",
					(unsigned long long) hash_bytes_extended(bytes, len, 1),
					(unsigned long long) hash_bytes_extended(bytes, len, 2));
}

static bool
find(KePrivateTable *table, const char *group_id, const char *copy_id,
	 Snapshot snapshot)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], COPY_GROUP, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(group_id));
	ScanKeyInit(&keys[1], COPY_ID, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(copy_id));
	return ke_private_table_find(table, keys, 2, snapshot);
}

bool
ke_retry_dedup_note(const char *group_id, const char *copy_id,
					const char *place, TimestampTz now)
{
	KePrivateTable table;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		found;

	ke_private_table_open(&table, "copies", RowExclusiveLock);
	found = find(&table, group_id, copy_id, snapshot);
	if (!found)
	{
		Datum	   *values = table.slot->tts_values;

		ke_private_table_blank(&table);
		values[COPY_GROUP - 1] = CStringGetTextDatum(group_id);
		values[COPY_ID - 1] = CStringGetTextDatum(copy_id);
		values[COPY_SEEN_AT - 1] = TimestampTzGetDatum(now);
		if (place != NULL)
			values[COPY_PLACE - 1] = CStringGetTextDatum(place);
		else
			table.slot->tts_isnull[COPY_PLACE - 1] = true;
		ke_private_table_insert(&table);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(snapshot);
	return !found;
}

bool
ke_retry_dedup_is_elsewhere(const char *group_id, const char *copy_id,
							const char *place)
{
	KePrivateTable table;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		elsewhere;

	ke_private_table_open(&table, "copies", AccessShareLock);
	elsewhere = find(&table, group_id, copy_id, snapshot) &&
		!table.slot->tts_isnull[COPY_PLACE - 1] &&
		strcmp(TextDatumGetCString(table.slot->tts_values[COPY_PLACE - 1]),
			   place) != 0;
	ke_private_table_close(&table);
	UnregisterSnapshot(snapshot);
	return elsewhere;
}

/* Collect where the old ones are, then delete: not under one's own scan. */
bool
ke_retry_dedup_forget(const char *group_id, TimestampTz now, int days,
					  int max)
{
	KePrivateTable table;
	TimestampTz limit = now - days * USECS_PER_DAY;
	ItemPointerData *tids = palloc(max * sizeof(ItemPointerData));
	int			count = 0;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	Relation	index;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			i;

	ScanKeyInit(&keys[0], COPY_GROUP, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(group_id));
	ScanKeyInit(&keys[1], COPY_SEEN_AT, BTLessStrategyNumber,
				F_TIMESTAMPTZ_LT, TimestampTzGetDatum(limit));
	ke_private_table_open(&table, "copies", RowExclusiveLock);
	index = index_open(ke_extension_private_table(SEEN_INDEX),
					   AccessShareLock);
	scan = systable_beginscan_ordered(table.rel, index, snapshot, 2, keys);
	while (count < max &&
		   HeapTupleIsValid(tuple =
							systable_getnext_ordered(scan,
													 ForwardScanDirection)))
		tids[count++] = tuple->t_self;
	systable_endscan_ordered(scan);
	index_close(index, NoLock);

	/* What another worker forgets at this moment is forgotten, too */
	for (i = 0; i < count; i++)
		(void) ke_private_table_delete(&table, &tids[i], snapshot);
	ke_private_table_close(&table);
	UnregisterSnapshot(snapshot);
	return count == max;
}
