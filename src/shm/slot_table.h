/*
 * slot_table.h
 *	  The slots as they lie in shared memory: for slot.c and roster.c only.
 *
 * Note about locking: ke_slot_table_lock guards everything but what processes
 * report; a parent owns the slots it took, so that nobody else frees or
 * refills them.  Words a process reports are written under its slot's
 * spinlock; the few that signal handlers and tight loops use are atomics.  A
 * process's PGPROC is only used while holding the lock: the process clears it
 * under the same lock before it goes away.
 *
 * This lock comes before the holds' lock.
 */
#ifndef KE_SLOT_TABLE_H
#define KE_SLOT_TABLE_H

#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/spin.h"

#include "core/clock.h"
#include "shm/roster.h"
#include "shm/slot.h"

/* The launcher's own; parents take the others. */
#define KE_LAUNCHER_SLOT 0

/* Databases the launcher has still to look at; more: it looks at all. */
#define KE_MAX_PENDING 32

/* Bits of KeSlot.wishes */
#define KE_WISH_STOP	0x01
#define KE_WISH_LEAVE	0x02

typedef struct KeSlot
{
	/* guarded by ke_slot_table_lock */
	bool		in_use;
	uint16		generation;		/* + 1 with each process meant for it */
	KePhase		phase;
	bool		done;
	PGPROC	   *proc;			/* while attached */
	KeIdentityOfProcess who;

	pg_atomic_uint32 wishes;	/* written under ke_slot_table_lock */
	pg_atomic_uint32 terminating;
	pg_atomic_uint32 rejoin;
	pg_atomic_uint32 calls;		/* KE_CALL_... that are not answered yet */
	pg_atomic_uint32 subject;	/* Oid: written by the process */
	pg_atomic_uint64 config_version;

	slock_t		mutex;			/* guards what follows */
	int			pid;
	KeStatus	status;
	KeMoment	started_at;
	KeMoment	heartbeat;
	KeMoment	last_message_at;
	KeMoment	error_at;
	KeMoment	not_before;
	int			assigned;
	int64		messages;
	int64		restarts;
	KeMoment	group_since;	/* since when its group was never empty */
	KeMoment	group_until;	/* when Kafka drops this member, if it is not
								 * heard of any more; 0: it is none */
	char		error[KE_ERROR_TEXT_LEN];
	char		trouble[KE_ERROR_TEXT_LEN];
} KeSlot;

typedef struct KeSlotTable
{
	int			count;			/* never changes */

	/* guarded by ke_slot_table_lock */
	bool		all_pending;
	int			npending;
	Oid			pending[KE_MAX_PENDING];

	KeSlot		slots[FLEXIBLE_ARRAY_MEMBER];
} KeSlotTable;

extern KeSlotTable *ke_slot_table;
extern LWLock *ke_slot_table_lock;

extern void ke_slot_table_shmem_request(void);
extern void ke_slot_table_shmem_init(void);

/* All of these need the lock. */
extern KeSlot *ke_slot_table_manager(Oid database); /* NULL: not attached */
extern void ke_slot_table_wake_launcher(void);
extern void ke_slot_table_tell_launcher(Oid database);

/* This needs the slot's spinlock. */
extern void ke_slot_table_set_error(KeSlot *slot, const char *text,
									KeMoment now);

#endif							/* KE_SLOT_TABLE_H */
