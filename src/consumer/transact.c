/*
 * transact.c
 *	  A transaction of our own, outside of batches, that may fail.
 *
 * The failure ritual is PostgreSQL's: capture, abort, go on.  What is to be
 * recorded of the failure goes into a new transaction.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "consumer/engine.h"
#include "session/xact.h"

/*
 * Run work in a transaction; durable: its commit waits for the WAL.  False
 * when it failed (*fail, in engine->scratch) or the extension is gone.
 */
bool
ke_transact(KeEngine *engine, KeWork work, void *argument, bool durable,
			KeFailure **fail)
{
	KeFailure  *volatile caught = NULL;

	PG_TRY();
	{
		if (!ke_xact_begin())
		{
			engine->extension_gone = true;
			caught = ke_failure_make(engine->scratch,
									 ERRCODE_UNDEFINED_OBJECT,
									 "%s", ke_xact_refusal());
		}
		else
		{
			work(engine, argument);
			if (durable)
				ke_xact_commit_durable();
			else
				ke_xact_commit();
		}
	}
	PG_CATCH();
	{
		caught = ke_failure_capture(engine->scratch);
		ke_xact_abort();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(engine->scratch);
	*fail = caught;
	return caught == NULL;
}
