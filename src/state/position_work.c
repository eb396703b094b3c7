/*
 * position_work.c
 *	  Which topic's messages this process is at work on.
 */
#include "postgres.h"
#include "core/compat.h"

#include "state/position_work.h"

static const char *work_group = NULL;
static const char *work_topic = NULL;

void
ke_position_work_set(const char *group_id, const char *topic)
{
	work_group = group_id;
	work_topic = topic;
}

void
ke_position_work_refuse(const char *group_id, const char *topic)
{
	if (work_topic == NULL || strcmp(work_topic, topic) != 0 ||
		strcmp(work_group, group_id) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("cannot move topic \"%s\" while its own messages are processed",
					topic),
			 errhint("A handler decides about its message with kafka_retry, kafka_reject or kafka_skip. Call kafka_consumer_seek and kafka_consumer_resume in another session, or in the handler of another topic.")));
}
