/*
 * reprocess_chunk.c
 *	  Moves a chunk of dead letters: sends and position in one transaction.
 *
 * The broker reports a letter that it will not take together with its
 * neighbours, or with none of them, and the transaction is lost.  Then the
 * chunk is moved in parts, each in a transaction of its own, that are halved
 * until the letter to blame is alone, and grow again when one is through.
 * Where it is a topic that takes nothing, all its letters fail at once.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/testing.h"
#include "dlq/reprocess_run.h"
#include "session/xact.h"

#define SLICE_MS 100

/* A chunk that is aborted for nobody's fault is tried so often. */
#define MAX_TRIES 5

/* What has become of a part. */
typedef enum Outcome
{
	PART_MOVED,
	PART_REFUSED,				/* nothing of it: move it in smaller ones */
	PART_STOPPED				/* nobody waits for it any more */
} Outcome;

/* ----------------------------------------------------------- transactions */

/*
 * What has become of one letter; the number of those still under way.  The
 * first one that was refused is the reason for what happens to the others.
 */
static int
take_event(KeReprocessPart *part, const KeProducerEvent *event, int waiting)
{
	bool		refused;

	switch (event->kind)
	{
		case KE_PRODUCER_REPORT:
			break;
		case KE_PRODUCER_FATAL:
			/* The commit, which comes next, says what it is. */
			return 0;
		case KE_PRODUCER_ERROR:
		case KE_PRODUCER_LOG:
			return waiting;
	}
	refused = event->report != KE_REPORT_DONE &&
		event->report != KE_REPORT_UNSENT;
	if ((refused && part->refused == NULL) ||
		(event->report == KE_REPORT_UNSENT && part->trouble.error == 0))
	{
		part->trouble.error = event->error;
		strlcpy(part->trouble.text, event->text, sizeof(part->trouble.text));
	}
	if (refused && part->refused == NULL)
		part->refused = &part->moves[event->id];
	return waiting - 1;
}

/* Wait until fewer than so many letters are under way. */
static KeTransactionResult
wait_for_reports(KeReprocessPart *part, int *waiting, int limit)
{
	KeReprocessRun *run = part->run;
	KeMoment	heard_at = ke_clock_now();

	while (*waiting >= limit)
	{
		KeProducerEvent event;

		CHECK_FOR_INTERRUPTS();
		if (ke_producer_poll(run->producer, &event))
		{
			*waiting = take_event(part, &event, *waiting);
			continue;
		}
		if (!ke_reprocess_fence_is_wanted(run))
			return KE_TRANSACTION_ABORT;
		if (ke_producer_wait(run->producer, SLICE_MS, &event))
		{
			*waiting = take_event(part, &event, *waiting);
			heard_at = ke_clock_now();
		}
		else if (TimestampDifferenceExceeds(heard_at, ke_clock_now(),
											run->order->timeout_ms))
			return KE_TRANSACTION_RENEW;
	}
	return KE_TRANSACTION_DONE;
}

static KeTransactionResult
send_letters(KeReprocessPart *part)
{
	KeTransactionResult verdict = KE_TRANSACTION_DONE;
	int			waiting = 0;

	for (int i = 0; i < part->count && verdict == KE_TRANSACTION_DONE;)
	{
		const KeReprocessMove *move = &part->moves[i];
		KeProducerEvent failure;
		KeRecord	record = {
			.topic = move->topic,
			.partition = move->partition,
			.key = move->msg.key,
			.key_len = move->msg.key_len,
			.value = move->msg.value,
			.value_len = move->msg.value_len,
			.headers = move->headers,
			.nheaders = move->nheaders
		};

		if (move->decision != KE_REPROCESS_SEND)
		{
			i++;
			continue;
		}
		switch (ke_producer_send(part->run->producer, &record, i, &failure))
		{
			case KE_SEND_TAKEN:
				waiting++;
				i++;
				break;
			case KE_SEND_FULL:
				if (waiting == 0)
					return KE_TRANSACTION_RENEW;
				verdict = wait_for_reports(part, &waiting, waiting);
				break;
			case KE_SEND_FAILED:
				(void) take_event(part, &failure, 1);
				return KE_TRANSACTION_ABORT;
		}
	}
	if (verdict == KE_TRANSACTION_DONE)
		verdict = wait_for_reports(part, &waiting, 1);
	return verdict;
}

