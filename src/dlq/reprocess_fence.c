/*
 * reprocess_fence.c
 *	  Begins a run: fences whoever ran before, and finds out how far that got.
 *
 * The order matters.  A producer with the topic's transactional.id first ends
 * whatever transaction a former one has left open; only then is the admin
 * group's position, asked for by a client that waits for stable offsets, the
 * last word.  Letters on record whose transaction had not been heard of are
 * settled by it before anything is moved.
 */
#include "postgres.h"
#include "core/compat.h"

#include "dlq/reprocess_run.h"
#include "session/xact.h"

bool
ke_reprocess_fence_is_wanted(const KeReprocessRun *run)
{
	return run->task != NULL ? ke_task_work_is_wanted(run->task) :
		!run->should_stop();
}

void
ke_reprocess_fence_raise(KeReprocessRun *run, KeTransactionResult verdict,
						 const KeTrouble *trouble)
{
	const char *hint = ke_client_hint_for(KE_PURPOSE_WRITE,
										  trouble->error);

	if (verdict == KE_TRANSACTION_FENCED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another session has taken over the dead letters of topic \"%s\"",
						run->order->topic),
				 errdetail(INT64_FORMAT " letters were moved before.",
						   run->totals.successful)));
	ereport(ERROR,
			(errcode(verdict == KE_TRANSACTION_REFUSED ?
					 ERRCODE_INSUFFICIENT_PRIVILEGE :
					 ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not move dead letters of topic \"%s\": %s",
					run->order->topic, trouble->text),
			 errdetail(INT64_FORMAT " letters were moved before.",
					   run->totals.successful),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* The producer of the run before, if that was about the same letters. */
static bool
reuse_producer(KeReprocessRun *run)
{
	KeTaskContext *taskctx = run->taskctx;

	if (taskctx->producer == NULL)
		return false;
	run->producer = taskctx->producer;
	taskctx->producer = NULL;
	run->reused = strcmp(taskctx->producer_topic, run->order->topic) == 0;
	if (!run->reused)
		ke_reprocess_fence_close(run);
	return run->reused;
}

void
ke_reprocess_fence_keep(KeReprocessRun *run)
{
	KeTaskContext *taskctx = run->taskctx;

	taskctx->producer = run->producer;
	strlcpy(taskctx->producer_topic, run->order->topic,
			sizeof(taskctx->producer_topic));
	run->producer = NULL;
}

static void
open_producer(KeReprocessRun *run)
{
	const KeServer *server = run->taskctx->server;
	KeTrouble	trouble;
	KeTransactionResult verdict;

	run->producer =
		ke_producer_open_transactional(&server->options, &server->mapping,
									   psprintf("%.20s-task",
												server->options.service_name),
									   psprintf("%s-%s",
												run->taskctx->key.group_id,
												run->order->topic));
	verdict = ke_transaction_init(run->producer, run->order->timeout_ms,
								  &trouble);
	if (verdict != KE_TRANSACTION_DONE)
		ke_reprocess_fence_raise(run, verdict, &trouble);
}

void
ke_reprocess_fence_close(KeReprocessRun *run)
{
	KeTrouble	trouble;

	if (run->producer == NULL)
		return;

	/* Else others would wait behind an open one until it times out. */
	(void) ke_transaction_abort(run->producer, 1000, &trouble);
	ke_producer_close(run->producer);
	run->producer = NULL;
}

bool
ke_reprocess_fence_was_passed(KeReprocessRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->taskctx->work);
	KeDlqTopic *now = ke_dlq_topic_look(run->taskctx, run->order);
	int32		p = run->partition;

	MemoryContextSwitchTo(old);
	return p >= now->partitions ||
		now->positions[p] != run->dlq->positions[p];
}

/* The highest number in use, so that the next one is new. */
static void
find_markers(KeReprocessRun *run)
{
	const KeDlqTopic *dlq = run->dlq;

	run->markers = palloc(Max(dlq->partitions, 1) * sizeof(int64));
	for (int p = 0; p < dlq->partitions; p++)
		run->markers[p] = ke_offset_metadata_get(dlq->metadata[p],
												 run->taskctx->uuid);
	for (int i = 0; i < dlq->nletters; i++)
	{
		const KeDlqLetter *letter = &dlq->letters[i];

		if (letter->partition < dlq->partitions)
			run->markers[letter->partition] =
				Max(run->markers[letter->partition], letter->marker);
	}
}

/* Has the transaction that decides about it committed? */
static void
settle_letter(KeReprocessRun *run, const KeDlqLetter *letter)
{
	const KeDlqTopic *dlq = run->dlq;
	bool		committed =
		ke_offset_metadata_get(dlq->metadata[letter->partition],
					  run->taskctx->uuid) >= letter->marker;
	KeDlqLetter settled = *letter;

	settled.marker = 0;
	if (committed == letter->moved)
		ke_dlq_records_letter_write(&run->taskctx->key, dlq->topic, &settled,
									NULL);
	else
		ke_dlq_records_letter_remove(&run->taskctx->key, dlq->topic,
									 letter->partition,
									 letter->offset);
}

/*
 * In a transaction.  Where Kafka has forgotten its position, what that said
 * about open transactions is lost: those letters stay as they are.  What is
 * gone from the topic, or was passed by the position, needs no record.
 */
static void
settle_letters(void *argument)
{
	KeReprocessRun *run = (KeReprocessRun *) argument;
	const KeDlqTopic *dlq = run->dlq;

	for (int i = 0; i < dlq->nletters; i++)
	{
		const KeDlqLetter *letter = &dlq->letters[i];
		int32		p = letter->partition;

		if (p >= dlq->partitions || letter->offset < dlq->lows[p] ||
			(letter->moved && letter->marker == 0 &&
			 letter->offset < dlq->positions[p]))
			ke_dlq_records_letter_remove(&run->taskctx->key, dlq->topic, p,
										 letter->offset);
		else if (letter->marker != 0 && !dlq->forgotten[p])
			settle_letter(run, letter);
	}
}

/* In a transaction: this database needs a name for its markers. */
static void
establish_identity(void *argument)
{
	KeTaskContext *taskctx = (KeTaskContext *) argument;
	pg_uuid_t	uuid;

	ke_identity_establish();
	(void) ke_identity_read(&uuid);
	ke_identity_format(&uuid, taskctx->uuid);
}

void
ke_reprocess_fence(KeReprocessRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->taskctx->work);

	if (run->taskctx->uuid[0] == '\0')
		ke_xact_run(establish_identity, run->taskctx, true);
	run->reused = false;
	if (!reuse_producer(run))
		open_producer(run);
	ke_reprocess_target_teach(run);
	run->dlq = ke_dlq_topic_look(run->taskctx, run->order);
	find_markers(run);
	if (run->dlq->nletters > 0)
	{
		ke_xact_run(settle_letters, run, true);
		run->dlq = ke_dlq_topic_look(run->taskctx, run->order);
	}
	MemoryContextSwitchTo(old);
}

bool
ke_reprocess_fence_renew(KeReprocessRun *run, int64 marker)
{
	ke_producer_close(run->producer);
	run->producer = NULL;
	ke_reprocess_fence(run);
	return ke_offset_metadata_get(run->dlq->metadata[run->partition],
								  run->taskctx->uuid) >= marker;
}
