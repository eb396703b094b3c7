/*
 * unwrap_cloudevents.c
 *	  CloudEvents: attributes and data, in the value (structured mode) or in
 *	  headers and value (binary mode).
 *
 * For columns the nodes are the fields of the data, then "data", then the
 * attributes: of fields of one name the last one counts.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/connect_value.h"
#include "convert/decode.h"
#include "convert/unwrap_internal.h"

#define PREFIX "ce_"
#define CONTENT_TYPE "content-type"

static const char *const required[] = {"id", "source", "specversion", "type"};

/* The parts of an event.  Attributes are pairs of nodes among others. */
typedef struct Event
{
	const KeJson *json;			/* of the data; NULL: not JSON */
	int			data;			/* its node */
	const char *bytes;			/* data that is bytes; NULL: none */
	int32		len;
	bool		has_data;
} Event;

static const KeHeader *
find_header(KeMessage *msg, const char *name)
{
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);

	for (int i = 0; i < count; i++)
		if (strcmp(headers[i].name, name) == 0 && headers[i].value != NULL)
			return &headers[i];
	return NULL;
}

/* A media type begins like this? Case does not matter there. */
static bool
begins_with(const char *text, int32 len, const char *start)
{
	return len >= strlen(start) &&
		pg_strncasecmp(text, start, strlen(start)) == 0;
}

/* JSON also is what a media type without a name is taken for. */
static bool
is_json_type(const char *text, int32 len)
{
	const char *end = memchr(text, ';', len);

	if (end != NULL)
		len = (int32) (end - text);
	while (len > 0 && text[len - 1] == ' ')
		len--;
	return begins_with(text, len, "application/json") ||
		begins_with(text, len, "text/json") ||
		(len >= 5 && pg_strncasecmp(text + len - 5, "+json", 5) == 0);
}

static bool
is_text_type(const char *text, int32 len)
{
	return begins_with(text, len, "text/") ||
		begins_with(text, len, "application/xml");
}

static void
refuse(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("message is not a CloudEvent"),
			 errdetail_internal("%s", detail),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* Append the name of an attribute's field. */
static void
append_name(KeJson *out, const char *name, int32 len)
{
	char	   *text = ke_json_nodes_room(out, len + strlen(PREFIX));

	memcpy(text, PREFIX, strlen(PREFIX));
	memcpy(text + strlen(PREFIX), name, len);
	ke_json_nodes_add_string(out, text, len + strlen(PREFIX));
}

/* The bytes as a string in base64 that a bytea column takes as they are. */
static void
append_bytes(KeJson *out, const char *bytes, int32 len)
{
	static const KeLogical plain = {.kind = KE_LOGICAL_NONE};

	ke_logical_bytes(out, &plain, bytes, len);
}

/* ---------------------------------------------------------- attributes */

static void
check_required(const KeJson *out, int object)
{
	for (int i = 0; i < lengthof(required); i++)
	{
		char	   *name = psprintf("%s%s", PREFIX, required[i]);
		int			node = ke_connect_value_member(out, object, name);

		if (node < 0 || out->nodes[node].kind == KE_JSON_NULL)
			refuse(psprintf("It has no attribute \"%s\".", required[i]),
				   NULL);
		pfree(name);
	}
}

/* Returns how many. */
static int
append_headers(KeJson *out, KeMessage *msg)
{
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);
	int			appended = 0;

	for (int i = 0; i < count; i++)
	{
		const char *name = headers[i].name;
		const char *text;
		int			len;

		if (headers[i].value == NULL)
			continue;
		if (strcmp(name, CONTENT_TYPE) == 0)
			name = "datacontenttype";
		else if (strncmp(name, PREFIX, strlen(PREFIX)) == 0)
			name += strlen(PREFIX);
		else
			continue;
		text = ke_decode_headers_if_text(headers[i].value,
										 headers[i].value_len, &len);
		if (text == NULL || ke_decode_headers_if_text(name, strlen(name),
													  &(int) {0}) == NULL)
			refuse("One of its attributes is not text.", NULL);
		append_name(out, name, strlen(name));
		ke_json_nodes_add_string(out, text, len);
		appended++;
	}
	return appended;
}

static bool
is_data(const KeJsonNode *key)
{
	return (key->len == 4 && memcmp(key->text, "data", 4) == 0) ||
		(key->len == 11 && memcmp(key->text, "data_base64", 11) == 0);
}

static int
append_members(KeJson *out, const KeJson *json)
{
	int			key = 1;
	int			appended = 0;

	for (int i = 0; i < json->nodes[0].count; i++)
	{
		if (!is_data(&json->nodes[key]))
		{
			int32		len;
			const char *name = ke_json_scan_characters(&json->nodes[key],
													   &len);

			append_name(out, name, len);
			ke_connect_value_copy(out, json, key + 1);
			appended++;
		}
		key = json->nodes[key + 1].next;
	}
	return appended;
}

/* ---------------------------------------------------------------- events */

static void
append_data(KeJson *out, const Event *event)
{
	ke_json_nodes_add_string(out, "data", 4);
	if (event->json != NULL)
		ke_connect_value_copy(out, event->json, event->data);
	else
		append_bytes(out, event->bytes, event->len);
}

/* The fields of the data. */
static int
append_fields(KeJson *out, const Event *event)
{
	const KeJsonNode *data;
	int			node;

	if (!event->has_data || event->json == NULL)
		return 0;
	data = &event->json->nodes[event->data];
	if (data->kind != KE_JSON_OBJECT)
		return 0;
	node = event->data + 1;
	for (int i = 0; i < data->count; i++)
	{
		ke_connect_value_copy(out, event->json, node);
		ke_connect_value_copy(out, event->json, node + 1);
		node = event->json->nodes[node + 1].next;
	}
	return data->count;
}

