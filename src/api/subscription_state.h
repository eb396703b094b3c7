/*
 * subscription_state.h
 *	  Whether a subscription runs, and if not, why: for views and metrics.
 */
#ifndef KE_SUBSCRIPTION_STATE_H
#define KE_SUBSCRIPTION_STATE_H

#include "subscription/catalog.h"

typedef struct KeObserved KeObserved;

/* As kafka_subscriptions shows it. */
typedef struct KeSubscriptionState
{
	const char *status;			/* active, paused, open or broken */
	char	   *reason;			/* why, or what else is the matter; or NULL */
	bool		is_broken;
	bool		is_troubled;	/* it has a reason, other than being paused */
} KeSubscriptionState;

/*
 * What there is to see at this moment; works without shared memory.  Needs a
 * transaction.
 */
extern KeObserved *ke_subscription_state_observe(void);

extern KeSubscriptionState
			ke_subscription_state_of(const KeServer *server,
									 const KeSubscription *sub,
									 const KeObserved *observed);

/*
 * What its messages have instead of the fields that are taken, if that is so
 * now; NULL otherwise.  Needs shared memory.
 */
extern char *ke_subscription_state_mismatch(const KeSubscription *sub);

#endif							/* KE_SUBSCRIPTION_STATE_H */
