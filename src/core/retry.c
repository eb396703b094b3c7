/*
 * retry.c
 *	  How long a message waits before it is tried again.
 */
#include "postgres.h"
#include "core/compat.h"

#include <math.h>

#include "core/retry.h"

/* What is added at most, as a part of the delay. */
#define JITTER 0.1

int64
ke_retry_delay_ms(const KeSubscriptionOptions *options, int n, double random)
{
	double		delay = options->initial_delay_ms;

	Assert(n >= 1);
	switch (options->retry_strategy)
	{
		case KE_RETRY_EXPONENTIAL:
			delay *= pow(options->multiplier, n - 1);
			break;
		case KE_RETRY_LINEAR:
			delay *= n;
			break;
		case KE_RETRY_FIXED:
			break;
	}
	/* a power that is too large for a double is infinity: more than any */
	delay = Min(delay, options->max_delay_ms);
	return (int64) (delay + delay * JITTER * random);
}
