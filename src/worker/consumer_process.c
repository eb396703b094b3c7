/*
 * consumer_process.c
 *	  A consumer process: a member of its service's group, and a real session
 *	  of the server's owner.
 *
 * One thread, one loop: serve what the consumer's queue delivers, run the
 * batches that are ready, tell Kafka, sleep.  Everything that matters is in
 * consumer/; here is only the order of things, and how the process begins and
 * ends.  A change that an open connection cannot follow ends the process: its
 * manager starts another.
 */
#include "postgres.h"
#include "core/compat.h"

#include <unistd.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "consumer/breaker_recheck.h"
#include "consumer/engine.h"
#include "consumer/ordered.h"
#include "consumer/retry_due.h"
#include "consumer/retry_store.h"
#include "consumer/schema_wait.h"
#include "core/clock.h"
#include "session/session.h"
#include "worker/consumer_errors.h"
#include "worker/consumer_process.h"
#include "worker/runtime.h"

#define PUBLISH_INTERVAL_MS 1000
#define CLOSE_COMMIT_MS 1500
#define FENCED_RESTART_MS 60000

/* Unsubscribed, but no partition was taken from us: subscribe after this. */
#define RESUBSCRIBE_MS 3000

/* The manager stops a process that has nothing to go on with by then. */
#define GIVE_UP_MS 5000

/* What a rebalance event may have to wait for messages before it. */
#define REBALANCE_DELAY_MS 3000

/* Events served before batches get their turn. */
#define EVENTS_PER_ROUND 10000

typedef struct Consumer
{
	KeEngine	engine;
	const KeIdentityOfProcess *who;
	uint64		config_version; /* what was loaded */
	const char **topics;		/* what the group was told */
	int			ntopics;
	KeMoment	resubscribe_at;	/* unsubscribed; subscribe by then, or 0 */
	KeMoment	publish_at;
} Consumer;

static void finish(Consumer *consumer, bool in_user_code);

/* End now; the manager decides what comes next. */
static void
leave_with(const char *reason)
{
	ke_slot_set_error(reason);
	ereport(LOG,
			(errmsg("consumer ends: %s", reason)));
	proc_exit(1);
}

/*
 * Nothing to go on with.  As a rule the manager has seen the same, and is
 * about to stop this process; it knows whether to leave the group, too.
 */
static void
give_up(Consumer *consumer, const char *reason)
{
	KeMoment	deadline = ke_clock_in(GIVE_UP_MS);

	if (consumer->engine.consumer == NULL)
		leave_with(reason);
	ke_runtime_activity("waiting to be stopped: %s", reason);
	while (!ke_runtime_should_stop() && ke_clock_now() < deadline)
		(void) ke_runtime_wait(-1, GIVE_UP_MS);
	if (ke_runtime_should_stop())
		finish(consumer, false);
	leave_with(reason);
}

/* Read everything; ends the process if there is nothing to work for. */
static void
read_configuration(Consumer *consumer, KeConfiguration *loaded)
{
	KeEngine   *engine = &consumer->engine;
	KeFailure  *fail;

	consumer->config_version = ke_slot_config_version();
	if (!ke_configuration_read(engine, consumer->who->server, loaded, &fail))
		give_up(consumer, ke_failure_describe(fail));
	if (loaded->server == NULL)
		give_up(consumer, "its server was dropped");
	ke_runtime_serves(loaded->server->name);
	if (loaded->identity != KE_IDENTITY_OURS)
		give_up(consumer, "the identity of this database is not confirmed");
}

/* The topics of all subscriptions, as the group was told or is to be told. */
static bool
topics_changed(Consumer *consumer)
{
	KeEngine   *engine = &consumer->engine;
	int			i = 0;
	ListCell   *lc;

	if (consumer->ntopics != list_length(engine->stages))
		return true;
	foreach(lc, engine->stages)
	{
		const char *topic = ((KeStage *) lfirst(lc))->topic;

		for (i = 0; i < consumer->ntopics; i++)
			if (strcmp(consumer->topics[i], topic) == 0)
				break;
		if (i == consumer->ntopics)
			return true;
	}
	return false;
}

static void
subscribe(Consumer *consumer)
{
	KeEngine   *engine = &consumer->engine;
	MemoryContext old = MemoryContextSwitchTo(engine->context);
	ListCell   *lc;

	consumer->topics = repalloc(consumer->topics,
								(list_length(engine->stages) + 1) *
								sizeof(char *));
	consumer->ntopics = 0;
	foreach(lc, engine->stages)
		consumer->topics[consumer->ntopics++] =
			pstrdup(((KeStage *) lfirst(lc))->topic);
	MemoryContextSwitchTo(old);
	consumer->resubscribe_at = 0;
	if (consumer->ntopics > 0)
		ke_consumer_subscribe(engine->consumer, consumer->topics,
							  consumer->ntopics);
}

