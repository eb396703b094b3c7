/*
 * unwrap_debezium.c
 *	  Change events of Debezium: which row is how after the change.
 *
 * A value that the source did not send, because an update left it in TOAST, is
 * told by a placeholder, whose form depends on the column's type and on the
 * connector's settings.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/connect_value.h"
#include "convert/decode.h"
#include "convert/parse_scalar.h"
#include "convert/unwrap_internal.h"

/* unavailable.value.placeholder, as it is unless somebody changes it. */
#define PLACEHOLDER "__debezium_unavailable_value"
#define PLACEHOLDER_LEN ((int32) strlen(PLACEHOLDER))

/* The placeholder as bytea, as hstore and as uuid. */
static const char *const spellings[] = {
	PLACEHOLDER,
	"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
	"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565",
	"{\"" PLACEHOLDER "\":\"" PLACEHOLDER "\"}",
	"b68a35a7-17ad-35b3-af2a-ae46edb4545a"
};

/* Of ExtractNewRecordState with delete.tombstone.handling.mode=rewrite. */
#define DELETED "__deleted"

/* The name of the field that is at work, for errors. */
static char current_field[NAMEDATALEN];

typedef struct Event
{
	int			op;				/* nodes, -1 where there is none */
	int			before;
	int			after;
	int			source;
} Event;

static bool
is_spelling(const KeJsonNode *node)
{
	const char *text;
	int32		len;

	if (node->form == KE_JSON_FORM_BYTES)
		return node->count == PLACEHOLDER_LEN &&
			memcmp(node->value.bytes, PLACEHOLDER, PLACEHOLDER_LEN) == 0;
	/* shorter than all, or longer than the longest is with escapes */
	if (node->len < PLACEHOLDER_LEN || node->len > 100)
		return false;
	text = ke_json_scan_characters(node, &len);
	for (int i = 0; i < lengthof(spellings); i++)
		if (strlen(spellings[i]) == len &&
			memcmp(spellings[i], text, len) == 0)
			return true;
	return false;
}

/* The integer that was in the message, also where it means a date or time. */
static bool
read_number(const KeJsonNode *node, int64 *number)
{
	static const int64 days = POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE;

	switch ((KeJsonForm) node->form)
	{
		case KE_JSON_FORM_TEXT:
			return node->kind == KE_JSON_NUMBER &&
				ke_parse_scalar_int(node->text, node->len, number);
		case KE_JSON_FORM_INT:
		case KE_JSON_FORM_TIME:
			*number = node->value.integer;
			return true;
		case KE_JSON_FORM_DATE:
			*number = node->value.integer + days;
			return true;
		case KE_JSON_FORM_TIMESTAMP:
		case KE_JSON_FORM_TIMESTAMPTZ:
			*number = node->value.integer + days * USECS_PER_DAY;
			return true;
		case KE_JSON_FORM_FLOAT4:
		case KE_JSON_FORM_FLOAT8:
		case KE_JSON_FORM_BYTES:
		case KE_JSON_FORM_DECIMAL:
		case KE_JSON_FORM_BITS:
		case KE_JSON_FORM_JSON_NULL:
		case KE_JSON_FORM_UNAVAILABLE:
			break;
	}
	return false;
}

/* An array of the placeholder's bytes, or of dates and times of them. */
static bool
is_numbers(const KeJson *json, int array)
{
	int			node = array + 1;

	for (int i = 0; i < PLACEHOLDER_LEN; i++, node++)
	{
		int64		number;

		if (!read_number(&json->nodes[node], &number) ||
			number != PLACEHOLDER[i])
			return false;
	}
	return true;
}

bool
ke_unwrap_debezium_is_unavailable(const KeJson *json, int node)
{
	const KeJsonNode *value = &json->nodes[node];

	switch ((KeJsonKind) value->kind)
	{
		case KE_JSON_STRING:
			return is_spelling(value);
		case KE_JSON_ARRAY:
			if (value->count == 1)
				return value[1].kind == KE_JSON_STRING &&
					is_spelling(&value[1]);
			return value->count == PLACEHOLDER_LEN &&
				is_numbers(json, node);
		case KE_JSON_OBJECT:
			return value->count == 1 && is_spelling(&value[1]) &&
				value[2].kind == KE_JSON_STRING && is_spelling(&value[2]);
		case KE_JSON_NULL:
		case KE_JSON_FALSE:
		case KE_JSON_TRUE:
		case KE_JSON_NUMBER:
			break;
	}
	return false;
}

