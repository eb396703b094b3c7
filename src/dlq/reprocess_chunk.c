/*
 * reprocess_chunk.c
 *	  Moves a chunk of dead letters: sends and position in one transaction.
 *
 * The broker reports a letter that it will not take together with its
 * neighbours, and the transaction is lost.  From the first time on, the run
 * sends each letter in a batch of its own: then it is known which letter was
 * refused, and the chunk is moved without it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/testing.h"
#include "dlq/reprocess_run.h"
#include "session/xact.h"

#define SLICE_MS 100

/* A chunk that is aborted for nobody's fault is tried so often. */
#define MAX_TRIES 5

/* Part of a chunk, to be moved in one transaction. */
typedef struct Part
{
	KeReprocessRun *run;
	KeReprocessMove *moves;
	int			count;
	int64		next;			/* where the position goes */
	int64		marker;
	KeReprocessMove *refused;	/* by the broker, perhaps with neighbours */
	KeTrouble	trouble;
} Part;

/* --------------------------------------------------------------- records */

static KeDlqLetter
record_of(const Part *part, const KeReprocessMove *move)
{
	const KeMessage *msg = &move->msg;
	KeDlqLetter letter = {
		.partition = msg->partition,
		.offset = msg->offset,
		.moved = msg->offset >= part->run->dlq->positions[msg->partition],
		.marker = part->marker
	};

	return letter;
}

/*
 * In a transaction, before Kafka's: what has failed stays pending when the
 * position has passed it, and what is sent after it had failed does not.  Of
 * letters that the position says nothing about, the marker will tell.
 */
static void
prepare_records(void *argument)
{
	Part	   *part = (Part *) argument;
	KeReprocessRun *run = part->run;

	for (int i = 0; i < part->count; i++)
	{
		KeReprocessMove *move = &part->moves[i];
		KeDlqLetter letter = record_of(part, move);

		if (move->decision == KE_REPROCESS_PASS)
			continue;
		if (move->decision == KE_REPROCESS_FAIL)
		{
			const KeDlqLetter *known = ke_dlq_topic_letter(run->dlq,
														   letter.partition,
														   letter.offset);

			/* A single one that fails needs no record to stay pending. */
			if (run->recorded && (known == NULL || known->moved ||
								  known->marker != 0))
				continue;
			letter.moved = false;
			letter.marker = 0;
			ke_dlq_records_letter_write(&run->taskctx->key, run->dlq->topic,
										&letter,
										move->error);
		}
		else if (run->recorded)
			ke_dlq_records_letter_write(&run->taskctx->key, run->dlq->topic,
										&letter,
										NULL);
		else if (ke_dlq_topic_letter(run->dlq, letter.partition,
									 letter.offset) != NULL)
			ke_dlq_records_letter_remove(&run->taskctx->key, run->dlq->topic,
										 letter.partition, letter.offset);
	}
}

/* In a transaction, after Kafka's has committed. */
static void
complete_records(void *argument)
{
	Part	   *part = (Part *) argument;
	KeReprocessRun *run = part->run;
	KeDlqPosition position = {
		.topic = unconstify(char *, run->dlq->topic),
		.partition = run->partition,
		.next = part->next,
		.in_motion = true
	};

	for (int i = 0; i < part->count && run->recorded; i++)
	{
		KeReprocessMove *move = &part->moves[i];
		KeDlqLetter letter = record_of(part, move);

		if (move->decision != KE_REPROCESS_SEND &&
			move->decision != KE_REPROCESS_DISCARD)
			continue;
		letter.marker = 0;
		if (letter.moved)
			ke_dlq_records_letter_write(&run->taskctx->key, run->dlq->topic,
										&letter,
										NULL);
		else
			ke_dlq_records_letter_remove(&run->taskctx->key, run->dlq->topic,
										 letter.partition, letter.offset);
	}
	ke_dlq_records_position_write(&run->taskctx->key, &position);
}

/* ----------------------------------------------------------- transactions */

/* What has become of one letter; the number of those still under way. */
static int
take_event(Part *part, const KeProducerEvent *event, int waiting)
{
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
	if (event->report == KE_REPORT_REFUSED || event->report == KE_REPORT_TOPIC)
		part->refused = &part->moves[event->id];
	if (event->report != KE_REPORT_DONE)
	{
		part->trouble.error = event->error;
		strlcpy(part->trouble.text, event->text, sizeof(part->trouble.text));
	}
	return waiting - 1;
}

/* Wait until fewer than so many letters are under way. */
static KeTransactionResult
wait_for_reports(Part *part, int *waiting, int limit)
{
	KeReprocessRun *run = part->run;
	TimestampTz heard_at = GetCurrentTimestamp();

	while (*waiting >= limit)
	{
		KeProducerEvent event;

		CHECK_FOR_INTERRUPTS();
		if (!ke_reprocess_fence_is_wanted(run))
			return KE_TRANSACTION_ABORT;
		if (ke_producer_wait(run->producer, SLICE_MS, &event))
		{
			*waiting = take_event(part, &event, *waiting);
			heard_at = GetCurrentTimestamp();
		}
		else if (TimestampDifferenceExceeds(heard_at, GetCurrentTimestamp(),
											run->order->timeout_ms))
			return KE_TRANSACTION_RENEW;
	}
	return KE_TRANSACTION_DONE;
}

