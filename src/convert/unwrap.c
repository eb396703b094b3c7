/*
 * unwrap.c
 *	  Envelopes: what a message means, taken out of what it is wrapped in.
 *
 * The schema in a message of Kafka Connect is larger than the value beside it,
 * and the same from message to message: the last few are remembered by their
 * bytes, and where a message begins with one of these only what follows is
 * scanned.
 */
#include "postgres.h"
#include "core/compat.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "convert/connect_value.h"
#include "convert/unwrap_internal.h"

#define SCHEMAS 4

/* Larger schemas are compiled anew for each message. */
#define MAX_SCHEMA (1024 * 1024)

/* Partitions whose last delete is remembered. */
#define PARTITIONS 64

/* A message's beginning, {"schema":...,"payload": and what it says. */
typedef struct Schema
{
	char	   *bytes;			/* NULL: free */
	int32		len;
	KeConnectType *type;
	MemoryContext context;		/* of all this */
} Schema;

typedef struct Delete
{
	int32		partition;
	int64		offset;			/* -1: none */
} Delete;

struct KeUnwrap
{
	KeUnwrapKind kind;
	bool		is_key;
	const char *subject;
	MemoryContext context;
	KeJson		source;
	Schema		schemas[SCHEMAS];
	int			oldest;			/* of the schemas */
	MemoryContext passing;		/* a schema that is not remembered */
	Delete		deletes[PARTITIONS];
};

KeUnwrap *
ke_unwrap_make(KeUnwrapKind kind, bool is_key, const char *subject,
			   MemoryContext parent)
{
	KeUnwrap   *unwrap = MemoryContextAllocZero(parent, sizeof(KeUnwrap));

	unwrap->kind = kind;
	unwrap->is_key = is_key;
	unwrap->subject = subject;
	unwrap->context = parent;
	ke_json_scan_init(&unwrap->source, subject, parent);
	for (int i = 0; i < PARTITIONS; i++)
		unwrap->deletes[i].offset = -1;
	return unwrap;
}

/* ---------------------------------------------------- schema and payload */

static const Schema *
find_schema(const KeUnwrap *unwrap, const char *bytes, int32 len)
{
	for (int i = 0; i < SCHEMAS; i++)
	{
		const Schema *schema = &unwrap->schemas[i];

		if (schema->bytes != NULL && len > schema->len &&
			memcmp(schema->bytes, bytes, schema->len) == 0)
			return schema;
	}
	return NULL;
}

/*
 * Scan what follows a schema that is known: the payload and the brace.  False
 * if there is more.
 */
static bool
scan_payload(KeUnwrap *unwrap, const char *bytes, int32 len, int32 known)
{
	int32		left = len - known;
	const char *end = bytes + len;
	const char *p;

	(void) ke_json_scan_to_server(bytes + known, &left, unwrap->subject);
	p = ke_json_scan_first(&unwrap->source, bytes, len, known);

	while (p < end && strchr(" \t\r\n", *p) != NULL && *p != '\0')
		p++;
	if (p == end || *p++ != '}')
		return false;
	while (p < end && strchr(" \t\r\n", *p) != NULL && *p != '\0')
		p++;
	return p == end;
}

/* Compile it, in a context of its own, whatever happens. */
static KeConnectType *
compile(KeUnwrap *unwrap, int node, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	KeConnectType *type;

	type = ke_connect_schema_compile(&unwrap->source, node);
	MemoryContextSwitchTo(old);
	return type;
}

static void
remember(KeUnwrap *unwrap, const char *bytes, int32 len, int node,
		 KeEnvelope *envelope)
{
	Schema	   *schema = &unwrap->schemas[unwrap->oldest];

	if (schema->context == NULL)
		schema->context = AllocSetContextCreate(unwrap->context,
												"kafka_events schema",
												ALLOCSET_SMALL_SIZES);
	schema->bytes = NULL;
	MemoryContextReset(schema->context);
	schema->type = compile(unwrap, node, schema->context);
	schema->len = len;
	schema->bytes = MemoryContextAlloc(schema->context, len);
	memcpy(schema->bytes, bytes, len);
	unwrap->oldest = (unwrap->oldest + 1) % SCHEMAS;
	envelope->type = schema->type;
}

