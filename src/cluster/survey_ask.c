/*
 * survey_ask.c
 *	  The questions that a look asks the cluster.
 */
#include "postgres.h"
#include "core/compat.h"

#include "cluster/survey_ask.h"

/* What each question may take; a broker that is well needs a millisecond. */
#define MAX_PATIENCE_MS 500

/*
 * Brokers may die in the middle of a look.  Each question that got no answer
 * halves what the others may take, and all of them together less than twice
 * the first.
 */
int
ke_survey_ask_patience(const KeSurvey *survey)
{
	return MAX_PATIENCE_MS >> Min(survey->unanswered, 9);
}

int
ke_survey_ask_note(KeSurvey *survey, int error)
{
	if (ke_client_is_silence(error))
		survey->unanswered++;
	return error;
}

int
ke_survey_ask_topic(KeSurvey *survey, const char *name, KeTopicInfo **topic)
{
	List	   *topics = NIL;
	int			error;

	error = ke_cluster_topics(survey->watch->cluster, name, &topics,
							  ke_survey_ask_patience(survey));
	if (error == 0 && topics == NIL)
		error = KE_KAFKA_TIMED_OUT;
	if (error == 0)
		*topic = (KeTopicInfo *) linitial(topics);
	return ke_survey_ask_note(survey, error);
}

int
ke_survey_ask_offsets(KeSurvey *survey, KePartitionList *times)
{
	int			error;

	error = ke_cluster_offsets_for_time(survey->watch->cluster, times,
										ke_survey_ask_patience(survey));
	return ke_survey_ask_note(survey, error);
}

int
ke_survey_ask_committed(KeSurvey *survey, KeCluster *cluster,
						KePartitionList *list)
{
	int			error;

	error = ke_cluster_committed(cluster, list,
								 ke_survey_ask_patience(survey));
	return ke_survey_ask_note(survey, error);
}
