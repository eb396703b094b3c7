/*
 * task.c
 *	  Long requests of users' backends, as these and the manager see them.
 *
 * The asking backend owns the slot from the order to the end of its wait, and
 * gives it back however that ends.
 *
 * With worker/runtime, shm/request and shm/database_hold_wait one of the few
 * places that wait.
 */
#include "postgres.h"
#include "core/compat.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "shm/ready.h"
#include "shm/roster.h"
#include "shm/task_table.h"

/* How long to sleep when nobody can be expected to wake us. */
#define MAX_NAP_MS 200L

/* The asking backend's side. */
typedef struct Wait
{
	const KeTaskOrder *order;
	KeTaskSlot *slot;			/* NULL: none yet */
	dsm_segment *segment;
	shm_mq_handle *queue;
	KeMoment	deadline;		/* to be taken by a process */
	bool		heard;			/* something has come */
} Wait;

KeTaskTable *ke_task_table;
LWLock	   *ke_task_lock;

void
ke_task_shmem_request(void)
{
	RequestAddinShmemSpace(sizeof(KeTaskTable));
	RequestNamedLWLockTranche("kafka_events_tasks", 1);
}

void
ke_task_shmem_init(void)
{
	bool		found;

	ke_task_table = ShmemInitStruct("kafka_events tasks", sizeof(KeTaskTable), &found);
	if (!found)
		memset(ke_task_table, 0, sizeof(KeTaskTable));
	ke_task_lock = &GetNamedLWLockTranche("kafka_events_tasks")->lock;
}

/* ----------------------------------------------------- the asking backend */

static void
release(int code, Datum arg)
{
	Wait	   *wait = (Wait *) DatumGetPointer(arg);

	if (wait->slot == NULL)
		return;
	LWLockAcquire(ke_task_lock, LW_EXCLUSIVE);
	wait->slot->state = KE_TASK_FREE;
	LWLockRelease(ke_task_lock);
	wait->slot = NULL;
}

/*
 * A slot for one more order of the session's role to the server, or NULL;
 * needs the lock.
 */
static KeTaskSlot *
find_slot(Oid server)
{
	KeTaskSlot *found = NULL;
	int			of_role = 0;
	int			of_server = 0;

	for (int i = 0; i < KE_MAX_TASKS; i++)
	{
		KeTaskSlot *slot = &ke_task_table->slots[i];

		if (slot->state == KE_TASK_FREE)
		{
			found = slot;
			continue;
		}
		of_role += slot->role == GetSessionUserId();
		of_server += slot->database == MyDatabaseId &&
			slot->order.server == server;
	}
	return of_role < KE_MAX_TASKS_OF_ROLE &&
		of_server < KE_MAX_TASKS_OF_SERVER ? found : NULL;
}

/* Put the order into a slot, if there is one for it. */
static void
submit(Wait *wait)
{
	KeTaskSlot *slot;

	LWLockAcquire(ke_task_lock, LW_EXCLUSIVE);
	slot = find_slot(wait->order->server);
	if (slot != NULL)
	{
		slot->state = KE_TASK_ASKED;
		slot->database = MyDatabaseId;
		slot->role = GetSessionUserId();
		slot->number = ke_task_table->count++;
		slot->asker = MyProcPid;
		slot->taker = 0;
		slot->asked_at = GetCurrentTimestamp();
		slot->segment = dsm_segment_handle(wait->segment);
		slot->order = *wait->order;
		slot->progress = (KeTaskProgress) {.total = -1};
		wait->slot = slot;
	}
	LWLockRelease(ke_task_lock);

	if (wait->slot == NULL)
		return;
	ke_slot_wake_manager(MyDatabaseId);
	ke_roster_wake(MyDatabaseId, wait->order->server, KE_ROLE_TASK);
}

