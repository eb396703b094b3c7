/*
 * partition.c
 *	  The partitions of this process: held, stopped, released and shown.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "consumer/ordered.h"
#include "consumer/probe.h"
#include "core/clock.h"

/* How long a partition whose row somebody else wrote is left alone. */
#define DISTRUST_MS 500

#define ASK_BREAKER_MS 1000

KePartition *
ke_partition_find(KeEngine *engine, const char *topic, int32 partition)
{
	KePartition *part = engine->last_found;
	int			i;

	if (part != NULL && part->partition == partition &&
		strcmp(part->topic, topic) == 0)
		return part;
	for (i = 0; i < engine->nparts; i++)
	{
		part = engine->parts[i];
		if (part->partition == partition && strcmp(part->topic, topic) == 0)
			return engine->last_found = part;
	}
	return NULL;
}

/* Pause it in the library and forget what waits of it. */
void
ke_partition_hold(KeEngine *engine, KePartition *part)
{
	if (part->stage != NULL)
		ke_stage_drop(part->stage, part);
	ke_partition_stop_fetching(engine, part);
}

/* Pause it in the library; what has come of it runs. */
void
ke_partition_stop_fetching(KeEngine *engine, KePartition *part)
{
	part->end = -1;
	if (part->fetching)
	{
		KePartitionList *list = ke_partition_list_make(1);

		ke_partition_list_add(list, part->topic, part->partition,
							  KE_KAFKA_NONE);
		ke_consumer_pause(engine->consumer, list);
		part->fetching = false;
	}
}

/* Why a subscription may not run now; NULL: it may. */
const char *
ke_partition_obstacle(const KeStage *stage)
{
	if (stage == NULL)
		return "no subscription for this topic";
	if (stage->sub->options.paused)
		return "paused by kafka_consumer_pause";
	return stage->sub->broken;
}

/* PAUSED or STARTING, as the partition's subscription says. */
void
ke_partition_enter(KePartition *part)
{
	const char *reason = ke_partition_obstacle(part->stage);

	part->decided = false;
	part->verifying = false;
	part->awaits = false;
	part->status = reason ? KE_PARTITION_PAUSED : KE_PARTITION_STARTING;
	part->start_at = 0;
	strlcpy(part->reason, reason ? reason : "", sizeof(part->reason));
}

/* Give back the rows of partitions we leave, so that it was no unclean end. */
static void
release_rows(KeEngine *engine, void *argument)
{
	List	   *parts = (List *) argument;
	ListCell   *lc;

	foreach(lc, parts)
	{
		KePartition *part = (KePartition *) lfirst(lc);

		ke_positions_release(&engine->key, &part->pos);
	}
}

void
ke_partition_release(KeEngine *engine, List *parts)
{
	List	   *owned = NIL;
	ListCell   *lc;
	KeFailure  *fail;

	foreach(lc, parts)
	{
		KePartition *part = (KePartition *) lfirst(lc);

		if (part->has_row)
			owned = lappend(owned, part);
		part->has_row = false;
	}
	if (owned != NIL &&
		!ke_transact(engine, release_rows, owned, false, &fail))
		ereport(LOG,
				(errmsg("could not release partitions: %s",
						ke_failure_describe(fail))));
}

/* All fetched partitions of a stage, for pause and resume. */
static KePartitionList *
fetched(KeEngine *engine, const KeStage *stage)
{
	KePartitionList *list = ke_partition_list_make(engine->nparts);
	int			i;

	for (i = 0; i < engine->nparts; i++)
		if (engine->parts[i]->stage == stage && engine->parts[i]->fetching)
			ke_partition_list_add(list, engine->parts[i]->topic,
								  engine->parts[i]->partition, KE_KAFKA_NONE);
	return list;
}

/*
 * A stage is full: let the rest wait in the library.  What it still delivers
 * is kept; when resumed it goes on behind that.
 */
void
ke_partition_hold_back(KeEngine *engine, KeStage *stage)
{
	if (!stage->crowded)
		ke_consumer_pause(engine->consumer, fetched(engine, stage));
	stage->crowded = true;
}

void
ke_partition_let_go_on(KeEngine *engine, KeStage *stage)
{
	ke_consumer_resume(engine->consumer, fetched(engine, stage));
	stage->crowded = false;
}

/*
 * Nothing of the stage is to run for a while, so nothing more is fetched.
 * reason is shown in views, and outlives the stage.
 */
void
ke_partition_halt(KeEngine *engine, KeStage *stage, const char *reason)
{
	stage->halted = reason;
	ke_partition_hold_back(engine, stage);
}

