/*
 * breaker.c
 *	  The circuit breaker of one subscription, as a state machine.
 *
 * One function per transition, which asserts the state it leaves.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "core/breaker.h"
#include "core/clock.h"

/* The shortest time between two tries of what is broken. */
#define MENDING_INTERVAL_MS 1000

/* For so long the worker that tried last lets others try. */
#define GRACE_MS(settings) Min((settings)->timeout_ms / 10, 1000)

/* ------------------------------------------------------------ transitions */

static void
open_it(KeBreaker *breaker, const KeBreakerSettings *settings,
		KeMoment now)
{
	Assert(breaker->state == KE_BREAKER_CLOSED ||
		   breaker->state == KE_BREAKER_HALF_OPEN);
	if (breaker->state == KE_BREAKER_CLOSED)
	{
		breaker->opened_at = now;
		breaker->tried_partition = -1;
		breaker->trier = -1;
	}
	breaker->state = KE_BREAKER_OPEN;
	breaker->next_try_at = TimestampTzPlusMilliseconds(now,
													   settings->timeout_ms);
}

static void
break_it(KeBreaker *breaker, KeMoment now)
{
	Assert(breaker->state == KE_BREAKER_CLOSED ||
		   breaker->state == KE_BREAKER_HALF_OPEN);
	breaker->state = KE_BREAKER_BROKEN;
	breaker->opened_at = now;
	breaker->next_try_at = 0;
	breaker->tried_at = 0;
	breaker->tried_partition = -1;
	breaker->trier = -1;
}

/* From OPEN or BROKEN, or from somebody whose lease is over. */
static void
begin_try(KeBreaker *breaker, int who, KeMoment now)
{
	switch (breaker->state)
	{
		case KE_BREAKER_OPEN:
			breaker->state = KE_BREAKER_HALF_OPEN;
			break;
		case KE_BREAKER_BROKEN:
			breaker->state = KE_BREAKER_MENDING;
			break;
		case KE_BREAKER_HALF_OPEN:
		case KE_BREAKER_MENDING:
			break;
		case KE_BREAKER_CLOSED:
			Assert(false);
			break;
	}
	breaker->trier = who;
	breaker->tried_at = now;
	breaker->next_try_at = 0;
}

/* The message that was tried shows that the deployment is still wrong. */
static void
stay_broken(KeBreaker *breaker)
{
	Assert(breaker->state == KE_BREAKER_MENDING);

	/* next_try_at is set if something changed while it was tried */
	breaker->state = KE_BREAKER_BROKEN;
}

static void
close_it(KeBreaker *breaker)
{
	breaker->state = KE_BREAKER_CLOSED;
	breaker->failures = breaker->tries = 0;
	breaker->nsuspects = breaker->pardons = 0;
	breaker->trusted = false;
	breaker->opened_at = 0;
	breaker->next_try_at = 0;
}

/* ------------------------------------------------------------------- may I */

static KeBreakerTurn
wait_until(KeMoment time)
{
	KeBreakerTurn turn = {KE_BREAKER_WAIT, -1, time};

	return turn;
}

static KeBreakerTurn
lease(KeBreaker *breaker, const KeBreakerSettings *settings, KeMoment now)
{
	KeBreakerTurn turn = {KE_BREAKER_TRY, breaker->tried_partition, 0};

	breaker->lease_until = TimestampTzPlusMilliseconds(now,
													   settings->lease_ms);
	return turn;
}

KeBreakerTurn
ke_breaker_ask(KeBreaker *breaker, const KeBreakerSettings *settings,
			   int who, KeMoment now)
{
	KeBreakerTurn run = {KE_BREAKER_RUN, -1, 0};
	KeMoment	time = breaker->next_try_at;

	switch (breaker->state)
	{
		case KE_BREAKER_CLOSED:
			break;
		case KE_BREAKER_OPEN:
		case KE_BREAKER_BROKEN:
			if (breaker->state == KE_BREAKER_OPEN && settings->threshold == 0)
			{
				close_it(breaker);
				break;
			}
			if (time != 0 && who == breaker->trier)
				time = TimestampTzPlusMilliseconds(time, GRACE_MS(settings));
			if (time == 0 || now < time)
				return wait_until(time);
			begin_try(breaker, who, now);
			return lease(breaker, settings, now);
		case KE_BREAKER_HALF_OPEN:
		case KE_BREAKER_MENDING:
			if (who != breaker->trier)
			{
				if (now < breaker->lease_until)
					return wait_until(breaker->lease_until);
				begin_try(breaker, who, now);
			}
			return lease(breaker, settings, now);
	}
	return run;
}