static KeTransactionResult
send_position(KeReprocessPart *part)
{
	KeReprocessRun *run = part->run;
	KeDlqTopic *dlq = run->dlq;
	KePartitionList *list = ke_partition_list_make(1);
	KeKafkaPartition *position =
		ke_partition_list_add(list, dlq->topic, run->partition, part->next);

	position->metadata = ke_offset_metadata_put(dlq->metadata[run->partition],
												run->taskctx->uuid,
												part->marker, &run->history);
	return ke_transaction_offsets(run->producer, run->taskctx->key.group_id,
								  list, run->order->timeout_ms,
								  &part->trouble);
}

static KeTransactionResult
try_part(KeReprocessPart *part)
{
	KeReprocessRun *run = part->run;
	KeTransactionResult verdict;

	INSTR_TIME_SET_CURRENT(part->begun);
	part->refused = NULL;
	part->trouble.error = 0;
	strlcpy(part->trouble.text, "no answer", sizeof(part->trouble.text));
	verdict = ke_transaction_begin(run->producer, &part->trouble);
	if (verdict == KE_TRANSACTION_DONE)
		verdict = send_letters(part);
	part->is_sent = verdict == KE_TRANSACTION_DONE && part->trouble.error == 0;
	if (verdict == KE_TRANSACTION_DONE && part->trouble.error != 0)
		verdict = KE_TRANSACTION_ABORT;

	/* Why letters were not even sent, only the library can say. */
	if (verdict == KE_TRANSACTION_ABORT && part->refused == NULL)
		(void) ke_transaction_has_failed(run->producer, &part->trouble);
	KE_CRASH_POINT("dlq_sent");
	if (verdict == KE_TRANSACTION_DONE)
		verdict = send_position(part);
	KE_CRASH_POINT("dlq_position_sent");
	if (verdict == KE_TRANSACTION_DONE)
		verdict = ke_transaction_commit(run->producer, run->order->timeout_ms,
										&part->trouble);
	KE_CRASH_POINT("dlq_committed");
	return verdict;
}

/* ------------------------------------------------------------------ parts */

/* The letter to be sent; NULL if there are several, or none. */
static KeReprocessMove *
only_letter(const KeReprocessPart *part)
{
	KeReprocessMove *only = NULL;

	for (int i = 0; i < part->count; i++)
	{
		if (part->moves[i].decision != KE_REPROCESS_SEND)
			continue;
		if (only != NULL)
			return NULL;
		only = &part->moves[i];
	}
	return only;
}

/* The topic of all letters to be sent; NULL if there are several, or none. */
static const char *
only_topic(const KeReprocessPart *part)
{
	const char *only = NULL;

	for (int i = 0; i < part->count; i++)
	{
		const KeReprocessMove *move = &part->moves[i];

		if (move->decision != KE_REPROCESS_SEND)
			continue;
		if (only != NULL && strcmp(only, move->topic) != 0)
			return NULL;
		only = move->topic;
	}
	return only;
}

/* A topic takes nothing: none of the chunk's letters for it can be sent. */
static void
bar(KeReprocessPart *part, const char *topic)
{
	KeReprocessRun *run = part->run;

	ke_reprocess_target_bar(run, topic, part->trouble.error);
	for (int i = 0; i < run->nmoves; i++)
	{
		KeReprocessMove *move = &run->moves[i];

		if (move->decision != KE_REPROCESS_SEND ||
			strcmp(move->topic, topic) != 0)
			continue;
		move->decision = KE_REPROCESS_FAIL;
		move->error = ke_reprocess_target_find(run, topic)->refusal;
	}
}

static void
fail_letter(KeReprocessPart *part, KeReprocessMove *move)
{
	const char *hint = ke_producer_error_hint(part->trouble.error);

	move->decision = KE_REPROCESS_FAIL;
	move->error = MemoryContextStrdup(part->run->chunk_context,
									  psprintf(hint != NULL ?
											   "refused by the broker: %s (%s)" :
											   "refused by the broker: %s",
											   part->trouble.text, hint));
}