/*
 * Of a text array of more than one dimension Debezium writes the names that
 * Java has for the arrays in it.
 */
static void
check_elements(const KeJson *json, int array)
{
	static const char name[] = "[Ljava.lang.";
	const KeJsonNode *element = &json->nodes[array + 1];

	if (json->nodes[array].count == 0 || element->kind != KE_JSON_STRING ||
		element->len < sizeof(name) || element->text == NULL ||
		memcmp(element->text, name, sizeof(name) - 1) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s has an array of more than one dimension, whose elements Debezium does not write",
					json->subject)));
}

/* The type of a field, or NULL. */
static const KeConnectType *
type_of(const KeConnectType *type, const char *name)
{
	const KeConnectField *field;

	if (type == NULL || type->kind != KE_CONNECT_STRUCT)
		return NULL;
	field = ke_connect_schema_find(type, name, strlen(name), 0);
	return field == NULL ? NULL : field->type;
}

/* With a schema, it must know every field. */
static const KeConnectType *
type_of_field(const KeJson *json, const KeConnectType *type, int key, int nth)
{
	int32		len;
	const char *name = ke_json_scan_characters(&json->nodes[key], &len);
	const KeConnectField *field = ke_connect_schema_find(type, name, len,
														 nth);

	if (field == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s does not fit the schema in it", json->subject)));
	return field->type;
}

static void
name_field(const KeJson *json, int key)
{
	const KeJsonNode *name = &json->nodes[key];
	int			len = Min(name->len, NAMEDATALEN - 1);

	memcpy(current_field, name->text, len);
	current_field[len] = '\0';
}

/*
 * Append the row at node.  Values that are not available are marked, or left
 * out; returns how many there are.
 */
static int
append_row(KeJson *out, const KeEnvelope *envelope, int node,
		   const KeConnectType *type, bool leave_out)
{
	const KeJson *json = envelope->json;
	int			index = out->nnodes;
	int			count = json->nodes[node].count;
	int			key = node + 1;
	int			unavailable = 0;

	ke_json_nodes_add(out, KE_JSON_OBJECT);
	for (int i = 0; i < count; i++)
	{
		bool		missing = ke_unwrap_debezium_is_unavailable(json,
																key + 1);

		unavailable += missing;
		if (!missing || !leave_out)
		{
			ke_connect_value_copy(out, json, key);
			out->nodes[index].count++;
		}
		if (!missing)
		{
			name_field(json, key);
			if (json->nodes[key + 1].kind == KE_JSON_ARRAY)
				check_elements(json, key + 1);
			ke_unwrap_append(out, envelope, key + 1,
							 type == NULL ? NULL
							 : type_of_field(json, type, key, i));
		}
		else if (!leave_out)
		{
			KeJsonNode *value = ke_json_nodes_add(out, KE_JSON_NULL);

			value->form = KE_JSON_FORM_UNAVAILABLE;
			value->text = "null";
			value->len = strlen(value->text);
		}
		key = json->nodes[key + 1].next;
	}
	out->nodes[index].next = out->nnodes;
	return unavailable;
}

/* The same; errors name the field. */
static int
append_named_row(KeJson *out, const KeEnvelope *envelope, int node,
				 const KeConnectType *type, bool leave_out)
{
	MemoryContext context = CurrentMemoryContext;
	volatile int count = 0;

	PG_TRY();
	{
		count = append_row(out, envelope, node, type, leave_out);
	}
	PG_CATCH();
	{
		ke_decode_rethrow(current_field, context);
	}
	PG_END_TRY();
	return count;
}

/* type: of the row; NULL: not known. */
static KeUnwrapped
take_row(KeJson *out, const KeEnvelope *envelope, int node,
		 const KeConnectType *type)
{
	KeUnwrapped result = {.op = KE_UNWRAP_VALUE};

	if (type != NULL && type->kind != KE_CONNECT_STRUCT)
		type = NULL;
	out->untyped = type == NULL && !envelope->typed;
	if (append_named_row(out, envelope, node, type, false) > 0)
	{
		result.whole = out->nnodes;
		(void) append_named_row(out, envelope, node, type, true);
	}
	return result;
}

static KeUnwrapped
take_delete(KeJson *out, const KeEnvelope *envelope, int node,
			const KeConnectType *type)
{
	KeUnwrapped result = {.root = -1};

	if (node >= 0 && envelope->json->nodes[node].kind == KE_JSON_OBJECT)
		result = take_row(out, envelope, node, type);
	result.op = KE_UNWRAP_DELETE;
	return result;
}

static bool
is_string(const KeJson *json, int node, const char *text)
{
	return node >= 0 && json->nodes[node].kind == KE_JSON_STRING &&
		json->nodes[node].len == strlen(text) &&
		memcmp(json->nodes[node].text, text, strlen(text)) == 0;
}

/*
 * Is it of one of the topics beside those of tables: the beginning or end of a
 * transaction, a heartbeat, a change of a schema?  All their fields are always
 * there.
 */
static bool
is_about_no_row(const KeJson *json, int value)
{
	int			status = ke_connect_value_member(json, value, "status");

	if (is_string(json, status, "BEGIN") || is_string(json, status, "END"))
		return ke_connect_value_member(json, value, "id") >= 0 &&
			ke_connect_value_member(json, value, "event_count") >= 0 &&
			ke_connect_value_member(json, value, "data_collections") >= 0;
	if (json->nodes[value].count == 1)
		return ke_connect_value_member(json, value, "ts_ms") >= 0;
	return ke_connect_value_member(json, value, "databaseName") >= 0 &&
		ke_connect_value_member(json, value, "ddl") >= 0 &&
		ke_connect_value_member(json, value, "source") >= 0;
}

static void
refuse(const KeJson *json, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is not a change event of Debezium", json->subject),
			 errdetail_internal("%s", detail)));
}