/*
 * A subscription that is changed in place can lose topics, so give everything
 * up first; what is left is done when the group has taken the partitions.
 */
static void
resubscribe(Consumer *consumer)
{
	int			i;

	ke_slot_set_status(KE_STATUS_REBALANCING);
	(void) ke_offset_commit_wait(&consumer->engine, CLOSE_COMMIT_MS);
	ke_consumer_unsubscribe(consumer->engine.consumer);
	for (i = 0; i < consumer->ntopics; i++)
		pfree(unconstify(char *, consumer->topics[i]));
	consumer->ntopics = 0;
	consumer->resubscribe_at = ke_clock_in(RESUBSCRIBE_MS);
}

/* Something in the configuration, or a position, was changed by somebody. */
static void
reload(Consumer *consumer)
{
	KeConfiguration loaded;

	read_configuration(consumer, &loaded);
	if (loaded.server->fingerprint != consumer->engine.server->fingerprint)
		give_up(consumer, "its server was altered");
	ke_configuration_adopt(&consumer->engine, &loaded);
	ke_breaker_recheck_reloaded(&consumer->engine);
	ke_rebalance_recheck(&consumer->engine);
	if (consumer->resubscribe_at == 0 && topics_changed(consumer))
		resubscribe(consumer);
}

/* Join the group, once the cluster is known to be the service's. */
static void
open_consumer(Consumer *consumer, KeConfiguration *loaded)
{
	KeEngine   *engine = &consumer->engine;
	const char *service = loaded->server->options.service_name;
	KeMembership member = {0};
	char	   *cluster_id;

	member.group_id = psprintf("%s-%s", service,
							   ke_slot_role_name(engine->role));
	member.instance_id = psprintf("%s-%s-%s-%d", engine->uuid,
								  loaded->server->name,
								  ke_slot_role_name(engine->role),
								  engine->ordinal);
	member.client_id = psprintf("%.20s-%s-%d", service,
								ke_slot_role_name(engine->role),
								engine->ordinal);
	engine->consumer = ke_consumer_open(&loaded->server->options,
										&loaded->server->mapping, &member);
	cluster_id = ke_consumer_errors_wait(engine, &loaded->server->options);
	if (loaded->cluster_id != NULL &&
		strcmp(cluster_id, loaded->cluster_id) != 0)
		leave_with(psprintf("the cluster is \"%s\", but service \"%s\" belongs to cluster \"%s\"",
							cluster_id, service, loaded->cluster_id));
	engine->key.group_id = MemoryContextStrdup(engine->context,
											   member.group_id);
	engine->key.cluster_id = MemoryContextStrdup(engine->context, cluster_id);
}

