/*
 * retry_store.c
 *	  From the retry topics into kafka_events.retries.
 *
 * Every copy of this service is parked, whether it is due or not, so that no
 * message waits behind another one's delay.  Copies, dead letters for those
 * that cannot be run, and the position are one transaction; no user code
 * runs in it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/progress.h"
#include "consumer/retry_store.h"
#include "consumer/routing.h"
#include "core/clock.h"
#include "core/guc.h"
#include "core/retry.h"
#include "core/testing.h"
#include "core/unix_time.h"
#include "shm/metrics.h"
#include "state/histories.h"
#include "state/retries.h"
#include "shm/metrics.h"
#include "state/retry_dedup.h"

/* Messages per transaction. */
#define PARK_COUNT 500

/* No copy is kept for longer than the longest delay and what clocks differ. */
#define KEEP_MS (2 * KE_RETRY_DELAY_MAX_MS)

/* A broker that stamps copies itself has another clock. */
#define CLOCKS_DIFFER_MS 1000

#define FULL_LOOK_MS 1000
#define FORGET_INTERVAL_MS 600000
#define FORGET_COUNT 10000

typedef struct Parking
{
	KeStage    *stage;
	int			count;			/* messages from the stage's head */
	KeProgress *progress;
	int			parked;
	int			dropped;		/* copies that had come before */
	TimestampTz first_due;
	List	   *refused;		/* of KeCulprit */
	KePast	   *past;			/* NULL: no copy has asked for it yet */
	KeMetricsDelta orphans;
} Parking;

/*
 * One that was written or sent well after now was so by a clock that has been
 * set back since: it waits for its delay, or as long as it was to wait when it
 * was sent.  A copy of ours is written before it is sent: the clock may have
 * been set back between the two.
 */
static TimestampTz
due_time(const KeMessage *msg, const KeOrigin *origin, TimestampTz now)
{
	int64		now_ms = ke_unix_ms(now);
	int64		from_ms = msg->timestamp_ms > now_ms + CLOCKS_DIFFER_MS ?
		msg->timestamp_ms : now_ms;
	int64		wait_ms = Min(Max(origin->due_ms - from_ms, 0), KEEP_MS);

	if (origin->service != NULL && origin->delay_ms >= 0)
		wait_ms = Min(wait_ms, origin->delay_ms);
	return TimestampTzPlusMilliseconds(now, wait_ms);
}

/* The message as its handler is to see it: as it was in its source topic. */
static KeMessage
original_of(KeMessage *msg, const KeOrigin *origin)
{
	KeMessage	original = *msg;

	(void) ke_message_headers(msg, &original.nheaders);
	original.headers = msg->headers;
	original.origin = NULL;
	original.attempt = origin->attempt;
	if (origin->original_topic != NULL && origin->original_partition >= 0 &&
		origin->original_offset >= 0)
	{
		original.topic = origin->original_topic;
		original.partition = origin->original_partition;
		original.offset = origin->original_offset;
	}
	if (origin->original_timestamp >= 0)
		original.timestamp_ms = origin->original_timestamp;
	return original;
}

static void
put(KeEngine *engine, Parking *parking, KeMessage *msg, const KeOrigin *origin,
	TimestampTz now)
{
	KeRetry		retry = {
		.topic = msg->topic,
		.partition = msg->partition,
		.offset = msg->offset,
		.source = parking->stage->sub->topic,
		.ordering = KE_ORDER_NONE,
		.due_at = due_time(msg, origin, now),
		.msg = original_of(msg, origin)
	};

	ke_retries_put(&engine->key, &retry);
	parking->parked++;
	parking->first_due = Min(parking->first_due, retry.due_at);
}

static void
refuse(KeEngine *engine, Parking *parking, KeMessage *msg,
	   const KeOrigin *origin, const char *problem)
{
	MemoryContext old = MemoryContextSwitchTo(engine->scratch);
	KeCulprit  *culprit = (KeCulprit *) palloc(sizeof(KeCulprit));

	ke_routing_begin(culprit, parking->stage, msg);
	culprit->origin = *origin;
	ke_routing_refuse(culprit, ke_failure_make(engine->scratch,
											   ERRCODE_DATA_EXCEPTION,
											   "%s", problem));
	parking->refused = lappend(parking->refused, culprit);
	MemoryContextSwitchTo(old);
	ke_routing_write(engine, culprit);
}

/*
 * Was it sent by a history that this database has left?  That history's
 * message is read again, and has its own retries.
 */
static bool
is_orphan(Parking *parking, KeMessage *msg, TimestampTz now)
{
	KeCopyHistory history;

	if (!ke_retry_headers_read_history(msg, &history))
		return false;
	if (parking->past == NULL)
		parking->past = ke_histories_past();
	if (ke_copy_history_judge(parking->past, &history) != KE_COPY_ORPHAN)
		return false;
	ke_metrics_count(&parking->orphans, msg, now);
	parking->orphans.counters.orphaned++;
	return true;
}

