/*
 * attempt.h
 *	  Work that may fail without ending its process.
 */
#ifndef KE_ATTEMPT_H
#define KE_ATTEMPT_H

#include "core/failure.h"

typedef void (*KeAttempt) (void *argument);

/*
 * Run work, outside of a transaction; what it raises is caught, and a
 * transaction it had begun is aborted.  Returns what went wrong, without
 * payload, in the current context, which stays the same; NULL: nothing.
 */
extern char *ke_attempt(KeAttempt work, void *argument);

/* The same, but what went wrong comes as a failure. */
extern KeFailure *ke_attempt_caught(KeAttempt work, void *argument);

/*
 * The same in a transaction of its own; durable: its commit waits for the
 * WAL.  An extension that is not there is something that went wrong.
 */
extern char *ke_attempt_transaction(KeAttempt work, void *argument,
									bool durable);

/* That as a failure; and *durable is looked at when work is done. */
extern KeFailure *ke_attempt_failure(KeAttempt work, void *argument,
									 const bool *durable);

#endif							/* KE_ATTEMPT_H */