static KeTaskFailure *
make_failure(int sqlstate, const char *text, const char *hint)
{
	KeTaskFailure *failure = palloc0(sizeof(KeTaskFailure));

	failure->sqlstate = sqlstate;
	failure->text = pstrdup(text);
	failure->hint = hint != NULL ? pstrdup(hint) : NULL;
	return failure;
}

static KeTaskFailure *
make_stopped(void)
{
	return make_failure(ERRCODE_CONNECTION_FAILURE,
						"the task process has just stopped", "Try again.");
}

/* Does a process work for somebody else, whom we have to wait for? */
static bool
is_queued(const Wait *wait)
{
	for (int i = 0; i < KE_MAX_TASKS; i++)
	{
		const KeTaskSlot *slot = &ke_task_table->slots[i];

		if (slot->state == KE_TASK_TAKEN && slot != wait->slot &&
			ke_task_is_for(slot, MyDatabaseId, wait->order->server,
						   wait->order->kind))
			return true;
	}
	return false;
}

/* NULL, unless the process that took it is gone, or nobody will. */
static KeTaskFailure *
check_state(Wait *wait)
{
	KeTaskState state = KE_TASK_ASKED;
	bool		queued;
	char		reason[KE_ERROR_TEXT_LEN] = "";

	LWLockAcquire(ke_task_lock, LW_SHARED);
	if (wait->slot != NULL)
	{
		state = wait->slot->state;
		strlcpy(reason, wait->slot->reason, sizeof(reason));
	}
	queued = is_queued(wait);
	LWLockRelease(ke_task_lock);

	if (state == KE_TASK_REFUSED)
		return make_failure(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
							psprintf("could not start a task process: %s",
									 reason), NULL);
	if (state == KE_TASK_ABANDONED)
		return make_stopped();
	if (state == KE_TASK_ASKED && !queued &&
		ke_clock_now() >= wait->deadline)
		return make_failure(ERRCODE_CONNECTION_FAILURE,
							wait->slot == NULL ?
							"others of this role, or about this server, ask and get no answers" :
							"no task process of this database answers",
							"View kafka_consumer_health and the server log may say more.");
	return NULL;
}

static char *
get_string(StringInfo buf)
{
	if (!pq_getmsgbyte(buf))
		return NULL;
	return pstrdup(pq_getmsgrawstring(buf));
}

static KeTaskFailure *
get_failure(StringInfo buf)
{
	KeTaskFailure *failure = palloc(sizeof(KeTaskFailure));

	failure->sqlstate = pq_getmsgint(buf, 4);
	failure->text = get_string(buf);
	failure->detail = get_string(buf);
	failure->hint = get_string(buf);
	return failure;
}

/* One look at the queue. */
static shm_mq_result
receive(Wait *wait, StringInfo message)
{
	Size		len;
	void	   *data;
	shm_mq_result result = shm_mq_receive(wait->queue, &len, &data, true);

	if (result != SHM_MQ_SUCCESS)
		return result;
	message->data = data;
	message->len = message->maxlen = (int) len;
	message->cursor = 0;
	wait->heard = true;
	return result;
}