static void
take(KeEngine *engine, Parking *parking, KeMessage *msg, TimestampTz now)
{
	KeOrigin	origin;
	const char *problem;
	KeCopyOwner owner;

	owner = ke_retry_headers_read(msg, engine->server->options.service_name,
								  parking->stage->sub->options.max_retries,
								  &origin,
								  &problem);
	if (owner == KE_COPY_FOREIGN || is_orphan(parking, msg, now))
		return;
	if (origin.copy_id != NULL &&
		!ke_retry_dedup_note(engine->key.group_id,
							 ke_retry_dedup_key(origin.copy_id), NULL, now))
	{
		parking->dropped++;
		return;
	}
	if (owner == KE_COPY_OURS && origin.original_topic != NULL &&
		ke_options_topic_problem(origin.original_topic) != NULL)
	{
		owner = KE_COPY_INVALID;
		problem = "retry message cannot be used: its header x-original-topic is no name of a topic";
	}
	if (owner == KE_COPY_INVALID)
		refuse(engine, parking, msg, &origin, problem);
	else
		put(engine, parking, msg, &origin, now);
}

/* In a transaction. */
static void
park(KeEngine *engine, void *argument)
{
	Parking    *parking = (Parking *) argument;
	KeStage    *stage = parking->stage;
	TimestampTz now = GetCurrentTimestamp();
	int			i;

	for (i = 0; i < parking->count; i++)
		take(engine, parking, &stage->msgs[stage->head + i], now);
	ke_progress_collect(parking->progress, stage, parking->count);
	KE_CRASH_POINT("in_parking");
	if (!ke_progress_store(engine, parking->progress))
		ke_progress_raise();
}

/* In a transaction. */
static void
count_parked(KeEngine *engine, void *argument)
{
	KeStage    *stage = (KeStage *) argument;

	stage->parked = ke_retries_count(&engine->key, stage->sub->topic,
									 ke_guc_max_parked_retries);
}

static void
report_orphans(const KeEngine *engine, const Parking *parking)
{
	int64		count = parking->orphans.counters.orphaned;

	if (count == 0)
		return;
	ke_metrics_add(engine->database, parking->stage->sub->oid,
				   &parking->orphans);
	ereport(LOG,
			(errmsg("dropped %lld messages of topic \"%s\" that were sent by a history which this database has left",
					(long long) count, parking->stage->topic)));
}

/*
 * Is there room for more?  The number is what this process has seen, so it is
 * counted again before it decides anything.
 */
static bool
has_room(KeEngine *engine, KeStage *stage)
{
	KeFailure  *fail;

	if (stage->parked >= 0 &&
		stage->parked + PARK_COUNT <= ke_guc_max_parked_retries)
		return true;
	if (!ke_transact(engine, count_parked, stage, false, &fail))
	{
		ke_stage_wait_for_database(stage, fail);
		return false;
	}
	if (stage->parked < ke_guc_max_parked_retries)
		return true;
	stage->room_at = ke_clock_in(FULL_LOOK_MS);
	ke_partition_halt(engine, stage,
					  "kafka_events.max_parked_retries messages wait already");
	return false;
}

/* For the metrics, once the transaction has committed. */
static void
count_dropped(KeEngine *engine, const Parking *parking)
{
	KeMetricsDelta delta = {0};

	if (parking->dropped == 0)
		return;
	delta.counters.dropped_copies = parking->dropped;
	ke_metrics_add(engine->database, parking->stage->sub->oid, &delta);
}

KeBatchOutcome
ke_retry_store(KeEngine *engine, KeStage *stage)
{
	Parking		parking = {.stage = stage, .first_due = DT_NOEND};
	KeFailure  *fail;
	ListCell   *lc;

	if (!has_room(engine, stage))
		return KE_BATCH_WAIT;
	stage->halted = NULL;
	parking.count = Min(stage->count, PARK_COUNT);
	parking.progress = ke_progress_make(engine);
	if (ke_transact(engine, park, &parking, false, &fail))
	{
		foreach(lc, parking.refused)
			ke_routing_done(engine, (KeCulprit *) lfirst(lc));
		report_orphans(engine, &parking);
		ke_progress_commit(engine, parking.progress, stage, parking.count);
		count_dropped(engine, &parking);
		stage->parked += parking.parked;
		stage->due_at = Min(stage->due_at,
							ke_clock_from_wall(parking.first_due));
		return KE_BATCH_PROGRESS;
	}
	if (engine->extension_gone)
		return KE_BATCH_PROGRESS;
	if (parking.progress->lost != NULL)
	{
		ke_progress_give_up(engine, parking.progress);
		return KE_BATCH_PROGRESS;
	}
	ke_stage_wait_for_database(stage, fail);
	return KE_BATCH_WAIT;
}

/* In a transaction. */
static void
forget(KeEngine *engine, void *argument)
{
	bool	   *more = (bool *) argument;

	*more = ke_retry_dedup_forget(engine->key.group_id, GetCurrentTimestamp(),
								  engine->role == KE_ROLE_RETRY ?
								  KE_COPIES_DAYS : KE_RETURNED_DAYS,
								  FORGET_COUNT);
}

void
ke_retry_store_forget_copies(KeEngine *engine, KeMoment now)
{
	bool		more = false;
	KeFailure  *fail;

	if (now < engine->forget_at)
		return;
	if (!ke_transact(engine, forget, &more, false, &fail))
		ereport(LOG,
				(errmsg("could not forget old retry copies: %s",
						ke_failure_describe(fail))));
	engine->forget_at =
		TimestampTzPlusMilliseconds(now, more ? 0 : FORGET_INTERVAL_MS);
}
