/*
 * prometheus.c
 *	  Everything that is counted, as text for Prometheus or as rows.
 *
 * All of it comes from shared memory, the catalogs and the outbox, so a
 * scrape asks neither a broker nor a process.  Names follow Prometheus' rules:
 * base units (seconds, bytes), counters that end in _total.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "api/monitor.h"
#include "api/sample.h"
#include "api/subscription_state.h"
#include "api/visible.h"
#include "core/unix_time.h"
#include "outbox/outbox_read.h"
#include "shm/circuit.h"
#include "shm/cluster_contact.h"
#include "shm/metrics.h"
#include "shm/ready.h"

PG_FUNCTION_INFO_V1(kafka_metrics_prometheus);
PG_FUNCTION_INFO_V1(kafka_metrics_samples);

/* A subscription with what was counted for it. */
typedef struct Subject
{
	KeServer   *server;
	Oid			subscription;
	KeSampleLabels labels;
	KeMetrics	metrics;
	KeSubscriptionState state;
} Subject;

/* What one scrape looks at, read once. */
typedef struct Scrape
{
	KeSampleOutput *out;
	List	   *servers;		/* of KeServer */
	List	   *subjects;		/* of Subject */
	KeLagRow   *partitions;
	int			npartitions;
	KeSlotReport *reports;
	int			nreports;
} Scrape;

/* role may be NULL */
static KeSampleLabels
server_labels(const KeServer *server, const char *role)
{
	KeSampleLabels labels = {.partition = -1};

	labels.server = server->name;
	labels.role = role;
	return labels;
}

/* ---------------------------------------------------------- subscriptions */

static void
put_counters(Scrape *scrape)
{
	static const struct
	{
		const char *name;
		size_t		offset;
		const char *help;
	}			counters[] =
	{
		{"received_messages_total", offsetof(KeMetricsCounters, received),
		"Messages taken from Kafka whose outcome is committed."},
		{"succeeded_messages_total", offsetof(KeMetricsCounters, succeeded),
		"Messages that had their effect."},
		{"retried_messages_total", offsetof(KeMetricsCounters, retried),
		"Messages that failed and will be tried again."},
		{"dead_lettered_messages_total",
			offsetof(KeMetricsCounters, dead_lettered),
		"Messages sent to the dead letter queue."},
		{"skipped_messages_total", offsetof(KeMetricsCounters, skipped),
		"Messages that were not to be processed."},
		{"failed_messages_total", offsetof(KeMetricsCounters, failed),
		"Messages passed over, with neither retries nor a dead letter queue."},
		{"skipped_by_reset_messages_total",
			offsetof(KeMetricsCounters, skipped_by_reset),
		"Offsets passed over because a tool moved the group's position."},
		{"orphaned_messages_total", offsetof(KeMetricsCounters, orphaned),
		"Copies dropped, sent by a history that the database has left."},
		{"dropped_copies_total", offsetof(KeMetricsCounters, dropped_copies),
		"Retry copies that had come before, and were dropped."},
		{"unmatched_messages_total", offsetof(KeMetricsCounters, unmatched),
		"Messages none of whose fields is a column, or an attribute."},
		{"stripped_messages_total", offsetof(KeMetricsCounters, stripped),
		"Messages that NUL characters were taken out of."},
		{"written_rows_total", offsetof(KeMetricsCounters, rows),
		"Rows inserted, updated or deleted."},
		{"received_bytes_total", offsetof(KeMetricsCounters, bytes),
		"Bytes of keys and values received."},
		{"batches_total", offsetof(KeMetricsCounters, batches),
		"Transactions that processed messages."},
	};
	ListCell   *lc;

	for (int i = 0; i < lengthof(counters); i++)
	{
		ke_sample_family(scrape->out, counters[i].name, "counter",
						 counters[i].help);
		foreach(lc, scrape->subjects)
		{
			Subject    *subject = (Subject *) lfirst(lc);
			const char *base = (const char *) &subject->metrics.counters;

			ke_sample_put(scrape->out, counters[i].name, subject->labels,
						  *(const int64 *) (base + counters[i].offset));
		}
	}

	ke_sample_family(scrape->out, "processing_seconds_total", "counter",
					 "Time spent in transactions that processed messages.");
	foreach(lc, scrape->subjects)
	{
		Subject    *subject = (Subject *) lfirst(lc);

		ke_sample_put_seconds(scrape->out, "processing_seconds_total", subject->labels,
							  subject->metrics.counters.processing_us);
	}
}

