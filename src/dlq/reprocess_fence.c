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

bool
ke_run_is_wanted(const KeRun *run)
{
	return run->task != NULL ? ke_task_is_wanted(run->task) :
		!run->should_stop();
}

void
ke_run_raise(KeRun *run, KeVerdict verdict, const KeTrouble *trouble)
{
	const char *hint = ke_client_error_hint(trouble->error);

	if (verdict == KE_VERDICT_FENCED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another session has taken over the dead letters of topic \"%s\"",
						run->order->topic),
				 errdetail(INT64_FORMAT " letters were moved before.",
						   run->totals.successful)));
	ereport(ERROR,
			(errcode(verdict == KE_VERDICT_REFUSED ?
					 ERRCODE_INSUFFICIENT_PRIVILEGE :
					 ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not move dead letters of topic \"%s\": %s",
					run->order->topic, trouble->text),
			 errdetail(INT64_FORMAT " letters were moved before.",
					   run->totals.successful),
			 hint != NULL ? errhint("%s", hint) : 0));
}

static void
open_producer(KeRun *run)
{
	const KeServer *server = run->desk->server;
	KeTrouble	trouble;
	KeVerdict	verdict;

	run->producer =
		ke_producer_open_transactional(&server->options, &server->mapping,
									   psprintf("%.20s-task",
												server->options.service_name),
									   psprintf("%s-%s",
												run->desk->key.group_id,
												run->order->topic),
									   run->singly);
	verdict = ke_transaction_init(run->producer, run->order->timeout_ms,
								  &trouble);
	if (verdict != KE_VERDICT_DONE)
		ke_run_raise(run, verdict, &trouble);
}

void
ke_run_close(KeRun *run)
{
	KeTrouble	trouble;

	if (run->producer == NULL)
		return;

	/* Else others would wait behind an open one until it times out. */
	(void) ke_transaction_abort(run->producer, 1000, &trouble);
	ke_producer_close(run->producer);
	run->producer = NULL;
}

/* The highest number in use, so that the next one is new. */
static void
find_markers(KeRun *run)
{
	const KeDlq *dlq = run->dlq;

	run->markers = palloc(Max(dlq->partitions, 1) * sizeof(int64));
	for (int p = 0; p < dlq->partitions; p++)
		run->markers[p] = ke_marker_get(dlq->metadata[p], run->desk->uuid);
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
settle_letter(KeRun *run, const KeDlqLetter *letter)
{
	const KeDlq *dlq = run->dlq;
	bool		committed =
		ke_marker_get(dlq->metadata[letter->partition],
					  run->desk->uuid) >= letter->marker;
	KeDlqLetter settled = *letter;

	settled.marker = 0;
	if (committed == letter->moved)
		ke_dlq_letter_write(&run->desk->key, dlq->topic, &settled, NULL);
	else
		ke_dlq_letter_remove(&run->desk->key, dlq->topic, letter->partition,
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
	KeRun	   *run = (KeRun *) argument;
	const KeDlq *dlq = run->dlq;

	for (int i = 0; i < dlq->nletters; i++)
	{
		const KeDlqLetter *letter = &dlq->letters[i];
		int32		p = letter->partition;

		if (p >= dlq->partitions || letter->offset < dlq->lows[p] ||
			(letter->moved && letter->marker == 0 &&
			 letter->offset < dlq->positions[p]))
			ke_dlq_letter_remove(&run->desk->key, dlq->topic, p,
								 letter->offset);
		else if (letter->marker != 0 && !dlq->forgotten[p])
			settle_letter(run, letter);
	}
}

/* In a transaction: this database needs a name for its markers. */
static void
establish_identity(void *argument)
{
	KeDesk	   *desk = (KeDesk *) argument;
	pg_uuid_t	uuid;

	ke_identity_establish();
	(void) ke_identity_read(&uuid);
	ke_identity_format(&uuid, desk->uuid);
}

void
ke_run_fence(KeRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->desk->work);

	if (run->desk->uuid[0] == '\0')
		ke_desk_transact(establish_identity, run->desk, true);
	open_producer(run);
	run->dlq = ke_dlq_look(run->desk, run->order);
	find_markers(run);
	if (run->dlq->nletters > 0)
	{
		ke_desk_transact(settle_letters, run, true);
		run->dlq = ke_dlq_look(run->desk, run->order);
	}
	MemoryContextSwitchTo(old);
}

bool
ke_run_renew(KeRun *run, int64 marker)
{
	ke_producer_close(run->producer);
	run->producer = NULL;
	ke_run_fence(run);
	return ke_marker_get(run->dlq->metadata[run->partition],
						 run->desk->uuid) >= marker;
}
