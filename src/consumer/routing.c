/*
 * routing.c
 *	  Where a message goes that failed alone.
 *
 * What happens is decided by core/route and the circuit breaker, and written
 * in a transaction of its own, beside what moves past the message: the copy
 * and the position come true together or not at all.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "common/pg_prng.h"
#include "mb/pg_wchar.h"
#include "consumer/breaker_recheck.h"
#include "consumer/probe.h"
#include "consumer/routing.h"
#include "core/clock.h"
#include "core/testing.h"
#include "core/unix_time.h"
#include "outbox/outbox_write.h"
#include "shm/metrics.h"
#include "shm/role_demand.h"

void
ke_routing_begin(KeCulprit *culprit, KeStage *stage, KeMessage *msg)
{
	memset(culprit, 0, sizeof(*culprit));
	culprit->stage = stage;
	culprit->msg = msg;
	culprit->ordering = stage->sub->options.ordering;
	ke_retry_headers_read_source(msg, &culprit->origin);
}

/*
 * May what is to be routed be routed now?  Before it breaks the subscription,
 * messages behind it are tried.  False: asked to stop in the middle of that.
 */
static bool
ask_breaker(KeEngine *engine, KeCulprit *culprit)
{
	KeCircuit  *circuit = &culprit->stage->circuit;
	const KeMessage *msg = culprit->msg;
	KeBreakerFailure failure = {
		.partition = msg->partition,
		.offset = msg->offset,
		.sqlstate = culprit->fail->sqlstate,
		.verdict = culprit->route.verdict,
		.again = msg->attempt > 0
	};

	bool		breaks = engine->role == KE_ROLE_MAIN &&
		ke_circuit_would_break(circuit, &failure);

	if (breaks)
	{
		ke_probe_forget(engine, culprit->stage);
		if (ke_probe_run(engine, culprit->stage,
						 failure.sqlstate) == KE_PROBE_CANCELLED)
			return false;
	}
	culprit->held = !ke_circuit_failed(circuit, &failure,
									   ke_failure_describe(culprit->fail),
									   ke_clock_now());
	if (culprit->held && !breaks)
		ke_probe_forget(engine, culprit->stage);
	return true;
}

/* Others may run in between, so it is remembered by message. */
static KeRepeats *
find_repeats(KeStage *stage, const KeMessage *msg)
{
	for (int i = 0; i < KE_STAGE_REPEATS; i++)
	{
		KeRepeats  *repeats = &stage->alone[i];

		if (repeats->count > 0 && repeats->partition == msg->partition &&
			repeats->offset == msg->offset)
			return repeats;
	}
	return NULL;
}

static int
get_repeats(KeStage *stage, const KeMessage *msg)
{
	const KeRepeats *repeats = find_repeats(stage, msg);

	return repeats == NULL ? 0 : repeats->count;
}

static void
count_repeat(KeStage *stage, const KeMessage *msg)
{
	KeRepeats  *repeats = find_repeats(stage, msg);

	if (repeats == NULL)
	{
		stage->last_alone = (stage->last_alone + 1) % KE_STAGE_REPEATS;
		repeats = &stage->alone[stage->last_alone];
		repeats->partition = msg->partition;
		repeats->offset = msg->offset;
		repeats->count = 0;
	}
	repeats->count++;
}

static void
forget_repeats(KeStage *stage, const KeMessage *msg)
{
	KeRepeats  *repeats = find_repeats(stage, msg);

	if (repeats != NULL)
		repeats->count = 0;
}

bool
ke_routing_decide(KeEngine *engine, KeCulprit *culprit,
				  const KeEffects *effects, KeBatchOutcome *outcome)
{
	KeStage    *stage = culprit->stage;
	const KeMessage *msg = culprit->msg;

	culprit->fail = effects->fail;
	culprit->route = ke_route_decide(&stage->sub->options, effects->fail,
									 effects->timed_out, msg->attempt,
									 get_repeats(stage, msg),
									 pg_prng_double(&pg_global_prng_state));
	switch (culprit->route.kind)
	{
		case KE_ROUTE_AGAIN:
			stage->not_before =
				ke_contention_pause(get_repeats(stage, msg));
			count_repeat(stage, msg);
			*outcome = KE_BATCH_WAIT;
			return false;
		case KE_ROUTE_WAIT:
			if (effects->fail->sqlstate == ERRCODE_OUT_OF_MEMORY)
				count_repeat(stage, msg);
			ke_stage_wait_for_database(stage, effects->fail);
			*outcome = KE_BATCH_WAIT;
			return false;
		case KE_ROUTE_RETRY:
		case KE_ROUTE_DEAD:
		case KE_ROUTE_FAILED:
			forget_repeats(stage, msg);
			if (!ask_breaker(engine, culprit))
			{
				*outcome = KE_BATCH_CANCELLED;
				return false;
			}
			if (!culprit->held)
				break;
			ke_breaker_recheck_tried(stage);
			ke_partition_wait_for_breaker(engine, stage, 0);
			*outcome = KE_BATCH_WAIT;
			return false;
		case KE_ROUTE_SKIP:
			forget_repeats(stage, msg);
			ke_circuit_succeeded(&stage->circuit);
			break;
	}
	return true;
}

void
ke_routing_refuse(KeCulprit *culprit, const KeFailure *fail)
{
	culprit->fail = fail;
	culprit->route.verdict = KE_VERDICT_NEVER;
	culprit->route.kind = culprit->stage->sub->options.dlq ?
		KE_ROUTE_DEAD : KE_ROUTE_FAILED;
}

