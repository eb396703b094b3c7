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

#include "api/blocked_process.h"
#include "api/monitor.h"
#include "api/row.h"
#include "api/visible.h"
#include "core/clock.h"
#include "core/guc.h"
#include "shm/cluster_contact.h"
#include "shm/lag.h"
#include "shm/ready.h"
#include "shm/reason.h"
#include "shm/role_demand.h"
#include "shm/roster.h"
#include "state/identity.h"
#include "state/positions.h"
#include "subscription/catalog.h"

PG_FUNCTION_INFO_V1(kafka_consumer_health);
PG_FUNCTION_INFO_V1(kafka_consumer_lag);

/* A process that has not served its queue for so long is not healthy. */
#define HEALTHY_MS 60000

static char *
group_of(const KeServer *server, KeRole role)
{
	return psprintf("%s-%s", server->options.service_name,
					ke_slot_role_name(role));
}

char *
ke_monitor_consumer(const KeServer *server, KeRole role, int ordinal)
{
	if (ordinal < 0)
		return NULL;
	return psprintf("%s-%d", group_of(server, role), ordinal);
}

const char *
ke_monitor_obstacle(void)
{
	if (!ke_guc_enabled)
		return "kafka_events.enabled is off";
	if (RecoveryInProgress())
		return "this PostgreSQL server is a standby";
	if (!ke_roster_launcher_runs())
		return "the launcher of kafka_events does not run";
	return NULL;
}

char *
ke_monitor_server_reason(const KeServer *server)
{
	const char *obstacle = ke_monitor_obstacle();
	char	   *reason = palloc0(KE_REASON_LEN);

	if (obstacle != NULL)
		return pstrdup(obstacle);
	if (server->options.workers == 0)
		return "the server option workers is 0";
	ke_reason_get(MyDatabaseId, server->oid, reason, KE_REASON_LEN);
	return reason;
}

/* ------------------------------------------------------------------ health */

bool
ke_monitor_is_serving(const KeSlotReport *report)
{
	return report->phase == KE_PHASE_ATTACHED &&
		report->status == KE_STATUS_RUNNING &&
		!ke_clock_passed(report->heartbeat, ke_clock_now(), HEALTHY_MS);
}

/* Has the process's cluster been silent for so long, as far as is known? */
static bool
is_silent(const KeSlotReport *report, int ms)
{
	KeClusterContact contact;

	return ke_cluster_contact_get(report->who.database, report->who.server,
								  &contact) &&
		ke_cluster_contact_silent_us(&contact) >= ms * INT64CONST(1000);
}

bool
ke_monitor_is_healthy(const KeSlotReport *report)
{
	return ke_monitor_is_serving(report) && !is_silent(report, HEALTHY_MS);
}

const char *
ke_monitor_process_error(const KeServer *server, KeRole role,
						 const KeSlotReport *report)
{
	const char *error = report != NULL ? report->error : "";

	if ((report == NULL || report->phase != KE_PHASE_ATTACHED) &&
		error[0] == '\0')
		error = ke_monitor_server_reason(server);
	if (report == NULL && role != KE_ROLE_RELAY && error[0] == '\0')
		error = "no partition left for this worker";
	return error;
}

const char *
ke_monitor_process_trouble(const KeServer *server, KeRole role,
						   const KeSlotReport *report)
{
	const char *reason = ke_monitor_server_reason(server);
	const char *trouble = NULL;

	if (report != NULL && report->phase == KE_PHASE_ATTACHED &&
		reason[0] != '\0' && is_silent(report, KE_CLUSTER_CONTACT_FRESH_MS))
		return reason;
	if (report != NULL && report->phase == KE_PHASE_ATTACHED)
	{
		trouble = report->trouble[0] != '\0' ? report->trouble :
			ke_blocked_process_describe(report->pid);
		if (trouble != NULL || ke_monitor_is_healthy(report))
			return trouble;
	}
	else if (report != NULL && report->error_at >= report->started_at &&
			 report->error[0] != '\0')
		return report->error;	/* it ended with that */
	if (reason[0] != '\0')
		return reason;
	if (report == NULL && role != KE_ROLE_RELAY)
		return "no partition left for this worker";
	if (report != NULL && report->status == KE_STATUS_RUNNING &&
		!ke_monitor_is_serving(report))
		return "it has not served its queue for 60 s";
	return NULL;
}