/* Look again when the breaker said, or soon (ask_at 0): nobody wakes us. */
void
ke_partition_wait_for_breaker(KeEngine *engine, KeStage *stage,
							  KeMoment ask_at)
{
	static const char reason[] = "its circuit breaker is open";
	KeMoment	latest = ke_clock_in(ASK_BREAKER_MS);

	stage->not_before = ask_at == 0 ? latest : Min(ask_at, latest);
	if (stage->count == 0)
		return;
	if (ask_at != 0 || stage->count >= KE_PROBE_STAGE)
		ke_partition_halt(engine, stage, reason);
	else
	{
		/* what comes behind is wanted: probe.c tries it */
		stage->halted = reason;
		if (stage->crowded)
			ke_partition_let_go_on(engine, stage);
	}
}

/*
 * Set a partition aside until somebody resumes or seeks it, or until it is
 * assigned anew and the reason is gone.  reason is shown in views and the
 * log: no payload.
 */
void
ke_partition_stop(KeEngine *engine, KePartition *part, const char *reason)
{
	ke_partition_hold(engine, part);
	part->status = KE_PARTITION_STOPPED;
	strlcpy(part->reason, reason, sizeof(part->reason));
	if (part->has_row)
	{
		KeFailure  *fail;
		List	   *parts = list_make1(part);

		if (!ke_transact(engine, release_rows, parts, false, &fail))
			ereport(LOG,
					(errmsg("could not release partition %d of topic \"%s\": %s",
							part->partition, part->topic,
							ke_failure_describe(fail))));
		if (!ke_positions_is_given_up(&part->pos))
			part->pos.unclean = 0;
	}
	ke_slot_set_error(psprintf("partition %d of topic \"%s\": %s",
							   part->partition, part->topic, reason));
	ereport(WARNING,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("partition %d of topic \"%s\" is stopped: %s",
					part->partition, part->topic, reason),
			 errhint("Remove the cause and call kafka_consumer_resume, or go on behind the message with kafka_consumer_seek.")));
	ke_partition_publish(engine);
}

/*
 * The stored row is not what we wrote: somebody moved it, or owns it now.
 * Stay away for a moment, then start it as if it had just been assigned.
 */
void
ke_partition_restart(KeEngine *engine, KePartition *part,
					 const char *reason)
{
	ke_partition_hold(engine, part);
	part->restarted |= part->has_row;
	part->has_row = false;
	ke_partition_enter(part);
	if (part->status == KE_PARTITION_STARTING)
	{
		part->start_at = ke_clock_in(DISTRUST_MS);
		strlcpy(part->reason, reason, sizeof(part->reason));
	}
}

/* What the partition's whole subscription waits for, if it does. */
static void
add_stage_reason(const KeStage *stage, KeMoment now, KeLagRow *row)
{
	if (row->status != KE_PARTITION_RUNNING)
		return;
	if (stage->halted != NULL)
	{
		row->status = KE_PARTITION_PAUSED;
		strlcpy(row->reason, stage->halted, sizeof(row->reason));
	}
	else if (stage->backoff_ms > 0 &&
			 (stage->count > 0 || now < stage->not_before))
		strlcpy(row->reason, stage->trouble, sizeof(row->reason));
	else if (row->reason[0] == '\0')
	{
		char	   *reason = ke_contention_reason(&stage->contention);

		if (reason != NULL)
			strlcpy(row->reason, reason, sizeof(row->reason));
	}
}

/* What keeps a partition that is ready from being fetched. */
static void
add_fetch_reason(const KePartition *part, KeLagRow *row)
{
	if (part->status != KE_PARTITION_RUNNING)
		return;
	if (part->held || part->awaits || ke_fetch_trouble_holds(part))
		row->status = KE_PARTITION_PAUSED;
	if (part->awaits)
		strlcpy(row->reason, part->awaits_reason, sizeof(row->reason));
	if (row->reason[0] != '\0')
		return;
	if (ke_fetch_trouble_holds(part))
		strlcpy(row->reason, "waits while the partition is looked for that holds more than receive.message.max.bytes",
				sizeof(row->reason));
	else
		strlcpy(row->reason, part->fault, sizeof(row->reason));
}

/* What kafka_consumer_lag shows. */
void
ke_partition_publish(KeEngine *engine)
{
	KeMoment	now = ke_clock_now();
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];
		KeLagRow	row = {
			.database = engine->database,
			.server = engine->server->oid,
			.partition = part->partition,
			.role = engine->role,
			.ordinal = engine->ordinal,
			.position = part->has_row ? part->pos.next : -1,
			.committed = part->pos.committed,
			.status = part->status,
			.owned_in = part->owned_in,
			.strangers = part->contested && part->owned_in == 0
		};

		if (part->stage == NULL)
			continue;
		row.subscription = part->stage->sub->oid;
		ke_consumer_partitions_known_end(engine->consumer, part->topic,
										 part->partition,
										 &row.end, &row.last_stable);
		if (part->heard)
			part->heard_at = ke_clock_now();
		part->heard = false;
		row.heard_at = part->heard_at;
		strlcpy(row.reason, part->reason, sizeof(row.reason));
		add_fetch_reason(part, &row);
		add_stage_reason(part->stage, now, &row);
		ke_lag_publish(&row);
	}
}