/* Bounds are some of the buckets' own: powers of two, in milliseconds. */
static void
put_histogram(KeSampleOutput *output, const Subject *subject)
{
	const KeHistogram *histogram = &subject->metrics.total;
	KeSampleLabels labels = subject->labels;
	int64		total = (int64) ke_histogram_upto(histogram, PG_INT64_MAX);

	for (int64 bound = 1; bound <= INT64CONST(1) << 22; bound *= 2)
	{
		labels.le = psprintf("%.3f", bound / 1000.0);
		ke_sample_put(output, "latency_seconds_bucket", labels,
					  (int64) ke_histogram_upto(histogram, bound));
	}
	labels.le = "+Inf";
	ke_sample_put(output, "latency_seconds_bucket", labels, total);
	ke_sample_put_seconds(output, "latency_seconds_sum", subject->labels,
						  subject->metrics.counters.latency_ms * 1000);
	ke_sample_put(output, "latency_seconds_count", subject->labels, total);
}

static void
put_latencies(Scrape *scrape)
{
	ListCell   *lc;

	ke_sample_family(scrape->out, "latency_seconds", "histogram",
					 "From a message's timestamp to the commit of its effects.");
	foreach(lc, scrape->subjects)
		put_histogram(scrape->out, (Subject *) lfirst(lc));
}

static void
put_time(Scrape *scrape, const char *name, const char *help, bool success)
{
	ListCell   *lc;

	ke_sample_family(scrape->out, name, "gauge", help);
	foreach(lc, scrape->subjects)
	{
		Subject    *subject = (Subject *) lfirst(lc);
		TimestampTz time = success ? subject->metrics.last_success_at :
		subject->metrics.last_failure_at;

		if (time != 0)
			ke_sample_put_seconds(scrape->out, name, subject->labels,
								  ke_unix_us(time));
	}
}

static void
put_dead_letters(Scrape *scrape)
{
	ListCell   *lc;

	ke_sample_family(scrape->out, "dlq_pending_messages", "gauge",
					 "Dead letters nobody has reprocessed or discarded yet, those of a history that was left included.");
	foreach(lc, scrape->subjects)
	{
		Subject    *subject = (Subject *) lfirst(lc);

		if (subject->metrics.dlq_pending >= 0)
			ke_sample_put(scrape->out, "dlq_pending_messages", subject->labels,
						  subject->metrics.dlq_pending);
	}
}

static void
put_circuits(Scrape *scrape)
{
	ListCell   *lc;

	ke_sample_family(scrape->out, "circuit_open", "gauge",
					 "1 for a subscription whose circuit breaker is not closed.");
	foreach(lc, scrape->subjects)
	{
		Subject    *subject = (Subject *) lfirst(lc);
		KeCircuitReport report;

		ke_circuit_look(MyDatabaseId, subject->subscription, &report);
		ke_sample_put(scrape->out, "circuit_open", subject->labels,
					  report.breaker.state != KE_BREAKER_CLOSED);
	}
}

static void
put_states(Scrape *scrape)
{
	ListCell   *lc;

	ke_sample_family(scrape->out, "subscription_broken", "gauge",
					 "1 for a subscription whose status is broken.");
	foreach(lc, scrape->subjects)
	{
		Subject    *subject = (Subject *) lfirst(lc);

		ke_sample_put(scrape->out, "subscription_broken", subject->labels,
					  subject->state.is_broken);
	}
	ke_sample_family(scrape->out, "subscription_troubled", "gauge",
					 "1 for a subscription that has a status_reason, and is not paused.");
	foreach(lc, scrape->subjects)
	{
		Subject    *subject = (Subject *) lfirst(lc);

		ke_sample_put(scrape->out, "subscription_troubled", subject->labels,
					  subject->state.is_troubled);
	}
}

/* ------------------------------------------------------------- partitions */

static const Subject *
subject_of(const Scrape *scrape, const KeLagRow *row)
{
	ListCell   *lc;

	foreach(lc, scrape->subjects)
	{
		Subject    *subject = (Subject *) lfirst(lc);

		if (subject->subscription == row->subscription)
			return subject;
	}
	return NULL;
}

