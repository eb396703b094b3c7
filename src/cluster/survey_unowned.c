/*
 * survey_unowned.c
 *	  Partitions of our groups that no consumer of ours has.
 *
 * It happens that a group settles without giving all partitions out, and then
 * no event ever comes: the consumers have to join again.  Or a member that is
 * none of ours has them, which only a person can change: the views name it,
 * and what it commits is not followed.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"
#include "core/clock.h"
#include "kafka/group_members.h"
#include "session/attempt.h"
#include "shm/role_demand.h"
#include "state/positions.h"

/* Partitions that nobody has for so long will not find an owner alone. */
#define FIRST_REJOIN_MS 10000
#define MAX_REJOIN_MS 600000

/*
 * With KIP-848's protocol a member that was killed keeps its partitions until
 * the brokers' session timeout, 45 s by default: joining again is no help.
 */
#define FIRST_CONSUMER_REJOIN_MS 60000

typedef struct Unowned
{
	KeSurvey   *survey;
	const KeSurveyGroup *group;
	KePartitionList *ends;		/* the partitions, and where they end */
	Oid		   *subscriptions;	/* one for each, so for the next ones */
	KePosition *positions;
	bool	   *known;
	const KeGroupMember **holders;	/* who has it, if a stranger does */
} Unowned;

/* ------------------------------------------------------------- the groups */

static KeSurveyGroup
make_group(const KeSurvey *survey, KeRole role)
{
	int			count = list_length(survey->subscriptions);
	KeSurveyGroup group = {
		.role = role,
		.name = psprintf("%s-%s", survey->server->options.service_name,
						 ke_slot_role_name(role)),
		.watch = &survey->watch->groups[role == KE_ROLE_RETRY],
		.topics = palloc((count + 1) * sizeof(char *)),
		.partitions = palloc((count + 1) * sizeof(int))
	};
	ListCell   *lc;

	foreach(lc, survey->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		int			i = foreach_current_index(lc);

		if (role == KE_ROLE_MAIN)
		{
			group.topics[i] = sub->topic;
			group.partitions[i] = survey->partitions[i];
			continue;
		}
		group.topics[i] = psprintf("%s%s", sub->topic,
								   survey->server->options.retry_suffix);
		group.partitions[i] =
			ke_survey_missing_topics_partitions(survey->watch,
												group.topics[i]);
	}
	return group;
}

/* Should processes of this role run? */
static bool
is_wanted(const KeSurvey *survey, KeRole role)
{
	const KeServerOptions *options = &survey->server->options;

	if (role == KE_ROLE_MAIN)
		return options->workers > 0;
	return options->retry_workers > 0 &&
		ke_role_demand_has(survey->facts->database, survey->server->oid,
						   role);
}

/* ---------------------------------------------------------------- owners */

static bool
is_owned(const KeLagRow *rows, int nrows, Oid subscription, int32 partition,
		 KeRole role)
{
	for (int i = 0; i < nrows; i++)
	{
		if (rows[i].subscription == subscription &&
			rows[i].partition == partition && rows[i].role == role)
			return rows[i].ordinal >= 0;
	}
	return false;
}

static void
find_unowned(Unowned *unowned, const KeLagRow *rows, int nrows)
{
	const KeSurveyGroup *group = unowned->group;
	int			total = 0;
	ListCell   *lc;

	foreach(lc, unowned->survey->subscriptions)
		total += group->partitions[foreach_current_index(lc)];
	unowned->ends = ke_partition_list_make(total);
	unowned->subscriptions = palloc0((total + 1) * sizeof(Oid));
	unowned->positions = palloc0((total + 1) * sizeof(KePosition));
	unowned->known = palloc0((total + 1) * sizeof(bool));
	unowned->holders = palloc0((total + 1) * sizeof(KeGroupMember *));
	foreach(lc, unowned->survey->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		int			i = foreach_current_index(lc);

		for (int p = 0; p < group->partitions[i]; p++)
		{
			if (is_owned(rows, nrows, sub->oid, p, group->role))
				continue;
			unowned->subscriptions[unowned->ends->count] = sub->oid;
			ke_partition_list_add(unowned->ends, group->topics[i], p,
								  KE_KAFKA_END);
		}
	}
}

static bool
has_partition(const KeGroupMember *member, const KeKafkaPartition *part)
{
	for (int i = 0; i < member->assigned->count; i++)
	{
		const KeKafkaPartition *theirs = &member->assigned->parts[i];

		if (theirs->partition == part->partition &&
			strcmp(theirs->topic, part->topic) == 0)
			return true;
	}
	return false;
}

/*
 * Who has them, as far as Kafka tells; returns how many have no holder.  What
 * servers share, others of them may have.
 */
static int
find_holders(Unowned *unowned)
{
	KeSurvey   *survey = unowned->survey;
	KeHandle   *handle = ke_cluster_handle(survey->watch->cluster);
	int			count = unowned->ends->count;
	int			left = count;
	List	   *members;
	ListCell   *lc;
	int			error;

	if (count == 0 || survey->server->options.shared)
		return count;
	error = ke_group_members_list(handle, unowned->group->name, &members,
								  ke_survey_ask_patience(survey));
	if (ke_survey_ask_note(survey, error) != 0)
		return count;
	foreach(lc, members)
	{
		const KeGroupMember *member = (KeGroupMember *) lfirst(lc);

		if (ke_group_members_is_of(member, survey->facts->uuid))
			continue;
		for (int i = 0; i < count; i++)
		{
			if (!has_partition(member, &unowned->ends->parts[i]))
				continue;
			unowned->holders[i] = member;
			left--;
		}
	}
	return left;
}

