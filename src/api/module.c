/*
 * module.c
 *	  What happens when PostgreSQL loads the library.
 *
 * Loaded by shared_preload_libraries, everything is set up.  Loaded later,
 * by a session that calls one of our functions, nothing is: the wrapper's
 * validator works without shared memory, so that pg_restore and pg_upgrade
 * do, and what cannot raises the setting to change as a hint.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"

#include "api/hooks.h"
#include "core/clock.h"
#include "core/guc.h"
#include "shm/shmem.h"
#include "state/schema_cache.h"

PG_MODULE_MAGIC;

/* If the launcher itself fails, the postmaster starts it again. */
#define RESTART_SECONDS 5

extern PGDLLEXPORT void _PG_init(void);

static void
register_launcher(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "kafka_events",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ke_launcher_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "kafka_events launcher",
			sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "kafka_events launcher",
			sizeof(worker.bgw_type));
	strlcpy(worker.bgw_extra, "launcher", sizeof(worker.bgw_extra));
	RegisterBackgroundWorker(&worker);
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	ke_clock_begin();
	ke_guc_define();
	ke_shmem_register();

	/* pg_upgrade copies the catalogs; nothing of ours is to run or look. */
	if (IsBinaryUpgrade)
		return;

	ke_hooks_install();
	ke_schema_cache_init();
	register_launcher();
}
