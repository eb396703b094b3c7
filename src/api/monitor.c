/*
 * monitor.c
 *	  What the processes and partitions of this database are doing.
 *
 * Nobody is asked: processes report to shared memory, and the catalogs say
 * which should be there.  A consumer that should run and does not has a row
 * too, with the reason in last_error.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/monitor.h"
#include "core/guc.h"
#include "db/catalog.h"
#include "shm/lag.h"
#include "shm/reason.h"
#include "shm/roster.h"
#include "shm/shmem.h"

PG_FUNCTION_INFO_V1(kafka_consumer_health);
PG_FUNCTION_INFO_V1(kafka_consumer_lag);

/* A process that has not served its queue for so long is not healthy. */
#define HEALTHY_MS 60000

#define HEALTH_COLUMNS 15
#define LAG_COLUMNS 13

/* A row being made. */
typedef struct Row
{
	Datum		values[HEALTH_COLUMNS];
	bool		nulls[HEALTH_COLUMNS];
	int			count;
} Row;

static void
put(Row *row, Datum value, bool isnull)
{
	row->values[row->count] = value;
	row->nulls[row->count] = isnull;
	row->count++;
}

static void
put_text(Row *row, const char *text)
{
	bool		isnull = text == NULL || text[0] == '\0';

	put(row, isnull ? (Datum) 0 : CStringGetTextDatum(text), isnull);
}

static void
put_name(Row *row, const char *name)
{
	put(row, DirectFunctionCall1(namein, CStringGetDatum(name)), false);
}

static void
put_time(Row *row, TimestampTz time)
{
	put(row, TimestampTzGetDatum(time), time == 0);
}

/* An offset or a number of messages; negative: not known. */
static void
put_number(Row *row, int64 number)
{
	put(row, Int64GetDatum(number), number < 0);
}

static void
emit(FunctionCallInfo fcinfo, Row *row)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == rsinfo->setDesc->natts);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row->values,
						 row->nulls);
}

static char *
group_of(const KeServer *server, KeRole role)
{
	return psprintf("%s-%s", server->options.service_name,
					ke_slot_role_name(role));
}

/* The name of one of the server's consumers; NULL for nobody. */
static char *
consumer_of(const KeServer *server, KeRole role, int ordinal)
{
	if (ordinal < 0)
		return NULL;
	return psprintf("%s-%d", group_of(server, role), ordinal);
}

char *
ke_monitor_server_reason(const KeServer *server)
{
	char	   *reason = palloc0(KE_REASON_LEN);

	if (!ke_guc_enabled)
		return "kafka_events.enabled is off";
	if (RecoveryInProgress())
		return "this PostgreSQL server is a standby";
	if (server->options.workers == 0)
		return "the server option workers is 0";
	ke_reason_get(MyDatabaseId, server->oid, reason, KE_REASON_LEN);
	if (reason[0] == '\0' && !ke_roster_launcher_runs())
		return "the launcher of kafka_events does not run";
	return reason;
}

/* ------------------------------------------------------------------ health */

static bool
is_healthy(const KeSlotReport *report)
{
	return report->phase == KE_PHASE_ATTACHED &&
		report->status == KE_STATUS_RUNNING &&
		!TimestampDifferenceExceeds(report->heartbeat,
									GetCurrentTimestamp(), HEALTHY_MS);
}

/* One consumer; report NULL: it has no slot. */
static void
emit_consumer(FunctionCallInfo fcinfo, const KeServer *server, KeRole role,
			  int ordinal, const KeSlotReport *report)
{
	static const KeSlotReport none = {.status = KE_STATUS_STOPPED};
	Row			row = {.count = 0};
	bool		runs;
	const char *error;

	if (report == NULL)
		report = &none;
	runs = report->phase == KE_PHASE_ATTACHED;
	error = report->error;
	if (!runs && error[0] == '\0')
		error = ke_monitor_server_reason(server);
	if (report == &none && error[0] == '\0')
		error = "no partition left for this worker";

	put_name(&row, server->name);
	put_text(&row, consumer_of(server, role, ordinal));
	put_text(&row, ke_slot_role_name(role));
	put_text(&row, group_of(server, role));
	put(&row, Int32GetDatum(report->pid), !runs);
	put_text(&row, ke_slot_status_name(report->status));
	put(&row, BoolGetDatum(is_healthy(report)), false);
	put_time(&row, report->started_at);
	put_time(&row, report->heartbeat);
	put_time(&row, report->last_message_at);
	put(&row, Int32GetDatum(report->assigned), false);
	put(&row, Int64GetDatum(report->messages), false);
	put(&row, Int64GetDatum(report->restarts), false);
	put_text(&row, error);
	put_time(&row, report->error_at);
	emit(fcinfo, &row);
}

