/*
 * shmem.c
 *	  Asks for and initialises the shared memory of every file in shm/.
 *
 * Each file knows its size, its lock and how to initialise its struct; this
 * one only calls them at the two moments PostgreSQL gives us: when sizes are
 * added up, and when the memory is there (again after a crash, when all of
 * it starts empty).
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "shm/circuit.h"
#include "shm/cluster_contact.h"
#include "shm/database_hold.h"
#include "shm/lag.h"
#include "shm/metrics.h"
#include "shm/ready.h"
#include "shm/reason.h"
#include "shm/request.h"
#include "shm/role_demand.h"
#include "shm/schema_demand.h"
#include "shm/schema_use.h"
#include "shm/shmem.h"
#include "shm/slot_table.h"
#include "shm/task.h"

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static void
request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();

	ke_slot_table_shmem_request();
	ke_lag_shmem_request();
	ke_metrics_shmem_request();
	ke_database_hold_shmem_request();
	ke_reason_shmem_request();
	ke_cluster_contact_shmem_request();
	ke_role_demand_shmem_request();
	ke_circuit_shmem_request();
	ke_request_shmem_request();
	ke_task_shmem_request();
	ke_schema_demand_shmem_request();
	ke_schema_use_shmem_request();
}

static void
startup(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	ke_slot_table_shmem_init();
	ke_lag_shmem_init();
	ke_metrics_shmem_init();
	ke_database_hold_shmem_init();
	ke_reason_shmem_init();
	ke_cluster_contact_shmem_init();
	ke_role_demand_shmem_init();
	ke_circuit_shmem_init();
	ke_request_shmem_init();
	ke_task_shmem_init();
	ke_schema_demand_shmem_init();
	ke_schema_use_shmem_init();
	LWLockRelease(AddinShmemInitLock);

	ke_ready_set();
}

void
ke_shmem_register(void)
{
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}
