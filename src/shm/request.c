/*
 * request.c
 *	  Questions of users' backends to their database's manager.
 *
 * The asking backend owns the slot from the question to the end of its wait,
 * and gives it back however that ends; the manager only marks it as taken,
 * once, and then knows the other side by the DSM segment: it cannot be
 * attached any more, or its queue is detached, when nobody waits.
 *
 * With worker/runtime and shm/database_hold_wait one of the few places that
 * wait.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/guc.h"
#include "shm/payload.h"
#include "shm/ready.h"
#include "shm/reason.h"
#include "shm/request.h"
#include "shm/roster.h"

/*
 * Questions at once, of all databases; who comes later waits for a slot.  One
 * role, or one server, cannot hold all of them: questions to brokers that do
 * not answer hold theirs for seconds.
 */
#define MAX_REQUESTS 64
#define MAX_OF_ROLE 32
#define MAX_OF_SERVER 48

/* Most answers fit; others are sent in parts, as they are read. */
#define QUEUE_SIZE ((Size) 16384)

/* The part of a question's time that its answer's way back may take. */
#define WAY_BACK_OF(timeout_ms) ((timeout_ms) / 5)

/* How long to sleep when nobody can be expected to wake us. */
#define MAX_NAP_MS 200L

typedef enum RequestState
{
	REQUEST_FREE,
	REQUEST_ASKED,
	REQUEST_TAKEN
} RequestState;

typedef struct RequestSlot
{
	RequestState state;
	Oid			database;
	Oid			role;			/* who asks */
	dsm_handle	segment;		/* the question's payload, then a shm_mq */
	int			payload_len;
	KeQuestion	question;		/* payload is not a pointer for others */
} RequestSlot;

typedef struct RequestTable
{
	RequestSlot slots[MAX_REQUESTS];	/* guarded by requests_lock */
} RequestTable;

/* The manager's side of a question it has taken. */
struct KeRequest
{
	MemoryContext context;		/* all of it lives there */
	RequestSlot *slot;			/* whoever asked owns it */
	dsm_handle	handle;
	KeQuestion	question;
	dsm_segment *segment;
	shm_mq_handle *queue;
	StringInfoData reply;		/* empty until it is sent */
};

/* The asking backend's side. */
typedef struct Wait
{
	const KeQuestion *question;
	RequestSlot *slot;			/* NULL: none yet */
	dsm_segment *segment;
	shm_mq_handle *queue;
	KeMoment	answer_by;		/* what the manager is told */
	KeMoment	deadline;
} Wait;

static RequestTable *shared;
static LWLock *requests_lock;

void
ke_request_shmem_request(void)
{
	RequestAddinShmemSpace(sizeof(RequestTable));
	RequestNamedLWLockTranche("kafka_events_requests", 1);
}

void
ke_request_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("kafka_events requests", sizeof(RequestTable),
							 &found);
	if (!found)
		memset(shared, 0, sizeof(RequestTable));
	requests_lock = &GetNamedLWLockTranche("kafka_events_requests")->lock;
}

/* ------------------------------------------------- an answer as bytes */

/* One number for each partition, or NULL. */
static void
put_offsets(StringInfo buf, const int64 *offsets, int partitions)
{
	ke_payload_put_bool(buf, offsets != NULL);
	if (offsets != NULL)
		ke_payload_put_bytes(buf, (const char *) offsets,
							 partitions * sizeof(int64));
}

static int64 *
get_offsets(StringInfo buf, int partitions)
{
	if (!ke_payload_get_bool(buf))
		return NULL;
	return (int64 *) ke_payload_get_bytes(buf, partitions * sizeof(int64));
}

/* One string, or NULL, for each partition; NULL: none at all. */
static char **
get_strings(StringInfo buf, int partitions)
{
	char	  **strings;

	if (!ke_payload_get_bool(buf))
		return NULL;
	strings = palloc(Max(partitions, 1) * sizeof(char *));
	for (int p = 0; p < partitions; p++)
		strings[p] = ke_payload_get_string(buf);
	return strings;
}

