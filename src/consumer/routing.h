/*
 * routing.h
 *	  Where a message goes that failed alone.
 */
#ifndef KE_ROUTING_H
#define KE_ROUTING_H

#include "consumer/effects.h"
#include "core/retry_headers.h"
#include "core/route.h"

typedef struct KeCulprit
{
	KeStage    *stage;
	KeMessage  *msg;			/* as its handler saw it */
	KeOrigin	origin;			/* where it came from */
	const KeFailure *fail;
	KeRoute		route;
	bool		held;			/* the circuit breaker lets nothing through */
	bool		shared;			/* written in a transaction with effects */
	KeOrdering	ordering;		/* what waits for it, if it is retried */
} KeCulprit;

/* A message that is read from its source topic, with its origin. */
extern void ke_routing_begin(KeCulprit *culprit, KeStage *stage,
							 KeMessage *msg);

/*
 * Decide, after effects failed with nothing but this message; tells the
 * circuit breaker.  False: it is not to be routed now, and outcome is set.
 */
extern bool ke_routing_decide(KeEngine *engine, KeCulprit *culprit,
							  const KeEffects *effects,
							  KeBatchOutcome *outcome);

/* The same for a message that must not be run at all. */
extern void ke_routing_refuse(KeCulprit *culprit, const KeFailure *fail);

/*
 * In the transaction that moves past the message: write the copy, if there
 * is to be one.  A retry that waits in the database is the caller's.
 */
extern void ke_routing_write(KeEngine *engine, const KeCulprit *culprit);

/* Once that is committed: count it, and say so. */
extern void ke_routing_done(KeEngine *engine, const KeCulprit *culprit);

#endif							/* KE_ROUTING_H */
