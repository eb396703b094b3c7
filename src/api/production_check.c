/*
 * production_check.c
 *	  kafka_production_check: would this survive production?
 *
 * Each check is a row that says what it found, or one row for each thing that
 * is not good enough, with what to type about it.  Whatever keeps a check
 * from being made makes it fail.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/logicallauncher.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "api/check_row.h"
#include "api/fcinfo.h"
#include "api/monitor.h"
#include "api/production_check.h"
#include "api/row.h"
#include "api/subscription_ddl.h"
#include "api/visible.h"
#include "core/clock.h"
#include "core/format.h"
#include "core/guc.h"
#include "kafka/client.h"
#include "session/xact.h"
#include "shm/metrics.h"
#include "shm/ready.h"
#include "shm/task.h"
#include "subscription/extension.h"

PG_FUNCTION_INFO_V1(kafka_production_check);

/* A lag that is gone after that long is under control. */
#define CATCH_UP_S 60

/* ---------------------------------------------------------------- server */

static void
check_service_name(KeProductionCheck *inspection)
{
	const KeServer *server = inspection->server;
	const char *name = server->options.service_name;
	KeCheckRow	check;

	ke_check_row_begin(&check, "service_name");
	if (ke_options_server_is_stock_name(name))
		ke_check_row_fail(&check,
						  psprintf("Name it after what it does, when nothing is subscribed: %s",
								   ke_check_row_alter(server,
													  "service_name",
													  "order-service")),
						  "\"%s\" is a stock name: another service may use the same consumer groups",
						  name);
	ke_check_row_emit(inspection, &check,
					  psprintf("\"%s\", the same after every start",
							   name));
}

static void
check_tls(KeProductionCheck *inspection)
{
	const KeServer *server = inspection->server;
	const char *protocol = server->options.security_protocol;
	bool		sasl = strncmp(protocol, "sasl", 4) == 0;
	KeCheckRow	check;

	ke_check_row_begin(&check, "tls");
	if (strstr(protocol, "ssl") == NULL)
		ke_check_row_fail(&check,
						  psprintf("With a TLS listener's address in bootstrap_servers: %s",
								   ke_check_row_alter(server,
													  "security_protocol",
													  sasl ? "sasl_ssl" : "ssl")),
						  "security_protocol is %s: messages%s travel in the clear",
						  protocol, sasl ? " and passwords" : "");
	ke_check_row_emit(inspection, &check,
					  psprintf("security_protocol is %s",
							   protocol));
}

/* The library that is loaded here; workers load the same. */
static void
check_library(KeProductionCheck *inspection)
{
	const KeServerOptions *options = &inspection->server->options;
	KeCheckRow	check;

	ke_check_row_begin(&check, "librdkafka");
	if (strncmp(options->security_protocol, "sasl", 4) == 0 &&
		!ke_client_can_log_in(options->sasl_mechanism))
		ke_check_row_fail(&check,
						  "Install librdkafka 2.6.1 or later and restart PostgreSQL, or use another sasl_mechanism.",
						  "librdkafka %s cannot log in to Kafka 4 or later with %s",
						  ke_client_library_name(), options->sasl_mechanism);
	ke_check_row_emit(inspection, &check,
					  psprintf("librdkafka %s", ke_client_library_name()));
}

/* What belongs together; Kafka does not tell its version to clients. */
static void
check_versions(KeProductionCheck *inspection)
{
	char	   *version = ke_extension_version();
	KeCheckRow	check;

	ke_check_row_begin(&check, "versions");
	if (!ke_extension_is_served(version))
		ke_check_row_fail(&check,
						  psprintf("Install kafka_events %s or later and restart PostgreSQL.",
								   version),
						  "the extension has version %s, and the library that is loaded serves %s: nothing is consumed",
						  version != NULL ? version : "(none)",
						  ke_extension_served());
	else if (strcmp(version, KE_EXTENSION_VERSION) != 0)
		ke_check_row_fail(&check, "ALTER EXTENSION kafka_events UPDATE;",
						  "the extension has version %s, and the library that is loaded is %s: what came since is missing",
						  version, KE_EXTENSION_VERSION);
	ke_check_row_emit(inspection, &check,
					  psprintf("kafka_events %s, PostgreSQL %s, librdkafka %s",
							   version, GetConfigOption("server_version", false,
														false),
							   ke_client_library_name()));
}

