/*
 * session.h
 *	  A consumer's session: made once, reset between batches.
 *
 * A handler is user code and may leave settings, a role, advisory locks,
 * cursors, prepared statements or temporary tables behind.  The next batch
 * must not see any of them.
 */
#ifndef KE_SESSION_H
#define KE_SESSION_H

/*
 * Connect the process to the database, as role owner (InvalidOid: the
 * bootstrap superuser), and fix the settings workers need with a source
 * that survives RESET ALL.  Raises FATAL if the role may not log in.
 */
extern void ke_session_connect(Oid database, Oid owner,
							   bool synchronous_commit);

/* Change of the server's option, without a new connection. */
extern void ke_session_set_synchronous_commit(bool on);

/*
 * Between transactions, after a commit as after an abort: undo what user
 * code may have left.  Cheap if nothing.  May raise, then ke_xact_abort.
 */
extern void ke_session_reset(void);

#endif							/* KE_SESSION_H */
