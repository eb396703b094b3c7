/*
 * probe.c
 *	  Whether messages behind those that fail go well.
 *
 * Errors of class 42 and the like may come from a deployment that is wrong,
 * or from user code that cannot take some of the data: a cast, a CHECK, a
 * trigger.  Messages that come later tell: where one of them goes well, the
 * deployment works.  Each is tried in a transaction of its own, up to and
 * including its deferred triggers, that is rolled back: the message has its
 * effect, or goes its way, when its turn has come.
 *
 * A message that ends the process must not be what is tried for ever: where
 * messages are announced before they run (careful), none is tried here.
 */
#include "postgres.h"
#include "core/compat.h"

#include "commands/trigger.h"
#include "utils/timestamp.h"

#include "consumer/breaker_recheck.h"
#include "consumer/effects.h"
#include "consumer/probe.h"
#include "core/clock.h"
#include "session/guard.h"

/* At a time, at most; then events of the group have their turn. */
#define ROUND_COUNT 20
#define ROUND_US (500 * INT64CONST(1000))

/* Of each partition, until something changes. */
#define PARTITION_COUNT 100

void
ke_probe_forget(KeEngine *engine, KeStage *stage)
{
	int			i;

	for (i = 0; i < engine->nparts; i++)
		if (engine->parts[i]->stage == stage)
			engine->parts[i]->probed = engine->parts[i]->probes = 0;
	stage->probing = false;
}

static bool
may_be_tried(const KeStage *stage, int i)
{
	const KePartition *part = stage->parts[i];
	const KeMessage *msg = &stage->msgs[i];

	return msg->offset >= part->probed && part->probes < PARTITION_COUNT &&
		part->careful == 0 &&
		ke_retry_chain_of_message(part->chains, stage->sub->options.ordering,
								  msg) == NULL;
}

/*
 * Where the next message to be tried is in the stage, or -1: the first one of
 * the partition that follows in number.
 */
static int
find_next(const KeStage *stage)
{
	int32		after = stage->probed_partition;
	int			best = -1;
	int			i;

	for (i = stage->head + Max(stage->settled, 1);
		 i < stage->head + stage->count; i++)
	{
		int32		have = best < 0 ? 0 : stage->parts[best]->partition;
		int32		other = stage->parts[i]->partition;

		if (best >= 0 && ((other > after) == (have > after) ?
						  other >= have : other <= after))
			continue;
		if (may_be_tried(stage, i))
			best = i;
	}
	return best;
}

/* As the transaction's last act: what a commit would run, but no commit. */
static bool
roll_back(KeEngine *engine, KeEffects *effects, void *argument)
{
	ke_guard_enter(0);			/* deferred triggers are user code */
	AfterTriggerFireDeferred();
	ke_guard_leave();
	*(bool *) argument = effects->done == effects->count;
	return false;
}

/* Does it go well, or is skipped by its handler? */
static bool
try_message(KeEngine *engine, KeStage *stage, KeMessage *msg,
			bool *cancelled)
{
	bool		went_well = false;
	KeEffects	effects = {.stage = stage,.msgs = &msg,.count = 1};
	KeEffectsFrame frame = {.after = roll_back,.argument = &went_well};

	ke_effects_transact(engine, &effects, &frame);
	if (effects.fail == NULL)
		return went_well;
	*cancelled = effects.fail->sqlstate == ERRCODE_QUERY_CANCELED &&
		!effects.timed_out && engine->should_stop();
	return effects.fail->sqlstate == KE_SQLSTATE_SKIP;
}

KeProbeResult
ke_probe_run(KeEngine *engine, KeStage *stage, int sqlstate)
{
	KeMoment	started = ke_clock_now();
	bool		cancelled = false;
	int			count;

	stage->probing = true;
	for (count = 0; count < ROUND_COUNT && !cancelled &&
		 !engine->extension_gone &&
		 ke_clock_now() - started < ROUND_US; count++)
	{
		int			i = find_next(stage);
		KePartition *part;

		if (i < 0)
			break;
		part = stage->parts[i];
		part->probed = stage->msgs[i].offset + 1;
		part->probes++;
		stage->probed_partition = part->partition;
		if (!try_message(engine, stage, &stage->msgs[i], &cancelled))
			continue;
		ereport(DEBUG1,
				(errmsg("%s goes well, so those that fail are at fault",
						ke_message_describe(&stage->msgs[i]))));
		ke_circuit_proved(&stage->circuit, sqlstate);
		return KE_PROBE_PROVED;
	}
	if (count > 0)
		ke_breaker_recheck_tried(stage);
	return cancelled ? KE_PROBE_CANCELLED : KE_PROBE_NOTHING;
}
