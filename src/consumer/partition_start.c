/*
 * partition_start.c
 *	  From assigned to fetched: claim the row, look at Kafka, decide, store.
 *
 * The order makes it safe to die between any two steps: the claim (epoch + 1,
 * durable) shuts out the former owner before anything is read; a moved or
 * first position is stored in PostgreSQL before Kafka is told, and Kafka is
 * told before the first message is processed.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/ordered.h"
#include "consumer/start_decision.h"
#include "core/clock.h"
#include "core/testing.h"
#include "kafka/group_members.h"
#include "shm/metrics.h"

#define CLAIM_LOCK_TIMEOUT_MS 2000
#define ASK_TIMEOUT_MS 3000
#define TRY_AGAIN_MS 1000

/* Claims without a batch after which messages run alone. */
#define UNCLEAN_CAREFUL 2

/* Messages that run alone before batches are trusted again. */
#define CAREFUL_MESSAGES 1000

/* One partition on its way. */
typedef struct Start
{
	KePartition *part;
	bool		has_row;
	bool		waits;			/* its 'latest' is not resolved yet */
	bool		failed;			/* reason is set, try again later */
	int64		skipped;		/* by following what is committed */
	KeStartFacts facts;
	KeStartDecision decision;
} Start;

typedef struct Starts
{
	Start	   *each;
	int			count;
} Starts;

static void
put_off(Start *start, const char *reason)
{
	start->failed = true;
	start->part->start_at = ke_clock_in(TRY_AGAIN_MS);
	strlcpy(start->part->reason, reason, sizeof(start->part->reason));
}

/* In a transaction: take the rows over, in key order. */
static void
claim(KeEngine *engine, void *argument)
{
	Starts	   *starts = (Starts *) argument;
	KeMoment	unused;
	int			i;

	for (i = 0; i < starts->count; i++)
	{
		Start	   *start = &starts->each[i];

		start->waits = ke_positions_start_pending(engine->key.group_id,
												  start->part->topic,
												  &unused);
		if (!start->waits)
			start->has_row = ke_positions_claim(&engine->key,
												&start->part->pos,
												!start->part->restarted,
												CLAIM_LOCK_TIMEOUT_MS);

		/* after the claim: the former owner parks no more from there on */
		if (engine->role == KE_ROLE_MAIN)
			ke_ordered_load(engine, start->part);
	}
}

static bool
needs_store(const Start *start)
{
	return !start->has_row ||
		start->decision.offset != start->part->pos.next;
}

/* In a transaction: store positions that are new or were moved by a tool. */
static void
store(KeEngine *engine, void *argument)
{
	Starts	   *starts = (Starts *) argument;
	int			i;

	for (i = 0; i < starts->count; i++)
	{
		Start	   *start = &starts->each[i];
		KePosition *pos = &start->part->pos;
		KePosition	moved = *pos;

		if (start->failed || !needs_store(start))
			continue;
		if (!start->has_row)
		{
			pos->next = start->decision.offset;
			ke_positions_insert(&engine->key, pos);
			continue;
		}
		moved.next = start->decision.offset;
		moved.last_offset = KE_OFFSET_NONE;
		if (ke_positions_advance(&engine->key, &pos, &moved, 1) == 1)
			*pos = moved;
		else
			put_off(start, "another process took the partition over");
	}
}

/* Why a claim alone says that the partition must not run, or NULL. */
static char *
refuse_unclean(const KePosition *pos)
{
	if (!ke_positions_is_given_up(pos))
		return NULL;
	return psprintf("the message at offset %lld ended its process %d times",
					(long long) pos->trying, KE_POSITIONS_TRIES);
}

/* Which partitions can be started now; they keep their key order. */
static void
collect(KeEngine *engine, KeMoment now, Starts *starts)
{
	int			i;

	starts->each = palloc0(Max(engine->nparts, 1) * sizeof(Start));
	starts->count = 0;
	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->status == KE_PARTITION_STARTING && !part->decided &&
			part->start_at <= now)
			starts->each[starts->count++].part = part;
	}
}

static void
remove_failed(Starts *starts)
{
	int			i;
	int			kept = 0;

	for (i = 0; i < starts->count; i++)
		if (!starts->each[i].failed)
			starts->each[kept++] = starts->each[i];
	starts->count = kept;
}

