/*
 * partition.c
 *	  The partitions of this process: they come, go, stop and are shown.
 *
 * A rebalance event is answered here and nowhere else.  Between the event and
 * the answer nothing is committed to Kafka.  A partition is always assigned
 * in the library when the group gave it to us; one that must not be fetched
 * is paused there, and what the library still delivers of it is dropped.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "consumer/ordered.h"

/* How long a partition whose row somebody else wrote is left alone. */
#define DISTRUST_MS 500

#define ASK_END_MS 500
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

static KeStage *
find_stage(KeEngine *engine, const char *topic)
{
	ListCell   *lc;

	foreach(lc, engine->stages)
	{
		KeStage    *stage = (KeStage *) lfirst(lc);

		if (strcmp(stage->topic, topic) == 0)
			return stage;
	}
	return NULL;
}

/* Pause it in the library and forget what waits of it. */
void
ke_partition_hold(KeEngine *engine, KePartition *part)
{
	if (part->stage != NULL)
		ke_stage_drop(part->stage, part);
	part->end = -1;
	if (part->fetching)
	{
		KePartitionList *list = ke_partition_list_make(1);

		ke_partition_list_add(list, part->topic, part->partition, KE_KAFKA_NONE);
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
static void
enter(KePartition *part)
{
	const char *reason = ke_partition_obstacle(part->stage);

	part->decided = false;
	part->verifying = false;
	part->status = reason ? KE_PARTITION_PAUSED : KE_PARTITION_STARTING;
	part->start_at = 0;
	strlcpy(part->reason, reason ? reason : "", sizeof(part->reason));
}

static KePartition *
make_partition(KeEngine *engine, const char *topic, int32 partition)
{
	MemoryContext old = MemoryContextSwitchTo(engine->context);
	KePartition *part = (KePartition *) palloc0(sizeof(KePartition));

	part->topic = pstrdup(topic);
	part->partition = partition;
	part->pos.topic = part->topic;
	part->pos.partition = partition;
	part->pos.trying = KE_OFFSET_NONE;
	part->pos.committed = KE_OFFSET_NONE;
	part->pos.last_offset = KE_OFFSET_NONE;
	ItemPointerSetInvalid(&part->pos.tid);
	part->sent = part->end = part->asked_end = -1;
	part->stage = find_stage(engine, topic);
	enter(part);
	if (engine->nparts == engine->parts_allocated)
	{
		engine->parts_allocated = Max(16, 2 * engine->parts_allocated);
		engine->parts = engine->parts ?
			repalloc(engine->parts,
					 engine->parts_allocated * sizeof(KePartition *)) :
			palloc(engine->parts_allocated * sizeof(KePartition *));
	}
	engine->parts[engine->nparts++] = part;
	MemoryContextSwitchTo(old);
	return part;
}

/* Topic, then partition: the order in which rows are locked everywhere. */
static int
by_key(const void *a, const void *b)
{
	const KePartition *left = *(KePartition *const *) a;
	const KePartition *right = *(KePartition *const *) b;
	int			order = strcmp(left->topic, right->topic);

	return order != 0 ? order :
		(left->partition > right->partition) -
		(left->partition < right->partition);
}

/*
 * The group gave us partitions: decide as many starts as can be decided at
 * once, answer the event, then do what only the answer allows.
 */
void
ke_rebalance_assigned(KeEngine *engine, KePartitionList *list)
{
	TimestampTz now = GetCurrentTimestamp();
	KePartitionList *held = ke_partition_list_make(list->count);
	int			i;

	for (i = 0; i < list->count; i++)
		if (ke_partition_find(engine, list->parts[i].topic,
							   list->parts[i].partition) == NULL)
			make_partition(engine, list->parts[i].topic,
						   list->parts[i].partition);
	qsort(engine->parts, engine->nparts, sizeof(KePartition *), by_key);
	ke_partition_start_decide(engine, now);

	for (i = 0; i < list->count; i++)
	{
		KePartition *part = ke_partition_find(engine, list->parts[i].topic,
											   list->parts[i].partition);

		list->parts[i].offset = part->fetch_from;
		part->fetching = part->status == KE_PARTITION_RUNNING && !part->held;
		if (!part->fetching)
			ke_partition_list_add(held, part->topic, part->partition,
							  KE_KAFKA_NONE);
	}
	ke_consumer_assign(engine->consumer, list);
	if (held->count > 0)
		ke_consumer_pause(engine->consumer, held);
	ke_partition_start_finish(engine, now, false);
	ke_slot_set_assigned(engine->nparts);
	ke_partition_publish(engine);
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

static void
release(KeEngine *engine, List *parts)
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

static void
forget_partition(KeEngine *engine, KePartition *part)
{
	int			i;

	for (i = 0; engine->parts[i] != part; i++)
		;
	engine->nparts--;
	memmove(&engine->parts[i], &engine->parts[i + 1],
			(engine->nparts - i) * sizeof(KePartition *));
	if (engine->last_found == part)
		engine->last_found = NULL;
	if (part->stage != NULL)
		ke_lag_release(engine->database, part->stage->sub->oid,
					   part->partition, engine->role, engine->ordinal);
	if (part->chains != NULL)
		ke_retry_chain_free(part->chains);
	pfree(unconstify(char *, part->topic));
	pfree(part);
}

/* Taken by the group, or already lost to somebody else. */
void
ke_rebalance_revoked(KeEngine *engine, KePartitionList *list)
{
	List	   *parts = NIL;
	ListCell   *lc;
	int			i;

	for (i = 0; i < list->count; i++)
	{
		KePartition *part = ke_partition_find(engine, list->parts[i].topic,
											   list->parts[i].partition);

		if (part == NULL)
			continue;
		if (part->stage != NULL)
			ke_stage_drop(part->stage, part);
		parts = lappend(parts, part);
	}
	release(engine, parts);
	ke_consumer_unassign(engine->consumer, list);
	foreach(lc, parts)
		forget_partition(engine, (KePartition *) lfirst(lc));
	ke_slot_set_assigned(engine->nparts);
}

/* The subscription is gone: what waits of it, and who points to it. */
void
ke_rebalance_detach(KeEngine *engine, KeStage *stage)
{
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->stage == stage)
		{
			ke_partition_hold(engine, part);
			part->stage = NULL;
		}
	}
	ke_lag_forget(engine->database, stage->sub->oid);
	ke_stage_close(engine, stage);
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
							   TimestampTz ask_at)
{
	TimestampTz latest =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ASK_BREAKER_MS);

	stage->not_before = ask_at == 0 ? latest : Min(ask_at, latest);
	if (stage->count > 0)
		ke_partition_halt(engine, stage, "its circuit breaker is open");
}

