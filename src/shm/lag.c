/*
 * lag.c
 *	  One entry per partition of a group: what kafka_consumer_lag shows.
 *
 * A shared hash of fixed size.  Consumers write their partitions about once
 * a second, under a shared LWLock and the entry's spinlock; the lock is taken
 * exclusively only to add or remove entries.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/hsearch.h"

#include "core/clock.h"
#include "core/guc.h"
#include "shm/lag.h"

/* Entries per subscription that fit, on average. */
#define PARTITIONS_PER_SUBSCRIPTION 16

typedef struct LagKey
{
	Oid			database;
	Oid			subscription;
	int32		partition;
	int32		role;
} LagKey;

typedef struct LagEntry
{
	LagKey		key;
	slock_t		mutex;			/* guards row */
	KeLagRow	row;
} LagEntry;

static HTAB *entries;
static LWLock *entries_lock;

static int
max_entries(void)
{
	return PARTITIONS_PER_SUBSCRIPTION * ke_guc_max_subscriptions;
}

void
ke_lag_shmem_request(void)
{
	RequestAddinShmemSpace(hash_estimate_size(max_entries(),
											  sizeof(LagEntry)));
	RequestNamedLWLockTranche("kafka_events_lag", 1);
}

void
ke_lag_shmem_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(LagKey);
	ctl.entrysize = sizeof(LagEntry);
	entries = ke_shmem_init_hash("kafka_events lag", max_entries(), &ctl,
								 HASH_ELEM | HASH_BLOBS);
	entries_lock = &GetNamedLWLockTranche("kafka_events_lag")->lock;
}

/*
 * What the manager was told of the end stays; needs the entry's spinlock.
 */
static void
replace_row(KeLagRow *old, const KeLagRow *row)
{
	int64		asked_end = old->asked_end;
	KeMoment	asked_at = old->asked_at;

	*old = *row;
	old->asked_end = asked_end;
	old->asked_at = asked_at;
}

/* What the owner noted outlives it, too. */
static void
overwrite_unowned(KeLagRow *old, const KeLagRow *row)
{
	KeMoment	owned_in = old->owned_in;
	bool		strangers = old->strangers || row->strangers;

	replace_row(old, row);
	old->owned_in = owned_in;
	old->strangers = strangers;
}

/* Overwrite the entry; true if that was done, or was not to be done. */
static bool
overwrite(const LagKey *key, const KeLagRow *row, bool only_unowned)
{
	LagEntry   *entry;

	LWLockAcquire(entries_lock, LW_SHARED);
	entry = hash_search(entries, key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		if (!only_unowned)
			replace_row(&entry->row, row);
		else if (entry->row.ordinal < 0)
			overwrite_unowned(&entry->row, row);
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);

	return entry != NULL;
}

/* Make a new entry; false if there is no place for it. */
static bool
add(const LagKey *key, const KeLagRow *row)
{
	LagEntry   *entry = NULL;
	bool		found;

	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	if (hash_get_num_entries(entries) < max_entries())
		entry = hash_search(entries, key, HASH_ENTER_NULL, &found);
	if (entry != NULL)
	{
		if (!found)
		{
			SpinLockInit(&entry->mutex);
			entry->row.asked_end = -1;
			entry->row.asked_at = 0;
		}
		replace_row(&entry->row, row);
	}
	LWLockRelease(entries_lock);

	return entry != NULL;
}

static void
publish(const KeLagRow *row, bool only_unowned)
{
	static bool warned = false;
	LagKey		key = {
		.database = row->database,
		.subscription = row->subscription,
		.partition = row->partition,
		.role = row->role
	};

	if (overwrite(&key, row, only_unowned) || add(&key, row) || warned)
		return;

	warned = true;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no place for more partitions in view kafka_consumer_lag"),
			 errdetail("Consuming goes on; up to %d partitions are shown.",
					   max_entries()),
			 errhint("Raise kafka_events.max_subscriptions and restart the server.")));
}

void
ke_lag_publish(const KeLagRow *row)
{
	publish(row, false);
}

