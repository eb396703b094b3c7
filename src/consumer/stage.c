/*
 * stage.c
 *	  A subscription, with the messages that wait for their batch.
 *
 * Messages are kept in the order of arrival, which is offset order within
 * each partition.  They borrow the library's memory, so a stage is bounded
 * in bytes too: what would go beyond it waits in the library.
 */
#include "postgres.h"
#include "core/compat.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "consumer/engine.h"
#include "core/clock.h"

#define STAGE_BYTES ((Size) 32 * 1024 * 1024)

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 10000

/* So many messages tell how long one takes; fewer tell less. */
#define SPEED_COUNT 1000.0

/*
 * Who has a message from the breaker's one try must be done with it within
 * two runs: alone, and again for a serialization failure.
 */
#define LEASE_RUNS 2
#define LEASE_MS 10000

static KeCircuit
make_circuit(KeEngine *engine, const KeSubscription *sub)
{
	KeCircuit	circuit = {
		.database = engine->database,
		.subscription = sub->oid,
		.topic = sub->topic,
		.role = engine->role,
		.ordinal = engine->ordinal,
		.settings = {
			.threshold = sub->options.breaker_threshold,
			.timeout_ms = sub->options.breaker_timeout_ms,
			.lease_ms = (int) Min((int64) PG_INT32_MAX, LEASE_MS +
								  (int64) LEASE_RUNS *
								  sub->options.handler_timeout_ms)
		}
	};

	return circuit;
}

/* What the process fetches of a subscription; in the current context. */
static const char *
fetched_topic(KeEngine *engine, const KeSubscription *sub)
{
	if (engine->role != KE_ROLE_RETRY)
		return sub->topic;
	return psprintf("%s%s", sub->topic,
					engine->server->options.retry_suffix);
}

static void
open_sides(KeEngine *engine, KeStage *stage, KeSubscription *sub)
{
	MemoryContext old = MemoryContextSwitchTo(engine->config);

	stage->sub = sub;
	stage->topic = fetched_topic(engine, sub);
	stage->circuit = make_circuit(engine, sub);
	MemoryContextSwitchTo(old);
	stage->inspector = sub->broken == NULL ?
		ke_inspect_open(sub, engine->config) : NULL;
	stage->handler = OidIsValid(sub->handler) && sub->broken == NULL ?
		ke_handler_open(sub, engine->config) : NULL;
	stage->sink = OidIsValid(sub->into_table) && sub->broken == NULL ?
		ke_sink_open(sub, engine->config) : NULL;
	stage->router = OidIsValid(sub->route) && sub->broken == NULL ?
		ke_table_router_open(sub, engine->config) : NULL;
	stage->splitter = ke_split_open(&sub->options, engine->config);
	ke_pace_begin(&stage->pace, sub->options.batch_size);
	stage->not_before = 0;
	stage->backoff_ms = 0;
	stage->phantoms = 0;
	stage->halted = NULL;
	stage->due_at = 0;
	stage->room_at = 0;
	stage->parked = -1;
}

KeStage *
ke_stage_make(KeEngine *engine, KeSubscription *sub)
{
	MemoryContext old = MemoryContextSwitchTo(engine->context);
	KeStage    *stage = (KeStage *) palloc0(sizeof(KeStage));

	stage->allocated = 256;
	stage->msgs = palloc(stage->allocated * sizeof(KeMessage));
	stage->refs = palloc(stage->allocated * sizeof(KeMessage *));
	stage->parts = palloc(stage->allocated * sizeof(KePartition *));
	open_sides(engine, stage, sub);
	engine->stages = lappend(engine->stages, stage);
	MemoryContextSwitchTo(old);
	return stage;
}

static void
close_sides(KeStage *stage)
{
	if (stage->inspector != NULL)
		ke_inspect_close(stage->inspector);
	if (stage->handler != NULL)
		ke_handler_close(stage->handler);
	if (stage->sink != NULL)
		ke_sink_close(stage->sink);
	if (stage->router != NULL)
		ke_table_router_close(stage->router);
}

/* The configuration was read again: waiting messages stay, the rest is new. */
void
ke_stage_replace(KeEngine *engine, KeStage *stage, KeSubscription *sub)
{
	close_sides(stage);
	open_sides(engine, stage, sub);
}

/* The subscription is gone; no partition may point here any more. */
void
ke_stage_close(KeEngine *engine, KeStage *stage)
{
	ke_stage_discard(stage, stage->count);
	close_sides(stage);
	engine->stages = list_delete_ptr(engine->stages, stage);
	pfree(stage->msgs);
	pfree(stage->refs);
	pfree(stage->parts);
	pfree(stage);
}

