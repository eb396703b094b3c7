/*
 * connect_value.c
 *	  Values that Kafka Connect's JsonConverter wrote, by their schema.
 *
 * A struct's fields stay in the order of the value.  What needs no change is
 * copied, and keeps its text.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/base64.h"
#include "miscadmin.h"

#include "convert/connect_value.h"
#include "convert/logical_fold.h"

/* An integer's digits at most, with its sign. */
#define MAX_INTEGER 20

static void
mismatch(const KeJson *json)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s does not fit the schema in it", json->subject)));
}

int
ke_connect_value_member(const KeJson *json, int object, const char *name)
{
	const KeJsonNode *nodes = json->nodes;
	int			len = strlen(name);
	int			node = object + 1;

	if (nodes[object].kind != KE_JSON_OBJECT)
		return -1;
	for (int i = 0; i < nodes[object].count; i++)
	{
		if (nodes[node].len == len &&
			memcmp(nodes[node].text, name, len) == 0)
			return node + 1;
		node = nodes[node + 1].next;
	}
	return -1;
}

void
ke_connect_value_copy(KeJson *out, const KeJson *json, int node)
{
	int			shift = out->nnodes - node;
	int			end = json->nodes[node].next;

	for (int i = node; i < end; i++)
	{
		KeJsonNode *copy = ke_json_nodes_add(out, KE_JSON_NULL);

		*copy = json->nodes[i];
		copy->next += shift;
	}
}

const char *
ke_connect_value_bytes(KeJson *out, const KeJsonNode *node, int32 *len)
{
	int32		text_len;
	const char *text = ke_json_scan_characters(node, &text_len);
	int			room = pg_b64_dec_len(text_len) + 1;
	char	   *bytes = ke_json_nodes_room(out, room);

	*len = ke_b64_decode(text, text_len, bytes, room);
	return *len < 0 ? NULL : bytes;
}

void
ke_connect_value_append_bytes(KeJson *out, const KeJsonNode *node,
							  const char *bytes, int32 len)
{
	KeJsonNode *copy = ke_json_nodes_add(out, KE_JSON_STRING);

	copy->form = KE_JSON_FORM_BYTES;
	copy->value.bytes = bytes;
	copy->count = len;
	copy->text = ke_json_scan_characters(node, &copy->len);
}

static bool
read_integer(const KeJsonNode *node, int64 *value)
{
	char		text[MAX_INTEGER + 1];
	char	   *end;

	if (node->kind != KE_JSON_NUMBER || node->len > MAX_INTEGER)
		return false;
	memcpy(text, node->text, node->len);
	text[node->len] = '\0';
	errno = 0;
	*value = strtoi64(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static void
append_bytes(KeJson *out, const KeConnectType *type, const KeJson *json,
			 int node)
{
	const KeJsonNode *value = &json->nodes[node];
	const char *bytes;
	int32		len;

	/* the converter's decimal.format numeric */
	if (value->kind == KE_JSON_NUMBER &&
		type->logical.kind == KE_LOGICAL_DECIMAL)
	{
		ke_connect_value_copy(out, json, node);
		return;
	}
	if (value->kind != KE_JSON_STRING)
		mismatch(json);
	bytes = ke_connect_value_bytes(out, value, &len);
	if (bytes == NULL)
		mismatch(json);
	if (type->logical.kind == KE_LOGICAL_NONE)
		ke_connect_value_append_bytes(out, value, bytes, len);
	else
		ke_logical_bytes(out, &type->logical, bytes, len);
}

static void
append_array(KeJson *out, const KeConnectType *type, const KeJson *json,
			 int node)
{
	int			index = out->nnodes;
	int			count = json->nodes[node].count;
	int			element = node + 1;

	if (json->nodes[node].kind != KE_JSON_ARRAY)
		mismatch(json);
	ke_json_nodes_add(out, KE_JSON_ARRAY)->count = count;
	for (int i = 0; i < count; i++)
	{
		ke_connect_value_append(out, type->items, json, element);
		element = json->nodes[element].next;
	}
	out->nodes[index].next = out->nnodes;
}

/* A scalar as the name of a field. */
static void
append_map_key(KeJson *out, const KeConnectType *type, const KeJson *json,
			   int node)
{
	int			index = out->nnodes;

	ke_connect_value_append(out, type, json, node);
	switch ((KeJsonKind) out->nodes[index].kind)
	{
		case KE_JSON_STRING:
			break;
		case KE_JSON_NULL:
		case KE_JSON_FALSE:
		case KE_JSON_TRUE:
		case KE_JSON_NUMBER:
			out->nodes[index].kind = KE_JSON_STRING;
			out->nodes[index].form = KE_JSON_FORM_TEXT;
			break;
		case KE_JSON_ARRAY:
		case KE_JSON_OBJECT:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s has a map whose keys are not scalars",
							json->subject)));
	}
}

