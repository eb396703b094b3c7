/*
 * ordered.c
 *	  Order under failures: messages that wait for one that failed.
 *
 * The owner of the partition parks and runs them, and every transaction that
 * does ends with a compare-and-set on the partition's position, moved or not:
 * somebody who has lost the partition cannot run a message that its new owner
 * runs, too.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/breaker_recheck.h"
#include "consumer/ordered.h"
#include "consumer/progress.h"
#include "consumer/retry_run.h"
#include "core/clock.h"
#include "core/guc.h"
#include "session/attempt.h"
#include "session/guard.h"
#include "session/session.h"
#include "shm/metrics.h"
#include "state/retries.h"

/* How long parked messages may keep the queue waiting. */
#define ORDERED_SLICE_MS 500

/* So many waiting messages are looked at when one is to be retried. */
#define LOOK_AHEAD 20

/* A message that the breaker's try found still failing lets others be next. */
#define AFTER_TRY_MS 1000

/* ------------------------------------------------------------ who waits */

void
ke_ordered_load(KeEngine *engine, KePartition *part)
{
	if (part->chains == NULL)
		part->chains = ke_retry_chain_make(engine->context);
	ke_retry_chain_load(part->chains,
						ke_retries_list(&engine->key, part->topic,
										part->partition));
}

static KeRetryChain *
chain_of(const KeStage *stage, const KePartition *part, const KeMessage *msg)
{
	return ke_retry_chain_of_message(part->chains,
									 stage->sub->options.ordering, msg);
}

bool
ke_ordered_must_wait(const KeStage *stage, const KePartition *part,
					 const KeMessage *msg)
{
	return chain_of(stage, part, msg) != NULL;
}

static KeRetry
row_of(const KeStage *stage, KeMessage *msg)
{
	KeRetry		retry = {
		.topic = msg->topic,
		.partition = msg->partition,
		.offset = msg->offset,
		.source = stage->sub->topic,
		.ordering = stage->sub->options.ordering,
		.due_at = DT_NOEND
	};
	int			count;

	(void) ke_message_headers(msg, &count);
	retry.msg = *msg;
	return retry;
}

/* One that is read again, after a seek, keeps its place. */
void
ke_ordered_put(KeEngine *engine, const KeStage *stage,
			   const KePartition *part, KeMessage *msg)
{
	KeRetry		retry;

	if (ke_retry_chain_contains(chain_of(stage, part, msg), msg->offset))
		return;
	retry = row_of(stage, msg);
	ke_retries_put(&engine->key, &retry);
}

void
ke_ordered_note(KeEngine *engine, const KeStage *stage, KePartition *part,
				const KeMessage *msg)
{
	KeRetryChain *chain = chain_of(stage, part, msg);

	if (!ke_retry_chain_contains(chain, msg->offset))
		ke_retry_chain_add(part->chains, chain->id, chain->ordering,
						   msg->offset, DT_NOEND);
}

bool
ke_ordered_keeps(const KeCulprit *culprit)
{
	return culprit->route.kind == KE_ROUTE_RETRY &&
		culprit->stage->sub->options.ordering != KE_ORDER_NONE;
}

/* In a transaction: does the key of a message say which row it writes? */
typedef struct KeyLook
{
	KeStage    *stage;
	KeMessage  *msg;
	volatile bool tells_row;
} KeyLook;

/* A row, of whichever table. */
static void
look_at_row(KeyLook *look, KeMessage *msg)
{
	KeStage    *stage = look->stage;
	KeSink	   *volatile sink = stage->sink;

	if (stage->router != NULL)
		ke_table_router_ask(stage->router, msg, 0);
	ke_guard_enter(0);			/* defaults and domains are user code */
	PG_TRY();
	{
		if (stage->router != NULL)
			sink = ke_table_router_sink(stage->router);
		if (sink != NULL)
			ke_sink_key_tells_row(sink, msg, &look->tells_row);
	}
	PG_CATCH();
	{
		ke_guard_failed();
		PG_RE_THROW();
	}
	PG_END_TRY();
	ke_guard_leave();
}

/* Of a message that is taken apart: of all the rows in it? */
static void
look_at_key(void *argument)
{
	KeyLook    *look = (KeyLook *) argument;
	KeSplitter *splitter = look->stage->splitter;
	volatile int at;
	int			from = 0;

	if (look->stage->router != NULL)
		ke_table_router_begin(look->stage->router);
	if (splitter == NULL)
	{
		look_at_row(look, look->msg);
		return;
	}
	ke_split_begin(splitter);
	while (from < 1 && look->tells_row)
	{
		from = ke_split_take(splitter, &look->msg, from, 1, &at);
		for (int i = 0; i < splitter->count && look->tells_row; i++)
			look_at_row(look, splitter->msgs[i]);
	}
}

