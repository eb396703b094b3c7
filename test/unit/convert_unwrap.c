/*
 * convert_unwrap.c
 *	  Messages taken out of envelopes, as JSON text and as columns.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "convert/convert.h"
#include "convert/document.h"
#include "convert/json_write.h"

PG_FUNCTION_INFO_V1(unit_unwrap);
PG_FUNCTION_INFO_V1(unit_unwrap_column);

/* One for each kind and part, as in a consumer: they remember schemas. */
static KeDocument *documents[4][2];

static KeDocument *
document_for(text *kind, bool is_key)
{
	static const char *const kinds[] = {"none", "connect", "debezium",
	"cloudevents"};
	KeSubscriptionOptions options = {0};
	char	   *name = text_to_cstring(kind);

	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i], name) != 0)
			continue;
		options.unwrap = (KeUnwrapKind) i;
		if (documents[i][is_key] == NULL)
			documents[i][is_key] = ke_document_open(&options,
													is_key ? KE_DOCUMENT_KEY
													: KE_DOCUMENT_VALUE,
													TopMemoryContext);
		return documents[i][is_key];
	}
	elog(ERROR, "unknown kind: %s", name);
}

/* Names and values in turn. */
static void
add_headers(KeMessage *msg, ArrayType *array)
{
	Datum	   *texts;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls,
					  &count);
	msg->nheaders = count / 2;
	msg->headers = palloc0(Max(count, 1) * sizeof(KeHeader));
	for (int i = 0; i < msg->nheaders; i++)
	{
		msg->headers[i].name = TextDatumGetCString(texts[2 * i]);
		if (nulls[2 * i + 1])
			continue;
		msg->headers[i].value = TextDatumGetCString(texts[2 * i + 1]);
		msg->headers[i].value_len = strlen(msg->headers[i].value);
	}
}

/*
 * Read arguments 0 to 4: kind, bytes (NULL: none), headers, whether they are
 * a key, offset.
 */
static KeDocument *
read_message(FunctionCallInfo fcinfo)
{
	KeDocument *document = document_for(PG_GETARG_TEXT_PP(0),
										PG_GETARG_BOOL(3));
	KeMessage	msg = {.offset = PG_GETARG_INT64(4)};
	KeMessage  *kept = palloc(sizeof(KeMessage));

	if (!PG_ARGISNULL(1))
	{
		bytea	   *bytes = PG_GETARG_BYTEA_PP(1);

		msg.value = msg.key = VARDATA_ANY(bytes);
		msg.value_len = msg.key_len = VARSIZE_ANY_EXHDR(bytes);
	}
	add_headers(&msg, PG_GETARG_ARRAYTYPE_P(2));
	*kept = msg;
	(void) ke_document_read(document, kept);
	return document;
}

/* What it does; then, where there is one, the value for columns, and whole. */
Datum
unit_unwrap(PG_FUNCTION_ARGS)
{
	static const char *const ops[] = {
		[KE_DOCUMENT_NONE] = "none",
		[KE_DOCUMENT_WHOLE] = "value",
		[KE_DOCUMENT_DELETE] = "delete",
		[KE_DOCUMENT_SKIP] = "skip"
	};
	KeDocument *document = read_message(fcinfo);
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, ops[document->op]);
	if (document->op == KE_DOCUMENT_WHOLE ||
		(document->op == KE_DOCUMENT_DELETE && document->root >= 0))
	{
		(void) ke_document_scan(document);
		appendStringInfoChar(&out, ' ');
		ke_json_write(&out, &document->json, document->root);
		if (document->whole != document->root)
		{
			appendStringInfoString(&out, " whole ");
			ke_json_write(&out, &document->json, document->whole);
		}
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* A field (argument 5) as a column of this type and typmod, printed. */
Datum
unit_unwrap_column(PG_FUNCTION_ARGS)
{
	KeDocument *document = read_message(fcinfo);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(5));
	Oid			type = PG_GETARG_OID(6);
	const KeJsonNode *nodes = document->json.nodes;
	int			node = document->root + 1;
	KeConverter conv;
	Oid			output;
	bool		varlena;
	bool		isnull;
	Datum		datum;

	for (int i = 0; i < nodes[document->root].count; i++)
	{
		if (nodes[node].len == strlen(name) &&
			memcmp(nodes[node].text, name, nodes[node].len) == 0)
			break;
		node = nodes[node + 1].next;
	}
	ke_convert_init(&conv, "v", type, PG_GETARG_INT32(7), NULL,
					CurrentMemoryContext);
	datum = ke_convert_json(&conv, &document->json, node + 1, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	getTypeOutputInfo(type, &output, &varlena);
	PG_RETURN_TEXT_P(cstring_to_text(OidOutputFunctionCall(output, datum)));
}