/* One consumer; report NULL: it has no slot. */
static void
emit_consumer(FunctionCallInfo fcinfo, const KeServer *server, KeRole role,
			  int ordinal, const KeSlotReport *report)
{
	static const KeSlotReport none = {.status = KE_STATUS_STOPPED};
	const char *error = ke_monitor_process_error(server, role, report);
	const char *trouble = ke_monitor_process_trouble(server, role, report);
	KeRow		row = {0};

	if (report == NULL)
		report = &none;

	ke_row_put_name(&row, server->name);
	ke_row_put_text(&row, ke_monitor_consumer(server, role, ordinal));
	ke_row_put_text(&row, ke_slot_role_name(role));
	ke_row_put_text(&row, role == KE_ROLE_RELAY ? NULL :
					group_of(server, role));
	ke_row_put(&row, Int32GetDatum(report->pid),
			   report->phase != KE_PHASE_ATTACHED);
	ke_row_put_text(&row, ke_slot_status_name(report->status));
	ke_row_put_bool(&row, ke_monitor_is_healthy(report));
	ke_row_put_time(&row, ke_clock_to_wall(report->started_at));
	ke_row_put_time(&row, ke_clock_to_wall(report->heartbeat));
	ke_row_put_time(&row, ke_clock_to_wall(report->last_message_at));
	ke_row_put(&row, Int32GetDatum(report->assigned), role == KE_ROLE_RELAY);
	ke_row_put_number(&row, report->messages);
	ke_row_put_number(&row, report->restarts);
	ke_row_put_text(&row, error);
	ke_row_put_time(&row, ke_clock_to_wall(report->error_at));
	ke_row_put_text(&row, trouble);
	ke_row_emit(&row, fcinfo);
}

int
ke_monitor_expected(const KeServer *server, KeRole role, bool subscribed)
{
	if (role != KE_ROLE_MAIN &&
		!ke_role_demand_has(MyDatabaseId, server->oid, role))
		return 0;
	if (role == KE_ROLE_RELAY)
		return 1;
	if (!subscribed)
		return 0;
	return role == KE_ROLE_MAIN ? server->options.workers :
		server->options.retry_workers;
}

const KeSlotReport *
ke_monitor_find(const KeSlotReport *reports, int count, Oid server,
				KeRole role, int ordinal)
{
	for (int i = 0; i < count; i++)
	{
		if (reports[i].who.server == server &&
			reports[i].who.role == role &&
			reports[i].who.ordinal == ordinal)
			return &reports[i];
	}
	return NULL;
}

/* Those that should run, and those that are about to stop. */
static void
emit_consumers(FunctionCallInfo fcinfo, const KeServer *server, KeRole role,
			   int expected, const KeSlotReport *reports, int count)
{
	for (int i = 0; i < expected; i++)
		emit_consumer(fcinfo, server, role, i,
					  ke_monitor_find(reports, count, server->oid, role, i));

	for (int i = 0; i < count; i++)
	{
		const KeIdentityOfProcess *who = &reports[i].who;

		if (who->server == server->oid && who->role == role &&
			who->ordinal >= expected)
			emit_consumer(fcinfo, server, role, who->ordinal, &reports[i]);
	}
}

Datum
kafka_consumer_health(PG_FUNCTION_ARGS)
{
	static const KeRole roles[] = {
		KE_ROLE_MAIN, KE_ROLE_RETRY, KE_ROLE_RELAY
	};
	KeSlotReport *reports;
	int			count;
	ListCell   *lc;

	ke_ready_require();
	InitMaterializedSRF(fcinfo, 0);
	reports = ke_roster_reports(MyDatabaseId, &count);

	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);
		bool		subscribed;

		subscribed = ke_catalog_subscriptions(server) != NIL;
		for (int i = 0; i < lengthof(roles); i++)
			emit_consumers(fcinfo, server, roles[i],
						   ke_monitor_expected(server, roles[i], subscribed),
						   reports, count);
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

/* Was that a short while ago?  0: never. */
static bool
is_fresh(KeMoment at)
{
	return at != 0 &&
		!ke_clock_passed(at, ke_clock_now(), KE_CLUSTER_CONTACT_FRESH_MS);
}

/* The end as it is known, however old; -1: it is not. */
static int64
known_end(const KeLagRow *row)
{
	return Max(row->last_stable, row->asked_at != 0 ? row->asked_end : -1);
}

int64
ke_monitor_lag(const KeLagRow *row)
{
	int64		end = -1;

	if (is_fresh(row->asked_at))
		end = known_end(row);
	else if (is_fresh(row->heard_at))
		end = row->last_stable;
	if (row->position < 0 || end < 0)
		return -1;
	return Max(end - row->position, 0);
}

int64
ke_monitor_lag_of(const KeLagRow *rows, int count, Oid subscription)
{
	int64		sum = -1;

	for (int i = 0; i < count; i++)
	{
		int64		lag = ke_monitor_lag(&rows[i]);

		if (rows[i].subscription != subscription ||
			rows[i].partition == KE_LAG_TOPIC)
			continue;
		if (lag < 0)
			return -1;
		sum = Max(sum, 0) + lag;
	}
	return sum;
}

