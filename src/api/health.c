/*
 * health.c
 *	  kafka_health: does a server's cluster answer, and is all well with us?
 *
 * The cluster is asked through the manager.  Whatever comes of that is a row:
 * a broker that is dead is down, and not an error.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "api/fcinfo.h"
#include "api/monitor.h"
#include "api/row.h"
#include "api/subscription_ddl.h"
#include "api/subscription_state.h"
#include "api/visible.h"
#include "core/clock.h"
#include "core/format.h"
#include "core/guc.h"
#include "kafka/client.h"
#include "outbox/outbox_read.h"
#include "shm/circuit.h"
#include "shm/cluster_report.h"
#include "shm/ready.h"
#include "shm/request.h"

PG_FUNCTION_INFO_V1(kafka_health);

/* A last try gets that long, however many servers were asked before. */
#define MIN_TIMEOUT_MS 100

/* What was to be published by then is late. */
#define PUBLISHING_MS 60000

/* One server, as it is found. */
typedef struct Health
{
	KeServer   *server;
	List	   *subscriptions;	/* of KeSubscription */
	List	   *patterns;		/* likewise */
	bool		down;
	int			brokers;		/* -1: nobody answered */
	int64		latency_us;
	int			running;
	int			expected;
	int64		lag;
	StringInfoData problems;
} Health;

/* What all rows are made from, read once. */
typedef struct Observed
{
	KeLagRow   *partitions;
	int			npartitions;
	KeSlotReport *reports;
	int			nreports;
	KeMoment	deadline;
} Observed;

static void add_problem(Health *health, const char *fmt,...)
			pg_attribute_printf(2, 3);

static void
add_problem(Health *health, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	ke_format_add(&health->problems, fmt, args);
	va_end(args);
}

/* ------------------------------------------------------------ the cluster */

static void
note_answer(Health *health, const KeAnswer *answer)
{
	KeHealthReport *findings;
	ListCell   *lc;

	if (!answer->answered)
	{
		health->down = true;
		add_problem(health, "%s", answer->text);
		if (answer->hint != NULL)
			add_problem(health, "%s", answer->hint);
		return;
	}
	findings = ke_cluster_report_get_health(answer->payload);
	health->brokers = findings->brokers;
	health->latency_us = findings->latency_us;
	foreach(lc, findings->problems)
		add_problem(health, "%s", (char *) lfirst(lc));
}

static void
ask_cluster(Health *health, KeMoment deadline)
{
	KeQuestion	question = {
		.kind = KE_ASK_HEALTH,
		.server = health->server->oid
	};
	long		left = ke_clock_left(ke_clock_now(), deadline);
	const char *obstacle = ke_monitor_obstacle();

	if (obstacle == NULL)
		note_answer(health,
					ke_request_ask(&question, Max(left, MIN_TIMEOUT_MS)));
	else
	{
		health->down = true;
		add_problem(health, "%s", obstacle);
	}
}

/* --------------------------------------------------------------- processes */

/* No more consumers than partitions are started, where a library needs it. */
static int
count_expected(const Health *health, const Observed *observed, KeRole role)
{
	int			expected = ke_monitor_expected(health->server, role,
											   health->subscriptions != NIL);
	int			partitions = 0;

	if (role == KE_ROLE_RELAY || ke_client_takes_spare_members())
		return expected;
	for (int i = 0; i < observed->npartitions; i++)
		partitions += observed->partitions[i].server == health->server->oid &&
			observed->partitions[i].role == role &&
			observed->partitions[i].partition != KE_LAG_TOPIC;
	return Min(expected, Max(partitions, 1));
}

/* A process that joins its group again is at work, too. */
static bool
is_running(const KeSlotReport *report)
{
	return ke_monitor_is_serving(report) ||
		(report->phase == KE_PHASE_ATTACHED &&
		 report->status == KE_STATUS_REBALANCING);
}

/* What keeps one of the processes that do not run, or NULL. */
static const char *
find_trouble(const Health *health, const Observed *observed, KeRole role)
{
	for (int i = 0; i < observed->nreports; i++)
	{
		const KeSlotReport *report = &observed->reports[i];
		const char *trouble = NULL;

		if (report->who.server == health->server->oid &&
			report->who.role == role && !is_running(report))
			trouble = ke_monitor_process_trouble(health->server, role, report);
		if (trouble != NULL)
			return trouble;
	}
	return NULL;
}

