/*
 * survey_missing_topics.c
 *	  The part of a look at a server's cluster that is about the topics for
 *	  retry copies and dead letters.
 *
 * They are made here, before anything has failed, so that the retry consumers
 * have partitions to wait for.  What cannot be made now is tried again by the
 * next look, and by the relay when a copy has nowhere to go.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"
#include "kafka/retry_dlq_topics.h"

static KeTopicInfo *
find_known(const KeWatch *watch, const char *name)
{
	ListCell   *lc;

	foreach(lc, watch->copy_topics)
	{
		KeTopicInfo *known = (KeTopicInfo *) lfirst(lc);

		if (strcmp(known->name, name) == 0)
			return known;
	}
	return NULL;
}

int
ke_survey_missing_topics_partitions(const KeWatch *watch, const char *topic)
{
	KeTopicInfo *known = find_known(watch, topic);

	return known != NULL ? known->partitions : 0;
}

static void
remember(KeWatch *watch, const char *name, int partitions)
{
	MemoryContext old = MemoryContextSwitchTo(watch->context);
	KeTopicInfo *known = palloc0(sizeof(KeTopicInfo));

	known->name = pstrdup(name);
	known->partitions = partitions;
	watch->copy_topics = lappend(watch->copy_topics, known);
	MemoryContextSwitchTo(old);
}

static bool
make(KeSurvey *survey, const KeRetryDlqTopic *topic)
{
	bool		created;
	char	   *text;
	int			err;

	err = ke_retry_dlq_topics_make(ke_cluster_handle(survey->watch->cluster),
								   &survey->server->options, topic, &created,
								   &text, 2 * ke_survey_ask_patience(survey));
	if (ke_survey_ask_note(survey, err) == 0)
		return true;
	ereport(DEBUG1,
			(errmsg_internal("could not create topic \"%s\": %s",
							 topic->name, text != NULL ? text :
							 ke_client_error_name(err))));
	return false;
}

/* Its partitions, which are remembered; 0, and perhaps *missing: none yet. */
static int
ask_for(KeSurvey *survey, const char *name, bool *missing)
{
	KeTopicInfo *found;

	*missing = false;
	if (ke_survey_ask_topic(survey, name, &found) != 0)
		return 0;
	*missing = ke_client_is_missing_topic(found->error);
	if (found->error != 0)
		return 0;
	remember(survey->watch, name, found->partitions);
	return found->partitions;
}

/* Have a topic for copies; returns its partitions, 0: there are none yet. */
static int
see_to(KeSurvey *survey, const KeRetryDlqTopic *topic)
{
	KeTopicInfo *known = find_known(survey->watch, topic->name);
	bool		missing;
	int			partitions;

	if (known != NULL)
		return known->partitions;
	if (topic->source_partitions == 0)
		return 0;
	partitions = ask_for(survey, topic->name, &missing);
	if (missing && survey->server->options.create_topics &&
		make(survey, topic))
		partitions = ask_for(survey, topic->name, &missing);
	return partitions;
}

void
ke_survey_missing_topics(KeSurvey *survey)
{
	const KeServerOptions *options = &survey->server->options;
	int			total = 0;
	int			i = 0;
	ListCell   *lc;

	if (survey->facts->identity != KE_IDENTITY_OURS)
		return;
	foreach(lc, survey->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		KeRetryDlqTopic topic = {
			.source = sub->topic,
			.source_partitions = survey->partitions[i++]
		};

		if (ke_options_subscription_retries_by_topic(&sub->options))
		{
			topic.name = psprintf("%s%s", sub->topic, options->retry_suffix);
			total += see_to(survey, &topic);
		}
		if (sub->options.dlq)
		{
			topic.name = psprintf("%s%s", sub->topic, options->dlq_suffix);
			topic.dead = true;
			(void) see_to(survey, &topic);
		}
	}
	survey->watch->retry_partitions = total;
}
