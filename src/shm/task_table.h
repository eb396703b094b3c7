/*
 * task_table.h
 *	  Long requests as they lie in shared memory: for task.c and task_work.c
 *	  only.
 */
#ifndef KE_TASK_TABLE_H
#define KE_TASK_TABLE_H

#include "storage/dsm.h"
#include "storage/lwlock.h"

#include "shm/slot.h"
#include "shm/task.h"

/*
 * Long requests at once, of all databases; who comes later waits.  One role,
 * or one server, cannot hold all of them.
 */
#define KE_MAX_TASKS 32
#define KE_MAX_TASKS_OF_ROLE 16
#define KE_MAX_TASKS_OF_SERVER 24

/* A reply may be larger: it then goes through in pieces. */
#define KE_TASK_QUEUE_SIZE ((Size) 262144)

/* What the first byte of a message says. */
#define KE_TAG_REPLY 'R'
#define KE_TAG_FAILURE 'F'
#define KE_TAG_END 'E'

typedef enum KeTaskState
{
	KE_TASK_FREE,
	KE_TASK_ASKED,
	KE_TASK_TAKEN,
	KE_TASK_REFUSED,			/* reason says why */
	KE_TASK_ABANDONED			/* the process that took it has ended */
} KeTaskState;

typedef struct KeTaskSlot
{
	KeTaskState state;
	Oid			database;
	Oid			role;			/* who asks */
	uint64		number;			/* in the order they came */
	int			asker;			/* process ids */
	int			taker;
	TimestampTz asked_at;
	dsm_handle	segment;		/* all of it is one shm_mq */
	KeTaskOrder order;
	KeTaskProgress progress;
	char		reason[KE_ERROR_TEXT_LEN];
} KeTaskSlot;

typedef struct KeTaskTable
{
	uint64		count;			/* of orders, ever */
	KeTaskSlot	slots[KE_MAX_TASKS];	/* all guarded by ke_task_lock */
} KeTaskTable;

static inline bool
ke_task_is_for(const KeTaskSlot *slot, Oid database, Oid server,
			   KeTaskKind kind)
{
	return slot->database == database && slot->order.server == server &&
		slot->order.kind == kind;
}

extern KeTaskTable *ke_task_table;
extern LWLock *ke_task_lock;

/* Sleep a moment, or until the other side of a queue has done something. */
extern void ke_task_nap(void);

#endif							/* KE_TASK_TABLE_H */