/* Keys that are not strings come as pairs in an array. */
static void
append_map(KeJson *out, const KeConnectType *type, const KeJson *json,
		   int node)
{
	const KeJsonNode *nodes = json->nodes;
	bool		is_pairs = nodes[node].kind == KE_JSON_ARRAY;
	int			index = out->nnodes;
	int			count = nodes[node].count;
	int			at = node + 1;

	if (!is_pairs && nodes[node].kind != KE_JSON_OBJECT)
		mismatch(json);
	ke_json_nodes_add(out, KE_JSON_OBJECT)->count = count;
	for (int i = 0; i < count; i++)
	{
		if (is_pairs)
		{
			if (nodes[at].kind != KE_JSON_ARRAY || nodes[at].count != 2)
				mismatch(json);
			append_map_key(out, type->keys, json, at + 1);
			ke_connect_value_append(out, type->items, json,
									nodes[at + 1].next);
			at = nodes[at].next;
		}
		else
		{
			ke_connect_value_copy(out, json, at);
			ke_connect_value_append(out, type->items, json, at + 1);
			at = nodes[at + 1].next;
		}
	}
	out->nodes[index].next = out->nnodes;
}

/* What logical.c looks for in the members of an object that is a value. */
static void
set_forms(KeJson *out, int index)
{
	int			at = index + 1;

	for (int i = 0; i < out->nodes[index].count; i++)
	{
		const KeJsonNode *key = &out->nodes[at];
		KeJsonNode *value = &out->nodes[at + 1];

		if (value->kind == KE_JSON_NUMBER && value->form == KE_JSON_FORM_TEXT)
		{
			if (key->len == 1)	/* x, y */
				value->form = KE_JSON_FORM_FLOAT8;
			else if (read_integer(value, &value->value.integer))
				value->form = KE_JSON_FORM_INT;
		}
		at = value->next;
	}
}

static void
append_struct(KeJson *out, const KeConnectType *type, const KeJson *json,
			  int node)
{
	const KeJsonNode *nodes = json->nodes;
	int			index = out->nnodes;
	int			count = nodes[node].count;
	int			key = node + 1;

	if (nodes[node].kind != KE_JSON_OBJECT)
		mismatch(json);
	ke_json_nodes_add(out, KE_JSON_OBJECT)->count = count;
	for (int i = 0; i < count; i++)
	{
		int32		len;
		const char *name = ke_json_scan_characters(&nodes[key], &len);
		const KeConnectField *field = ke_connect_schema_find(type, name, len,
															 i);

		if (field == NULL)
			mismatch(json);
		ke_connect_value_copy(out, json, key);
		ke_connect_value_append(out, field->type, json, key + 1);
		key = nodes[key + 1].next;
	}
	out->nodes[index].next = out->nnodes;
	if (type->logical.kind != KE_LOGICAL_NONE)
	{
		set_forms(out, index);
		ke_logical_fold(out, &type->logical, index);
	}
}

void
ke_connect_value_append(KeJson *out, const KeConnectType *type,
						const KeJson *json, int node)
{
	const KeJsonNode *value = &json->nodes[node];
	const char *text;
	int32		len;
	int64		integer;

	if (type->plain || value->kind == KE_JSON_NULL)
	{
		ke_connect_value_copy(out, json, node);
		return;
	}
	switch (type->kind)
	{
		case KE_CONNECT_BOOLEAN:
			ke_connect_value_copy(out, json, node);
			break;
		case KE_CONNECT_NUMBER:
			if (!read_integer(value, &integer))
				mismatch(json);
			ke_logical_integer(out, &type->logical, integer);
			break;
		case KE_CONNECT_STRING:
			if (value->kind != KE_JSON_STRING)
				mismatch(json);
			text = ke_json_scan_characters(value, &len);
			ke_logical_string(out, &type->logical, text, len);
			break;
		case KE_CONNECT_BYTES:
			append_bytes(out, type, json, node);
			break;
		case KE_CONNECT_ARRAY:
			check_stack_depth();
			append_array(out, type, json, node);
			break;
		case KE_CONNECT_MAP:
			check_stack_depth();
			append_map(out, type, json, node);
			break;
		case KE_CONNECT_STRUCT:
			check_stack_depth();
			append_struct(out, type, json, node);
			break;
	}
}
