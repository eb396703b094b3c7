/*
 * retry_run.c
 *	  One parked message is run again.
 *
 * A message that ends its process must not do so for ever.  So after unclean
 * ends each is announced before it runs: its tries are counted, durably, in
 * its row.  One that has been announced too often becomes a dead letter.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/progress.h"
#include "consumer/retry_run.h"
#include "core/testing.h"

#define TRIES_MAX 3

/* In a transaction: have the row, in engine->scratch, if it may be run now. */
static bool
lock_row(KeEngine *engine, KeRetryRun *parked)
{
	MemoryContext old = MemoryContextSwitchTo(engine->scratch);
	KeRetry    *retry = parked->retry;

	parked->locked = ke_retries_lock(&engine->key, retry) &&
		(retry->ordering != KE_ORDER_NONE ||
		 retry->due_at <= GetCurrentTimestamp());
	parked->msg = &retry->msg;
	MemoryContextSwitchTo(old);
	return parked->locked;
}

/* Begin of the message's transaction. */
static bool
take_row(KeEngine *engine, KeEffects *effects, void *argument)
{
	KeRetryRun *parked = (KeRetryRun *) argument;

	if (!lock_row(engine, parked))
		return false;
	ke_retries_delete(parked->retry);
	effects->msgs = &parked->msg;
	effects->count = 1;
	return true;
}

/* End of it. */
static bool
finish_row(KeEngine *engine, KeEffects *effects, void *argument)
{
	KeRetryRun *parked = (KeRetryRun *) argument;

	parked->refused = !parked->fence(engine, parked->argument);
	return !parked->refused;
}

/* ------------------------------------------------------------ what failed */

/* Its next run, in the same row. */
static void
put_off(KeEngine *engine, KeRetryRun *parked)
{
	KeRetry    *retry = parked->retry;

	retry->msg.attempt++;
	retry->tries = 0;
	retry->sqlstate = parked->culprit.fail->sqlstate;
	retry->due_at =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									parked->culprit.route.delay_ms);
	ke_retries_update(&engine->key, retry);
	parked->result = KE_PARKED_PUT_OFF;
}

/* In a transaction. */
static void
write_route(KeEngine *engine, void *argument)
{
	KeRetryRun *parked = (KeRetryRun *) argument;

	parked->result = KE_PARKED_ELSEWHERE;
	if (!lock_row(engine, parked))
		return;
	parked->result = KE_PARKED_DONE;
	parked->culprit.msg = parked->msg;
	if (parked->culprit.route.kind == KE_ROUTE_RETRY &&
		parked->retry->ordering != KE_ORDER_NONE)
		put_off(engine, parked);
	else
	{
		ke_retries_delete(parked->retry);
		ke_routing_write(engine, &parked->culprit);
	}
	parked->refused = !parked->fence(engine, parked->argument);
	if (parked->refused)
		ke_progress_raise();
}

/*
 * In a transaction: a message that was tried in vain while the breaker is
 * half-open lets others that are due be tried before it.
 */
static void
write_turn(KeEngine *engine, void *argument)
{
	KeRetryRun *parked = (KeRetryRun *) argument;

	if (!lock_row(engine, parked))
		return;
	parked->retry->due_at = GetCurrentTimestamp();
	ke_retries_update(&engine->key, parked->retry);
}

static KeBatchOutcome
settle(KeEngine *engine, KeRetryRun *parked)
{
	KeFailure  *fail;

	KE_CRASH_POINT("before_routing");
	if (!ke_transact(engine, write_route, parked, false, &fail))
	{
		parked->result = KE_PARKED_UNDECIDED;
		if (parked->refused)
			return KE_BATCH_PROGRESS;
		ke_stage_wait_for_database(parked->stage, fail);
		return KE_BATCH_WAIT;
	}
	if (parked->result != KE_PARKED_ELSEWHERE)
		ke_routing_done(engine, &parked->culprit);
	return KE_BATCH_PROGRESS;
}

/* Where it came from: copies say so, others are read from there. */
static void
begin_culprit(KeEngine *engine, KeRetryRun *parked)
{
	const char *problem;

	ke_routing_begin(&parked->culprit, parked->stage, parked->msg);
	if (parked->retry->ordering == KE_ORDER_NONE)
		(void) ke_retry_headers_read(parked->msg,
									 engine->server->options.service_name,
									 PG_INT32_MAX, &parked->culprit.origin,
									 &problem);
}

