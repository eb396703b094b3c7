/*
 * roster.c
 *	  All slots, as parents (launcher, managers) and other backends see them.
 */
#include "postgres.h"
#include "core/compat.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "shm/database_hold.h"
#include "shm/roster.h"
#include "shm/slot_table.h"

/* ---------------------------------------------------------------- parents */

int
ke_roster_take(const KeIdentityOfProcess *who)
{
	int			index = -1;

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	for (int i = KE_LAUNCHER_SLOT + 1; i < ke_slot_table->count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		if (slot->in_use)
			continue;

		index = i;
		slot->in_use = true;
		slot->phase = KE_PHASE_EMPTY;
		slot->done = false;
		slot->who = *who;
		pg_atomic_write_u32(&slot->wishes, 0);
		pg_atomic_write_u32(&slot->terminating, 0);

		SpinLockAcquire(&slot->mutex);
		slot->pid = 0;
		slot->status = KE_STATUS_STOPPED;
		slot->started_at = slot->heartbeat = 0;
		slot->last_message_at = slot->error_at = slot->not_before = 0;
		slot->assigned = 0;
		slot->messages = slot->restarts = 0;
		slot->group_since = slot->group_until = 0;
		slot->error[0] = slot->trouble[0] = '\0';
		SpinLockRelease(&slot->mutex);
		break;
	}
	LWLockRelease(ke_slot_table_lock);

	return index;
}

