/*
 * encode_headers.c
 *	  A jsonb object as a message's headers.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "convert/encode_headers.h"

typedef struct Headers
{
	KeHeader   *array;
	int			count;
	int			room;
} Headers;

static void
add(Headers *headers, const char *name, const char *value, int len)
{
	KeHeader   *header;

	if (headers->count == headers->room)
	{
		headers->room *= 2;
		headers->array = (KeHeader *) repalloc(headers->array,
											   headers->room *
											   sizeof(KeHeader));
	}
	header = &headers->array[headers->count++];
	header->name = name;
	header->value = value;
	header->value_len = len;
}

/* Text as UTF-8. */
static void
add_text(Headers *headers, const char *name, const char *text, int len)
{
	char	   *utf8 = pg_server_to_any(text, len, PG_UTF8);

	add(headers, name, utf8, utf8 == text ? len : strlen(utf8));
}

static void
refuse(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("header \"%s\" cannot be sent", name),
			 errdetail("A header is a string, a number, a boolean, null, {\"base64\": \"...\"}, or an array of these."),
			 errhint("To send JSON in a header, give it as a string.")));
}

/* The bytes of {"base64": "..."}. */
static void
add_base64(Headers *headers, const char *name, JsonbContainer *object)
{
	JsonbValue *value;
	char	   *bytes;
	int			room;
	int			len;

	value = getKeyJsonValueFromContainer(object, "base64", strlen("base64"),
										 NULL);
	if (JsonContainerSize(object) != 1 || value == NULL ||
		value->type != jbvString)
		refuse(name);
	room = pg_b64_dec_len(value->val.string.len);
	bytes = palloc(room + 1);
	len = ke_b64_decode(value->val.string.val, value->val.string.len, bytes,
						room);
	if (len < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("header \"%s\" is not valid base64", name)));
	add(headers, name, bytes, len);
}

/* A value of the object, or an element of an array in it. */
static void
add_value(Headers *headers, const char *name, JsonbValue *value)
{
	char	   *number;

	switch (value->type)
	{
		case jbvNull:
			add(headers, name, NULL, 0);
			break;
		case jbvString:
			add_text(headers, name, value->val.string.val,
					 value->val.string.len);
			break;
		case jbvNumeric:
			number = DatumGetCString(
				DirectFunctionCall1(numeric_out,
									NumericGetDatum(value->val.numeric)));
			add(headers, name, number, strlen(number));
			break;
		case jbvBool:
			add(headers, name, value->val.boolean ? "true" : "false",
				value->val.boolean ? 4 : 5);
			break;
		case jbvBinary:
			if (!JsonContainerIsObject(value->val.binary.data))
				refuse(name);
			add_base64(headers, name, value->val.binary.data);
			break;
		case jbvArray:
		case jbvObject:
		case jbvDatetime:
			refuse(name);
	}
}

static void
add_header(Headers *headers, const char *name, JsonbValue *value)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	element;

	if (value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
	{
		add_value(headers, name, value);
		return;
	}
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			add_value(headers, name, &element);
	}
}

/* A header's name, in UTF-8 and with a NUL. */
static char *
name_of(const JsonbValue *key)
{
	char	   *name = pnstrdup(key->val.string.val, key->val.string.len);

	if (*name == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a header's name must not be empty")));
	return pg_server_to_any(name, key->val.string.len, PG_UTF8);
}

KeHeader *
ke_encode_headers(Jsonb *object, int *count)
{
	Headers		headers = {.room = 8};
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers must be a JSON object"),
				 errhint("For example: headers => '{\"name\": \"value\"}'.")));
	headers.array = (KeHeader *) palloc(headers.room * sizeof(KeHeader));
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = name_of(&value);
		else if (token == WJB_VALUE)
			add_header(&headers, name, &value);
	}
	*count = headers.count;
	return headers.array;
}