static KeBatchOutcome
judge_culprit(KeEngine *engine, KeRetryRun *parked, const KeEffects *effects)
{
	KeCulprit  *culprit = &parked->culprit;
	KeBatchOutcome outcome;
	KeFailure  *fail;

	parked->result = KE_PARKED_UNDECIDED;
	if (effects->fail->sqlstate == ERRCODE_QUERY_CANCELED &&
		!effects->timed_out && engine->should_stop())
		return KE_BATCH_CANCELLED;
	begin_culprit(engine, parked);
	if (ke_routing_decide(engine, culprit, effects, &outcome))
		return settle(engine, parked);
	if (culprit->held && parked->retry->ordering == KE_ORDER_NONE)
		(void) ke_transact(engine, write_turn, parked, false, &fail);
	return outcome;
}

/* In a transaction: count one more start of the message, before it. */
static void
count_try(KeEngine *engine, void *argument)
{
	KeRetryRun *parked = (KeRetryRun *) argument;

	if (!lock_row(engine, parked))
		return;
	parked->retry->tries++;
	ke_retries_update(&engine->key, parked->retry);
}

/* After unclean ends: true if it may run, else outcome and result are set. */
static bool
announce(KeEngine *engine, KeRetryRun *parked, KeBatchOutcome *outcome)
{
	KeFailure  *fail;

	if (!ke_transact(engine, count_try, parked, true, &fail))
	{
		ke_stage_wait_for_database(parked->stage, fail);
		parked->result = KE_PARKED_UNDECIDED;
		*outcome = KE_BATCH_WAIT;
		return false;
	}
	if (!parked->locked)
	{
		parked->result = KE_PARKED_ELSEWHERE;
		return false;
	}
	if (parked->retry->tries <= TRIES_MAX)
		return true;
	begin_culprit(engine, parked);
	ke_routing_refuse(&parked->culprit,
					  ke_failure_make(engine->scratch, ERRCODE_CRASH_SHUTDOWN,
									  "message ended its process %d times",
									  TRIES_MAX));
	*outcome = settle(engine, parked);
	return false;
}

/* In a transaction: it has run, and stays. */
static void
forget_tries(KeEngine *engine, void *argument)
{
	KeRetryRun *parked = (KeRetryRun *) argument;

	if (!lock_row(engine, parked))
		return;
	parked->retry->tries = 0;
	ke_retries_update(&engine->key, parked->retry);
}

/*
 * What was announced failed, and stays as it was: what waits is not running,
 * whatever ends the process now.
 */
static void
withdraw(KeEngine *engine, KeRetryRun *parked)
{
	KeFailure  *fail;

	if (!ke_transact(engine, forget_tries, parked, true, &fail) &&
		fail != NULL)
		ereport(LOG,
				(errmsg("could not record that a message of topic \"%s\" waits: %s",
						parked->stage->sub->topic,
						ke_failure_describe(fail))));
}

/* One try; sets the result. */
static KeBatchOutcome
run_once(KeEngine *engine, KeRetryRun *parked)
{
	KeEffects	effects = {.stage = parked->stage};
	KeEffectsFrame frame = {take_row, finish_row, parked};

	parked->locked = parked->refused = false;
	ke_effects_transact(engine, &effects, &frame);
	if (effects.committed)
	{
		ke_circuit_succeeded(&parked->stage->circuit);
		parked->result = KE_PARKED_DONE;
		return KE_BATCH_PROGRESS;
	}
	if (effects.fail == NULL)
	{
		parked->result = parked->refused ?
			KE_PARKED_UNDECIDED : KE_PARKED_ELSEWHERE;
		return KE_BATCH_PROGRESS;
	}
	if (parked->locked)
		return judge_culprit(engine, parked, &effects);
	parked->result = KE_PARKED_UNDECIDED;
	ke_stage_wait_for_database(parked->stage, effects.fail);
	return KE_BATCH_WAIT;
}

KeBatchOutcome
ke_retry_run(KeEngine *engine, KeRetryRun *parked)
{
	KeBatchOutcome outcome = KE_BATCH_PROGRESS;

	if (parked->careful && !announce(engine, parked, &outcome))
		return outcome;
	do
		outcome = run_once(engine, parked);
	while (outcome == KE_BATCH_PROGRESS && !engine->extension_gone &&
		   parked->result == KE_PARKED_UNDECIDED && !parked->refused);
	if (parked->careful && parked->result == KE_PARKED_UNDECIDED &&
		!parked->refused && !engine->extension_gone &&
		outcome != KE_BATCH_CANCELLED)
		withdraw(engine, parked);
	if (parked->result == KE_PARKED_DONE ||
		parked->result == KE_PARKED_PUT_OFF)
	{
		parked->stage->backoff_ms = 0;
		ke_slot_count_messages(1);
	}
	return outcome;
}
