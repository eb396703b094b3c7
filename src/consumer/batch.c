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
 * the culprit, and only then is anything decided about it (settlement).  That
 * comes true in the next transaction, which goes on with the messages behind.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/breaker_recheck.h"
#include "consumer/effects.h"
#include "consumer/ordered.h"
#include "consumer/probe.h"
#include "consumer/progress.h"
#include "consumer/returned.h"
#include "consumer/schema_wait.h"
#include "consumer/settlement.h"
#include "core/classify.h"
#include "core/clock.h"
#include "core/testing.h"

/* Batches that fail though each of their messages succeeds. */
#define PHANTOMS 3

/* One try at a range of a stage's messages. */
typedef struct Attempt
{
	KeEffects	effects;		/* what is done with them */
	KeProgress *progress;		/* where that leads */
	KeSettlements *settlements; /* of the first of them */
	int			count;			/* messages from the stage's head */
	int			returned;		/* of those, dead letters sent back */
	int			done;			/* how many of them were processed */
	int			at;				/* where it failed; -1: not known */
} Attempt;

typedef struct Redo
{
	int			culprit;		/* fails at this index, or -1 */
	int			suspects;		/* the first so many failed together, or 0 */
} Redo;

/* Where a message that is processed is in its stage, from the head on. */
static int
place_of(const KeEffects *effects, int i)
{
	const KeStage *stage = effects->stage;

	return effects->msgs[i] - &stage->msgs[stage->head];
}

/* Those of the first count messages that wait for one that failed. */
static bool
must_wait(const KeStage *stage, int i)
{
	return stage->msgs[stage->head + i].drop == KE_DROP_NOT &&
		ke_ordered_must_wait(stage, stage->parts[stage->head + i],
							 &stage->msgs[stage->head + i]);
}

static void
park_waiting(KeEngine *engine, const KeStage *stage, int count)
{
	int			i;

	for (i = 0; i < count; i++)
		if (must_wait(stage, i))
			ke_ordered_put(engine, stage, stage->parts[stage->head + i],
						   &stage->msgs[stage->head + i]);
}

/* Once that is committed. */
static void
note_waiting(KeEngine *engine, const KeStage *stage, int count)
{
	int			i;

	for (i = 0; i < count; i++)
		if (must_wait(stage, i))
			ke_ordered_note(engine, stage, stage->parts[stage->head + i],
							&stage->msgs[stage->head + i]);
}

/* As the transaction's last act: the positions. */
static bool
store_progress(KeEngine *engine, KeEffects *effects, void *argument)
{
	Attempt    *attempt = (Attempt *) argument;

	attempt->done = effects->done == effects->count ? attempt->count :
		place_of(effects, effects->done);
	if (effects->count < attempt->count)
		park_waiting(engine, effects->stage, attempt->done);
	ke_settlement_write(engine, attempt->settlements);
	if (attempt->returned > 0)
		ke_returned_note(engine, effects->stage, attempt->done);
	ke_progress_collect(attempt->progress, effects->stage, attempt->done);
	return ke_progress_store(engine, attempt->progress);
}

/* The transaction of one attempt; raises nothing. */
static void
run_transaction(KeEngine *engine, Attempt *attempt)
{
	KeEffects  *effects = &attempt->effects;
	KeStage    *stage = effects->stage;
	KeEffectsFrame frame = {.after = store_progress, .argument = attempt};

	if (attempt->settlements->count > 0)
		KE_CRASH_POINT("before_routing");
	effects->msgs = stage->refs;
	effects->count = 0;
	for (int i = attempt->settlements->upto; i < attempt->count; i++)
		if (stage->msgs[stage->head + i].drop == KE_DROP_NOT &&
			!must_wait(stage, i))
			stage->refs[effects->count++] = &stage->msgs[stage->head + i];
	ke_effects_transact(engine, effects, &frame);
	attempt->at = effects->at >= 0 ? place_of(effects, effects->at) : -1;
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
	ke_partition_restart(engine, trial.part,
						 "another process took the partition over");
	return false;
}

/* In a transaction. */
static void
record_survival(KeEngine *engine, void *argument)
{
	ke_positions_survived(&engine->key, (KePosition *) argument);
}

/*
 * The message that was announced failed, and stays where it is: what waits is
 * not running, whatever ends the process now.
 */
static void
withdraw(KeEngine *engine, KePartition *part)
{
	KeFailure  *fail;
	KePosition	newer = part->pos;

	if (part->careful == 0 || part->pos.trying == KE_OFFSET_NONE)
		return;
	if (ke_transact(engine, record_survival, &newer, true, &fail))
		part->pos = newer;
	else if (fail != NULL)
		ereport(LOG,
				(errmsg("could not record that partition %d of topic \"%s\" waits: %s",
						part->partition, part->topic,
						ke_failure_describe(fail))));
}

/* Batch handlers, and tables without a handler, get messages together. */
static bool
runs_one_by_one(const KeStage *stage)
{
	return stage->handler != NULL &&
		stage->sub->handler_argument != KE_ARG_BATCH;
}

