/*
 * reprocess_decide.c
 *	  Decides what becomes of a dead letter.
 */
#include "postgres.h"
#include "core/compat.h"

#include <sys/time.h>

#include "core/header_names.h"
#include "core/retry_headers.h"
#include "dlq/reprocess_run.h"
#include "kafka/topic_admin.h"

/* A topic that letters are to be sent to. */
typedef struct Target
{
	char	   *name;
	int			error;			/* 0: it is there */
	int			partitions;
	bool		compacted;
} Target;

static bool
has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool
is_compacted(KeReprocessRun *run, const char *topic)
{
	KeTopicConfig config = {.name = "cleanup.policy"};

	/* Who may write to it need not be allowed to see how it is made. */
	if (ke_topic_admin_describe(ke_cluster_handle(run->taskctx->cluster),
								topic,
								&config, 1, run->order->timeout_ms) != 0)
		return false;
	return config.value != NULL && strstr(config.value, "compact") != NULL;
}

/* Looked at once in a run. */
static const Target *
find_target(KeReprocessRun *run, const char *topic)
{
	MemoryContext old = MemoryContextSwitchTo(run->taskctx->work);
	KeTopicInfo *info;
	Target	   *target;
	List	   *topics;
	ListCell   *lc;
	int			error;

	foreach(lc, run->targets)
	{
		target = (Target *) lfirst(lc);
		if (strcmp(target->name, topic) == 0)
		{
			MemoryContextSwitchTo(old);
			return target;
		}
	}

	error = ke_cluster_topics(run->taskctx->cluster, topic, &topics,
							  run->order->timeout_ms);
	if (error != 0 || topics == NIL)
		ke_task_context_refuse(run->taskctx, error,
							   psprintf("ask Kafka for topic \"%s\"", topic));
	info = (KeTopicInfo *) linitial(topics);
	target = palloc0(sizeof(Target));
	target->name = pstrdup(topic);
	target->error = info->error;
	target->partitions = info->partitions;
	if (info->error == 0)
		target->compacted = is_compacted(run, topic);
	run->targets = lappend(run->targets, target);
	MemoryContextSwitchTo(old);
	return target;
}

static void
fail(KeReprocessMove *move, const char *error)
{
	move->decision = KE_REPROCESS_FAIL;
	move->error = error;
}

/* A header that we wrote about its death or its retries. */
static bool
is_past(const char *name)
{
	return has_prefix(name, "x-dlq-") || has_prefix(name, "x-retry-");
}

/* All other headers, as they are. */
static void
keep_headers(KeReprocessMove *move)
{
	int			count;
	const KeHeader *headers = ke_message_headers(&move->msg, &count);

	move->headers = palloc_extended(Max(count, 1) * sizeof(KeHeader),
									MCXT_ALLOC_HUGE);
	for (int i = 0; i < count; i++)
	{
		if (!is_past(headers[i].name))
			move->headers[move->nheaders++] = headers[i];
	}
}

/* As the first retry of a message, due at once. */
static void
make_retry(KeReprocessRun *run, KeReprocessMove *move,
		   const KeDeadLetter *letter)
{
	KeOrigin	origin = letter->origin;
	struct timeval now;
	int			count;

	gettimeofday(&now, NULL);
	origin.service = run->taskctx->server->options.service_name;
	origin.copy_id = ke_retry_headers_make_copy_id();
	origin.attempt = 1;
	origin.due_ms = (int64) now.tv_sec * 1000 + now.tv_usec / 1000;
	move->headers = ke_retry_headers_of_retry(&move->msg, &origin, 0, &count);

	/* what is there of ours is new */
	for (int i = 0; i < count; i++)
	{
		if (!is_past(move->headers[i].name) ||
			ke_retry_headers_is_ours(move->headers[i].name))
			move->headers[move->nheaders++] = move->headers[i];
	}
}

static void
decide_to_send(KeReprocessRun *run, KeReprocessMove *move)
{
	bool		retry = run->order->target == KE_TARGET_RETRY;
	const char *suffix = run->taskctx->server->options.retry_suffix;
	const Target *target;
	KeDeadLetter letter;
	const char *topic;

	ke_retry_headers_read_dead(&move->msg, &letter);
	topic = letter.origin.original_topic;
	if (topic == NULL || ke_options_topic_problem(topic) != NULL)
	{
		fail(move, "its header x-original-topic is missing or names no topic");
		return;
	}
	if (retry)
		topic = psprintf("%s%s", topic, suffix);
	if (strlen(topic) >= KE_KAFKA_TOPIC_LEN)
	{
		fail(move, "the name of its topic is too long");
		return;
	}

	target = find_target(run, topic);
	if (target->error != 0)
	{
		fail(move, psprintf("topic \"%s\": %s", topic,
							ke_client_error_name(target->error)));
		return;
	}
	if (target->compacted && !retry && !run->order->target_given)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" is compacted", topic),
				 errdetail("An old message would replace the newer ones of its key."),
				 errhint("If that is wanted, say target => 'original'.")));

	move->decision = KE_REPROCESS_SEND;
	move->topic = target->name;
	move->partition = letter.origin.original_partition < target->partitions ?
		letter.origin.original_partition : -1;
	if (retry)
		make_retry(run, move, &letter);
	else
		keep_headers(move);
}

void
ke_reprocess_decide(KeReprocessRun *run, KeReprocessMove *move)
{
	const KeMessage *msg = &move->msg;
	const KeDlqLetter *letter = ke_dlq_topic_letter(run->dlq, msg->partition,
													msg->offset);
	bool		single = run->order->offset != KE_TASK_ANY;

	move->decision = KE_REPROCESS_PASS;
	if (!ke_dlq_topic_is_ours(run->taskctx, &move->msg))
	{
		if (single)
			fail(move, "it is another service's");
	}
	else if (letter != NULL && letter->marker != 0)
	{
		/* settle_letters could not */
		if (single && run->order->target == KE_TARGET_DISCARD)
			move->decision = KE_REPROCESS_DISCARD;
		else
			fail(move, "Kafka has forgotten whether it was moved: look for it, then send it yourself or discard it by its partition and offset");
	}
	else if (!ke_dlq_topic_is_pending(run->dlq, msg->partition, msg->offset))
	{
		if (single)
			fail(move, "it was moved already");
	}
	else if (run->order->target == KE_TARGET_DISCARD)
		move->decision = KE_REPROCESS_DISCARD;
	else
		decide_to_send(run, move);
}