static void
put_answer(StringInfo buf, const KeAnswer *answer)
{
	ke_payload_put_bool(buf, answer->answered);
	ke_payload_put_bool(buf, answer->topic_exists);
	ke_payload_put_bool(buf, answer->created);
	ke_payload_put_int(buf, answer->partitions);
	put_offsets(buf, answer->offsets, answer->partitions);
	put_offsets(buf, answer->lows, answer->partitions);
	put_offsets(buf, answer->positions, answer->partitions);
	ke_payload_put_bool(buf, answer->metadata != NULL);
	for (int p = 0; answer->metadata != NULL && p < answer->partitions; p++)
		ke_payload_put_string(buf, answer->metadata[p]);
	ke_payload_put_string(buf, answer->cluster_id);
	ke_payload_put_string(buf, answer->text);
	ke_payload_put_string(buf, answer->hint);
	ke_payload_put_int(buf,
					   answer->payload != NULL ? answer->payload->len : -1);
	if (answer->payload != NULL)
		ke_payload_put_bytes(buf, answer->payload->data, answer->payload->len);
}

/* A copy of the next len bytes, to be read in turn. */
static StringInfo
get_payload(StringInfo buf, int len)
{
	StringInfo	payload = palloc(sizeof(StringInfoData));

	ke_payload_open(payload, ke_payload_get_bytes(buf, len), len);
	return payload;
}

static KeAnswer *
get_answer(void *data, Size size)
{
	KeAnswer   *answer = palloc0(sizeof(KeAnswer));
	StringInfoData buf;
	int			len;

	ke_payload_open(&buf, data, size);
	answer->answered = ke_payload_get_bool(&buf);
	answer->topic_exists = ke_payload_get_bool(&buf);
	answer->created = ke_payload_get_bool(&buf);
	answer->partitions = ke_payload_get_int(&buf);
	answer->offsets = get_offsets(&buf, answer->partitions);
	answer->lows = get_offsets(&buf, answer->partitions);
	answer->positions = get_offsets(&buf, answer->partitions);
	answer->metadata = get_strings(&buf, answer->partitions);
	answer->cluster_id = ke_payload_get_string(&buf);
	answer->text = ke_payload_get_string(&buf);
	answer->hint = ke_payload_get_string(&buf);
	len = ke_payload_get_int(&buf);
	if (len >= 0)
		answer->payload = get_payload(&buf, len);

	return answer;
}

static KeAnswer *
no_answer(const char *text, const char *hint)
{
	KeAnswer   *answer = palloc0(sizeof(KeAnswer));

	answer->text = pstrdup(text);
	answer->hint = hint == NULL ? NULL : pstrdup(hint);
	return answer;
}

/* ----------------------------------------------------- the asking backend */

static void
release(int code, Datum arg)
{
	Wait	   *wait = (Wait *) DatumGetPointer(arg);

	if (wait->slot == NULL)
		return;
	LWLockAcquire(requests_lock, LW_EXCLUSIVE);
	wait->slot->state = REQUEST_FREE;
	LWLockRelease(requests_lock);
	wait->slot = NULL;
}

static int
payload_len(const KeQuestion *question)
{
	return question->payload != NULL ? question->payload->len : 0;
}

/*
 * A slot for one more question of the session's role to the server, or NULL;
 * needs the lock.
 */
static RequestSlot *
find_slot(Oid server)
{
	RequestSlot *found = NULL;
	int			of_role = 0;
	int			of_server = 0;

	for (int i = 0; i < MAX_REQUESTS; i++)
	{
		RequestSlot *slot = &shared->slots[i];

		if (slot->state == REQUEST_FREE)
		{
			found = slot;
			continue;
		}
		of_role += slot->role == GetSessionUserId();
		of_server += slot->database == MyDatabaseId &&
			slot->question.server == server;
	}
	return of_role < MAX_OF_ROLE && of_server < MAX_OF_SERVER ? found : NULL;
}

