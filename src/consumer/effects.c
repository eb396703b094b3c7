/*
 * effects.c
 *	  Messages into effects: inspector, rows and handler, in one transaction.
 *
 * Rows and handler calls of a range of messages are one top-level
 * transaction, without subtransactions: what user code leaves behind in a
 * released subtransaction would hit messages that are good.  Where the
 * messages come from, and what else the transaction does, is the caller's.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/effects.h"
#include "core/clock.h"
#include "core/testing.h"
#include "core/throttle.h"
#include "session/attempt.h"
#include "session/guard.h"
#include "session/lock_wait.h"
#include "session/session.h"
#include "session/xact.h"
#include "shm/metrics.h"
#include "state/position_work.h"

/*
 * How long a transaction waits for one lock, while no other topic is served:
 * longer as tries were in vain.
 */
#define LOCK_WAIT_FIRST_MS 1000
#define LOCK_WAIT_LAST_MS 5000

/* Rows are written ahead of the handler's calls for about this long. */
#define CHUNK_MS 50

static long
elapsed_ms(KeMoment since)
{
	return (long) ((ke_clock_now() - since) / 1000);
}

/* What is processed together: messages, or what they are taken apart into. */
typedef struct Units
{
	KeMessage **msgs;
	int			count;
	const int  *places;			/* whose each is, as an index of the effects'
								 * messages; NULL: all are messages */
	int			first;			/* the index of the first one then */
} Units;

/* -1: of none of them. */
static void
set_at(KeEffects *effects, const Units *units, int i)
{
	effects->element = i < 0 ? 0 : units->msgs[i]->element;
	if (i < 0)
		effects->at = -1;
	else
		effects->at = units->places != NULL ? units->places[i] :
			units->first + i;
}

/* Refuse what is not to be processed at all. */
static void
inspect(KeEffects *effects, const Units *units)
{
	int			i;

	for (i = 0; i < units->count; i++)
	{
		set_at(effects, units, i);
		ke_inspect_check(effects->stage->inspector, units->msgs[i]);
	}
	set_at(effects, units, -1);
}

/* Does a handler get what the sink skips? */
static bool
is_taken_raw(const KeStage *stage)
{
	return stage->sub->handler_argument == KE_ARG_MESSAGE ||
		stage->sub->handler_argument == KE_ARG_BATCH;
}

/*
 * Where messages of all partitions write the same rows, and rows repeat within
 * one batch, the batches of other consumers have these rows, too.
 */
static void
enter(void *argument, bool repeats)
{
	KeStage    *stage = (KeStage *) argument;

	ke_contention_enter(&stage->contention, stage->sub,
						repeats && stage->rows_are_shared);
}

/* Does the sink say when rows are to be locked?  It writes but once then. */
static bool
enters_late(const KeStage *stage)
{
	return stage->sink != NULL && stage->handler == NULL &&
		stage->splitter == NULL;
}

/* Which table each row goes to. */
static void
ask_for_tables(KeEffects *effects, const Units *units)
{
	int			i;

	for (i = 0; i < units->count; i++)
	{
		set_at(effects, units, i);
		ke_table_router_ask(effects->stage->router, units->msgs[i], i);
	}
	set_at(effects, units, -1);
}

static void
write_rows(KeEffects *effects, const Units *units)
{
	KeStage    *stage = effects->stage;
	volatile int at = -1;

	if (stage->sink != NULL)
		ke_sink_set_gate(stage->sink, enters_late(stage) ? enter : NULL,
						 stage);
	ke_guard_enter(0);			/* the table may have triggers */
	PG_TRY();
	{
		if (stage->router != NULL)
			effects->rows += ke_table_router_write(stage->router, units->msgs,
												   units->count, &at);
		else
			effects->rows += ke_sink_write(stage->sink, units->msgs,
										   units->count, &at);
		if (!is_taken_raw(stage))
			effects->skipped += stage->router != NULL ?
				ke_table_router_skipped(stage->router) :
				ke_sink_skipped(stage->sink);
	}
	PG_CATCH();
	{
		set_at(effects, units, at);
		ke_guard_failed();
		PG_RE_THROW();
	}
	PG_END_TRY();
	ke_guard_leave();
}