static int
count_running(const Health *health, const Observed *observed, KeRole role)
{
	int			running = 0;

	for (int i = 0; i < observed->nreports; i++)
		running += observed->reports[i].who.server == health->server->oid &&
			observed->reports[i].who.role == role &&
			is_running(&observed->reports[i]);
	return running;
}

/* Processes of one role; what keeps them is a problem. */
static void
look_at_role(Health *health, const Observed *observed, KeRole role,
			 const char *what)
{
	int			running = count_running(health, observed, role);
	int			expected = count_expected(health, observed, role);
	const char *error;

	if (role != KE_ROLE_RELAY)
	{
		health->running += running;
		health->expected += expected;
	}
	if (running >= expected || health->down)
		return;					/* down: and the reason is known */
	error = find_trouble(health, observed, role);
	if (error == NULL)
	{
		error = ke_monitor_server_reason(health->server);
		if (error[0] == '\0')
			error = "starting";
	}
	add_problem(health, "%d of %d %s run: %s", running, expected, what, error);
}

static void
look_at_processes(Health *health, const Observed *observed)
{
	look_at_role(health, observed, KE_ROLE_MAIN, "main consumers");
	look_at_role(health, observed, KE_ROLE_RETRY, "retry consumers");
	look_at_role(health, observed, KE_ROLE_RELAY, "relays");
	health->down |= health->expected > 0 && health->running == 0;
}

/* What the manager, or a process that runs, has to say beside that. */
static void
look_at_server(Health *health)
{
	char	   *reason = ke_monitor_server_reason(health->server);

	if (!health->down && reason[0] != '\0' &&
		strstr(health->problems.data, reason) == NULL)
		add_problem(health, "%s", reason);
}

/* ----------------------------------------------------------- subscriptions */

static void
look_at_subscription(Health *health, const KeSubscription *sub)
{
	KeCircuitReport circuit;
	char	   *mismatch;

	if (sub->options.paused)
		return;
	if (sub->broken != NULL)
		add_problem(health, "topic \"%s\" is not consumed: %s", sub->topic,
					sub->broken);
	ke_circuit_look(MyDatabaseId, sub->oid, &circuit);
	switch (circuit.breaker.state)
	{
		case KE_BREAKER_CLOSED:
			break;
		case KE_BREAKER_OPEN:
		case KE_BREAKER_HALF_OPEN:
			add_problem(health, "the circuit breaker of topic \"%s\" is %s: %s",
						sub->topic,
						ke_breaker_state_name(circuit.breaker.state),
						circuit.failure);
			break;
		case KE_BREAKER_BROKEN:
		case KE_BREAKER_MENDING:
			add_problem(health, "topic \"%s\" is not consumed, as its messages cannot be processed: %s",
						sub->topic, circuit.failure);
			break;
	}
	mismatch = ke_subscription_state_mismatch(sub);
	if (mismatch != NULL)
		add_problem(health, "topic \"%s\": %s", sub->topic, mismatch);
}

/* One that can take no topic is a problem before there is any. */
static void
look_at_pattern(Health *health, const KeSubscription *pattern)
{
	if (!pattern->options.paused && pattern->broken != NULL &&
		pattern->members == 0)
		add_problem(health, "topics that match \"%s\" cannot be consumed: %s",
					pattern->topic, pattern->broken);
}

static const KeSubscription *
find_subscription(List *subscriptions, Oid oid)
{
	ListCell   *lc;

	foreach(lc, subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (sub->oid == oid)
			return sub;
	}
	return NULL;
}

static void
add_partition_problem(Health *health, const KeLagRow *row, int count,
					  const char *what)
{
	if (row != NULL)
		add_problem(health, "%d partitions %s: partition %d of topic \"%s\": %s",
					count, what, row->partition,
					find_subscription(health->subscriptions,
									  row->subscription)->topic,
					row->reason);
}

/* Of all partitions; one that nobody knows makes the sum unknown. */
static void
add_up_lag(Health *health, const Observed *observed)
{
	ListCell   *lc;

	health->lag = -1;
	foreach(lc, health->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		int64		lag = ke_monitor_lag_of(observed->partitions,
											observed->npartitions, sub->oid);

		if (lag < 0)
		{
			health->lag = -1;
			return;
		}
		health->lag = Max(health->lag, 0) + lag;
	}
}