static const KeSlotReport *
find_report(const KeSlotReport *reports, int count, Oid server, int ordinal)
{
	for (int i = 0; i < count; i++)
	{
		if (reports[i].who.server == server &&
			reports[i].who.role == KE_ROLE_MAIN &&
			reports[i].who.ordinal == ordinal)
			return &reports[i];
	}
	return NULL;
}

Datum
kafka_consumer_health(PG_FUNCTION_ARGS)
{
	KeSlotReport *reports;
	int			count;
	ListCell   *lc;

	ke_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	reports = ke_roster_reports(MyDatabaseId, &count);

	foreach(lc, ke_catalog_servers())
	{
		KeServer   *server = ke_catalog_server(lfirst_oid(lc));
		int			expected = 0;

		if (server == NULL)
			continue;
		if (ke_catalog_subscriptions(server) != NIL)
			expected = server->options.workers;
		for (int i = 0; i < expected; i++)
			emit_consumer(fcinfo, server, KE_ROLE_MAIN, i,
						  find_report(reports, count, server->oid, i));

		/* Those that are about to stop, too. */
		for (int i = 0; i < count; i++)
		{
			const KeIdentityOfProcess *who = &reports[i].who;

			if (who->server == server->oid &&
				(who->role != KE_ROLE_MAIN || who->ordinal >= expected))
				emit_consumer(fcinfo, server, who->role, who->ordinal,
							  &reports[i]);
		}
	}
	return (Datum) 0;
}

/* --------------------------------------------------------------------- lag */

static const char *
partition_status(KePartitionStatus status)
{
	switch (status)
	{
		case KE_PARTITION_STARTING:
			return "starting";
		case KE_PARTITION_RUNNING:
			return "running";
		case KE_PARTITION_PAUSED:
			return "paused";
		case KE_PARTITION_STOPPED:
			return "stopped";
		case KE_PARTITION_UNASSIGNED:
			return "unassigned";
	}
	pg_unreachable();
}

static int64
lag_of(const KeLagRow *lag)
{
	if (lag->position < 0 || lag->last_stable < 0)
		return -1;
	return Max(lag->last_stable - lag->position, 0);
}

static void
emit_partition(FunctionCallInfo fcinfo, const KeServer *server,
			   const char *topic, const KeLagRow *lag)
{
	Row			row = {.count = 0};
	const char *reason = lag->reason;

	if (reason[0] == '\0' && lag->status == KE_PARTITION_UNASSIGNED)
		reason = ke_monitor_server_reason(server);

	put_name(&row, server->name);
	put_text(&row, ke_slot_role_name(lag->role));
	put_text(&row, group_of(server, lag->role));
	put_text(&row, topic);
	put(&row, Int32GetDatum(lag->partition), lag->partition == KE_LAG_TOPIC);
	put_text(&row, consumer_of(server, lag->role, lag->ordinal));
	put_number(&row, lag->position);
	put_number(&row, lag->committed);
	put_number(&row, lag->end);
	put_number(&row, lag->last_stable);
	put_number(&row, lag_of(lag));
	put_text(&row, partition_status(lag->status));
	put_text(&row, reason);
	emit(fcinfo, &row);
}

Datum
kafka_consumer_lag(PG_FUNCTION_ARGS)
{
	KeLagRow   *rows;
	int			count;
	ListCell   *lc;
	ListCell   *lc2;

	ke_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	rows = ke_lag_rows(MyDatabaseId, &count);

	foreach(lc, ke_catalog_servers())
	{
		KeServer   *server = ke_catalog_server(lfirst_oid(lc));

		if (server == NULL)
			continue;
		foreach(lc2, ke_catalog_subscriptions(server))
		{
			KeSubscription *sub = (KeSubscription *) lfirst(lc2);

			for (int i = 0; i < count; i++)
			{
				if (rows[i].subscription == sub->oid)
					emit_partition(fcinfo, server, sub->topic, &rows[i]);
			}
		}
	}
	return (Datum) 0;
}
