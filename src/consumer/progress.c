/*
 * progress.c
 *	  How far a range of a stage's messages moves its partitions' positions.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/progress.h"
#include "core/clock.h"
#include "core/testing.h"

/* Kafka hears of positions this long after they moved. */
#define COMMIT_DELAY_MS 200

KeProgress *
ke_progress_make(KeEngine *engine)
{
	KeProgress *progress = (KeProgress *) palloc0(sizeof(KeProgress));
	int			room = Max(engine->nparts, 1);

	progress->parts = palloc(room * sizeof(KePartition *));
	progress->newer = palloc(room * sizeof(KePosition));
	return progress;
}

/* A partition's place among those collected, in partition order. */
static KePosition *
insert(KeProgress *progress, KePartition *part)
{
	int			i;

	for (i = progress->nparts;
		 i > 0 && progress->parts[i - 1]->partition > part->partition; i--)
	{
		progress->parts[i] = progress->parts[i - 1];
		progress->newer[i] = progress->newer[i - 1];
	}
	progress->parts[i] = part;
	progress->nparts++;
	return &progress->newer[i];
}

void
ke_progress_collect(KeProgress *progress, KeStage *stage, int count)
{
	int			i;

	progress->nparts = 0;
	progress->lost = NULL;
	for (i = stage->head + count - 1; i >= stage->head; i--)
	{
		KePartition *part = stage->parts[i];
		const KeMessage *msg = &stage->msgs[i];
		KePosition *newer;

		if (part->counted)
			continue;
		/* The last message of this partition */
		part->counted = true;
		newer = insert(progress, part);
		*newer = part->pos;
		newer->next = msg->offset + 1;
		newer->unclean = part->careful > 0 ? 1 : 0;
		newer->trying = KE_OFFSET_NONE;
		newer->last_offset = msg->offset;
		newer->last_timestamp = msg->timestamp_ms;
		newer->last_crc = ke_message_fingerprint(msg);
	}
	for (i = 0; i < progress->nparts; i++)
		progress->parts[i]->counted = false;
}

void
ke_progress_touch(KeProgress *progress, KePartition *part)
{
	progress->nparts = 1;
	progress->lost = NULL;
	progress->parts[0] = part;
	progress->newer[0] = part->pos;
	progress->newer[0].unclean = part->careful > 0 ? 1 : 0;
	progress->newer[0].trying = KE_OFFSET_NONE;
}

bool
ke_progress_store(KeEngine *engine, KeProgress *progress)
{
	KePosition **olds = palloc(progress->nparts * sizeof(KePosition *));
	int			i;
	int			written;

	for (i = 0; i < progress->nparts; i++)
		olds[i] = &progress->parts[i]->pos;
	written = ke_positions_advance(&engine->key, olds, progress->newer,
								   progress->nparts);
	if (written < progress->nparts)
		progress->lost = progress->parts[written];
	return progress->lost == NULL;
}

void
ke_progress_raise(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("another process took the partition over")));
}

void
ke_progress_commit(KeEngine *engine, KeProgress *progress, KeStage *stage,
				   int count)
{
	int			i;

	KE_CRASH_POINT("after_commit");
	for (i = 0; i < progress->nparts; i++)
	{
		KePartition *part = progress->parts[i];

		part->pos = progress->newer[i];
		if (part->careful > 0)
			part->careful--;
	}
	ke_stage_discard(stage, count);
	if (count > 0)
		ke_slot_count_messages(count);
	stage->backoff_ms = 0;
	stage->repeats = 0;
	if (engine->commit_at == 0)
		engine->commit_at = ke_clock_in(COMMIT_DELAY_MS);
}

void
ke_progress_give_up(KeEngine *engine, KeProgress *progress)
{
	ke_partition_restart(engine, progress->lost,
						 "another process took the partition over");
}
