/*
 * retry_due.c
 *	  Parked messages of the retry topics, when they are due.
 *
 * Any retry consumer runs any of them.  A message that ends its process is in
 * no partition that could stop, so a retry consumer has a position of its
 * own, of a partition that does not exist: claimed at its start, and clean
 * again with the first message that ran.  After unclean claims messages are
 * announced before they run (see retry_run.c).
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/breaker_recheck.h"
#include "consumer/retry_due.h"
#include "consumer/retry_run.h"
#include "core/clock.h"

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

/* The topic of the position that is a process's own: no topic's name. */
#define RUNNER_TOPIC ""

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
	if (!ke_positions_claim(&engine->key, runner, true, CLAIM_LOCK_TIMEOUT_MS))
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
store_runner(KeEngine *engine, void *argument)
{
	KePosition *newer = (KePosition *) argument;
	KePosition *old = &engine->runner;
	int			unclean = engine->runner_careful > 0 ? 1 : 0;

	*newer = *old;
	if (old->unclean == unclean)
		return true;
	newer->unclean = unclean;
	if (ke_positions_advance(&engine->key, &old, newer, 1) == 1)
		return true;
	engine->has_runner = false;
	return false;
}

static void
release_runner(KeEngine *engine, void *argument)
{
	ke_positions_release(&engine->key, &engine->runner);
}

void
ke_retry_due_release(KeEngine *engine)
{
	KeFailure  *fail;

	if (engine->has_runner &&
		!ke_transact(engine, release_runner, NULL, false, &fail))
		ereport(LOG,
				(errmsg("could not release the position of a retry consumer: %s",
						ke_failure_describe(fail))));
	engine->has_runner = false;
}

/* Run one; true in *worked unless somebody else has it. */
static KeBatchOutcome
run_row(KeEngine *engine, KeStage *stage, KeRetry *retry, bool *worked)
{
	KePosition	newer;
	KeRetryRun	parked = {
		.stage = stage,
		.retry = retry,
		.careful = engine->runner_careful > 0,
		.fence = store_runner,
		.argument = &newer
	};
	KeBatchOutcome outcome = ke_retry_run(engine, &parked);

	if (parked.result == KE_PARKED_DONE)
	{
		engine->runner = newer;
		if (engine->runner_careful > 0)
			engine->runner_careful--;
		if (stage->parked > 0)
			stage->parked--;
	}
	*worked |= parked.result != KE_PARKED_ELSEWHERE;
	return outcome;
}

/* What is due now, found in a transaction. */
typedef struct Look
{
	KeStage    *stage;
	TimestampTz now;
	List	   *rows;			/* in engine->scratch */
	TimestampTz next;
} Look;

static void
look(KeEngine *engine, void *argument)
{
	Look	   *it = (Look *) argument;
	MemoryContext old = MemoryContextSwitchTo(engine->scratch);
	const char *topic = it->stage->sub->topic;

	/* the clock was set back since, or may have been while none of us ran */
	if (it->now < it->stage->looked_at || it->stage->looked_at == 0)
		ke_retries_turn_back(&engine->key, topic, it->now);
	it->rows = ke_retries_due(&engine->key, topic, it->now, DUE_COUNT,
							  &it->next);
	MemoryContextSwitchTo(old);
}

/* May one run, or any number?  False: none for now. */
static bool
admit(KeEngine *engine, KeStage *stage, bool *only_one)
{
	KeBreakerTurn turn = ke_circuit_ask(&stage->circuit,
										ke_clock_now());

	*only_one = turn.go == KE_BREAKER_TRY;
	if (turn.go != KE_BREAKER_WAIT)
		return true;
	if (turn.ask_at == 0)
		ke_breaker_recheck_look(engine, stage);
	ke_partition_wait_for_breaker(engine, stage, turn.ask_at);
	return false;
}

KeBatchOutcome
ke_retry_due_run(KeEngine *engine, KeStage *stage)
{
	KeMoment	started = ke_clock_now();
	Look		it = {
		.stage = stage,
		.now = GetCurrentTimestamp(),
		.next = DT_NOEND
	};
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
	stage->looked_at = it.now;
	foreach(lc, it.rows)
	{
		if (!admit(engine, stage, &only_one))
			return KE_BATCH_WAIT;
		outcome = run_row(engine, stage, (KeRetry *) lfirst(lc), &worked);
		if (outcome != KE_BATCH_PROGRESS || engine->extension_gone ||
			(only_one && worked) ||
			ke_clock_now() - started > DUE_SLICE_MS * 1000)
			break;
	}
	stage->due_at = ke_clock_in(it.rows == NIL ?
												LOOK_INTERVAL_MS :
												worked ? 0 : BUSY_MS);
	stage->due_at = Min(stage->due_at, ke_clock_from_wall(it.next));
	return outcome;
}

KeMoment
ke_retry_due_at(const KeStage *stage)
{
	if (ke_partition_obstacle(stage) != NULL)
		return DT_NOEND;
	return Max(stage->due_at, stage->not_before);
}