static void
call_handler(KeEffects *effects, const Units *units)
{
	KeStage    *stage = effects->stage;
	int			i;

	if (stage->sub->handler_argument == KE_ARG_BATCH)
	{
		set_at(effects, units, units->count == 1 ? 0 : -1);
		ke_handler_call_batch(stage->handler, units->msgs, units->count);
	}
	else
	{
		for (i = 0; i < units->count; i++)
		{
			set_at(effects, units, i);
			KE_CRASH_POINT("in_handler");
			if (ke_handler_call(stage->handler, units->msgs[i]) ||
				ke_stage_writes_rows(stage))
				continue;
			effects->skipped++;
			units->msgs[i]->left = true;
		}
	}
	set_at(effects, units, -1);
}

/* A message is skipped if nothing of it has an effect. */
static void
note_touched(KeEffects *effects, const Units *units)
{
	int			i;

	for (i = 0; i < units->count; i++)
	{
		if (units->places[i] == effects->touched_last ||
			(units->msgs[i]->left && !is_taken_raw(effects->stage)))
			continue;
		effects->touched_last = units->places[i];
		effects->touched++;
	}
}

static void
process_units(KeEffects *effects, const Units *units)
{
	KeStage    *stage = effects->stage;

	if (stage->inspector != NULL)
		inspect(effects, units);
	if (stage->router != NULL)
		ask_for_tables(effects, units);
	if (ke_stage_writes_rows(stage))
		write_rows(effects, units);
	if (stage->handler != NULL)
		call_handler(effects, units);
}

/* Messages from..upto - 1, piece by piece: one alone may hold millions. */
static void
process_parts(KeEffects *effects, int from, int upto)
{
	KeSplitter *splitter = effects->stage->splitter;

	while (from < upto)
	{
		Units		units = {splitter->msgs, 0, splitter->places, 0};

		from = ke_split_take(splitter, effects->msgs, from, upto,
							 &effects->at);
		units.count = splitter->count;
		if (units.count == 0)
			continue;
		process_units(effects, &units);
		note_touched(effects, &units);
	}
	effects->skipped = upto - effects->touched;
}

/* Forget what an earlier transaction counted. */
static void
reset_counts(KeStage *stage)
{
	if (stage->sink != NULL)
	{
		ke_unmatched_reset(ke_sink_unmatched(stage->sink));
		*ke_sink_stripped(stage->sink) = 0;
	}
	if (stage->router != NULL)
		ke_table_router_reset_counts(stage->router);
	if (stage->handler != NULL)
	{
		ke_unmatched_reset(ke_handler_unmatched(stage->handler));
		*ke_handler_stripped(stage->handler) = 0;
	}
}

/*
 * Rows, then the handler, chunk by chunk, so that a slow handler can be
 * stopped after KE_EFFECTS_MS with rows written for what it has seen only.
 */
static void
process(KeEffects *effects)
{
	KeStage    *stage = effects->stage;
	KeMoment	started = ke_clock_now();
	bool		by_chunks = stage->handler != NULL &&
	stage->sub->handler_argument != KE_ARG_BATCH;
	int			chunk = by_chunks ? 1 : effects->count;

	reset_counts(stage);
	if (stage->inspector != NULL)
		ke_inspect_begin(stage->inspector);
	if (stage->handler != NULL)
		ke_handler_begin(stage->handler);
	if (stage->router != NULL)
		ke_table_router_begin(stage->router);
	if (stage->splitter != NULL)
		ke_split_begin(stage->splitter);
	while (effects->done < effects->count)
	{
		int			upto = Min(effects->done + chunk, effects->count);
		KeMoment	chunk_started = ke_clock_now();

		if (stage->splitter != NULL)
			process_parts(effects, effects->done, upto);
		else
		{
			Units		units = {effects->msgs + effects->done,
			upto - effects->done, NULL, effects->done};

			process_units(effects, &units);
		}
		effects->done = upto;
		if (elapsed_ms(started) >= KE_EFFECTS_MS)
			break;
		if (elapsed_ms(chunk_started) < CHUNK_MS)
			chunk = Min(chunk * 2, effects->count);
		else
			chunk = Max(chunk / 2, 1);
	}
}

