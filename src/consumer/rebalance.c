/*
 * rebalance.c
 *	  Partitions come and go, with the group and with the configuration.
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
#include "core/clock.h"

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
	part->sent = part->end = -1;
	part->stage = find_stage(engine, topic);
	if (part->stage != NULL)
		part->contested = ke_lag_is_contested(engine->database,
											  part->stage->sub->oid,
											  partition, engine->role,
											  engine->in_group_since);
	ke_partition_enter(part);
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

/* Tell others of our group that it has this member. */
void
ke_rebalance_stay(KeEngine *engine)
{
	engine->in_group_since =
		ke_slot_stay_in_group(engine->server->options.session_timeout);
}

/*
 * The group gave us partitions: decide as many starts as can be decided at
 * once, answer the event, then do what only the answer allows.
 */
void
ke_rebalance_assigned(KeEngine *engine, KePartitionList *list)
{
	KeMoment	now = ke_clock_now();
	KePartitionList *held = ke_partition_list_make(list->count);
	int			i;

	ke_rebalance_stay(engine);
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
		part->fetching = part->status == KE_PARTITION_RUNNING &&
			!part->held && !ke_fetch_trouble_holds(part);
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
	ke_partition_release(engine, parts);
	ke_consumer_unassign(engine->consumer, list);
	foreach(lc, parts)
		forget_partition(engine, (KePartition *) lfirst(lc));
	ke_slot_set_assigned(engine->nparts);
}

/* The group has put this process out: it comes back as somebody new. */
void
ke_rebalance_lost(KeEngine *engine, KePartitionList *list)
{
	ke_rebalance_revoked(engine, list);
	ke_slot_leave_group();
	engine->in_group_since = 0;
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
			ke_partition_enter(part);
		}
		else if (part->status == KE_PARTITION_PAUSED)
			ke_partition_enter(part);
		else
			ke_ordered_settle(engine, part);
	}
	ke_partition_release(engine, leaving);
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
	ke_partition_release(engine, parts);
}
