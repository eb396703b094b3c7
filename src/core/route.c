/*
 * route.c
 *	  What becomes of a message that failed alone.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/retry.h"
#include "core/route.h"

/*
 * Trouble that passes, or may: want of memory in one message run alone, and
 * conflicts with others, are the message's own when they do not go away.
 */
static KeVerdict
judge(const KeFailure *fail, bool timed_out, int repeats)
{
	KeVerdict	verdict = ke_classify(fail->sqlstate, timed_out);

	if (verdict == KE_VERDICT_AGAIN && repeats >= KE_ROUTE_REPEATS)
		return KE_VERDICT_RETRY;
	if (fail->sqlstate == ERRCODE_OUT_OF_MEMORY &&
		repeats >= KE_ROUTE_REPEATS - 1)
		return KE_VERDICT_RETRY;

	/* types raise all classes for what they cannot read */
	if (verdict == KE_VERDICT_DEPLOYMENT && fail->of_data)
		return KE_VERDICT_NEVER;
	return verdict;
}

/* It will not be tried again. */
static KeRouteKind
end_of(const KeSubscriptionOptions *options)
{
	return options->dlq ? KE_ROUTE_DEAD : KE_ROUTE_FAILED;
}

static int64
delay_of(const KeSubscriptionOptions *options, const KeFailure *fail,
		 int retry, double random)
{
	if (fail->retry_delay_ms >= 0)
		return fail->retry_delay_ms;
	return ke_retry_delay_ms(options, retry, random);
}

KeRoute
ke_route_decide(const KeSubscriptionOptions *options, const KeFailure *fail,
				bool timed_out, int attempt, int repeats, double random)
{
	KeRoute		route = {.verdict = judge(fail, timed_out, repeats)};

	switch (route.verdict)
	{
		case KE_VERDICT_NOBODY:
			route.kind = KE_ROUTE_WAIT;
			break;
		case KE_VERDICT_AGAIN:
			route.kind = KE_ROUTE_AGAIN;
			break;
		case KE_VERDICT_SKIP:
			route.kind = KE_ROUTE_SKIP;
			break;
		case KE_VERDICT_NEVER:
			route.kind = end_of(options);
			break;
		case KE_VERDICT_DEPLOYMENT:
		case KE_VERDICT_RETRY:
			if (attempt >= options->max_retries)
				route.kind = end_of(options);
			else
			{
				route.kind = KE_ROUTE_RETRY;
				route.delay_ms = delay_of(options, fail, attempt + 1, random);
			}
			break;
	}
	return route;
}