/* What is wrong with partitions, and with whole topics. */
static void
look_at_partitions(Health *health, const Observed *observed)
{
	const KeLagRow *first_stopped = NULL;
	const KeLagRow *first_waiting = NULL;
	const KeLagRow *first_unowned = NULL;
	int			unowned = 0;
	int			stopped = 0;
	int			waiting = 0;

	for (int i = 0; i < observed->npartitions; i++)
	{
		const KeLagRow *row = &observed->partitions[i];

		if (find_subscription(health->subscriptions,
							  row->subscription) == NULL &&
			find_subscription(health->patterns, row->subscription) == NULL)
			continue;
		if (row->partition == KE_LAG_TOPIC)
			add_problem(health, "%s", row->reason);
		else if (row->status == KE_PARTITION_STOPPED && stopped++ == 0)
			first_stopped = row;
		else if (row->status == KE_PARTITION_RUNNING &&
				 row->reason[0] != '\0' && waiting++ == 0)
			first_waiting = row;
		else if (row->status == KE_PARTITION_UNASSIGNED &&
				 row->reason[0] != '\0' && unowned++ == 0)
			first_unowned = row;
	}
	add_partition_problem(health, first_stopped, stopped, "stopped");
	add_partition_problem(health, first_waiting, waiting, "wait");
	add_partition_problem(health, first_unowned, unowned,
						  "are not consumed here");
}

/* ------------------------------------------------------------------ outbox */

/* Unless the relay's process has said so. */
static void
add_publishing(Health *health, const char *problem)
{
	if (strstr(health->problems.data, problem) == NULL)
		add_problem(health, "%s", problem);
}

static void
look_at_outbox(Health *health)
{
	KeOutboxStatus status;

	ke_outbox_tidy_status(health->server->oid, &status);
	if (status.parked > 0)
		add_problem(health, "%lld messages that no broker takes are parked: see view kafka_outbox_parked",
					(long long) status.parked);
	if (status.last_error != NULL)
		add_publishing(health, psprintf("publishing: %s", status.last_error));
	else if (status.pending > 0 && status.oldest != 0 &&
			 TimestampDifferenceExceeds(status.oldest, GetCurrentTimestamp(),
										PUBLISHING_MS))
		add_problem(health, "%lld messages wait to be published, the first for %lld s: see view kafka_outbox_status, and whether their topics have min.insync.replicas in sync",
					(long long) status.pending,
					(long long) ((GetCurrentTimestamp() - status.oldest) /
								 USECS_PER_SEC));
}

/* --------------------------------------------------------------------- row */

static const char *
status_of(const Health *health)
{
	if (health->down)
		return "down";
	return health->problems.len > 0 ? "degraded" : "up";
}

static void
emit_server(FunctionCallInfo fcinfo, KeServer *server,
			const Observed *observed)
{
	Health		health = {.server = server,.brokers = -1};
	KeRow		row = {0};
	ListCell   *lc;

	initStringInfo(&health.problems);
	health.subscriptions = ke_catalog_subscriptions(server);
	health.patterns = ke_catalog_patterns(server);
	ask_cluster(&health, observed->deadline);
	look_at_processes(&health, observed);
	look_at_server(&health);
	foreach(lc, health.subscriptions)
		look_at_subscription(&health, (KeSubscription *) lfirst(lc));
	foreach(lc, health.patterns)
		look_at_pattern(&health, (KeSubscription *) lfirst(lc));
	look_at_partitions(&health, observed);
	add_up_lag(&health, observed);
	look_at_outbox(&health);

	ke_row_put_name(&row, server->name);
	ke_row_put_text(&row, status_of(&health));
	ke_row_put(&row, Int32GetDatum(health.brokers), health.brokers < 0);
	ke_row_put(&row, Float8GetDatum(health.latency_us / 1000.0),
			   health.brokers < 0);
	ke_row_put_int(&row, health.running);
	ke_row_put_int(&row, health.expected);
	ke_row_put_number(&row, health.lag);
	ke_row_put_text(&row, health.problems.data);
	ke_row_emit(&row, fcinfo);
}

Datum
kafka_health(PG_FUNCTION_ARGS)
{
	Observed	observed;
	ListCell   *lc;

	ke_ready_require();
	InitMaterializedSRF(fcinfo, 0);
	observed.deadline = ke_clock_in(ke_guc_request_timeout);
	observed.partitions = ke_monitor_partitions(&observed.npartitions);
	observed.reports = ke_roster_reports(MyDatabaseId, &observed.nreports);

	if (!PG_ARGISNULL(0))
	{
		emit_server(fcinfo,
					ke_visible_server_by_name(ke_fcinfo_name(fcinfo, 0)),
					&observed);
		return (Datum) 0;
	}
	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);

		emit_server(fcinfo, server, &observed);
	}
	return (Datum) 0;
}