/* One that cannot be told of is like those that can. */
static bool
key_tells_row(KeStage *stage, KeMessage *msg)
{
	KeyLook		look = {stage, msg, true};

	(void) ke_attempt_transaction(look_at_key, &look, false);
	if (stage->sink != NULL)
		ke_sink_end(stage->sink);
	if (stage->router != NULL)
		ke_table_router_end(stage->router);
	ke_session_reset();
	return look.tells_row;
}

static bool
next_keys_tell_rows(KeStage *stage)
{
	int			i;

	for (i = stage->head; i < stage->head + Min(stage->count, LOOK_AHEAD); i++)
		if (!key_tells_row(stage, &stage->msgs[i]))
			return false;
	return true;
}

/* The culprit, and the messages of its stage that come next. */
static bool
keys_tell_rows(KeStage *stage, const KeCulprit *culprit)
{
	return key_tells_row(stage, culprit->msg) && next_keys_tell_rows(stage);
}

/* Not after an end of a process that may have been a message's fault. */
void
ke_ordered_look_at_keys(KeEngine *engine, KeStage *stage)
{
	if (stage->keys_looked_at || !ke_stage_writes_rows(stage) ||
		stage->sub->options.on_conflict != KE_CONFLICT_UPDATE ||
		stage->parts[stage->head]->careful > 0)
		return;
	MemoryContextSwitchTo(engine->scratch);
	stage->keys_looked_at = true;
	stage->rows_are_shared = !next_keys_tell_rows(stage);
	ke_metrics_set_keys_differ(engine->database, stage->sub->oid,
							   stage->rows_are_shared);
}

void
ke_ordered_choose(KeEngine *engine, KeCulprit *culprit)
{
	KeStage    *stage = culprit->stage;

	if (culprit->ordering != KE_ORDER_KEY || !ke_stage_writes_rows(stage) ||
		stage->sub->options.on_conflict != KE_CONFLICT_UPDATE ||
		!ke_ordered_keeps(culprit))
		return;
	MemoryContextSwitchTo(engine->scratch);
	if (!stage->keys_differ && !keys_tell_rows(stage, culprit))
	{
		stage->keys_differ = true;
		ereport(LOG,
				(errmsg("topic \"%s\": message keys are not the rows' primary keys, so a partition waits as a whole for a message that is to be retried",
						stage->sub->topic)));
	}
	if (stage->keys_differ)
		culprit->ordering = KE_ORDER_PARTITION;
}

void
ke_ordered_put_culprit(KeEngine *engine, KeCulprit *culprit,
					   KeMoment *due_at)
{
	KeRetry		retry = row_of(culprit->stage, culprit->msg);

	retry.ordering = culprit->ordering;
	retry.msg.attempt = culprit->msg->attempt + 1;
	retry.sqlstate = culprit->fail->sqlstate;
	retry.due_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   culprit->route.delay_ms);
	*due_at = ke_clock_in(culprit->route.delay_ms);
	ke_retries_put(&engine->key, &retry);
}

void
ke_ordered_note_culprit(KeEngine *engine, KePartition *part,
						const KeCulprit *culprit, KeMoment due_at)
{
	KeOrdering	ordering = culprit->ordering;

	ke_retry_chain_add(part->chains, ke_retries_chain(ordering, culprit->msg),
					   ordering, culprit->msg->offset, due_at);
}

/* ---------------------------------------------------------------- fetching */

/* Messages of the stage that wait in the database. */
static int
count_waiting(KeEngine *engine, const KeStage *stage)
{
	int			count = 0;
	int			i;

	for (i = 0; i < engine->nparts; i++)
		if (engine->parts[i]->stage == stage &&
			engine->parts[i]->chains != NULL)
			count += ke_retry_chain_count(engine->parts[i]->chains);
	return count;
}

bool
ke_ordered_holds(KeEngine *engine, KePartition *part)
{
	const char *reason = NULL;

	if (part->stage == NULL || part->chains == NULL ||
		ke_retry_chain_count(part->chains) == 0)
		part->held = false;
	else
	{
		switch (part->stage->sub->options.ordering)
		{
			case KE_ORDER_NONE:
				break;
			case KE_ORDER_KEY:
				if (ke_retry_chain_has_holder(part->chains))
					reason = "waits for a message that is to be retried";
				else if (count_waiting(engine, part->stage) >=
						 ke_guc_max_parked_retries)
					reason = "kafka_events.max_parked_retries messages wait already";
				break;
			case KE_ORDER_PARTITION:
				reason = "waits for a message that is to be retried";
				break;
		}
		part->held = (reason != NULL);
	}
	if (part->status == KE_PARTITION_RUNNING)
		strlcpy(part->reason, reason ? reason : "", sizeof(part->reason));
	return part->held;
}

