/*
 * survey_ask.h
 *	  The questions that a look asks the cluster.
 */
#ifndef KE_SURVEY_ASK_H
#define KE_SURVEY_ASK_H

#include "cluster/survey.h"

/*
 * The questions of a look.  How long each may wait, in ms, depends on those
 * before it; ke_survey_ask_note returns its error.  cluster is the watch's, or
 * its admin.
 */
extern int	ke_survey_ask_patience(const KeSurvey *survey);
extern int	ke_survey_ask_note(KeSurvey *survey, int error);
extern int	ke_survey_ask_topic(KeSurvey *survey, const char *name,
								KeTopicInfo **topic);
extern int	ke_survey_ask_offsets(KeSurvey *survey, KePartitionList *times);
extern int	ke_survey_ask_committed(KeSurvey *survey, KeCluster *cluster,
									KePartitionList *list);

#endif							/* KE_SURVEY_ASK_H */
