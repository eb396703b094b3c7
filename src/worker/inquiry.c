/*
 * inquiry.c
 *	  Questions of users' backends that the manager has not answered yet.
 *
 * Nobody waits for a broker here longer than a slice.  A question without an
 * answer is tried again, in growing slices, and after 3 seconds the answer is
 * what is wrong.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "engine/answers.h"
#include "engine/attempt.h"
#include "shm/request.h"
#include "worker/inquiry.h"

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
} Inquiry;

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
		Inquiry    *inquiry = palloc(sizeof(Inquiry));

		inquiry->request = request;
		inquiry->give_up_at = TimestampTzPlusMilliseconds(now, PATIENCE_MS);
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
	KeCluster  *cluster = ke_watch_cluster(service->watch, service->server);

	if (cluster == NULL || service->watch->blocked)
		attempt->answer = ke_answers_refuse(service->watch->reason, NULL);
	else
		attempt->answer = ke_answers_try(cluster, service->server,
										 attempt->question,
										 attempt->timeout_ms,
										 &attempt->problem);
}

/* The answer, or NULL: try again later. */
static KeAnswer *
find_answer(const Inquiry *inquiry, List *services)
{
	Try			attempt = {
		.question = ke_request_question(inquiry->request),
		.timeout_ms = inquiry->slice_ms
	};
	char	   *error;

	attempt.service = find_service(services, attempt.question->server);
	if (attempt.service == NULL)
		return ke_answers_refuse("the server does not run yet", NULL);

	error = ke_attempt(try_answer, &attempt);
	if (error != NULL)
		return ke_answers_refuse(error, NULL);
	if (attempt.answer == NULL &&
		GetCurrentTimestamp() >= inquiry->give_up_at)
		return attempt.problem;
	return attempt.answer;
}

/* True: done with it. */
static bool
serve(Inquiry *inquiry, List *services, TimestampTz now)
{
	KeAnswer   *answer;

	if (!ke_request_is_wanted(inquiry->request))
		answer = ke_answers_refuse("nobody waits", NULL);
	else
		answer = find_answer(inquiry, services);

	if (answer != NULL && ke_request_reply(inquiry->request, answer))
		return true;

	inquiry->slice_ms = Min(inquiry->slice_ms * 2, MAX_SLICE_MS);
	inquiry->due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   PAUSE_MS);
	return false;
}

TimestampTz
ke_inquiry_serve(List *services, TimestampTz now)
{
	TimestampTz due = DT_NOEND;
	ListCell   *lc;

	take_new(now);
	foreach(lc, inquiries)
	{
		Inquiry    *inquiry = (Inquiry *) lfirst(lc);

		if (inquiry->due <= now && serve(inquiry, services, now))
		{
			inquiries = foreach_delete_current(inquiries, lc);
			pfree(inquiry);
		}
		else
			due = Min(due, inquiry->due);
	}
	return due;
}
