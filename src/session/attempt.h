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
 * transaction it had begun is aborted.  Returns what went wrong in the
 * current context, which stays the same; NULL: nothing.
 */
extern KeFailure *ke_attempt(KeAttempt work, void *argument);

/* The same with work in a transaction of its own: see ke_xact_run. */
extern KeFailure *ke_attempt_transaction(KeAttempt work, void *argument,
										 bool durable);

#endif							/* KE_ATTEMPT_H */
