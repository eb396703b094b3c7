/*
 * survey_dlq_counts.c
 *	  The part of a look at a server's cluster that counts dead letters, for
 *	  those who read metrics and ask nobody.
 *
 * The admin group's position takes a connection of its own, which is made
 * when there is the first dead letter.
 */
#include "postgres.h"
#include "core/compat.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"
#include "cluster/watch_handles.h"
#include "session/attempt.h"
#include "shm/metrics.h"
#include "state/dlq_pending.h"
#include "state/offset_metadata.h"

/* The DLQ topic of a subscription. */
typedef struct Topic
{
	Oid			subscription;
	char	   *name;
	int			partitions;		/* 0: it has none, or none is known */
} Topic;

/* All partitions of these topics, in their order. */
typedef struct Letters
{
	KeSurvey   *survey;
	List	   *topics;			/* of Topic, one for each subscription */
	KePartitionList *lows;
	KePartitionList *highs;
	KePartitionList *committed; /* NULL: there are no letters to ask about */
} Letters;

static List *
find_topics(const KeSurvey *survey)
{
	List	   *topics = NIL;
	ListCell   *lc;

	foreach(lc, survey->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);
		Topic	   *topic = palloc(sizeof(Topic));

		topic->subscription = sub->oid;
		topic->name = psprintf("%s%s", sub->topic,
							   survey->server->options.dlq_suffix);
		topic->partitions = sub->options.dlq ?
			ke_survey_missing_topics_partitions(survey->watch,
												topic->name) : 0;
		topics = lappend(topics, topic);
	}
	return topics;
}

static KePartitionList *
all_partitions(const Letters *letters, int64 about)
{
	KePartitionList *list = ke_partition_list_make(16);
	ListCell   *lc;

	foreach(lc, letters->topics)
	{
		const Topic *topic = (Topic *) lfirst(lc);

		for (int p = 0; p < topic->partitions; p++)
			ke_partition_list_add(list, topic->name, p, about);
	}
	return list;
}

static bool
has_errors(const KePartitionList *list)
{
	for (int i = 0; i < list->count; i++)
	{
		if (list->parts[i].error != 0)
			return true;
	}
	return false;
}

static bool
are_empty(const Letters *letters)
{
	for (int i = 0; i < letters->lows->count; i++)
	{
		if (letters->lows->parts[i].offset < letters->highs->parts[i].offset)
			return false;
	}
	return true;
}

/* False when nobody answers, for now. */
static bool
ask(Letters *letters)
{
	KeSurvey   *survey = letters->survey;
	KeCluster  *cluster;

	letters->lows = all_partitions(letters, KE_KAFKA_BEGINNING);
	letters->highs = all_partitions(letters, KE_KAFKA_END);
	if (ke_survey_ask_offsets(survey, letters->lows) != 0 ||
		ke_survey_ask_offsets(survey, letters->highs) != 0 ||
		has_errors(letters->lows) || has_errors(letters->highs))
		return false;
	if (are_empty(letters))
		return true;

	cluster = ke_watch_handles_admin(survey->watch, survey->server);
	if (cluster == NULL)
		return false;
	letters->committed = all_partitions(letters, KE_KAFKA_NONE);
	return ke_survey_ask_committed(survey, cluster, letters->committed) == 0 &&
		!has_errors(letters->committed);
}

/* Of one topic, whose partitions start at first in the lists. */
static int64
count_pending(const Letters *letters, const Topic *topic, int first)
{
	KePositionKey key = {
		.cluster_id = letters->survey->watch->cluster_id,
		.group_id = ke_catalog_admin_group(letters->survey->server)
	};
	List	   *mirror = ke_dlq_records_positions(&key, topic->name);
	List	   *recorded = ke_dlq_records_letters(&key, topic->name);
	int64		pending = 0;
	int64	   *positions = palloc(topic->partitions * sizeof(int64));
	char	  **metadata = palloc(topic->partitions * sizeof(char *));

	for (int p = 0; p < topic->partitions; p++)
	{
		positions[p] = letters->committed->parts[first + p].offset;
		metadata[p] = letters->committed->parts[first + p].metadata;
	}
	ke_offset_metadata_disregard(positions, metadata, topic->partitions);
	for (int i = first; i < first + topic->partitions; i++)
	{
		KeDlqRange	range = {
			.partition = letters->lows->parts[i].partition,
			.low = letters->lows->parts[i].offset,
			.high = letters->highs->parts[i].offset,
			.committed = positions[i - first]
		};

		pending += ke_dlq_pending_in_range(&range, mirror, recorded);
	}
	return pending;
}

/* In a transaction: tell what is pending for each subscription. */
static void
publish(void *argument)
{
	const Letters *letters = (Letters *) argument;
	int			next = 0;
	ListCell   *lc;

	foreach(lc, letters->topics)
	{
		const Topic *topic = (Topic *) lfirst(lc);
		int64		pending = topic->partitions > 0 ? 0 : -1;

		if (topic->partitions > 0 && letters->committed != NULL)
			pending = count_pending(letters, topic, next);
		next += topic->partitions;
		ke_metrics_set_dlq_pending(letters->survey->facts->database,
								   topic->subscription, pending);
	}
}

void
ke_survey_dlq_counts(KeSurvey *survey)
{
	Letters		letters = {
		.survey = survey,
		.topics = find_topics(survey)
	};
	char	   *problem;

	if (survey->facts->identity != KE_IDENTITY_OURS || !ask(&letters))
		return;
	problem = ke_failure_describe(ke_attempt_transaction(publish, &letters,
														 false));
	if (problem != NULL)
		ereport(DEBUG1,
				(errmsg_internal("could not count dead letters of server \"%s\": %s",
								 survey->server->name, problem)));
}