static void
claim_all(KeEngine *engine, Starts *starts)
{
	KeFailure  *fail;
	bool		claimed = ke_transact(engine, claim, starts, true, &fail);
	int			i;

	KE_CRASH_POINT("after_claim");
	for (i = 0; i < starts->count; i++)
	{
		Start	   *start = &starts->each[i];
		char	   *refusal;

		if (!claimed)
			put_off(start, ke_failure_describe(fail));
		else if (start->waits)
			put_off(start, "waiting for the offsets of start_from \"latest\"");
		start->part->has_row = claimed && start->has_row;
		refusal = start->part->has_row ?
			refuse_unclean(&start->part->pos) : NULL;
		if (refusal != NULL)
		{
			start->failed = true;
			ke_partition_stop(engine, start->part, refusal);
		}
	}
	remove_failed(starts);
}

/* What is committed in Kafka, with its stamp. */
static void
ask_committed(KeEngine *engine, Starts *starts)
{
	KePartitionList *list = ke_partition_list_make(starts->count);
	int			error;
	int			i;

	for (i = 0; i < starts->count; i++)
		ke_partition_list_add(list, starts->each[i].part->topic,
							  starts->each[i].part->partition, KE_KAFKA_NONE);
	error = ke_consumer_committed(engine->consumer, list, ASK_TIMEOUT_MS);
	for (i = 0; i < starts->count; i++)
	{
		Start	   *start = &starts->each[i];
		KeKafkaPartition *answer = &list->parts[i];

		if (error != 0 || answer->error != 0)
		{
			put_off(start,
					psprintf("could not read what group \"%s\" committed: %s",
							 engine->key.group_id,
							 ke_client_error_name(error ? error :
												  answer->error)));
			continue;
		}
		start->facts.has_k = (answer->offset >= 0);
		start->facts.k = answer->offset;
		start->facts.has_stamp = start->facts.has_k &&
			ke_stamp_parse(answer->metadata, &start->facts.stamp);
	}
	remove_failed(starts);
}

/*
 * May positions of the database that committed last be continued?  The retry
 * group belongs to whoever has the main group, and the manager starts nobody
 * in either while that is another's.
 */
static bool
is_shared(KeEngine *engine, const KeStartFacts *facts)
{
	ListCell   *lc;

	if (engine->server->options.shared || engine->role == KE_ROLE_RETRY)
		return true;
	foreach(lc, engine->taken_over)
	{
		if (facts->has_stamp &&
			strcmp((char *) lfirst(lc), facts->stamp.uuid) == 0)
			return true;
	}
	return false;
}

static void
ask_bounds(KeEngine *engine, Starts *starts)
{
	int			i;

	for (i = 0; i < starts->count; i++)
	{
		Start	   *start = &starts->each[i];
		int			error;

		start->facts.uuid = engine->uuid;
		start->facts.shared = is_shared(engine, &start->facts);
		start->facts.has_p = start->has_row;
		start->facts.p = &start->part->pos;
		if (!ke_start_decision_needs_bounds(&start->facts))
			continue;
		error = ke_consumer_watermarks(engine->consumer, start->part->topic,
									   start->part->partition,
									   &start->facts.low, &start->facts.high,
									   ASK_TIMEOUT_MS);
		if (error != 0)
			put_off(start, psprintf("could not read the bounds of the partition: %s",
									ke_client_error_name(error)));
	}
	remove_failed(starts);
}

/* Are there members in the group that are none of this database's? */
static bool
has_strangers(KeEngine *engine, int *error)
{
	List	   *members;
	ListCell   *lc;

	*error = ke_group_members_list(ke_consumer_handle(engine->consumer),
								   engine->key.group_id, &members,
								   ASK_TIMEOUT_MS);
	foreach(lc, members)
	{
		if (!ke_group_members_is_of((KeGroupMember *) lfirst(lc),
									engine->uuid))
			return true;
	}
	return false;
}

/*
 * Before what somebody else committed is followed: was it a tool that did?
 * If our consumers had the partition while the group had members, or a
 * stranger is there now, it was a stranger.
 */