/* The length of what is before the payload; 0 where that says too little. */
static int32
length_before(const KeUnwrap *unwrap, const char *bytes, int schema,
			  int payload)
{
	const KeJsonNode *node = &unwrap->source.nodes[payload];
	const char *start = node->text - (node->kind == KE_JSON_STRING ? 1 : 0);

	/* the same bytes, and the schema comes first */
	if (unwrap->source.text != bytes || schema > payload ||
		start - bytes > MAX_SCHEMA)
		return 0;
	return (int32) (start - bytes);
}

/* An object of these two members and no others? */
static bool
has_schema(const KeUnwrap *unwrap, int *schema, int *payload)
{
	const KeJson *source = &unwrap->source;

	if (source->nodes[0].kind != KE_JSON_OBJECT ||
		source->nodes[0].count != 2)
		return false;
	*schema = ke_connect_value_member(source, 0, "schema");
	*payload = ke_connect_value_member(source, 0, "payload");
	return *schema >= 0 && *payload >= 0 &&
		(source->nodes[*schema].kind == KE_JSON_OBJECT ||
		 source->nodes[*schema].kind == KE_JSON_NULL);
}

/* Read {"schema", "payload"}, or a value without; true for the former. */
static bool
read_envelope(KeUnwrap *unwrap, const char *bytes, int32 len,
			  KeEnvelope *envelope)
{
	KeJson	   *source = &unwrap->source;
	const Schema *known = find_schema(unwrap, bytes, len);
	const char *text;
	int			schema;
	int32		before;

	*envelope = (KeEnvelope) {.json = source};
	if (known != NULL && GetDatabaseEncoding() == PG_UTF8 &&
		scan_payload(unwrap, bytes, len, known->len))
	{
		envelope->type = known->type;
		return true;
	}

	text = ke_json_scan_to_server(bytes, &len, unwrap->subject);
	ke_json_scan(source, text, len, true);
	if (!has_schema(unwrap, &schema, &envelope->value))
	{
		envelope->value = 0;
		return false;
	}
	if (source->nodes[schema].kind == KE_JSON_NULL)
		return true;
	before = length_before(unwrap, bytes, schema, envelope->value);
	if (before > 0)
	{
		remember(unwrap, bytes, before, schema, envelope);
		return true;
	}
	if (unwrap->passing == NULL)
		unwrap->passing = AllocSetContextCreate(unwrap->context,
												"kafka_events schema",
												ALLOCSET_SMALL_SIZES);
	MemoryContextReset(unwrap->passing);
	envelope->type = compile(unwrap, schema, unwrap->passing);
	return true;
}

/* ------------------------------------------------------------- the kinds */

static KeUnwrapped
take_all(KeJson *out, const KeEnvelope *envelope)
{
	KeUnwrapped result = {.op = KE_UNWRAP_VALUE};

	if (envelope->json->nodes[envelope->value].kind == KE_JSON_NULL)
		result.op = KE_UNWRAP_NONE;
	else
		ke_unwrap_append(out, envelope, envelope->value, envelope->type);
	return result;
}

/* Producers write keys as plain text too. */
static bool
is_json_key(const char *text, int32 len)
{
	const char *end = text + len;

	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		return true;
	while (text < end && *text != '\0' && strchr(" \t\r\n", *text) != NULL)
		text++;
	return text < end && *text == '{';
}