/* Context for errors that are raised while a message is at work. */
static void
add_context(void *argument)
{
	KeEffects  *effects = (KeEffects *) argument;

	if (effects->at >= 0)
	{
		if (effects->element > 0)
			errcontext("%s %d of the message",
					   ke_split_noun(effects->stage->splitter->by),
					   effects->element);
		errcontext("%s", ke_message_describe(effects->msgs[effects->at]));
	}
	else
		errcontext("messages of topic \"%s\"", effects->stage->sub->topic);
}

typedef struct Transaction
{
	KeEngine   *engine;
	KeEffects  *effects;
	const KeEffectsFrame *frame;
} Transaction;

/* From begin to commit. */
static void
transact(void *argument)
{
	Transaction *transaction = (Transaction *) argument;
	KeEngine   *engine = transaction->engine;
	KeEffects  *effects = transaction->effects;
	const KeEffectsFrame *frame = transaction->frame;

	if (!ke_xact_begin())
	{
		engine->extension_gone = true;
		return;
	}
	ke_lock_wait_begin(Min(Max(effects->stage->backoff_ms,
							   LOCK_WAIT_FIRST_MS), LOCK_WAIT_LAST_MS));
	if (frame->before != NULL &&
		!frame->before(engine, effects, frame->argument))
	{
		ke_xact_abort();
		return;
	}
	if (effects->count > 0)
	{
		if (!enters_late(effects->stage))
			enter(effects->stage, false);
		process(effects);
	}
	KE_CRASH_POINT("before_commit");
	if (!frame->after(engine, effects, frame->argument))
	{
		ke_xact_abort();
		return;
	}
	ke_xact_commit();
	effects->committed = true;
}

/*
 * Messages whose fields nobody takes.  Where rows are written and the handler
 * takes rows too, most are counted by both.
 */
static void
count_unmatched(KeStage *stage, KeMetricsDelta *delta)
{
	KeUnmatched none = {0};
	KeUnmatched *rows = stage->sink != NULL ?
		ke_sink_unmatched(stage->sink) : stage->router != NULL ?
		ke_table_router_unmatched(stage->router) : &none;
	KeUnmatched *calls = stage->handler != NULL ?
		ke_handler_unmatched(stage->handler) : &none;

	delta->counters.unmatched = Max(rows->count, calls->count);
	if (delta->counters.unmatched == 0)
	{
		stage->mismatches = false;
		return;
	}
	delta->fields = rows->count > 0 ?
		ke_unmatched_describe(rows, "columns") :
		ke_unmatched_describe(calls, "attributes of the handler's argument");
	if (stage->mismatches)
		return;
	stage->mismatches = true;
	if (ke_throttle_allows(psprintf("unmatched %s", stage->topic)))
		ereport(LOG,
				(errmsg("topic \"%s\": messages have none of the fields that are taken",
						stage->sub->topic),
				 errhint("See status_reason in view kafka_subscriptions.")));
}

/* Likewise, where NULs were taken out. */
static int64
count_stripped(KeStage *stage)
{
	int64		rows = stage->sink != NULL ?
		*ke_sink_stripped(stage->sink) : stage->router != NULL ?
		ke_table_router_stripped(stage->router) : 0;
	int64		calls = stage->handler != NULL ?
		*ke_handler_stripped(stage->handler) : 0;

	return Max(rows, calls);
}

