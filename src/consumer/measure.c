/*
 * measure.c
 *	  Counts what a transaction did with messages.
 *
 * One addition to shared memory per transaction, whatever its size.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/measure.h"
#include "shm/metrics.h"

void
ke_measure_effects(const KeEngine *engine, const KeEffects *effects,
				   TimestampTz started)
{
	KeMetricsDelta delta = {0};
	TimestampTz now = GetCurrentTimestamp();

	if (effects->done == 0)
		return;
	for (int i = 0; i < effects->done; i++)
		ke_metrics_count(&delta, effects->msgs[i], now);
	delta.counters.succeeded = effects->done - effects->skipped;
	delta.counters.skipped = effects->skipped;
	delta.counters.rows = effects->rows;
	delta.counters.batches = 1;
	delta.counters.processing_us = now - started;
	ke_metrics_add(engine->database, effects->stage->sub->oid, &delta);
}
