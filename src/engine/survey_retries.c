/*
 * survey_retries.c
 *	  Does a server need its retry consumers?
 *
 * Shared memory forgets with a restart of PostgreSQL that there was a need,
 * and retry copies may have been written by an older system.  So as long as
 * nobody has said that they are needed, each look asks what there is.
 */
#include "postgres.h"
#include "core/compat.h"

#include "db/retries.h"
#include "engine/attempt.h"
#include "engine/survey.h"
#include "shm/need.h"

#define ASK_MS 500

typedef struct Parked
{
	KePositionKey key;
	bool		found;
} Parked;

static void
look_for_parked(void *argument)
{
	Parked	   *parked = (Parked *) argument;

	parked->found = ke_retries_exist(&parked->key);
}

static bool
has_parked(const KeSurvey *survey)
{
	Parked		parked = {
		.key = {
			.cluster_id = survey->watch->cluster_id,
			.group_id = psprintf("%s-%s",
								 survey->server->options.service_name,
								 ke_slot_role_name(KE_ROLE_RETRY))
		}
	};

	return ke_attempt_transaction(look_for_parked, &parked, false) == NULL &&
		parked.found;
}

/* The partitions of all retry topics there are. */
static KeKafkaList *
retry_partitions(const KeSurvey *survey)
{
	KeKafkaList *list = ke_kafka_list_make(16);
	ListCell   *lc;

	foreach(lc, survey->subscriptions)
	{
		char	   *name = psprintf("%s%s",
									((KeSubscription *) lfirst(lc))->topic,
									survey->server->options.retry_suffix);
		List	   *topics;
		KeTopicInfo *topic;

		if (ke_cluster_topics(survey->watch->cluster, name, &topics,
							  ASK_MS) != 0 || topics == NIL)
			continue;
		topic = (KeTopicInfo *) linitial(topics);
		for (int p = 0; topic->error == 0 && p < topic->partitions; p++)
			ke_kafka_list_add(list, name, p, KE_KAFKA_END);
	}
	return list;
}

/* Is there anything between the ends of a partition? */
static bool
has_copies(const KeSurvey *survey)
{
	KeKafkaList *ends = retry_partitions(survey);
	int			i;

	if (ends->count == 0 ||
		ke_cluster_offsets_for_time(survey->watch->cluster, ends,
									ASK_MS) != 0)
		return false;
	for (i = 0; i < ends->count; i++)
	{
		const KeKafkaPartition *end = &ends->parts[i];
		int64		low;
		int64		high;

		if (end->error == 0 && end->offset > 0 &&
			ke_cluster_watermarks(survey->watch->cluster, end->topic,
								  end->partition, &low, &high,
								  ASK_MS) == 0 && low < high)
			return true;
	}
	return false;
}

void
ke_survey_retries(KeSurvey *survey)
{
	if (survey->subscriptions == NIL ||
		survey->facts->identity != KE_IDENTITY_OURS ||
		ke_need_has(survey->facts->database, survey->server->oid,
					KE_ROLE_RETRY))
		return;
	if (has_parked(survey) || has_copies(survey))
		ke_need_set(survey->facts->database, survey->server->oid,
					KE_ROLE_RETRY);
}