/* A key may have a schema or not, whatever its value has. */
static KeUnwrapped
unwrap_key(KeUnwrap *unwrap, const char *bytes, int32 len, KeJson *out)
{
	KeUnwrapped result = {.op = KE_UNWRAP_VALUE};
	const char *text;
	KeEnvelope	envelope;

	if (unwrap->kind != KE_UNWRAP_KIND_CLOUDEVENTS &&
		is_json_key(bytes, len))
	{
		(void) read_envelope(unwrap, bytes, len, &envelope);
		out->untyped = unwrap->kind == KE_UNWRAP_KIND_DEBEZIUM &&
			envelope.type == NULL;
		return take_all(out, &envelope);
	}
	text = ke_json_scan_to_server(bytes, &len, unwrap->subject);
	if (is_json_key(text, len))
		ke_json_scan(out, text, len, true);
	else
		ke_json_scan_plain(out, text, len);
	return result;
}

static KeUnwrapped
unwrap_connect(KeUnwrap *unwrap, const char *bytes, int32 len, KeJson *out)
{
	KeEnvelope	envelope;

	if (!read_envelope(unwrap, bytes, len, &envelope))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has no schema and payload, as Kafka Connect's JsonConverter writes them",
						unwrap->subject),
				 errhint("With value.converter.schemas.enable=false at the connector, values need no unwrapping: set unwrap to \"none\".")));
	return take_all(out, &envelope);
}

/* A tombstone behind a delete says nothing new; another one is a delete. */
static KeUnwrapOp
judge_tombstone(const KeUnwrap *unwrap, const KeMessage *msg)
{
	const Delete *last = &unwrap->deletes[msg->partition % PARTITIONS];

	if (unwrap->kind == KE_UNWRAP_KIND_DEBEZIUM &&
		last->partition == msg->partition && last->offset >= 0 &&
		last->offset == msg->offset - 1)
		return KE_UNWRAP_SKIP;
	return KE_UNWRAP_NONE;
}

static KeUnwrapped
unwrap_debezium(KeUnwrap *unwrap, KeMessage *msg, const KeEnvelope *envelope,
				KeJson *out)
{
	KeUnwrapped result = ke_unwrap_debezium_read(envelope, out);

	if (result.op == KE_UNWRAP_DELETE)
	{
		Delete	   *last = &unwrap->deletes[msg->partition % PARTITIONS];

		last->partition = msg->partition;
		last->offset = msg->offset;
	}
	return result;
}

KeUnwrapped
ke_unwrap_json(KeUnwrap *unwrap, KeMessage *msg, const char *bytes,
			   int32 len, KeJson *out)
{
	KeUnwrapped none = {.op = KE_UNWRAP_NONE};
	KeEnvelope	envelope;

	ke_json_nodes_reset(out);
	out->untyped = false;
	if (unwrap->kind == KE_UNWRAP_KIND_CLOUDEVENTS && !unwrap->is_key)
		return ke_unwrap_cloudevents_read(msg, bytes, len, &unwrap->source,
										  out);
	if (bytes == NULL)
	{
		if (!unwrap->is_key)
			none.op = judge_tombstone(unwrap, msg);
		return none;
	}
	if (unwrap->is_key)
		return unwrap_key(unwrap, bytes, len, out);
	if (unwrap->kind == KE_UNWRAP_KIND_CONNECT)
		return unwrap_connect(unwrap, bytes, len, out);
	(void) read_envelope(unwrap, bytes, len, &envelope);
	return unwrap_debezium(unwrap, msg, &envelope, out);
}

KeJson *
ke_unwrap_source(KeUnwrap *unwrap)
{
	return &unwrap->source;
}

KeUnwrapped
ke_unwrap_nodes(KeUnwrap *unwrap, KeMessage *msg, int root, KeJson *out)
{
	KeEnvelope	envelope = {.json = &unwrap->source,.value = root,
	.typed = true};

	ke_json_nodes_reset(out);
	out->untyped = false;
	out->lazy = unwrap->source.lazy;
	if (!unwrap->is_key && unwrap->kind == KE_UNWRAP_KIND_DEBEZIUM)
		return unwrap_debezium(unwrap, msg, &envelope, out);
	if (!unwrap->is_key && unwrap->kind == KE_UNWRAP_KIND_CLOUDEVENTS)
		return ke_unwrap_cloudevents_take(msg, &unwrap->source, root, out);
	return take_all(out, &envelope);
}
