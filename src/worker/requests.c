/*
 * requests.c
 *	  Questions of users' backends that the manager has not answered yet.
 *
 * Nobody waits for a broker here longer than a slice.  A question without an
 * answer is on its way still, and looked after again a little later; after 3
 * seconds, or what the asker can wait, the answer is what is wrong.  Brokers
 * that are known to be slow have more time.  When a server's brokers do not
 * answer one question, nobody waits for the others of that round: with many
 * sessions asking, one slice each would keep the manager for minutes.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/answers.h"
#include "cluster/registry.h"
#include "cluster/watch_handles.h"
#include "core/clock.h"
#include "session/attempt.h"
#include "shm/reason.h"
#include "shm/request.h"
#include "worker/requests.h"

#define FIRST_SLICE_MS 250
#define LATER_SLICE_MS 50
#define PATIENCE_MS 3000

/* So many answers in a row a question may need. */
#define ANSWERS_IN_A_ROW 8

/* Between two tries other work has its turn. */
#define PAUSE_MS 50

typedef struct Inquiry
{
	KeRequest  *request;
	KeMoment	taken_at;
	int			slice_ms;		/* of the next try */
	KeMoment	due;
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
	KeMoment	since;			/* answers from then on will do */
	int			timeout_ms;
	KeAnswer   *answer;
	KeAnswer   *problem;
} Try;

static List *inquiries = NIL;	/* of Inquiry, in TopMemoryContext */

static void
take_new(KeMoment now)
{
	KeRequest  *request;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	while ((request = ke_request_take(MyDatabaseId)) != NULL)
	{
		Inquiry    *inquiry = palloc0(sizeof(Inquiry));

		inquiry->request = request;
		inquiry->taken_at = ke_clock_now();
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
	{
		attempt->answer = ke_answers_refuse(service->watch->reason, NULL);
		return;
	}
	ke_cluster_repeat(cluster, attempt->since);
	attempt->answer = ke_answers_try(service->watch, service->server,
									 attempt->question, attempt->timeout_ms,
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

/* Has the asker, or our patience with these brokers, run out? */
static bool
gives_up(const Inquiry *inquiry, const KeService *service)
{
	const KeQuestion *question = ke_request_question(inquiry->request);
	KeCluster  *cluster = service->watch->cluster;
	int64		patience_ms = PATIENCE_MS;

	if (cluster != NULL)
		patience_ms = Max(patience_ms, (int64) ANSWERS_IN_A_ROW *
						  ke_cluster_took_ms(cluster));
	return ke_clock_now() >= question->answer_by ||
		ke_clock_passed(inquiry->taken_at, ke_clock_now(), patience_ms);
}

static void
try_schema(void *argument)
{
	Try		   *attempt = (Try *) argument;

	attempt->answer = ke_registry_latest(attempt->service->server,
										 attempt->question->topic);
}

/* What keeps the manager from running it, or that it will. */
static char *
why_not_running(Oid server)
{
	char	   *reason = palloc(KE_REASON_LEN);

	ke_reason_get(MyDatabaseId, server, reason, KE_REASON_LEN);
	return reason[0] != '\0' ? reason : "the server does not run yet";
}

/* A question to the server's schema registry: libcurl keeps the time. */
static KeAnswer *
find_schema(Try *attempt)
{
	char	   *error;

	if (attempt->service->server->registry == NULL)
		return ke_answers_refuse("the server has no schema_registry_url",
								 "Say where the schema registry is: ALTER SERVER ... OPTIONS (ADD schema_registry_url 'https://host:port').");
	error = ke_failure_describe(ke_attempt(try_schema, attempt));
	if (error != NULL)
		return ke_answers_refuse(error, NULL);
	if (attempt->answer == NULL &&
		ke_clock_now() >= attempt->question->answer_by)
		return ke_answers_refuse("the schema registry has not answered yet",
								 NULL);
	return attempt->answer;
}

/* The answer, or NULL: try again later. */
static KeAnswer *
find_answer(const Inquiry *inquiry, List *services, List **silences)
{
	Try			attempt = {
		.question = ke_request_question(inquiry->request),
		.since = inquiry->taken_at
	};
	KeAnswer   *silence;
	char	   *error;

	/* Made a moment ago, it is there when the catalogs are read next. */
	attempt.service = find_service(services, attempt.question->server);
	if (attempt.service == NULL)
		return inquiry->slice_ms == FIRST_SLICE_MS ? NULL :
			ke_answers_refuse(why_not_running(attempt.question->server),
							  NULL);
	attempt.service->watch->questioned_at = ke_clock_now();

	if (attempt.question->kind == KE_ASK_SCHEMA)
		return find_schema(&attempt);

	/* What is asked once, and waited for, is not asked of the silent. */
	silence = find_silence(*silences, attempt.service);
	if (silence != NULL && attempt.question->kind == KE_ASK_CREATE)
		return gives_up(inquiry, attempt.service) ? silence : NULL;
	attempt.timeout_ms = silence != NULL ? 0 : inquiry->slice_ms;
	error = ke_failure_describe(ke_attempt(try_answer, &attempt));
	if (error != NULL)
		return ke_answers_refuse(error, NULL);
	if (attempt.answer != NULL)
		return attempt.answer;
	if (silence == NULL)
		note_silence(silences, attempt.service, attempt.problem);
	return gives_up(inquiry, attempt.service) ? attempt.problem : NULL;
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
		inquiry->slice_ms = LATER_SLICE_MS;
	inquiry->due = ke_clock_in(PAUSE_MS);
	return false;
}

KeMoment
ke_requests_serve(List *services, KeMoment now)
{
	KeMoment	due = DT_NOEND;
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
