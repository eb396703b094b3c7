/*
 * produce.c
 *	  kafka_produce: events out of the database.
 *
 * An event is a row of the outbox, written in the caller's transaction; no
 * session ever waits for a broker.  Kafka's own conventions are kept: text
 * travels as UTF-8 whatever the database's encoding is, null values are
 * tombstones.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/syscache.h"

#include "api/fcinfo.h"
#include "api/subscription_ddl.h"
#include "convert/encode_headers.h"
#include "core/copy_history.h"
#include "core/guc.h"
#include "core/header_names.h"
#include "core/trace.h"
#include "handler/handler.h"
#include "outbox/outbox_write.h"
#include "shm/ready.h"

PG_FUNCTION_INFO_V1(kafka_produce_text);
PG_FUNCTION_INFO_V1(kafka_produce_bytea);
PG_FUNCTION_INFO_V1(kafka_produce_jsonb);

#define ARG_TOPIC 0
#define ARG_VALUE 1
#define ARG_KEY 2
#define ARG_HEADERS 3
#define ARG_PARTITION 4
#define ARG_SERVER 5

/* ----------------------------------------------------------------- server */

/*
 * The server last produced to, until any server changes: the catalogs are
 * not searched for each of a million rows.
 */
static struct
{
	bool		valid;
	bool		named;			/* asked for by name, or not */
	NameData	fallback;		/* the setting then; not named */
	NameData	name;
	Oid			oid;
}			last_server;

static void
server_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	last_server.valid = false;
}

static void
remember_server(const char *name)
{
	static bool callback_registered = false;
	KeServer   *server;

	if (!callback_registered)
	{
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, server_changed,
									  (Datum) 0);
		CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, server_changed,
									  (Datum) 0);
		callback_registered = true;
	}
	server = ke_catalog_server_by_name(name);
	last_server.valid = true;
	last_server.named = (name != NULL);
	namestrcpy(&last_server.fallback, ke_guc_default_server);
	last_server.oid = server->oid;
	namestrcpy(&last_server.name, server->name);
}

/* The server to produce to; the user may. */
static Oid
find_server(FunctionCallInfo fcinfo)
{
	const char *name = PG_ARGISNULL(ARG_SERVER) ? NULL :
		NameStr(*PG_GETARG_NAME(ARG_SERVER));
	AclResult	result;

	if (!last_server.valid || last_server.named != (name != NULL) ||
		(name != NULL && namestrcmp(&last_server.name, name) != 0) ||
		(name == NULL &&
		 namestrcmp(&last_server.fallback, ke_guc_default_server) != 0))
		remember_server(name);

	result = ke_aclcheck_server(last_server.oid, GetUserId(), ACL_USAGE);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER,
					   NameStr(last_server.name));
	return last_server.oid;
}

/* ------------------------------------------------------------------ bytes */

/* Bytes of ours as a Kafka client expects text. */
static const char *
as_utf8(const char *text, int len, int32 *utf8_len)
{
	char	   *utf8 = pg_server_to_any(text, len, PG_UTF8);

	*utf8_len = utf8 == text ? len : strlen(utf8);
	return utf8;
}

static const char *
text_argument(FunctionCallInfo fcinfo, int n, int32 *len)
{
	text	   *value;

	*len = 0;
	if (PG_ARGISNULL(n))
		return NULL;
	value = PG_GETARG_TEXT_PP(n);
	return as_utf8(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), len);
}

static char *
topic_argument(FunctionCallInfo fcinfo)
{
	char	   *topic = ke_fcinfo_required(fcinfo,
										   ARG_TOPIC,
										   "topic");
	const char *problem = ke_options_topic_problem(topic);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" is not a valid name", topic),
				 errdetail("A topic's name %s.", problem)));
	if (ke_options_topic_is_internal(topic))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" is one of Kafka's own", topic),
				 errdetail("Brokers take no messages for it.")));
	return topic;
}