/* Was the transaction aborted for what it sends, and not for the cluster? */
static bool
is_refused(const KeReprocessPart *part)
{
	KeReport	report = ke_producer_judge(part->trouble.error);

	return !part->is_sent &&
		(part->refused != NULL || report == KE_REPORT_TOPIC ||
		 report == KE_REPORT_FORBIDDEN);
}

/*
 * Let those fail that are to blame for it.  False if that is not known yet:
 * the part is too large.
 */
static bool
blame(KeReprocessPart *part)
{
	KeReprocessMove *letter = only_letter(part);
	const char *topic = part->refused != NULL ? part->refused->topic :
		only_topic(part);

	switch (ke_producer_judge(part->trouble.error))
	{
		case KE_REPORT_TOPIC:
		case KE_REPORT_FORBIDDEN:
			if (topic == NULL)
				return false;
			bar(part, topic);
			return true;
		case KE_REPORT_DONE:
		case KE_REPORT_REFUSED:
		case KE_REPORT_UNSENT:
			break;
	}
	if (letter == NULL)
		return false;
	fail_letter(part, letter);
	return true;
}

/* What a transaction leaves that is to be aborted; ABORT: nothing. */
static KeTransactionResult
abort_part(KeReprocessPart *part)
{
	KeTrouble	trouble;

	switch (ke_transaction_abort(part->run->producer,
								 part->run->order->timeout_ms, &trouble))
	{
		case KE_TRANSACTION_DONE:
			return KE_TRANSACTION_ABORT;
		case KE_TRANSACTION_FENCED:
			return KE_TRANSACTION_FENCED;
		case KE_TRANSACTION_ABORT:
		case KE_TRANSACTION_RENEW:
		case KE_TRANSACTION_REFUSED:
			break;
	}
	return KE_TRANSACTION_RENEW;
}

static void
complete(KeReprocessPart *part)
{
	KeReprocessRun *run = part->run;
	KeDlqTopic *dlq = run->dlq;
	int32		p = run->partition;
	MemoryContext old;

	ke_xact_run(ke_reprocess_records_complete, part, true);
	KE_CRASH_POINT("dlq_recorded");
	run->reused = false;
	run->markers[p] = part->marker;
	dlq->forgotten[p] = false;
	if (!run->recorded)
		dlq->positions[p] = part->next;
	old = MemoryContextSwitchTo(run->taskctx->work);
	dlq->metadata[p] = ke_offset_metadata_put(dlq->metadata[p],
											  run->taskctx->uuid,
											  part->marker, &run->history);
	MemoryContextSwitchTo(old);
	ke_reprocess_report(run, part->moves, part->count);
}

/*
 * Take our place again.  DONE: the transaction had committed; ABORT: it had
 * not, and is to be tried again.  Raises if somebody else has moved letters
 * meanwhile.
 */
static KeTransactionResult
renew(KeReprocessPart *part)
{
	KeReprocessRun *run = part->run;
	KeTrouble	trouble = {0};

	if (ke_reprocess_fence_renew(run, part->marker))
		return KE_TRANSACTION_DONE;
	if (run->dlq->positions[run->partition] != part->position)
		ke_reprocess_fence_raise(run, KE_TRANSACTION_FENCED, &trouble);
	return KE_TRANSACTION_ABORT;
}

/*
 * To a producer whose transaction has timed out, the coordinator says the
 * same as to one that was fenced.  Then where the position is tells: who has
 * taken over has moved it, or ends as we go on.
 */
static bool
has_timed_out(const KeReprocessPart *part)
{
	KeReprocessRun *run = part->run;
	instr_time	took;

	INSTR_TIME_SET_CURRENT(took);
	INSTR_TIME_SUBTRACT(took, part->begun);
	return INSTR_TIME_GET_MILLISEC(took) >= KE_TRANSACTION_TIMEOUT_MS &&
		!ke_reprocess_fence_was_passed(run);
}

/* Nothing in it touches Kafka: a single letter that cannot be moved. */
static bool
is_idle(const KeReprocessPart *part)
{
	if (part->count == 0)
		return false;
	for (int i = 0; i < part->count; i++)
	{
		if (part->moves[i].decision == KE_REPROCESS_SEND ||
			part->moves[i].decision == KE_REPROCESS_DISCARD)
			return false;
	}
	return part->run->recorded;
}