/* Subscriptions were loaded again: bring every partition in line. */
void
ke_rebalance_attach(KeEngine *engine)
{
	List	   *leaving = NIL;
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];
		KeStage    *stage = find_stage(engine, part->topic);
		const char *reason;

		if (part->stage != stage && part->stage != NULL)
			ke_stage_drop(part->stage, part);
		part->stage = stage;
		reason = ke_partition_obstacle(stage);
		if (reason != NULL)
		{
			ke_partition_hold(engine, part);
			leaving = lappend(leaving, part);
			enter(part);
		}
		else if (part->status == KE_PARTITION_PAUSED)
			enter(part);
		else
			ke_ordered_settle(engine, part);
	}
	release(engine, leaving);
}

/*
 * Set a partition aside until somebody resumes or seeks it, or it is assigned
 * anew.  reason is shown in views and the log: no payload.
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
	part->has_row = false;
	enter(part);
	if (part->status == KE_PARTITION_STARTING)
	{
		part->start_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 DISTRUST_MS);
		strlcpy(part->reason, reason, sizeof(part->reason));
	}
}

/* Read all rows of ours again; what changed is in *argument, a list. */
static void
find_moved(KeEngine *engine, void *argument)
{
	List	  **moved = (List **) argument;
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];
		KePosition	stored = part->pos;

		if (!part->has_row)
			continue;
		if (!ke_positions_read(&engine->key, &stored) ||
			stored.epoch != part->pos.epoch)
		{
			MemoryContext old = MemoryContextSwitchTo(engine->scratch);

			*moved = lappend(*moved, part);
			MemoryContextSwitchTo(old);
		}
	}
}

/* After a seek or resume somewhere: start again what was moved. */
void
ke_rebalance_recheck(KeEngine *engine)
{
	List	   *moved = NIL;
	ListCell   *lc;
	KeFailure  *fail;

	if (engine->nparts == 0 ||
		!ke_transact(engine, find_moved, &moved, false, &fail))
		return;
	foreach(lc, moved)
		ke_partition_restart(engine, (KePartition *) lfirst(lc),
							   "its position was moved");
}

/* The process ends in good order. */
void
ke_rebalance_release(KeEngine *engine)
{
	List	   *parts = NIL;
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->stage != NULL)
		{
			ke_stage_drop(part->stage, part);
			ke_lag_release(engine->database, part->stage->sub->oid,
						   part->partition, engine->role, engine->ordinal);
		}
		parts = lappend(parts, part);
	}
	release(engine, parts);
}

/*
 * The library hears of a partition's end with what it fetches.  Of one that
 * is not fetched it must be asked: one in each round.
 */
static void
ask_end(KeEngine *engine)
{
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[engine->next_to_ask++ %
										  engine->nparts];
		int64		low;

		if (part->fetching)
			continue;
		(void) ke_consumer_watermarks(engine->consumer, part->topic,
									  part->partition, &low,
									  &part->asked_end, ASK_END_MS);
		return;
	}
}

/* What the partition's whole subscription waits for, if it does. */
static void
add_stage_reason(const KeStage *stage, TimestampTz now, KeLagRow *row)
{
	if (row->status != KE_PARTITION_RUNNING)
		return;
	if (stage->halted != NULL)
	{
		row->status = KE_PARTITION_PAUSED;
		strlcpy(row->reason, stage->halted, sizeof(row->reason));
	}
	else if (stage->backoff_ms > 0 && now < stage->not_before)
		strlcpy(row->reason, stage->trouble, sizeof(row->reason));
}

/* What kafka_consumer_lag shows. */
void
ke_partition_publish(KeEngine *engine)
{
	TimestampTz now = GetCurrentTimestamp();
	int			i;

	ask_end(engine);
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
		};

		if (part->stage == NULL)
			continue;
		row.subscription = part->stage->sub->oid;
		ke_consumer_partitions_known_end(engine->consumer, part->topic, part->partition,
							  &row.end, &row.last_stable);
		if (!part->fetching)
		{
			row.end = Max(row.end, part->asked_end);
			row.last_stable = Max(row.last_stable, part->asked_end);
		}
		strlcpy(row.reason, part->reason, sizeof(row.reason));
		if (part->status == KE_PARTITION_RUNNING && part->held)
			row.status = KE_PARTITION_PAUSED;
		add_stage_reason(part->stage, now, &row);
		ke_lag_publish(&row);
	}
}
