/*
 * requests.c
 *	  Questions of users' backends that the manager has not answered yet.
 *
 * Nobody waits for a broker here longer than a slice.  A question without an
 * answer is tried again, in growing slices, and after 3 seconds, or what the
 * asker can wait, the answer is what is wrong.  When a server's brokers do not
 * answer one question, the others of that round are not put to them: with
 * many sessions asking, one slice each would keep the manager for minutes.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/answers.h"
#include "cluster/watch_handles.h"
#include "session/attempt.h"
#include "shm/request.h"
#include "worker/requests.h"

#define MIN_SLICE_MS 50
#define FIRST_SLICE_MS 250
#define MAX_SLICE_MS 1000
#define PATIENCE_MS 3000

/* Between two tries other work has its turn. */
#define PAUSE_MS 50

typedef struct Inquiry
{
	KeRequest  *request;
	TimestampTz give_up_at;
	int			slice_ms;		/* of the next try */
	TimestampTz due;
	bool		replying;		/* the answer is on its way */
} Inquiry;

/* A server whose brokers did not answer in this round. */
typedef struct Silence
{
	KeService  *service;
	KeAnswer   *problem;
} Silence;

/* One try, for ke_attempt. */
typedef struct Try
{
	KeService  *service;
	const KeQuestion *question;
	int			timeout_ms;
	KeAnswer   *answer;
	KeAnswer   *problem;
} Try;

static List *inquiries = NIL;	/* of Inquiry, in TopMemoryContext */

static void
take_new(TimestampTz now)
{
	KeRequest  *request;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	while ((request = ke_request_take(MyDatabaseId)) != NULL)
	{
		Inquiry    *inquiry = palloc0(sizeof(Inquiry));

		inquiry->request = request;
		inquiry->give_up_at =
			Min(ke_request_question(request)->answer_by,
				TimestampTzPlusMilliseconds(now, PATIENCE_MS));
		inquiry->slice_ms = FIRST_SLICE_MS;
		inquiry->due = now;
		inquiries = lappend(inquiries, inquiry);
	}
	MemoryContextSwitchTo(old);
}

static KeService *
find_service(List *services, Oid server)
{
	ListCell   *lc;

	foreach(lc, services)
	{
		KeService  *service = (KeService *) lfirst(lc);

		if (service->oid == server && service->server != NULL)
			return service;
	}
	return NULL;
}

static void
try_answer(void *argument)
{
	Try		   *attempt = (Try *) argument;
	KeService  *service = attempt->service;
	KeCluster  *cluster = attempt->question->kind == KE_ASK_DLQ ?
		ke_watch_handles_admin(service->watch, service->server) :
		ke_watch_handles_cluster(service->watch, service->server);

	if (cluster == NULL || service->watch->blocked)
		attempt->answer = ke_answers_refuse(service->watch->reason, NULL);
	else
		attempt->answer = ke_answers_try(service->watch, service->server,
										 attempt->question,
										 attempt->timeout_ms,
										 &attempt->problem);
}

/* What is known of a service's silence in this round, or NULL. */
static KeAnswer *
find_silence(List *silences, const KeService *service)
{
	ListCell   *lc;

	foreach(lc, silences)
	{
		Silence    *silence = (Silence *) lfirst(lc);

		if (silence->service == service)
			return silence->problem;
	}
	return NULL;
}

static void
note_silence(List **silences, KeService *service, KeAnswer *problem)
{
	Silence    *silence = palloc(sizeof(Silence));

	silence->service = service;
	silence->problem = problem;
	*silences = lappend(*silences, silence);
}

/* The answer, or NULL: try again later. */
static KeAnswer *
find_answer(const Inquiry *inquiry, List *services, List **silences)
{
	Try			attempt = {
		.question = ke_request_question(inquiry->request)
	};
	TimestampTz now = GetCurrentTimestamp();
	char	   *error;

	/* Made a moment ago, it is there when the catalogs are read next. */
	attempt.service = find_service(services, attempt.question->server);
	if (attempt.service == NULL)
		return inquiry->slice_ms == FIRST_SLICE_MS ? NULL :
			ke_answers_refuse("the server does not run yet", NULL);

	attempt.problem = find_silence(*silences, attempt.service);
	if (attempt.problem == NULL)
	{
		attempt.timeout_ms =
			Min(inquiry->slice_ms,
				TimestampDifferenceMilliseconds(now, inquiry->give_up_at));
		attempt.timeout_ms = Max(attempt.timeout_ms, MIN_SLICE_MS);
		error = ke_failure_describe(ke_attempt(try_answer, &attempt));
		if (error != NULL)
			return ke_answers_refuse(error, NULL);
		if (attempt.answer != NULL)
			return attempt.answer;
		note_silence(silences, attempt.service, attempt.problem);
	}
	return GetCurrentTimestamp() >= inquiry->give_up_at ?
		attempt.problem : NULL;
}

/* True: done with it. */
static bool
serve(Inquiry *inquiry, List *services, List **silences)
{
	KeAnswer   *answer = NULL;

	if (!ke_request_is_wanted(inquiry->request))
		answer = ke_answers_refuse("nobody waits", NULL);
	else if (!inquiry->replying)
		answer = find_answer(inquiry, services, silences);

	if (answer != NULL || inquiry->replying)
	{
		inquiry->replying = true;
		if (ke_request_reply(inquiry->request, answer))
			return true;
	}
	else
		inquiry->slice_ms = Min(inquiry->slice_ms * 2, MAX_SLICE_MS);
	inquiry->due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   PAUSE_MS);
	return false;
}

TimestampTz
ke_requests_serve(List *services, TimestampTz now)
{
	TimestampTz due = DT_NOEND;
	List	   *silences = NIL;
	ListCell   *lc;

	take_new(now);
	foreach(lc, inquiries)
	{
		Inquiry    *inquiry = (Inquiry *) lfirst(lc);
		bool		is_due = inquiry->due <= now || inquiry->replying;

		if (is_due && serve(inquiry, services, &silences))
		{
			inquiries = foreach_delete_current(inquiries, lc);
			pfree(inquiry);
		}
		else
			due = Min(due, inquiry->due);
	}
	return due;
}
