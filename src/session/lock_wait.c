/*
 * lock_wait.c
 *	  A limit for how long a transaction of ours waits for one lock.
 *
 * A timer looks now and then whether the process waits.  It does not fire in
 * transactions that are shorter than one interval, and costs those one look
 * at the clock: timeout.c leaves its interval timer alone when a timeout is
 * set and cleared again before it fires.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/lsyscache.h"
#include "utils/timeout.h"

#include "session/attempt.h"
#include "session/lock_wait.h"

#define LOOK_MS 250

/* So many holders are named. */
#define HOLDERS 3

static bool registered = false;
static TimeoutId look_timeout;

/* Read and written by the signal handler while active. */
static volatile sig_atomic_t active = false;
static volatile sig_atomic_t cancelled = false;
static volatile sig_atomic_t looks; /* that found the same wait */
static int	looks_max;
static LOCK *volatile waits_for;
static LOCKTAG tag;				/* of the lock whose wait was cancelled */
static LOCKMODE mode;

/*
 * In a signal handler.  The lock is in shared memory and stays mapped; it may
 * just have been granted, and then a good transaction is repeated.
 */
static void
look(void)
{
	LOCK	   *lock = MyProc->waitLock;

	if (!active || cancelled)
		return;
	if (lock == NULL || lock != waits_for)
	{
		waits_for = lock;
		looks = 0;
		return;
	}
	if (++looks < looks_max)
		return;
	tag = lock->tag;
	mode = MyProc->waitLockMode;
	cancelled = true;
	QueryCancelPending = true;
	InterruptPending = true;
}

void
ke_lock_wait_begin(int limit_ms)
{
	EnableTimeoutParams timeout = {
		.type = TMPARAM_EVERY,
		.delay_ms = LOOK_MS
	};

	if (!registered)
	{
		look_timeout = RegisterTimeout(USER_TIMEOUT, look);
		registered = true;
	}
	looks = 0;
	looks_max = Max(limit_ms / LOOK_MS, 1);
	waits_for = NULL;
	cancelled = false;
	active = true;
	timeout.id = look_timeout;
	timeout.fin_time = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   LOOK_MS);
	enable_timeouts(&timeout, 1);
}

void
ke_lock_wait_end(void)
{
	if (!active)
		return;
	active = false;
	disable_timeout(look_timeout, false);
	/* a cancel that came too late must not hit what runs next */
	if (cancelled)
		QueryCancelPending = false;
}

bool
ke_lock_wait_cancelled(void)
{
	return cancelled;
}

static void
append_object(StringInfo buf)
{
	char	   *name = NULL;

	switch ((LockTagType) tag.locktag_type)
	{
		case LOCKTAG_RELATION:
		case LOCKTAG_RELATION_EXTEND:
		case LOCKTAG_PAGE:
		case LOCKTAG_TUPLE:
			name = get_rel_name(tag.locktag_field2);
			break;
		default:
			break;
	}
	if (name != NULL)
		appendStringInfo(buf, "a lock on %s\"%s\"",
						 tag.locktag_type == LOCKTAG_TUPLE ?
						 "a row of table " : "table ", name);
	else if (tag.locktag_type == LOCKTAG_TRANSACTION)
		appendStringInfoString(buf, "a row of another transaction");
	else if (tag.locktag_type == LOCKTAG_ADVISORY)
		appendStringInfoString(buf, "an advisory lock");
	else
		appendStringInfoString(buf, "a lock");
}

/* Whoever has it by now; a queue of others that wait has no holder. */
static void
append_holders(StringInfo buf)
{
	VirtualTransactionId *holders;
	int			count;
	int			i;

	holders = GetLockConflicts(&tag, mode, &count);
	for (i = 0; i < count && i < HOLDERS; i++)
	{
		PGPROC	   *proc = ke_proc_of_vxid(holders[i]);

		appendStringInfoString(buf, i > 0 ? ", " : ", held by ");
		if (proc != NULL && proc->pid != 0)
			appendStringInfo(buf, "pid %d", proc->pid);
		else
			appendStringInfoString(buf, "a prepared transaction");
	}
	if (count > HOLDERS)
		appendStringInfo(buf, " and %d others", count - HOLDERS);
}

static void
describe(void *argument)
{
	StringInfo	buf = (StringInfo) argument;

	append_object(buf);
	append_holders(buf);
}

char *
ke_lock_wait_describe(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (ke_attempt_transaction(describe, &buf, false) != NULL &&
		buf.len == 0)
		appendStringInfoString(&buf, "a lock");
	return buf.data;
}
