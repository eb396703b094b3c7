/*
 * reprocess_decide.c
 *	  Decides what becomes of a dead letter.
 */
#include "postgres.h"
#include "core/compat.h"

#include <sys/time.h>

#include "core/dead_letter.h"
#include "core/header_names.h"
#include "dlq/reprocess_run.h"

static void
fail(KeReprocessMove *move, const char *error)
{
	move->decision = KE_REPROCESS_FAIL;
	move->error = error;
}

/* All headers but those of its death, as they are. */
static void
keep_headers(KeReprocessMove *move, KeDeadLetterWriter writer)
{
	int			count;
	const KeHeader *headers = ke_message_headers(&move->msg, &count);

	move->headers = palloc_extended(Max(count, 1) * sizeof(KeHeader),
									MCXT_ALLOC_HUGE);
	for (int i = 0; i < count; i++)
	{
		if (!ke_dead_letter_is_past(writer, headers[i].name))
			move->headers[move->nheaders++] = headers[i];
	}
}

/* Has a retry copy no such header, unless we write it now? */
static bool
is_past_of_retry(KeDeadLetterWriter writer, const char *name)
{
	return ke_dead_letter_is_past(writer, name) ||
		ke_dead_letter_is_past(KE_WRITER_OURS, name);
}

/*
 * As the first retry of a message, due at once.  It keeps the letter's
 * identifier and history: sent twice it runs once, as the letter would.
 */
static void
make_retry(KeReprocessRun *run, KeReprocessMove *move,
		   KeDeadLetterWriter writer, const KeDeadLetter *letter)
{
	KeOrigin	origin = letter->origin;
	struct timeval now;
	int			count;

	gettimeofday(&now, NULL);
	origin.service = run->taskctx->server->options.service_name;
	if (origin.copy_id == NULL)
		origin.copy_id = ke_retry_headers_make_copy_id();
	origin.attempt = 1;
	origin.due_ms = (int64) now.tv_sec * 1000 + now.tv_usec / 1000;
	move->headers = ke_retry_headers_of_retry(&move->msg, &origin, 0, &count);

	/* what is there of ours is new */
	for (int i = 0; i < count; i++)
	{
		if (!is_past_of_retry(writer, move->headers[i].name) ||
			ke_retry_headers_is_ours(move->headers[i].name))
			move->headers[move->nheaders++] = move->headers[i];
	}
}

/*
 * A topic that is not named as this server names those of its dead letters
 * may be any topic: what is no dead letter is not sent from there, unless it
 * is meant by itself.
 */
static bool
may_be_no_letter(const KeReprocessRun *run, KeDeadLetterWriter writer)
{
	return writer == KE_WRITER_UNKNOWN && run->source == NULL &&
		run->order->offset == KE_TASK_ANY;
}

/*
 * Where the letter is to be sent to; NULL: it has failed.  What it says of
 * itself counts only where the server knows that topic.
 */
static const char *
choose_topic(KeReprocessRun *run, KeReprocessMove *move,
			 KeDeadLetterWriter writer, const KeDeadLetter *letter)
{
	const char *topic = letter->origin.original_topic;
	const char *retry;

	if (may_be_no_letter(run, writer))
	{
		fail(move, "it has no headers of a dead letter; to send it all the same, name its partition and offset, and a topic with to_topic");
		return NULL;
	}
	if (run->order->to_topic[0] != '\0')
		return run->order->to_topic;
	if (topic == NULL || ke_options_topic_problem(topic) != NULL)
		fail(move, psprintf("its header %s is missing or names no topic",
							ke_dead_letter_topic_header(writer)));
	else if (ke_options_topic_is_internal(topic))
		fail(move, psprintf("topic \"%s\" is one of Kafka's own", topic));
	else if (!ke_reprocess_target_is_known(run, topic))
		fail(move, psprintf("topic \"%s\" is not subscribed on this server; to send the letter to a topic all the same, name that with to_topic",
							topic));
	else if (run->order->target != KE_TARGET_RETRY)
		return topic;
	else if (!ke_reprocess_target_is_retried(run, topic))
		fail(move, psprintf("nobody reads the retry topic of topic \"%s\"",
							topic));
	else
	{
		retry = psprintf("%s%s", topic,
						 run->taskctx->server->options.retry_suffix);
		if (strlen(retry) < KE_KAFKA_TOPIC_LEN)
			return retry;
		fail(move, "the name of its topic is too long");
	}
	return NULL;
}

static void
decide_to_send(KeReprocessRun *run, KeReprocessMove *move)
{
	bool		retry = run->order->target == KE_TARGET_RETRY;
	KeDeadLetterWriter writer = ke_dead_letter_writer(&move->msg);
	const KeReprocessTarget *target;
	KeDeadLetter letter;
	const char *topic;

	ke_dead_letter_read(&move->msg, writer, &letter);
	topic = choose_topic(run, move, writer, &letter);
	if (topic == NULL)
		return;
	target = ke_reprocess_target_find(run, topic);
	if (target->refusal != NULL)
	{
		fail(move, target->refusal);
		return;
	}
	move->decision = KE_REPROCESS_SEND;
	move->topic = target->name;
	move->partition = letter.origin.original_partition;
	if (move->partition >= target->partitions ||
		(run->order->to_topic[0] != '\0' &&
		 (letter.origin.original_topic == NULL ||
		  strcmp(topic, letter.origin.original_topic) != 0)))
		move->partition = -1;
	if (retry)
		make_retry(run, move, writer, &letter);
	else
		keep_headers(move, writer);
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
	else if (ke_dlq_topic_is_orphan(run->taskctx, &move->msg))
	{
		move->decision = KE_REPROCESS_ORPHAN;
		if (single)
			fail(move, "it belongs to a history that this database has left, and its message was read again");
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
