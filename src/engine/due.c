/*
 * due.c
 *	  Parked messages of the retry topics, when they are due.
 *
 * Any retry consumer runs any of them, each in a transaction of its own that
 * begins by locking its row, without waiting for somebody who has it, and
 * ends by deleting it.  What fails gets its next copy, or becomes a dead
 * letter, in the transaction that deletes it.
 *
 * A message that ends its process must not do so for ever, and it is no
 * partition that could stop.  So a retry consumer has a position of its own,
 * of a partition that does not exist: claimed at its start, and clean again
 * with the first message that ran.  After unclean claims each message is
 * announced (its tries are counted, durably) before it runs; one that has
 * been announced too often becomes a dead letter.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "core/testing.h"
#include "db/retries.h"
#include "engine/due.h"
#include "engine/mending.h"
#include "engine/progress.h"
#include "engine/routing.h"

/* Rows looked up at a time, and how long they may keep the queue waiting. */
#define DUE_COUNT 64
#define DUE_SLICE_MS 500

/* Others may park messages and end before they have run. */
#define LOOK_INTERVAL_MS 5000

/* Everything that is due is being run by somebody else. */
#define BUSY_MS 200

#define CLAIM_LOCK_TIMEOUT_MS 2000
#define UNCLEAN_CAREFUL 2
#define CAREFUL_MESSAGES 1000
#define TRIES_MAX 3

/* The topic of the position that is a process's own: no topic's name. */
#define RUNNER_TOPIC ""

typedef struct Run
{
	KeStage    *stage;
	KeRetry    *retry;			/* its key is known; the rest once locked */
	KeMessage  *msg;
	KePosition	runner;			/* the process's position afterwards */
	bool		found;			/* it was there, due and not locked */
	KeCulprit	culprit;
} Run;

/* ----------------------------------------------------- the process itself */

/* In a transaction. */
static void
claim_runner(KeEngine *engine, void *argument)
{
	KePosition *runner = &engine->runner;

	memset(runner, 0, sizeof(*runner));
	runner->topic = RUNNER_TOPIC;
	runner->partition = engine->ordinal;
	runner->trying = KE_OFFSET_NONE;
	runner->committed = KE_OFFSET_NONE;
	runner->last_offset = KE_OFFSET_NONE;
	ItemPointerSetInvalid(&runner->tid);
	if (!ke_positions_claim(&engine->key, runner, CLAIM_LOCK_TIMEOUT_MS))
		ke_positions_insert(&engine->key, runner);
}

static bool
has_runner(KeEngine *engine, KeFailure **fail)
{
	if (engine->has_runner)
		return true;
	if (!ke_transact(engine, claim_runner, NULL, true, fail))
		return false;
	engine->has_runner = true;
	engine->runner_careful = engine->runner.unclean >= UNCLEAN_CAREFUL ?
		CAREFUL_MESSAGES : 0;
	return true;
}

/* In a message's transaction: what it says about this process. */
static bool
store_runner(KeEngine *engine, Run *run)
{
	KePosition *old = &engine->runner;
	int			unclean = engine->runner_careful > 0 ? 1 : 0;

	run->runner = *old;
	if (old->unclean == unclean)
		return true;
	run->runner.unclean = unclean;
	if (ke_positions_advance(&engine->key, &old, &run->runner, 1) == 1)
		return true;
	engine->has_runner = false;
	return false;
}

static void
ran(KeEngine *engine, const Run *run)
{
	engine->runner = run->runner;
	if (engine->runner_careful > 0)
		engine->runner_careful--;
	run->stage->backoff_ms = 0;
	run->stage->repeats = 0;
	if (run->stage->parked > 0)
		run->stage->parked--;
}

static void
release_runner(KeEngine *engine, void *argument)
{
	ke_positions_release(&engine->key, &engine->runner);
}

void
ke_due_release(KeEngine *engine)
{
	KeFailure  *fail;

	if (engine->has_runner &&
		!ke_transact(engine, release_runner, NULL, false, &fail))
		ereport(LOG,
				(errmsg("could not release the position of a retry consumer: %s",
						ke_failure_describe(fail))));
	engine->has_runner = false;
}

/* ---------------------------------------------------------------- one row */

