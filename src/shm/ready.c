/*
 * ready.c
 *	  Whether the library was preloaded, and so has its shared memory.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xlog.h"
#include "miscadmin.h"

#include "shm/ready.h"

static bool ready = false;

bool
ke_ready(void)
{
	return ready;
}

void
ke_ready_require(void)
{
	if (!ready)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("kafka_events must be loaded via shared_preload_libraries"),
				 errhint("Add kafka_events to shared_preload_libraries and restart the server.")));
}

void
ke_ready_require_primary(const char *command)
{
	ke_ready_require();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s: this PostgreSQL server is a standby",
						command),
				 errhint("Call it on the primary server.")));
}

void
ke_ready_require_writable(const char *command)
{
	ke_ready_require_primary(command);
	PreventCommandIfReadOnly(command);
}

void
ke_ready_set(void)
{
	ready = true;
}