/* Room at the end: move to the front if half is free, else grow. */
static void
make_room(KeStage *stage)
{
	if (stage->head >= stage->allocated / 2)
	{
		memmove(stage->msgs, stage->msgs + stage->head,
				stage->count * sizeof(KeMessage));
		memmove(stage->parts, stage->parts + stage->head,
				stage->count * sizeof(KePartition *));
		stage->head = 0;
	}
	else
	{
		stage->allocated *= 2;
		stage->msgs = repalloc_huge(stage->msgs,
									stage->allocated * sizeof(KeMessage));
		stage->refs = repalloc_huge(stage->refs,
									stage->allocated * sizeof(KeMessage *));
		stage->parts = repalloc_huge(stage->parts,
									 stage->allocated * sizeof(KePartition *));
	}
}

static inline Size
weight(const KeMessage *msg)
{
	return sizeof(KeMessage) + Max(msg->key_len, 0) + Max(msg->value_len, 0);
}

void
ke_stage_push(KeStage *stage, KePartition *part, const KeMessage *msg)
{
	int			at;

	if (stage->head + stage->count == stage->allocated)
		make_room(stage);
	at = stage->head + stage->count++;
	stage->msgs[at] = *msg;
	stage->parts[at] = part;
	stage->bytes += weight(msg);
}

/* Release the first count messages. */
void
ke_stage_discard(KeStage *stage, int count)
{
	int			i;

	Assert(count <= stage->count);
	for (i = stage->head; i < stage->head + count; i++)
	{
		stage->bytes -= weight(&stage->msgs[i]);
		ke_message_release(&stage->msgs[i]);
	}
	stage->head += count;
	stage->count -= count;
	if (stage->count == 0)
		stage->head = 0;
}

/*
 * Release the messages of one partition that are at this place or behind it;
 * the others keep their order.
 */
void
ke_stage_drop_from(KeStage *stage, KePartition *part, int from)
{
	int			i;
	int			kept = from;

	for (i = from; i < stage->head + stage->count; i++)
	{
		if (stage->parts[i] == part)
		{
			stage->bytes -= weight(&stage->msgs[i]);
			ke_message_release(&stage->msgs[i]);
			continue;
		}
		stage->msgs[kept] = stage->msgs[i];
		stage->parts[kept] = stage->parts[i];
		kept++;
	}
	stage->count = kept - stage->head;
}

/* Release all messages of one partition. */
void
ke_stage_drop(KeStage *stage, KePartition *part)
{
	ke_stage_drop_from(stage, part, stage->head);
}

/*
 * Have the first message of the partition that follows after in number, or
 * of the first one if none does, be the next to run.
 */
void
ke_stage_bring_forward(KeStage *stage, int32 after)
{
	KeMessage	msg;
	KePartition *part;
	int			best = stage->head;
	int			i;

	for (i = stage->head + 1; i < stage->head + stage->count; i++)
	{
		int32		have = stage->parts[best]->partition;
		int32		other = stage->parts[i]->partition;

		if ((other > after) == (have > after) ? other < have : other > after)
			best = i;
	}
	msg = stage->msgs[best];
	part = stage->parts[best];
	memmove(&stage->msgs[stage->head + 1], &stage->msgs[stage->head],
			(best - stage->head) * sizeof(KeMessage));
	memmove(&stage->parts[stage->head + 1], &stage->parts[stage->head],
			(best - stage->head) * sizeof(KePartition *));
	stage->msgs[stage->head] = msg;
	stage->parts[stage->head] = part;
}

/* Enough for a transaction of the size that goes well at present? */
bool
ke_stage_is_ready(const KeStage *stage)
{
	return stage->count >= stage->pace.size || stage->bytes >= STAGE_BYTES;
}

bool
ke_stage_is_full(const KeStage *stage)
{
	return stage->bytes >= 2 * STAGE_BYTES;
}

/* The database is in trouble: wait, longer each time. */
void
ke_stage_wait_for_database(KeStage *stage, const KeFailure *fail)
{
	char	   *description = ke_failure_describe(fail);
	bool		of_registry = fail->ours &&
		ERRCODE_TO_CATEGORY(fail->sqlstate) == ERRCODE_CONNECTION_EXCEPTION;
	char	   *trouble = psprintf(of_registry ? "waits: %s" :
								   "waits for the database: %s", description);

	stage->backoff_ms = stage->backoff_ms == 0 ? BACKOFF_FIRST_MS :
		Min(2 * stage->backoff_ms, BACKOFF_LAST_MS);
	stage->not_before = ke_clock_in(stage->backoff_ms);
	strlcpy(stage->trouble, trouble,
			pg_mbcliplen(trouble, strlen(trouble), KE_REASON_LEN - 1) + 1);
	ke_slot_set_error(psprintf("topic \"%s\" waits: %s", stage->topic,
							   description));
	if (stage->backoff_ms == BACKOFF_FIRST_MS)
		ereport(LOG,
				(errmsg("topic \"%s\" %s", stage->topic, trouble)));
}

/*
 * So many messages took so long.  One batch that waited for the disk says
 * little about the next ones, and the less the fewer messages it had.
 */
void
ke_stage_note_speed(KeStage *stage, int count, int64 microseconds)
{
	double		ms = microseconds / 1000.0 / count;

	stage->message_ms += (ms - stage->message_ms) *
		Min(count / SPEED_COUNT, 1.0);
}