bool
ke_roster_expect(int index, const KeIdentityOfProcess *who, Datum *main_arg)
{
	KeSlot	   *slot = &ke_slot_table->slots[index];
	bool		held;

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	Assert(slot->in_use && slot->phase == KE_PHASE_EMPTY);

	/* Whoever sets a hold looks at the slots afterwards: one of us sees it. */
	held = ke_database_hold_is_held(who->database);
	if (!held)
	{
		slot->phase = KE_PHASE_EXPECTED;
		slot->generation++;
		slot->done = false;
		slot->who = *who;
		pg_atomic_write_u32(&slot->wishes, 0);
		pg_atomic_write_u32(&slot->terminating, 0);
		pg_atomic_write_u32(&slot->rejoin, 0);
		*main_arg = UInt32GetDatum((uint32) slot->generation << 16 | index);

		SpinLockAcquire(&slot->mutex);
		slot->status = KE_STATUS_STARTING;
		slot->not_before = 0;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(ke_slot_table_lock);

	return !held;
}

void
ke_roster_unexpect(int index, const char *why)
{
	KeSlot	   *slot = &ke_slot_table->slots[index];
	KeMoment	now = ke_clock_now();

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	if (slot->phase == KE_PHASE_EXPECTED)
	{
		slot->phase = KE_PHASE_EMPTY;
		slot->generation++;
		SpinLockAcquire(&slot->mutex);
		slot->status = KE_STATUS_STOPPED;
		if (why != NULL)
		{
			slot->status = KE_STATUS_FAILED;
			ke_slot_table_set_error(slot, why, now);
		}
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(ke_slot_table_lock);
}

/* Needs ke_slot_table_lock. */
static void
ask_stop(KeSlot *slot, uint32 wishes)
{
	pg_atomic_write_u32(&slot->wishes, wishes);
	if (slot->phase == KE_PHASE_ATTACHED)
		kill(slot->proc->pid, SIGTERM);
}

void
ke_roster_ask_stop(int index, bool leave)
{
	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	ask_stop(&ke_slot_table->slots[index],
			 leave ? KE_WISH_STOP | KE_WISH_LEAVE : KE_WISH_STOP);
	LWLockRelease(ke_slot_table_lock);
}

void
ke_roster_insist(int index)
{
	KeSlot	   *slot = &ke_slot_table->slots[index];

	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	if (slot->phase == KE_PHASE_ATTACHED)
		kill(slot->proc->pid, SIGTERM);
	LWLockRelease(ke_slot_table_lock);
}

void
ke_roster_ask_rejoin(int index)
{
	KeSlot	   *slot = &ke_slot_table->slots[index];

	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	if (slot->phase == KE_PHASE_ATTACHED)
	{
		pg_atomic_write_u32(&slot->rejoin, 1);
		SetLatch(&slot->proc->procLatch);
	}
	LWLockRelease(ke_slot_table_lock);
}

void
ke_roster_free(int index)
{
	KeSlot	   *slot = &ke_slot_table->slots[index];

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	Assert(slot->in_use && slot->phase == KE_PHASE_EMPTY);
	slot->in_use = false;
	LWLockRelease(ke_slot_table_lock);
}

bool
ke_roster_next_database(Oid *database)
{
	bool		found = true;

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	if (ke_slot_table->all_pending)
	{
		*database = InvalidOid;
		ke_slot_table->all_pending = false;
		ke_slot_table->npending = 0;
	}
	else if (ke_slot_table->npending > 0)
		*database = ke_slot_table->pending[--ke_slot_table->npending];
	else
		found = false;
	LWLockRelease(ke_slot_table_lock);

	return found;
}

/* ------------------------------------------------------------- everybody */

/* Needs ke_slot_table_lock. */
static void
copy_report(int index, KeSlotReport *report)
{
	KeSlot	   *slot = &ke_slot_table->slots[index];

	report->index = index;
	report->who = slot->who;
	report->phase = slot->phase;
	report->stop = (pg_atomic_read_u32(&slot->wishes) & KE_WISH_STOP) != 0;
	report->terminating = pg_atomic_read_u32(&slot->terminating) != 0;
	report->done = slot->done;
	report->subject = pg_atomic_read_u32(&slot->subject);

	SpinLockAcquire(&slot->mutex);
	report->pid = slot->pid;
	report->status = slot->status;
	report->started_at = slot->started_at;
	report->heartbeat = slot->heartbeat;
	report->last_message_at = slot->last_message_at;
	report->error_at = slot->error_at;
	report->not_before = slot->not_before;
	report->assigned = slot->assigned;
	report->messages = slot->messages;
	report->restarts = slot->restarts;
	memcpy(report->error, slot->error, KE_ERROR_TEXT_LEN);
	memcpy(report->trouble, slot->trouble, KE_ERROR_TEXT_LEN);
	SpinLockRelease(&slot->mutex);
}

void
ke_roster_look(int index, KeSlotReport *report)
{
	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	copy_report(index, report);
	LWLockRelease(ke_slot_table_lock);
}

KeSlotReport *
ke_roster_reports(Oid database, int *count)
{
	KeSlotReport *reports;
	int			n = 0;

	reports = palloc(ke_slot_table->count * sizeof(KeSlotReport));
	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	for (int i = KE_LAUNCHER_SLOT + 1; i < ke_slot_table->count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		if (slot->in_use &&
			(!OidIsValid(database) || slot->who.database == database))
			copy_report(i, &reports[n++]);
	}
	LWLockRelease(ke_slot_table_lock);

	*count = n;
	return reports;
}

void
ke_roster_config_changed(Oid database)
{
	KeSlot	   *manager;

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	for (int i = KE_LAUNCHER_SLOT + 1; i < ke_slot_table->count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		if (slot->in_use && slot->phase == KE_PHASE_ATTACHED &&
			slot->who.database == database)
		{
			pg_atomic_fetch_add_u64(&slot->config_version, 1);
			SetLatch(&slot->proc->procLatch);
		}
	}
	manager = ke_slot_table_manager(database);
	if (manager == NULL || manager->done)
		ke_slot_table_tell_launcher(database);
	LWLockRelease(ke_slot_table_lock);
}

static bool
is_served(const KeSlot *slot, Oid database, Oid server, KeRole role)
{
	return slot->in_use && slot->phase == KE_PHASE_ATTACHED &&
		slot->who.database == database && slot->who.server == server &&
		slot->who.role == role;
}

/* Raises nothing: transactions call it when they have committed. */
void
ke_roster_wake(Oid database, Oid server, KeRole role)
{
	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	for (int i = KE_LAUNCHER_SLOT + 1; i < ke_slot_table->count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		if (is_served(slot, database, server, role))
			SetLatch(&slot->proc->procLatch);
	}
	LWLockRelease(ke_slot_table_lock);
}

/* Raises nothing, likewise. */
void
ke_roster_call(Oid database, Oid server, KeRole role, uint32 call)
{
	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	for (int i = KE_LAUNCHER_SLOT + 1; i < ke_slot_table->count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];
		uint32		before;

		if (!is_served(slot, database, server, role))
			continue;
		before = pg_atomic_fetch_or_u32(&slot->calls, call);
		if ((before & (call | KE_CALL_NOW)) == 0)
			SetLatch(&slot->proc->procLatch);
	}
	LWLockRelease(ke_slot_table_lock);
}

bool
ke_roster_manager_runs(Oid database)
{
	KeSlot	   *manager;
	bool		runs;

	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	manager = ke_slot_table_manager(database);
	runs = manager != NULL && !manager->done;
	LWLockRelease(ke_slot_table_lock);

	return runs;
}

bool
ke_roster_launcher_runs(void)
{
	bool		runs;

	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	runs = ke_slot_table->slots[KE_LAUNCHER_SLOT].proc != NULL;
	LWLockRelease(ke_slot_table_lock);

	return runs;
}

void
ke_roster_stop_database(Oid database)
{
	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	for (int i = KE_LAUNCHER_SLOT + 1; i < ke_slot_table->count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		if (slot->in_use && slot->phase != KE_PHASE_EMPTY &&
			slot->who.database == database)
			ask_stop(slot, KE_WISH_STOP);
	}
	LWLockRelease(ke_slot_table_lock);
}

bool
ke_roster_database_is_busy(Oid database)
{
	bool		busy = false;

	LWLockAcquire(ke_slot_table_lock, LW_SHARED);
	for (int i = KE_LAUNCHER_SLOT + 1; i < ke_slot_table->count && !busy; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		busy = slot->in_use && slot->phase != KE_PHASE_EMPTY &&
			slot->who.database == database;
	}
	LWLockRelease(ke_slot_table_lock);

	return busy;
}
