/*
 * survey.c
 *	  The parts of one look at a server's topics and partitions.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"
#include "cluster/watch_handles.h"
#include "core/clock.h"
#include "core/stamp.h"
#include "core/unix_time.h"
#include "session/attempt.h"
#include "state/positions.h"

/* A copy that has not committed anything for so long is taken for gone. */
#define COPY_QUIET_MS 60000

/* Where another incarnation's commit was, in watch->context. */
typedef struct Mark
{
	char	   *topic;
	int32		partition;
	uint64		incarnation;
	int64		offset;
} Mark;

static KePositionKey
position_key(const KeSurvey *survey)
{
	KePositionKey key = {survey->watch->cluster_id, survey->group};

	return key;
}

/* Every partition of every topic that exists, with this for its offset. */
static KePartitionList *
all_partitions(const KeSurvey *survey, int64 offset)
{
	KePartitionList *list =
		ke_partition_list_make(Max(survey->watch->partitions, 1));
	int			i = 0;
	ListCell   *lc;

	foreach(lc, survey->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);

		for (int p = 0; p < survey->partitions[i]; p++)
			ke_partition_list_add(list, sub->topic, p, offset);
		i++;
	}
	return list;
}

/* ------------------------------------------------------------------ topics */

/* NULL: none */
static char *
topic_problem(const char *name, const KeTopicInfo *topic)
{
	const char *hint;

	if (topic->error == 0 && topic->leaderless == 0)
		return NULL;
	if (topic->error == 0)
		return psprintf("%d of %d partitions of topic \"%s\" have no leader: their brokers are down",
						topic->leaderless, topic->partitions, name);
	if (ke_client_is_missing_topic(topic->error))
		return psprintf("topic \"%s\" does not exist in the cluster", name);
	hint = ke_client_error_hint(topic->error);
	return psprintf("topic \"%s\": %s%s%s", name,
					ke_client_error_name(topic->error),
					hint ? ": " : "", hint ? hint : "");
}

KeTopicInfo *
ke_survey_find_topic(List *topics, const char *name)
{
	ListCell   *lc;

	foreach(lc, topics)
	{
		KeTopicInfo *known = (KeTopicInfo *) lfirst(lc);

		if (strcmp(known->name, name) == 0)
			return known;
	}
	return NULL;
}

List *
ke_survey_note_topic(KeWatch *watch, List *topics, const char *name,
					 int partitions)
{
	MemoryContext old = MemoryContextSwitchTo(watch->context);
	KeTopicInfo *known = palloc0(sizeof(KeTopicInfo));

	known->name = pstrdup(name);
	known->partitions = partitions;
	topics = lappend(topics, known);
	MemoryContextSwitchTo(old);
	return topics;
}

/* Ask for a topic; -1: nobody answers.  What is well is kept. */
static int
ask_partitions(KeSurvey *survey, const KeSubscription *sub)
{
	KeWatch    *watch = survey->watch;
	KeTopicInfo *topic;
	char	   *problem;

	topic = ke_survey_patterns_listed(survey, sub->topic);
	if (topic == NULL)
	{
		survey->topics_asked++;
		if (ke_survey_ask_topic(survey, sub->topic, &topic) != 0)
			return -1;
	}
	problem = topic_problem(sub->topic, topic);
	ke_lag_publish_topic(survey->facts->database, survey->server->oid,
						 sub->oid, problem);
	if (problem == NULL)
		watch->topics = ke_survey_note_topic(watch, watch->topics,
											 sub->topic, topic->partitions);
	return topic->error == 0 ? topic->partitions : 0;
}