/* ---------------------------------------------------------------- outcomes */

static bool
is_trying(const KeBreaker *breaker, int who)
{
	return who == breaker->trier &&
		(breaker->state == KE_BREAKER_HALF_OPEN ||
		 breaker->state == KE_BREAKER_MENDING);
}

void
ke_breaker_succeeded(KeBreaker *breaker, int who)
{
	/* what others began before it opened says nothing about now */
	if (breaker->state == KE_BREAKER_CLOSED || is_trying(breaker, who))
		close_it(breaker);
}

static bool
is_pardoned(const KeBreaker *breaker, int sqlstate)
{
	int			i;

	for (i = 0; i < KE_BREAKER_PARDONED; i++)
		if (breaker->pardoned[i] == sqlstate)
			return true;
	return false;
}

/*
 * Does this failure speak against the deployment?  Not while it is known to
 * work, and not if the message is retried and failed with an SQLSTATE that
 * was the messages' own fault before.
 */
static bool
is_suspicious(const KeBreaker *breaker, const KeBreakerFailure *failure)
{
	return failure->verdict == KE_VERDICT_DEPLOYMENT &&
		breaker->pardons == 0 && !breaker->trusted &&
		!(failure->again && is_pardoned(breaker, failure->sqlstate));
}

static bool
is_suspect(const KeBreaker *breaker, const KeBreakerFailure *failure)
{
	int			i;

	for (i = 0; i < breaker->nsuspects; i++)
		if (breaker->suspect_partitions[i] == failure->partition &&
			breaker->suspect_offsets[i] == failure->offset)
			return true;
	return false;
}

bool
ke_breaker_would_break(const KeBreaker *breaker,
					   const KeBreakerFailure *failure)
{
	return (breaker->state == KE_BREAKER_CLOSED ||
			breaker->state == KE_BREAKER_HALF_OPEN) &&
		breaker->nsuspects == KE_BREAKER_SUSPECTS - 1 &&
		is_suspicious(breaker, failure) && !is_suspect(breaker, failure);
}

void
ke_breaker_proved(KeBreaker *breaker, int sqlstate)
{
	if (sqlstate == 0)
		sqlstate = breaker->last.sqlstate;
	if (!is_pardoned(breaker, sqlstate))
	{
		memmove(&breaker->pardoned[1], &breaker->pardoned[0],
				(KE_BREAKER_PARDONED - 1) * sizeof(int));
		breaker->pardoned[0] = sqlstate;
	}
	close_it(breaker);
	breaker->pardons = KE_BREAKER_PARDONS;
}

/*
 * Note one more message that the deployment failed, if it is another one;
 * true when there are enough of them.
 */
static bool
suspect_deployment(KeBreaker *breaker, const KeBreakerFailure *failure)
{
	if (is_suspect(breaker, failure))
		return false;
	Assert(breaker->nsuspects < KE_BREAKER_SUSPECTS);
	breaker->suspect_partitions[breaker->nsuspects] = failure->partition;
	breaker->suspect_offsets[breaker->nsuspects] = failure->offset;
	return ++breaker->nsuspects == KE_BREAKER_SUSPECTS;
}

/* CLOSED or HALF_OPEN: does this failure make it BROKEN? */
static bool
breaks(KeBreaker *breaker, const KeBreakerFailure *failure, KeMoment now)
{
	if (failure->verdict != KE_VERDICT_DEPLOYMENT)
		breaker->nsuspects = 0;
	else if (is_suspicious(breaker, failure) &&
			 suspect_deployment(breaker, failure))
	{
		break_it(breaker, now);
		return true;
	}
	return false;
}

/* The deployment works, so the message is at fault, and opens nothing. */
static bool
is_excused(KeBreaker *breaker, const KeBreakerFailure *failure)
{
	if (breaker->pardons == 0 ||
		failure->verdict != KE_VERDICT_DEPLOYMENT)
		return false;
	breaker->pardons--;
	return true;
}

/*
 * A message that fails once more says nothing new: a few that can never work
 * must not open the breaker when nothing but their retries is left to run.
 */
