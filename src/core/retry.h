/*
 * retry.h
 *	  How long a message waits before it is tried again.
 */
#ifndef KE_RETRY_H
#define KE_RETRY_H

#include "core/options.h"

/* The longest delay there is: what the options of a subscription allow. */
#define KE_RETRY_DELAY_MAX_MS (INT64CONST(24) * 86400000)

/*
 * The delay before retry n (1 is the first), in ms: by the subscription's
 * strategy, at most its max_delay, and then up to a tenth more, so that
 * messages that failed together do not come back together.  random is in
 * [0, 1).
 */
extern int64 ke_retry_delay_ms(const KeSubscriptionOptions *options, int n,
							   double random);

#endif							/* KE_RETRY_H */
