/*
 * manager.c
 *	  Runs the processes of one database, and answers for its clusters.
 *
 * A session of the bootstrap superuser in the database, which runs no user's
 * code.  Each round: read the catalogs if they changed (or after 10 seconds:
 * privileges and roles change without telling), decide per server what should
 * run, let one server's cluster be looked at, answer questions, sleep.  What
 * it finds out goes to shared memory; what it is told, it reads in catalogs.
 *
 * It ends, for good, when the database has no server of ours any more, and
 * with all its processes when it is asked to stop.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/http.h"
#include "cluster/registry.h"
#include "cluster/survey.h"
#include "core/clock.h"
#include "core/guc.h"
#include "outbox/outbox_read.h"
#include "session/attempt.h"
#include "session/session.h"
#include "session/xact.h"
#include "shm/circuit.h"
#include "shm/lag.h"
#include "shm/metrics.h"
#include "shm/reason.h"
#include "shm/role_demand.h"
#include "state/dlq_records.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"
#include "worker/manager.h"
#include "worker/requests.h"
#include "worker/runtime.h"
#include "worker/service.h"

#define READ_INTERVAL_MS 10000

/* The processes get that long to stop, SIGTERM repeated within it. */
#define STOP_TIMEOUT_MS 4500

typedef struct Manager
{
	MemoryContext context;		/* everything that lasts */
	MemoryContext config;		/* what was read, replaced as a whole */
	MemoryContext round;		/* reset in each round */
	KeWatchFacts facts;
	List	   *services;		/* of KeService */

	uint64		config_version; /* what was read */
	KeMoment	read_at;		/* 0: never */
	char	   *obstacle;		/* why nothing may run, in context; or NULL */
} Manager;

/* What one transaction reads. */
typedef struct Reading
{
	Manager    *manager;
	MemoryContext context;
	List	   *servers;		/* of KeServer */
	List	   *subscriptions;	/* of List of KeSubscription */
	List	   *patterns;		/* likewise */
	List	   *upkeep;			/* of Oid: servers with dead letters to look
								 * after */
	KeIdentityState identity;
	pg_uuid_t	uuid;
	bool		installed;		/* the extension is there */
	char	   *refusal;		/* but this library cannot serve it */
} Reading;

/* ----------------------------------------------------------- the catalogs */

/* Bring names in options up to date that a rename has left behind. */
static void
refresh_names(void *argument)
{
	ListCell   *lc;

	foreach(lc, ke_catalog_servers())
	{
		KeServer   *server = ke_catalog_server(lfirst_oid(lc));

		if (server != NULL)
			(void) ke_catalog_refresh(server);
	}
}

/* What that changes is read in the next round, as any change is. */
static void
update_names(void)
{
	KeFailure  *fail = ke_attempt_transaction(refresh_names, NULL, false);

	if (fail != NULL)
		ereport(LOG,
				(errmsg("could not bring subscriptions up to date: %s",
						ke_failure_describe(fail))));
}

static void
look_for_extension(void *argument)
{
	Reading    *reading = (Reading *) argument;

	ke_xact_begin_shared();
	reading->installed = OidIsValid(ke_extension());
	ke_xact_commit();
}

/*
 * What was needed before PostgreSQL was restarted still is.  A transaction
 * that was prepared then tells nobody when it is committed, so this is looked
 * at again and again.
 */
static void
find_needs(Oid server)
{
	if (!ke_role_demand_has(MyDatabaseId, server, KE_ROLE_RELAY) &&
		ke_outbox_tidy_has_pending(server))
		ke_role_demand_set(MyDatabaseId, server, KE_ROLE_RELAY);
}

/* In a transaction: are its dead letters to be looked after? */
static bool
needs_upkeep(const KeServer *server)
{
	KePositionKey key = {
		.cluster_id = ke_identity_cluster(server->options.service_name),
		.group_id = ke_catalog_admin_group(server)
	};

	return key.cluster_id != NULL && ke_dlq_records_due_topics(&key) != NIL;
}