static void
start(Consumer *consumer, Datum main_arg)
{
	KeEngine   *engine = &consumer->engine;
	KeConfiguration loaded;

	consumer->who = ke_runtime_attach(main_arg);
	engine->context = AllocSetContextCreate(TopMemoryContext,
											"kafka_events consumer",
											ALLOCSET_DEFAULT_SIZES);
	engine->scratch = AllocSetContextCreate(engine->context,
											"kafka_events round",
											ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(engine->scratch);
	engine->database = consumer->who->database;
	engine->role = consumer->who->role;
	engine->ordinal = consumer->who->ordinal;
	engine->incarnation = consumer->who->incarnation;
	engine->should_stop = ke_runtime_should_stop;
	if (gethostname(engine->host, sizeof(engine->host) - 1) != 0)
		engine->host[0] = '\0';
	consumer->topics = MemoryContextAlloc(engine->context, sizeof(char *));
	ke_session_connect(consumer->who->database, consumer->who->owner, false);
	ke_client_check_library();
	read_configuration(consumer, &loaded);
	ke_identity_format(&loaded.uuid, engine->uuid);
	open_consumer(consumer, &loaded);
	ke_configuration_adopt(engine, &loaded);
	subscribe(consumer);
}

/*
 * End in good order.  If the end was not planned and user code was just
 * running, the rows are not released: a handler may have ended its own
 * process, and must not do so for ever.
 */
static void
finish(Consumer *consumer, bool in_user_code)
{
	bool		leave = false;
	bool		planned = ke_runtime_stop_is_planned(&leave);

	ke_slot_set_status(KE_STATUS_STOPPED);
	if (planned || !in_user_code)
	{
		(void) ke_offset_commit_wait(&consumer->engine, CLOSE_COMMIT_MS);
		ke_rebalance_release(&consumer->engine);
		ke_retry_due_release(&consumer->engine);
	}
	ke_runtime_forget_fd();
	ke_consumer_close(consumer->engine.consumer, planned && leave);
	if (planned && leave)
		ke_slot_leave_group();
	proc_exit(planned || !in_user_code ? 0 : 1);
}

/* One event that is no message. */
static void
handle_event(Consumer *consumer, KeConsumerEvent *event)
{
	KeEngine   *engine = &consumer->engine;

	switch (event->kind)
	{
		case KE_CONSUMER_NOTHING:
		case KE_CONSUMER_MESSAGE:
			break;
		case KE_CONSUMER_END:
			ke_receive_end(engine, &event->part);
			break;
		case KE_CONSUMER_ASSIGN:
			ke_consumer_errors_joined(true);
			ke_rebalance_assigned(engine, event->list);
			ke_slot_set_status(KE_STATUS_RUNNING);
			break;
		case KE_CONSUMER_REVOKE:
		case KE_CONSUMER_LOST:
			ke_consumer_errors_joined(false);
			if (event->kind == KE_CONSUMER_LOST)
				ke_rebalance_lost(engine, event->list);
			else
				ke_rebalance_revoked(engine, event->list);
			if (consumer->resubscribe_at != 0 && engine->nparts == 0)
				subscribe(consumer);
			break;
		case KE_CONSUMER_COMMITTED:
			ke_offset_commit_answered(engine, event->list);
			break;
		case KE_CONSUMER_PARTITION_ERROR:
			ke_receive_partition_error(engine, event);
			break;
		case KE_CONSUMER_ERROR:
			ke_consumer_errors_note(engine, event);
			break;
		case KE_CONSUMER_FENCED:
			ke_slot_set_status(KE_STATUS_FAILED);
			ke_slot_restart_after(FENCED_RESTART_MS);
			leave_with("another process has joined the group as this consumer: is a copy of this database running?");
			break;
		case KE_CONSUMER_FATAL:
			ke_slot_set_status(KE_STATUS_FAILED);
			leave_with(event->text);
			break;
		case KE_CONSUMER_LOG:
			ke_consumer_errors_log(event);
			break;
	}
}

static bool
may_run(const KeStage *stage, KeMoment now)
{
	return stage->count > 0 && stage->not_before <= now &&
		stage->room_at <= now;
}

/* Is it too long to let a rebalance event wait behind so many messages? */
static bool
takes_long(const KeStage *stage, int count)
{
	return stage->message_ms * count > REBALANCE_DELAY_MS;
}

/*
 * Serve the queue until it is empty, a batch is ready, or enough was done.
 * True: it is empty.  A rebalance event waits behind the messages that were
 * fetched before it, so those of a slow stage are moved out of its way.
 */
static bool
serve_queue(Consumer *consumer, KeMoment now)
{
	KeEngine   *engine = &consumer->engine;
	int			i;

	for (i = 0; i < EVENTS_PER_ROUND; i++)
	{
		KeConsumerEvent event;
		KeStage    *stage;

		if (!ke_consumer_poll(engine->consumer, 0, &event))
			return true;
		if (event.kind != KE_CONSUMER_MESSAGE)
		{
			handle_event(consumer, &event);
			continue;
		}
		stage = ke_receive_message(engine, &event.msg);
		if (stage == NULL)
			continue;
		if (ke_stage_is_full(stage))
			ke_partition_hold_back(engine, stage);
		if (ke_stage_is_ready(stage) && stage->not_before <= now &&
			!takes_long(stage, ke_consumer_poll_waiting(engine->consumer)))
			return false;
	}
	return false;
}

/*
 * Messages that wait in the stage: for a main consumer to process them, for
 * a retry consumer to park them until they are due.
 */
static KeBatchOutcome
run_stage(KeEngine *engine, KeStage *stage)
{
	if (takes_long(stage, stage->count))
		ke_partition_hold_back(engine, stage);
	return engine->role == KE_ROLE_RETRY ? ke_retry_store(engine, stage) :
		ke_batch_run(engine, stage);
}

static void
check_outcome(Consumer *consumer, KeBatchOutcome outcome)
{
	if (outcome == KE_BATCH_CANCELLED)
		finish(consumer, true);
	if (consumer->engine.extension_gone)
		give_up(consumer, "the extension was dropped or updated");
}

/* Who asks what this process is at, or waits for, is told. */
static void
announce(const char *what, const KeStage *stage, const char *topic)
{
	ke_runtime_activity("%s topic %s", what, topic);
	ke_slot_set_subject(stage->sub->oid);
}

/* Run every stage that has something; true if anything was done. */
static bool
run_stages(Consumer *consumer, KeMoment now)
{
	KeEngine   *engine = &consumer->engine;
	bool		worked = false;
	ListCell   *lc;

	foreach(lc, engine->stages)
	{
		KeStage    *stage = (KeStage *) lfirst(lc);

		if (engine->role == KE_ROLE_MAIN &&
			ke_ordered_at(engine, stage) <= now)
		{
			announce("retrying messages of", stage, stage->topic);
			check_outcome(consumer, ke_ordered_run(engine, stage));
			worked = true;
		}
		if (may_run(stage, now))
		{
			announce("processing", stage, stage->topic);
			check_outcome(consumer, run_stage(engine, stage));
			worked = true;
		}
		if (engine->role == KE_ROLE_RETRY && ke_retry_due_at(stage) <= now)
		{
			announce("retrying messages of", stage, stage->sub->topic);
			check_outcome(consumer, ke_retry_due_run(engine, stage));
			worked = true;
		}
	}
	if (worked)
		ke_slot_set_subject(InvalidOid);
	return worked;
}

/* Things that are done now and then. */
static void
keep_house(Consumer *consumer, KeMoment now)
{
	KeEngine   *engine = &consumer->engine;
	ListCell   *lc;

	if (ke_slot_config_version() != consumer->config_version)
		reload(consumer);
	if (ke_slot_take_rejoin() && consumer->resubscribe_at == 0)
		resubscribe(consumer);
	if (consumer->resubscribe_at != 0 && now >= consumer->resubscribe_at)
		subscribe(consumer);
	ke_fetch_trouble_step(engine, now);
	ke_schema_wait_step(engine, now);
	ke_partition_start_decide(engine, now);
	ke_partition_start_finish(engine, now, true);
	foreach(lc, engine->stages)
	{
		KeStage    *stage = (KeStage *) lfirst(lc);

		if (stage->count == 0)
			stage->halted = NULL;
		if (stage->crowded && stage->halted == NULL &&
			!ke_stage_is_ready(stage))
			ke_partition_let_go_on(engine, stage);
	}
	ke_retry_store_forget_copies(engine, now);
	ke_consumer_errors_expire();
	if (now >= consumer->publish_at)
	{
		ke_slot_heartbeat();
		if (engine->in_group_since != 0)
			ke_rebalance_stay(engine);
		ke_partition_publish(engine);
		consumer->publish_at =
			TimestampTzPlusMilliseconds(now, PUBLISH_INTERVAL_MS);
	}
}

static void
sooner(KeMoment *deadline, KeMoment at)
{
	if (at != 0 && at < *deadline)
		*deadline = at;
}

/* How long there is nothing to do but wait for the queue. */
static long
idle_ms(Consumer *consumer)
{
	KeEngine   *engine = &consumer->engine;
	KeMoment	now = ke_clock_now();
	KeMoment	deadline = consumer->publish_at;
	ListCell   *lc;
	int			i;

	sooner(&deadline, engine->commit_at);
	sooner(&deadline, engine->trial_at);
	sooner(&deadline, engine->schemas_at);
	sooner(&deadline, consumer->resubscribe_at);
	foreach(lc, engine->stages)
	{
		KeStage    *stage = (KeStage *) lfirst(lc);

		if (stage->count > 0)
			sooner(&deadline, Max(stage->not_before, stage->room_at));
		sooner(&deadline, engine->role == KE_ROLE_RETRY ?
			   ke_retry_due_at(stage) : ke_ordered_at(engine, stage));
	}
	for (i = 0; i < engine->nparts; i++)
		if (engine->parts[i]->status == KE_PARTITION_STARTING)
			sooner(&deadline, engine->parts[i]->start_at);
	return ke_clock_left(now, deadline);
}

void
ke_consumer_process_main(Datum main_arg)
{
	Consumer   *consumer = MemoryContextAllocZero(TopMemoryContext,
												  sizeof(Consumer));
	KeEngine   *engine = &consumer->engine;

	start(consumer, main_arg);
	for (;;)
	{
		KeMoment	now = ke_clock_now();
		bool		empty;
		bool		worked;

		if (ke_runtime_should_stop())
			finish(consumer, false);
		MemoryContextReset(engine->scratch);
		MemoryContextSwitchTo(engine->scratch);
		keep_house(consumer, now);
		empty = serve_queue(consumer, now);
		worked = run_stages(consumer, now);
		ke_batch_ends(engine);
		ke_offset_commit_send(engine, now);
		if (empty && !worked)
		{
			ke_runtime_activity("waiting for messages");
			if (ke_runtime_wait(ke_consumer_fd(engine->consumer),
								idle_ms(consumer)) == KE_WAKE_FD)
				ke_consumer_drain_fd(engine->consumer);
		}
	}
}
