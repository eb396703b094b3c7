/*
 * dlq_topic.c
 *	  The dead letters of a topic: which are there, and which are pending.
 *
 * Pending is what lies from the admin group's position on and was not moved
 * alone, and what failed behind it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/dead_letter.h"
#include "core/header_names.h"
#include "dlq/task_context.h"
#include "session/xact.h"
#include "state/offset_metadata.h"

/* Failed letters that lie closer than this are read in one go. */
#define NEAR 200

typedef struct Reading
{
	KeTaskContext *taskctx;
	KeDlqTopic *dlq;
	List	   *mirror;			/* of KeDlqPosition */
} Reading;

/* In a transaction: what the tables say. */
static void
read_tables(void *argument)
{
	Reading    *reading = (Reading *) argument;
	KeDlqTopic *dlq = reading->dlq;
	MemoryContext old = MemoryContextSwitchTo(reading->taskctx->work);
	List	   *letters = ke_dlq_records_letters(&reading->taskctx->key,
												 dlq->topic);
	ListCell   *lc;

	reading->mirror = ke_dlq_records_positions(&reading->taskctx->key,
											   dlq->topic);
	dlq->letters = palloc(Max(list_length(letters), 1) * sizeof(KeDlqLetter));
	foreach(lc, letters)
		dlq->letters[dlq->nletters++] = *(KeDlqLetter *) lfirst(lc);
	MemoryContextSwitchTo(old);
}

/* The admin group's positions, as far as Kafka has them. */
static void
ask_positions(KeTaskContext *taskctx, const KeTaskOrder *order,
			  KeDlqTopic *dlq)
{
	KePartitionList *list = ke_partition_list_make(dlq->partitions);
	int			error;

	for (int p = 0; p < dlq->partitions; p++)
		ke_partition_list_add(list, order->topic, p, KE_KAFKA_NONE);
	error = ke_cluster_committed(taskctx->cluster, list, order->timeout_ms);
	dlq->positions = palloc(Max(dlq->partitions, 1) * sizeof(int64));
	dlq->metadata = palloc(Max(dlq->partitions, 1) * sizeof(char *));
	dlq->forgotten = palloc0(Max(dlq->partitions, 1) * sizeof(bool));
	for (int p = 0; p < dlq->partitions && error == 0; p++)
	{
		error = list->parts[p].error;
		dlq->positions[p] = list->parts[p].offset;
		dlq->metadata[p] = list->parts[p].metadata;
	}
	if (error != 0)
		ke_task_context_refuse(taskctx, error,
							   psprintf("read the position of group \"%s\"",
										taskctx->key.group_id));
}

/*
 * Kafka's word, else the mirror's, else the first letter.  What a history has
 * said that this database has left is nobody's word.
 */
static void
settle_position(const KeTaskContext *taskctx, KeDlqTopic *dlq,
				int32 partition, const List *mirror)
{
	ListCell   *lc;

	if (ke_offset_metadata_is_orphan(dlq->metadata[partition], taskctx->uuid,
									 taskctx->past))
	{
		dlq->positions[partition] = KE_KAFKA_NONE;
		dlq->forgotten[partition] = true;
	}
	foreach(lc, mirror)
	{
		const KeDlqPosition *position = (KeDlqPosition *) lfirst(lc);

		if (position->partition != partition || dlq->positions[partition] >= 0)
			continue;
		dlq->positions[partition] = position->next;
		dlq->forgotten[partition] = true;
	}
	dlq->positions[partition] = Max(dlq->positions[partition],
									dlq->lows[partition]);
}

KeDlqTopic *
ke_dlq_topic_look(KeTaskContext *taskctx, const KeTaskOrder *order)
{
	KeDlqTopic *dlq = palloc0(sizeof(KeDlqTopic));
	Reading		reading = {taskctx, dlq, NIL};

	dlq->topic = order->topic;
	dlq->partitions = ke_topic_browse_partitions(taskctx, order);
	dlq->lows = ke_topic_browse_offsets(taskctx, order, dlq->partitions,
										KE_KAFKA_BEGINNING);
	dlq->highs = ke_topic_browse_offsets(taskctx, order, dlq->partitions,
										 KE_KAFKA_END);
	ask_positions(taskctx, order, dlq);
	ke_xact_run(read_tables, &reading, false);
	for (int p = 0; p < dlq->partitions; p++)
		settle_position(taskctx, dlq, p, reading.mirror);
	return dlq;
}

static int
compare_letters(const void *a, const void *b)
{
	const KeDlqLetter *left = a;
	const KeDlqLetter *right = b;

	if (left->partition != right->partition)
		return left->partition < right->partition ? -1 : 1;
	if (left->offset != right->offset)
		return left->offset < right->offset ? -1 : 1;
	return 0;
}

const KeDlqLetter *
ke_dlq_topic_letter(const KeDlqTopic *dlq, int32 partition, int64 offset)
{
	KeDlqLetter key = {.partition = partition, .offset = offset};

	return bsearch(&key, dlq->letters, dlq->nletters, sizeof(KeDlqLetter),
				   compare_letters);
}

bool
ke_dlq_topic_is_pending(const KeDlqTopic *dlq, int32 partition, int64 offset)
{
	const KeDlqLetter *letter = ke_dlq_topic_letter(dlq, partition, offset);

	if (offset >= dlq->positions[partition])
		return letter == NULL || !letter->moved;
	return letter != NULL && !letter->moved;
}

bool
ke_dlq_topic_is_ours(const KeTaskContext *taskctx, KeMessage *msg)
{
	const char *service = taskctx->server->options.service_name;
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);

	if (ke_dead_letter_is_foreign(ke_dead_letter_writer(msg)))
		return true;
	for (int i = count - 1; i >= 0; i--)
	{
		if (strcmp(headers[i].name, KE_COPY_SERVICE) != 0)
			continue;
		return headers[i].value != NULL &&
			headers[i].value_len == strlen(service) &&
			memcmp(headers[i].value, service, headers[i].value_len) == 0;
	}
	return true;
}

bool
ke_dlq_topic_is_orphan(const KeTaskContext *taskctx, KeMessage *msg)
{
	KeCopyHistory history;

	return ke_dead_letter_read_history(msg, &history) &&
		ke_copy_history_judge(taskctx->past, &history) == KE_COPY_ORPHAN;
}

static List *
add_range(List *ranges, int32 partition, int64 from, int64 to)
{
	KeDlqReadRange *range = palloc(sizeof(KeDlqReadRange));

	range->partition = partition;
	range->from = from;
	range->to = to;
	return lappend(ranges, range);
}

List *
ke_dlq_topic_failed_ranges(const KeDlqTopic *dlq, int32 partition)
{
	List	   *ranges = NIL;
	KeDlqReadRange *open = NULL;

	for (int i = 0; i < dlq->nletters; i++)
	{
		const KeDlqLetter *letter = &dlq->letters[i];

		if (letter->partition != partition || letter->moved ||
			letter->offset < dlq->lows[partition] ||
			letter->offset >= dlq->positions[partition])
			continue;
		if (open == NULL || letter->offset - open->to > NEAR)
		{
			ranges = add_range(ranges, partition, letter->offset, 0);
			open = (KeDlqReadRange *) llast(ranges);
		}
		open->to = letter->offset + 1;
	}
	return ranges;
}

List *
ke_dlq_topic_new_ranges(const KeDlqTopic *dlq, int32 partition)
{
	if (dlq->positions[partition] >= dlq->highs[partition])
		return NIL;
	return add_range(NIL, partition, dlq->positions[partition],
					 dlq->highs[partition]);
}
