/*
 * batch.c
 *	  Messages into effects: one batch is one transaction, or several.
 *
 * Rows, handler calls and positions of a range of messages are one top-level
 * transaction, without subtransactions: what user code leaves behind in a
 * released subtransaction would hit messages that are good.  A range that
 * fails is rolled back and redone in parts, each with its own position: what
 * came before the message at which it failed, that message alone, then on;
 * where the error names no message, by halves.  A message that fails alone is
 * the culprit, and only then is anything decided about it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/classify.h"
#include "core/testing.h"
#include "db/guard.h"
#include "db/session.h"
#include "db/xact.h"
#include "engine/engine.h"

/* A transaction is closed early after this long. */
#define BATCH_MS 5000

/* Rows are written ahead of the handler's calls for about this long. */
#define CHUNK_MS 50

/* Serialization failures and out of memory are tried this often. */
#define REPEATS 3

/* While failures are frequent, transactions are small. */
#define SIZE_AFTER_FAILURE 16

/* Batches that fail though each of their messages succeeds. */
#define PHANTOMS 3

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 10000

/* One try at a range of a stage's messages. */
typedef struct Attempt
{
	KeStage    *stage;
	int			count;			/* messages from the stage's head */
	int			done;			/* how many of them were processed */
	volatile int at;			/* relative to the head; -1: none of them */
	KePartition **parts;		/* whose positions it writes, in key order */
	KePosition *newer;
	int			nparts;
	KePartition *lost;			/* compare-and-set failed here */
	KeFailure  *fail;			/* NULL: committed */
	bool		timed_out;
} Attempt;

typedef struct Redo
{
	int			culprit;		/* fails at this index, or -1 */
	int			suspects;		/* the first so many failed together, or 0 */
} Redo;

static KeMessage *
message(Attempt *attempt, int i)
{
	return &attempt->stage->msgs[attempt->stage->head + i];
}

/* The new position of every partition in the messages that were done. */
static void
collect_positions(Attempt *attempt)
{
	KeStage    *stage = attempt->stage;
	int			i;
	int			j;

	attempt->nparts = 0;
	for (i = attempt->done - 1; i >= 0; i--)
	{
		KePartition *part = stage->parts[stage->head + i];
		KeMessage  *msg = message(attempt, i);
		KePosition *newer;

		if (part->batch_mark >= 0)
			continue;
		/* The last message of this partition; insert in partition order */
		for (j = attempt->nparts;
			 j > 0 && attempt->parts[j - 1]->partition > part->partition; j--)
		{
			attempt->parts[j] = attempt->parts[j - 1];
			attempt->newer[j] = attempt->newer[j - 1];
		}
		attempt->parts[j] = part;
		attempt->nparts++;
		part->batch_mark = j;
		newer = &attempt->newer[j];
		*newer = part->pos;
		newer->next = msg->offset + 1;
		newer->unclean = part->careful > 0 ? 1 : 0;
		newer->trying = KE_OFFSET_NONE;
		newer->last_offset = msg->offset;
		newer->last_timestamp = msg->timestamp_ms;
		newer->last_crc = ke_message_fingerprint(msg);
	}
	for (j = 0; j < attempt->nparts; j++)
		attempt->parts[j]->batch_mark = -1;
}

/* Write them by compare-and-set; false: one is somebody else's now. */
static bool
advance(KeEngine *engine, Attempt *attempt)
{
	KePosition **olds = palloc(attempt->nparts * sizeof(KePosition *));
	int			i;
	int			written;

	for (i = 0; i < attempt->nparts; i++)
		olds[i] = &attempt->parts[i]->pos;
	written = ke_positions_advance(&engine->key, olds, attempt->newer,
								   attempt->nparts);
	if (written < attempt->nparts)
		attempt->lost = attempt->parts[written];
	return attempt->lost == NULL;
}

static long
elapsed_ms(TimestampTz since)
{
	return (long) ((GetCurrentTimestamp() - since) / 1000);
}

/* Refuse what is not to be processed at all. */
static void
inspect(Attempt *attempt, int from, int upto)
{
	int			i;

	for (i = from; i < upto; i++)
	{
		attempt->at = i;
		ke_inspector_check(attempt->stage->inspector, message(attempt, i));
	}
	attempt->at = -1;
}

