/*
 * slot_table.c
 *	  The slots as they lie in shared memory.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/shmem.h"

#include "core/clock.h"
#include "core/guc.h"
#include "shm/slot_table.h"

KeSlotTable *ke_slot_table;
LWLock	   *ke_slot_table_lock;

static Size
table_size(int count)
{
	return add_size(offsetof(KeSlotTable, slots),
					mul_size(count, sizeof(KeSlot)));
}

void
ke_slot_table_shmem_request(void)
{
	RequestAddinShmemSpace(table_size(ke_guc_max_workers + 1));
	RequestNamedLWLockTranche("kafka_events_slots", 1);
}

void
ke_slot_table_shmem_init(void)
{
	int			count = ke_guc_max_workers + 1;
	bool		found;

	ke_slot_table = ShmemInitStruct("kafka_events slots", table_size(count), &found);
	ke_slot_table_lock = &GetNamedLWLockTranche("kafka_events_slots")->lock;
	if (found)
		return;

	memset(ke_slot_table, 0, table_size(count));
	ke_slot_table->count = count;
	for (int i = 0; i < count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		pg_atomic_init_u32(&slot->wishes, 0);
		pg_atomic_init_u32(&slot->terminating, 0);
		pg_atomic_init_u32(&slot->rejoin, 0);
		pg_atomic_init_u32(&slot->calls, 0);
		pg_atomic_init_u32(&slot->subject, InvalidOid);
		pg_atomic_init_u64(&slot->config_version, 0);
		SpinLockInit(&slot->mutex);
	}
}

/* The database's manager, if it is attached; needs ke_slot_table_lock. */
KeSlot *
ke_slot_table_manager(Oid database)
{
	for (int i = 0; i < ke_slot_table->count; i++)
	{
		KeSlot	   *slot = &ke_slot_table->slots[i];

		if (slot->in_use && slot->phase == KE_PHASE_ATTACHED &&
			slot->who.role == KE_ROLE_MANAGER &&
			slot->who.database == database)
			return slot;
	}
	return NULL;
}

/* Needs ke_slot_table_lock. */
void
ke_slot_table_wake_launcher(void)
{
	PGPROC	   *launcher = ke_slot_table->slots[KE_LAUNCHER_SLOT].proc;

	if (launcher != NULL)
		SetLatch(&launcher->procLatch);
}

/* Put the database on the launcher's list; needs ke_slot_table_lock. */
void
ke_slot_table_tell_launcher(Oid database)
{
	bool		known = ke_slot_table->all_pending;

	for (int i = 0; i < ke_slot_table->npending && !known; i++)
		known = ke_slot_table->pending[i] == database;
	if (!known && ke_slot_table->npending < KE_MAX_PENDING)
		ke_slot_table->pending[ke_slot_table->npending++] = database;
	else if (!known)
		ke_slot_table->all_pending = true;
	ke_slot_table_wake_launcher();
}


void
ke_slot_table_set_error(KeSlot *slot, const char *text, KeMoment now)
{
	strlcpy(slot->error, text, KE_ERROR_TEXT_LEN);
	slot->error_at = now;
}
