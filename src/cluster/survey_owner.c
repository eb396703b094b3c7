/*
 * survey_owner.c
 *	  Whose is the consumer group?
 *
 * Each of our commits says which database made it.  A database that finds
 * nothing but another one's in a topic must not join the group: it would be
 * given partitions, refuse to process them, and so stop the other one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "cluster/survey.h"
#include "core/stamp.h"
#include "session/attempt.h"
#include "state/takeovers.h"

/* What is read of the takeovers, and what becomes of them. */
typedef struct Takeovers
{
	const char *service;
	List	   *uuids;			/* of char *, in context */
	MemoryContext context;
} Takeovers;

static void
read_takeovers(void *argument)
{
	Takeovers  *takeovers = (Takeovers *) argument;
	MemoryContext old = MemoryContextSwitchTo(takeovers->context);

	takeovers->uuids = ke_takeovers_list(takeovers->service);
	MemoryContextSwitchTo(old);
}

static void
forget_takeovers(void *argument)
{
	ke_takeovers_forget(((Takeovers *) argument)->service);
}

static bool
is_taken_over(const List *uuids, const char *uuid)
{
	ListCell   *lc;

	foreach(lc, uuids)
	{
		if (strcmp((char *) lfirst(lc), uuid) == 0)
			return true;
	}
	return false;
}

/* How the commits of one topic are spread. */
typedef struct Commits
{
	bool		ours;
	bool		taken;			/* of a database that was taken over */
	KeStamp		other;			/* uuid empty: none of another one */
} Commits;

static Commits
look_at_topic(const KeSurvey *survey, const KePartitionList *committed,
			  const char *topic, const List *taken_over)
{
	Commits		commits = {0};

	for (int i = 0; i < committed->count; i++)
	{
		const KeKafkaPartition *part = &committed->parts[i];
		KeStamp		stamp;

		if (strcmp(part->topic, topic) != 0 || part->error != 0 ||
			!ke_stamp_parse(part->metadata, &stamp))
			continue;
		if (strcmp(stamp.uuid, survey->facts->uuid) == 0)
			commits.ours = true;
		else if (is_taken_over(taken_over, stamp.uuid))
			commits.taken = true;
		else
			commits.other = stamp;
	}
	return commits;
}

void
ke_survey_owner(KeSurvey *survey, const KePartitionList *committed)
{
	KeWatch    *watch = survey->watch;
	Takeovers	takeovers = {
		.service = survey->server->options.service_name,
		.context = CurrentMemoryContext
	};
	bool		taken = false;
	ListCell   *lc;

	if (ke_attempt_transaction(read_takeovers, &takeovers, false) != NULL)
		return;
	watch->owner[0] = '\0';
	foreach(lc, survey->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		Commits		commits = look_at_topic(survey, committed, sub->topic,
											takeovers.uuids);

		taken |= commits.taken;
		if (commits.ours || commits.taken || commits.other.uuid[0] == '\0' ||
			survey->server->options.shared || watch->owner[0] != '\0')
			continue;
		snprintf(watch->owner, sizeof(watch->owner),
				 "group \"%s\" belongs to %s: " KE_REASON_WAYS_OUT,
				 survey->group,
				 ke_stamp_whose(commits.other.uuid, commits.other.database,
								commits.other.host));
	}

	/* Our own commits have replaced theirs: if they come back, they count. */
	if (takeovers.uuids != NIL && !taken && watch->owner[0] == '\0')
		(void) ke_attempt_transaction(forget_takeovers, &takeovers, false);
}