/* What the outbox has to know of either kind of copy. */
static KeOutboxRow
copy_of(KeEngine *engine, const KeCulprit *culprit, KeOutboxKind kind,
		const char *suffix)
{
	const KeSubscription *sub = culprit->stage->sub;
	const KeMessage *msg = culprit->msg;
	KeOutboxRow row = {
		.kind = kind,
		.server = engine->server->oid,
		.topic = psprintf("%s%s", sub->topic, suffix),
		.source_topic = sub->topic,
		.partition = culprit->origin.original_partition,
		.key = msg->key,
		.key_len = msg->key_len,
		.value = msg->value,
		.value_len = msg->value_len
	};

	return row;
}

static void
write_retry(KeEngine *engine, const KeCulprit *culprit)
{
	const KeServerOptions *options = &engine->server->options;
	KeOrigin	origin = culprit->origin;
	KeOutboxRow row = copy_of(engine, culprit, KE_OUTBOX_RETRY,
							  options->retry_suffix);

	origin.service = options->service_name;
	origin.copy_id = ke_retry_headers_make_copy_id();
	origin.attempt = culprit->msg->attempt + 1;
	/* rounded up: a retry is never early */
	origin.due_ms = ke_unix_ms(GetCurrentTimestamp()) + 1 +
		culprit->route.delay_ms;
	row.headers = ke_retry_headers_of_retry(culprit->msg, &origin,
											culprit->route.delay_ms,
											&row.nheaders);
	(void) ke_outbox_append(&row);
}

/* The error's message; where it does not name the column, that too. */
static char *
dead_letter_reason(const KeFailure *fail)
{
	char	   *column;
	int			len;

	if (fail->message == NULL)
		return "";
	if (fail->column_name == NULL ||
		strstr(fail->message, psprintf("\"%s\"", fail->column_name)) != NULL)
		return fail->message;
	column = psprintf(" (column \"%s\")", fail->column_name);
	len = strlen(fail->message);
	if (len + strlen(column) > KE_RETRY_HEADERS_TEXT_MAX)
		len = pg_mbcliplen(fail->message, len,
						   KE_RETRY_HEADERS_TEXT_MAX - strlen(column));
	return psprintf("%.*s%s", len, fail->message, column);
}

static void
write_dead(KeEngine *engine, const KeCulprit *culprit)
{
	const KeServerOptions *options = &engine->server->options;
	const KeSubscriptionOptions *of_sub = &culprit->stage->sub->options;
	KeOrigin	origin = culprit->origin;
	KeDeadLetterCause cause = {
		.reason = dead_letter_reason(culprit->fail),
		.sqlstate = culprit->fail->sqlstate,
		.handler = of_sub->handler ? of_sub->handler :
		of_sub->into_table ? of_sub->into_table :
		of_sub->route ? of_sub->route : "",
		.time_ms = ke_unix_ms(GetCurrentTimestamp())
	};
	KeOutboxRow row = copy_of(engine, culprit, KE_OUTBOX_DEAD,
							  options->dlq_suffix);

	origin.service = options->service_name;
	origin.copy_id = ke_retry_headers_make_copy_id();
	origin.attempt = culprit->msg->attempt;
	row.headers = ke_retry_headers_of_dead(culprit->msg, &origin,
										   &cause,
										   &row.nheaders);
	(void) ke_outbox_append(&row);
}

void
ke_routing_write(KeEngine *engine, const KeCulprit *culprit)
{
	switch (culprit->route.kind)
	{
		case KE_ROUTE_RETRY:
			write_retry(engine, culprit);
			break;
		case KE_ROUTE_DEAD:
			write_dead(engine, culprit);
			break;
		case KE_ROUTE_SKIP:
		case KE_ROUTE_FAILED:
			break;
		case KE_ROUTE_AGAIN:
		case KE_ROUTE_WAIT:
			elog(ERROR, "a message that is run again was to be routed");
	}
	KE_CRASH_POINT("in_routing");
}

static void
count(KeEngine *engine, const KeCulprit *culprit)
{
	KeMetricsDelta delta = {0};

	ke_metrics_count(&delta, culprit->msg, GetCurrentTimestamp());
	switch (culprit->route.kind)
	{
		case KE_ROUTE_RETRY:
			delta.counters.retried = 1;
			break;
		case KE_ROUTE_DEAD:
			delta.counters.dead_lettered = 1;
			break;
		case KE_ROUTE_SKIP:
			delta.counters.skipped = 1;
			break;
		case KE_ROUTE_FAILED:
			delta.counters.failed = 1;
			break;
		case KE_ROUTE_AGAIN:
		case KE_ROUTE_WAIT:
			break;
	}
	delta.counters.batches = culprit->shared ? 0 : 1;
	ke_metrics_add(engine->database, culprit->stage->sub->oid, &delta);
}

void
ke_routing_done(KeEngine *engine, const KeCulprit *culprit)
{
	char	   *which = ke_message_describe(culprit->msg);
	char	   *description = ke_failure_describe(culprit->fail);

	KE_CRASH_POINT("after_routing");
	count(engine, culprit);
	if (culprit->route.kind == KE_ROUTE_RETRY &&
		culprit->stage->sub->options.ordering == KE_ORDER_NONE)
		ke_role_demand_set(engine->database, engine->server->oid,
						   KE_ROLE_RETRY);
	if (culprit->route.kind != KE_ROUTE_SKIP)
		ke_slot_set_error(psprintf("%s: %s", which, description));
	ereport(culprit->route.kind == KE_ROUTE_FAILED ? LOG : DEBUG2,
			(errmsg("%s is %s: %s", which,
					culprit->route.kind == KE_ROUTE_RETRY ? "to be retried" :
					culprit->route.kind == KE_ROUTE_DEAD ? "a dead letter" :
					culprit->route.kind == KE_ROUTE_SKIP ? "skipped" :
					"passed over", description)));
}
