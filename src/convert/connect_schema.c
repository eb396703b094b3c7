/*
 * connect_schema.c
 *	  The schema that Kafka Connect's JsonConverter writes beside a value,
 *	  compiled for reading values.
 *
 * Such a schema is an object with "type" and, where the type has more to say,
 * "name" (of a logical type, or a struct), "parameters", "fields", "items",
 * "keys" and "values".  Its nesting was bounded when it was scanned.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"

#include "convert/connect_schema.h"

typedef struct KindName
{
	const char *name;
	KeConnectKind kind;
} KindName;

static const KindName kinds[] = {
	{"int8", KE_CONNECT_NUMBER},
	{"int16", KE_CONNECT_NUMBER},
	{"int32", KE_CONNECT_NUMBER},
	{"int64", KE_CONNECT_NUMBER},
	{"float", KE_CONNECT_NUMBER},
	{"double", KE_CONNECT_NUMBER},
	{"boolean", KE_CONNECT_BOOLEAN},
	{"string", KE_CONNECT_STRING},
	{"bytes", KE_CONNECT_BYTES},
	{"array", KE_CONNECT_ARRAY},
	{"map", KE_CONNECT_MAP},
	{"struct", KE_CONNECT_STRUCT}
};

static void
refuse(const KeJson *json, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the schema in the %s is not one of Kafka Connect",
					json->subject),
			 errdetail_internal("%s", detail)));
}

/* The member of an object, or -1. */
static int
member(const KeJson *json, int object, const char *name)
{
	const KeJsonNode *nodes = json->nodes;
	int			len = strlen(name);
	int			node = object + 1;

	for (int i = 0; i < nodes[object].count; i++)
	{
		if (nodes[node].len == len && memcmp(nodes[node].text, name,
											 len) == 0)
			return node + 1;
		node = nodes[node + 1].next;
	}
	return -1;
}

/* A string member, NUL-terminated, or NULL. */
static char *
text_member(const KeJson *json, int object, const char *name)
{
	int			node = member(json, object, name);
	const char *text;
	int32		len;

	if (node < 0 || json->nodes[node].kind != KE_JSON_STRING)
		return NULL;
	text = ke_json_scan_characters(&json->nodes[node], &len);
	return pnstrdup(text, len);
}

/* A number among the parameters, which are all strings. */
static int32
parameter(const KeJson *json, int schema, const char *name)
{
	int			parameters = member(json, schema, "parameters");
	char	   *text = NULL;
	char	   *end;
	long		value;

	if (parameters >= 0 && json->nodes[parameters].kind == KE_JSON_OBJECT)
		text = text_member(json, parameters, name);
	if (text == NULL)
		refuse(json, psprintf("A type lacks its parameter \"%s\".", name));
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < PG_INT32_MIN ||
		value > PG_INT32_MAX)
		refuse(json, psprintf("The parameter \"%s\" of a type is not an integer.",
							  name));
	return (int32) value;
}

static KeConnectKind
kind_of(const KeJson *json, int schema)
{
	char	   *type = text_member(json, schema, "type");

	for (int i = 0; type != NULL && i < lengthof(kinds); i++)
		if (strcmp(kinds[i].name, type) == 0)
			return kinds[i].kind;
	refuse(json, type == NULL ? "A type is missing."
		   : "It has a type that is none of Connect's.");
	return KE_CONNECT_STRING;	/* not reached */
}

static KeConnectType *
compile_member(const KeJson *json, int schema, const char *name)
{
	int			node = member(json, schema, name);

	if (node < 0)
		refuse(json, psprintf("A type lacks its \"%s\".", name));
	return ke_connect_schema_compile(json, node);
}

