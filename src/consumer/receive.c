/*
 * receive.c
 *	  What the consumer's queue delivers, into the stages.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/engine.h"
#include "consumer/returned.h"
#include "core/testing.h"

/*
 * The first message after an unchecked start must be the one whose
 * fingerprint is stored.  True: it was a check only, or it must not be used.
 */
static bool
verify(KeEngine *engine, KePartition *part, const KeMessage *msg)
{
	part->verifying = false;
	if (msg->offset == part->pos.last_offset)
	{
		if (msg->timestamp_ms == part->pos.last_timestamp &&
			ke_message_fingerprint(msg) == part->pos.last_crc)
			return true;
		ke_partition_stop(engine, part,
						  psprintf("the message at offset %lld is not the one that was processed: the topic was deleted and made again, or restored",
								   (long long) msg->offset));
		return true;
	}
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("partition %d of topic \"%s\" goes on at offset %lld unchecked: the message before it was compacted away",
					part->partition, part->topic,
					(long long) part->pos.next)));
	return false;
}

/* The partition delivers. */
static inline void
note_heard(KeEngine *engine, KePartition *part)
{
	part->heard = true;
	if (unlikely(part->fault[0] != '\0' || part->trial != KE_FETCH_FREE))
		ke_fetch_trouble_over(engine, part);
}

/*
 * Take over one message.  What is below the stored position was processed
 * already: the library delivers twice in some cases.  Holes are normal.
 * Returns the stage it went to, or NULL.
 */
KeStage *
ke_receive_message(KeEngine *engine, KeMessage *msg)
{
	KePartition *part = ke_partition_find(engine, msg->topic,
										  msg->partition);

	if (part == NULL || !part->fetching ||
		part->status != KE_PARTITION_RUNNING ||
		(part->verifying && verify(engine, part, msg)) ||
		msg->offset < part->pos.next)
	{
		ke_message_release(msg);
		return NULL;
	}
	part->end = -1;
	ke_returned_recognise(engine, part, msg);
	note_heard(engine, part);
	ke_stage_push(part->stage, part, msg);
	return part->stage;
}

/*
 * The end of a partition.  Behind the last message there may be control
 * records: the position moves over them with the next batch.
 */
void
ke_receive_end(KeEngine *engine, const KeKafkaPartition *end)
{
	KePartition *part = ke_partition_find(engine, end->topic,
										  end->partition);

	if (part == NULL || !part->fetching ||
		part->status != KE_PARTITION_RUNNING)
		return;
	part->verifying = false;
	note_heard(engine, part);
	part->end = end->offset;
}

/*
 * The library cannot fetch a partition: its position is outside of the log,
 * the topic is gone for now, or we may not read it.
 */
void
ke_receive_partition_error(KeEngine *engine, const KeConsumerEvent *event)
{
	KePartition *part = ke_partition_find(engine, event->part.topic,
										  event->part.partition);

	if (part == NULL || !part->fetching ||
		part->status != KE_PARTITION_RUNNING)
		return;
	if (event->out_of_range)
		ke_partition_stop(engine, part,
						  psprintf("offset %lld is not in the log any more or not yet: retention passed it, or the topic was made again",
								   (long long) part->pos.next));
	else
		ke_fetch_trouble_note(engine, part, event);
}
