/*
 * contention.h
 *	  Consumers that write the same rows at the same time.
 *
 * Transactions of several consumers that lock the same rows in different
 * orders deadlock: all but one of them are undone and done again.  After a
 * deadlock a consumer therefore runs its subscription's transactions alone
 * for a while: none of another consumer that writes into the same table, or
 * calls the same handler, runs meanwhile.  What costs nothing while there are
 * no deadlocks is as fast as one consumer while there are.
 *
 * Upserts lock rows in one order, and do not deadlock.  But where they write
 * the same rows again and again, those that wait for each other half way hold
 * snapshots, so that old versions stay, and the table grows and slows down.
 * So they wait before they lock anything, and without a snapshot.
 */
#ifndef KE_CONTENTION_H
#define KE_CONTENTION_H

#include "core/clock.h"
#include "core/failure.h"
#include "datatype/timestamp.h"
#include "subscription/catalog.h"

/* Of one subscription in one consumer; zeroed is how it begins. */
typedef struct KeContention
{
	int			alone;			/* transactions that still run alone */
	int			term;			/* how many do so after a deadlock */
	int			clean;			/* in a row without one, with others */
	int64		deadlocks;		/* since the consumer started */
	KeMoment	reported_at;	/* last in the log */
} KeContention;

/*
 * In a transaction that has an active snapshot, before it locks rows of the
 * user's: wait until it may run.  The lock is held to the transaction's end.
 * collides: it writes rows that others of its kind write as well, so that
 * they could not run at the same time, but only wait for each other half way.
 */
extern void ke_contention_enter(const KeContention *contention,
								const KeSubscription *sub, bool collides);

/* It ended: fail is NULL if it committed. */
extern void ke_contention_note(KeContention *contention,
							   const KeSubscription *sub,
							   const KeFailure *fail);

/*
 * When to run the same again after a deadlock or a serialization failure:
 * not all at the same time.  repeats: how often that was done already.
 */
extern KeMoment ke_contention_pause(int repeats);

/* What a view is to say of it, or NULL; static or in the current context. */
extern char *ke_contention_reason(const KeContention *contention);

#endif							/* KE_CONTENTION_H */
