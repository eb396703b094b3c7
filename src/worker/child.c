/*
 * child.c
 *	  A process that launcher or manager want to run.
 *
 * The state machine is drawn in child.h.  Each transition is a function that
 * begins by asserting the state it leaves.
 *
 * A process is gone when the postmaster has reaped it, not when it has left
 * its slot: until then it may still be closing its connections to Kafka, and
 * a successor would be taken for a second process with the same name.
 */
#include "postgres.h"
#include "core/compat.h"

#include <signal.h>

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "core/guc.h"
#include "core/throttle.h"
#include "shm/reason.h"
#include "worker/child.h"
#include "worker/runtime.h"

#define MIN_DELAY_MS 100
#define MAX_DELAY_MS 60000

/* Who lived that long was well, whatever ended it. */
#define HEALTHY_MS 60000

/* A slot, a background worker or a database may be free again by then. */
#define NO_SLOT_DELAY_MS 5000
#define HELD_DELAY_MS 500

/* Postmaster's part of a start; only a former parent's may get lost. */
#define ATTACH_TIMEOUT_MS 15000

/* What pg_stat_activity calls it: backend_type. */
static const char *
role_type(KeRole role)
{
	switch (role)
	{
		case KE_ROLE_LAUNCHER:
			return "kafka_events launcher";
		case KE_ROLE_MANAGER:
			return "kafka_events manager";
		case KE_ROLE_MAIN:
		case KE_ROLE_RETRY:
			return "kafka_events consumer";
		case KE_ROLE_RELAY:
			return "kafka_events relay";
		case KE_ROLE_TASK:
			return "kafka_events task";
	}
	pg_unreachable();
}

static const char *
role_function(KeRole role)
{
	switch (role)
	{
		case KE_ROLE_LAUNCHER:
			return "ke_launcher_main";
		case KE_ROLE_MANAGER:
			return "ke_manager_main";
		case KE_ROLE_MAIN:
		case KE_ROLE_RETRY:
			return "ke_consumer_process_main";
		case KE_ROLE_RELAY:
			return "ke_relay_process_main";
		case KE_ROLE_TASK:
			return "ke_task_process_main";
	}
	pg_unreachable();
}

/* A manager is called after its database, which says what it is. */
static void
name_process(const KeChild *child, char *name, Size size)
{
	if (child->who.role == KE_ROLE_MANAGER)
		snprintf(name, size, "kafka_events %s", child->name);
	else
		snprintf(name, size, "%s %s", role_type(child->who.role),
				 child->name);
}

static KeMoment
later(KeMoment now, int delay_ms)
{
	return TimestampTzPlusMilliseconds(now, delay_ms);
}

static long
ms_until(KeMoment then, KeMoment now)
{
	return ke_clock_left(now, then);
}

KeChild *
ke_child_make(const KeIdentityOfProcess *who, const char *name)
{
	KeChild    *child = palloc0(sizeof(KeChild));

	child->context = CurrentMemoryContext;
	child->who = *who;
	ke_child_rename(child, name);
	child->state = KE_CHILD_DOWN;
	child->slot = -1;
	return child;
}

KeChild *
ke_child_adopt(const KeSlotReport *report, const char *name)
{
	KeChild    *child = ke_child_make(&report->who, name);

	child->slot = report->index;
	child->since = ke_clock_now();
	child->messages = report->messages;
	switch (report->phase)
	{
		case KE_PHASE_EMPTY:
			child->state = KE_CHILD_DOWN;
			break;
		case KE_PHASE_EXPECTED:
			child->state = KE_CHILD_STARTING;
			break;
		case KE_PHASE_ATTACHED:
			child->state = KE_CHILD_UP;
			break;
	}
	return child;
}

void
ke_child_rename(KeChild *child, const char *name)
{
	strlcpy(child->name, name, sizeof(child->name));
}

void
ke_child_hurry(KeChild *child)
{
	child->delay_ms = 0;
	child->not_before = 0;
}

/* ------------------------------------------------------------ transitions */

static void
enter(KeChild *child, KeChildState state, KeMoment now)
{
	child->state = state;
	child->since = now;
	child->insist_at = 0;
}

/*
 * It cannot be started now: try again.  What keeps this one keeps others, too,
 * so one warning a minute speaks for all.
 */
static void
stay_down(KeChild *child, const char *trouble, KeMoment now)
{
	Assert(child->state == KE_CHILD_DOWN);

	child->not_before = later(now, NO_SLOT_DELAY_MS);
	if (ke_throttle_allows(trouble))
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start %s: %s", child->name, trouble)));
	child->trouble = trouble;
}

static bool
launch(KeChild *child, Datum main_arg)
{
	BackgroundWorker worker;
	MemoryContext old;
	bool		registered;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = main_arg;
	strlcpy(worker.bgw_library_name, "kafka_events",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, role_function(child->who.role),
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, role_type(child->who.role),
			sizeof(worker.bgw_type));
	strlcpy(worker.bgw_extra, child->name, sizeof(worker.bgw_extra));
	name_process(child, worker.bgw_name, sizeof(worker.bgw_name));

	old = MemoryContextSwitchTo(child->context);
	registered = RegisterDynamicBackgroundWorker(&worker, &child->handle);
	MemoryContextSwitchTo(old);

	return registered;
}