/*
 * The first one that runs is alone in its transaction until the second one
 * begins: what is settled in it is written as its last act.
 */
static bool
failed_alone(const KeStage *stage, const Attempt *attempt)
{
	return attempt->count == 1 ||
		(attempt->effects.at == 0 && runs_one_by_one(stage));
}

/* As many as may run, or fewer where some of them have failed. */
static int
choose_runs(const KeStage *stage, const Redo *redo, int limit)
{
	if (stage->parts[stage->head]->careful > 0)
		return 1;
	if (redo->culprit > 0)
		return Min(redo->culprit, limit);
	if (redo->culprit == 0 && !runs_one_by_one(stage))
		return 1;
	if (redo->suspects > 1)
		return Min((redo->suspects + 1) / 2, limit);
	if (redo->suspects == 1)
		return 1;
	return limit;
}

/*
 * How many messages the next attempt takes, of those that are left.  What is
 * only settled in it takes nobody's time, and is settled as a whole.
 */
static int
choose_count(const KeStage *stage, const Redo *redo,
			 const KeSettlements *settlements, int left)
{
	int			limit = Min(left, settlements->upto + stage->pace.size);
	int			runs = choose_runs(stage, redo, limit);

	return settlements->alone ? settlements->upto :
		Max(runs, settlements->upto);
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

/* The messages of an attempt went well. */
static void
note_success(KeStage *stage, Redo *redo, const Attempt *attempt)
{
	int			count = attempt->done;

	ke_pace_succeeded(&stage->pace, attempt->effects.done,
					  attempt->count - attempt->settlements->upto >=
					  stage->pace.size,
					  stage->sub->options.batch_size);
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
	if (stage->phantoms >= PHANTOMS)
		stage->pace.size = 1;
}

/*
 * An attempt at count messages failed: find the part that fails, or decide
 * about the message that failed alone.
 */
static KeBatchOutcome
note_failure(KeEngine *engine, KeStage *stage, Redo *redo, Attempt *attempt)
{
	KeFailure  *fail = attempt->effects.fail;
	bool		timed_out = attempt->effects.timed_out;
	KeVerdict	verdict = ke_classify(fail->sqlstate, timed_out);

	if (fail->sqlstate == ERRCODE_QUERY_CANCELED && !timed_out &&
		engine->should_stop())
		return KE_BATCH_CANCELLED;
	if (attempt->effects.count == 0)
	{
		ke_stage_wait_for_database(stage, fail);
		return KE_BATCH_WAIT;
	}
	if (failed_alone(stage, attempt))
	{
		redo->culprit = -1;
		redo->suspects = 0;
		return ke_settlement_judge(engine, attempt->settlements,
								   &attempt->effects, attempt->count == 1 ?
								   0 : attempt->at);
	}
	if (verdict == KE_VERDICT_AGAIN && stage->repeats < KE_ROUTE_REPEATS)
	{
		stage->repeats++;
		if (attempt->settlements->count > 0)
			return KE_BATCH_PROGRESS;
		stage->not_before = ke_contention_pause(stage->repeats);
		return KE_BATCH_WAIT;
	}
	if (verdict == KE_VERDICT_NOBODY &&
		fail->sqlstate != ERRCODE_OUT_OF_MEMORY)
	{
		if (attempt->settlements->count > 0)
		{
			/* the message that failed before is not to wait for these */
			attempt->settlements->alone = true;
			return KE_BATCH_PROGRESS;
		}
		ke_stage_wait_for_database(stage, fail);
		return KE_BATCH_WAIT;
	}
	stage->repeats = 0;
	redo->culprit = attempt->at;
	redo->suspects = attempt->at >= 0 ? 0 : attempt->count;
	return KE_BATCH_PROGRESS;
}

/* It is committed. */
static void
finish_attempt(KeEngine *engine, Attempt *attempt)
{
	KeStage    *stage = attempt->effects.stage;
	int			i;

	ke_settlement_note(engine, stage, attempt->settlements,
					   attempt->effects.done > 0);
	if (attempt->effects.count < attempt->count)
		note_waiting(engine, stage, attempt->done);
	if (attempt->returned > 0)
		ke_returned_report(engine, stage, attempt->done);
	ke_progress_commit(engine, attempt->progress, stage, attempt->done);
	if (attempt->effects.count < attempt->count)
		for (i = 0; i < attempt->progress->nparts; i++)
			ke_ordered_settle(engine, attempt->progress->parts[i]);
}

/*
 * Nothing runs until something changes: look whether it did, and try what
 * came behind the message that failed last.
 */
static KeBatchOutcome
wait_for_change(KeEngine *engine, KeStage *stage)
{
	KeProbeResult result;

	ke_breaker_recheck_look(engine, stage);
	result = ke_probe_run(engine, stage, 0);
	if (result == KE_PROBE_CANCELLED)
		return KE_BATCH_CANCELLED;
	if (result == KE_PROBE_NOTHING)
		ke_partition_wait_for_breaker(engine, stage, 0);
	return KE_BATCH_PROGRESS;
}

/*
 * How many messages may run now, of those that wait; 0: none, and *outcome
 * may be set.
 */
static int
admit(KeEngine *engine, KeStage *stage, KeBatchOutcome *outcome)
{
	KeBreakerTurn turn = ke_circuit_ask(&stage->circuit,
										ke_clock_now());

	switch (turn.go)
	{
		case KE_BREAKER_RUN:
			break;
		case KE_BREAKER_TRY:
			ke_stage_bring_forward(stage, turn.after_partition);
			return 1;
		case KE_BREAKER_WAIT:
			if (turn.ask_at == 0)
				*outcome = wait_for_change(engine, stage);
			else
				ke_partition_wait_for_breaker(engine, stage, turn.ask_at);
			return 0;
	}
	if (stage->probing)
		ke_probe_forget(engine, stage);
	stage->halted = NULL;
	return Min(ke_settlement_is_shared(stage) ?
			   Max(stage->pace.size, KE_SETTLEMENTS) : stage->pace.size,
			   stage->count);
}

/*
 * Choose its messages; false: they turned out to be somebody else's, or the
 * database is in trouble.
 */
static bool
begin_attempt(KeEngine *engine, KeStage *stage, Attempt *attempt,
			  const Redo *redo, int left)
{
	int			count = choose_count(stage, redo, attempt->settlements, left);

	attempt->count = cut_before_careful(stage, count);
	if (!ke_returned_judge(engine, stage, attempt->settlements->upto,
						   attempt->count, &attempt->returned))
		return false;
	return stage->parts[stage->head]->careful == 0 ||
		attempt->settlements->count > 0 || announce(engine, stage);
}

static bool
is_over(KeMoment started)
{
	return ke_clock_now() - started >=
		KE_EFFECTS_MS * INT64CONST(1000);
}

/*
 * Process what waits in the stage, up to the size that goes well at present.
 */
KeBatchOutcome
ke_batch_run(KeEngine *engine, KeStage *stage)
{
	KeMoment	started = ke_clock_now();
	KeBatchOutcome outcome = KE_BATCH_PROGRESS;
	Redo		redo = {-1, 0};
	Attempt		attempt = {.effects.stage = stage};
	int			left;
	int			waited;

	attempt.settlements = ke_settlement_make(stage);
	left = admit(engine, stage, &outcome);
	left = ke_schema_wait_check(engine, stage, left);
	waited = stage->count;
	if (left > 0)
		ke_ordered_look_at_keys(engine, stage);
	attempt.progress = ke_progress_make(engine);
	while (left > 0 && outcome == KE_BATCH_PROGRESS &&
		   (attempt.settlements->count > 0 || !is_over(started)))
	{
		if (attempt.settlements->count > 0 && is_over(started))
			attempt.settlements->alone = true;
		if (!begin_attempt(engine, stage, &attempt, &redo, left))
			break;
		run_transaction(engine, &attempt);
		if (engine->extension_gone)
			break;
		if (attempt.effects.committed)
		{
			bool		ask_again = attempt.settlements->alone;

			outcome = attempt.settlements->then;
			if (attempt.effects.done > 0)
				ke_circuit_succeeded(&stage->circuit);
			note_success(stage, &redo, &attempt);
			left -= attempt.done;
			finish_attempt(engine, &attempt);
			if (ask_again)
				break;
		}
		else if (attempt.effects.fail != NULL)
		{
			outcome = note_failure(engine, stage, &redo, &attempt);
			if (attempt.settlements->count == 0 && stage->count > 0 &&
				outcome != KE_BATCH_CANCELLED)
				withdraw(engine, stage->parts[stage->head]);
		}
		else
		{
			ke_progress_give_up(engine, attempt.progress);
			break;
		}
	}
	if (waited > stage->count)
		ke_stage_note_speed(stage, waited - stage->count,
							ke_clock_now() - started);
	return outcome;
}

/* In a transaction: move positions over what follows the last message. */
static void
store_ends(KeEngine *engine, void *argument)
{
	if (!ke_progress_store(engine, (KeProgress *) argument))
		ke_progress_raise();
}

/*
 * Partitions whose end was reached while nothing of them waits: the control
 * records behind the last message count as processed.
 */
void
ke_batch_ends(KeEngine *engine)
{
	KeProgress *progress = NULL;
	KeFailure  *fail;
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->end < 0 || part->stage == NULL || part->stage->count > 0)
			continue;
		if (progress == NULL)
			progress = ke_progress_make(engine);
		if (part->end > part->pos.next && part->has_row)
		{
			progress->parts[progress->nparts] = part;
			progress->newer[progress->nparts] = part->pos;
			progress->newer[progress->nparts].next = part->end;
			progress->nparts++;
		}
		part->end = -1;
		engine->commit_at = ke_clock_now();
	}
	if (progress == NULL || progress->nparts == 0)
		return;
	if (ke_transact(engine, store_ends, progress, false, &fail))
	{
		for (i = 0; i < progress->nparts; i++)
			progress->parts[i]->pos = progress->newer[i];
	}
	else if (progress->lost != NULL)
		ke_progress_give_up(engine, progress);
}
