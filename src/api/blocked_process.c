/*
 * blocked_process.c
 *	  Which lock another process waits for, and who holds it.
 *
 * For views.  The lock table is read only if the process says that it waits
 * for a heavyweight lock.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "api/blocked_process.h"

/* Shorter waits are nobody's concern. */
#define LONG_MS 1000

/* What is locked, as far as it has a name. */
static char *
describe_object(const LOCKTAG *tag)
{
	char	   *name = NULL;

	switch ((LockTagType) tag->locktag_type)
	{
		case LOCKTAG_RELATION:
		case LOCKTAG_RELATION_EXTEND:
		case LOCKTAG_PAGE:
		case LOCKTAG_TUPLE:
			if (tag->locktag_field1 == MyDatabaseId)
				name = get_rel_name(tag->locktag_field2);
			return name != NULL ? psprintf("table \"%s\"", name) : "a table";
		case LOCKTAG_TRANSACTION:
			return "a row";
		case LOCKTAG_ADVISORY:
			return "an advisory lock's key";
		default:
			return "an object";
	}
}

static void
add_holder(StringInfo holders, int pid)
{
	if (holders->len > 0)
		appendStringInfoString(holders, ", ");
	if (pid == 0)
		appendStringInfoString(holders, "a prepared transaction");
	else
		appendStringInfo(holders, "pid %d", pid);
}

/* Does the process wait for a lock, and has for so long? */
static bool
has_long_waited(PGPROC *proc)
{
	TimestampTz since;

	if ((*(volatile uint32 *) &proc->wait_event_info & 0xff000000) !=
		PG_WAIT_LOCK)
		return false;
	since = (TimestampTz) pg_atomic_read_u64(&proc->waitStart);
	return since != 0 &&
		TimestampDifferenceExceeds(since, GetCurrentTimestamp(), LONG_MS);
}

/* The lock that the process waits for; NULL: none any more. */
static const LockInstanceData *
find_wait(const BlockedProcsData *data, int pid)
{
	for (int i = 0; i < data->nlocks; i++)
	{
		if (data->locks[i].pid == pid &&
			data->locks[i].waitLockMode != NoLock)
			return &data->locks[i];
	}
	return NULL;
}

static bool
is_same(const LOCKTAG *a, const LOCKTAG *b)
{
	return memcmp(a, b, sizeof(LOCKTAG)) == 0;
}

char *
ke_blocked_process_describe(int pid)
{
	PGPROC	   *proc = BackendPidGetProc(pid);
	BlockedProcsData *data;
	const LockInstanceData *wait;
	StringInfoData holders;
	LockMethod	methods;
	LOCKMASK	conflicts;

	if (proc == NULL || !has_long_waited(proc))
		return NULL;
	data = GetBlockerStatusData(pid);
	wait = find_wait(data, pid);
	if (wait == NULL)
		return NULL;
	initStringInfo(&holders);
	methods = GetLockTagsMethodTable(&wait->locktag);
	conflicts = methods->conflictTab[wait->waitLockMode];
	for (int i = 0; i < data->nlocks; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (lock->pid != pid && (lock->holdMask & conflicts) != 0 &&
			is_same(&lock->locktag, &wait->locktag))
			add_holder(&holders, lock->pid);
	}
	return psprintf("waits for a lock on %s held by %s",
					describe_object(&wait->locktag),
					holders.len > 0 ? holders.data : "somebody before it");
}
