/*
 * settlement.h
 *	  Messages at the head of a stage that failed alone, and were decided
 *	  about: what happens to them comes true in the next transaction.
 *
 * That goes on with the messages behind them.  If the first of these fails,
 * it has failed alone, too, and joins them, so that many failures in a row
 * cost one commit.  Nothing of this is stored: whoever comes after a process
 * that ended in between runs the messages again.
 */
#ifndef KE_SETTLEMENT_H
#define KE_SETTLEMENT_H

#include "consumer/routing.h"

/* More of them are not kept waiting. */
#define KE_SETTLEMENTS 32

typedef struct KeSettlement
{
	KeCulprit	culprit;
	int			place;			/* from the stage's head on */
	KeMoment	due_at;			/* in the ordered modes: of its next run */
} KeSettlement;

typedef struct KeSettlements
{
	int			count;			/* of those that wait for their transaction */
	int			upto;			/* messages from the stage's head on that are
								 * not run any more: these, and what lies
								 * between them */
	bool		alone;			/* nothing follows them in its transaction */
	KeBatchOutcome then;		/* what comes when it is through */
	KeSettlement list[KE_SETTLEMENTS];
} KeSettlements;

/* In the current context: none; what the stage had is forgotten. */
extern KeSettlements *ke_settlement_make(KeStage *stage);

/* Are the stage's messages quick enough to be waited for? */
extern bool ke_settlement_is_shared(const KeStage *stage);

/*
 * The message at this place, behind those, failed alone in effects: decide
 * about it.  PROGRESS: try on.
 */
extern KeBatchOutcome ke_settlement_judge(KeEngine *engine,
										  KeSettlements *settlements,
										  const KeEffects *effects,
										  int place);

/* In their transaction: the copies, or the messages kept in order. */
extern void ke_settlement_write(KeEngine *engine, KeSettlements *settlements);

/* Once that is committed; shared: with effects of other messages. */
extern void ke_settlement_note(KeEngine *engine, KeStage *stage,
							   KeSettlements *settlements, bool shared);

#endif							/* KE_SETTLEMENT_H */