static void
compile_fields(const KeJson *json, int schema, KeConnectType *type)
{
	const KeJsonNode *nodes = json->nodes;
	int			list = member(json, schema, "fields");
	int			node = list + 1;

	if (list < 0 || nodes[list].kind != KE_JSON_ARRAY)
		refuse(json, "A struct lacks its \"fields\".");
	type->nfields = nodes[list].count;
	type->fields = palloc0(Max(type->nfields, 1) * sizeof(KeConnectField));
	for (int i = 0; i < type->nfields; i++)
	{
		KeConnectField *field = &type->fields[i];

		field->type = ke_connect_schema_compile(json, node);
		field->name = text_member(json, node, "field");
		if (field->name == NULL)
			refuse(json, "A field lacks its name.");
		field->len = strlen(field->name);
		type->plain = type->plain && field->type->plain;
		node = nodes[node].next;
	}
}

/* The logical type, if it is one on values of this kind. */
static void
set_logical(const KeJson *json, int schema, KeConnectType *type)
{
	KeLogical	logical;

	if (type->name == NULL)
		return;
	logical = ke_logical_of_connect(type->name);
	switch (logical.kind)
	{
		case KE_LOGICAL_NONE:
			return;
		case KE_LOGICAL_DATE:
		case KE_LOGICAL_TIME:
		case KE_LOGICAL_TIMESTAMP:
		case KE_LOGICAL_TIMESTAMPTZ:
		case KE_LOGICAL_SECONDS:
			if (type->kind != KE_CONNECT_NUMBER)
				return;
			break;
		case KE_LOGICAL_DECIMAL:
			if (type->kind != KE_CONNECT_BYTES)
				return;
			logical.scale = parameter(json, schema, "scale");
			if (logical.scale < KE_LOGICAL_MIN_SCALE ||
				logical.scale > KE_LOGICAL_MAX_SCALE)
				refuse(json, "The scale of a decimal is out of range.");
			break;
		case KE_LOGICAL_BITS:
			if (type->kind != KE_CONNECT_BYTES)
				return;
			logical.scale = parameter(json, schema, "length");
			break;
		case KE_LOGICAL_UUID:
		case KE_LOGICAL_DURATION:
			return;				/* Avro's */
		case KE_LOGICAL_ISO:
		case KE_LOGICAL_JSON:
			if (type->kind != KE_CONNECT_STRING)
				return;
			break;
		case KE_LOGICAL_VARIABLE_SCALE_DECIMAL:
		case KE_LOGICAL_POINT:
		case KE_LOGICAL_GEOMETRY:
			if (type->kind != KE_CONNECT_STRUCT)
				return;
			break;
	}
	type->logical = logical;
}

KeConnectType *
ke_connect_schema_compile(const KeJson *json, int node)
{
	KeConnectType *type = palloc0(sizeof(KeConnectType));

	check_stack_depth();
	if (json->nodes[node].kind != KE_JSON_OBJECT)
		refuse(json, "A type is not an object.");
	type->kind = kind_of(json, node);
	type->name = text_member(json, node, "name");
	set_logical(json, node, type);
	type->plain = type->logical.kind == KE_LOGICAL_NONE;
	switch (type->kind)
	{
		case KE_CONNECT_BOOLEAN:
		case KE_CONNECT_NUMBER:
		case KE_CONNECT_STRING:
			break;
		case KE_CONNECT_BYTES:
			type->plain = false;
			break;
		case KE_CONNECT_ARRAY:
			type->items = compile_member(json, node, "items");
			type->plain = type->items->plain;
			break;
		case KE_CONNECT_MAP:
			type->keys = compile_member(json, node, "keys");
			type->items = compile_member(json, node, "values");
			type->plain = type->keys->kind == KE_CONNECT_STRING &&
				type->items->plain;
			break;
		case KE_CONNECT_STRUCT:
			compile_fields(json, node, type);
			break;
	}
	return type;
}

static bool
is_named(const KeConnectField *field, const char *name, int32 len)
{
	return field->len == len && memcmp(field->name, name, len) == 0;
}

const KeConnectField *
ke_connect_schema_find(const KeConnectType *type, const char *name,
					   int32 len, int hint)
{
	if (hint < type->nfields && is_named(&type->fields[hint], name, len))
		return &type->fields[hint];
	for (int i = 0; i < type->nfields; i++)
		if (is_named(&type->fields[i], name, len))
			return &type->fields[i];
	return NULL;
}
