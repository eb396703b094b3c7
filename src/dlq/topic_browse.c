/*
 * topic_browse.c
 *	  Shows messages of any topic to a session that asked, and consumes none:
 *	  they are read as a consumer of committed messages reads them.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/dlq_reply.h"
#include "dlq/task_context.h"

/* ------------------------------------------------- what the cluster says */

/* Why it might be looked for here and not be there. */
static char *
hint_for_missing(const KeTaskContext *taskctx, const KeTaskOrder *order)
{
	if (order->any_topic)
		return psprintf("kafka_topics('%s') lists the topics.",
						taskctx->server->name);
	return psprintf("On this server the names of dead letter topics end with \"%s\", its option dlq_suffix.",
					taskctx->server->options.dlq_suffix);
}

int
ke_topic_browse_partitions(KeTaskContext *taskctx, const KeTaskOrder *order)
{
	List	   *topics;
	KeTopicInfo *topic;
	int			error = ke_cluster_topics(taskctx->cluster, order->topic,
										  &topics, order->timeout_ms);

	if (error != 0 || topics == NIL)
		ke_task_context_refuse(taskctx, error, "ask Kafka for the topic");
	topic = (KeTopicInfo *) linitial(topics);
	if (ke_client_is_missing_topic(topic->error))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" does not exist on server \"%s\"",
						order->topic, taskctx->server->name),
				 errhint("%s", hint_for_missing(taskctx, order))));
	if (topic->error != 0)
		ke_task_context_refuse(taskctx, topic->error,
							   psprintf("read topic \"%s\"", order->topic));
	if (order->partition >= topic->partitions)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" has no partition %d", order->topic,
						order->partition),
				 errdetail("It has %d partitions, from 0 on.",
						   topic->partitions)));
	return topic->partitions;
}

int64 *
ke_topic_browse_offsets(KeTaskContext *taskctx, const KeTaskOrder *order,
						int partitions, int64 time_ms)
{
	KePartitionList *list = ke_partition_list_make(partitions);
	int64	   *offsets = palloc(Max(partitions, 1) * sizeof(int64));
	int			error;

	for (int p = 0; p < partitions; p++)
		ke_partition_list_add(list, order->topic, p, time_ms);
	error = ke_cluster_offsets_for_time(taskctx->cluster, list,
										order->timeout_ms);
	for (int p = 0; p < partitions && error == 0; p++)
	{
		error = list->parts[p].error;
		offsets[p] = list->parts[p].offset;
	}
	if (error != 0)
		ke_task_context_refuse(taskctx, error,
							   psprintf("ask Kafka about topic \"%s\"",
										order->topic));
	return offsets;
}

/* --------------------------------------------------------------- browsing */

static void
tell(KeTask *task, const char *text)
{
	StringInfoData reply;

	initStringInfo(&reply);
	ke_dlq_reply_put_notice(&reply, text);
	(void) ke_task_work_reply(task, &reply);
	pfree(reply.data);
}

/* An offset of one partition was meant: say where that has its messages. */
static void
tell_if_outside(KeTask *task, const KeDlqReadRange *range, int64 low)
{
	const KeTaskOrder *order = ke_task_work_order(task);

	if (order->partition == KE_TASK_ANY || order->offset == KE_TASK_ANY)
		return;
	if (order->offset < low)
		tell(task,
			 psprintf("partition %d of topic \"%s\" begins at offset " INT64_FORMAT ", as what was before it is deleted",
					  range->partition, order->topic, low));
	else if (order->offset >= range->to)
		tell(task,
			 psprintf("partition %d of topic \"%s\" ends before offset " INT64_FORMAT,
					  range->partition, order->topic, range->to));
}

/* From where it was asked for, to where the topic ends now. */
static List *
find_ranges(KeTaskContext *taskctx, KeTask *task)
{
	const KeTaskOrder *order = ke_task_work_order(task);
	int			partitions = ke_topic_browse_partitions(taskctx, order);
	int64	   *lows = ke_topic_browse_offsets(taskctx, order, partitions,
											   KE_KAFKA_BEGINNING);
	int64	   *highs = ke_topic_browse_offsets(taskctx, order, partitions,
												KE_KAFKA_END);
	int64	   *starts = lows;
	List	   *ranges = NIL;

	if (order->from_ms != KE_TASK_ANY)
		starts = ke_topic_browse_offsets(taskctx, order, partitions,
										 order->from_ms);
	for (int p = 0; p < partitions; p++)
	{
		KeDlqReadRange *range;

		if (order->partition != KE_TASK_ANY && order->partition != p)
			continue;
		range = palloc(sizeof(KeDlqReadRange));
		range->partition = p;
		range->from = Max(Max(starts[p], lows[p]), order->offset);
		range->to = highs[p];
		tell_if_outside(task, range, lows[p]);
		if (range->from < range->to)
			ranges = lappend(ranges, range);
	}
	return ranges;
}

void
ke_topic_browse(KeTaskContext *taskctx, KeTask *task)
{
	const KeTaskOrder *order = ke_task_work_order(task);
	int64		left = order->max_messages == KE_TASK_ANY ?
		PG_INT64_MAX : order->max_messages;
	KeDlqReader *messages = ke_dlq_reader_open(taskctx, task, order->topic,
											   find_ranges(taskctx, task));
	KeMessage	msg;

	while (left > 0 && ke_dlq_reader_next(messages, &msg))
	{
		left = ke_dlq_reader_show(task, &msg) ? left - 1 : 0;
		ke_message_release(&msg);
	}
	ke_dlq_reader_close(messages);
}