static void
read_catalogs(void *argument)
{
	Reading    *reading = (Reading *) argument;
	MemoryContext old;
	ListCell   *lc;

	if (!reading->installed)
		return;
	if (!ke_xact_begin())
	{
		reading->refusal = MemoryContextStrdup(reading->context,
											   ke_xact_refusal());
		return;
	}
	reading->identity = ke_identity_read(&reading->uuid);
	old = MemoryContextSwitchTo(reading->context);
	foreach(lc, ke_catalog_servers())
	{
		KeServer   *server = ke_catalog_server(lfirst_oid(lc));

		if (server == NULL)
			continue;
		reading->servers = lappend(reading->servers, server);
		reading->subscriptions = lappend(reading->subscriptions,
										 ke_catalog_subscriptions(server));
		reading->patterns = lappend(reading->patterns,
									ke_catalog_patterns(server));
		find_needs(server->oid);
		if (needs_upkeep(server))
			reading->upkeep = lappend_oid(reading->upkeep, server->oid);
	}
	MemoryContextSwitchTo(old);
	ke_xact_commit();
}

static KeService *
find_service(Manager *manager, Oid server)
{
	ListCell   *lc;

	foreach(lc, manager->services)
	{
		KeService  *service = (KeService *) lfirst(lc);

		if (service->oid == server)
			return service;
	}
	return NULL;
}

static KeService *
get_service(Manager *manager, Oid server)
{
	KeService  *service = find_service(manager, server);
	MemoryContext old;

	if (service != NULL)
		return service;
	old = MemoryContextSwitchTo(manager->context);
	service = ke_service_make(server);
	manager->services = lappend(manager->services, service);
	MemoryContextSwitchTo(old);

	return service;
}

/* Views must not show what was known of what is not subscribed any more. */
static void
forget_subscriptions(const Reading *reading, Oid database)
{
	int			count;
	KeLagRow   *rows = ke_lag_rows(database, &count);
	List	   *known = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, list_concat_copy(reading->subscriptions, reading->patterns))
	{
		foreach(lc2, (List *) lfirst(lc))
			known = lappend_oid(known,
								((KeSubscription *) lfirst(lc2))->oid);
	}
	for (int i = 0; i < count; i++)
	{
		if (!list_member_oid(known, rows[i].subscription))
			ke_lag_forget(database, rows[i].subscription);
	}
	pfree(rows);
	ke_metrics_forget_others(database, known);
	ke_circuit_forget_others(database, known);
}

/* As another database, the groups may be somebody else's: look again first. */
static void
note_identity(Manager *manager, const Reading *reading)
{
	char		uuid[KE_UUID_LEN] = "";
	ListCell   *lc;

	if (reading->identity != KE_IDENTITY_NONE)
		ke_identity_format(&reading->uuid, uuid);
	if (manager->facts.identity == reading->identity &&
		strcmp(manager->facts.uuid, uuid) == 0)
		return;
	manager->facts.identity = reading->identity;
	strlcpy(manager->facts.uuid, uuid, KE_UUID_LEN);
	foreach(lc, manager->services)
	{
		KeService  *service = (KeService *) lfirst(lc);

		service->watch->next_look = service->watch->whole_due = 0;
		service->watch->looked = false;
		service->watch->owner[0] = '\0';
	}
}

/* What was read is what counts from now on. */
static void
adopt_reading(Manager *manager, const Reading *reading)
{
	MemoryContext former = manager->config;
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	manager->config = reading->context;
	note_identity(manager, reading);

	foreach(lc, manager->services)
	{
		KeService  *service = (KeService *) lfirst(lc);

		ke_service_configure(service, NULL, NIL);
		service->watch->patterns = NIL;
	}
	forthree(lc, reading->servers, lc2, reading->subscriptions,
			 lc3, reading->patterns)
	{
		KeServer   *server = (KeServer *) lfirst(lc);
		KeService  *service = get_service(manager, server->oid);

		ke_service_configure(service, server, (List *) lfirst(lc2));
		ke_survey_patterns_set(service->watch, (List *) lfirst(lc3));
		service->upkeep = list_member_oid(reading->upkeep, server->oid);
	}
	if (former != NULL)
		MemoryContextDelete(former);
}

