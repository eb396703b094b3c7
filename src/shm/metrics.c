/*
 * metrics.c
 *	  What became of a subscription's messages: counters, and how long it took.
 *
 * A shared hash of fixed size, locked as shm/lag does it: a shared LWLock and
 * the entry's spinlock to count and to read, an exclusive lock to add and
 * remove entries.
 *
 * Recent latencies are kept in two windows of 5 minutes, of which the older
 * one is forgotten when a new one begins: without that, the hour in which a
 * backlog was worked off would be seen in the percentiles for ever.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "core/guc.h"
#include "shm/metrics.h"

#define WINDOW_US (5 * USECS_PER_MINUTE)

/* What a message counts at most: its producer's clock may be wrong. */
#define MAX_LATENCY_MS (INT64CONST(1) << 32)

typedef struct MetricsKey
{
	Oid			database;
	Oid			subscription;
} MetricsKey;

typedef struct Window
{
	int64		number;			/* windows since the epoch */
	uint32		counts[KE_HISTOGRAM_BUCKETS];
} Window;

typedef struct MetricsEntry
{
	MetricsKey	key;
	slock_t		mutex;			/* guards what follows */
	KeMetricsCounters counters;
	TimestampTz last_success_at;
	TimestampTz last_failure_at;
	int64		dlq_pending;
	KeHistogram total;
	Window		windows[2];		/* number modulo 2 */
} MetricsEntry;

static HTAB *entries;
static LWLock *entries_lock;

void
ke_metrics_shmem_request(void)
{
	RequestAddinShmemSpace(hash_estimate_size(ke_guc_max_subscriptions,
											  sizeof(MetricsEntry)));
	RequestNamedLWLockTranche("kafka_events_metrics", 1);
}

void
ke_metrics_shmem_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(MetricsKey);
	ctl.entrysize = sizeof(MetricsEntry);
	entries = ShmemInitHash("kafka_events metrics", ke_guc_max_subscriptions,
							ke_guc_max_subscriptions, &ctl,
							HASH_ELEM | HASH_BLOBS);
	entries_lock = &GetNamedLWLockTranche("kafka_events_metrics")->lock;
}

/* ---------------------------------------------------------------- counting */

void
ke_metrics_count(KeMetricsDelta *delta, const KeMessage *msg, TimestampTz now)
{
	int64		now_ms = (now - SetEpochTimestamp()) / 1000;
	int64		latency_ms = Max(now_ms - msg->timestamp_ms, 0);

	delta->counters.received++;
	delta->counters.bytes += Max(msg->key_len, 0) + Max(msg->value_len, 0);
	if (msg->timestamp_ms < 0)
		return;
	delta->counters.latency_ms += Min(latency_ms, MAX_LATENCY_MS);
	delta->latency[ke_histogram_bucket(latency_ms)]++;
}

static void
add_counters(KeMetricsCounters *to, const KeMetricsCounters *from)
{
	to->received += from->received;
	to->succeeded += from->succeeded;
	to->retried += from->retried;
	to->dead_lettered += from->dead_lettered;
	to->skipped += from->skipped;
	to->failed += from->failed;
	to->rows += from->rows;
	to->bytes += from->bytes;
	to->batches += from->batches;
	to->processing_us += from->processing_us;
	to->latency_ms += from->latency_ms;
}

/* The window of this number, emptied if it held an older one. */
static Window *
open_window(MetricsEntry *entry, int64 number)
{
	Window	   *window = &entry->windows[number % 2];

	if (window->number != number)
	{
		memset(window, 0, sizeof(Window));
		window->number = number;
	}
	return window;
}

