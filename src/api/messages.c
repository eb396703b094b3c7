/*
 * messages.c
 *	  kafka_messages: the messages of any topic as a user sees them.  Nothing
 *	  is consumed.
 *
 * They come through a task process, as dead letters do.  Whether the server
 * may read the topic is for Kafka to say, whether the user may have the server
 * read is decided here.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "api/dlq_functions.h"
#include "api/fcinfo.h"
#include "api/message_row.h"
#include "api/visible.h"
#include "core/dlq_reply.h"
#include "core/guc.h"
#include "core/unix_time.h"
#include "shm/ready.h"
#include "shm/task.h"

PG_FUNCTION_INFO_V1(kafka_messages);

#define ARG_TOPIC 0
#define ARG_MAX_MESSAGES 1
#define ARG_FROM_OFFSET 2
#define ARG_FROM_TIMESTAMP 3
#define ARG_PARTITION 4
#define ARG_SERVER 5

/* One row's memory is given back before the next one comes. */
typedef struct Reading
{
	FunctionCallInfo fcinfo;
	MemoryContext row_context;
	KeDocument *document;		/* values, as the subscription has them read */
} Reading;

/* Times before 1970 are not asked of Kafka: it gives them other meanings. */
static int64
read_timestamp(FunctionCallInfo fcinfo)
{
	TimestampTz timestamp;

	if (PG_ARGISNULL(ARG_FROM_TIMESTAMP))
		return KE_TASK_ANY;
	if (!PG_ARGISNULL(ARG_FROM_OFFSET))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("from_offset and from_timestamp exclude each other")));
	timestamp = PG_GETARG_TIMESTAMPTZ(ARG_FROM_TIMESTAMP);
	if (TIMESTAMP_NOT_FINITE(timestamp))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("from_timestamp must be finite"),
				 errhint("Without it, messages are shown from the first one on.")));
	return Max(ke_unix_ms(timestamp), 0);
}

static void
make_order(FunctionCallInfo fcinfo, KeTaskOrder *order)
{
	char	   *topic = ke_fcinfo_required(fcinfo, ARG_TOPIC, "topic");
	const char *problem = ke_options_topic_problem(topic);

	memset(order, 0, sizeof(KeTaskOrder));
	order->kind = KE_TASK_BROWSE;
	order->any_topic = true;
	order->timeout_ms = ke_guc_request_timeout;
	order->max_messages = ke_dlq_functions_count(fcinfo, ARG_MAX_MESSAGES,
												 "max_messages", false);
	order->offset = ke_dlq_functions_count(fcinfo, ARG_FROM_OFFSET,
										   "from_offset", true);
	order->from_ms = read_timestamp(fcinfo);
	order->partition = (int32) ke_dlq_functions_count(fcinfo, ARG_PARTITION,
													  "partition", false);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("topic \"%s\" %s", topic, problem)));
	strlcpy(order->topic, topic, sizeof(order->topic));
}

/* Values are read as the subscription says, if the topic has one. */
static KeDocument *
open_document(KeServer *server, const char *topic)
{
	Oid			relid = ke_catalog_find(server, topic, InvalidOid);
	KeSubscription *sub = ke_catalog_read(server, relid, false, NULL);

	return ke_document_open(sub != NULL ? &sub->options : NULL,
							KE_DOCUMENT_VALUE, CurrentMemoryContext);
}

static void
emit(Reading *reading, KeMessage *msg)
{
	KeRow		row = {0};

	ke_message_row_put(&row, msg);
	ke_message_row_put_text(&row, msg->key, msg->key_len);
	ke_message_row_put_text(&row, msg->value, msg->value_len);
	ke_message_row_put_jsonb(&row, reading->document, msg);
	ke_row_emit(&row, reading->fcinfo);
}

static void
visit(StringInfo reply, void *argument)
{
	Reading    *reading = (Reading *) argument;
	MemoryContext old = MemoryContextSwitchTo(reading->row_context);
	KeMessage	msg;

	switch (ke_dlq_reply_get_kind(reply))
	{
		case KE_DLQ_REPLY_MESSAGE:
			ke_dlq_reply_get_message(reply, &msg);
			emit(reading, &msg);
			break;
		case KE_DLQ_REPLY_NOTICE:
			ereport(NOTICE,
					(errmsg("%s", ke_dlq_reply_get_notice(reply))));
			break;
		case KE_DLQ_REPLY_RESULT:
		case KE_DLQ_REPLY_PROGRESS:
			break;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(reading->row_context);
}

Datum
kafka_messages(PG_FUNCTION_ARGS)
{
	KeTaskOrder order;
	Reading		reading = {.fcinfo = fcinfo};
	KeServer   *server;

	ke_ready_require();
	make_order(fcinfo, &order);
	server = ke_visible_own_server(ke_fcinfo_name(fcinfo, ARG_SERVER),
								   "messages");
	order.server = server->oid;
	InitMaterializedSRF(fcinfo, 0);
	reading.document = open_document(server, order.topic);
	reading.row_context = AllocSetContextCreate(CurrentMemoryContext,
												"kafka_events message",
												ALLOCSET_DEFAULT_SIZES);
	ke_task_run(&order, visit, &reading);
	return (Datum) 0;
}