/* Why nothing may run; NULL: it may.  One LOG line when that changes. */
static void
set_obstacle(Manager *manager, const char *obstacle)
{
	bool		same = obstacle == NULL ? manager->obstacle == NULL :
	(manager->obstacle != NULL && strcmp(obstacle, manager->obstacle) == 0);

	if (obstacle != NULL || !same)
		ke_reason_set(manager->facts.database, InvalidOid, obstacle);
	if (same)
		return;
	if (manager->obstacle != NULL)
		pfree(manager->obstacle);
	manager->obstacle = NULL;
	if (obstacle != NULL)
	{
		manager->obstacle = MemoryContextStrdup(manager->context, obstacle);
		ereport(LOG,
				(errmsg("cannot run servers of this database: %s", obstacle)));
	}
}

/*
 * Read everything again.  An extension whose version this library does not
 * know is an obstacle; an error may pass, and what was read before counts
 * until it does.
 */
static void
read_configuration(Manager *manager, KeMoment now)
{
	Reading		reading = {.manager = manager};
	bool		changed = manager->read_at == 0 ||
		manager->config_version != ke_slot_config_version();
	char	   *problem;

	manager->config_version = ke_slot_config_version();
	manager->read_at = now;
	reading.context = AllocSetContextCreate(manager->context,
											"kafka_events configuration",
											ALLOCSET_SMALL_SIZES);

	problem = ke_failure_describe(ke_attempt(look_for_extension, &reading));
	if (problem == NULL)
		problem = ke_failure_describe(ke_attempt(read_catalogs, &reading));

	if (problem == NULL && reading.refusal == NULL)
	{
		set_obstacle(manager, NULL);
		adopt_reading(manager, &reading);
		forget_subscriptions(&reading, manager->facts.database);
		if (changed && reading.installed)
			update_names();
		return;
	}
	if (problem == NULL || manager->config == NULL)
		set_obstacle(manager, problem == NULL ? reading.refusal : problem);
	else
		ereport(LOG,
				(errmsg("could not read the configuration: %s", problem)));
	MemoryContextDelete(reading.context);
}

/* ------------------------------------------------------------------ rounds */

/* Processes of a former manager, and what they were for. */
static void
adopt_orphans(Manager *manager)
{
	KeSlotReport *reports;
	int			count;

	reports = ke_roster_reports(manager->facts.database, &count);
	for (int i = 0; i < count; i++)
	{
		if (reports[i].who.role != KE_ROLE_MANAGER)
			ke_service_adopt(get_service(manager, reports[i].who.server),
							 &reports[i]);
	}
	pfree(reports);
}

static KeMoment
step_services(Manager *manager, KeMoment now)
{
	KeMoment	due = DT_NOEND;
	ListCell   *lc;

	manager->facts.orphans = false;
	foreach(lc, manager->services)
	{
		KeService  *service = (KeService *) lfirst(lc);

		due = ke_clock_earlier(due, ke_service_step(service, &manager->facts,
													manager->obstacle, now));
		manager->facts.orphans |= ke_service_has_orphans(service);
		if (ke_service_is_over(service))
		{
			manager->services = foreach_delete_current(manager->services, lc);
			ke_service_free(service);
		}
	}
	return due;
}

/*
 * Let the clusters of one server be looked at, if it is time.  A server
 * without subscriptions gets no connection before somebody asks.
 */
static KeMoment
look_at_clusters(Manager *manager, KeMoment now)
{
	KeMoment	due = DT_NOEND;
	KeService  *next = NULL;
	ListCell   *lc;

	foreach(lc, manager->services)
	{
		KeService  *service = (KeService *) lfirst(lc);

		if (service->server == NULL || manager->obstacle != NULL ||
			(service->subscriptions == NIL && service->watch->patterns == NIL))
			continue;
		if (next == NULL || service->watch->next_look < next->watch->next_look)
			next = service;
	}
	if (next != NULL && next->watch->next_look <= now)
	{
		bool		first = !next->watch->looked;

		ke_watch_look(next->watch, &manager->facts, next->server,
					  next->subscriptions, now);
		if (first)
			return now;			/* its consumers wait for that */
	}
	if (next != NULL)
		due = next->watch->next_look;
	return due;
}