void
ke_lag_publish_unowned(const KeLagRow *row)
{
	publish(row, true);
}

void
ke_lag_note_end(const KeLagRow *row, int64 end)
{
	LagKey		key = {
		.database = row->database,
		.subscription = row->subscription,
		.partition = row->partition,
		.role = row->role
	};
	KeMoment	now = ke_clock_now();
	LagEntry   *entry;

	LWLockAcquire(entries_lock, LW_SHARED);
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		entry->row.asked_end = end;
		entry->row.asked_at = now;
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);
}

/* Nobody owns the entry any more; needs its spinlock. */
static void
disown(KeLagRow *row)
{
	row->ordinal = -1;
	if (row->status != KE_PARTITION_STOPPED)
	{
		row->status = KE_PARTITION_UNASSIGNED;
		row->reason[0] = '\0';
	}
}

void
ke_lag_release(Oid database, Oid subscription, int32 partition, KeRole role,
			   int ordinal)
{
	LagKey		key = {database, subscription, partition, role};
	LagEntry   *entry;

	LWLockAcquire(entries_lock, LW_SHARED);
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		if (entry->row.ordinal == ordinal)
			disown(&entry->row);
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);
}

void
ke_lag_release_all(const KeIdentityOfProcess *who)
{
	HASH_SEQ_STATUS seq;
	LagEntry   *entry;

	LWLockAcquire(entries_lock, LW_SHARED);
	hash_seq_init(&seq, entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->key.database != who->database ||
			entry->key.role != who->role)
			continue;
		SpinLockAcquire(&entry->mutex);
		if (entry->row.server == who->server &&
			entry->row.ordinal == who->ordinal)
			disown(&entry->row);
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);
}

bool
ke_lag_is_contested(Oid database, Oid subscription, int32 partition,
					KeRole role, KeMoment in_group_since)
{
	LagKey		key = {database, subscription, partition, role};
	LagEntry   *entry;
	bool		contested = false;

	LWLockAcquire(entries_lock, LW_SHARED);
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		contested = entry->row.strangers ||
			(entry->row.owned_in != 0 &&
			 entry->row.owned_in == in_group_since);
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);

	return contested;
}

void
ke_lag_remove(Oid database, Oid subscription, int32 partition, KeRole role)
{
	LagKey		key = {database, subscription, partition, role};

	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	hash_search(entries, &key, HASH_REMOVE, NULL);
	LWLockRelease(entries_lock);
}

void
ke_lag_publish_topic(Oid database, Oid server, Oid subscription,
					 const char *reason)
{
	KeLagRow	row = {
		.database = database,
		.server = server,
		.subscription = subscription,
		.partition = KE_LAG_TOPIC,
		.role = KE_ROLE_MAIN,
		.ordinal = -1,
		.position = -1,
		.committed = -1,
		.end = -1,
		.last_stable = -1,
		.status = KE_PARTITION_STOPPED
	};

	if (reason == NULL)
		ke_lag_remove(database, subscription, row.partition, row.role);
	else
	{
		strlcpy(row.reason, reason, sizeof(row.reason));
		ke_lag_publish(&row);
	}
}

void
ke_lag_forget(Oid database, Oid subscription)
{
	HASH_SEQ_STATUS seq;
	LagEntry   *entry;

	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->key.database == database &&
			(!OidIsValid(subscription) ||
			 entry->key.subscription == subscription))
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(entries_lock);
}

KeLagRow *
ke_lag_rows(Oid database, int *count)
{
	HASH_SEQ_STATUS seq;
	LagEntry   *entry;
	KeLagRow   *rows;
	int			n = 0;

	/* Room for all, before the lock is taken: palloc may raise. */
	rows = palloc_extended(max_entries() * sizeof(KeLagRow), MCXT_ALLOC_HUGE);

	LWLockAcquire(entries_lock, LW_SHARED);
	hash_seq_init(&seq, entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->key.database != database)
			continue;
		SpinLockAcquire(&entry->mutex);
		rows[n++] = entry->row;
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);

	*count = n;
	return rows;
}