/* In a transaction: have the row, in engine->scratch, if it may be run now. */
static bool
lock_row(KeEngine *engine, Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(engine->scratch);

	run->found = ke_retries_lock(&engine->key, run->retry) &&
		run->retry->due_at <= GetCurrentTimestamp();
	run->msg = &run->retry->msg;
	MemoryContextSwitchTo(old);
	return run->found;
}

/* Begin of the message's transaction. */
static bool
take_row(KeEngine *engine, KeEffects *effects, void *argument)
{
	Run		   *run = (Run *) argument;

	if (!lock_row(engine, run))
		return false;
	ke_retries_delete(run->retry);
	effects->msgs = &run->msg;
	effects->count = 1;
	return true;
}

/* End of it. */
static bool
finish_row(KeEngine *engine, KeEffects *effects, void *argument)
{
	return store_runner(engine, (Run *) argument);
}

/* ------------------------------------------------------------ what failed */

/* In a transaction. */
static void
write_route(KeEngine *engine, void *argument)
{
	Run		   *run = (Run *) argument;

	if (!lock_row(engine, run))
		return;
	ke_retries_delete(run->retry);
	run->culprit.msg = run->msg;
	ke_routing_write(engine, &run->culprit);
	if (!store_runner(engine, run))
		ke_progress_raise();
}

/*
 * In a transaction: a message that was tried in vain while the breaker is
 * half-open lets the others that are due be tried before it.
 */
static void
write_turn(KeEngine *engine, void *argument)
{
	Run		   *run = (Run *) argument;

	if (!lock_row(engine, run))
		return;
	run->retry->due_at = GetCurrentTimestamp();
	ke_retries_update(&engine->key, run->retry);
}

static KeBatchOutcome
settle(KeEngine *engine, Run *run)
{
	KeFailure  *fail;

	KE_CRASH_POINT("before_routing");
	if (!ke_transact(engine, write_route, run, false, &fail))
	{
		ke_stage_wait_for_database(run->stage, fail);
		return KE_BATCH_WAIT;
	}
	if (run->found)
	{
		ke_routing_done(engine, &run->culprit);
		ran(engine, run);
	}
	return KE_BATCH_PROGRESS;
}

/* The row as it was when its message failed, with where that came from. */
static void
begin_culprit(KeEngine *engine, Run *run)
{
	const char *problem;

	ke_routing_begin(&run->culprit, run->stage, run->msg);
	(void) ke_copy_read(run->msg, engine->server->options.service_name,
						PG_INT32_MAX, &run->culprit.trail, &problem);
}

static KeBatchOutcome
judge_culprit(KeEngine *engine, Run *run, const KeEffects *effects)
{
	KeCulprit  *culprit = &run->culprit;
	KeFailure  *fail;

	if (effects->fail->sqlstate == ERRCODE_QUERY_CANCELED &&
		!effects->timed_out && engine->should_stop())
		return KE_BATCH_CANCELLED;
	begin_culprit(engine, run);
	ke_routing_decide(culprit, effects);
	switch (culprit->route.kind)
	{
		case KE_ROUTE_AGAIN:
			return KE_BATCH_PROGRESS;
		case KE_ROUTE_WAIT:
			ke_stage_wait_for_database(run->stage, effects->fail);
			return KE_BATCH_WAIT;
		case KE_ROUTE_RETRY:
		case KE_ROUTE_DEAD:
		case KE_ROUTE_FAILED:
			if (!culprit->held)
				break;
			(void) ke_transact(engine, write_turn, run, false, &fail);
			ke_mending_tried(run->stage);
			ke_assignment_wait_for_breaker(engine, run->stage, 0);
			return KE_BATCH_WAIT;
		case KE_ROUTE_SKIP:
			break;
	}
	return settle(engine, run);
}

/* In a transaction: count one more start of the message, before it. */
static void
count_try(KeEngine *engine, void *argument)
{
	Run		   *run = (Run *) argument;

	if (!lock_row(engine, run))
		return;
	run->retry->tries++;
	ke_retries_update(&engine->key, run->retry);
}

/*
 * After unclean ends.  PROGRESS, and found: it may run; otherwise it is done
 * with, or cannot be now.
 */