static KeSampleLabels
partition_labels(const Subject *subject, const KeLagRow *row)
{
	KeSampleLabels labels = subject->labels;

	labels.role = ke_slot_role_name(row->role);
	labels.partition = row->partition;
	return labels;
}

static void
put_partitions(Scrape *scrape)
{
	ke_sample_family(scrape->out, "lag_messages", "gauge",
					 "Messages from a partition's position to its end.");
	for (int i = 0; i < scrape->npartitions; i++)
	{
		const KeLagRow *row = &scrape->partitions[i];
		const Subject *subject = subject_of(scrape, row);
		int64		lag = ke_monitor_lag(row);

		if (subject != NULL && row->partition != KE_LAG_TOPIC && lag >= 0)
			ke_sample_put(scrape->out, "lag_messages",
						  partition_labels(subject, row), lag);
	}

	ke_sample_family(scrape->out, "partition_stopped", "gauge",
					 "1 for a partition that does not go on without help.");
	for (int i = 0; i < scrape->npartitions; i++)
	{
		const KeLagRow *row = &scrape->partitions[i];
		const Subject *subject = subject_of(scrape, row);

		if (subject != NULL && row->partition != KE_LAG_TOPIC)
			ke_sample_put(scrape->out, "partition_stopped",
						  partition_labels(subject, row),
						  row->status == KE_PARTITION_STOPPED);
	}
}

/* --------------------------------------------------------------- processes */

static bool
has_subject(const Scrape *scrape, const KeServer *server)
{
	ListCell   *lc;

	foreach(lc, scrape->subjects)
	{
		if (((Subject *) lfirst(lc))->server == server)
			return true;
	}
	return false;
}


static int64
count_healthy(const Scrape *scrape, const KeServer *server, KeRole role)
{
	int64		healthy = 0;

	for (int i = 0; i < scrape->nreports; i++)
	{
		const KeSlotReport *report = &scrape->reports[i];

		healthy += report->who.server == server->oid &&
			report->who.role == role && ke_monitor_is_healthy(report);
	}
	return healthy;
}

static int64
count_restarts(const Scrape *scrape, const KeServer *server, KeRole role)
{
	int64		restarts = 0;

	for (int i = 0; i < scrape->nreports; i++)
	{
		const KeSlotReport *report = &scrape->reports[i];

		if (report->who.server == server->oid && report->who.role == role)
			restarts += report->restarts;
	}
	return restarts;
}

static int64
count_expected(const Scrape *scrape, const KeServer *server, KeRole role)
{
	return ke_monitor_expected(server, role, has_subject(scrape, server));
}

static void
put_consumers(Scrape *scrape)
{
	static const struct
	{
		const char *name;
		const char *type;
		int64		(*count) (const Scrape *scrape, const KeServer *server,
							  KeRole role);
		const char *help;
	}			families[] =
	{
		{"expected_consumers", "gauge", count_expected,
		"Consumer processes that should run."},
		{"healthy_consumers", "gauge", count_healthy,
		"Consumer processes that run and serve their queue."},
		{"consumer_restarts_total", "counter", count_restarts,
		"Restarts of consumer processes, whatever ended them."},
	};
	ListCell   *lc;

	for (int i = 0; i < lengthof(families); i++)
	{
		ke_sample_family(scrape->out, families[i].name, families[i].type,
						 families[i].help);
		foreach(lc, scrape->servers)
		{
			KeServer   *server = (KeServer *) lfirst(lc);

			for (KeRole role = KE_ROLE_MAIN; role <= KE_ROLE_RETRY; role++)
				ke_sample_put(scrape->out, families[i].name,
							  server_labels(server, ke_slot_role_name(role)),
							  families[i].count(scrape, server, role));
		}
	}
}

/* ---------------------------------------------------------------- clusters */

