/*
 * metrics.c
 *	  What became of a subscription's messages: counters, and how long it took.
 *
 * Recent latencies are kept in two windows of 5 minutes, of which the older
 * one is forgotten when a new one begins: without that, the hour in which a
 * backlog was worked off would stay in the percentiles.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/guc.h"
#include "core/unix_time.h"
#include "shm/metrics.h"
#include "shm/subscription_table.h"

#define WINDOW_US (5 * USECS_PER_MINUTE)

/* What is older says when it was written, not how long it took to get here. */
#define MAX_LATENCY_MS (INT64CONST(1) << 32)

typedef struct Window
{
	int64		number;			/* windows since the epoch */
	uint32		counts[KE_HISTOGRAM_BUCKETS];
} Window;

typedef struct MetricsEntry
{
	KeSubscriptionEntry head;
	KeMetricsCounters counters;
	TimestampTz last_success_at;
	TimestampTz last_failure_at;
	bool		dlq_looked_at;
	int64		dlq_pending;
	bool		keys_differ;
	bool		mismatches;
	char		fields[KE_METRICS_FIELDS_LEN];
	KeHistogram total;
	Window		windows[2];		/* number modulo 2 */
} MetricsEntry;

static KeSubscriptionTable table = {
	.name = "kafka_events_metrics",
	.entry_size = sizeof(MetricsEntry)
};

void
ke_metrics_shmem_request(void)
{
	ke_subscription_table_request(&table);
}

void
ke_metrics_shmem_init(void)
{
	ke_subscription_table_init(&table);
}

/* ---------------------------------------------------------------- counting */

void
ke_metrics_count(KeMetricsDelta *delta, const KeMessage *msg, TimestampTz now)
{
	int64		latency_ms = Max(ke_unix_ms(now) - msg->timestamp_ms, 0);

	delta->counters.received++;
	delta->counters.bytes += Max(msg->key_len, 0) + Max(msg->value_len, 0);
	if (msg->timestamp_ms < 0 || latency_ms > MAX_LATENCY_MS)
		return;
	delta->counters.latency_ms += latency_ms;
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
	to->orphaned += from->orphaned;
	to->rows += from->rows;
	to->bytes += from->bytes;
	to->batches += from->batches;
	to->processing_us += from->processing_us;
	to->latency_ms += from->latency_ms;
	to->skipped_by_reset += from->skipped_by_reset;
	to->dropped_copies += from->dropped_copies;
	to->unmatched += from->unmatched;
	to->stripped += from->stripped;
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
	Window	   *window = open_window(entry, ke_clock_now() / WINDOW_US);

	add_counters(&entry->counters, &delta->counters);
	for (int i = 0; i < KE_HISTOGRAM_BUCKETS; i++)
	{
		entry->total.counts[i] += delta->latency[i];
		window->counts[i] += delta->latency[i];
	}
	if (delta->counters.succeeded > 0)
	{
		entry->last_success_at = now;
		entry->mismatches = delta->counters.unmatched > 0;
	}
	if (delta->fields != NULL)
		strlcpy(entry->fields, delta->fields, sizeof(entry->fields));
	if (delta->counters.retried + delta->counters.dead_lettered +
		delta->counters.failed > 0)
		entry->last_failure_at = now;
}

/*
 * The entry of a subscription, made if need be; as
 * ke_subscription_table_enter.
 */
static MetricsEntry *
enter(Oid database, Oid subscription)
{
	MetricsEntry *entry = ke_subscription_table_enter(&table, database,
													  subscription);

	if (entry != NULL)
		return entry;
	ke_subscription_table_leave(&table, entry);
	(void) ke_subscription_table_add(&table, database, subscription);
	return ke_subscription_table_enter(&table, database, subscription);
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
	TimestampTz now = GetCurrentTimestamp();
	MetricsEntry *entry = enter(database, subscription);

	if (entry != NULL)
		add_delta(entry, delta, now);
	ke_subscription_table_leave(&table, entry);

	if (entry == NULL)
		warn_once();
}

void
ke_metrics_set_dlq_pending(Oid database, Oid subscription, int64 pending)
{
	MetricsEntry *entry = enter(database, subscription);

	if (entry != NULL)
	{
		entry->dlq_looked_at = true;
		entry->dlq_pending = pending;
	}
	ke_subscription_table_leave(&table, entry);
}

void
ke_metrics_set_keys_differ(Oid database, Oid subscription, bool differ)
{
	MetricsEntry *entry = enter(database, subscription);

	if (entry != NULL)
		entry->keys_differ = differ;
	ke_subscription_table_leave(&table, entry);
}

/* ----------------------------------------------------------------- reading */

/* Needs the entry's spinlock. */
static void
copy_entry(const MetricsEntry *entry, int64 window, KeMetrics *metrics)
{
	metrics->counters = entry->counters;
	metrics->last_success_at = entry->last_success_at;
	metrics->last_failure_at = entry->last_failure_at;
	metrics->dlq_pending = entry->dlq_looked_at ? entry->dlq_pending : -1;
	metrics->keys_differ = entry->keys_differ;
	metrics->mismatches = entry->mismatches;
	memcpy(metrics->fields, entry->fields, sizeof(metrics->fields));
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
	int64		window = ke_clock_now() / WINDOW_US;
	MetricsEntry *entry;

	memset(metrics, 0, sizeof(KeMetrics));
	metrics->dlq_pending = -1;
	entry = ke_subscription_table_enter(&table, database, subscription);
	if (entry != NULL)
		copy_entry(entry, window, metrics);
	ke_subscription_table_leave(&table, entry);

	return entry != NULL;
}

void
ke_metrics_forget_others(Oid database, const List *subscriptions)
{
	ke_subscription_table_keep(&table, database, subscriptions);
}