static KeBatchOutcome
announce(KeEngine *engine, Run *run)
{
	KeFailure  *fail;

	if (!ke_transact(engine, count_try, run, true, &fail))
	{
		ke_stage_wait_for_database(run->stage, fail);
		run->found = false;
		return KE_BATCH_WAIT;
	}
	if (!run->found || run->retry->tries <= TRIES_MAX)
		return KE_BATCH_PROGRESS;
	begin_culprit(engine, run);
	ke_routing_refuse(&run->culprit,
					  ke_failure_make(engine->scratch, ERRCODE_CRASH_SHUTDOWN,
									  "message ended its process %d times",
									  TRIES_MAX));
	run->found = false;
	return settle(engine, run);
}

/* ----------------------------------------------------------- all of them */

/* Run one; true in *worked unless somebody else has it. */
static KeBatchOutcome
run_row(KeEngine *engine, KeStage *stage, KeRetry *retry, bool *worked)
{
	Run			run = {.stage = stage,.retry = retry};
	KeEffects	effects = {.stage = stage};
	KeEffectsFrame frame = {take_row, finish_row, &run};
	KeBatchOutcome outcome = KE_BATCH_PROGRESS;

	if (engine->runner_careful > 0)
	{
		outcome = announce(engine, &run);
		if (!run.found)
			return outcome;
	}
	do
	{
		ke_effects_transact(engine, &effects, &frame);
		if (effects.committed)
		{
			ke_circuit_succeeded(&stage->circuit);
			ke_slot_count_messages(1);
			ran(engine, &run);
		}
		else if (effects.fail != NULL && run.found)
			outcome = judge_culprit(engine, &run, &effects);
		else if (effects.fail != NULL)
		{
			ke_stage_wait_for_database(stage, effects.fail);
			outcome = KE_BATCH_WAIT;
		}
	} while (effects.fail != NULL && outcome == KE_BATCH_PROGRESS &&
			 run.culprit.route.kind == KE_ROUTE_AGAIN);
	*worked |= run.found;
	return outcome;
}

/* What is due now, found in a transaction. */
typedef struct Look
{
	KeStage    *stage;
	List	   *rows;			/* in engine->scratch */
	TimestampTz next;
} Look;

static void
look(KeEngine *engine, void *argument)
{
	Look	   *it = (Look *) argument;
	MemoryContext old = MemoryContextSwitchTo(engine->scratch);

	it->rows = ke_retries_due(&engine->key, it->stage->sub->topic,
							  GetCurrentTimestamp(), DUE_COUNT, &it->next);
	MemoryContextSwitchTo(old);
}

/* May one run, or any number?  False: none for now. */
static bool
admit(KeEngine *engine, KeStage *stage, bool *only_one)
{
	KeBreakerTurn turn = ke_circuit_ask(&stage->circuit,
										GetCurrentTimestamp());

	*only_one = turn.go == KE_BREAKER_TRY;
	if (turn.go != KE_BREAKER_WAIT)
		return true;
	if (turn.ask_at == 0)
		ke_mending_look(engine, stage);
	ke_assignment_wait_for_breaker(engine, stage, turn.ask_at);
	return false;
}

KeBatchOutcome
ke_due_run(KeEngine *engine, KeStage *stage)
{
	TimestampTz started = GetCurrentTimestamp();
	Look		it = {.stage = stage,.next = DT_NOEND};
	bool		worked = false;
	bool		only_one = false;
	KeBatchOutcome outcome = KE_BATCH_PROGRESS;
	KeFailure  *fail;
	ListCell   *lc;

	if (!has_runner(engine, &fail) ||
		!ke_transact(engine, look, &it, false, &fail))
	{
		ke_stage_wait_for_database(stage, fail);
		return KE_BATCH_WAIT;
	}
	foreach(lc, it.rows)
	{
		if (!admit(engine, stage, &only_one))
			return KE_BATCH_WAIT;
		outcome = run_row(engine, stage, (KeRetry *) lfirst(lc), &worked);
		if (outcome != KE_BATCH_PROGRESS || engine->extension_gone ||
			(only_one && worked) ||
			GetCurrentTimestamp() - started > DUE_SLICE_MS * 1000)
			break;
	}
	stage->due_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												it.rows == NIL ?
												LOOK_INTERVAL_MS :
												worked ? 0 : BUSY_MS);
	stage->due_at = Min(stage->due_at, it.next);
	return outcome;
}

TimestampTz
ke_due_at(const KeStage *stage)
{
	if (ke_assignment_obstacle(stage) != NULL)
		return DT_NOEND;
	return Max(stage->due_at, stage->not_before);
}