/* ------------------------------------------------------------ publishing */

static void
read_positions(void *argument)
{
	Unowned    *unowned = (Unowned *) argument;
	KePositionKey key = {
		.cluster_id = unowned->survey->watch->cluster_id,
		.group_id = unowned->group->name
	};

	for (int i = 0; i < unowned->ends->count; i++)
	{
		unowned->positions[i].topic = unowned->ends->parts[i].topic;
		unowned->positions[i].partition = unowned->ends->parts[i].partition;
		unowned->known[i] = ke_positions_read(&key, &unowned->positions[i]);
	}
}

static void
put_reason(const Unowned *unowned, int i, KeLagRow *row)
{
	const KeSurvey *survey = unowned->survey;
	const KeGroupMember *holder = unowned->holders[i];

	if (survey->watch->owner[0] != '\0')
		return;					/* the server's reason says it */
	if (holder != NULL)
		snprintf(row->reason, sizeof(row->reason),
				 "a member of group \"%s\" that is not this database's has it: client \"%s\" at %s; stop that, or give one of the two another group",
				 unowned->group->name, holder->client, holder->host);
	else if (unowned->group->watch->trouble_since != 0 &&
			 is_wanted(survey, unowned->group->role) &&
			 TimestampDifferenceExceeds(unowned->group->watch->trouble_since,
										survey->now, FIRST_REJOIN_MS / 2))
		snprintf(row->reason, sizeof(row->reason),
				 "group \"%s\" has given it to no consumer yet%s",
				 unowned->group->name,
				 survey->server->options.consumer_protocol ?
				 ": a member that was killed keeps it until the brokers' group.consumer.session.timeout.ms is over" :
				 "");
}

static void
publish(const Unowned *unowned, int i)
{
	const KeSurvey *survey = unowned->survey;
	const KeKafkaPartition *end = &unowned->ends->parts[i];
	const KePosition *pos = &unowned->positions[i];
	KeLagRow	row = {
		.database = survey->facts->database,
		.server = survey->server->oid,
		.subscription = unowned->subscriptions[i],
		.partition = end->partition,
		.role = unowned->group->role,
		.ordinal = -1,
		.position = unowned->known[i] ? pos->next : -1,
		.committed = unowned->known[i] ? pos->committed : -1,
		.end = -1,
		.last_stable = end->error == 0 ? end->offset : -1,
		.heard_at = end->error == 0 ? ke_clock_now() : 0,
		.status = KE_PARTITION_UNASSIGNED,
		.strangers = unowned->holders[i] != NULL
	};

	put_reason(unowned, i, &row);
	ke_lag_publish_unowned(&row);
}

/*
 * Keep the time that partitions have had no owner, or consumers no work.
 * What a stranger has does not count: joining again would not bring it back.
 * The reason may pass as well, so each rejoin that did not help doubles the
 * time.
 */
static void
note_trouble(const KeSurvey *survey, KeGroupWatch *watch, bool any)
{
	int			first_ms = survey->server->options.consumer_protocol ?
		FIRST_CONSUMER_REJOIN_MS : FIRST_REJOIN_MS;

	if (!any || survey->server->options.shared)
	{
		watch->trouble_since = 0;
		watch->rejoin_ms = first_ms;
		watch->rejoin = false;
	}
	else if (watch->trouble_since == 0)
	{
		watch->trouble_since = survey->now;
		watch->rejoin_ms = Max(watch->rejoin_ms, first_ms);
	}
	else if (TimestampDifferenceExceeds(watch->trouble_since, survey->now,
										watch->rejoin_ms))
		watch->rejoin = true;
}

void
ke_survey_unowned_rejoined(KeGroupWatch *watch, KeMoment now)
{
	watch->rejoin = false;
	watch->trouble_since = now;
	watch->rejoin_ms = Min(watch->rejoin_ms * 2, MAX_REJOIN_MS);
}

static void
look_at_group(KeSurvey *survey, KeRole role)
{
	KeSurveyGroup group = make_group(survey, role);
	Unowned		unowned = {.survey = survey,.group = &group};
	int			nrows;
	KeLagRow   *rows = ke_lag_rows(survey->facts->database, &nrows);
	bool		stalled;
	int			nobodys;

	find_unowned(&unowned, rows, nrows);
	stalled = ke_survey_stalled(survey, &group, rows, nrows);
	pfree(rows);
	nobodys = find_holders(&unowned);
	note_trouble(survey, group.watch,
				 is_wanted(survey, role) && (nobodys > 0 || stalled));
	if (unowned.ends->count == 0 ||
		ke_attempt_transaction(read_positions, &unowned, false) != NULL ||
		ke_survey_ask_offsets(survey, unowned.ends) != 0)
		return;
	for (int i = 0; i < unowned.ends->count; i++)
		publish(&unowned, i);
}

void
ke_survey_unowned(KeSurvey *survey)
{
	look_at_group(survey, KE_ROLE_MAIN);
	if (is_wanted(survey, KE_ROLE_RETRY))
		look_at_group(survey, KE_ROLE_RETRY);
}
