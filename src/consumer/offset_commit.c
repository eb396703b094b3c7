/*
 * offset_commit.c
 *	  Kafka's copy of the positions.
 *
 * Kafka is told after PostgreSQL has committed, asynchronously, and never
 * decides anything while our rows are there; it is for Kafka's own tools and
 * for finding the way after a failover.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xlog.h"
#include "utils/timestamp.h"

#include "consumer/engine.h"
#include "core/clock.h"
#include "core/stamp.h"
#include "core/testing.h"

/* At most this often, unless the end of the partitions is reached. */
#define COMMIT_INTERVAL_MS 200

char *
ke_offset_commit_stamp(KeEngine *engine, const KePartition *part, int64 offset)
{
	KeStamp		stamp;

	strlcpy(stamp.uuid, engine->uuid, sizeof(stamp.uuid));
	strlcpy(stamp.cluster, engine->key.cluster_id, sizeof(stamp.cluster));
	stamp.incarnation = engine->incarnation;
	stamp.start = part->start;
	stamp.committed = offset;
	stamp.timeline = GetWALInsertionTimeLine();
	strlcpy(stamp.database, engine->database_name, sizeof(stamp.database));
	strlcpy(stamp.host, engine->host, sizeof(stamp.host));
	return ke_stamp_format(&stamp);
}

/* Every partition of which Kafka does not know the position. */
static KePartitionList *
outdated(KeEngine *engine)
{
	KePartitionList *list = ke_partition_list_make(engine->nparts);
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->status != KE_PARTITION_RUNNING || !part->has_row ||
			part->sent == part->pos.next)
			continue;
		ke_partition_list_add(list, part->topic, part->partition,
							  part->pos.next)->metadata =
			ke_offset_commit_stamp(engine, part, part->pos.next);
		part->sent = part->pos.next;
	}
	return list;
}

/* Send what is due; answers come as events. */
void
ke_offset_commit_send(KeEngine *engine, KeMoment now)
{
	KePartitionList *list;

	if (engine->commit_at == 0 || now < engine->commit_at)
		return;
	engine->commit_at = 0;
	list = outdated(engine);
	KE_CRASH_POINT("before_kafka_commit");
	if (list->count > 0)
		ke_consumer_commit(engine->consumer, list);
}

/* At a clean end: send what is left, wait for the answer, remember it. */
bool
ke_offset_commit_wait(KeEngine *engine, int timeout_ms)
{
	KePartitionList *list;
	int			i;

	for (i = 0; i < engine->nparts; i++)
		if (engine->parts[i]->pos.committed != engine->parts[i]->pos.next)
			engine->parts[i]->sent = -1;
	list = outdated(engine);
	if (list->count == 0)
		return true;
	if (ke_consumer_commit_wait(engine->consumer, list, timeout_ms) != 0)
		return false;
	ke_offset_commit_answered(engine, list);
	return true;
}

/* Kafka answered a commit; list has what was asked and the errors. */
void
ke_offset_commit_answered(KeEngine *engine, KePartitionList *list)
{
	int			i;

	KE_CRASH_POINT("after_kafka_commit");
	for (i = 0; i < list->count; i++)
	{
		KeKafkaPartition *answer = &list->parts[i];
		KePartition *part = ke_partition_find(engine, answer->topic,
											  answer->partition);

		if (part == NULL)
			continue;
		if (answer->error == 0)
			part->pos.committed = answer->offset;
		else if (part->sent == answer->offset)
		{
			/* Not now: send it again with the next round */
			part->sent = -1;
			engine->commit_at = ke_clock_now() + USECS_PER_SEC;
		}
	}
}
