/*
 * fitness_clock.c
 *	  The brokers' clock beside ours.
 *
 * No request tells a broker's time, but their own logs are stamped with it.
 * So something is written to one of them, the log of transactions, and its
 * youngest message is looked for: by questions for the first message from some
 * time on, whose answer is that there is one, or none.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "cluster/fitness.h"
#include "core/clock.h"
#include "core/unix_time.h"

#define BROKERS_LOG "__transaction_state"

/* Further away is as wrong as this. */
#define FARTHEST_MS INT64CONST(86400000)

/* Questions between two powers of two: an eighth is near enough. */
#define HALVINGS 3

typedef struct Search
{
	KeCluster  *cluster;
	KeMoment	deadline;
	int			partitions;
	int64	   *ends;			/* one per partition, as the search began */
	int			error;
} Search;

static int
time_left(const Search *search)
{
	return (int) ke_clock_left(ke_clock_now(), search->deadline);
}

/* The offsets for a time; NULL, and the error, if nobody tells. */
static int64 *
offsets_for(Search *search, int64 about)
{
	KePartitionList *list = ke_partition_list_make(search->partitions);
	int64	   *offsets = palloc(search->partitions * sizeof(int64));

	for (int p = 0; p < search->partitions; p++)
		ke_partition_list_add(list, BROKERS_LOG, p, about);
	search->error = ke_cluster_offsets_for_time(search->cluster, list,
												time_left(search));
	for (int p = 0; p < search->partitions && search->error == 0; p++)
	{
		search->error = list->parts[p].error;
		offsets[p] = list->parts[p].offset;
	}
	return search->error == 0 ? offsets : NULL;
}

/* Is there a message that was written at this time or later? */
static bool
is_any_since(Search *search, int64 ms)
{
	int64	   *offsets = offsets_for(search, ms);

	for (int p = 0; offsets != NULL && p < search->partitions; p++)
		if (offsets[p] < search->ends[p])
			return true;
	return false;
}

static void
begin(Search *search)
{
	List	   *topics;

	search->error = ke_cluster_topics(search->cluster, BROKERS_LOG, &topics,
									  time_left(search));
	if (search->error == 0 && topics != NIL)
	{
		KeTopicInfo *topic = (KeTopicInfo *) linitial(topics);

		search->error = topic->error;
		search->partitions = topic->partitions;
	}
	if (search->error == 0)
		search->ends = offsets_for(search, KE_KAFKA_END);
}

/*
 * The clock is off by more than by_ms, in the direction of sign: how far?  Is
 * any message from now + sign * distance on, is what tells.
 */
static int64
measure(Search *search, int64 now_ms, int sign, int64 by_ms)
{
	int64		step = by_ms;

	while (by_ms < FARTHEST_MS && search->error == 0 &&
		   is_any_since(search, now_ms + sign * by_ms * 2) == (sign > 0))
		by_ms *= 2;
	step = by_ms / 2;
	for (int i = 0; i < HALVINGS && search->error == 0; i++, step /= 2)
		if (is_any_since(search, now_ms + sign * (by_ms + step)) == (sign > 0))
			by_ms += step;
	return by_ms;
}

KeFitnessClock
ke_fitness_clock(KeCluster *cluster, int64 written_ms, int timeout_ms)
{
	KeFitnessClock clock = {0};
	Search		search = {
		.cluster = cluster,
		.deadline = ke_clock_in(timeout_ms)
	};
	int64		now_ms;

	begin(&search);
	now_ms = ke_unix_ms(GetCurrentTimestamp());
	if (search.error == 0 &&
		is_any_since(&search, now_ms + KE_FITNESS_CLOCK_MS))
		clock.ahead_ms = measure(&search, now_ms, 1, KE_FITNESS_CLOCK_MS);
	else if (search.error == 0 &&
			 !is_any_since(&search, written_ms - KE_FITNESS_CLOCK_MS) &&
			 search.error == 0)
		clock.ahead_ms = -measure(&search, written_ms, -1,
								  KE_FITNESS_CLOCK_MS);
	clock.error = search.error;
	return clock;
}