/* Needs the entry's spinlock. */
static void
add_delta(MetricsEntry *entry, const KeMetricsDelta *delta, TimestampTz now)
{
	Window	   *window = open_window(entry, now / WINDOW_US);

	add_counters(&entry->counters, &delta->counters);
	for (int i = 0; i < KE_HISTOGRAM_BUCKETS; i++)
	{
		entry->total.counts[i] += delta->latency[i];
		window->counts[i] += delta->latency[i];
	}
	if (delta->counters.succeeded > 0)
		entry->last_success_at = now;
	if (delta->counters.retried + delta->counters.dead_lettered +
		delta->counters.failed > 0)
		entry->last_failure_at = now;
}

/*
 * The entry of a subscription, made if need be; NULL if there is no place.
 * Returns with the lock held, shared or exclusive, in any case.
 */
static MetricsEntry *
lock_entry(const MetricsKey *key)
{
	MetricsEntry *entry;
	bool		found;

	LWLockAcquire(entries_lock, LW_SHARED);
	entry = hash_search(entries, key, HASH_FIND, NULL);
	if (entry != NULL)
		return entry;

	LWLockRelease(entries_lock);
	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	if (hash_get_num_entries(entries) >= ke_guc_max_subscriptions)
		return hash_search(entries, key, HASH_FIND, NULL);
	entry = hash_search(entries, key, HASH_ENTER_NULL, &found);
	if (entry != NULL && !found)
	{
		memset((char *) entry + sizeof(MetricsKey), 0,
			   sizeof(MetricsEntry) - sizeof(MetricsKey));
		SpinLockInit(&entry->mutex);
		entry->dlq_pending = -1;
	}
	return entry;
}

static void
warn_once(void)
{
	static bool warned = false;

	if (warned)
		return;
	warned = true;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no place for more subscriptions in view kafka_metrics"),
			 errdetail("Consuming goes on; up to %d subscriptions are counted.",
					   ke_guc_max_subscriptions),
			 errhint("Raise kafka_events.max_subscriptions and restart the server.")));
}

void
ke_metrics_add(Oid database, Oid subscription, const KeMetricsDelta *delta)
{
	MetricsKey	key = {database, subscription};
	TimestampTz now = GetCurrentTimestamp();
	MetricsEntry *entry = lock_entry(&key);

	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		add_delta(entry, delta, now);
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);

	if (entry == NULL)
		warn_once();
}

void
ke_metrics_set_dlq_pending(Oid database, Oid subscription, int64 pending)
{
	MetricsKey	key = {database, subscription};
	MetricsEntry *entry = lock_entry(&key);

	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		entry->dlq_pending = pending;
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);
}

/* ----------------------------------------------------------------- reading */

/* Needs the entry's spinlock. */
static void
copy_entry(const MetricsEntry *entry, int64 window, KeMetrics *metrics)
{
	metrics->counters = entry->counters;
	metrics->last_success_at = entry->last_success_at;
	metrics->last_failure_at = entry->last_failure_at;
	metrics->dlq_pending = entry->dlq_pending;
	metrics->total = entry->total;
	for (int i = 0; i < 2; i++)
	{
		if (entry->windows[i].number < window - 1)
			continue;
		for (int j = 0; j < KE_HISTOGRAM_BUCKETS; j++)
			metrics->recent.counts[j] += entry->windows[i].counts[j];
	}
}

bool
ke_metrics_read(Oid database, Oid subscription, KeMetrics *metrics)
{
	MetricsKey	key = {database, subscription};
	int64		window = GetCurrentTimestamp() / WINDOW_US;
	MetricsEntry *entry;

	memset(metrics, 0, sizeof(KeMetrics));
	metrics->dlq_pending = -1;
	LWLockAcquire(entries_lock, LW_SHARED);
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		copy_entry(entry, window, metrics);
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(entries_lock);

	return entry != NULL;
}

void
ke_metrics_forget_others(Oid database, const List *subscriptions)
{
	HASH_SEQ_STATUS seq;
	MetricsEntry *entry;

	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->key.database == database &&
			!list_member_oid(subscriptions, entry->key.subscription))
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(entries_lock);
}
