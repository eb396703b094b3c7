/*
 * fetch_trouble.c
 *	  Partitions that are ours, and that the library cannot fetch.
 *
 * The library tells once that a broker refuses a partition, and tries on.  So
 * the fault is kept until the partition delivers something.
 *
 * A response that is larger than receive.message.max.bytes ends the
 * connection, and so does each one after it: no partition of that broker is
 * read any more, and nothing says whose message it was.  So all partitions
 * are held and each is fetched alone, until it delivers something or the
 * connection ends again.  In the second case it is the one, and stops.
 */
#include "postgres.h"
#include "core/compat.h"

#include "consumer/engine.h"
#include "core/clock.h"
#include "core/throttle.h"

/* What was asked for before all were held has come by then, or never will. */
#define SETTLE_MS 1000

/* One that delivers nothing for so long has had its turn. */
#define TURN_MS 15000

/* Why it delivers nothing, as the views say it. */
static char *
describe(const KePartition *part, const KeConsumerEvent *event)
{
	const char *hint = ke_client_error_hint(event->error);

	if (event->refused)
		return psprintf("the Kafka user needs Read on topic \"%s\"",
						part->topic);
	return psprintf("%s%s%s", event->text, hint != NULL ? ": " : "",
					hint != NULL ? hint : "");
}

/* A broker does not give us what the partition holds. */
void
ke_fetch_trouble_note(KeEngine *engine, KePartition *part,
					  const KeConsumerEvent *event)
{
	char	   *fault = describe(part, event);

	ke_partition_restart(engine, part, fault);
	strlcpy(part->fault, fault, sizeof(part->fault));
	if (ke_throttle_allows(psprintf("%s: %s", part->topic, fault)))
		ereport(WARNING,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("partition %d of topic \"%s\" cannot be fetched: %s",
						part->partition, part->topic, fault)));
}

/* ------------------------------------------------- larger than is allowed */

static bool
can_be_tried(const KePartition *part)
{
	return part->status == KE_PARTITION_RUNNING && !part->held;
}

/* partition_start.c has it fetched again, when it may be. */
static void
set_trial(KeEngine *engine, KePartition *part, KeFetchTrial trial)
{
	if (part->fetching)
	{
		ke_partition_hold(engine, part);
		part->fetch_from = part->verifying ? part->pos.last_offset :
			part->pos.next;
	}
	part->trial = trial;
}

static void
stop(KeEngine *engine, KePartition *part)
{
	set_trial(engine, part, KE_FETCH_FREE);
	ke_partition_stop(engine, part,
					  psprintf("a message at offset %lld or behind it is larger than receive.message.max.bytes (%d): raise that server option",
							   (long long) part->pos.next,
							   engine->too_big_for));
}

/* The one that is fetched alone, or NULL. */
static KePartition *
find_alone(KeEngine *engine)
{
	for (int i = 0; i < engine->nparts; i++)
		if (engine->parts[i]->trial == KE_FETCH_ALONE)
			return engine->parts[i];
	return NULL;
}

static void
begin_trial(KeEngine *engine)
{
	for (int i = 0; i < engine->nparts; i++)
		if (engine->parts[i]->fetching)
			set_trial(engine, engine->parts[i], KE_FETCH_WAITS);
	engine->trial_at = ke_clock_in(SETTLE_MS);
	if (ke_throttle_allows("too big"))
		ereport(LOG,
				(errmsg("a broker sent more than receive.message.max.bytes (%d): looking for the partition",
						engine->too_big_for)));
}

/* A broker has sent more than this limit, and the connection is closed. */
void
ke_fetch_trouble_too_big(KeEngine *engine, int limit)
{
	KePartition *alone = find_alone(engine);

	engine->too_big_for = limit;
	if (alone != NULL)
	{
		stop(engine, alone);
		engine->trial_at = ke_clock_now();
	}
	else if (engine->trial_at == 0)
		begin_trial(engine);
}

/* The partition delivers: it is not that one, and nothing else is wrong. */
void
ke_fetch_trouble_over(KeEngine *engine, KePartition *part)
{
	part->fault[0] = '\0';
	if (part->trial != KE_FETCH_ALONE)
		return;
	part->trial = KE_FETCH_PASSED;
	engine->trial_at = ke_clock_now();
}

static KePartition *
find_next(KeEngine *engine)
{
	for (int i = 0; i < engine->nparts; i++)
		if (engine->parts[i]->trial == KE_FETCH_WAITS &&
			can_be_tried(engine->parts[i]))
			return engine->parts[i];
	return NULL;
}

static void
end_trial(KeEngine *engine)
{
	for (int i = 0; i < engine->nparts; i++)
		set_trial(engine, engine->parts[i], KE_FETCH_FREE);
	engine->trial_at = 0;
}

/*
 * In each round: the next partition's turn, if one is due.  What has come to
 * this process meanwhile waits for its turn, too.
 */
void
ke_fetch_trouble_step(KeEngine *engine, KeMoment now)
{
	KePartition *next;

	if (engine->trial_at == 0)
		return;
	for (int i = 0; i < engine->nparts; i++)
	{
		KePartition *part = engine->parts[i];

		if (part->fetching && part->trial == KE_FETCH_FREE)
			set_trial(engine, part, KE_FETCH_WAITS);
		else if (part->fetching && part->trial == KE_FETCH_PASSED)
			set_trial(engine, part, KE_FETCH_PASSED);
	}
	if (now < engine->trial_at)
		return;
	next = find_alone(engine);
	if (next != NULL)
		set_trial(engine, next, KE_FETCH_PASSED);
	next = find_next(engine);
	if (next == NULL)
	{
		end_trial(engine);
		return;
	}
	next->trial = KE_FETCH_ALONE;
	engine->trial_at = ke_clock_in(TURN_MS);
}
