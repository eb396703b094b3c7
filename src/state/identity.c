/*
 * identity.c
 *	  Which database this is towards Kafka, and whether it still is.
 *
 * Who writes takes ShareRowExclusiveLock on the table first and then reads
 * with a snapshot of that moment, so that two sessions never make two
 * identities.  Readers never wait.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/skey.h"
#include "access/stratnum.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "state/identity.h"
#include "state/private_table.h"

/* Columns of kafka_events.identity, from 0. */
enum
{
	IDENTITY_ONLY_ROW,
	IDENTITY_UUID,
	IDENTITY_SYSTEM,
	IDENTITY_DATABASE,
	IDENTITY_CONFIRMED_AT
};

/* Columns of kafka_events.clusters, from 0. */
enum
{
	CLUSTERS_SERVICE,
	CLUSTERS_ID
};

/* What the row in table->slot says; its uuid is copied out. */
static KeIdentityState
judge(KePrivateTable *table, pg_uuid_t *uuid)
{
	Datum	   *values = table->slot->tts_values;

	*uuid = *DatumGetUUIDP(values[IDENTITY_UUID]);
	if ((uint64) DatumGetInt64(values[IDENTITY_SYSTEM]) ==
		GetSystemIdentifier() &&
		DatumGetObjectId(values[IDENTITY_DATABASE]) == MyDatabaseId)
		return KE_IDENTITY_OURS;
	return KE_IDENTITY_FOREIGN;
}

/* The state as of now; the row, if there is one, is in table->slot. */
static KeIdentityState
look(KePrivateTable *table, Snapshot now, pg_uuid_t *uuid)
{
	if (!ke_private_table_find(table, NULL, 0, now))
		return KE_IDENTITY_NONE;
	return judge(table, uuid);
}

KeIdentityState
ke_identity_read(pg_uuid_t *uuid)
{
	KePrivateTable table;
	KeIdentityState state;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "identity", AccessShareLock);
	state = look(&table, now, uuid);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return state;
}

/* Fill the slot: uuid belongs to this system and database from now on. */
static void
fill(KePrivateTable *table, const pg_uuid_t *uuid)
{
	Datum	   *values = table->slot->tts_values;

	ke_private_table_blank(table);
	values[IDENTITY_ONLY_ROW] = BoolGetDatum(true);
	values[IDENTITY_UUID] = UUIDPGetDatum(uuid);
	values[IDENTITY_SYSTEM] = Int64GetDatum((int64) GetSystemIdentifier());
	values[IDENTITY_DATABASE] = ObjectIdGetDatum(MyDatabaseId);
	values[IDENTITY_CONFIRMED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
}

static void
make_uuid(pg_uuid_t *uuid)
{
	*uuid = *DatumGetUUIDP(OidFunctionCall0(F_GEN_RANDOM_UUID));
}

void
ke_identity_establish(void)
{
	KePrivateTable table;
	pg_uuid_t	uuid;
	Snapshot	now;

	/* the common case takes no lock that anybody waits for */
	if (ke_identity_read(&uuid) != KE_IDENTITY_NONE)
		return;

	ke_private_table_open(&table, "identity", ShareRowExclusiveLock);
	now = RegisterSnapshot(GetLatestSnapshot());
	if (look(&table, now, &uuid) == KE_IDENTITY_NONE)
	{
		make_uuid(&uuid);
		fill(&table, &uuid);
		ke_private_table_insert(&table);
	}
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
}

static void
delete_visited(KePrivateTable *table, void *argument)
{
	if (!ke_private_table_delete(table, &table->slot->tts_tid,
								 (Snapshot) argument))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not forget the clusters: another session is changing them"),
				 errhint("Call kafka_identity_confirm again.")));
}

/* A new identity may be connected to other clusters than the old one was. */
static void
forget_clusters(void)
{
	KePrivateTable table;
	Snapshot	now;

	ke_private_table_open(&table, "clusters", ShareRowExclusiveLock);
	now = RegisterSnapshot(GetLatestSnapshot());
	ke_private_table_each(&table, NULL, 0, now, delete_visited, now);
	UnregisterSnapshot(now);
	ke_private_table_close(&table);
}

/*
 * Also makes the first row where there is none, and a new uuid for an
 * identity that is ours: a copy of the data directory has the same system
 * identifier and cannot be told from the original in any other way.
 */
void
ke_identity_confirm(bool as_new, pg_uuid_t *uuid)
{
	KePrivateTable table;
	KeIdentityState state;
	ItemPointerData tid;
	Snapshot	now;
	bool		written = true;

	ke_private_table_open(&table, "identity", ShareRowExclusiveLock);
	now = RegisterSnapshot(GetLatestSnapshot());
	state = look(&table, now, uuid);
	tid = table.slot->tts_tid;
	if (as_new || state == KE_IDENTITY_NONE)
		make_uuid(uuid);
	fill(&table, uuid);
	if (state == KE_IDENTITY_NONE)
		ke_private_table_insert(&table);
	else
		written = ke_private_table_update(&table, &tid, now);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	if (!written)
		elog(ERROR, "identity changed under ShareRowExclusiveLock");

	if (as_new)
		forget_clusters();
}

void
ke_identity_format(const pg_uuid_t *uuid, char *buf)
{
	static const char digits[] = "0123456789abcdef";
	int			i;

	for (i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*buf++ = '-';
		*buf++ = digits[uuid->data[i] >> 4];
		*buf++ = digits[uuid->data[i] & 0x0F];
	}
	*buf = '\0';
}

/* Find a service's row of kafka_events.clusters. */
static bool
find_cluster(KePrivateTable *table, const char *service, Snapshot now)
{
	ScanKeyData key;

	ScanKeyInit(&key, CLUSTERS_SERVICE + 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(service));
	return ke_private_table_find(table, &key, 1, now);
}

char *
ke_identity_cluster(const char *service)
{
	KePrivateTable table;
	char	   *cluster_id = NULL;
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());

	ke_private_table_open(&table, "clusters", AccessShareLock);
	if (find_cluster(&table, service, now))
		cluster_id = TextDatumGetCString(table.slot->tts_values[CLUSTERS_ID]);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	return cluster_id;
}

void
ke_identity_set_cluster(const char *service, const char *cluster_id)
{
	KePrivateTable table;
	ItemPointerData tid;
	Snapshot	now;
	bool		known;
	bool		written = true;

	ke_private_table_open(&table, "clusters", ShareRowExclusiveLock);
	now = RegisterSnapshot(GetLatestSnapshot());
	known = find_cluster(&table, service, now);
	tid = table.slot->tts_tid;
	ke_private_table_blank(&table);
	table.slot->tts_values[CLUSTERS_SERVICE] = CStringGetTextDatum(service);
	table.slot->tts_values[CLUSTERS_ID] = CStringGetTextDatum(cluster_id);
	if (!known)
		ke_private_table_insert(&table);
	else
		written = ke_private_table_update(&table, &tid, now);
	ke_private_table_close(&table);
	UnregisterSnapshot(now);
	if (!written)
		elog(ERROR, "clusters changed under ShareRowExclusiveLock");
}
