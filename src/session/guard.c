/*
 * guard.c
 *	  What surrounds every call of user code.
 *
 * The time limit costs one look at the clock per call: timeout.c leaves its
 * interval timer alone when a timeout is set and cleared again before it
 * fires, so that the system is asked about once per timeout, not per call.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "session/guard.h"
#include "session/role.h"

/* To unwind after a cancel, at least; a busy machine may need that. */
#define GRACE_MS 5000

static bool timeouts_registered = false;
static TimeoutId cancel_timeout;
static TimeoutId end_timeout;

static volatile sig_atomic_t running = false;
static volatile sig_atomic_t cancelled_by_us = false;
static TimestampTz timed_out_in = 0;	/* start of that transaction */
static int	limit_ms;			/* 0: none, of the running call */
static int	nest_level;

/* In a signal handler, as the next. */
static void
cancel_running_call(void)
{
	if (running)
	{
		cancelled_by_us = true;
		QueryCancelPending = true;
		InterruptPending = true;
	}
}

static void
end_process(void)
{
	if (running)
	{
		ProcDiePending = true;
		InterruptPending = true;
	}
}

static void
start_timeouts(int timeout_ms)
{
	EnableTimeoutParams timeouts[2];

	if (!timeouts_registered)
	{
		cancel_timeout = RegisterTimeout(USER_TIMEOUT, cancel_running_call);
		end_timeout = RegisterTimeout(USER_TIMEOUT, end_process);
		timeouts_registered = true;
	}

	timeouts[0].id = cancel_timeout;
	timeouts[0].type = TMPARAM_AFTER;
	timeouts[0].delay_ms = timeout_ms;
	timeouts[1].id = end_timeout;
	timeouts[1].type = TMPARAM_AFTER;
	timeouts[1].delay_ms = timeout_ms < PG_INT32_MAX / 2 ?
		timeout_ms + Max(timeout_ms, GRACE_MS) : PG_INT32_MAX;
	enable_timeouts(timeouts, 2);
}

static void
stop_timeouts(void)
{
	DisableTimeoutParams timeouts[2];

	timeouts[0].id = cancel_timeout;
	timeouts[0].keep_indicator = false;
	timeouts[1].id = end_timeout;
	timeouts[1].keep_indicator = false;
	disable_timeouts(timeouts, 2);
}

/* A cancel that comes too late must not hit what runs next. */
void
ke_guard_stop(void)
{
	if (!running)
		return;
	running = false;
	if (limit_ms > 0)
		stop_timeouts();
	QueryCancelPending = false;
}

void
ke_guard_enter(int timeout_ms)
{
	Assert(!running);

	ke_role_restore();

	nest_level = GetCurrentTransactionNestLevel();
	limit_ms = timeout_ms;
	cancelled_by_us = false;
	running = true;
	if (timeout_ms > 0)
		start_timeouts(timeout_ms);
}

void
ke_guard_leave(void)
{
	ke_guard_stop();
	if (GetCurrentTransactionNestLevel() != nest_level)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("function returned inside a subtransaction of its own")));
	ke_role_restore();
}

void
ke_guard_failed(void)
{
	ErrorData  *edata;

	ke_guard_stop();
	if (!cancelled_by_us || geterrcode() != ERRCODE_QUERY_CANCELED)
		return;

	timed_out_in = GetCurrentTransactionStartTimestamp();
	MemoryContextSwitchTo(CurTransactionContext);
	edata = CopyErrorData();
	FlushErrorState();
	edata->domain = TEXTDOMAIN;
	edata->message = psprintf("function ran longer than handler_timeout (%d ms)",
							  limit_ms);
	ReThrowError(edata);
}

bool
ke_guard_is_running(void)
{
	return running;
}

/* Still true after the abort, and no more in the next transaction. */
bool
ke_guard_timed_out(void)
{
	return timed_out_in == GetCurrentTransactionStartTimestamp();
}
