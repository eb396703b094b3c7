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

#include "utils/memutils.h"

#include "engine/engine.h"

#define STAGE_BYTES ((Size) 32 * 1024 * 1024)
#define FIRST_SIZE 64

/* So many messages tell how long one takes; fewer tell less. */
#define SPEED_COUNT 1000.0

static void
open_sides(KeEngine *engine, KeStage *stage, KeSubscription *sub)
{
	stage->sub = sub;
	stage->inspector = sub->broken == NULL ?
		ke_inspector_open(sub, engine->config) : NULL;
	stage->handler = OidIsValid(sub->handler) && sub->broken == NULL ?
		ke_handler_open(sub, engine->config) : NULL;
	stage->sink = OidIsValid(sub->into_table) && sub->broken == NULL ?
		ke_sink_open(sub, engine->config) : NULL;
	stage->size = Min(FIRST_SIZE, sub->options.batch_size);
	stage->not_before = 0;
	stage->backoff_ms = 0;
	stage->phantoms = 0;
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
		ke_inspector_close(stage->inspector);
	if (stage->handler != NULL)
		ke_handler_close(stage->handler);
	if (stage->sink != NULL)
		ke_sink_close(stage->sink);
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

/* Release all messages of one partition; the others keep their order. */
void
ke_stage_drop(KeStage *stage, KePartition *part)
{
	int			i;
	int			kept = stage->head;

	for (i = stage->head; i < stage->head + stage->count; i++)
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

/* Enough for a transaction of the size that goes well at present? */
bool
ke_stage_is_ready(const KeStage *stage)
{
	return stage->count >= stage->size || stage->bytes >= STAGE_BYTES;
}

bool
ke_stage_is_full(const KeStage *stage)
{
	return stage->bytes >= 2 * STAGE_BYTES;
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
