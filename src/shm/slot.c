/*
 * slot.c
 *	  A process's own slot: taking it over, reporting in it, leaving it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "shm/lag.h"
#include "shm/slot.h"
#include "shm/slot_table.h"

/* This process's slot, and its copy of who it is. */
static KeSlot *my_slot = NULL;
static KeIdentityOfProcess myself;

const char *
ke_slot_role_name(KeRole role)
{
	switch (role)
	{
		case KE_ROLE_LAUNCHER:
			return "launcher";
		case KE_ROLE_MANAGER:
			return "manager";
		case KE_ROLE_MAIN:
			return "main";
		case KE_ROLE_RETRY:
			return "retry";
		case KE_ROLE_RELAY:
			return "relay";
		case KE_ROLE_TASK:
			return "task";
	}
	pg_unreachable();
}

const char *
ke_slot_status_name(KeStatus status)
{
	switch (status)
	{
		case KE_STATUS_STARTING:
			return "starting";
		case KE_STATUS_RUNNING:
			return "running";
		case KE_STATUS_REBALANCING:
			return "rebalancing";
		case KE_STATUS_PAUSED:
			return "paused";
		case KE_STATUS_STOPPED:
			return "stopped";
		case KE_STATUS_FAILED:
			return "failed";
	}
	pg_unreachable();
}

/* ------------------------------------------------------ the process itself */

/* Wake whoever started the process in slot; needs ke_slot_table_lock. */
static void
wake_parent(KeSlot *slot)
{
	KeSlot	   *manager;

	if (slot->who.role == KE_ROLE_MANAGER)
		ke_slot_table_wake_launcher();
	else if ((manager = ke_slot_table_manager(slot->who.database)) != NULL)
		SetLatch(&manager->proc->procLatch);
	else
		ke_slot_table_wake_launcher();
}

/*
 * Leave the slot; it runs after the process has left the array of sessions,
 * so that a database whose slots are empty can be dropped.
 */
static void
detach(int code, Datum arg)
{
	KeSlot	   *slot = my_slot;

	my_slot = NULL;

	SpinLockAcquire(&slot->mutex);
	if (slot->status != KE_STATUS_FAILED)
		slot->status = code == 0 ? KE_STATUS_STOPPED : KE_STATUS_FAILED;
	slot->assigned = 0;
	slot->trouble[0] = '\0';
	SpinLockRelease(&slot->mutex);
	pg_atomic_write_u32(&slot->subject, InvalidOid);

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	slot->proc = NULL;
	slot->phase = KE_PHASE_EMPTY;
	if (slot->who.role == KE_ROLE_LAUNCHER)
		slot->in_use = false;
	else
		wake_parent(slot);
	LWLockRelease(ke_slot_table_lock);

	if (myself.role == KE_ROLE_MAIN || myself.role == KE_ROLE_RETRY)
		ke_lag_release_all(&myself);
}

/*
 * Take over the slot in main_arg.  NULL: it was given up meanwhile, or is to
 * stop before it started.
 */
const KeIdentityOfProcess *
ke_slot_attach(Datum main_arg)
{
	uint32		packed = DatumGetUInt32(main_arg);
	KeSlot	   *slot = &ke_slot_table->slots[packed & 0xffff];
	uint16		generation = packed >> 16;
	bool		again;

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	if (packed == KE_LAUNCHER_SLOT && slot->phase == KE_PHASE_EMPTY)
	{
		slot->in_use = true;
		slot->phase = KE_PHASE_EXPECTED;
		slot->generation = generation;
		slot->who.role = KE_ROLE_LAUNCHER;
		pg_atomic_write_u32(&slot->terminating, 0);
	}
	if (!slot->in_use || slot->phase != KE_PHASE_EXPECTED ||
		slot->generation != generation)
	{
		LWLockRelease(ke_slot_table_lock);
		return NULL;
	}
	if ((pg_atomic_read_u32(&slot->wishes) & KE_WISH_STOP) != 0)
	{
		slot->phase = KE_PHASE_EMPTY;
		wake_parent(slot);
		LWLockRelease(ke_slot_table_lock);
		return NULL;
	}
	slot->phase = KE_PHASE_ATTACHED;
	slot->proc = MyProc;
	pg_atomic_write_u32(&slot->calls, 0);
	my_slot = slot;
	myself = slot->who;
	on_shmem_exit(detach, (Datum) 0);
	wake_parent(slot);
	LWLockRelease(ke_slot_table_lock);

	SpinLockAcquire(&slot->mutex);
	again = slot->started_at != 0;
	slot->pid = MyProcPid;
	slot->status = KE_STATUS_STARTING;
	slot->started_at = slot->heartbeat = ke_clock_now();
	slot->restarts += again ? 1 : 0;
	SpinLockRelease(&slot->mutex);

	return &myself;
}

/* The parent is told of a change: it may wait for this process to run. */
void
ke_slot_set_status(KeStatus status)
{
	bool		changed;

	SpinLockAcquire(&my_slot->mutex);
	changed = my_slot->status != status;
	my_slot->status = status;
	SpinLockRelease(&my_slot->mutex);

	if (changed)
	{
		LWLockAcquire(ke_slot_table_lock, LW_SHARED);
		wake_parent(my_slot);
		LWLockRelease(ke_slot_table_lock);
	}
}

