/*
 * subscriptions_view.c
 *	  The rows of view kafka_subscriptions.
 *
 * Read from the catalogs and shared memory; no process is asked.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/regproc.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "api/monitor.h"
#include "api/visible.h"
#include "shm/circuit.h"
#include "shm/lag.h"
#include "shm/ready.h"
#include "state/identity.h"
#include "subscription/catalog.h"

PG_FUNCTION_INFO_V1(kafka_subscriptions);

#define COLUMNS 24

/* What shared memory has to say, read once for all rows. */
typedef struct Observed
{
	bool		preloaded;
	KeIdentityState identity;
	KeLagRow   *partitions;
	int			npartitions;
} Observed;

static Observed
observe(void)
{
	Observed	observed = {.preloaded = ke_ready()};
	pg_uuid_t	uuid;

	observed.identity = ke_identity_read(&uuid);
	if (observed.preloaded)
		observed.partitions = ke_lag_rows(MyDatabaseId,
										  &observed.npartitions);
	return observed;
}

/* What keeps all of a server's consumers from running, or NULL. */
static char *
server_reason(KeServer *server, const Observed *observed)
{
	char	   *reason;

	if (!observed->preloaded)
		return "kafka_events is not in shared_preload_libraries";
	switch (observed->identity)
	{
		case KE_IDENTITY_OURS:
			break;
		case KE_IDENTITY_NONE:
			return "the identity of this database is not confirmed: call kafka_identity_confirm";
		case KE_IDENTITY_FOREIGN:
			return "this database is a copy, and its identity is not confirmed: call kafka_identity_confirm";
	}
	reason = ke_monitor_server_reason(server);
	return reason[0] != '\0' ? reason : NULL;
}

/*
 * Why partitions of the subscription stopped, or NULL if none did.  A topic
 * that is missing does not count: it needs nobody here to do anything.
 */
static char *
stopped_reason(KeSubscription *sub, const Observed *observed)
{
	const KeLagRow *first = NULL;
	int			stopped = 0;
	int			i;

	for (i = 0; i < observed->npartitions; i++)
	{
		const KeLagRow *row = &observed->partitions[i];

		if (row->subscription != sub->oid ||
			row->partition == KE_LAG_TOPIC ||
			row->status != KE_PARTITION_STOPPED)
			continue;
		stopped++;
		if (first == NULL || row->partition < first->partition)
			first = row;
	}
	if (first == NULL)
		return NULL;
	if (stopped == 1)
		return psprintf("partition %d stopped: %s", first->partition,
						first->reason);
	return psprintf("%d partitions stopped, partition %d: %s", stopped,
					first->partition, first->reason);
}

/* What else there is to say about its partitions, or NULL. */
static char *
partition_reason(KeSubscription *sub, const Observed *observed)
{
	int			i;

	for (i = 0; i < observed->npartitions; i++)
	{
		const KeLagRow *row = &observed->partitions[i];

		if (row->subscription != sub->oid || row->reason[0] == '\0')
			continue;
		if (row->partition == KE_LAG_TOPIC)
			return pstrdup(row->reason);
		return psprintf("partition %d: %s", row->partition, row->reason);
	}
	return NULL;
}

static char *
last_failure(const KeCircuitReport *report)
{
	return psprintf("the last one at offset " INT64_FORMAT " of partition %d: %s",
					report->breaker.last.offset,
					report->breaker.last.partition, report->failure);
}

/*
 * Once tries have failed, the same messages may be all that is ever tried,
 * and then it is the user who has to decide.
 */
static char *
open_reason(const KeCircuitReport *report)
{
	const KeBreaker *breaker = &report->breaker;
	StringInfoData reason;

	initStringInfo(&reason);
	appendStringInfo(&reason,
					 "the circuit breaker is %s after %d failures in a row",
					 ke_breaker_state_name(breaker->state),
					 breaker->failures);
	if (breaker->tries > 0)
		appendStringInfo(&reason, ", %d of them tries", breaker->tries);
	appendStringInfo(&reason, ", %s", last_failure(report));
	if (breaker->tries > 0)
		appendStringInfoString(&reason,
							   "; if that message itself is at fault, kafka_circuit_reset has it routed");
	return reason.data;
}

/*
 * That its messages only fail lately, though nothing stops them from going
 * their ways, or NULL.
 */
static char *
failing_reason(const KeCircuitReport *report)
{
	if (report->breaker.failures == 0)
		return NULL;
	return psprintf("messages fail: %d in a row, %s",
					report->breaker.failures, last_failure(report));
}

