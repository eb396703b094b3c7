/*
 * transact.c
 *	  A consumer's transactions outside of batches.
 */
#include "postgres.h"
#include "core/compat.h"

#include "consumer/engine.h"
#include "session/attempt.h"
#include "session/xact.h"

typedef struct Work
{
	KeEngine   *engine;
	KeWork		work;
	void	   *argument;
} Work;

static void
do_work(void *argument)
{
	Work	   *work = (Work *) argument;

	work->work(work->engine, work->argument);
}

/*
 * Run work in a transaction; durable: its commit waits for the WAL.  False
 * when it failed (*fail, in engine->scratch) or the extension is gone.
 */
bool
ke_transact(KeEngine *engine, KeWork work, void *argument, bool durable,
			KeFailure **fail)
{
	Work		it = {engine, work, argument};

	MemoryContextSwitchTo(engine->scratch);
	*fail = ke_attempt_transaction(do_work, &it, durable);
	if (*fail != NULL && ke_xact_was_refused())
		engine->extension_gone = true;
	return *fail == NULL;
}