static void
decide_whose(KeEngine *engine, Start *start)
{
	int			error = 0;

	start->facts.contested = start->part->contested;
	start->decision = ke_start_decision_make(&start->facts);
	if (start->decision.verdict != KE_START_ADOPTED || !start->has_row)
		return;
	start->facts.contested = has_strangers(engine, &error);
	if (error != 0)
		put_off(start, psprintf("could not read who is in group \"%s\": %s",
								engine->key.group_id,
								ke_client_error_name(error)));
	else
		start->decision = ke_start_decision_make(&start->facts);
}

static void
warn_contested(KeEngine *engine, const Start *start)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("partition %d of topic \"%s\" goes on at offset %lld: offset %lld was committed by a member of group \"%s\" that is not this database's",
					start->part->partition, start->part->topic,
					(long long) start->part->pos.next,
					(long long) start->facts.k, engine->key.group_id),
			 errhint("If it was meant to move, use kafka_consumer_seek.")));
}

static void
warn_adopted(KeEngine *engine, const Start *start)
{
	const KePosition *p = &start->part->pos;

	if (!start->has_row)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("partition %d of topic \"%s\" starts at offset %lld, which group \"%s\" had committed before",
						start->part->partition, start->part->topic,
						(long long) start->facts.k, engine->key.group_id)));
	else
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("partition %d of topic \"%s\" moves from offset %lld to %lld: its group was reset from outside",
						start->part->partition, start->part->topic,
						(long long) p->next, (long long) start->facts.k),
				 start->facts.k > p->next ?
				 errdetail("%lld offsets are skipped.",
						   (long long) (start->facts.k - p->next)) : 0,
				 errhint("Use kafka_consumer_seek to move a position.")));
}

static char *
describe_owner(KeEngine *engine, const KeStamp *stamp)
{
	return psprintf("group \"%s\" belongs to %s: " KE_REASON_WAYS_OUT,
					engine->key.group_id,
					ke_stamp_whose(stamp->uuid, stamp->database,
								   stamp->host));
}

/* One decision, and what it means for the partition. */
static void
decide(KeEngine *engine, Start *start)
{
	KePartition *part = start->part;

	decide_whose(engine, start);
	if (start->failed)
		return;
	part->verifying = false;
	switch (start->decision.verdict)
	{
		case KE_START_AT_POSITION:
		case KE_START_SHARED:
		case KE_START_FRESH:
			break;
		case KE_START_VERIFIED:
			part->verifying = true;
			break;
		case KE_START_UNVERIFIED:
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("partition %d of topic \"%s\" goes on at offset %lld unchecked: the message before it is not in the log any more",
							part->partition, part->topic,
							(long long) part->pos.next)));
			break;
		case KE_START_ADOPTED:
			warn_adopted(engine, start);
			if (start->has_row)
				start->skipped = Max(start->facts.k - part->pos.next, 0);
			break;
		case KE_START_CONTESTED:
			warn_contested(engine, start);
			break;
		case KE_START_REFUSED_FOREIGN:
			start->failed = true;
			ke_partition_stop(engine, part,
							  describe_owner(engine, &start->facts.stamp));
			break;
		case KE_START_REFUSED_RANGE:
			start->failed = true;
			ke_partition_stop(engine, part,
							  psprintf("offset %lld is outside of the log (%lld to %lld): retention passed it, or the topic was deleted and made again",
									   (long long) start->decision.offset,
									   (long long) start->facts.low,
									   (long long) start->facts.high));
			break;
	}
}

static void
count_skipped(KeEngine *engine, const Start *start)
{
	KeMetricsDelta delta = {.counters.skipped_by_reset = start->skipped};

	if (start->skipped > 0 && start->part->stage != NULL)
		ke_metrics_add(engine->database, start->part->stage->sub->oid,
					   &delta);
}

