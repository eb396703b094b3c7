/*
 * ordered.h
 *	  Order under failures: messages that wait for one that failed.
 *
 * With ordering key, the message that failed and all that come after it with
 * the same key are parked, and run one after the other.  With ordering
 * partition, the one that failed is parked and its partition is not fetched
 * until it is done.  A change of ordering leaves parked messages in the order
 * they were parked for.
 */
#ifndef KE_ORDERED_H
#define KE_ORDERED_H

#include "consumer/engine.h"
#include "consumer/routing.h"
#include "core/clock.h"

/* In the transaction that claims a partition: what waits there already. */
extern void ke_ordered_load(KeEngine *engine, KePartition *part);

/* Must the message wait behind a parked one? */
extern bool ke_ordered_must_wait(const KeStage *stage,
								 const KePartition *part,
								 const KeMessage *msg);

/*
 * Park it there: put in the transaction that moves past it, note when that
 * is committed.
 */
extern void ke_ordered_put(KeEngine *engine, const KeStage *stage,
						   const KePartition *part, KeMessage *msg);
extern void ke_ordered_note(KeEngine *engine, const KeStage *stage,
							KePartition *part, const KeMessage *msg);

/* The same for one that failed, if it is to be retried in order. */
extern bool ke_ordered_keeps(const KeCulprit *culprit);
extern void ke_ordered_put_culprit(KeEngine *engine, KeCulprit *culprit,
								   KeMoment *due_at);
extern void ke_ordered_note_culprit(KeEngine *engine, KePartition *part,
									const KeCulprit *culprit,
									KeMoment due_at);

/*
 * Outside of transactions, before messages run: do the keys of the first ones
 * say which rows they write?  Looked at once, for kafka_production_check.
 */
extern void ke_ordered_look_at_keys(KeEngine *engine, KeStage *stage);

/*
 * Outside of transactions, before a culprit is put: messages of its row wait
 * for it.  If their keys need not be the same, the whole partition does.
 */
extern void ke_ordered_choose(KeEngine *engine, KeCulprit *culprit);

/* Is nothing to be fetched, as the partition waits?  Sets part->held. */
extern bool ke_ordered_holds(KeEngine *engine, KePartition *part);

/* Stop or resume fetching, after what waits or the ordering has changed. */
extern void ke_ordered_settle(KeEngine *engine, KePartition *part);

/* Run parked messages of the stage that are due; for main consumers. */
extern KeBatchOutcome ke_ordered_run(KeEngine *engine, KeStage *stage);

/* When there is one to run; DT_NOEND: not before something changes. */
extern KeMoment ke_ordered_at(KeEngine *engine, const KeStage *stage);

#endif							/* KE_ORDERED_H */
