/*
 * reprocess_records.c
 *	  What is on record in the database about the letters of a part, before
 *	  and after its Kafka transaction.
 *
 * See reprocess_run.h for the marker.
 */
#include "postgres.h"
#include "core/compat.h"

#include "dlq/reprocess_run.h"

static KeDlqLetter
record_of(const KeReprocessPart *part, const KeReprocessMove *move)
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
void
ke_reprocess_records_prepare(void *argument)
{
	KeReprocessPart	   *part = (KeReprocessPart *) argument;
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

/*
 * In a transaction, after Kafka's was aborted: what was prepared for letters
 * that the position says nothing about must not be decided by a later one.
 */
void
ke_reprocess_records_restore(void *argument)
{
	KeReprocessPart	   *part = (KeReprocessPart *) argument;
	KeReprocessRun *run = part->run;

	for (int i = 0; i < part->count && run->recorded; i++)
	{
		const KeMessage *msg = &part->moves[i].msg;
		const KeDlqLetter *known;

		if (part->moves[i].decision != KE_REPROCESS_SEND &&
			part->moves[i].decision != KE_REPROCESS_DISCARD)
			continue;
		known = ke_dlq_topic_letter(run->dlq, msg->partition, msg->offset);
		if (known != NULL)
			ke_dlq_records_letter_write(&run->taskctx->key, run->dlq->topic,
										known, NULL);
		else
			ke_dlq_records_letter_remove(&run->taskctx->key, run->dlq->topic,
										 msg->partition, msg->offset);
	}
}

/* In a transaction, after Kafka's has committed. */
void
ke_reprocess_records_complete(void *argument)
{
	KeReprocessPart	   *part = (KeReprocessPart *) argument;
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