/* What its circuit breaker has to say: the status, or NULL. */
static const char *
circuit_status(const KeCircuitReport *report, char **reason)
{
	switch (report->breaker.state)
	{
		case KE_BREAKER_CLOSED:
			return NULL;
		case KE_BREAKER_OPEN:
		case KE_BREAKER_HALF_OPEN:
			*reason = open_reason(report);
			return "open";
		case KE_BREAKER_BROKEN:
		case KE_BREAKER_MENDING:
			*reason = psprintf("%d messages in a row cannot be processed as functions, tables and configuration are, %s; no later one went well: if the messages are at fault, kafka_circuit_reset has them routed",
							   KE_BREAKER_SUSPECTS, last_failure(report));
			return "broken";
	}
	pg_unreachable();
}

static const char *
status_of(KeServer *server, KeSubscription *sub, const Observed *observed,
		  char **reason)
{
	char	   *stopped = stopped_reason(sub, observed);
	KeCircuitReport report = {0};
	const char *status;

	if (sub->options.paused)
	{
		*reason = "paused by kafka_consumer_pause";
		return "paused";
	}
	if (sub->broken != NULL)
	{
		*reason = sub->broken;
		return "broken";
	}
	if (observed->preloaded)
		ke_circuit_look(MyDatabaseId, sub->oid, &report);
	status = circuit_status(&report, reason);
	if (status != NULL)
		return status;
	*reason = server_reason(server, observed);
	if (*reason != NULL)
		return "active";
	if (stopped != NULL)
	{
		*reason = stopped;
		return "broken";
	}
	*reason = partition_reason(sub, observed);
	if (*reason == NULL)
		*reason = failing_reason(&report);
	return "active";
}

static Datum
interval_datum(int ms)
{
	Interval   *interval = (Interval *) palloc0(sizeof(Interval));

	interval->time = (TimeOffset) ms * 1000;
	return IntervalPGetDatum(interval);
}

static Datum
texts_datum(char **texts, int count)
{
	Datum	   *elements = (Datum *) palloc(Max(count, 1) * sizeof(Datum));
	int			i;

	for (i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/* A function as the session would write it; its option text if unknown. */
static char *
function_text(Oid function, char *option)
{
	return OidIsValid(function) ? format_procedure(function) : option;
}

/* Columns in order: set() appends the next one. */
typedef struct Row
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
	int			n;
} Row;

static void
set(Row *row, Datum value)
{
	row->values[row->n++] = value;
}

static void
set_null(Row *row)
{
	row->nulls[row->n++] = true;
}

static void
set_text(Row *row, const char *value)
{
	if (value == NULL)
		set_null(row);
	else
		set(row, CStringGetTextDatum(value));
}

static void
set_name(Row *row, const char *value)
{
	set(row, DirectFunctionCall1(namein, CStringGetDatum(value)));
}

static void
set_options(Row *row, const KeSubscription *sub)
{
	const KeSubscriptionOptions *options = &sub->options;
	const char *strategy =
		ke_options_subscription_retry_strategy_name(options->retry_strategy);

	set_text(row,
			 ke_options_subscription_row_format_name(options->row_format));
	set_text(row,
			 ke_options_subscription_on_conflict_name(options->on_conflict));
	set_text(row, ke_options_subscription_ordering_name(options->ordering));
	set_text(row, function_text(sub->validator, options->validator));
	set(row, texts_datum(options->required_headers,
						 options->nrequired_headers));
	set_text(row,
			 ke_options_subscription_start_from_name(options->start_from));
	set(row, Int32GetDatum(options->batch_size));
	set(row, interval_datum(options->handler_timeout_ms));
	set(row, Int32GetDatum(options->max_retries));
	set_text(row, strategy);
	set(row, interval_datum(options->initial_delay_ms));
	set(row, interval_datum(options->max_delay_ms));
	set(row, Float8GetDatum(options->multiplier));
	set(row, BoolGetDatum(options->dlq));
	set(row, Int32GetDatum(options->breaker_threshold));
	set(row, interval_datum(options->breaker_timeout_ms));
}

static void
put_row(ReturnSetInfo *result, KeServer *server, KeSubscription *sub,
		const Observed *observed)
{
	Row			row = {0};
	char	   *reason;
	const char *status = status_of(server, sub, observed, &reason);

	set(&row, ObjectIdGetDatum(sub->oid));
	set_name(&row, server->name);
	set_text(&row, sub->topic);
	set_text(&row, function_text(sub->handler, sub->options.handler));
	if (OidIsValid(sub->into_table))
		set(&row, ObjectIdGetDatum(sub->into_table));
	else
		set_null(&row);
	set_name(&row, GetUserNameFromId(server->owner, false));
	set_text(&row, status);
	set_text(&row, reason);
	set_options(&row, sub);
	Assert(row.n == COLUMNS);
	tuplestore_putvalues(result->setResult, result->setDesc, row.values,
						 row.nulls);
}

Datum
kafka_subscriptions(PG_FUNCTION_ARGS)
{
	Observed	observed = observe();
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, ke_catalog_subscriptions(server))
			put_row((ReturnSetInfo *) fcinfo->resultinfo, server,
					(KeSubscription *) lfirst(lc2), &observed);
	}
	return (Datum) 0;
}
