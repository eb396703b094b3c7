/*
 * survey_retry_demand.c
 *	  Does a server need its retry consumers?
 *
 * Shared memory forgets with a restart of PostgreSQL that there was a need,
 * and retry copies may have been written by an older system.  So as long as
 * nobody has said that they are needed, each look asks what there is.
 */
#include "postgres.h"
#include "core/compat.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"
#include "session/attempt.h"
#include "shm/role_demand.h"
#include "state/retries.h"

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

/* Both ends of the partitions of all retry topics there are. */
static void
list_partitions(KeSurvey *survey, KePartitionList *lows,
				KePartitionList *highs)
{
	ListCell   *lc;

	foreach(lc, survey->subscriptions)
	{
		char	   *name = psprintf("%s%s",
									((KeSubscription *) lfirst(lc))->topic,
									survey->server->options.retry_suffix);
		KeTopicInfo *topic;

		if (ke_survey_ask_topic(survey, name, &topic) != 0)
			continue;
		for (int p = 0; topic->error == 0 && p < topic->partitions; p++)
		{
			ke_partition_list_add(lows, name, p, KE_KAFKA_BEGINNING);
			ke_partition_list_add(highs, name, p, KE_KAFKA_END);
		}
	}
}

/* Is there anything between the ends of a partition? */
static bool
has_copies(KeSurvey *survey)
{
	KePartitionList *lows = ke_partition_list_make(16);
	KePartitionList *highs = ke_partition_list_make(16);

	list_partitions(survey, lows, highs);
	if (ke_survey_ask_offsets(survey, lows) != 0 ||
		ke_survey_ask_offsets(survey, highs) != 0)
		return false;
	for (int i = 0; i < highs->count; i++)
	{
		if (lows->parts[i].error == 0 && highs->parts[i].error == 0 &&
			lows->parts[i].offset < highs->parts[i].offset)
			return true;
	}
	return false;
}

void
ke_survey_retry_demand(KeSurvey *survey)
{
	if (survey->subscriptions == NIL ||
		survey->facts->identity != KE_IDENTITY_OURS ||
		ke_role_demand_has(survey->facts->database, survey->server->oid,
						   KE_ROLE_RETRY))
		return;
	if (has_parked(survey) || has_copies(survey))
		ke_role_demand_set(survey->facts->database, survey->server->oid,
						   KE_ROLE_RETRY);
}
