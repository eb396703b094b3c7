/*
 * subscription_state.c
 *	  Whether a subscription runs, and if not, why: for views and metrics.
 *
 * Read from the catalogs and shared memory; no process is asked.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "api/monitor.h"
#include "api/subscription_state.h"
#include "shm/circuit.h"
#include "shm/metrics.h"
#include "shm/ready.h"
#include "state/identity.h"

/* What shared memory has to say, read once for all subscriptions. */
struct KeObserved
{
	bool		preloaded;
	KeIdentityState identity;
	KeLagRow   *partitions;
	int			npartitions;
};

KeObserved *
ke_subscription_state_observe(void)
{
	KeObserved *observed = palloc0(sizeof(KeObserved));
	pg_uuid_t	uuid;

	observed->preloaded = ke_ready();
	observed->identity = ke_identity_read(&uuid);
	if (observed->preloaded)
		observed->partitions = ke_monitor_partitions(&observed->npartitions);
	return observed;
}

/* What keeps all of the database's consumers from running, or NULL. */
static char *
database_reason(const KeObserved *observed)
{
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
	return NULL;
}

/* What keeps all of a server's consumers, or is the matter with it. */
static char *
server_reason(const KeServer *server)
{
	char	   *reason = ke_monitor_server_reason(server);

	return reason[0] != '\0' ? reason : NULL;
}

/*
 * Why partitions of the subscription stopped, or NULL if none did.  A topic
 * that is missing does not count: it needs nobody here to do anything.
 */
static char *
stopped_reason(const KeSubscription *sub, const KeObserved *observed)
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
partition_reason(const KeSubscription *sub, const KeObserved *observed)
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

char *
ke_subscription_state_mismatch(const KeSubscription *sub)
{
	KeMetrics	metrics;

	if (!ke_metrics_read(MyDatabaseId, sub->oid, &metrics) ||
		!metrics.mismatches)
		return NULL;
	return psprintf("messages have none of the fields that are taken: %s",
					metrics.fields);
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

/* What else there is to say about one that is active, or NULL. */
static char *
minor_reason(const KeServer *server, const KeSubscription *sub,
			 const KeObserved *observed, const KeCircuitReport *report)
{
	char	   *reason = server_reason(server);

	if (reason == NULL)
		reason = partition_reason(sub, observed);
	if (reason == NULL)
		reason = failing_reason(report);
	if (reason == NULL && observed->preloaded)
		reason = ke_subscription_state_mismatch(sub);
	return reason;
}

static const char *
status_of(const KeServer *server, const KeSubscription *sub,
		  const KeObserved *observed, char **reason)
{
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
	*reason = database_reason(observed);
	if (*reason != NULL)
		return "active";
	*reason = stopped_reason(sub, observed);
	if (*reason != NULL)
		return "broken";
	*reason = minor_reason(server, sub, observed, &report);
	return "active";
}

/* Nothing is consumed by a pattern itself. */
static const char *
pattern_status(const KeServer *server, const KeSubscription *pattern,
			   const KeObserved *observed, bool *troubled, char **reason)
{
	char	   *problem = database_reason(observed);
	StringInfoData text;

	if (problem == NULL)
		problem = server_reason(server);
	if (problem == NULL)
		problem = partition_reason(pattern, observed);
	initStringInfo(&text);
	appendStringInfo(&text, "%d topic%s", pattern->members,
					 pattern->members == 1 ? "" : "s");
	if (problem != NULL)
		appendStringInfo(&text, "; %s", problem);
	*troubled = problem != NULL;
	*reason = text.data;
	return "pattern";
}

KeSubscriptionState
ke_subscription_state_of(const KeServer *server, const KeSubscription *sub,
						 const KeObserved *observed)
{
	KeSubscriptionState state;

	state.status = status_of(server, sub, observed, &state.reason);
	state.is_broken = strcmp(state.status, "broken") == 0;
	state.is_troubled = state.reason != NULL && !sub->options.paused;
	if (sub->options.topics != NULL && sub->broken == NULL &&
		!sub->options.paused)
		state.status = pattern_status(server, sub, observed,
									  &state.is_troubled, &state.reason);
	return state;
}