static KeTransactionResult
send_letters(Part *part)
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
				verdict = wait_for_reports(part, &waiting, Max(waiting, 1));
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
send_position(Part *part)
{
	KeReprocessRun *run = part->run;
	KeDlqTopic *dlq = run->dlq;
	KePartitionList *list = ke_partition_list_make(1);
	KeKafkaPartition *position =
		ke_partition_list_add(list, dlq->topic, run->partition, part->next);

	position->metadata = ke_offset_metadata_put(dlq->metadata[run->partition],
												run->taskctx->uuid,
												part->marker);
	return ke_transaction_offsets(run->producer, run->taskctx->key.group_id,
								  list, run->order->timeout_ms,
								  &part->trouble);
}

static KeTransactionResult
try_part(Part *part)
{
	KeReprocessRun *run = part->run;
	KeTransactionResult verdict;

	part->refused = NULL;
	part->trouble.error = 0;
	strlcpy(part->trouble.text, "no answer", sizeof(part->trouble.text));
	verdict = ke_transaction_begin(run->producer, &part->trouble);
	if (verdict == KE_TRANSACTION_DONE)
		verdict = send_letters(part);
	if (verdict == KE_TRANSACTION_DONE && part->trouble.error != 0)
		verdict = KE_TRANSACTION_ABORT;
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

/*
 * A letter was refused, and the transaction aborted.  Sent singly, it has
 * failed; otherwise everything is to be sent singly from now on.
 */
static void
blame(Part *part)
{
	KeReprocessRun *run = part->run;

	if (!run->singly)
	{
		run->singly = true;
		(void) ke_reprocess_fence_renew(run, part->marker);
		return;
	}
	part->refused->decision = KE_REPROCESS_FAIL;
	part->refused->error =
		MemoryContextStrdup(run->chunk_context,
							psprintf("refused by the broker: %s",
									 part->trouble.text));
}

/* The transaction was aborted; has that come to an end? */
static KeTransactionResult
abort_part(Part *part)
{
	KeTrouble	trouble;
	KeTransactionResult verdict;

	verdict = ke_transaction_abort(part->run->producer,
								   part->run->order->timeout_ms, &trouble);
	return verdict == KE_TRANSACTION_DONE || verdict == KE_TRANSACTION_FENCED ?
		verdict : KE_TRANSACTION_RENEW;
}

static void
complete(Part *part)
{
	KeReprocessRun *run = part->run;
	KeDlqTopic *dlq = run->dlq;
	int32		p = run->partition;
	MemoryContext old;

	ke_xact_run(complete_records, part, true);
	KE_CRASH_POINT("dlq_recorded");
	run->markers[p] = part->marker;
	dlq->forgotten[p] = false;
	if (!run->recorded)
		dlq->positions[p] = part->next;
	old = MemoryContextSwitchTo(run->taskctx->work);
	dlq->metadata[p] = ke_offset_metadata_put(dlq->metadata[p],
											  run->taskctx->uuid,
											  part->marker);
	MemoryContextSwitchTo(old);
	ke_reprocess_report(run, part->moves, part->count);
}

/* Was the position moved by somebody else while we had lost our place? */
static void
check_position(const Part *part, int64 position)
{
	KeTrouble	trouble = {0};

	if (part->run->dlq->positions[part->run->partition] != position)
		ke_reprocess_fence_raise(part->run, KE_TRANSACTION_FENCED, &trouble);
}

/* Nothing in it touches Kafka: a single letter that cannot be moved. */
static bool
is_idle(const Part *part)
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

static bool
move_part(KeReprocessRun *run, KeReprocessMove *moves, int count, int64 next)
{
	Part		part = {
		.run = run,
		.moves = moves,
		.count = count,
		.next = run->recorded ? run->dlq->positions[run->partition] : next,
		.marker = run->markers[run->partition] + 1
	};
	int64		position = run->dlq->positions[run->partition];

	ke_xact_run(prepare_records, &part, true);
	if (is_idle(&part))
	{
		ke_reprocess_report(run, moves, count);
		return true;
	}
	for (int tries = 1;; tries++)
	{
		KeTransactionResult verdict = try_part(&part);

		if (verdict == KE_TRANSACTION_ABORT)
		{
			verdict = abort_part(&part);
			if (verdict == KE_TRANSACTION_DONE &&
				!ke_reprocess_fence_is_wanted(run))
				return false;
			if (verdict == KE_TRANSACTION_DONE && part.refused != NULL)
			{
				blame(&part);
				check_position(&part, position);
				ke_xact_run(prepare_records, &part, true);
				tries = 0;
				continue;
			}
			if (verdict == KE_TRANSACTION_DONE && tries < MAX_TRIES)
				continue;
			if (verdict == KE_TRANSACTION_DONE)
				verdict = KE_TRANSACTION_ABORT;
		}
		if (verdict == KE_TRANSACTION_RENEW && tries < MAX_TRIES)
		{
			if (!ke_reprocess_fence_renew(run, part.marker))
			{
				if (!ke_reprocess_fence_is_wanted(run))
					return false;
				check_position(&part, position);
				ke_xact_run(prepare_records, &part, true);
				continue;
			}
			verdict = KE_TRANSACTION_DONE;
		}
		if (verdict != KE_TRANSACTION_DONE)
			ke_reprocess_fence_raise(run, verdict, &part.trouble);
		complete(&part);
		return true;
	}
}

bool
ke_reprocess_chunk_move(KeReprocessRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->chunk_context);
	bool		moved = true;

	if (run->nmoves > 0 ||
		(!run->recorded && run->next != run->dlq->positions[run->partition]))
		moved = move_part(run, run->moves, run->nmoves, run->next);
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
	return move_part(run, run->moves, 0,
					 run->dlq->positions[run->partition]);
}