void
ke_ordered_settle(KeEngine *engine, KePartition *part)
{
	bool		held = part->held;

	if (part->status != KE_PARTITION_RUNNING ||
		ke_ordered_holds(engine, part) == held)
		return;
	if (part->held)
		ke_partition_hold(engine, part);
	else
		part->fetch_from = part->pos.next;	/* partition_start.c resumes it */
}

/* --------------------------------------------------------------- one chain */

/* As the last act of its transaction: the partition is still ours. */
static bool
touch(KeEngine *engine, void *argument)
{
	return ke_progress_store(engine, (KeProgress *) argument);
}

/* Run the first of the chain. */
static KeBatchOutcome
run_first(KeEngine *engine, KePartition *part, KeRetryChain *chain)
{
	KeRetry		retry = {
		.topic = part->topic,
		.partition = part->partition,
		.offset = chain->offsets[chain->head]
	};
	KeRetryRun	parked = {
		.stage = part->stage,
		.retry = &retry,
		.careful = part->careful > 0,
		.fence = touch,
		.argument = ke_progress_make(engine)
	};
	KeBatchOutcome outcome;

	ke_progress_touch(parked.argument, part);
	outcome = ke_retry_run(engine, &parked);
	if (parked.refused)
	{
		ke_progress_give_up(engine, parked.argument);
		return outcome;
	}
	switch (parked.result)
	{
		case KE_PARKED_DONE:
			ke_progress_commit(engine, parked.argument, part->stage, 0);
			ke_retry_chain_shift(part->chains, chain);
			break;
		case KE_PARKED_PUT_OFF:
			ke_progress_commit(engine, parked.argument, part->stage, 0);
			ke_retry_chain_put_off(part->chains, chain,
								   ke_clock_from_wall(retry.due_at));
			break;
		case KE_PARKED_ELSEWHERE:
			/* somebody deleted the row */
			ke_retry_chain_shift(part->chains, chain);
			break;
		case KE_PARKED_UNDECIDED:
			ke_retry_chain_put_off(part->chains, chain,
								   ke_clock_in(AFTER_TRY_MS));
			break;
	}
	ke_ordered_settle(engine, part);
	return outcome;
}

/* ------------------------------------------------------------- all of them */

static bool
has_due(const KeStage *stage, const KePartition *part, KeMoment now)
{
	return part->stage == stage && part->status == KE_PARTITION_RUNNING &&
		part->chains != NULL && ke_retry_chain_due_at(part->chains) <= now;
}

/* The next partition after this one in number with something due, or NULL. */
static KePartition *
next_due(KeEngine *engine, const KeStage *stage, int32 after,
		 KeMoment now)
{
	KePartition *first = NULL;
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (!has_due(stage, part, now))
			continue;
		if (part->partition > after)
			return part;
		if (first == NULL)
			first = part;
	}
	return first;
}

KeBatchOutcome
ke_ordered_run(KeEngine *engine, KeStage *stage)
{
	KeMoment	started = ke_clock_now();
	KeBatchOutcome outcome = KE_BATCH_PROGRESS;
	int32		after = -1;

	while (outcome == KE_BATCH_PROGRESS && !engine->extension_gone &&
		   ke_clock_now() - started < ORDERED_SLICE_MS * 1000)
	{
		KeMoment	now = ke_clock_now();
		KeBreakerTurn turn;
		KePartition *part = next_due(engine, stage, after, now);
		KeRetryChain *chain;

		if (part == NULL)
			break;
		after = part->partition;
		chain = ke_retry_chain_next(part->chains, now);
		if (chain == NULL)
			continue;			/* its due time was out of date */
		turn = ke_circuit_ask(&stage->circuit, now);
		if (turn.go == KE_BREAKER_WAIT)
		{
			if (turn.ask_at == 0)
				ke_breaker_recheck_look(engine, stage);
			ke_partition_wait_for_breaker(engine, stage, turn.ask_at);
			return KE_BATCH_WAIT;
		}
		outcome = run_first(engine, part, chain);
		if (turn.go == KE_BREAKER_TRY)
			break;
	}
	return outcome;
}

KeMoment
ke_ordered_at(KeEngine *engine, const KeStage *stage)
{
	KeMoment	at = DT_NOEND;
	int			i;

	if (ke_partition_obstacle(stage) != NULL)
		return DT_NOEND;
	for (i = 0; i < engine->nparts; i++)
	{
		const KePartition *part = engine->parts[i];

		if (part->stage == stage && part->chains != NULL &&
			part->status == KE_PARTITION_RUNNING)
			at = Min(at, ke_retry_chain_due_at(part->chains));
	}
	return at == DT_NOEND ? at : Max(at, stage->not_before);
}