/* Processes of all servers here, were all of them needed at once. */
static int
count_own_processes(void)
{
	int			count = 1;		/* the manager */
	ListCell   *lc;

	foreach(lc, ke_catalog_every_server())
	{
		const KeServer *server = (KeServer *) lfirst(lc);

		count += server->options.workers + server->options.retry_workers +
			1 + KE_TASK_KINDS;	/* the relay */
	}
	return count;
}

/* What other databases have now. */
static int
count_foreign_processes(void)
{
	int			nreports;
	KeSlotReport *reports = ke_roster_reports(InvalidOid, &nreports);
	int			count = 0;

	for (int i = 0; i < nreports; i++)
		count += reports[i].who.role != KE_ROLE_LAUNCHER &&
			reports[i].who.database != MyDatabaseId;
	return count;
}

static void
check_processes(KeProductionCheck *inspection)
{
	int			slots = count_own_processes() + count_foreign_processes();
	int			wanted = slots + 1; /* the launcher */
	int			others = max_logical_replication_workers > 0 ? 1 : 0;
	KeCheckRow	check;

	ke_check_row_begin(&check, "max_worker_processes");
	if (wanted + others > max_worker_processes)
		ke_check_row_fail(&check,
						  psprintf("ALTER SYSTEM SET max_worker_processes = %d; and restart PostgreSQL.",
								   wanted + others),
						  "%d are set; kafka_events may need %d, and %d belong to PostgreSQL itself",
						  max_worker_processes, wanted, others);
	if (slots > ke_guc_max_workers)
		ke_check_row_fail(&check,
						  psprintf("ALTER SYSTEM SET kafka_events.max_workers = %d; and restart PostgreSQL.",
								   slots),
						  "kafka_events.max_workers is %d, and %d processes may be needed",
						  ke_guc_max_workers, slots);
	ke_check_row_emit(inspection, &check,
					  psprintf("%d are set; kafka_events may need %d, which leaves %d",
							   max_worker_processes, wanted,
							   max_worker_processes - wanted));
}

/* ------------------------------------------------------------------- lag */

/* What one subscription has still to process. */
typedef struct Backlog
{
	int64		messages;
	int64		standing;		/* of these, in partitions that do not run */
	int			unknown;		/* partitions whose lag nobody knows */
	int			known;			/* the others */
} Backlog;

static void
measure_backlog(const KeSubscription *sub, const KeLagRow *rows, int nrows,
				Backlog *backlog)
{
	memset(backlog, 0, sizeof(Backlog));
	for (int i = 0; i < nrows; i++)
	{
		const KeLagRow *row = &rows[i];
		int64		lag = ke_monitor_lag(row);

		if (row->subscription != sub->oid || row->partition == KE_LAG_TOPIC)
			continue;
		if (lag < 0)
			backlog->unknown++;
		else
		{
			backlog->known++;
			backlog->messages += lag;
		}
		if (lag > 0 && row->status != KE_PARTITION_RUNNING &&
			row->status != KE_PARTITION_STARTING)
			backlog->standing += lag;
	}
}

/* At the speed since PostgreSQL started; -1: nothing was processed since. */
static int64
seconds_for(const KeServer *server, const KeSubscription *sub,
			int64 messages)
{
	KeMetrics	metrics;
	const KeMetricsCounters *counters = &metrics.counters;

	if (!ke_metrics_read(MyDatabaseId, sub->oid, &metrics) ||
		counters->received == 0)
		return -1;
	return (int64) ((double) messages * counters->processing_us /
					counters->received / USECS_PER_SEC /
					Max(server->options.workers, 1));
}