/* Put the question into a slot, if there is one for it. */
static void
submit(Wait *wait)
{
	RequestSlot *slot;

	LWLockAcquire(requests_lock, LW_EXCLUSIVE);
	slot = find_slot(wait->question->server);
	if (slot != NULL)
	{
		slot->state = REQUEST_ASKED;
		slot->database = MyDatabaseId;
		slot->role = GetSessionUserId();
		slot->segment = dsm_segment_handle(wait->segment);
		slot->payload_len = payload_len(wait->question);
		slot->question = *wait->question;
		slot->question.payload = NULL;
		slot->question.answer_by = wait->answer_by;
		wait->slot = slot;
	}
	LWLockRelease(requests_lock);

	if (wait->slot != NULL)
		ke_slot_wake_manager(MyDatabaseId);
}

/* Is the version of the server that we see not committed yet? */
static bool
is_own_change(Oid server)
{
	HeapTuple	tuple;
	bool		ours;

	tuple = SearchSysCache1(FOREIGNSERVEROID, ObjectIdGetDatum(server));
	if (!HeapTupleIsValid(tuple))
		return false;
	ours = TransactionIdIsCurrentTransactionId(
		HeapTupleHeaderGetXmin(tuple->t_data));
	ReleaseSysCache(tuple);

	return ours;
}

/* Why waiting is of no use, or NULL. */
static KeAnswer *
refusal(Oid server)
{
	char		reason[KE_REASON_LEN];

	if (!ke_guc_enabled)
		return no_answer("kafka_events.enabled is off", NULL);
	if (RecoveryInProgress())
		return no_answer("this PostgreSQL server is a standby",
						 "Ask on the primary server.");
	if (is_own_change(server))
		return no_answer("the server was made or altered in this transaction, and does not run yet",
						 NULL);
	if (ke_roster_manager_runs(MyDatabaseId))
		return NULL;
	ke_reason_get(MyDatabaseId, InvalidOid, reason, sizeof(reason));
	return reason[0] == '\0' ? NULL : no_answer(reason, NULL);
}

const KeAnswer *
ke_request_refusal(Oid server)
{
	return refusal(server);
}

/* One look at the queue; NULL: nothing there yet. */
static KeAnswer *
receive(Wait *wait)
{
	Size		len;
	void	   *data;

	switch (shm_mq_receive(wait->queue, &len, &data, true))
	{
		case SHM_MQ_SUCCESS:
			return get_answer(data, len);
		case SHM_MQ_DETACHED:
			return no_answer("the manager of this database has just stopped",
							 "Try again.");
		case SHM_MQ_WOULD_BLOCK:
			break;
	}
	return NULL;
}