static void
start(KeChild *child, KeMoment now)
{
	KeSlotReport report;
	Datum		main_arg;

	Assert(child->state == KE_CHILD_DOWN && child->handle == NULL);

	if (child->slot < 0)
		child->slot = ke_roster_take(&child->who);
	if (child->slot < 0)
	{
		stay_down(child, "no free slot: raise kafka_events.max_workers", now);
		return;
	}
	if (!ke_roster_expect(child->slot, &child->who, &main_arg))
	{
		child->not_before = later(now, HELD_DELAY_MS);
		return;
	}
	if (!launch(child, main_arg))
	{
		ke_roster_unexpect(child->slot, NULL);
		stay_down(child, KE_REASON_NO_SLOT, now);
		return;
	}

	ke_roster_look(child->slot, &report);
	child->messages = report.messages;
	child->trouble = NULL;
	child->renew = false;
	enter(child, KE_CHILD_STARTING, now);
}

static void
come_up(KeChild *child, KeMoment now)
{
	Assert(child->state == KE_CHILD_STARTING);

	enter(child, KE_CHILD_UP, now);
}

static void
stop(KeChild *child, KeMoment now)
{
	Assert(child->state == KE_CHILD_STARTING || child->state == KE_CHILD_UP);

	ke_roster_ask_stop(child->slot, child->leave);
	if (child->state == KE_CHILD_STARTING && child->handle != NULL)
		TerminateBackgroundWorker(child->handle);
	enter(child, KE_CHILD_STOPPING, now);
	child->insist_at = later(now, KE_RUNTIME_PATIENCE_MS);
}

/* How long to wait before the next start, after an end nobody asked for. */
static int
next_delay(const KeChild *child, const KeSlotReport *report, KeMoment now)
{
	bool		did_well = report->messages > child->messages ||
	(child->state == KE_CHILD_UP &&
	 TimestampDifferenceExceeds(child->since, now, HEALTHY_MS));

	if (did_well || child->delay_ms == 0)
		return MIN_DELAY_MS;
	return Min(child->delay_ms * 2, MAX_DELAY_MS);
}

static void
end(KeChild *child, const KeSlotReport *report, KeMoment now)
{
	bool		planned = child->state == KE_CHILD_STOPPING || report->stop;

	Assert(child->state != KE_CHILD_DOWN);

	/* It ended before it came that far: its slot still expects it. */
	if (report->phase == KE_PHASE_EXPECTED)
		ke_roster_unexpect(child->slot,
						   planned ? NULL : "the process could not be started");
	if (child->handle != NULL)
		pfree(child->handle);
	child->handle = NULL;

	child->leave = false;
	if (report->done)
		child->wanted = false;
	if (planned || report->done)
		child->not_before = report->not_before;
	else
	{
		child->delay_ms = next_delay(child, report, now);
		child->not_before = Max(report->not_before,
								later(now, child->delay_ms));
		if (child->wanted)
			ereport(LOG,
					(errmsg("%s has ended, and is started again in %ld ms",
							child->name, ms_until(child->not_before, now))));
	}
	enter(child, KE_CHILD_DOWN, now);
}

static void
insist(KeChild *child, KeMoment now)
{
	Assert(child->state == KE_CHILD_UP || child->state == KE_CHILD_STOPPING);

	ke_roster_insist(child->slot);
	child->insist_at = later(now, KE_RUNTIME_PATIENCE_MS);
}

/* ------------------------------------------------------------------- step */

static bool
process_exists(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

static bool
is_gone(const KeChild *child, const KeSlotReport *report, KeMoment now)
{
	pid_t		unused;

	if (child->handle != NULL)
		return GetBackgroundWorkerPid(child->handle, &unused) == BGWH_STOPPED;

	switch (report->phase)
	{
		case KE_PHASE_EMPTY:
			return !process_exists(report->pid);
		case KE_PHASE_EXPECTED:
			return TimestampDifferenceExceeds(child->since, now,
											  ATTACH_TIMEOUT_MS);
		case KE_PHASE_ATTACHED:
			return false;
	}
	pg_unreachable();
}

/* A child that has, or had a moment ago, a process. */
static void
step_process(KeChild *child, KeMoment now)
{
	KeSlotReport report;

	/* Whether it is gone comes first: what it reported is final then. */
	ke_roster_look(child->slot, &report);
	if (is_gone(child, &report, now))
	{
		ke_roster_look(child->slot, &report);
		end(child, &report, now);
		return;
	}

	if (child->state == KE_CHILD_STARTING && report.phase == KE_PHASE_ATTACHED)
		come_up(child, now);
	if (child->state != KE_CHILD_STOPPING && (!child->wanted || child->renew))
		stop(child, now);

	if (report.terminating && child->insist_at == 0)
		child->insist_at = later(now, KE_RUNTIME_PATIENCE_MS);
	if (child->state != KE_CHILD_STARTING && child->insist_at != 0 &&
		child->insist_at <= now)
		insist(child, now);
}

void
ke_child_step(KeChild *child, KeMoment now)
{
	if (child->state != KE_CHILD_DOWN)
		step_process(child, now);
	if (child->state == KE_CHILD_DOWN && child->wanted &&
		child->not_before <= now)
		start(child, now);
}

KeMoment
ke_child_due(const KeChild *child)
{
	if (child->state == KE_CHILD_DOWN)
		return child->wanted ? child->not_before : DT_NOEND;
	if (child->insist_at != 0)
		return child->insist_at;
	return DT_NOEND;
}

bool
ke_child_is_over(const KeChild *child)
{
	return child->state == KE_CHILD_DOWN && !child->wanted;
}

void
ke_child_free(KeChild *child)
{
	Assert(ke_child_is_over(child));

	if (child->slot >= 0)
		ke_roster_free(child->slot);
	pfree(child);
}
