/*
 * contention.c
 *	  Consumers that write the same rows at the same time.
 *
 * The lock is a heavyweight one on the target table, route or handler, with a
 * sub-identifier that PostgreSQL uses for neither: shared for transactions
 * that run with others, exclusive for those that run alone.  It is taken
 * before any row is locked, so whoever waits for it is in nobody's way.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "common/pg_prng.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "consumer/contention.h"
#include "core/clock.h"

/* Any that is neither 0 nor the number of an object's part. */
#define LOCK_SUBID 0x6b65

/* Transactions that run alone after a deadlock: the next ones cost more. */
#define TERM_FIRST 64
#define TERM_LAST 16384

#define PAUSE_MS 20
#define PAUSE_DOUBLINGS 5

#define REPORT_INTERVAL_MS 60000

static void
lock(const KeSubscription *sub, LOCKMODE mode)
{
	if (OidIsValid(sub->into_table))
		LockDatabaseObject(RelationRelationId, sub->into_table, LOCK_SUBID,
						   mode);
	else
		LockDatabaseObject(ProcedureRelationId, OidIsValid(sub->route) ?
						   sub->route : sub->handler, LOCK_SUBID, mode);
}

/*
 * With a snapshot, this process would keep row versions from being removed
 * that others make while it waits for them.
 */
static void
lock_without_snapshot(const KeSubscription *sub)
{
	PopActiveSnapshot();
	InvalidateCatalogSnapshot();
	lock(sub, ExclusiveLock);
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
ke_contention_enter(const KeContention *contention, const KeSubscription *sub,
					bool collides)
{
	if (contention->alone == 0 && !collides)
		lock(sub, ShareLock);
	else if (IsolationUsesXactSnapshot())
		lock(sub, ExclusiveLock);
	else
		lock_without_snapshot(sub);
}

static void
report(KeContention *contention, const KeSubscription *sub)
{
	KeMoment	now = ke_clock_now();

	if (!TimestampDifferenceExceeds(contention->reported_at, now,
									REPORT_INTERVAL_MS))
		return;
	contention->reported_at = now;
	ereport(LOG,
			(errmsg("topic \"%s\": transactions of several consumers deadlock, so they run one at a time for a while",
					sub->topic),
			 errhint("Fewer workers would do as much; a message key that is the key of the rows keeps them apart.")));
}

static void
note_deadlock(KeContention *contention, const KeSubscription *sub)
{
	contention->deadlocks++;
	contention->clean = 0;
	if (contention->alone == 0)
		contention->term = Min(Max(2 * contention->term, TERM_FIRST),
							   TERM_LAST);
	contention->alone = contention->term;
	report(contention, sub);
}

void
ke_contention_note(KeContention *contention, const KeSubscription *sub,
				   const KeFailure *fail)
{
	if (fail != NULL)
	{
		if (fail->sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED)
			note_deadlock(contention, sub);
		return;
	}
	if (contention->alone > 0)
		contention->alone--;
	else if (contention->term > 0 && ++contention->clean >= contention->term)
	{
		contention->term /= 2;
		contention->clean = 0;
	}
}

KeMoment
ke_contention_pause(int repeats)
{
	int			most = PAUSE_MS << Min(repeats, PAUSE_DOUBLINGS);
	double		part = pg_prng_double(&pg_global_prng_state);

	return ke_clock_in((int) (part * most));
}

char *
ke_contention_reason(const KeContention *contention)
{
	if (contention->alone == 0)
		return NULL;
	return psprintf("runs while no other consumer writes the same rows: " INT64_FORMAT " transactions deadlocked",
					contention->deadlocks);
}