static KeAnswer *
wait_for_answer(Wait *wait)
{
	for (;;)
	{
		KeAnswer   *answer;
		long		nap;

		if (wait->slot == NULL)
			submit(wait);
		answer = receive(wait);
		if (answer == NULL)
			answer = refusal(wait->question->server);
		if (answer != NULL)
			return answer;

		nap = ke_clock_left(ke_clock_now(), wait->deadline);
		if (nap <= 0 && wait->slot == NULL)
			return no_answer("others of this role, or about this server, ask and get no answers",
							 "See kafka_health; brokers that do not answer keep each question for seconds.");
		if (nap <= 0)
			return no_answer("the manager of this database does not answer",
							 "View kafka_consumer_health and the server log may say more.");

		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(nap, MAX_NAP_MS), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Make the segment, with the payload in front of the queue. */
static void
open_queue(Wait *wait)
{
	const KeQuestion *question = wait->question;
	Size		front = MAXALIGN(payload_len(question));
	char	   *address;
	shm_mq	   *queue;

	wait->segment = dsm_create(front + QUEUE_SIZE, 0);
	address = dsm_segment_address(wait->segment);
	if (question->payload != NULL)
		memcpy(address, question->payload->data, question->payload->len);
	queue = shm_mq_create(address + front, QUEUE_SIZE);
	shm_mq_set_receiver(queue, MyProc);
	wait->queue = shm_mq_attach(queue, wait->segment, NULL);
}

KeAnswer *
ke_request_ask(const KeQuestion *question, int timeout_ms)
{
	Wait		wait = {.question = question};
	KeAnswer   *answer;

	ke_ready_require();
	answer = refusal(question->server);
	if (answer != NULL)
		return answer;

	wait.deadline = ke_clock_in(timeout_ms);
	wait.answer_by = TimestampTzPlusMilliseconds(wait.deadline,
												 -WAY_BACK_OF(timeout_ms));
	open_queue(&wait);

	PG_ENSURE_ERROR_CLEANUP(release, PointerGetDatum(&wait));
	{
		answer = wait_for_answer(&wait);
	}
	PG_END_ENSURE_ERROR_CLEANUP(release, PointerGetDatum(&wait));
	release(0, PointerGetDatum(&wait));
	dsm_detach(wait.segment);

	return answer;
}

/* ------------------------------------------------------------ the manager */

/* Attach what the question came with; NULL: whoever asked is gone. */
static KeRequest *
attach(RequestSlot *slot, dsm_handle handle, const KeQuestion *question,
	   int payload_len)
{
	MemoryContext context;
	MemoryContext caller;
	dsm_segment *segment;
	KeRequest  *request;
	StringInfoData buf;
	shm_mq	   *queue;

	segment = dsm_attach(handle);
	if (segment == NULL)
		return NULL;

	context = AllocSetContextCreate(TopMemoryContext, "kafka_events request",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	request = palloc0(sizeof(KeRequest));
	request->context = context;
	request->slot = slot;
	request->handle = handle;
	request->question = *question;
	request->segment = segment;
	ke_payload_open(&buf, dsm_segment_address(segment), payload_len);
	request->question.payload = get_payload(&buf, payload_len);
	queue = (shm_mq *) ((char *) dsm_segment_address(segment) +
						MAXALIGN(payload_len));
	shm_mq_set_sender(queue, MyProc);
	request->queue = shm_mq_attach(queue, segment, NULL);
	MemoryContextSwitchTo(caller);

	return request;
}

KeRequest *
ke_request_take(Oid database)
{
	KeRequest  *request = NULL;

	for (int i = 0; i < MAX_REQUESTS && request == NULL; i++)
	{
		RequestSlot *slot = &shared->slots[i];
		KeQuestion	question;
		dsm_handle	handle = DSM_HANDLE_INVALID;
		int			len = 0;

		LWLockAcquire(requests_lock, LW_EXCLUSIVE);
		if (slot->state == REQUEST_ASKED && slot->database == database)
		{
			slot->state = REQUEST_TAKEN;
			handle = slot->segment;
			len = slot->payload_len;
			question = slot->question;
		}
		LWLockRelease(requests_lock);

		if (handle != DSM_HANDLE_INVALID)
			request = attach(slot, handle, &question, len);
	}

	return request;
}

/* Who looks at it once more reads its payload once more. */
const KeQuestion *
ke_request_question(const KeRequest *request)
{
	request->question.payload->cursor = 0;
	return &request->question;
}

bool
ke_request_is_wanted(KeRequest *request)
{
	bool		wanted;

	LWLockAcquire(requests_lock, LW_SHARED);
	wanted = request->slot->state == REQUEST_TAKEN &&
		request->slot->segment == request->handle;
	LWLockRelease(requests_lock);

	return wanted;
}

bool
ke_request_reply(KeRequest *request, const KeAnswer *answer)
{
	shm_mq_result result;

	if (request->reply.data == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(request->context);

		initStringInfo(&request->reply);
		put_answer(&request->reply, answer);
		MemoryContextSwitchTo(caller);
	}

	result = shm_mq_send(request->queue, request->reply.len,
						 request->reply.data, true, true);
	if (result == SHM_MQ_WOULD_BLOCK)
		return false;

	dsm_detach(request->segment);
	MemoryContextDelete(request->context);
	return true;
}
