/*
 * lock_wait.h
 *	  A limit for how long a transaction of ours waits for one lock.
 *
 * A consumer serves many topics.  While it waits for a lock that somebody
 * else holds it serves none of them, so it gives up after a while, does other
 * work and comes back.  lock_timeout is not used for that: it belongs to the
 * owner's sessions, and user code catches its error.
 */
#ifndef KE_LOCK_WAIT_H
#define KE_LOCK_WAIT_H

/*
 * In a transaction: from now on a wait for one lock that takes about so long
 * is cancelled, as pg_cancel_backend would.
 */
extern void ke_lock_wait_begin(int limit_ms);

/* However the transaction ends; quiet if nothing was begun. */
extern void ke_lock_wait_end(void);

/* Was a wait cancelled since the last begin? */
extern bool ke_lock_wait_cancelled(void);

/*
 * Outside of transactions, after that: what the lock was on and which
 * processes hold it now, in the current context and without any payload.
 */
extern char *ke_lock_wait_describe(void);

#endif							/* KE_LOCK_WAIT_H */
