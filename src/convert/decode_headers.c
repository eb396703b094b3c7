/*
 * decode_headers.c
 *	  A message's headers as one jsonb object.
 *
 * One occurrence of a name is a string, several are an array in the order of
 * the message, a header without a value is null.  Header values are bytes,
 * and nobody promises that they are text: what is not becomes
 * {"base64": "..."}.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/namespace.h"
#include "common/base64.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "convert/decode.h"

typedef struct Header
{
	const char *name;			/* in the server's encoding */
	int			len;
	int			order;			/* in the message */
	const KeHeader *wire;
} Header;

char *
ke_decode_headers_if_text(const char *bytes, int len, int *text_len)
{
	int			encoding = GetDatabaseEncoding();
	Oid			conversion;
	unsigned char *text;

	if (pg_encoding_verifymbstr(PG_UTF8, bytes, len) != len)
		return NULL;
	*text_len = len;
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII ||
		pg_is_ascii(pnstrdup(bytes, len)))
		return pnstrdup(bytes, len);

	conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(conversion))
		return NULL;
	text = palloc((Size) len * MAX_CONVERSION_GROWTH + 1);
	if (pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding,
									  (unsigned char *) bytes, len, text,
									  len * MAX_CONVERSION_GROWTH + 1,
									  true) != len)
		return NULL;
	*text_len = strlen((char *) text);
	return (char *) text;
}

/* Bytes beyond ASCII as \xNN: the name stays readable, and distinct. */
static char *
escape_name(const char *name, int *len)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *p = name; *p != '\0'; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			appendStringInfo(&buf, "\\x%02X", (unsigned char) *p);
		else
			appendStringInfoChar(&buf, *p);
	}
	*len = buf.len;
	return buf.data;
}

static int
compare_headers(const void *a, const void *b)
{
	const Header *left = a;
	const Header *right = b;
	int			result = strcmp(left->name, right->name);

	return result != 0 ? result : left->order - right->order;
}

static void
push_string(KeJsonbBuilder * state, JsonbIteratorToken token,
			const char *text, int len)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = len;
	(void) ke_push_jsonb(state, token, &value);
}

static void
push_base64(KeJsonbBuilder * state, const KeHeader *header)
{
	int			room = pg_b64_enc_len(header->value_len);
	char	   *encoded = palloc(room + 1);
	int			len = ke_b64_encode(header->value, header->value_len, encoded,
									room);

	(void) ke_push_jsonb(state, WJB_BEGIN_OBJECT, NULL);
	push_string(state, WJB_KEY, "base64", strlen("base64"));
	push_string(state, WJB_VALUE, encoded, len);
	(void) ke_push_jsonb(state, WJB_END_OBJECT, NULL);
}

/* token: WJB_VALUE of an object, or WJB_ELEM of an array */
static void
push_header(KeJsonbBuilder * state, JsonbIteratorToken token,
			const KeHeader *header)
{
	JsonbValue	null;
	char	   *text;
	int			len;

	if (header->value == NULL)
	{
		null.type = jbvNull;
		(void) ke_push_jsonb(state, token, &null);
		return;
	}
	text = ke_decode_headers_if_text(header->value, header->value_len, &len);
	if (text != NULL)
		push_string(state, token, text, len);
	else
		push_base64(state, header);
}

/* What most messages have: {}, without building it. */
static Datum
no_headers(void)
{
	Jsonb	   *empty = palloc(offsetof(Jsonb, root.children));

	SET_VARSIZE(empty, offsetof(Jsonb, root.children));
	empty->root.header = JB_FOBJECT;
	return PointerGetDatum(empty);
}

Datum
ke_decode_headers(KeMessage *msg)
{
	KeJsonbBuilder state = {0};
	JsonbValue *result;
	Header	   *headers;
	const KeHeader *wire;
	int			count;
	int			next;

	wire = ke_message_headers(msg, &count);
	if (count == 0)
		return no_headers();
	headers = palloc(count * sizeof(Header));
	for (int i = 0; i < count; i++)
	{
		const char *name = wire[i].name;
		char	   *text = ke_decode_headers_if_text(name, strlen(name),
													 &headers[i].len);

		headers[i].name = text != NULL ? text
			: escape_name(name, &headers[i].len);
		headers[i].order = i;
		headers[i].wire = &wire[i];
	}
	qsort(headers, count, sizeof(Header), compare_headers);

	(void) ke_push_jsonb(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < count; i = next)
	{
		for (next = i + 1; next < count; next++)
		{
			if (strcmp(headers[next].name, headers[i].name) != 0)
				break;
		}
		push_string(&state, WJB_KEY, headers[i].name, headers[i].len);
		if (next == i + 1)
		{
			push_header(&state, WJB_VALUE, headers[i].wire);
			continue;
		}
		(void) ke_push_jsonb(&state, WJB_BEGIN_ARRAY, NULL);
		for (int j = i; j < next; j++)
			push_header(&state, WJB_ELEM, headers[j].wire);
		(void) ke_push_jsonb(&state, WJB_END_ARRAY, NULL);
	}
	result = ke_push_jsonb(&state, WJB_END_OBJECT, NULL);
	return PointerGetDatum(JsonbValueToJsonb(result));
}
