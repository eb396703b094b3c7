/*
 * xact.h
 *	  The only place where transactions begin and end in our processes.
 *
 * Every transaction first takes AccessShareLock on the extension object and
 * looks again whether it exists: without it, DROP EXTENSION and a worker
 * could wait for each other.
 */
#ifndef KE_XACT_H
#define KE_XACT_H

/*
 * Begin a transaction with an active snapshot.  Returns false, with no
 * transaction open, when the extension is gone or its SQL version is one
 * this library does not know (ke_xact_refusal() says which).
 */
extern bool ke_xact_begin(void);
extern const char *ke_xact_refusal(void);

/* Commit; may raise (deferred constraints), then call ke_xact_abort. */
extern void ke_xact_commit(void);

/* As commit, but waits for the WAL whatever synchronous_commit says. */
extern void ke_xact_commit_durable(void);

/* Abort after an error was caught and captured; safe outside of one too. */
extern void ke_xact_abort(void);

#endif							/* KE_XACT_H */