/* Of the clusters that somebody looks at. */
static void
put_clusters(Scrape *scrape)
{
	KeClusterContact contact;
	ListCell   *lc;

	if (ke_monitor_obstacle() != NULL)
		return;
	ke_sample_family(scrape->out, "cluster_up", "gauge",
					 "1 for a cluster that has answered in the last 30 s.");
	foreach(lc, scrape->servers)
	{
		KeServer   *server = (KeServer *) lfirst(lc);

		if (ke_cluster_contact_get(MyDatabaseId, server->oid, &contact))
			ke_sample_put(scrape->out, "cluster_up", server_labels(server, NULL),
						  ke_cluster_contact_silent_us(&contact) <
						  KE_CLUSTER_CONTACT_FRESH_MS * INT64CONST(1000) &&
						  contact.answered_at != 0);
	}
	ke_sample_family(scrape->out, "cluster_silent_seconds", "gauge",
					 "Since when no broker has answered; it is asked every 10 s.");
	foreach(lc, scrape->servers)
	{
		KeServer   *server = (KeServer *) lfirst(lc);

		if (ke_cluster_contact_get(MyDatabaseId, server->oid, &contact))
			ke_sample_put_seconds(scrape->out, "cluster_silent_seconds",
								  server_labels(server, NULL),
								  ke_cluster_contact_silent_us(&contact));
	}
}

/* ------------------------------------------------------------------ outbox */

static void
put_outboxes(Scrape *scrape)
{
	static const struct
	{
		const char *name;
		const char *type;
		size_t		offset;
		const char *help;
	}			families[] =
	{
		{"outbox_pending_messages", "gauge", offsetof(KeOutboxStatus, pending),
		"Messages that are committed and not published yet."},
		{"outbox_parked_messages", "gauge", offsetof(KeOutboxStatus, parked),
		"Messages that no broker takes, kept aside."},
		{"outbox_published_messages_total", "counter",
			offsetof(KeOutboxStatus, published),
		"Messages that were published."},
	};
	int			count = list_length(scrape->servers);
	KeOutboxStatus *status = palloc0(Max(count, 1) * sizeof(KeOutboxStatus));

	for (int i = 0; i < count; i++)
		ke_outbox_tidy_status(((KeServer *) list_nth(scrape->servers, i))->oid,
							  &status[i]);
	for (int f = 0; f < lengthof(families); f++)
	{
		ke_sample_family(scrape->out, families[f].name, families[f].type,
						 families[f].help);
		for (int i = 0; i < count; i++)
			ke_sample_put(scrape->out, families[f].name,
						  server_labels(list_nth(scrape->servers, i), NULL),
						  *(const int64 *) ((char *) &status[i] +
											families[f].offset));
	}
}

/* -------------------------------------------------------------------- all */

static void
look(Scrape *scrape)
{
	KeObserved *observed = ke_subscription_state_observe();
	ListCell   *lc;
	ListCell   *lc2;

	scrape->partitions = ke_monitor_partitions(&scrape->npartitions);
	scrape->reports = ke_roster_reports(MyDatabaseId, &scrape->nreports);
	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);

		scrape->servers = lappend(scrape->servers, server);
		foreach(lc2, ke_catalog_subscriptions(server))
		{
			KeSubscription *sub = (KeSubscription *) lfirst(lc2);
			Subject    *subject = palloc(sizeof(Subject));

			subject->server = server;
			subject->subscription = sub->oid;
			subject->labels = server_labels(server, NULL);
			subject->labels.topic = sub->topic;
			(void) ke_metrics_read(MyDatabaseId, sub->oid, &subject->metrics);
			subject->state = ke_subscription_state_of(server, sub, observed);
			scrape->subjects = lappend(scrape->subjects, subject);
		}
	}
}

static void
put_all(Scrape *scrape)
{
	look(scrape);
	put_counters(scrape);
	put_latencies(scrape);
	put_time(scrape, "last_success_timestamp_seconds",
			 "When a message last had its effect.", true);
	put_time(scrape, "last_failure_timestamp_seconds",
			 "When a message last failed for good, or was to be tried again.",
			 false);
	put_partitions(scrape);
	put_dead_letters(scrape);
	put_circuits(scrape);
	put_states(scrape);
	put_clusters(scrape);
	put_outboxes(scrape);
	put_consumers(scrape);
}

Datum
kafka_metrics_prometheus(PG_FUNCTION_ARGS)
{
	KeSampleOutput out = {.text = makeStringInfo()};
	Scrape		scrape = {.out = &out};

	ke_ready_require();
	put_all(&scrape);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.text->data, out.text->len));
}

Datum
kafka_metrics_samples(PG_FUNCTION_ARGS)
{
	KeSampleOutput out = {.rows = fcinfo};
	Scrape		scrape = {.out = &out};

	ke_ready_require();
	InitMaterializedSRF(fcinfo, 0);
	put_all(&scrape);
	return (Datum) 0;
}