/* Write rows [from, upto) of the attempt. */
static void
write_rows(Attempt *attempt, int from, int upto)
{
	KeStage    *stage = attempt->stage;
	volatile int at = -1;
	int			i;

	for (i = from; i < upto; i++)
		stage->refs[i] = message(attempt, i);
	ke_guard_enter(0);			/* the table may have triggers */
	PG_TRY();
	{
		(void) ke_sink_write(stage->sink, stage->refs + from, upto - from,
							 &at);
	}
	PG_CATCH();
	{
		attempt->at = at >= 0 ? from + at : -1;
		ke_guard_failed();
		PG_RE_THROW();
	}
	PG_END_TRY();
	ke_guard_leave();
}

/* Call the handler for [from, upto). */
static void
call_handler(Attempt *attempt, int from, int upto)
{
	KeStage    *stage = attempt->stage;
	int			i;

	if (stage->sub->handler_argument == KE_ARG_BATCH)
	{
		for (i = from; i < upto; i++)
			stage->refs[i] = message(attempt, i);
		attempt->at = (upto - from == 1) ? from : -1;
		ke_handler_call_batch(stage->handler, stage->refs + from,
							  upto - from);
	}
	else
	{
		for (i = from; i < upto; i++)
		{
			attempt->at = i;
			KE_CRASH_POINT("in_handler");
			(void) ke_handler_call(stage->handler, message(attempt, i));
		}
	}
	attempt->at = -1;
}

/*
 * Rows, then the handler, chunk by chunk, so that a slow handler can
 * be stopped after BATCH_MS with rows written for what it has seen only.
 */
static void
process(Attempt *attempt)
{
	KeStage    *stage = attempt->stage;
	TimestampTz started = GetCurrentTimestamp();
	bool		by_chunks = stage->handler != NULL &&
		stage->sub->handler_argument != KE_ARG_BATCH;
	int			chunk = by_chunks ? 1 : attempt->count;

	if (stage->inspector != NULL)
		ke_inspector_begin(stage->inspector);
	if (stage->handler != NULL)
		ke_handler_begin(stage->handler);
	attempt->done = 0;
	while (attempt->done < attempt->count)
	{
		int			upto = Min(attempt->done + chunk, attempt->count);
		TimestampTz chunk_started = GetCurrentTimestamp();

		if (stage->inspector != NULL)
			inspect(attempt, attempt->done, upto);
		if (stage->sink != NULL)
			write_rows(attempt, attempt->done, upto);
		if (stage->handler != NULL)
			call_handler(attempt, attempt->done, upto);
		attempt->done = upto;
		if (elapsed_ms(started) >= BATCH_MS)
			break;
		if (elapsed_ms(chunk_started) < CHUNK_MS)
			chunk = Min(chunk * 2, attempt->count);
		else
			chunk = Max(chunk / 2, 1);
	}
}

/* Context for errors that are raised while a message is at work. */
static void
add_context(void *argument)
{
	Attempt    *attempt = (Attempt *) argument;

	if (attempt->at >= 0)
		errcontext("message at offset %lld of partition %d of topic \"%s\"",
				   (long long) message(attempt, attempt->at)->offset,
				   message(attempt, attempt->at)->partition,
				   attempt->stage->sub->topic);
	else
		errcontext("messages of topic \"%s\"", attempt->stage->sub->topic);
}

/* The transaction of one attempt; raises nothing. */
static void
run_transaction(KeEngine *engine, Attempt *attempt)
{
	ErrorContextCallback context;

	attempt->at = -1;
	attempt->lost = NULL;
	attempt->fail = NULL;
	attempt->timed_out = false;
	context.callback = add_context;
	context.arg = attempt;
	context.previous = error_context_stack;
	error_context_stack = &context;
	PG_TRY();
	{
		if (!ke_xact_begin())
			engine->extension_gone = true;
		else
		{
			process(attempt);
			collect_positions(attempt);
			KE_CRASH_POINT("before_commit");
			if (advance(engine, attempt))
				ke_xact_commit();
			else
				ke_xact_abort();
		}
	}
	PG_CATCH();
	{
		attempt->timed_out = ke_handler_timed_out();
		attempt->fail = ke_failure_capture(engine->scratch);
		ke_xact_abort();
	}
	PG_END_TRY();
	error_context_stack = context.previous;
	if (attempt->stage->sink != NULL)
		ke_sink_end(attempt->stage->sink);
	MemoryContextSwitchTo(engine->scratch);
	ke_session_reset();
}