/* Claimed, decided and stored: ready to be fetched. */
static void
get_ready(KeEngine *engine, Start *start)
{
	KePartition *part = start->part;
	KeStartVerdict verdict = start->decision.verdict;
	bool		stamped = start->facts.has_stamp &&
		strcmp(start->facts.stamp.uuid, start->facts.uuid) == 0;

	part->has_row = true;
	part->contested = true;
	part->restarted = false;
	part->owned_in = engine->in_group_since;
	part->start = stamped ? start->facts.stamp.start : part->pos.next;
	part->sent = -1;
	if (stamped && start->facts.has_k)
		part->sent = part->pos.committed = start->facts.k;
	part->fetch_from = part->verifying ? part->pos.last_offset :
		part->pos.next;
	part->careful = part->pos.unclean >= UNCLEAN_CAREFUL ?
		CAREFUL_MESSAGES : 0;
	part->end = -1;
	part->reason[0] = '\0';
	part->held = false;
	if (verdict == KE_START_ADOPTED || verdict == KE_START_SHARED ||
		verdict == KE_START_FRESH)
		part->decided = true;
	else
		part->status = KE_PARTITION_RUNNING;
}

/*
 * Everything that can be done before the library is told.  Afterwards each
 * partition is RUNNING (fetch_from is set), decided, stopped or put off.
 */
void
ke_partition_start_decide(KeEngine *engine, KeMoment now)
{
	Starts		starts;
	KeFailure  *fail;
	int			i;

	collect(engine, now, &starts);
	if (starts.count == 0)
		return;
	claim_all(engine, &starts);
	if (starts.count > 0)
		ask_committed(engine, &starts);
	ask_bounds(engine, &starts);
	for (i = 0; i < starts.count; i++)
		decide(engine, &starts.each[i]);
	remove_failed(&starts);
	for (i = 0; i < starts.count && !needs_store(&starts.each[i]); i++)
		;
	if (i < starts.count && !ke_transact(engine, store, &starts, true, &fail))
		for (i = 0; i < starts.count; i++)
			put_off(&starts.each[i], ke_failure_describe(fail));
	remove_failed(&starts);
	for (i = 0; i < starts.count; i++)
	{
		get_ready(engine, &starts.each[i]);
		count_skipped(engine, &starts.each[i]);
		(void) ke_ordered_holds(engine, starts.each[i].part);
	}
	engine->commit_at = now;
}

/* Tell Kafka where decided partitions start; what it does not take waits. */
static void
commit_decided(KeEngine *engine, KeMoment now)
{
	KePartitionList *list = ke_partition_list_make(engine->nparts);
	int			error;
	int			i;

	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->status == KE_PARTITION_STARTING && part->decided &&
			part->start_at <= now)
			ke_partition_list_add(list, part->topic, part->partition,
								  part->pos.next)->metadata =
				ke_offset_commit_stamp(engine, part, part->pos.next);
	}
	if (list->count == 0)
		return;
	error = ke_consumer_commit_wait(engine->consumer, list, ASK_TIMEOUT_MS);
	for (i = 0; i < list->count; i++)
	{
		KePartition *part = ke_partition_find(engine, list->parts[i].topic,
											  list->parts[i].partition);

		if (error == 0 && list->parts[i].error == 0)
		{
			part->status = KE_PARTITION_RUNNING;
			part->decided = false;
			(void) ke_ordered_holds(engine, part);
			part->sent = part->pos.committed = part->pos.next;
			continue;
		}
		part->start_at = TimestampTzPlusMilliseconds(now, TRY_AGAIN_MS);
		snprintf(part->reason, sizeof(part->reason),
				 "could not commit the first position to group \"%s\": %s",
				 engine->key.group_id,
				 ke_client_error_name(error ? error : list->parts[i].error));
	}
}

/*
 * Let the library fetch what is RUNNING now.  in_library: the partitions are
 * fetched from somewhere else there, or not at all, so restart them;
 * otherwise they have just been assigned at fetch_from and are paused.
 */
void
ke_partition_start_finish(KeEngine *engine, KeMoment now, bool in_library)
{
	KePartitionList *list = ke_partition_list_make(engine->nparts);
	int			i;

	commit_decided(engine, now);
	for (i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->status != KE_PARTITION_RUNNING || part->fetching ||
			part->held || part->awaits || ke_fetch_trouble_holds(part))
			continue;
		ke_partition_list_add(list, part->topic, part->partition,
							  part->fetch_from);
		part->fetching = true;
		part->reason[0] = '\0';
	}
	if (list->count == 0)
		return;
	if (in_library)
		ke_consumer_restart(engine->consumer, list);
	ke_consumer_resume(engine->consumer, list);
}