/* members: of structured mode; NULL: the headers. */
static int
append_event(KeJson *out, const Event *event, KeMessage *msg,
			 const KeJson *members, bool fields)
{
	int			index = out->nnodes;
	int			count = 0;

	ke_json_nodes_add(out, KE_JSON_OBJECT);
	if (fields)
		count = append_fields(out, event);
	if (event->has_data)
	{
		append_data(out, event);
		count++;
	}
	count += members != NULL ? append_members(out, members)
		: append_headers(out, msg);
	out->nodes[index].count = count;
	out->nodes[index].next = out->nnodes;
	return index;
}

static KeUnwrapped
take(KeJson *out, const Event *event, KeMessage *msg, const KeJson *members)
{
	KeUnwrapped result = {.op = KE_UNWRAP_VALUE};

	result.whole = append_event(out, event, msg, members, false);
	check_required(out, result.whole);
	result.root = result.whole;
	if (event->has_data && event->json != NULL &&
		event->json->nodes[event->data].kind == KE_JSON_OBJECT)
		result.root = append_event(out, event, msg, members, true);
	return result;
}

/* Scan data that is JSON; null is no data. */
static void
scan_data(Event *event, KeJson *source, const char *bytes, int32 len)
{
	const char *text = ke_json_scan_to_server(bytes, &len, source->subject);

	event->data = ke_json_scan_append(source, text, len);
	event->json = source;
	event->has_data = source->nodes[event->data].kind != KE_JSON_NULL;
}

/* Data that came as bytes, by its media type. */
static void
read_bytes(Event *event, KeJson *source, const char *bytes, int32 len,
		   const char *type, int32 type_len)
{
	if (is_json_type(type, type_len))
		scan_data(event, source, bytes, len);
	else if (is_text_type(type, type_len))
	{
		const char *text = ke_json_scan_to_server(bytes, &len,
												  source->subject);

		event->data = source->nnodes;
		ke_json_nodes_add_string(source, text, len);
		event->json = source;
		event->has_data = true;
	}
	else
	{
		event->bytes = bytes;
		event->len = len;
		event->has_data = true;
	}
}

static KeUnwrapped
read_structured(KeMessage *msg, KeJson *source, KeJson *out)
{
	Event		event = {0};
	int			data = ke_connect_value_member(source, 0, "data");
	int			base64 = ke_connect_value_member(source, 0, "data_base64");
	int			type = ke_connect_value_member(source, 0, "datacontenttype");

	if (data >= 0)
	{
		event.json = source;
		event.data = data;
		event.has_data = source->nodes[data].kind != KE_JSON_NULL;
	}
	else if (base64 >= 0 && source->nodes[base64].kind != KE_JSON_NULL)
	{
		const KeJsonNode *text = &source->nodes[base64];
		const char *bytes = NULL;
		const char *name = "";
		int32		name_len = 0;
		int32		len;

		if (text->kind == KE_JSON_STRING)
			bytes = ke_connect_value_bytes(out, text, &len);
		if (bytes == NULL)
			refuse("Its \"data_base64\" is not base64.", NULL);
		if (type >= 0 && source->nodes[type].kind == KE_JSON_STRING)
			name = ke_json_scan_characters(&source->nodes[type], &name_len);
		read_bytes(&event, source, bytes, len, name, name_len);
	}
	return take(out, &event, msg, source);
}

static KeUnwrapped
read_binary(KeMessage *msg, const char *bytes, int32 len, KeJson *source,
			KeJson *out)
{
	const KeHeader *type = find_header(msg, CONTENT_TYPE);
	Event		event = {0};

	ke_json_nodes_reset(source);
	if (bytes == NULL || len == 0)
		return take(out, &event, msg, NULL);
	if (type == NULL)
		scan_data(&event, source, bytes, len);
	else
		read_bytes(&event, source, bytes, len, type->value, type->value_len);
	return take(out, &event, msg, NULL);
}

KeUnwrapped
ke_unwrap_cloudevents_take(KeMessage *msg, const KeJson *source, int root,
						   KeJson *out)
{
	Event		event = {.json = source,.data = root};

	event.has_data = source->nodes[root].kind != KE_JSON_NULL;
	return take(out, &event, msg, NULL);
}

KeUnwrapped
ke_unwrap_cloudevents_read(KeMessage *msg, const char *bytes, int32 len,
						   KeJson *source, KeJson *out)
{
	KeUnwrapped none = {.op = KE_UNWRAP_NONE};
	const KeHeader *type = find_header(msg, CONTENT_TYPE);
	bool		named = type != NULL &&
		begins_with(type->value, type->value_len, "application/cloudevents");
	const char *text;

	if (named && begins_with(type->value, type->value_len,
							 "application/cloudevents-batch"))
		refuse("It is a batch of events, which is not supported.",
			   "Have the producer send each event in a message of its own.");
	if (!named && (find_header(msg, PREFIX "specversion") != NULL ||
				   find_header(msg, PREFIX "id") != NULL))
		return read_binary(msg, bytes, len, source, out);
	if (bytes == NULL)
		return none;
	text = ke_json_scan_to_server(bytes, &len, source->subject);
	ke_json_scan(source, text, len, true);
	if (source->nodes[0].kind != KE_JSON_OBJECT ||
		(!named && ke_connect_value_member(source, 0, "specversion") < 0))
		refuse("It has neither headers ce_id and ce_specversion nor a value with \"specversion\".",
			   NULL);
	return read_structured(msg, source, out);
}
