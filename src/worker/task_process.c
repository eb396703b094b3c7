/*
 * task_process.c
 *	  A task process: carries out long requests of users' backends.
 *
 * There is one for each kind of task of a Kafka server (its ordinal is the
 * kind), started when somebody asks and ended when nobody has asked for a
 * while.  It is a session of the bootstrap superuser that runs no user's
 * code.  What goes wrong in a task is told to whoever asked, and not logged.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/fitness.h"
#include "core/clock.h"
#include "dlq/task_context.h"
#include "session/attempt.h"
#include "session/session.h"
#include "session/xact.h"
#include "worker/runtime.h"
#include "worker/task_process.h"

/* The next request finds everything connected if it comes within: */
#define LINGER_MS 10000

/* Tell whoever asked; payload-free unless the error is ours. */
static void
report(KeTask *task, const KeFailure *fail)
{
	ke_task_work_fail(task, fail->sqlstate,
					  fail->ours ? fail->message : ke_failure_describe(fail),
					  fail->detail, fail->hint);
}

/* What the process is to do now. */
typedef struct Work
{
	KeTaskContext *taskctx;
	KeTask	   *task;
	Oid			server;
	List	   *subscriptions;	/* read by read_subscriptions */
} Work;

static void
read_subscriptions(void *argument)
{
	Work	   *work = (Work *) argument;
	MemoryContext old = MemoryContextSwitchTo(work->taskctx->work);

	work->subscriptions = ke_catalog_subscriptions(work->taskctx->server);
	MemoryContextSwitchTo(old);
}

static void
look_at_fitness(Work *work)
{
	KeTaskContext *taskctx = work->taskctx;

	ke_xact_run(read_subscriptions, work, false);
	MemoryContextSwitchTo(taskctx->work);
	ke_fitness_look(taskctx->server, work->subscriptions, taskctx->cluster,
					work->task);
}

static void
carry_out(void *argument)
{
	Work	   *work = (Work *) argument;
	const KeTaskOrder *order = ke_task_work_order(work->task);

	ke_task_context_open(work->taskctx, order);
	MemoryContextSwitchTo(work->taskctx->work);
	switch (order->kind)
	{
		case KE_TASK_BROWSE:
			if (order->fitness)
				look_at_fitness(work);
			else if (order->any_topic)
				ke_topic_browse(work->taskctx, work->task);
			else
				ke_dlq_browse(work->taskctx, work->task);
			break;
		case KE_TASK_REPROCESS:
			ke_reprocess_run(work->taskctx, work->task);
			break;
	}
}

static void
serve(KeTaskContext *taskctx, KeTask *task)
{
	Work		work = {.taskctx = taskctx, .task = task};
	KeFailure  *fail = ke_attempt(carry_out, &work);

	if (fail != NULL)
		report(task, fail);
	else
		ke_task_work_finish(task);
	MemoryContextReset(taskctx->work);
}

static void
look_after_letters(void *argument)
{
	Work	   *work = (Work *) argument;

	ke_reprocess_upkeep(work->taskctx, work->server, ke_runtime_should_stop);
}

/* Nobody waits for it, so it may fail: it is tried again soon. */
static void
keep_up(KeTaskContext *taskctx, Oid server)
{
	Work		work = {.taskctx = taskctx, .server = server};
	char	   *problem;

	ke_runtime_activity("looking after dead letters");
	problem = ke_failure_describe(ke_attempt(look_after_letters, &work));
	if (problem != NULL)
		ereport(LOG,
				(errmsg("could not look after dead letters: %s", problem)));
	MemoryContextReset(taskctx->work);
}

/* For pg_stat_activity, with the order's topic. */
static const char *
activity_of(const KeTaskOrder *order)
{
	if (order->fitness)
		return "looking at what the cluster allows";
	return order->any_topic ? "reading topic %s" :
		"working on dead letters of topic %s";
}

/* Take the next task, if there is one. */
static bool
serve_next(KeTaskContext *taskctx, const KeIdentityOfProcess *who)
{
	KeTaskKind	kind = (KeTaskKind) who->ordinal;
	KeTask	   *task;

	if (!ke_task_is_asked_for(who->database, who->server, kind))
		return false;

	/* What was altered is for a process that begins anew. */
	if (!ke_task_context_is_current(taskctx, who->server))
		proc_exit(0);
	ke_runtime_serves(NameStr(taskctx->name));
	task = ke_task_work_take(who->database, who->server, kind,
							 ke_runtime_should_stop);
	if (task == NULL)
		return false;
	ke_runtime_activity(activity_of(ke_task_work_order(task)),
						ke_task_work_order(task)->topic);
	serve(taskctx, task);
	return true;
}

void
ke_task_process_main(Datum main_arg)
{
	const KeIdentityOfProcess *who = ke_runtime_attach(main_arg);
	KeMoment	idle_since = ke_clock_now();
	bool		kept_up = who->ordinal != KE_TASK_REPROCESS;
	KeTaskContext *taskctx;

	ke_session_connect(who->database, InvalidOid, false);
	taskctx = ke_task_context_make();
	MemoryContextSwitchTo(taskctx->work);

	while (!ke_runtime_should_stop())
	{
		uint64		version = ke_slot_config_version();

		ke_slot_set_status(KE_STATUS_RUNNING);
		ke_slot_heartbeat();
		if (serve_next(taskctx, who))
		{
			idle_since = ke_clock_now();
			continue;
		}
		if (!kept_up)
		{
			keep_up(taskctx, who->server);
			kept_up = true;
			continue;
		}
		if (TimestampDifferenceExceeds(idle_since, ke_clock_now(),
									   LINGER_MS) &&
			ke_slot_set_done(version))
			proc_exit(0);
		ke_runtime_activity("waiting for requests");
		(void) ke_runtime_wait(PGINVALID_SOCKET, LINGER_MS);
	}
	proc_exit(0);
}
