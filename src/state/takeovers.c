/*
 * takeovers.c
 *	  Databases whose positions in Kafka this one continues.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/stratnum.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "state/private_table.h"
#include "state/takeovers.h"

/* Columns of kafka_events.takeovers, from 0. */
enum
{
	TAKEOVERS_SERVICE,
	TAKEOVERS_FORMER,
	TAKEOVERS_AT
};

static void
make_keys(ScanKey keys, const char *service, const char *uuid)
{
	ScanKeyInit(&keys[0], TAKEOVERS_SERVICE + 1, BTEqualStrategyNumber,
				F_TEXTEQ, CStringGetTextDatum(service));
	ScanKeyInit(&keys[1], TAKEOVERS_FORMER + 1, BTEqualStrategyNumber,
				F_TEXTEQ, CStringGetTextDatum(uuid));
}

bool
ke_takeovers_add(const char *service, const char *uuid)
{
	KePrivateTable table;
	ScanKeyData keys[2];
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		found;

	ke_private_table_open(&table, "takeovers", ShareRowExclusiveLock);
	make_keys(keys, service, uuid);
	found = ke_private_table_find(&table, keys, 2, now);
	if (!found)
	{
		ke_private_table_blank(&table);
		table.slot->tts_values[TAKEOVERS_SERVICE] =
			CStringGetTextDatum(service);
		table.slot->tts_values[TAKEOVERS_FORMER] = CStringGetTextDatum(uuid);
		table.slot->tts_values[TAKEOVERS_AT] =
			TimestampTzGetDatum(GetCurrentTimestamp());
		ke_private_table_insert(&table);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return !found;
}

static void
gather(KePrivateTable *table, void *argument)
{
	List	  **uuids = (List **) argument;
	Datum		former = table->slot->tts_values[TAKEOVERS_FORMER];

	*uuids = lappend(*uuids, TextDatumGetCString(former));
}

List *
ke_takeovers_list(const char *service)
{
	KePrivateTable table;
	ScanKeyData keys[2];
	List	   *uuids = NIL;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "takeovers", AccessShareLock);
	make_keys(keys, service, "");
	ke_private_table_each(&table, keys, 1, now, gather, &uuids);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return uuids;
}

/* One that somebody has deleted meanwhile is gone as well. */
static void
delete_visited(KePrivateTable *table, void *argument)
{
	(void) ke_private_table_delete(table, &table->slot->tts_tid,
								   (Snapshot) argument);
}

void
ke_takeovers_forget(const char *service)
{
	KePrivateTable table;
	ScanKeyData keys[2];
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "takeovers", ShareRowExclusiveLock);
	make_keys(keys, service != NULL ? service : "", "");
	ke_private_table_each(&table, keys, service != NULL ? 1 : 0, now,
						  delete_visited, now);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}