/* A paused partition is nobody's, so nobody has told where it stands. */
static bool
lacks_position(const KeLagRow *row)
{
	return row->position < 0 && row->status == KE_PARTITION_PAUSED &&
		row->partition != KE_LAG_TOPIC;
}

/* Where one stands that lacks it; there may be no position yet. */
static void
find_position(const KeServer *server, const KeSubscription *sub,
			  const char *cluster_id, KeLagRow *row)
{
	KePositionKey key = {cluster_id, group_of(server, row->role)};
	KePosition	pos = {
		.topic = row->role == KE_ROLE_MAIN ? sub->topic :
		psprintf("%s%s", sub->topic, server->options.retry_suffix),
		.partition = row->partition
	};

	if (ke_positions_read(&key, &pos))
		row->position = pos.next;
}

static void
find_positions(KeServer *server, KeLagRow *rows, int count)
{
	char	   *cluster_id =
		ke_identity_cluster(server->options.service_name);
	ListCell   *lc;

	if (cluster_id == NULL)
		return;
	foreach(lc, ke_catalog_subscriptions(server))
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);

		for (int i = 0; i < count; i++)
		{
			if (rows[i].subscription == sub->oid && lacks_position(&rows[i]))
				find_position(server, sub, cluster_id, &rows[i]);
		}
	}
}

/* An owner that waits for a lock says nothing: it is seen to wait. */
static void
add_lock_waits(KeLagRow *rows, int count)
{
	int			nreports;
	KeSlotReport *reports = ke_roster_reports(MyDatabaseId, &nreports);

	for (int r = 0; r < nreports; r++)
	{
		const KeIdentityOfProcess *who = &reports[r].who;
		char	   *wait = NULL;

		if (reports[r].phase == KE_PHASE_ATTACHED &&
			OidIsValid(reports[r].subject))
			wait = ke_blocked_process_describe(reports[r].pid);
		if (wait == NULL)
			continue;
		for (int i = 0; i < count; i++)
		{
			if (rows[i].subscription == reports[r].subject &&
				rows[i].role == who->role &&
				rows[i].ordinal == who->ordinal &&
				rows[i].status == KE_PARTITION_RUNNING &&
				rows[i].reason[0] == '\0')
				strlcpy(rows[i].reason, wait, KE_REASON_LEN);
		}
	}
	pfree(reports);
}

KeLagRow *
ke_monitor_partitions(int *count)
{
	KeLagRow   *rows = ke_lag_rows(MyDatabaseId, count);
	bool		complete = true;
	ListCell   *lc;

	add_lock_waits(rows, *count);
	for (int i = 0; i < *count; i++)
		complete &= !lacks_position(&rows[i]);
	if (complete)
		return rows;
	foreach(lc, ke_catalog_every_server())
		find_positions((KeServer *) lfirst(lc), rows, *count);
	return rows;
}

static void
emit_partition(FunctionCallInfo fcinfo, const KeServer *server,
			   const char *topic, const KeLagRow *lag)
{
	KeRow		row = {0};
	const char *reason = lag->reason;

	if (reason[0] == '\0' && lag->status == KE_PARTITION_UNASSIGNED)
		reason = ke_monitor_server_reason(server);

	ke_row_put_name(&row, server->name);
	ke_row_put_text(&row, ke_slot_role_name(lag->role));
	ke_row_put_text(&row, group_of(server, lag->role));
	ke_row_put_text(&row, topic);
	ke_row_put(&row, Int32GetDatum(lag->partition),
			   lag->partition == KE_LAG_TOPIC);
	ke_row_put_text(&row,
					ke_monitor_consumer(server, lag->role, lag->ordinal));
	ke_row_put_number(&row, lag->position);
	ke_row_put_number(&row, lag->committed);
	ke_row_put_number(&row, Max(lag->end, known_end(lag)));
	ke_row_put_number(&row, known_end(lag));
	ke_row_put_number(&row, ke_monitor_lag(lag));
	ke_row_put_text(&row, partition_status(lag->status));
	ke_row_put_text(&row, reason);
	ke_row_emit(&row, fcinfo);
}

Datum
kafka_consumer_lag(PG_FUNCTION_ARGS)
{
	KeLagRow   *rows;
	int			count;
	ListCell   *lc;
	ListCell   *lc2;

	ke_ready_require();
	InitMaterializedSRF(fcinfo, 0);
	rows = ke_monitor_partitions(&count);

	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);

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