void
ke_slot_heartbeat(void)
{
	KeMoment	now = ke_clock_now();

	SpinLockAcquire(&my_slot->mutex);
	my_slot->heartbeat = now;
	SpinLockRelease(&my_slot->mutex);
}

void
ke_slot_count_messages(int64 messages)
{
	KeMoment	now = ke_clock_now();

	SpinLockAcquire(&my_slot->mutex);
	my_slot->messages += messages;
	my_slot->last_message_at = now;
	SpinLockRelease(&my_slot->mutex);
}

void
ke_slot_set_assigned(int partitions)
{
	SpinLockAcquire(&my_slot->mutex);
	my_slot->assigned = partitions;
	SpinLockRelease(&my_slot->mutex);
}

void
ke_slot_set_error(const char *text)
{
	KeMoment	now = ke_clock_now();

	SpinLockAcquire(&my_slot->mutex);
	ke_slot_table_set_error(my_slot, text, now);
	SpinLockRelease(&my_slot->mutex);
}

/*
 * Since when others of our group are in it, at this time; now, if none is.
 * Needs ke_slot_table_lock.
 */
static KeMoment
others_since(KeMoment now)
{
	KeMoment	since = now;

	for (int i = KE_LAUNCHER_SLOT + 1; i < ke_slot_table->count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		if (!slot->in_use || slot->who.database != myself.database ||
			slot->who.server != myself.server ||
			slot->who.role != myself.role)
			continue;
		SpinLockAcquire(&slot->mutex);
		if (slot->group_until >= now)
			since = Min(since, slot->group_since);
		SpinLockRelease(&slot->mutex);
	}
	return since;
}

/*
 * A member that has come within the time of its place's former one carries
 * on where that was.  The exclusive lock is for two that come together.
 */
KeMoment
ke_slot_stay_in_group(int session_timeout_ms)
{
	static bool is_member = false;
	KeMoment	now = ke_clock_now();
	KeMoment	since;

	SpinLockAcquire(&my_slot->mutex);
	since = my_slot->group_since;
	is_member = is_member && my_slot->group_until != 0;
	if (is_member)
		my_slot->group_until =
			TimestampTzPlusMilliseconds(now, session_timeout_ms);
	SpinLockRelease(&my_slot->mutex);
	if (is_member)
		return since;

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	since = others_since(now);
	SpinLockAcquire(&my_slot->mutex);
	my_slot->group_since = since;
	my_slot->group_until =
		TimestampTzPlusMilliseconds(now, session_timeout_ms);
	SpinLockRelease(&my_slot->mutex);
	LWLockRelease(ke_slot_table_lock);
	is_member = true;
	return since;
}

void
ke_slot_leave_group(void)
{
	SpinLockAcquire(&my_slot->mutex);
	my_slot->group_until = 0;
	SpinLockRelease(&my_slot->mutex);
}

void
ke_slot_set_trouble(const char *text)
{
	SpinLockAcquire(&my_slot->mutex);
	strlcpy(my_slot->trouble, text != NULL ? text : "", KE_ERROR_TEXT_LEN);
	SpinLockRelease(&my_slot->mutex);
}

void
ke_slot_set_subject(Oid subscription)
{
	pg_atomic_write_u32(&my_slot->subject, subscription);
}

void
ke_slot_restart_after(int delay_ms)
{
	KeMoment	then = ke_clock_in(delay_ms);

	SpinLockAcquire(&my_slot->mutex);
	my_slot->not_before = then;
	SpinLockRelease(&my_slot->mutex);
}

bool
ke_slot_stop_requested(bool *leave)
{
	uint32		wishes = pg_atomic_read_u32(&my_slot->wishes);

	*leave = (wishes & KE_WISH_LEAVE) != 0;
	return (wishes & KE_WISH_STOP) != 0;
}

/* True once for each time the parent asked. */
bool
ke_slot_take_rejoin(void)
{
	return pg_atomic_read_u32(&my_slot->rejoin) != 0 &&
		pg_atomic_exchange_u32(&my_slot->rejoin, 0) != 0;
}

/* Called in signal handlers. */
void
ke_slot_note_terminating(void)
{
	if (my_slot != NULL)
		pg_atomic_write_u32(&my_slot->terminating, 1);
}

uint32
ke_slot_calls(void)
{
	return pg_atomic_read_u32(&my_slot->calls);
}

/* A full barrier: what was committed before a call is seen from now on. */
void
ke_slot_answer_calls(void)
{
	(void) pg_atomic_exchange_u32(&my_slot->calls, 0);
}

uint64
ke_slot_config_version(void)
{
	return pg_atomic_read_u64(&my_slot->config_version);
}

bool
ke_slot_set_done(uint64 version)
{
	bool		done;

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	done = pg_atomic_read_u64(&my_slot->config_version) == version;
	my_slot->done = done;
	LWLockRelease(ke_slot_table_lock);

	return done;
}

void
ke_slot_wake_manager(Oid database)
{
	KeSlot	   *manager;

	LWLockAcquire(ke_slot_table_lock, LW_EXCLUSIVE);
	manager = ke_slot_table_manager(database);
	if (manager != NULL && !manager->done)
		SetLatch(&manager->proc->procLatch);
	else
		ke_slot_table_tell_launcher(database);
	LWLockRelease(ke_slot_table_lock);
}

