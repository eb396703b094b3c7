/*
 * dlq_reprocess.c
 *	  Dead letters sent again, or closed, by a user.
 *
 * The work is a task process's, in Kafka's own transactions: what it has
 * moved stays moved, whatever becomes of the transaction of the user, and of
 * the user.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "api/dlq_functions.h"
#include "api/fcinfo.h"
#include "api/row.h"
#include "api/subscription_ddl.h"
#include "api/subscription_define.h"
#include "api/visible.h"
#include "core/dlq_reply.h"
#include "core/guc.h"
#include "shm/ready.h"
#include "shm/task.h"

PG_FUNCTION_INFO_V1(kafka_dlq_reprocess);
PG_FUNCTION_INFO_V1(kafka_dlq_progress);

#define ARG_TOPIC 0
#define ARG_MAX_MESSAGES 1
#define ARG_TARGET 2
#define ARG_PARTITION 3
#define ARG_OFFSET 4
#define ARG_SERVER 5
#define ARG_TO_TOPIC 6

/* A jsonb value holds some millions; the rest is counted only. */
#define MAX_RESULTS 100000

typedef struct Reprocess
{
	MemoryContext context;		/* where the results are kept */
	KeJsonbBuilder results;
	int			count;
	KeDlqReplyTotals totals;
	const char *topic;
} Reprocess;

static const char *
target_name(KeTaskTarget target)
{
	switch (target)
	{
		case KE_TARGET_ORIGINAL:
			return "original";
		case KE_TARGET_RETRY:
			return "retry";
		case KE_TARGET_DISCARD:
			return "discard";
	}
	pg_unreachable();
}

/* ------------------------------------------------------------- the order */

static void
read_target(FunctionCallInfo fcinfo, KeTaskOrder *order)
{
	char	   *target = ke_fcinfo_text(fcinfo, ARG_TARGET);

	order->target = KE_TARGET_ORIGINAL;
	order->target_given = target != NULL;
	if (target == NULL || strcmp(target, "original") == 0)
		return;
	if (strcmp(target, "retry") == 0)
		order->target = KE_TARGET_RETRY;
	else if (strcmp(target, "discard") == 0)
		order->target = KE_TARGET_DISCARD;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target must be 'original', 'retry' or 'discard', not \"%s\"",
						target)));
}

/* A topic for all letters, whatever they say of themselves. */
static void
read_to_topic(FunctionCallInfo fcinfo, KeTaskOrder *order)
{
	char	   *topic = ke_fcinfo_text(fcinfo, ARG_TO_TOPIC);
	const char *problem;

	if (topic == NULL)
		return;
	if (order->target != KE_TARGET_ORIGINAL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("to_topic and target => '%s' exclude each other",
						target_name(order->target)),
				 errhint("With to_topic, leave target out.")));
	problem = ke_options_topic_problem(topic);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("topic \"%s\" %s", topic, problem)));
	if (ke_options_topic_is_internal(topic))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" is one of Kafka's own", topic),
				 errdetail("Brokers take no messages for it.")));
	if (strcmp(topic, order->topic) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" is where the dead letters are", topic),
				 errdetail("They would come back to it.")));
	strlcpy(order->to_topic, topic, sizeof(order->to_topic));
}

static void
read_letters(FunctionCallInfo fcinfo, KeTaskOrder *order)
{
	order->max_messages = ke_dlq_functions_count(fcinfo, ARG_MAX_MESSAGES,
												 "max_messages", true);
	order->partition = (int32) ke_dlq_functions_count(fcinfo, ARG_PARTITION,
													  "partition", false);
	order->offset = ke_dlq_functions_count(fcinfo, ARG_OFFSET, "offset", true);
	if (order->offset != KE_TASK_ANY && order->partition == KE_TASK_ANY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an offset needs its partition"),
				 errhint("For example: kafka_dlq_reprocess('topic', partition => 0, \"offset\" => 5).")));
}

/* Copies for a retry topic are of use only where somebody reads it. */
static void
check_retry(KeServer *server, const char *source)
{
	Oid			relid = ke_catalog_find(server, source, InvalidOid);
	KeSubscription *sub = ke_catalog_read(server, relid, false, NULL);

	if (sub != NULL && ke_options_subscription_retries_by_topic(&sub->options))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("nobody reads the retry topic of topic \"%s\"", source),
			 errdetail("A retry topic is read for a subscription with ordering 'none' and retries."),
			 errhint("Use target => 'original'.")));
}

static void
make_order(FunctionCallInfo fcinfo, KeTaskOrder *order)
{
	char	   *source;
	char	   *topic = ke_fcinfo_required(fcinfo,
										   ARG_TOPIC,
										   "topic");
	KeServer   *server;

	memset(order, 0, sizeof(KeTaskOrder));
	order->kind = KE_TASK_REPROCESS;
	order->timeout_ms = ke_guc_request_timeout;
	read_target(fcinfo, order);
	read_letters(fcinfo, order);
	server = ke_visible_own_server(ke_fcinfo_name(fcinfo, ARG_SERVER),
								   "dead letters");
	order->server = server->oid;
	strlcpy(order->topic, ke_dlq_functions_topic(server, topic),
			sizeof(order->topic));
	read_to_topic(fcinfo, order);
	source = ke_dlq_functions_source(server, order->topic);
	if (order->target == KE_TARGET_RETRY && source != NULL)
		check_retry(server, source);
	ke_subscription_define_require_identity();
}