/* Try it once, and find out how it ended; ABORT: not at all. */
static KeTransactionResult
try_to_end(KeReprocessPart *part)
{
	KeTransactionResult verdict = try_part(part);

	if (verdict == KE_TRANSACTION_ABORT)
		verdict = abort_part(part);
	if (verdict == KE_TRANSACTION_FENCED && has_timed_out(part))
		verdict = KE_TRANSACTION_RENEW;
	return verdict;
}

/*
 * Is nothing known yet of the producer that the run before has left, and
 * nothing done?  What comes of a doubt is a run that begins anew.
 */
static bool
is_doubtful(KeReprocessRun *run, KeTransactionResult verdict)
{
	run->stale = run->reused && verdict != KE_TRANSACTION_DONE &&
		verdict != KE_TRANSACTION_ABORT;
	return run->stale;
}

static Outcome
move_part(KeReprocessPart *part)
{
	KeReprocessRun *run = part->run;
	bool		prepared = false;

	for (int tries = 1;; tries++)
	{
		KeTransactionResult verdict;

		if (!prepared)
		{
			ke_xact_run(ke_reprocess_records_prepare, part, true);
			run->history.lsn = Max(run->history.lsn, XactLastCommitEnd);
		}
		prepared = true;
		if (is_idle(part))
		{
			if (is_doubtful(run, KE_TRANSACTION_FENCED))
				return PART_STOPPED;
			ke_reprocess_report(run, part->moves, part->count);
			return PART_MOVED;
		}
		if (!ke_reprocess_fence_is_wanted(run))
			return PART_STOPPED;
		verdict = try_to_end(part);
		if (is_doubtful(run, verdict))
			return PART_STOPPED;
		if (verdict == KE_TRANSACTION_RENEW && tries < MAX_TRIES)
		{
			verdict = renew(part);
			prepared = false;
		}
		if (verdict == KE_TRANSACTION_ABORT && is_refused(part))
		{
			ke_xact_run(ke_reprocess_records_restore, part, true);
			if (!blame(part))
				return PART_REFUSED;
			prepared = false;
			tries = 0;
			continue;
		}
		if (verdict == KE_TRANSACTION_ABORT && tries < MAX_TRIES)
			continue;
		if (verdict != KE_TRANSACTION_DONE)
			ke_reprocess_fence_raise(run, verdict, &part->trouble);
		complete(part);
		return PART_MOVED;
	}
}

/* ----------------------------------------------------------------- chunks */

/* The part that begins with the first of the moves. */
static Outcome
move_first(KeReprocessRun *run, int first, int count)
{
	bool		is_last = first + count == run->nmoves;
	KeReprocessPart		part = {
		.run = run,
		.moves = run->moves + first,
		.count = count,
		.marker = run->markers[run->partition] + 1,
		.position = run->dlq->positions[run->partition]
	};

	if (run->recorded)
		part.next = part.position;
	else
		part.next = is_last ? run->next :
			run->moves[first + count].msg.offset;
	return move_part(&part);
}

static bool
move_chunk(KeReprocessRun *run)
{
	int			size = Max(run->nmoves, 1);
	int			first = 0;

	do
	{
		int			count = Min(size, run->nmoves - first);

		switch (move_first(run, first, count))
		{
			case PART_MOVED:
				first += count;
				size = Min(size, run->nmoves) * 2;
				break;
			case PART_REFUSED:
				size = Max(count / 2, 1);
				break;
			case PART_STOPPED:
				return false;
		}
	} while (first < run->nmoves);
	return true;
}

bool
ke_reprocess_chunk_move(KeReprocessRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->chunk_context);
	bool		moved = true;

	if (run->nmoves > 0 ||
		(!run->recorded && run->next != run->dlq->positions[run->partition]))
		moved = move_chunk(run);
	for (int i = 0; i < run->nmoves; i++)
		ke_message_release(&run->moves[i].msg);
	run->nmoves = 0;
	run->bytes = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(run->chunk_context);
	return moved;
}

bool
ke_reprocess_chunk_commit_position(KeReprocessRun *run)
{
	return move_first(run, 0, 0) == PART_MOVED;
}
