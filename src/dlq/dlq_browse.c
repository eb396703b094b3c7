/*
 * dlq_browse.c
 *	  Shows dead letters to a session that asked, and moves nothing.
 *
 * Each letter goes into the queue to the session before the next one is
 * taken, so that what is held here is one letter and what the library has
 * fetched ahead.
 */
#include "postgres.h"
#include "core/compat.h"

#include "dlq/task_context.h"

/*
 * Whether other services use a topic, its newest letters tell: so many of
 * each partition, so many bytes of all.
 */
#define SAMPLE_LETTERS 1000
#define SAMPLE_BYTES (64 * 1024 * 1024)

/* All that is there, or all that is pending, or a sample. */
static List *
find_ranges(const KeDlqTopic *dlq, const KeTaskOrder *order)
{
	List	   *ranges = NIL;

	for (int p = 0; p < dlq->partitions; p++)
	{
		KeDlqReadRange *range;

		if (order->partition != KE_TASK_ANY && order->partition != p)
			continue;
		if (order->pending_only)
		{
			ranges = list_concat(ranges, ke_dlq_topic_failed_ranges(dlq, p));
			ranges = list_concat(ranges, ke_dlq_topic_new_ranges(dlq, p));
			continue;
		}
		range = palloc(sizeof(KeDlqReadRange));
		range->partition = p;
		range->from = dlq->lows[p];
		if (order->foreign_only)
			range->from = Max(range->from, dlq->highs[p] - SAMPLE_LETTERS);
		range->to = dlq->highs[p];
		ranges = lappend(ranges, range);
	}
	return ranges;
}

/* Leave out what is before the offset, and what is empty then. */
static List *
cut_ranges(List *ranges, int64 from)
{
	ListCell   *lc;

	foreach(lc, ranges)
	{
		KeDlqReadRange *range = (KeDlqReadRange *) lfirst(lc);

		range->from = Max(range->from, from);
		if (range->from >= range->to)
			ranges = foreach_delete_current(ranges, lc);
	}
	return ranges;
}

static bool
is_wanted(KeTaskContext *taskctx, const KeDlqTopic *dlq,
		  const KeTaskOrder *order,
		  KeMessage *msg)
{
	if (order->foreign_only)
		return !ke_dlq_topic_is_ours(taskctx, msg);
	return !order->pending_only ||
		(ke_dlq_topic_is_pending(dlq, msg->partition, msg->offset) &&
		 ke_dlq_topic_is_ours(taskctx, msg) &&
		 ke_dlq_topic_is_orphan(taskctx, msg) == order->orphans_only);
}

/* False: nobody waits any more. */
static bool
show(KeTask *task, const KeTaskOrder *order, KeMessage *msg)
{
	KeMessage	place = *msg;

	if (!order->orphans_only)
		return ke_dlq_reader_show(task, msg);
	place.key = place.value = NULL;
	place.key_len = place.value_len = -1;
	place.nheaders = 0;
	place.headers = NULL;
	return ke_dlq_reader_show(task, &place);
}

void
ke_dlq_browse(KeTaskContext *taskctx, KeTask *task)
{
	const KeTaskOrder *order = ke_task_work_order(task);
	KeDlqTopic *dlq = ke_dlq_topic_look(taskctx, order);
	int64		left = order->max_messages == KE_TASK_ANY ?
		PG_INT64_MAX : order->max_messages;
	int64		bytes = 0;
	KeDlqReader *letters;
	KeMessage	msg;

	letters = ke_dlq_reader_open(taskctx, task, dlq->topic,
								 cut_ranges(find_ranges(dlq, order),
											order->offset));
	while (left > 0 && ke_dlq_reader_next(letters, &msg))
	{
		if (is_wanted(taskctx, dlq, order, &msg))
			left = show(task, order, &msg) ? left - 1 : 0;
		bytes += Max(msg.key_len, 0) + Max(msg.value_len, 0);
		if (order->foreign_only && bytes > SAMPLE_BYTES)
			left = 0;
		ke_message_release(&msg);
	}
	ke_dlq_reader_close(letters);
}
