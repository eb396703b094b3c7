/*
 * settlement.c
 *	  Messages that failed alone, until their transaction has committed.
 */
#include "postgres.h"
#include "core/compat.h"

#include "consumer/ordered.h"
#include "consumer/settlement.h"
#include "core/clock.h"

/*
 * Messages that take longer share no transaction with one that failed: there
 * is nothing to be won, and its copy would wait for all of them.
 */
#define SHARING_MS 2.0

static void
clear(KeSettlements *settlements, KeStage *stage)
{
	memset(settlements, 0, offsetof(KeSettlements, list));
	stage->settled = 0;
}

KeSettlements *
ke_settlement_make(KeStage *stage)
{
	KeSettlements *settlements = palloc(sizeof(KeSettlements));

	clear(settlements, stage);
	return settlements;
}

bool
ke_settlement_is_shared(const KeStage *stage)
{
	return stage->message_ms <= SHARING_MS;
}

/* Must the message not wait for others to share its transaction? */
static bool
is_settled_alone(const KeStage *stage, const KeSettlement *settlement)
{
	return !ke_settlement_is_shared(stage) ||
		ke_ordered_keeps(&settlement->culprit) ||
		stage->parts[stage->head + settlement->place]->careful > 0 ||
		ke_circuit_ask(&stage->circuit,
					   ke_clock_now()).go != KE_BREAKER_RUN;
}

KeBatchOutcome
ke_settlement_judge(KeEngine *engine, KeSettlements *settlements,
					const KeEffects *effects, int place)
{
	KeStage    *stage = effects->stage;
	KeSettlement *settlement = &settlements->list[settlements->count];
	KeCulprit  *culprit = &settlement->culprit;
	KeBatchOutcome outcome;

	Assert(settlements->count < KE_SETTLEMENTS && !settlements->alone);
	ke_routing_begin(culprit, stage, effects->msgs[0]);
	stage->settled = place + 1;
	if (!ke_routing_decide(engine, culprit, effects, &outcome))
	{
		stage->settled = settlements->upto;
		if (settlements->count == 0 || outcome == KE_BATCH_CANCELLED)
			return outcome;
		settlements->alone = true;
		settlements->then = outcome;
		return KE_BATCH_PROGRESS;
	}
	ke_pace_failed(&stage->pace, stage->sub->options.batch_size);
	ke_ordered_choose(engine, culprit);
	settlement->place = place;
	settlements->count++;
	settlements->upto = place + 1;
	settlements->alone = settlements->count == KE_SETTLEMENTS ||
		is_settled_alone(stage, settlement);
	return KE_BATCH_PROGRESS;
}

void
ke_settlement_write(KeEngine *engine, KeSettlements *settlements)
{
	for (int i = 0; i < settlements->count; i++)
	{
		KeSettlement *settlement = &settlements->list[i];

		if (ke_ordered_keeps(&settlement->culprit))
			ke_ordered_put_culprit(engine, &settlement->culprit,
								   &settlement->due_at);
		else
			ke_routing_write(engine, &settlement->culprit);
	}
}

/* The first one stands for their transaction where nothing else does. */
void
ke_settlement_note(KeEngine *engine, KeStage *stage,
				   KeSettlements *settlements, bool shared)
{
	for (int i = 0; i < settlements->count; i++)
	{
		KeSettlement *settlement = &settlements->list[i];

		settlement->culprit.shared = shared || i > 0;
		ke_routing_done(engine, &settlement->culprit);
		if (ke_ordered_keeps(&settlement->culprit))
			ke_ordered_note_culprit(engine,
									stage->parts[stage->head +
												 settlement->place],
									&settlement->culprit, settlement->due_at);
	}
	clear(settlements, stage);
}