void
ke_task_nap(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 MAX_NAP_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* NULL: all that there is to be told was visited. */
static KeTaskFailure *
serve_replies(Wait *wait, KeTaskVisit visit, void *argument)
{
	for (;;)
	{
		StringInfoData message;
		shm_mq_result result;
		KeTaskFailure *failure;

		if (wait->slot == NULL)
			submit(wait);
		result = receive(wait, &message);
		if (result == SHM_MQ_DETACHED)
			return make_stopped();
		if (result == SHM_MQ_WOULD_BLOCK)
		{
			failure = wait->heard ? NULL : check_state(wait);
			if (failure != NULL)
				return failure;
			ke_task_nap();
			continue;
		}

		CHECK_FOR_INTERRUPTS();
		switch (pq_getmsgbyte(&message))
		{
			case KE_TAG_REPLY:
				visit(&message, argument);
				break;
			case KE_TAG_FAILURE:
				return get_failure(&message);
			default:
				return NULL;
		}
	}
}

KeTaskFailure *
ke_task_try(const KeTaskOrder *order, KeTaskVisit visit, void *argument)
{
	Wait		wait = {.order = order};
	const KeAnswer *refusal;
	KeTaskFailure *failure;
	shm_mq	   *queue;

	ke_ready_require();
	refusal = ke_request_refusal(order->server);
	if (refusal != NULL)
		return make_failure(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
							psprintf("could not ask Kafka: %s",
									 refusal->text), refusal->hint);

	wait.deadline = ke_clock_in(order->timeout_ms);
	wait.segment = dsm_create(KE_TASK_QUEUE_SIZE, 0);
	queue = shm_mq_create(dsm_segment_address(wait.segment),
						  KE_TASK_QUEUE_SIZE);
	shm_mq_set_receiver(queue, MyProc);
	wait.queue = shm_mq_attach(queue, wait.segment, NULL);

	PG_ENSURE_ERROR_CLEANUP(release, PointerGetDatum(&wait));
	{
		failure = serve_replies(&wait, visit, argument);
	}
	PG_END_ENSURE_ERROR_CLEANUP(release, PointerGetDatum(&wait));
	release(0, PointerGetDatum(&wait));
	dsm_detach(wait.segment);
	return failure;
}

void
ke_task_run(const KeTaskOrder *order, KeTaskVisit visit, void *argument)
{
	KeTaskFailure *failure = ke_task_try(order, visit, argument);

	if (failure != NULL)
		ereport(ERROR,
				(errcode(failure->sqlstate),
				 errmsg("%s", failure->text),
				 failure->detail ? errdetail("%s", failure->detail) : 0,
				 failure->hint ? errhint("%s", failure->hint) : 0));
}

KeTaskReport *
ke_task_reports(Oid database, KeTaskKind kind, int *count)
{
	KeTaskReport *reports = palloc(KE_MAX_TASKS * sizeof(KeTaskReport));

	*count = 0;
	LWLockAcquire(ke_task_lock, LW_SHARED);
	for (int i = 0; i < KE_MAX_TASKS; i++)
	{
		const KeTaskSlot *slot = &ke_task_table->slots[i];
		KeTaskReport *report = &reports[*count];

		if ((slot->state != KE_TASK_ASKED && slot->state != KE_TASK_TAKEN) ||
			slot->database != database || slot->order.kind != kind)
			continue;
		report->order = slot->order;
		report->progress = slot->progress;
		report->taken = slot->state == KE_TASK_TAKEN;
		report->pid = slot->asker;
		report->asked_at = slot->asked_at;
		(*count)++;
	}
	LWLockRelease(ke_task_lock);
	return reports;
}

/* ------------------------------------------------------------- the manager */

bool
ke_task_is_asked_for(Oid database, Oid server, KeTaskKind kind)
{
	bool		result = false;

	LWLockAcquire(ke_task_lock, LW_SHARED);
	for (int i = 0; i < KE_MAX_TASKS && !result; i++)
	{
		const KeTaskSlot *slot = &ke_task_table->slots[i];

		result = slot->state == KE_TASK_ASKED &&
			ke_task_is_for(slot, database, server, kind);
	}
	LWLockRelease(ke_task_lock);
	return result;
}

void
ke_task_refuse(Oid database, Oid server, KeTaskKind kind, const char *reason)
{
	LWLockAcquire(ke_task_lock, LW_EXCLUSIVE);
	for (int i = 0; i < KE_MAX_TASKS; i++)
	{
		KeTaskSlot *slot = &ke_task_table->slots[i];

		if (slot->state != KE_TASK_ASKED ||
			!ke_task_is_for(slot, database, server, kind))
			continue;
		slot->state = KE_TASK_REFUSED;
		strlcpy(slot->reason, reason, sizeof(slot->reason));
	}
	LWLockRelease(ke_task_lock);
}
