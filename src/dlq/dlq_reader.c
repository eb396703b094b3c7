/*
 * dlq_reader.c
 *	  Reads ranges of a topic, one after the other.
 *
 * One partition is assigned at a time, so that letters come in order, and no
 * more are fetched ahead than the library's queue holds.  Whatever is left
 * over from the range before is passed over.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/dlq_reply.h"
#include "dlq/task_context.h"

#define SLICE_MS 100

struct KeDlqReader
{
	KeTaskContext *taskctx;
	const KeTask *task;
	const char *topic;
	List	   *ranges;			/* the first is the one being read */
	bool		assigned;
	int64		next;			/* of the first range */
	KeMoment	heard_at;		/* when something came last */
	char	   *trouble;		/* what the library said since; or NULL */
	int			error;
};

KeDlqReader *
ke_dlq_reader_open(KeTaskContext *taskctx, const KeTask *task,
				   const char *topic,
				   List *ranges)
{
	KeDlqReader *letters = palloc0(sizeof(KeDlqReader));

	letters->taskctx = taskctx;
	letters->task = task;
	letters->topic = topic;
	letters->ranges = ranges;
	return letters;
}

static KeDlqReadRange *
current(const KeDlqReader *letters)
{
	return (KeDlqReadRange *) linitial(letters->ranges);
}

/* Also what a task before this one has left when it failed. */
static void
unassign(KeTaskContext *taskctx)
{
	if (taskctx->assigned == NULL)
		return;
	ke_consumer_unassign(taskctx->reader, taskctx->assigned);
	ke_partition_list_free(taskctx->assigned);
	taskctx->assigned = NULL;
}

static void
begin_range(KeDlqReader *letters)
{
	KeTaskContext *taskctx = letters->taskctx;
	MemoryContext old;

	unassign(taskctx);
	letters->next = current(letters)->from;
	letters->heard_at = ke_clock_now();

	old = MemoryContextSwitchTo(taskctx->context);
	taskctx->assigned = ke_partition_list_make(1);
	(void) ke_partition_list_add(taskctx->assigned, letters->topic,
								 current(letters)->partition, letters->next);
	MemoryContextSwitchTo(old);
	ke_consumer_assign(taskctx->reader, taskctx->assigned);
	letters->assigned = true;
}

static void
end_range(KeDlqReader *letters)
{
	unassign(letters->taskctx);
	letters->assigned = false;
	letters->ranges = list_delete_first(letters->ranges);
}

void
ke_dlq_reader_close(KeDlqReader *letters)
{
	if (letters->assigned)
		end_range(letters);
}

static void
check_patience(const KeDlqReader *letters)
{
	const KeTaskOrder *order = ke_task_work_order(letters->task);
	const char *hint = ke_client_error_hint(letters->error);

	if (!TimestampDifferenceExceeds(letters->heard_at, ke_clock_now(),
									order->timeout_ms))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not read topic \"%s\": %s", letters->topic,
					letters->trouble != NULL ? letters->trouble :
					"no answer"),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* Is the event about the partition that is being read? */
static bool
is_current(const KeDlqReader *letters, const char *topic, int32 partition)
{
	return partition == current(letters)->partition &&
		strcmp(topic, letters->topic) == 0;
}

/* The right to read the topic is missing, and waiting does not bring it. */
static void
refuse(const KeDlqReader *letters, const KeConsumerEvent *event)
{
	const char *hint = ke_client_error_hint(event->error);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("could not read topic \"%s\": %s", letters->topic,
					event->text),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* Everything but messages. */
static void
serve_event(KeDlqReader *letters, const KeConsumerEvent *event)
{
	KeDlqReadRange *range = current(letters);

	switch (event->kind)
	{
		case KE_CONSUMER_END:
			/* Control records may be all that is left of it. */
			if (is_current(letters, event->part.topic,
						   event->part.partition) &&
				event->part.offset >= letters->next)
				range->to = Min(range->to, letters->next);
			break;
		case KE_CONSUMER_PARTITION_ERROR:
			if (!is_current(letters, event->part.topic,
							event->part.partition))
				break;
			if (event->out_of_range)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("messages of partition %d of topic \"%s\" were deleted while they were read",
								range->partition, letters->topic),
						 errhint("Try again.")));
			if (event->refused)
				refuse(letters, event);
			/* FALLTHROUGH */
		case KE_CONSUMER_ERROR:
		case KE_CONSUMER_FATAL:
			letters->trouble = pstrdup(event->text);
			letters->error = event->error;
			break;
		case KE_CONSUMER_NOTHING:
		case KE_CONSUMER_MESSAGE:
		case KE_CONSUMER_ASSIGN:
		case KE_CONSUMER_REVOKE:
		case KE_CONSUMER_LOST:
		case KE_CONSUMER_COMMITTED:
		case KE_CONSUMER_FENCED:
		case KE_CONSUMER_LOG:
			break;
	}
}

/* Is the message one of the range?  Then the next one is expected after it. */
static bool
take(KeDlqReader *letters, const KeMessage *msg)
{
	if (!is_current(letters, msg->topic, msg->partition) ||
		msg->offset < letters->next)
		return false;
	letters->heard_at = ke_clock_now();
	letters->next = msg->offset + 1;
	return msg->offset < current(letters)->to;
}

bool
ke_dlq_reader_next(KeDlqReader *letters, KeMessage *msg)
{
	while (letters->ranges != NIL && ke_task_work_is_wanted(letters->task))
	{
		KeConsumerEvent event;

		if (letters->assigned && letters->next >= current(letters)->to)
		{
			end_range(letters);
			continue;
		}
		if (!letters->assigned)
			begin_range(letters);

		if (!ke_consumer_poll(letters->taskctx->reader, SLICE_MS, &event))
			check_patience(letters);
		else if (event.kind != KE_CONSUMER_MESSAGE)
			serve_event(letters, &event);
		else if (take(letters, &event.msg))
		{
			*msg = event.msg;
			return true;
		}
		else
			ke_message_release(&event.msg);
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

/* The buffer is not kept, as a message may be large. */
bool
ke_dlq_reader_show(KeTask *task, KeMessage *msg)
{
	StringInfoData reply;
	bool		sent;

	initStringInfo(&reply);
	ke_dlq_reply_put_message(&reply, msg);
	sent = ke_task_work_reply(task, &reply);
	pfree(reply.data);
	return sent;
}