bool
ke_survey_topics(KeSurvey *survey)
{
	bool		answered = true;
	int			total = 0;
	int			i = 0;
	ListCell   *lc;

	survey->group = ke_catalog_main_group(survey->server);
	survey->partitions = palloc0((list_length(survey->subscriptions) + 1) *
								 sizeof(int));
	if (!survey->brief)
		ke_watch_handles_forget(&survey->watch->topics);
	foreach(lc, survey->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		KeTopicInfo *known = ke_survey_find_topic(survey->watch->topics,
												  sub->topic);
		int			partitions = known != NULL ? known->partitions :
			ask_partitions(survey, sub);

		/* Put all of the questions, also when the first one has to wait. */
		if (partitions < 0)
			answered = false;
		survey->partitions[i++] = Max(partitions, 0);
		total += Max(partitions, 0);
	}
	if (answered)
		survey->watch->partitions = total;
	return answered;
}

/* ------------------------------------------------------------------- group */

/*
 * Without permission on the group its coordinator cannot be asked for
 * anything, and for that the library has no other word than a timeout.
 */
void
ke_survey_group(KeSurvey *survey)
{
	KeWatch    *watch = survey->watch;
	KePartitionList *list = all_partitions(survey, KE_KAFKA_NONE);
	const char *hint;
	char	   *why;
	bool		silence;
	int			error;

	list->count = Min(list->count, 1);
	error = ke_survey_ask_committed(survey, watch->cluster, list);
	if (error == 0 && list->count > 0)
		error = list->parts[0].error;
	if (error == 0)
	{
		watch->trouble[0] = '\0';
		return;
	}
	why = ke_cluster_explain(watch->cluster, error, &hint);
	silence = error == KE_KAFKA_TIMED_OUT &&
		strcmp(why, ke_client_error_name(error)) == 0;

	/* The library tells once why nobody answers, and then is silent, too. */
	if (silence && watch->trouble[0] != '\0')
		return;
	watch->trouble_is_silence = silence;
	snprintf(watch->trouble, sizeof(watch->trouble),
			 "consumer group \"%s\": %s: %s", survey->group, why,
			 hint != NULL ? hint : "its coordinator gives no answer");
}

/* ------------------------------------------------------------------ starts */

/* A subscription whose first positions are still to be found. */
typedef struct Start
{
	const char *topic;
	int			partitions;
	TimestampTz requested_at;
} Start;

typedef struct Starts
{
	KeSurvey   *survey;
	List	   *each;			/* of Start, in context */
	KePartitionList *offsets;
	MemoryContext context;
} Starts;

static void
find_starts(void *argument)
{
	Starts	   *starts = (Starts *) argument;
	KeSurvey   *survey = starts->survey;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, survey->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		TimestampTz requested_at;

		if (survey->partitions[i] > 0 &&
			ke_positions_start_pending(survey->group, sub->topic,
									   &requested_at))
		{
			MemoryContext old = MemoryContextSwitchTo(starts->context);
			Start	   *start = palloc(sizeof(Start));

			start->topic = sub->topic;
			start->partitions = survey->partitions[i];
			start->requested_at = requested_at;
			starts->each = lappend(starts->each, start);
			MemoryContextSwitchTo(old);
		}
		i++;
	}
}

/* Positions that are there already stay: somebody has moved them. */
static void
store_starts(void *argument)
{
	Starts	   *starts = (Starts *) argument;
	KePositionKey key = position_key(starts->survey);
	ListCell   *lc;

	for (int i = 0; i < starts->offsets->count; i++)
	{
		KeKafkaPartition *part = &starts->offsets->parts[i];
		KePosition	pos = {.topic = part->topic,.partition = part->partition};
		int64		old;

		if (!ke_positions_read(&key, &pos))
			ke_positions_move(&key, part->topic, part->partition,
							  part->offset, &old);
	}
	foreach(lc, starts->each)
		ke_positions_start_done(key.group_id,
								((Start *) lfirst(lc))->topic);
}

static KePartitionList *
times_of(List *each)
{
	KePartitionList *list = ke_partition_list_make(16);
	ListCell   *lc;

	foreach(lc, each)
	{
		Start	   *start = (Start *) lfirst(lc);
		int64		ms = ke_unix_ms(start->requested_at);

		for (int p = 0; p < start->partitions; p++)
			ke_partition_list_add(list, start->topic, p, ms);
	}
	return list;
}

