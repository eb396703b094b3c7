/*
 * route.h
 *	  What becomes of a message that failed alone.
 *
 * Pure, and without the circuit breaker: whoever gets KE_ROUTE_RETRY, _DEAD
 * or _FAILED asks the breaker with the route's verdict whether the message
 * may go there now.
 */
#ifndef KE_ROUTE_H
#define KE_ROUTE_H

#include "core/classify.h"
#include "core/failure.h"
#include "core/options.h"

typedef enum KeRouteKind
{
	KE_ROUTE_AGAIN,				/* the same once more, at once */
	KE_ROUTE_WAIT,				/* the same later: nobody's fault */
	KE_ROUTE_RETRY,				/* a retry, after delay_ms */
	KE_ROUTE_DEAD,				/* a dead letter */
	KE_ROUTE_SKIP,				/* dropped and counted, as its handler said */
	KE_ROUTE_FAILED				/* passed over, logged, counted: dlq is off */
} KeRouteKind;

typedef struct KeRoute
{
	KeRouteKind kind;
	KeVerdict	verdict;		/* what the breaker is to count */
	int64		delay_ms;		/* KE_ROUTE_RETRY */
} KeRoute;

/* How often a message is run at once again before that is a failure. */
#define KE_ROUTE_REPEATS 3

/*
 * attempt: which one failed, 0 is the first delivery.  repeats: how often
 * it was run alone at once again already, for serialization failures or
 * want of memory.  random: in [0, 1), for the delay's jitter.
 */
extern KeRoute ke_route_decide(const KeSubscriptionOptions *options,
							   const KeFailure *fail, bool timed_out,
							   int attempt, int repeats, double random);

#endif							/* KE_ROUTE_H */