static void
judge_backlog(KeProductionCheck *inspection, const KeSubscription *sub,
			  const Backlog *backlog, KeCheckRow *check)
{
	const KeServer *server = inspection->server;
	const char *where = "SELECT * FROM kafka_consumer_lag ORDER BY lag_messages DESC NULLS LAST;";
	int64		seconds = seconds_for(server, sub, backlog->messages);
	char	   *twice = psprintf("%d", Max(server->options.workers, 1) * 2);

	if (sub->options.paused)
	{
		ke_check_row_fail(check,
						  psprintf("SELECT kafka_consumer_resume(%s, %s);",
								   quote_literal_cstr(sub->topic),
								   quote_literal_cstr(server->name)),
						  "topic \"%s\" is paused", sub->topic);
		return;
	}
	if (backlog->unknown > 0)
		ke_check_row_fail(check, where,
						  "topic \"%s\": the lag of %d partitions is not known",
						  sub->topic, backlog->unknown);
	else if (backlog->known == 0)
		ke_check_row_fail(check, where, "topic \"%s\": the lag is not known",
						  sub->topic);
	if (backlog->standing > 0)
		ke_check_row_fail(check, where,
						  "topic \"%s\": " INT64_FORMAT " messages wait in partitions that are not consumed",
						  sub->topic, backlog->standing);
	else if (backlog->messages <= sub->options.batch_size)
		return;
	else if (seconds < 0)
		ke_check_row_fail(check, where,
						  "topic \"%s\": " INT64_FORMAT " messages behind, and none was processed yet",
						  sub->topic, backlog->messages);
	else if (seconds > CATCH_UP_S)
		ke_check_row_fail(check,
						  ke_check_row_alter(server,
											 "workers",
											 twice),
						  "topic \"%s\": " INT64_FORMAT " messages behind, which take about " INT64_FORMAT " s",
						  sub->topic, backlog->messages, seconds);
}

static void
check_lag(KeProductionCheck *inspection)
{
	int			nrows;
	KeLagRow   *rows = ke_lag_rows(MyDatabaseId, &nrows);
	int64		total = 0;
	KeCheckRow	check;
	ListCell   *lc;

	ke_check_row_begin(&check, "lag");
	foreach(lc, inspection->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);
		Backlog		backlog;

		measure_backlog(sub, rows, nrows, &backlog);
		judge_backlog(inspection, sub, &backlog, &check);
		total += backlog.messages;
	}
	ke_check_row_emit(inspection, &check,
					  psprintf(INT64_FORMAT " messages behind",
							   total));
}

/* ---------------------------------------------------------------- fields */

static void
check_fields(KeProductionCheck *inspection)
{
	KeCheckRow	check;
	ListCell   *lc;

	ke_check_row_begin(&check, "fields");
	foreach(lc, inspection->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);
		KeMetrics	metrics;

		if (ke_metrics_read(MyDatabaseId, sub->oid, &metrics) &&
			metrics.counters.unmatched > 0)
			ke_check_row_fail(&check,
							  "A field goes where its name is, letter by letter: say otherwise with field_names or column_map, or let a handler take the messages apart.",
							  "topic \"%s\": " INT64_FORMAT " of " INT64_FORMAT " messages had none of the fields that are taken, the last one: %s",
							  sub->topic, metrics.counters.unmatched,
							  metrics.counters.succeeded, metrics.fields);
	}
	ke_check_row_emit(inspection, &check,
					  "every message had a field that is taken");
}

/* Where rows of one key may come in several partitions, or overtake. */
static void
check_row_keys(KeProductionCheck *inspection)
{
	KeCheckRow	check;
	ListCell   *lc;

	ke_check_row_begin(&check, "row_keys");
	foreach(lc, inspection->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);
		KeMetrics	metrics;

		if (sub->options.on_conflict == KE_CONFLICT_UPDATE &&
			ke_metrics_read(MyDatabaseId, sub->oid, &metrics) &&
			metrics.keys_differ)
			ke_check_row_fail(&check,
							  "Have producers write the rows' primary key as message key.",
							  "topic \"%s\": message keys are not the rows' primary keys, so messages of one row may be in several partitions, in no order, and a whole partition waits for each retry",
							  sub->topic);
	}
	ke_check_row_emit(inspection, &check,
					  "message keys say which rows are updated, as far as was looked");
}