/* One addition to shared memory per transaction, whatever its size. */
static void
count_effects(const KeEngine *engine, const KeEffects *effects,
			  KeMoment started)
{
	KeMetricsDelta delta = {0};
	TimestampTz now = GetCurrentTimestamp();

	if (effects->done == 0)
		return;
	for (int i = 0; i < effects->done; i++)
		ke_metrics_count(&delta, effects->msgs[i], now);
	delta.counters.succeeded = effects->done - effects->skipped;
	delta.counters.skipped = effects->skipped;
	delta.counters.rows = effects->rows;
	delta.counters.batches = 1;
	delta.counters.processing_us = ke_clock_now() - started;
	delta.counters.stripped = count_stripped(effects->stage);
	count_unmatched(effects->stage, &delta);
	ke_metrics_add(engine->database, effects->stage->sub->oid, &delta);
}

/* What was waited for, instead of the cancel. */
static void
explain_lock_wait(KeEngine *engine, KeEffects *effects)
{
	char	   *lock = ke_lock_wait_describe();

	effects->fail = ke_failure_make(engine->scratch, ERRCODE_QUERY_CANCELED,
									"waited in vain for %s",
									lock);
}

/* The reason says which part of the message is at fault. */
static void
name_element(KeEngine *engine, KeEffects *effects)
{
	MemoryContext old = MemoryContextSwitchTo(engine->scratch);
	KeFailure  *fail = effects->fail;

	fail->message = psprintf("%s %d: %s",
							 ke_split_noun(effects->stage->splitter->by),
							 effects->element,
							 fail->message == NULL ? "" : fail->message);
	MemoryContextSwitchTo(old);
}

/* Does the failure name what stands in the user's own functions? */
static void
compare_sources(const KeStage *stage, KeFailure *fail)
{
	if (stage->handler != NULL)
		ke_failure_compare_source(fail, ke_handler_source(stage->handler));
	if (stage->router != NULL)
		ke_failure_compare_source(fail,
								  ke_table_router_source(stage->router));
}

void
ke_effects_transact(KeEngine *engine, KeEffects *effects,
					const KeEffectsFrame *frame)
{
	KeMoment	started = ke_clock_now();
	Transaction transaction = {engine, effects, frame};
	ErrorContextCallback context;

	effects->at = -1;
	effects->element = 0;
	effects->done = effects->skipped = effects->touched = 0;
	effects->touched_last = -1;
	effects->rows = 0;
	effects->committed = false;
	context.callback = add_context;
	context.arg = effects;
	context.previous = error_context_stack;
	error_context_stack = &context;
	MemoryContextSwitchTo(engine->scratch);
	if (engine->role == KE_ROLE_MAIN)
		ke_position_work_set(engine->key.group_id, effects->stage->topic);
	effects->fail = ke_attempt(transact, &transaction);
	ke_position_work_set(NULL, NULL);
	ke_lock_wait_end();
	effects->timed_out = effects->fail != NULL && ke_handler_timed_out();
	if (effects->fail != NULL && effects->element > 0)
		name_element(engine, effects);
	if (effects->fail != NULL)
		compare_sources(effects->stage, effects->fail);
	error_context_stack = context.previous;
	if (effects->committed)
		count_effects(engine, effects, started);
	if (effects->stage->sink != NULL)
		ke_sink_end(effects->stage->sink);
	if (effects->stage->router != NULL)
		ke_table_router_end(effects->stage->router);
	ke_session_reset();
	if (effects->count == 0 || !(effects->committed || effects->fail))
		return;
	ke_contention_note(&effects->stage->contention, effects->stage->sub,
					   effects->fail);
	if (effects->fail != NULL && !effects->timed_out &&
		effects->fail->sqlstate == ERRCODE_QUERY_CANCELED &&
		ke_lock_wait_cancelled())
		explain_lock_wait(engine, effects);
}
