/*
 * database_hold.c
 *	  A hold on a database: nobody starts a process of ours in it.
 *
 * A hold belongs to the transaction of the backend that set it.  It is given
 * back when that ends, however it ends, and by before_shmem_exit when the
 * backend dies first.  The launcher then looks at the database again: what
 * was stopped for a statement that failed must run again.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/resowner.h"

#include "shm/database_hold.h"
#include "shm/slot.h"

/* Statements at once that need an empty database: few are enough. */
#define MAX_HOLDS 32

typedef struct Hold
{
	Oid			database;		/* InvalidOid: free */
	int			pid;			/* whose it is */
	bool		stopped;		/* processes that must run again */
} Hold;

typedef struct Holds
{
	Hold		holds[MAX_HOLDS];	/* guarded by holds_lock */
} Holds;

static Holds *shared;
static LWLock *holds_lock;

/* This backend has set holds in its transaction, which is about to end. */
static bool holding = false;
static bool ending = false;

void
ke_database_hold_shmem_request(void)
{
	RequestAddinShmemSpace(sizeof(Holds));
	RequestNamedLWLockTranche("kafka_events_holds", 1);
}

void
ke_database_hold_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("kafka_events holds", sizeof(Holds), &found);
	if (!found)
		memset(shared, 0, sizeof(Holds));
	holds_lock = &GetNamedLWLockTranche("kafka_events_holds")->lock;
}

static void
release(void)
{
	Oid			released[MAX_HOLDS];
	int			count = 0;

	if (!holding)
		return;
	holding = false;
	ending = false;

	LWLockAcquire(holds_lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_HOLDS; i++)
	{
		Hold	   *hold = &shared->holds[i];

		if (OidIsValid(hold->database) && hold->pid == MyProcPid)
		{
			if (hold->stopped)
				released[count++] = hold->database;
			hold->database = InvalidOid;
		}
	}
	LWLockRelease(holds_lock);

	for (int i = 0; i < count; i++)
		ke_slot_wake_manager(released[i]);
}

static void
release_at_exit(int code, Datum arg)
{
	release();
}

static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			ending = holding;
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

/* Not before others can see what the transaction did to the database. */
static void
release_at_end(ResourceReleasePhase phase, bool is_commit, bool is_top_level,
			   void *arg)
{
	if (ending && phase == RESOURCE_RELEASE_AFTER_LOCKS)
		release();
}

bool
ke_database_hold_set(Oid database)
{
	static bool registered = false;
	Hold	   *free_hold = NULL;

	if (!registered)
	{
		before_shmem_exit(release_at_exit, (Datum) 0);
		RegisterXactCallback(end_transaction, NULL);
		RegisterResourceReleaseCallback(release_at_end, NULL);
		registered = true;
	}

	LWLockAcquire(holds_lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_HOLDS; i++)
	{
		Hold	   *hold = &shared->holds[i];

		if (hold->database == database && hold->pid == MyProcPid)
		{
			free_hold = hold;
			break;
		}
		if (!OidIsValid(hold->database))
			free_hold = hold;
	}
	if (free_hold != NULL)
	{
		if (free_hold->database != database)
			free_hold->stopped = false;
		free_hold->database = database;
		free_hold->pid = MyProcPid;
		holding = true;
	}
	LWLockRelease(holds_lock);

	return free_hold != NULL;
}

void
ke_database_hold_note_stopped(Oid database)
{
	LWLockAcquire(holds_lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_HOLDS; i++)
	{
		Hold	   *hold = &shared->holds[i];

		if (hold->database == database && hold->pid == MyProcPid)
			hold->stopped = true;
	}
	LWLockRelease(holds_lock);
}

bool
ke_database_hold_is_held(Oid database)
{
	bool		held = false;

	LWLockAcquire(holds_lock, LW_SHARED);
	for (int i = 0; i < MAX_HOLDS && !held; i++)
		held = shared->holds[i].database == database;
	LWLockRelease(holds_lock);

	return held;
}