/* It is committed: so it is in memory. */
static void
take_over(KeEngine *engine, Attempt *attempt)
{
	TimestampTz now = GetCurrentTimestamp();
	int			i;

	KE_CRASH_POINT("after_commit");
	for (i = 0; i < attempt->nparts; i++)
	{
		KePartition *part = attempt->parts[i];

		part->pos = attempt->newer[i];
		if (part->careful > 0)
			part->careful--;
	}
	ke_stage_discard(attempt->stage, attempt->done);
	ke_slot_count_messages(attempt->done);
	attempt->stage->backoff_ms = 0;
	attempt->stage->repeats = 0;
	if (engine->commit_at == 0)
		engine->commit_at = TimestampTzPlusMilliseconds(now, 200);
}

/* In a transaction: what runs alone next, durably, before it runs. */
typedef struct Trial
{
	KePartition *part;
	int64		offset;
	bool		ours;
} Trial;

static void
record_trial(KeEngine *engine, void *argument)
{
	Trial	   *trial = (Trial *) argument;

	trial->ours = ke_positions_try(&engine->key, &trial->part->pos,
								   trial->offset);
}

/*
 * After unclean ends each message is announced before its handler runs, so
 * that the one that ends the process is known by name.
 */
static bool
announce(KeEngine *engine, KeStage *stage)
{
	KePosition	before = stage->parts[stage->head]->pos;
	Trial		trial = {stage->parts[stage->head],
	stage->msgs[stage->head].offset, false};
	KeFailure  *fail;

	if (ke_transact(engine, record_trial, &trial, true, &fail) && trial.ours)
		return true;
	trial.part->pos = before;
	ke_assignment_distrust(engine, trial.part,
						   "another process took the partition over");
	return false;
}

/* The database is in trouble: wait, longer each time. */
static KeBatchOutcome
wait_for_database(KeStage *stage, const KeFailure *fail)
{
	stage->backoff_ms = stage->backoff_ms == 0 ? BACKOFF_FIRST_MS :
		Min(2 * stage->backoff_ms, BACKOFF_LAST_MS);
	stage->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													stage->backoff_ms);
	ke_slot_set_error(psprintf("topic \"%s\" waits: %s", stage->sub->topic,
							   ke_failure_describe(fail)));
	if (stage->backoff_ms == BACKOFF_FIRST_MS)
		ereport(LOG,
				(errmsg("topic \"%s\" waits for the database: %s",
						stage->sub->topic, ke_failure_describe(fail))));
	return KE_BATCH_WAIT;
}

/*
 * A message failed alone.  Nothing is skipped: its partition stops.
 */
static void
stop_at(KeEngine *engine, KeStage *stage, const KeFailure *fail)
{
	KePartition *part = stage->parts[stage->head];

	stage->repeats = 0;
	ke_assignment_stop(engine, part,
					   psprintf("offset %lld: %s",
								(long long) stage->msgs[stage->head].offset,
								ke_failure_describe(fail)));
}

/* How many messages the next attempt takes, of at most limit. */
static int
choose_count(const KeStage *stage, const Redo *redo, int limit)
{
	if (stage->parts[stage->head]->careful > 0)
		return 1;
	if (redo->culprit > 0)
		return Min(redo->culprit, limit);
	if (redo->culprit == 0)
		return 1;
	if (redo->suspects > 1)
		return Min((redo->suspects + 1) / 2, limit);
	if (redo->suspects == 1)
		return 1;
	return limit;
}

/* Careful messages further back end the attempt before them. */
static int
cut_before_careful(const KeStage *stage, int count)
{
	int			i;

	for (i = 1; i < count; i++)
		if (stage->parts[stage->head + i]->careful > 0)
			return i;
	return count;
}

/* count messages from the head went well. */
static void
note_success(KeStage *stage, Redo *redo, int count, bool was_whole)
{
	if (redo->culprit >= 0)
		redo->culprit = redo->culprit >= count ? redo->culprit - count : -1;
	else if (redo->suspects > 0)
	{
		redo->suspects -= Min(count, redo->suspects);
		if (redo->suspects == 0 && ++stage->phantoms == PHANTOMS)
			ereport(LOG,
					(errmsg("topic \"%s\" goes on with one message per transaction: batches fail although each of their messages succeeds",
							stage->sub->topic)));
	}
	else if (was_whole && stage->phantoms < PHANTOMS)
		stage->size = Min(2 * stage->size, stage->sub->options.batch_size);
	if (stage->phantoms >= PHANTOMS)
		stage->size = 1;
}

/*
 * An attempt at count messages failed: find the part that fails, or decide
 * about the message that failed alone.
 */