static int32
partition_argument(FunctionCallInfo fcinfo)
{
	int32		partition;

	if (PG_ARGISNULL(ARG_PARTITION))
		return -1;
	partition = PG_GETARG_INT32(ARG_PARTITION);
	if (partition < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition must not be negative")));
	return partition;
}

/* ---------------------------------------------------------------- produce */

/*
 * A handler that forwards a copy's headers with its event: the event is no
 * copy, and must not pass for one.
 */
static void
drop_history(KeHeader *headers, int *count)
{
	KeCopyHistory history;
	int			kept = 0;

	for (int i = 0; i < *count; i++)
		if (strcmp(headers[i].name, KE_COPY_HISTORY) != 0 ||
			!ke_copy_history_parse(headers[i].value, headers[i].value_len,
								   &history))
			headers[kept++] = headers[i];
	*count = kept;
}

static bool
has_header(const KeOutboxRow *row, const char *name)
{
	return ke_message_find_header(row->headers, row->nheaders, name) != NULL;
}

/*
 * What a handler produces belongs to the trace of the message it was called
 * for, unless it says something else, or nothing: {"traceparent": null}.
 */
static void
continue_trace(KeOutboxRow *row)
{
	KeMessage  *msg = ke_handler_current();
	const KeHeader *of_msg;
	KeHeader   *headers;
	KeTrace		trace;
	int			count;

	if (msg == NULL || has_header(row, KE_TRACE_PARENT))
		return;
	of_msg = ke_message_headers(msg, &count);
	if (!ke_trace_read(of_msg, count, &trace))
		return;
	headers = (KeHeader *) palloc((row->nheaders + 2) * sizeof(KeHeader));
	if (row->nheaders > 0)
		memcpy(headers, row->headers, row->nheaders * sizeof(KeHeader));
	count = row->nheaders;
	headers[count++] = *trace.parent;
	if (trace.state != NULL && !has_header(row, KE_TRACE_STATE))
		headers[count++] = *trace.state;
	row->headers = headers;
	row->nheaders = count;
}

/* Everything but the value, which the callers have put into row. */
static Datum
produce(FunctionCallInfo fcinfo, KeOutboxRow *row)
{
	KeHeader   *headers = NULL;

	ke_ready_require_writable("kafka_produce()");
	row->kind = KE_OUTBOX_EVENT;
	row->topic = topic_argument(fcinfo);
	row->partition = partition_argument(fcinfo);
	row->key = text_argument(fcinfo, ARG_KEY, &row->key_len);
	if (!PG_ARGISNULL(ARG_HEADERS))
		headers = ke_encode_headers(PG_GETARG_JSONB_P(ARG_HEADERS),
									&row->nheaders);
	if (headers != NULL)
		drop_history(headers, &row->nheaders);
	row->headers = headers;
	continue_trace(row);
	row->server = find_server(fcinfo);
	PG_RETURN_INT64(ke_outbox_append(row));
}

/* Also for json, which is text that was checked. */
Datum
kafka_produce_text(PG_FUNCTION_ARGS)
{
	KeOutboxRow row = {0};

	row.value = text_argument(fcinfo, ARG_VALUE, &row.value_len);
	return produce(fcinfo, &row);
}

Datum
kafka_produce_bytea(PG_FUNCTION_ARGS)
{
	KeOutboxRow row = {0};

	if (!PG_ARGISNULL(ARG_VALUE))
	{
		bytea	   *value = PG_GETARG_BYTEA_PP(ARG_VALUE);

		row.value = VARDATA_ANY(value);
		row.value_len = VARSIZE_ANY_EXHDR(value);
	}
	return produce(fcinfo, &row);
}

Datum
kafka_produce_jsonb(PG_FUNCTION_ARGS)
{
	KeOutboxRow row = {0};

	if (!PG_ARGISNULL(ARG_VALUE))
	{
		Jsonb	   *value = PG_GETARG_JSONB_P(ARG_VALUE);
		char	   *text = JsonbToCString(NULL, &value->root, VARSIZE(value));

		row.value = as_utf8(text, strlen(text), &row.value_len);
	}
	return produce(fcinfo, &row);
}