/* ------------------------------------------------------------ the results */

static void
push(KeJsonbBuilder * state, const char *name, JsonbValue *value)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	(void) ke_push_jsonb(state, WJB_KEY, &key);
	(void) ke_push_jsonb(state, WJB_VALUE, value);
}

static void
push_number(KeJsonbBuilder * state, const char *name, int64 number)
{
	JsonbValue	value;

	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(number);
	push(state, name, &value);
}

static void
push_text(KeJsonbBuilder * state, const char *name, const char *text)
{
	JsonbValue	value;

	value.type = text == NULL ? jbvNull : jbvString;
	if (text != NULL)
	{
		value.val.string.val = pstrdup(text);
		value.val.string.len = strlen(text);
	}
	push(state, name, &value);
}

static void
add_result(Reprocess *reprocess, const KeDlqReplyResult *result)
{
	KeJsonbBuilder *state = &reprocess->results;

	if (reprocess->count++ >= MAX_RESULTS)
		return;
	(void) ke_push_jsonb(state, WJB_BEGIN_OBJECT, NULL);
	push_number(state, "partition", result->partition);
	push_number(state, "offset", result->offset);
	push_text(state, "status", ke_dlq_reply_status_name(result->status));
	push_text(state, "error", result->error);
	(void) ke_push_jsonb(state, WJB_END_OBJECT, NULL);
}

static void
show_progress(const Reprocess *reprocess)
{
	const KeDlqReplyTotals *totals = &reprocess->totals;

	ereport(NOTICE,
			(errmsg("dead letters of topic \"%s\": " INT64_FORMAT " done, " INT64_FORMAT " of them failed, about " INT64_FORMAT " to go",
					reprocess->topic, totals->total, totals->failed,
					totals->left)));
}

static void
visit(StringInfo reply, void *argument)
{
	Reprocess  *reprocess = (Reprocess *) argument;
	MemoryContext old = MemoryContextSwitchTo(reprocess->context);
	KeDlqReplyResult result;

	switch (ke_dlq_reply_get_kind(reply))
	{
		case KE_DLQ_REPLY_RESULT:
			ke_dlq_reply_get_result(reply, &result);
			add_result(reprocess, &result);
			break;
		case KE_DLQ_REPLY_PROGRESS:
			ke_dlq_reply_get_totals(reply, &reprocess->totals);
			if (!reprocess->totals.final)
				show_progress(reprocess);
			break;
		case KE_DLQ_REPLY_MESSAGE:
		case KE_DLQ_REPLY_NOTICE:
			break;
	}
	MemoryContextSwitchTo(old);
}

Datum
kafka_dlq_reprocess(PG_FUNCTION_ARGS)
{
	KeTaskOrder order;
	Reprocess	reprocess = {.context = CurrentMemoryContext};
	KeRow		row = {0};
	JsonbValue *results;

	ke_ready_require_writable("kafka_dlq_reprocess()");
	make_order(fcinfo, &order);
	reprocess.topic = order.topic;
	InitMaterializedSRF(fcinfo, 0);

	if (order.to_topic[0] != '\0')
		ereport(NOTICE,
				(errmsg("every consumer group of topic \"%s\" reads these messages",
						order.to_topic)));
	else if (order.target == KE_TARGET_ORIGINAL)
		ereport(NOTICE,
				(errmsg("every consumer group of the original topics reads these messages again")));
	(void) ke_push_jsonb(&reprocess.results, WJB_BEGIN_ARRAY, NULL);
	ke_task_run(&order, visit, &reprocess);
	results = ke_push_jsonb(&reprocess.results, WJB_END_ARRAY, NULL);

	ke_row_put_number(&row, reprocess.totals.total);
	ke_row_put_number(&row, reprocess.totals.successful);
	ke_row_put_number(&row, reprocess.totals.failed);
	ke_row_put(&row, JsonbPGetDatum(JsonbValueToJsonb(results)), false);
	ke_row_emit(&row, fcinfo);
	return (Datum) 0;
}

/* --------------------------------------------------------------- progress */

Datum
kafka_dlq_progress(PG_FUNCTION_ARGS)
{
	KeTaskReport *reports;
	int			count;

	ke_ready_require();
	InitMaterializedSRF(fcinfo, 0);
	reports = ke_task_reports(MyDatabaseId, KE_TASK_REPROCESS, &count);
	for (int i = 0; i < count; i++)
	{
		const KeTaskReport *report = &reports[i];
		KeServer   *server = ke_catalog_server(report->order.server);
		KeRow		row = {0};

		if (server == NULL || !ke_visible_is(server))
			continue;
		ke_row_put_name(&row, server->name);
		ke_row_put_text(&row, report->order.topic);
		ke_row_put_text(&row, target_name(report->order.target));
		ke_row_put_int(&row, report->pid);
		ke_row_put_text(&row, report->taken ? "running" : "waiting");
		ke_row_put_time(&row, report->asked_at);
		ke_row_put_number(&row, report->progress.total);
		ke_row_put_number(&row, report->progress.done);
		ke_row_put_number(&row, report->progress.successful);
		ke_row_put_number(&row, report->progress.failed);
		ke_row_emit(&row, fcinfo);
	}
	return (Datum) 0;
}