/* Carry on what is asked of schema registries. */
static KeMoment
ask_registries(Manager *manager, KeMoment now)
{
	const KeHttpSocket *sockets;
	KeRuntimeSocket watched[KE_RUNTIME_SOCKETS];
	List	   *servers = NIL;
	uint64		version;
	KeMoment	due;
	int			count;
	ListCell   *lc;

	foreach(lc, manager->services)
	{
		const KeService *service = (KeService *) lfirst(lc);

		if (service->server != NULL)
			servers = lappend(servers, service->server);
	}
	due = ke_registry_step(servers, now);
	count = Min(ke_http_sockets(&sockets, &version), KE_RUNTIME_SOCKETS);
	for (int i = 0; i < count; i++)
	{
		watched[i].fd = sockets[i].fd;
		watched[i].readable = sockets[i].readable;
		watched[i].writable = sockets[i].writable;
	}
	ke_runtime_watch(watched, count, version);
	return due;
}

static bool
has_nothing_to_do(const Manager *manager)
{
	return manager->services == NIL && manager->obstacle == NULL;
}

/* One round; returns when something is due. */
static KeMoment
run_round(Manager *manager)
{
	KeMoment	now = ke_clock_now();
	KeMoment	due;

	if (manager->config_version != ke_slot_config_version() ||
		TimestampDifferenceExceeds(manager->read_at, now, READ_INTERVAL_MS))
		read_configuration(manager, now);

	due = step_services(manager, now);
	due = ke_clock_earlier(due, ke_requests_serve(manager->services, now));
	due = ke_clock_earlier(due, look_at_clusters(manager, now));
	return ke_clock_earlier(due, ask_registries(manager, now));
}

/* Take all processes along. */
static void
stop_services(Manager *manager)
{
	KeMoment	deadline = ke_clock_in(STOP_TIMEOUT_MS);
	bool		busy = true;

	while (busy && ke_clock_now() < deadline)
	{
		KeMoment	due = DT_NOEND;
		ListCell   *lc;

		busy = false;
		foreach(lc, manager->services)
		{
			KeService  *service = (KeService *) lfirst(lc);

			due = ke_clock_earlier(due, ke_service_stop(service,
														ke_clock_now()));
			busy |= ke_service_has_processes(service);
		}
		if (busy)
			ke_runtime_sleep_until(Min(due, deadline));
	}
}

static void
start(Manager *manager, Datum main_arg)
{
	const KeIdentityOfProcess *who = ke_runtime_attach(main_arg);

	ke_session_connect(who->database, InvalidOid, false);

	memset(manager, 0, sizeof(Manager));
	manager->context = AllocSetContextCreate(TopMemoryContext,
											 "kafka_events manager",
											 ALLOCSET_DEFAULT_SIZES);
	manager->round = AllocSetContextCreate(manager->context,
										   "kafka_events manager round",
										   ALLOCSET_DEFAULT_SIZES);
	manager->facts.database = who->database;
	if (!pg_strong_random(&manager->facts.incarnation,
						  sizeof(manager->facts.incarnation)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
	MemoryContextSwitchTo(manager->round);

	/* what a manager before this one has left */
	ke_reason_set(manager->facts.database, InvalidOid, NULL);
}

/* The servers that are managed, as far as there is room for names. */
static void
show_activity(const Manager *manager)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, manager->services)
	{
		const KeService *service = (KeService *) lfirst(lc);

		if (service->server != NULL)
			appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
							 service->server->name);
	}
	ke_runtime_activity("managing servers: %s",
						names.len > 0 ? names.data : "none");
}

void
ke_manager_main(Datum main_arg)
{
	Manager		manager;

	start(&manager, main_arg);
	adopt_orphans(&manager);
	read_configuration(&manager, ke_clock_now());

	while (!ke_runtime_should_stop())
	{
		KeMoment	due;

		if (has_nothing_to_do(&manager) &&
			ke_slot_set_done(manager.config_version))
			proc_exit(0);

		ke_slot_set_status(KE_STATUS_RUNNING);
		ke_slot_heartbeat();
		due = run_round(&manager);
		show_activity(&manager);
		MemoryContextReset(manager.round);
		if (!has_nothing_to_do(&manager))
			ke_runtime_sleep_until(due);
	}

	ke_runtime_activity("stopping");
	stop_services(&manager);
	proc_exit(0);
}
