/*
 * task_work.c
 *	  Long requests of users' backends, as a task process sees them.
 *
 * It marks the slot as taken and then knows the other side by the queue: it
 * is detached when nobody waits.  When it ends, it marks what it had taken as
 * abandoned, in case it had not come to attaching the queue yet.
 */
#include "postgres.h"
#include "core/compat.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "utils/memutils.h"

#include "shm/task_table.h"

struct KeTask
{
	MemoryContext context;		/* all of it lives there */
	KeTaskSlot *slot;			/* whoever asked owns it */
	dsm_handle	handle;
	KeTaskOrder order;
	dsm_segment *segment;
	shm_mq_handle *queue;
	bool		(*should_stop) (void);
	bool		gone;			/* nobody listens */
};

static bool exit_registered = false;

static void
abandon_all(int code, Datum arg)
{
	LWLockAcquire(ke_task_lock, LW_EXCLUSIVE);
	for (int i = 0; i < KE_MAX_TASKS; i++)
	{
		if (ke_task_table->slots[i].state == KE_TASK_TAKEN &&
			ke_task_table->slots[i].taker == MyProcPid)
			ke_task_table->slots[i].state = KE_TASK_ABANDONED;
	}
	LWLockRelease(ke_task_lock);
}

/* Attach what the order came with; NULL: whoever asked is gone. */
static KeTask *
attach(KeTaskSlot *slot, dsm_handle handle, const KeTaskOrder *order)
{
	MemoryContext context;
	MemoryContext caller;
	dsm_segment *segment;
	KeTask	   *task;
	shm_mq	   *queue;

	segment = dsm_attach(handle);
	if (segment == NULL)
		return NULL;

	context = AllocSetContextCreate(TopMemoryContext, "kafka_events task",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	task = palloc0(sizeof(KeTask));
	task->context = context;
	task->slot = slot;
	task->handle = handle;
	task->order = *order;
	task->segment = segment;
	queue = dsm_segment_address(segment);
	shm_mq_set_sender(queue, MyProc);
	task->queue = shm_mq_attach(queue, segment, NULL);
	MemoryContextSwitchTo(caller);
	return task;
}

/* The oldest order that waits, marked as taken; NULL: none. */
static KeTaskSlot *
take_slot(Oid database, Oid server, KeTaskKind kind, dsm_handle *handle,
		  KeTaskOrder *order)
{
	KeTaskSlot *oldest = NULL;

	LWLockAcquire(ke_task_lock, LW_EXCLUSIVE);
	for (int i = 0; i < KE_MAX_TASKS; i++)
	{
		KeTaskSlot *slot = &ke_task_table->slots[i];

		if (slot->state == KE_TASK_ASKED &&
			ke_task_is_for(slot, database, server, kind) &&
			(oldest == NULL || slot->number < oldest->number))
			oldest = slot;
	}
	if (oldest != NULL)
	{
		oldest->state = KE_TASK_TAKEN;
		oldest->taker = MyProcPid;
		*handle = oldest->segment;
		*order = oldest->order;
	}
	LWLockRelease(ke_task_lock);
	return oldest;
}

KeTask *
ke_task_work_take(Oid database, Oid server, KeTaskKind kind,
				  bool (*should_stop) (void))
{
	KeTaskSlot *slot;
	dsm_handle	handle;
	KeTaskOrder order;

	if (!exit_registered)
	{
		before_shmem_exit(abandon_all, 0);
		exit_registered = true;
	}
	while ((slot = take_slot(database, server, kind, &handle,
							 &order)) != NULL)
	{
		KeTask	   *task = attach(slot, handle, &order);

		if (task == NULL)
			continue;
		task->should_stop = should_stop;
		return task;
	}
	return NULL;
}

const KeTaskOrder *
ke_task_work_order(const KeTask *task)
{
	return &task->order;
}

/* Is the slot still that of our order?  Needs the lock. */
static bool
is_ours(const KeTask *task)
{
	return task->slot->state == KE_TASK_TAKEN &&
		task->slot->segment == task->handle;
}

bool
ke_task_work_is_wanted(const KeTask *task)
{
	bool		wanted;

	if (task->gone || task->should_stop())
		return false;
	LWLockAcquire(ke_task_lock, LW_SHARED);
	wanted = is_ours(task);
	LWLockRelease(ke_task_lock);
	return wanted;
}

/* Waits for room in the queue; the other side's reading sets our latch. */
static bool
push(KeTask *task, char tag, const StringInfoData *rest)
{
	shm_mq_iovec parts[2] = {
		{&tag, 1},
		{rest->data, rest->len}
	};

	while (!task->gone && !task->should_stop())
	{
		switch (shm_mq_sendv(task->queue, parts, 2, true, true))
		{
			case SHM_MQ_SUCCESS:
				return true;
			case SHM_MQ_DETACHED:
				task->gone = true;
				break;
			case SHM_MQ_WOULD_BLOCK:
				ke_task_nap();
				break;
		}
	}
	return false;
}

bool
ke_task_work_reply(KeTask *task, const StringInfoData *reply)
{
	return push(task, KE_TAG_REPLY, reply);
}

void
ke_task_work_report(KeTask *task, const KeTaskProgress *progress)
{
	LWLockAcquire(ke_task_lock, LW_EXCLUSIVE);
	if (is_ours(task))
		task->slot->progress = *progress;
	LWLockRelease(ke_task_lock);
}

static void
leave(KeTask *task)
{
	dsm_detach(task->segment);
	MemoryContextDelete(task->context);
}

void
ke_task_work_finish(KeTask *task)
{
	StringInfoData nothing = {.data = "", .len = 0};

	(void) push(task, KE_TAG_END, &nothing);
	leave(task);
}

static void
put_string(StringInfo buf, const char *string)
{
	pq_sendbyte(buf, string != NULL);
	if (string != NULL)
		appendBinaryStringInfo(buf, string, strlen(string) + 1);
}

void
ke_task_work_fail(KeTask *task, int sqlstate, const char *text,
				  const char *detail, const char *hint)
{
	StringInfoData failure;

	initStringInfo(&failure);
	pq_sendint32(&failure, sqlstate);
	put_string(&failure, text);
	put_string(&failure, detail);
	put_string(&failure, hint);
	(void) push(task, KE_TAG_FAILURE, &failure);
	pfree(failure.data);
	leave(task);
}