/* ------------------------------------------------------------- consumers */

static int
check_role(KeProductionCheck *inspection, KeRole role,
		   const KeSlotReport *reports,
		   int nreports, KeCheckRow *check)
{
	const KeServer *server = inspection->server;
	bool		subscribed = inspection->subscriptions != NIL;
	int			expected = ke_monitor_expected(server, role, subscribed);

	for (int i = 0; i < expected; i++)
	{
		const KeSlotReport *report = ke_monitor_find(reports, nreports,
													 server->oid, role, i);
		const char *error;

		if (report != NULL && ke_monitor_is_healthy(report))
			continue;
		error = ke_monitor_process_trouble(server, role, report);
		if (error == NULL)
			error = report != NULL ? ke_slot_status_name(report->status) :
				"starting";
		ke_check_row_fail(check,
						  "SELECT * FROM kafka_consumer_health;",
						  "%s: %s",
						  ke_monitor_consumer(server, role, i),
						  error);
	}
	return expected;
}

static void
check_consumers(KeProductionCheck *inspection)
{
	const KeServer *server = inspection->server;
	int			nreports;
	KeSlotReport *reports = ke_roster_reports(MyDatabaseId, &nreports);
	int			expected;
	KeCheckRow	check;

	ke_check_row_begin(&check, "consumers");
	if (server->options.workers == 0)
		ke_check_row_fail(&check,
						  ke_check_row_alter(server,
											 "workers",
											 "1"),
						  "the server option workers is 0: nothing is consumed");
	expected =
		check_role(inspection, KE_ROLE_MAIN, reports, nreports, &check) +
		check_role(inspection, KE_ROLE_RETRY, reports, nreports, &check) +
		check_role(inspection, KE_ROLE_RELAY, reports, nreports, &check);
	ke_check_row_emit(inspection, &check,
					  psprintf("%d of %d processes are healthy",
							   expected,
							   expected));
}

/* -------------------------------------------------------------- function */

static void
inspect(KeProductionCheck *inspection, KeServer *server)
{
	inspection->server = server;
	inspection->subscriptions = ke_catalog_subscriptions(server);
	inspection->silence = NULL;
	check_service_name(inspection);
	check_tls(inspection);
	check_library(inspection);
	check_versions(inspection);
	ke_production_check_topics(inspection);
	ke_production_check_fitness(inspection);
	check_processes(inspection);
	check_lag(inspection);
	check_fields(inspection);
	check_row_keys(inspection);
	check_consumers(inspection);
}

/* There is nothing to look at, which is no good either. */
static void
miss_server(KeProductionCheck *inspection)
{
	bool		hidden = ke_catalog_servers() != NIL;
	KeCheckRow	check;

	ke_check_row_begin(&check, "service_name");
	if (hidden)
		ke_check_row_fail(&check,
						  "Ask as a member of the server's owner or of pg_monitor.",
						  "this database has no server of kafka_events that you may look at");
	else
		ke_check_row_fail(&check,
						  "CREATE SERVER shop FOREIGN DATA WRAPPER kafka_events OPTIONS (bootstrap_servers 'host1:9092,host2:9092', service_name 'order-service');",
						  "this database has no server of kafka_events");
	ke_check_row_emit(inspection, &check, NULL);
}

Datum
kafka_production_check(PG_FUNCTION_ARGS)
{
	KeProductionCheck inspection = {.fcinfo = fcinfo};
	List	   *servers;
	ListCell   *lc;

	ke_ready_require();
	ke_extension_lock();
	if (PG_ARGISNULL(0))
		servers = ke_visible_servers();
	else
		servers =
			list_make1(ke_visible_server_by_name(ke_fcinfo_name(fcinfo, 0)));
	InitMaterializedSRF(fcinfo, 0);
	inspection.several = list_length(servers) > 1;
	inspection.deadline = ke_clock_in(ke_guc_request_timeout);
	if (servers == NIL)
		miss_server(&inspection);
	foreach(lc, servers)
		inspect(&inspection, (KeServer *) lfirst(lc));
	return (Datum) 0;
}
