/*
 * breaker_recheck.c
 *	  Whether what broke a subscription may have been mended.
 *
 * A worker that waits begins no transactions, and so learns of no change in
 * the catalogs: it begins one in order to look.  What a message that is
 * tried changes itself, temporary tables for instance, is no reason to try it
 * again.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "consumer/breaker_recheck.h"
#include "core/clock.h"
#include "session/changes.h"

static void
nothing(KeEngine *engine, void *argument)
{
}

void
ke_breaker_recheck_look(KeEngine *engine, KeStage *stage)
{
	KeFailure  *fail;

	if (!ke_transact(engine, nothing, NULL, false, &fail) ||
		stage->changes == ke_changes_count())
		return;
	stage->changes = ke_changes_count();
	ke_circuit_changed(engine->database, stage->sub->oid,
					   ke_clock_now());
}

void
ke_breaker_recheck_tried(KeStage *stage)
{
	stage->changes = ke_changes_count();
}

void
ke_breaker_recheck_reloaded(KeEngine *engine)
{
	ListCell   *lc;

	foreach(lc, engine->stages)
		ke_circuit_changed(engine->database,
						   ((KeStage *) lfirst(lc))->sub->oid,
						   ke_clock_now());
}
