/*
 * attempt.c
 *	  Work that may fail without ending its process.
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
	const bool *durable;
} Transaction;

KeFailure *
ke_attempt_caught(KeAttempt work, void *argument)
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

char *
ke_attempt(KeAttempt work, void *argument)
{
	KeFailure  *fail = ke_attempt_caught(work, argument);

	return fail != NULL ? ke_failure_describe(fail) : NULL;
}

static void
transact(void *argument)
{
	Transaction *transaction = (Transaction *) argument;

	if (!ke_xact_begin())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", ke_xact_refusal())));
	transaction->work(transaction->argument);
	if (*transaction->durable)
		ke_xact_commit_durable();
	else
		ke_xact_commit();
}

KeFailure *
ke_attempt_failure(KeAttempt work, void *argument, const bool *durable)
{
	Transaction transaction = {work, argument, durable};

	return ke_attempt_caught(transact, &transaction);
}

char *
ke_attempt_transaction(KeAttempt work, void *argument, bool durable)
{
	KeFailure  *fail = ke_attempt_failure(work, argument, &durable);

	return fail != NULL ? ke_failure_describe(fail) : NULL;
}