/* A row as ExtractNewRecordState makes it of an event. */
static KeUnwrapped
read_flat(const KeEnvelope *envelope, KeJson *out)
{
	const KeJson *json = envelope->json;
	int			deleted = ke_connect_value_member(json, envelope->value,
												  DELETED);

	if (is_string(json, deleted, "true") ||
		(deleted >= 0 && json->nodes[deleted].kind == KE_JSON_TRUE))
		return take_delete(out, envelope, envelope->value, envelope->type);
	return take_row(out, envelope, envelope->value, envelope->type);
}

static KeUnwrapped
read_event(const KeEnvelope *envelope, const Event *event, KeJson *out)
{
	KeUnwrapped skip = {.op = KE_UNWRAP_SKIP};
	const KeJson *json = envelope->json;
	const KeJsonNode *op = &json->nodes[event->op];

	if (op->kind != KE_JSON_STRING || op->len != 1)
		refuse(json, "Its \"op\" is not one letter.");
	switch (op->text[0])
	{
		case 'c':
		case 'r':
		case 'u':
			if (event->after < 0 ||
				json->nodes[event->after].kind != KE_JSON_OBJECT)
				refuse(json, "It has no row in \"after\".");
			return take_row(out, envelope, event->after,
							type_of(envelope->type, "after"));
		case 'd':
			return take_delete(out, envelope, event->before,
							   type_of(envelope->type, "before"));
		case 't':
		case 'm':
			return skip;
		default:
			refuse(json, "Its \"op\" is none of c, r, u, d, t and m.");
	}
	return skip;				/* not reached */
}

KeUnwrapped
ke_unwrap_debezium_read(const KeEnvelope *envelope, KeJson *out)
{
	const KeJson *json = envelope->json;
	int			value = envelope->value;
	KeUnwrapped nothing = {.op = KE_UNWRAP_NONE};
	Event		event;

	if (json->nodes[value].kind == KE_JSON_NULL)
		return nothing;
	if (json->nodes[value].kind != KE_JSON_OBJECT)
		refuse(json, "It is not an object.");
	event.op = ke_connect_value_member(json, value, "op");
	event.before = ke_connect_value_member(json, value, "before");
	event.after = ke_connect_value_member(json, value, "after");
	event.source = ke_connect_value_member(json, value, "source");
	if (event.op >= 0 && (event.before >= 0 || event.after >= 0 ||
						  event.source >= 0))
		return read_event(envelope, &event, out);
	if (is_about_no_row(json, value))
	{
		nothing.op = KE_UNWRAP_SKIP;
		return nothing;
	}
	if (event.source >= 0 && (event.before >= 0 || event.after >= 0))
		refuse(json, "It has no \"op\".");
	return read_flat(envelope, out);
}
