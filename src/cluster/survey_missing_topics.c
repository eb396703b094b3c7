/*
 * survey_missing_topics.c
 *	  The part of a look at a server's cluster that is about the topics for
 *	  retry copies and dead letters.
 *
 * They are made here, before anything has failed, so that the retry consumers
 * have partitions to wait for; but after what somebody waits for, as do the
 * consumers of what was just subscribed.  What cannot be made now is tried
 * again by the next look, and by the relay when a copy has nowhere to go.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"
#include "kafka/retry_dlq_topics.h"

/*
 * Making a topic takes its time, and whoever asks the manager something waits
 * that long.  So none is made while somebody asks, unless that goes on and on;
 * and not many in one look.
 */
#define QUIET_MS 200
#define PATIENCE_MS 30000
#define MAKING_MS 500

int
ke_survey_missing_topics_partitions(const KeWatch *watch, const char *topic)
{
	KeTopicInfo *known = ke_survey_find_topic(watch->copy_topics, topic);

	return known != NULL ? known->partitions : 0;
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
	survey->watch->copy_topics =
		ke_survey_note_topic(survey->watch, survey->watch->copy_topics, name,
							 found->partitions);
	return found->partitions;
}

/* Is it somebody else's turn? */
static bool
has_to_wait(const KeSurvey *survey)
{
	const KeWatch *watch = survey->watch;
	KeMoment	now = ke_clock_now();

	if (ke_clock_passed(survey->now, now, MAKING_MS))
		return true;
	return watch->questioned_at != 0 &&
		!ke_clock_passed(watch->questioned_at, now, QUIET_MS) &&
		!ke_clock_passed(watch->making_since, now, PATIENCE_MS);
}

/*
 * Have a topic for copies; returns its partitions, 0: there are none yet, or
 * *left: it is left for later.
 */
static int
see_to(KeSurvey *survey, const KeRetryDlqTopic *topic, bool *left)
{
	KeWatch    *watch = survey->watch;
	KeTopicInfo *known = ke_survey_find_topic(watch->copy_topics, topic->name);
	bool		missing;
	int			partitions;

	if (known != NULL)
		return known->partitions;
	if (topic->source_partitions == 0)
		return 0;
	if (watch->making_since == 0)
		watch->making_since = survey->now;
	if (has_to_wait(survey))
	{
		*left = true;
		return 0;
	}
	partitions = ask_for(survey, topic->name, &missing);
	if (missing && survey->server->options.create_topics &&
		make(survey, topic))
		partitions = ask_for(survey, topic->name, &missing);
	return partitions;
}

bool
ke_survey_missing_topics(KeSurvey *survey)
{
	const KeServerOptions *options = &survey->server->options;
	bool		left = false;
	int			total = 0;
	int			i = 0;
	ListCell   *lc;

	if (survey->facts->identity != KE_IDENTITY_OURS)
		return false;
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
			total += see_to(survey, &topic, &left);
		}
		if (sub->options.dlq)
		{
			topic.name = psprintf("%s%s", sub->topic, options->dlq_suffix);
			topic.dead = true;
			(void) see_to(survey, &topic, &left);
		}
	}
	if (!left)
		survey->watch->making_since = 0;
	survey->watch->retry_partitions = total;
	return left;
}
