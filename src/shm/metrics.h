/*
 * metrics.h
 *	  What became of a subscription's messages: counters, and how long it took.
 *
 * One entry per subscription, filled by all consumers of it, whatever their
 * role, and kept over their restarts.  A restart of the PostgreSQL server
 * starts again from zero, as monitoring systems expect of counters.
 */
#ifndef KE_METRICS_H
#define KE_METRICS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "core/histogram.h"
#include "core/message.h"

/*
 * Counters.  Each message that was taken is received, and in the same
 * transaction one of the next six.
 */
typedef struct KeMetricsCounters
{
	int64		received;
	int64		succeeded;
	int64		retried;		/* a retry was arranged */
	int64		dead_lettered;
	int64		skipped;		/* by kafka_skip, or a STRICT handler */
	int64		failed;			/* passed over: neither retries nor DLQ */
	int64		orphaned;		/* copies of a history that was left */
	int64		rows;			/* written into the table */
	int64		bytes;			/* keys and values received */
	int64		batches;		/* transactions */
	int64		processing_us;	/* their duration */
	int64		latency_ms;		/* from messages' timestamps to their commit */
	int64		skipped_by_reset;	/* offsets, where a tool moved the group */
	int64		dropped_copies; /* retry copies that had come before; none of
								 * the above */
	int64		unmatched;		/* of succeeded: had a field for no column */
	int64		stripped;		/* of succeeded: had NULs taken out */
} KeMetricsCounters;

#define KE_METRICS_FIELDS_LEN 384

/* What one transaction adds; zeroed by whoever fills it. */
typedef struct KeMetricsDelta
{
	KeMetricsCounters counters;
	uint32		latency[KE_HISTOGRAM_BUCKETS];
	const char *fields;			/* what an unmatched one has and should have
								 * had: names; NULL if there is none */
} KeMetricsDelta;

/* A copy of an entry. */
typedef struct KeMetrics
{
	KeMetricsCounters counters;
	TimestampTz last_success_at;	/* 0: never; so for the next */
	TimestampTz last_failure_at;
	KeHistogram total;			/* latencies since the server started */
	KeHistogram recent;			/* of the last 5 to 10 minutes */
	int64		dlq_pending;	/* -1: not known */
	bool		keys_differ;	/* a message's key is not its row's */
	bool		mismatches;		/* the last transaction had unmatched ones */
	char		fields[KE_METRICS_FIELDS_LEN];	/* of the last one; or empty */
} KeMetrics;

extern void ke_metrics_shmem_request(void);
extern void ke_metrics_shmem_init(void);

/*
 * Count a message that is done at this time: received, its bytes, and the
 * time since its timestamp.
 */
extern void ke_metrics_count(KeMetricsDelta *delta, const KeMessage *msg,
							 TimestampTz now);

/* Once per transaction, when it has committed. */
extern void ke_metrics_add(Oid database, Oid subscription,
						   const KeMetricsDelta *delta);

/* Dead letters that wait, as whoever last asked Kafka found; -1: unknown. */
extern void ke_metrics_set_dlq_pending(Oid database, Oid subscription,
									   int64 pending);

/* Do message keys say which rows messages write, as far as was looked? */
extern void ke_metrics_set_keys_differ(Oid database, Oid subscription,
									   bool differ);

/* All zero, and false, when nothing was counted yet. */
extern bool ke_metrics_read(Oid database, Oid subscription,
							KeMetrics *metrics);

/* Forget all entries of a database but those of these subscriptions. */
extern void ke_metrics_forget_others(Oid database, const List *subscriptions);

#endif							/* KE_METRICS_H */
