/*
 * metrics_view.c
 *	  The rows of view kafka_metrics.
 */
#include "postgres.h"
#include "core/compat.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "api/row.h"
#include "api/visible.h"
#include "shm/metrics.h"
#include "shm/ready.h"
#include "subscription/catalog.h"

PG_FUNCTION_INFO_V1(kafka_metrics);

/* Buckets are up to a fifth wide: more digits would say nothing. */
static void
put_latency(KeRow *row, const KeHistogram *latencies, double fraction)
{
	double		ms = ke_histogram_quantile(latencies, fraction);

	ke_row_put(row, Float8GetDatum(rint(ms * 10) / 10), ms < 0);
}

static void
emit_subscription(FunctionCallInfo fcinfo, const KeServer *server,
				  const KeSubscription *sub)
{
	KeMetrics	metrics;
	const KeMetricsCounters *counters = &metrics.counters;
	KeRow		row = {0};

	(void) ke_metrics_read(MyDatabaseId, sub->oid, &metrics);
	ke_row_put_name(&row, server->name);
	ke_row_put_text(&row, sub->topic);
	ke_row_put_number(&row, counters->received);
	ke_row_put_number(&row, counters->succeeded);
	ke_row_put_number(&row, counters->retried);
	ke_row_put_number(&row, counters->dead_lettered);
	ke_row_put_number(&row, counters->skipped);
	ke_row_put_number(&row, counters->failed);
	ke_row_put_number(&row, counters->rows);
	ke_row_put_number(&row, counters->bytes);
	ke_row_put_number(&row, counters->batches);
	ke_row_put_number(&row, counters->processing_us / 1000);
	put_latency(&row, &metrics.recent, 0.5);
	put_latency(&row, &metrics.recent, 0.95);
	put_latency(&row, &metrics.recent, 0.99);
	ke_row_put_time(&row, metrics.last_success_at);
	ke_row_put_time(&row, metrics.last_failure_at);
	ke_row_put_number(&row, counters->skipped_by_reset);
	ke_row_put_number(&row, counters->orphaned);
	ke_row_put_number(&row, counters->dropped_copies);
	ke_row_put_number(&row, counters->unmatched);
	ke_row_put_number(&row, counters->stripped);
	ke_row_emit(&row, fcinfo);
}

Datum
kafka_metrics(PG_FUNCTION_ARGS)
{
	ListCell   *lc;
	ListCell   *lc2;

	ke_ready_require();
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);

		foreach(lc2, ke_catalog_subscriptions(server))
			emit_subscription(fcinfo, server, (KeSubscription *) lfirst(lc2));
	}
	return (Datum) 0;
}