void
ke_survey_starts(KeSurvey *survey)
{
	Starts		starts = {.survey = survey,.context = CurrentMemoryContext};
	char	   *problem;

	if (survey->facts->identity != KE_IDENTITY_OURS)
		return;
	problem = ke_failure_describe(ke_attempt_transaction(find_starts, &starts,
														 false));
	if (problem == NULL && starts.each != NIL)
	{
		starts.offsets = times_of(starts.each);
		if (ke_survey_ask_offsets(survey, starts.offsets) != 0)
			return;				/* the next look tries again */
		for (int i = 0; i < starts.offsets->count; i++)
		{
			if (starts.offsets->parts[i].error != 0)
				return;
		}
		problem = ke_failure_describe(ke_attempt_transaction(store_starts,
															 &starts, true));
	}
	if (problem != NULL)
		ereport(LOG,
				(errmsg("could not store where subscriptions of server \"%s\" start: %s",
						survey->server->name, problem)));
}

/* ------------------------------------------------------------------ copies */

static const Mark *
find_mark(List *marks, const KeKafkaPartition *part, uint64 incarnation)
{
	ListCell   *lc;

	foreach(lc, marks)
	{
		Mark	   *mark = (Mark *) lfirst(lc);

		if (mark->partition == part->partition &&
			mark->incarnation == incarnation &&
			strcmp(mark->topic, part->topic) == 0)
			return mark;
	}
	return NULL;
}

static void
forget_marks(List *marks)
{
	ListCell   *lc;

	foreach(lc, marks)
		pfree(((Mark *) lfirst(lc))->topic);
	list_free_deep(marks);
}

static List *
add_mark(KeWatch *watch, List *marks, const KeKafkaPartition *part,
		 uint64 incarnation)
{
	MemoryContext old = MemoryContextSwitchTo(watch->context);
	Mark	   *mark = palloc(sizeof(Mark));

	mark->topic = pstrdup(part->topic);
	mark->partition = part->partition;
	mark->incarnation = incarnation;
	mark->offset = part->offset;
	marks = lappend(marks, mark);
	MemoryContextSwitchTo(old);

	return marks;
}

KePartitionList *
ke_survey_committed(KeSurvey *survey)
{
	KePartitionList *list = all_partitions(survey, KE_KAFKA_NONE);

	if (survey->facts->identity != KE_IDENTITY_OURS || list->count == 0 ||
		ke_survey_ask_committed(survey, survey->watch->cluster, list) != 0)
		return NULL;
	return list;
}

bool
ke_survey_finds_copy(KeSurvey *survey, const KePartitionList *list)
{
	KeWatch    *watch = survey->watch;
	List	   *marks = NIL;
	bool		moved = false;

	/* Our own former processes would be taken for a copy. */
	if (survey->facts->orphans || list == NULL)
		return ke_survey_copy_is_blocking(watch, survey->now);

	for (int i = 0; i < list->count; i++)
	{
		const KeKafkaPartition *part = &list->parts[i];
		const Mark *before;
		KeStamp		stamp;

		if (part->error != 0 || !ke_stamp_parse(part->metadata, &stamp) ||
			strcmp(stamp.uuid, survey->facts->uuid) != 0 ||
			stamp.incarnation == survey->facts->incarnation)
			continue;
		before = find_mark(watch->marks, part, stamp.incarnation);
		if (before != NULL && part->offset > before->offset)
			moved = true;
		marks = add_mark(watch, marks, part, stamp.incarnation);
	}
	forget_marks(watch->marks);
	watch->marks = marks;
	if (moved)
		watch->copy_seen_at = survey->now;

	return ke_survey_copy_is_blocking(watch, survey->now);
}

bool
ke_survey_copy_is_blocking(const KeWatch *watch, KeMoment now)
{
	return watch->copy_seen_at != 0 &&
		!TimestampDifferenceExceeds(watch->copy_seen_at, now, COPY_QUIET_MS);
}