static bool
failed_while_closed(KeBreaker *breaker, const KeBreakerSettings *settings,
					const KeBreakerFailure *failure, KeMoment now)
{
	Assert(breaker->state == KE_BREAKER_CLOSED);
	if (is_excused(breaker, failure))
		return true;
	if (!failure->again)
		breaker->failures++;
	if (breaks(breaker, failure, now))
		return false;
	if (settings->threshold > 0 && breaker->failures >= settings->threshold)
		open_it(breaker, settings, now);
	return true;
}

/*
 * A message that can never work is routed even then: it is at fault itself,
 * and would be what every try runs into.  So is one that fails though the
 * deployment works.
 */
static bool
failed_while_half_open(KeBreaker *breaker, const KeBreakerSettings *settings,
					   const KeBreakerFailure *failure, KeMoment now)
{
	bool		excused = is_excused(breaker, failure);

	Assert(breaker->state == KE_BREAKER_HALF_OPEN);
	breaker->failures++;
	breaker->tries++;
	breaker->tried_partition = failure->partition;
	if (excused || !breaks(breaker, failure, now))
		open_it(breaker, settings, now);
	return excused || failure->verdict == KE_VERDICT_NEVER;
}

/* A failure of another kind shows that the deployment is right again. */
static bool
failed_while_mending(KeBreaker *breaker, const KeBreakerSettings *settings,
					 const KeBreakerFailure *failure, KeMoment now)
{
	if (failure->verdict != KE_VERDICT_DEPLOYMENT)
	{
		close_it(breaker);
		return failed_while_closed(breaker, settings, failure, now);
	}
	breaker->failures++;
	breaker->tried_partition = failure->partition;
	stay_broken(breaker);
	return false;
}

/* The same message once more: what was decided about it did not come true. */
static bool
is_last(const KeBreaker *breaker, const KeBreakerFailure *failure)
{
	return breaker->state == KE_BREAKER_CLOSED && breaker->failures > 0 &&
		breaker->last.partition == failure->partition &&
		breaker->last.offset == failure->offset;
}

bool
ke_breaker_failed(KeBreaker *breaker, const KeBreakerSettings *settings,
				  int who, const KeBreakerFailure *failure, KeMoment now)
{
	bool		again = is_last(breaker, failure);

	breaker->last = *failure;
	breaker->last.again |= again;
	failure = &breaker->last;
	switch (breaker->state)
	{
		case KE_BREAKER_CLOSED:
			return failed_while_closed(breaker, settings, failure, now);
		case KE_BREAKER_HALF_OPEN:
			if (!is_trying(breaker, who))
				return false;
			return failed_while_half_open(breaker, settings, failure, now);
		case KE_BREAKER_MENDING:
			if (!is_trying(breaker, who))
				return false;
			return failed_while_mending(breaker, settings, failure, now);
		case KE_BREAKER_OPEN:
		case KE_BREAKER_BROKEN:
			return false;		/* it had begun before */
	}
	pg_unreachable();
}

/* ------------------------------------------------------- from the outside */

void
ke_breaker_changed(KeBreaker *breaker, KeMoment now)
{
	KeMoment	earliest;

	if (breaker->state != KE_BREAKER_BROKEN &&
		breaker->state != KE_BREAKER_MENDING)
		return;
	if (breaker->next_try_at != 0)
		return;
	earliest = breaker->tried_at == 0 ? now :
		TimestampTzPlusMilliseconds(breaker->tried_at, MENDING_INTERVAL_MS);
	breaker->next_try_at = Max(now, earliest);
}

void
ke_breaker_reset(KeBreaker *breaker)
{
	bool		trusted = breaker->trusted ||
		breaker->state == KE_BREAKER_BROKEN ||
		breaker->state == KE_BREAKER_MENDING;

	close_it(breaker);
	breaker->trusted = trusted;
}

const char *
ke_breaker_state_name(KeBreakerState state)
{
	switch (state)
	{
		case KE_BREAKER_CLOSED:
			return "closed";
		case KE_BREAKER_OPEN:
		case KE_BREAKER_BROKEN:
			return "open";
		case KE_BREAKER_HALF_OPEN:
		case KE_BREAKER_MENDING:
			return "half-open";
	}
	pg_unreachable();
}