static KeBatchOutcome
note_failure(KeEngine *engine, KeStage *stage, Redo *redo,
			 const Attempt *attempt)
{
	KeFailure  *fail = attempt->fail;
	KeVerdict	verdict = ke_classify(fail->sqlstate, attempt->timed_out);

	if (fail->sqlstate == ERRCODE_QUERY_CANCELED && !attempt->timed_out &&
		engine->should_stop())
		return KE_BATCH_CANCELLED;
	if (verdict == KE_VERDICT_AGAIN && ++stage->repeats <= REPEATS)
		return KE_BATCH_PROGRESS;
	if (verdict == KE_VERDICT_NOBODY)
	{
		if (fail->sqlstate != ERRCODE_OUT_OF_MEMORY)
			return wait_for_database(stage, fail);
		if (attempt->count == 1 && ++stage->repeats < REPEATS)
			return wait_for_database(stage, fail);
	}
	stage->size = Min(stage->size, SIZE_AFTER_FAILURE);
	if (attempt->count == 1)
	{
		stop_at(engine, stage, fail);
		redo->culprit = -1;
		redo->suspects = 0;
	}
	else if (attempt->at >= 0)
	{
		redo->culprit = attempt->at;
		redo->suspects = 0;
	}
	else
	{
		redo->culprit = -1;
		redo->suspects = attempt->count;
	}
	return KE_BATCH_PROGRESS;
}

/*
 * Process what waits in the stage, up to the size that goes well at present.
 */
KeBatchOutcome
ke_batch_run(KeEngine *engine, KeStage *stage)
{
	TimestampTz started = GetCurrentTimestamp();
	int			left = Min(stage->size, stage->count);
	Redo		redo = {-1, 0};
	KeBatchOutcome outcome = KE_BATCH_PROGRESS;
	Attempt		attempt = {.stage = stage};
	int			waited = stage->count;

	attempt.parts = palloc(engine->nparts * sizeof(KePartition *));
	attempt.newer = palloc(engine->nparts * sizeof(KePosition));
	while (left > 0 && outcome == KE_BATCH_PROGRESS &&
		   elapsed_ms(started) < BATCH_MS)
	{
		bool		careful = stage->parts[stage->head]->careful > 0;

		attempt.count = cut_before_careful(stage,
										   choose_count(stage, &redo, left));
		if (careful && !announce(engine, stage))
			break;
		run_transaction(engine, &attempt);
		if (engine->extension_gone)
			break;
		if (attempt.lost != NULL)
		{
			ke_assignment_distrust(engine, attempt.lost,
								   "another process took the partition over");
			break;
		}
		if (attempt.fail == NULL)
		{
			note_success(stage, &redo, attempt.done,
						 attempt.count == stage->size);
			left -= attempt.done;
			take_over(engine, &attempt);
		}
		else
		{
			int			before = stage->count;

			outcome = note_failure(engine, stage, &redo, &attempt);
			if (stage->count != before)
				break;			/* a partition was set aside */
		}
	}
	if (waited > stage->count)
		ke_stage_note_speed(stage, waited - stage->count,
							GetCurrentTimestamp() - started);
	return outcome;
}

/* In a transaction: move positions over what follows the last message. */
static void
store_ends(KeEngine *engine, void *argument)
{
	Attempt    *attempt = (Attempt *) argument;

	if (!advance(engine, attempt))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("another process took the partition over")));
}

/*
 * Partitions whose end was reached while nothing of them waits: the control
 * records behind the last message count as processed.
 */
void
ke_batch_ends(KeEngine *engine)
{
	Attempt		attempt = {0};
	KeFailure  *fail;
	int			i;

	attempt.parts = palloc(Max(engine->nparts, 1) * sizeof(KePartition *));
	attempt.newer = palloc(Max(engine->nparts, 1) * sizeof(KePosition));
	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->end < 0 || part->stage == NULL || part->stage->count > 0)
			continue;
		if (part->end > part->pos.next && part->has_row)
		{
			attempt.parts[attempt.nparts] = part;
			attempt.newer[attempt.nparts] = part->pos;
			attempt.newer[attempt.nparts].next = part->end;
			attempt.nparts++;
		}
		part->end = -1;
		engine->commit_at = GetCurrentTimestamp();
	}
	if (attempt.nparts == 0)
		return;
	if (ke_transact(engine, store_ends, &attempt, false, &fail))
	{
		for (i = 0; i < attempt.nparts; i++)
			attempt.parts[i]->pos = attempt.newer[i];
	}
	else if (attempt.lost != NULL)
		ke_assignment_distrust(engine, attempt.lost,
							   "another process took the partition over");
}
