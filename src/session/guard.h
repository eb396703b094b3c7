/*
 * guard.h
 *	  What surrounds every call of user code.
 *
 * A time limit, the knowledge that user code runs now (so that a cancel and
 * SIGTERM hit it), and before and afterwards the owner's role.  Guards do not
 * nest.
 */
#ifndef KE_GUARD_H
#define KE_GUARD_H

/*
 * User code comes now.  After timeout_ms (0: never) it is cancelled; if it
 * catches that and goes on, the process ends after as long again, but not
 * before some seconds: such a function cannot be stopped in any other way.
 */
extern void ke_guard_enter(int timeout_ms);

/* It returned.  Raises if it left a subtransaction open. */
extern void ke_guard_leave(void);

/*
 * It raised: call this first thing in PG_CATCH and raise again.  An error
 * that is our own cancel is raised here, with a text that says so; it keeps
 * its context.
 */
extern void ke_guard_failed(void);

/* However it ended, without any check; quiet if nothing was running. */
extern void ke_guard_stop(void);

extern bool ke_guard_is_running(void);
extern bool ke_guard_timed_out(void);

#endif							/* KE_GUARD_H */
