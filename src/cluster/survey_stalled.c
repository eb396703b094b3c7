/*
 * survey_stalled.c
 *	  Consumers that are well and do not get their share of the work.
 *
 * A group may settle with several partitions for one consumer and none for
 * another, and a partition may be fetched, have messages, and yet deliver
 * none; no event would ever end either.  Both end when the consumers join
 * their group again.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"
#include "core/clock.h"
#include "shm/lag.h"
#include "shm/roster.h"

/* A consumer that serves its queue is not in the middle of a handler. */
#define ATTENTIVE_MS 3000

/* Where a partition was, and how much its consumer had done, at a look. */
struct KeStallMark
{
	Oid			subscription;
	int32		partition;
	int64		position;
	int64		messages;		/* of the consumer, over all partitions */
};

static bool
is_running(const KeSurvey *survey, const KeSurveyGroup *group,
		   const KeSlotReport *slot)
{
	return slot->who.server == survey->server->oid &&
		slot->who.role == group->role &&
		slot->phase == KE_PHASE_ATTACHED &&
		slot->status == KE_STATUS_RUNNING;
}

/* Has one consumer nothing, and another more than one partition? */
static bool
is_uneven(const KeSurvey *survey, const KeSurveyGroup *group,
		  const KeSlotReport *slots, int nslots)
{
	int			least = PG_INT32_MAX;
	int			most = 0;

	for (int i = 0; i < nslots; i++)
	{
		if (!is_running(survey, group, &slots[i]))
			continue;
		least = Min(least, slots[i].assigned);
		most = Max(most, slots[i].assigned);
	}
	return least == 0 && most > 1;
}

/* The consumer that has the partition, if it is well and waits for work. */
static const KeSlotReport *
find_waiting(const KeSurvey *survey, const KeSurveyGroup *group,
			 const KeSlotReport *slots, int nslots, const KeLagRow *row)
{
	if (row->server != survey->server->oid || row->role != group->role ||
		row->status != KE_PARTITION_RUNNING || row->position < 0)
		return NULL;
	for (int i = 0; i < nslots; i++)
	{
		if (is_running(survey, group, &slots[i]) &&
			slots[i].who.ordinal == row->ordinal &&
			!TimestampDifferenceExceeds(slots[i].heartbeat, survey->now,
										ATTENTIVE_MS))
			return &slots[i];
	}
	return NULL;
}

static const char *
topic_of(const KeSurvey *survey, const KeSurveyGroup *group, Oid subscription)
{
	ListCell   *lc;

	foreach(lc, survey->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (sub->oid == subscription)
			return group->topics[foreach_current_index(lc)];
	}
	return NULL;
}

static bool
is_unchanged(const KeGroupWatch *watch, const KeStallMark *mark)
{
	for (int i = 0; i < watch->nstall_marks; i++)
	{
		const KeStallMark *before = &watch->stall_marks[i];

		if (before->subscription == mark->subscription &&
			before->partition == mark->partition)
			return before->position == mark->position &&
				before->messages == mark->messages;
	}
	return false;
}

/* Is there anything to fetch at one of these positions? */
static bool
any_has_more(KeSurvey *survey, const KePartitionList *positions)
{
	KePartitionList *ends = ke_partition_list_make(positions->count);

	for (int i = 0; i < positions->count; i++)
		ke_partition_list_add(ends, positions->parts[i].topic,
							  positions->parts[i].partition, KE_KAFKA_END);
	if (ke_survey_ask_offsets(survey, ends) != 0)
		return false;
	for (int i = 0; i < ends->count; i++)
	{
		if (ends->parts[i].error == 0 &&
			ends->parts[i].offset > positions->parts[i].offset)
			return true;
	}
	return false;
}

/* Did a partition that has messages deliver none since the last look? */
static bool
is_stuck(KeSurvey *survey, const KeSurveyGroup *group,
		 const KeSlotReport *slots, int nslots, const KeLagRow *rows,
		 int nrows)
{
	KeGroupWatch *watch = group->watch;
	KeStallMark *marks;
	int			nmarks = 0;
	KePartitionList *still = ke_partition_list_make(16);

	marks = MemoryContextAlloc(survey->watch->context,
							   Max(nrows, 1) * sizeof(KeStallMark));
	for (int i = 0; i < nrows; i++)
	{
		const KeSlotReport *slot = find_waiting(survey, group, slots, nslots,
												&rows[i]);
		const char *topic = topic_of(survey, group, rows[i].subscription);

		if (slot == NULL || topic == NULL)
			continue;
		marks[nmarks].subscription = rows[i].subscription;
		marks[nmarks].partition = rows[i].partition;
		marks[nmarks].position = rows[i].position;
		marks[nmarks].messages = slot->messages;
		if (is_unchanged(watch, &marks[nmarks]))
			ke_partition_list_add(still, topic, rows[i].partition,
								  rows[i].position);
		nmarks++;
	}
	if (watch->stall_marks != NULL)
		pfree(watch->stall_marks);
	watch->stall_marks = marks;
	watch->nstall_marks = nmarks;
	return still->count > 0 && any_has_more(survey, still);
}

bool
ke_survey_stalled(KeSurvey *survey, const KeSurveyGroup *group,
				  const KeLagRow *rows, int nrows)
{
	int			nslots;
	KeSlotReport *slots = ke_roster_reports(survey->facts->database, &nslots);
	bool		stuck = is_stuck(survey, group, slots, nslots, rows, nrows);
	bool		uneven = is_uneven(survey, group, slots, nslots);

	pfree(slots);
	return stuck || uneven;
}
