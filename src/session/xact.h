/*
 * xact.h
 *	  The only place where transactions begin and end in our processes.
 *
 * Every transaction first takes AccessShareLock on the extension object and
 * looks again whether it exists: without it, DROP EXTENSION and a worker
 * could wait for each other.
 *
 * From begin to commit or abort the current memory context is the
 * transaction's; afterwards it is again what it was at begin.
 */
#ifndef KE_XACT_H
#define KE_XACT_H

/*
 * Begin a transaction with an active snapshot.  Returns false, with no
 * transaction open, when the extension is gone or its SQL version is one
 * this library does not know (ke_xact_refusal() says which).  May raise (a
 * lock, a role whose transactions are read-only), then call ke_xact_abort.
 */
extern bool ke_xact_begin(void);
extern const char *ke_xact_refusal(void);

/* Was it so the last time that a transaction was to begin? */
extern bool ke_xact_was_refused(void);

/* In such a transaction, which holds the lock on the extension? */
extern bool ke_xact_is_open(void);

/*
 * Begin a transaction that looks at shared catalogs only, or whether there
 * is an extension: for the launcher, which is connected to no database.
 */
extern void ke_xact_begin_shared(void);

/* Commit; may raise (deferred constraints), then call ke_xact_abort. */
extern void ke_xact_commit(void);

/*
 * In a transaction: its commit waits for the WAL, whatever
 * synchronous_commit says.  For transactions in which no user code runs.
 */
extern void ke_xact_require_durable(void);

/*
 * Run work in a transaction, from begin to commit; durable: as if it had
 * called ke_xact_require_durable.  Raises what work raises, and where no
 * transaction can begin; session/attempt.h catches that.
 */
extern void ke_xact_run(void (*work) (void *argument), void *argument,
						bool durable);

/*
 * What synchronous_commit is for a commit that has to be durable: as the role
 * or the configuration has it, "on" until that is said.
 */
extern void ke_xact_set_durable_level(const char *level);
extern const char *ke_xact_durable_level(void);

/*
 * Abort after an error was caught and captured.  Safe outside of one too,
 * and then leaves TopMemoryContext as the current one.
 */
extern void ke_xact_abort(void);

/* Has a commit left temporary objects behind since the last question? */
extern bool ke_xact_left_temp(void);

#endif							/* KE_XACT_H */
