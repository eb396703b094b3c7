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

#include "api/hooks.h"
#include "core/guc.h"
#include "shm/shmem.h"
#include "worker/launcher.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	ke_guc_define();
	ke_shmem_register();

	/* pg_upgrade copies the catalogs; nothing of ours is to run or look. */
	if (IsBinaryUpgrade)
		return;

	ke_hooks_install();
	ke_launcher_register();
}
