/*
 * attempt.c
 *	  Work that may fail without ending its process.
 *
 * The failure ritual is PostgreSQL's, and stands here and nowhere else:
 * capture, abort, go on.  What is to be recorded of a failure goes into a new
 * transaction.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "session/attempt.h"
#include "session/xact.h"

typedef struct Transaction
{
	KeAttempt	work;
	void	   *argument;
	bool		durable;
} Transaction;

KeFailure *
ke_attempt(KeAttempt work, void *argument)
{
	MemoryContext caller = CurrentMemoryContext;
	KeFailure  *volatile fail = NULL;

	PG_TRY();
	{
		work(argument);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		fail = ke_failure_capture(caller);
		ke_xact_abort();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);

	return fail;
}

static void
transact(void *argument)
{
	Transaction *transaction = (Transaction *) argument;

	ke_xact_run(transaction->work, transaction->argument,
				transaction->durable);
}

KeFailure *
ke_attempt_transaction(KeAttempt work, void *argument, bool durable)
{
	Transaction transaction = {work, argument, durable};

	return ke_attempt(transact, &transaction);
}
