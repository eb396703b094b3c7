/*
 * survey.h
 *	  The parts of one look at a server's topics and partitions.
 */
#ifndef KE_SURVEY_H
#define KE_SURVEY_H

#include "cluster/watch_state.h"
#include "core/clock.h"
#include "shm/lag.h"
#include "subscription/catalog.h"

typedef struct KeSurvey
{
	KeWatch    *watch;
	const KeWatchFacts *facts;
	KeServer   *server;
	List	   *subscriptions;	/* of KeSubscription */
	KeMoment	now;
	bool		brief;			/* about what has changed since a whole look */

	/* filled in by ke_survey_patterns_ask, in the current context */
	KeTopicInfo **listed;		/* all topics, by name, if that was asked */
	int			nlisted;

	/* filled in by ke_survey_topics, in the current context */
	char	   *group;
	int		   *partitions;		/* of each subscription's topic; 0: missing */

	int			unanswered;		/* questions of this look, so far */
	int			topics_asked;	/* subscribed ones that were asked for */
} KeSurvey;

/*
 * Count the partitions of the subscribed topics, and tell the views which
 * are missing; a brief look asks only for topics that nothing good is known
 * of.  False when nobody answers.
 */
extern bool ke_survey_topics(KeSurvey *survey);

/*
 * Ask for all topics at once, if there are patterns, and it is time.  Nobody
 * answers: the look goes on without.
 */
extern void ke_survey_patterns_ask(KeSurvey *survey);

/* One of them; NULL: it is not there, or that was not asked. */
extern KeTopicInfo *ke_survey_patterns_listed(const KeSurvey *survey,
											  const char *name);

/*
 * Subscribe what matches, in transactions of its own, and have the catalogs
 * read again.  What cannot be subscribed is told to the views.  True: somebody
 * has the server locked, so it is left for a look soon.
 */
extern bool ke_survey_patterns(KeSurvey *survey);

/* There may be a new topic now: the next look is due if there are patterns. */
extern void ke_survey_patterns_due(KeWatch *watch);

/* The server has other patterns now; the next look is due if so. */
extern void ke_survey_patterns_set(KeWatch *watch, List *patterns);

/* Note in the watch what keeps the consumer group from working. */
extern void ke_survey_group(KeSurvey *survey);

/*
 * Make the topics for retry copies and dead letters that are not there, and
 * count the partitions of the former.  What is known to be there is not
 * asked for again.  True: some are left for a look soon, because somebody
 * waits for other answers, or because they are many.
 */
extern bool ke_survey_missing_topics(KeSurvey *survey);

/* In the list, of KeTopicInfo, or NULL. */
extern KeTopicInfo *ke_survey_find_topic(List *topics, const char *name);
extern List *ke_survey_note_topic(KeWatch *watch, List *topics,
								  const char *name, int partitions);

/* Have retry consumers started if there is something for them. */
extern void ke_survey_retry_demand(KeSurvey *survey);

/* Partitions of one of these topics; 0: it is not known to be there. */
extern int	ke_survey_missing_topics_partitions(const KeWatch *watch,
												const char *topic);

/* Count the dead letters that are pending, for the metrics. */
extern void ke_survey_dlq_counts(KeSurvey *survey);

/* Give subscriptions that start from 'latest' their first positions. */
extern void ke_survey_starts(KeSurvey *survey);

/* One of a server's consumer groups, and the topics its members fetch. */
typedef struct KeSurveyGroup
{
	KeRole		role;			/* of its members: main or retry */
	char	   *name;
	KeGroupWatch *watch;
	const char **topics;		/* one for each of survey->subscriptions */
	int		   *partitions;		/* of these; 0: not known to be there */
} KeSurveyGroup;

/*
 * For each group: publish where partitions stand that nobody consumes, and
 * who has them instead; note how long that has been so.
 */
extern void ke_survey_unowned(KeSurvey *survey);

/* The consumers of the group were told to join again. */
extern void ke_survey_unowned_rejoined(KeGroupWatch *watch, KeMoment now);

/* Publish where all partitions end, for the lag. */
extern void ke_survey_ends(KeSurvey *survey);

/*
 * Do consumers that are well get nothing to do, though there is something?
 * rows is what the lag table holds now.
 */
extern bool ke_survey_stalled(KeSurvey *survey, const KeSurveyGroup *group,
							  const KeLagRow *rows, int nrows);

/*
 * What the main group has committed, of all partitions; NULL: no answer, or
 * nothing that it could mean.
 */
extern KePartitionList *ke_survey_committed(KeSurvey *survey);

/* Note in the watch whether the groups are another database's. */
extern void ke_survey_owner(KeSurvey *survey,
							const KePartitionList *committed);

/*
 * Has a commit with this database's uuid and another manager's incarnation
 * moved since the last look?  committed may be NULL.
 */
extern bool ke_survey_finds_copy(KeSurvey *survey,
								 const KePartitionList *committed);

/* Was that so a short while ago? */
extern bool ke_survey_copy_is_blocking(const KeWatch *watch, KeMoment now);

#endif							/* KE_SURVEY_H */
