/*
 * relay_process.c
 *	  A relay process: publishes one server's outbox.
 *
 * A session of the bootstrap superuser, which runs no user's code.  What it
 * does is in relay/relay_cycle; here is how the process begins, waits and
 * ends.  A change that an open connection cannot follow ends it: its manager
 * starts another.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "kafka/client.h"
#include "relay/relay_cycle.h"
#include "session/session.h"
#include "worker/relay_process.h"
#include "worker/runtime.h"

#define HEARTBEAT_MS 1000

/* The manager stops a process that has nothing to go on with by then. */
#define GIVE_UP_MS 5000

/* What is under way when the process is to end may still be reported. */
#define WIND_UP_MS 1500

typedef struct Worker
{
	KeRelay    *relay;
	MemoryContext round;		/* reset in each round */
	uint64		config_version; /* what was read */
	uint64		fingerprint;	/* of the server it works for */
	KeMoment	heartbeat_at;
} Worker;

/* End now; the manager decides what comes next. */
static void
leave_with(const char *reason)
{
	ke_slot_set_error(reason);
	ereport(LOG,
			(errmsg("relay ends: %s", reason)));
	proc_exit(1);
}

/*
 * Nothing to go on with.  As a rule the manager has seen the same, and is
 * about to stop this process.
 */
static void
give_up(const char *reason)
{
	KeMoment	deadline = ke_clock_in(GIVE_UP_MS);

	ke_runtime_activity("waiting to be stopped: %s", reason);
	while (!ke_runtime_should_stop() && ke_clock_now() < deadline)
		ke_runtime_sleep_until(deadline);
	if (ke_runtime_should_stop())
		proc_exit(0);
	leave_with(reason);
}

/* Read the catalogs; ends the process if there is nothing to work for. */
static void
read_configuration(Worker *worker, KeRelayFacts *facts)
{
	char	   *problem;

	worker->config_version = ke_slot_config_version();
	problem = ke_relay_read(worker->relay, facts);
	if (problem != NULL)
		give_up(problem);
	if (!facts->server_is_there)
		give_up("its server was dropped");
	ke_runtime_serves(NameStr(facts->name));
	if (facts->identity == KE_IDENTITY_FOREIGN)
		give_up("the identity of this database is not confirmed");
}

static void
start(Worker *worker, Datum main_arg)
{
	const KeIdentityOfProcess *who = ke_runtime_attach(main_arg);
	KeRelaySetting setting = {who->server, ke_runtime_forget_fd};
	KeRelayFacts facts;

	worker->round = AllocSetContextCreate(TopMemoryContext,
										  "kafka_events relay round",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(worker->round);
	ke_session_connect(who->database, InvalidOid, false);
	ke_client_check_library();
	worker->relay = ke_relay_make(&setting, TopMemoryContext);
	read_configuration(worker, &facts);
	worker->fingerprint = facts.fingerprint;
}

/* Things that are done now and then. */
static void
keep_house(Worker *worker, KeMoment now)
{
	KeRelayFacts facts;

	if (ke_slot_config_version() != worker->config_version)
	{
		read_configuration(worker, &facts);
		if (facts.fingerprint != worker->fingerprint)
			give_up("its server was altered");
		ke_relay_reconsider(worker->relay);
	}
	if (now >= worker->heartbeat_at)
	{
		ke_slot_heartbeat();
		worker->heartbeat_at = TimestampTzPlusMilliseconds(now, HEARTBEAT_MS);
	}
}

/* What is the matter for as long as it is, beside the last error. */
static void
set_stall(const char *stall)
{
	ke_slot_set_trouble(stall != NULL ? psprintf("publishing: %s", stall) :
						NULL);
}

/* One round of work; ends the process when it is of no use any more. */
static void
work(Worker *worker)
{
	char	   *reason;
	const char *trouble;
	int64		published = ke_relay_step(worker->relay, &reason);

	if (published > 0)
		ke_slot_count_messages(published);
	if (reason != NULL)
		leave_with(reason);
	if (!ke_relay_take_trouble(worker->relay, &trouble))
		return;
	set_stall(ke_relay_stall(worker->relay));
	if (trouble == NULL)
		return;
	ke_slot_set_error(trouble);
	ereport(LOG,
			(errmsg("cannot publish now: %s", trouble)));
}

static void
wait_for_work(Worker *worker)
{
	KeMoment	now = ke_clock_now();
	KeMoment	due = ke_relay_due(worker->relay);
	KeWake		wake;

	if (due <= now)
		return;
	wake = ke_runtime_wait(ke_relay_fd(worker->relay),
						   ke_clock_left(now, due));
	if (wake == KE_WAKE_FD)
		ke_relay_drain_fd(worker->relay);

	/* The latch may have been set, too. */
	if (wake != KE_WAKE_TIMEOUT)
		ke_relay_wake(worker->relay);
}

/* What is under way is told to the next process, if brokers answer in time. */
static void
finish(Worker *worker)
{
	KeMoment	deadline = ke_clock_in(WIND_UP_MS);

	ke_runtime_activity("stopping");
	ke_slot_set_status(KE_STATUS_STOPPED);
	ke_relay_wind_up(worker->relay);
	work(worker);
	while (!ke_relay_is_quiet(worker->relay) &&
		   ke_clock_now() < deadline)
	{
		wait_for_work(worker);
		work(worker);
	}
	proc_exit(0);
}

void
ke_relay_process_main(Datum main_arg)
{
	Worker	   *worker = MemoryContextAllocZero(TopMemoryContext,
												sizeof(Worker));

	start(worker, main_arg);
	ke_slot_set_status(KE_STATUS_RUNNING);
	for (;;)
	{
		if (ke_runtime_should_stop())
			finish(worker);
		MemoryContextReset(worker->round);
		keep_house(worker, ke_clock_now());
		work(worker);
		ke_runtime_activity(ke_relay_is_idle(worker->relay) ?
							"waiting for messages to publish" :
							"publishing messages");
		wait_for_work(worker);
	}
}
