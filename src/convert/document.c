/*
 * document.c
 *	  A message's value or key as nodes, whatever its format.
 *
 * Of JSON that is taken as it is (plain), whole values are made from the bytes
 * and nodes are scanned on demand.  Any other format makes its nodes in
 * ke_document_read, and whole values are made from them.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"

#include "convert/avro_decode.h"
#include "convert/decode.h"
#include "convert/document.h"
#include "convert/json_write.h"
#include "convert/jsonb_build.h"
#include "convert/schema_source.h"
#include "convert/strip_nul.h"
#include "core/framing.h"

KeDocument *
ke_document_open(const KeSubscriptionOptions *options, KeDocumentPart part,
				 MemoryContext parent)
{
	KeDocument *document = MemoryContextAllocZero(parent, sizeof(KeDocument));

	document->part = part;
	document->subject = part == KE_DOCUMENT_KEY ? "message key"
		: "message value";
	if (options != NULL && KE_FORMAT_REGISTRY ==
		(part == KE_DOCUMENT_KEY ? options->key_format
		 : options->value_format))
		document->registry = options->registry;
	document->strip_nul = options != NULL && options->strip_nul;
	ke_json_scan_init(&document->json, document->subject, parent);
	if (options != NULL && options->unwrap != KE_UNWRAP_KIND_NONE)
		document->unwrap = ke_unwrap_make(options->unwrap,
										  part == KE_DOCUMENT_KEY,
										  document->subject, parent);
	return document;
}

static void
refuse_type(const KeDocument *document, const KeFraming *framing,
			const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is written in %s (%s), which cannot be decoded",
					document->subject, type,
					ke_schema_id_describe(&framing->id)),
			 errhint("Set %s to %s, and take the bytes: a handler with an argument of type bytea or kafka_message, or a column value of type bytea.",
					 document->part == KE_DOCUMENT_KEY ? "key_format" :
					 "value_format",
					 document->part == KE_DOCUMENT_KEY ? "text" : "json")));
}

/*
 * Columns, jsonb and JSON are made of nodes that need not have their text.
 * Who unwraps values reads it.
 */
static int
avro_flags(const KeDocument *document, const KeFraming *framing)
{
	int			flags = document->unwrap == NULL ? KE_AVRO_LAZY : 0;

	if (framing->id.kind == KE_SCHEMA_ID_CONFLUENT ||
		framing->id.kind == KE_SCHEMA_ID_GUID)
		flags |= KE_AVRO_BARE;
	return flags;
}

/* all: of a record all fields, whoever looks at them. */
static void
read_avro(KeDocument *document, const KeAvroSchema *schema,
		  const KeFraming *framing, bool all)
{
	KeJson	   *json = document->unwrap == NULL ? &document->json
		: ke_unwrap_source(document->unwrap);
	const bool *wanted = NULL;

	if (framing->is_json)
		refuse_type(document, framing, "Avro's JSON encoding");
	if (!all && document->columns != NULL && document->unwrap == NULL)
		wanted = ke_decode_wanted(document->columns,
								  ke_avro_schema_shape(schema));
	document->plain = false;
	document->scanned = true;
	document->partial = wanted != NULL;
	document->root = document->whole = 0;
	ke_avro_decode(schema, document->text, document->text_len,
				   avro_flags(document, framing), wanted, json);
}

/* What stands behind an id of the schema registry. */
static void
read_framed(KeDocument *document, KeMessage *msg, bool all)
{
	const KeRegistry *registry = document->registry;
	const KeSchema *schema;
	KeFraming	framing;
	const char *problem;

	if (!ke_framing_read(msg, document->part == KE_DOCUMENT_KEY,
						 registry->ids, &framing, &problem))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("%s %s", document->subject, problem)));
	schema = ke_schema_source_find(registry, &framing.id, document->subject);
	document->text = document->bytes + framing.skip;
	document->text_len = document->len - framing.skip;
	switch (schema->type)
	{
		case KE_SCHEMA_JSON:
			break;
		case KE_SCHEMA_AVRO:
			read_avro(document, schema->avro, &framing, all);
			break;
		case KE_SCHEMA_PROTOBUF:
		case KE_SCHEMA_OTHER:
			refuse_type(document, &framing, schema->type_name);
	}
}

/* Somebody takes the whole value after all. */
static inline void
complete(KeDocument *document)
{
	if (document->partial)
		read_framed(document, document->msg, true);
}

static void
strip_nul(KeDocument *document)
{
	const char *text = document->text;

	document->text = ke_strip_nul(text, &document->text_len);
	if (document->text != text)
		document->stripped++;
}

static KeDocumentOp
op_of(KeUnwrapOp op)
{
	switch (op)
	{
		case KE_UNWRAP_NONE:
			return KE_DOCUMENT_NONE;
		case KE_UNWRAP_VALUE:
			return KE_DOCUMENT_WHOLE;
		case KE_UNWRAP_DELETE:
			return KE_DOCUMENT_DELETE;
		case KE_UNWRAP_SKIP:
			return KE_DOCUMENT_SKIP;
	}
	pg_unreachable();
}

/* Of the value or key that was read, what is in its envelope. */
static void
take_out(KeDocument *document, KeMessage *msg)
{
	KeUnwrapped result;

	if (document->scanned)
		result = ke_unwrap_nodes(document->unwrap, msg, document->root,
								 &document->json);
	else
		result = ke_unwrap_json(document->unwrap, msg, document->text,
								document->text_len, &document->json);
	document->root = result.root;
	document->whole = result.whole;
	document->plain = false;
	document->scanned = true;
	document->op = op_of(result.op);
}

KeDocumentOp
ke_document_read(KeDocument *document, KeMessage *msg)
{
	bool		is_key = document->part == KE_DOCUMENT_KEY;

	document->msg = msg;
	document->bytes = is_key ? msg->key : msg->value;
	document->len = is_key ? msg->key_len : msg->value_len;
	document->text = document->bytes;
	document->text_len = document->len;
	document->plain = true;
	document->partial = false;
	document->scanned = false;
	document->op = document->bytes == NULL ? KE_DOCUMENT_NONE
		: KE_DOCUMENT_WHOLE;
	if (document->registry != NULL && document->op == KE_DOCUMENT_WHOLE)
		read_framed(document, msg, false);
	if (document->strip_nul && document->plain && document->text != NULL)
		strip_nul(document);
	if (document->unwrap != NULL)
		take_out(document, msg);
	return document->op;
}

/* Is this text, of a key, JSON?  Producers write keys as plain text too. */
static bool
is_json_key(const char *text, int32 len)
{
	const char *end = text + len;

	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		return true;
	while (text < end &&
		   (*text == ' ' || *text == '\t' || *text == '\r' || *text == '\n'))
		text++;
	return text < end && *text == '{';
}

int
ke_document_scan(KeDocument *document)
{
	int32		len = document->text_len;
	const char *text;

	if (document->scanned)
		return document->root;
	text = ke_json_scan_to_server(document->text, &len, document->subject);
	if (document->part == KE_DOCUMENT_KEY && !is_json_key(text, len))
		ke_json_scan_plain(&document->json, text, len);
	else
		ke_json_scan(&document->json, text, len, true);
	document->root = document->whole = 0;
	document->scanned = true;
	return 0;
}

static Datum
write_json(KeDocument *document)
{
	StringInfoData text;

	initStringInfo(&text);
	ke_json_write(&text, &document->json, document->whole);
	return PointerGetDatum(cstring_to_text_with_len(text.data, text.len));
}

Datum
ke_document_jsonb(KeDocument *document)
{
	if (!document->scanned)
		return ke_decode_jsonb(document->text, document->text_len,
							   document->subject);
	complete(document);
	return ke_jsonb_build(&document->json, document->whole);
}

Datum
ke_document_json(KeDocument *document)
{
	if (document->plain)
		return ke_decode_json(document->text, document->text_len,
							  document->subject);
	complete(document);
	return write_json(document);
}

/* Of what is not plain: a string's characters, all else as JSON. */
Datum
ke_document_text(KeDocument *document)
{
	const KeJsonNode *root;
	const char *text;
	int32		len;

	if (document->plain)
		return ke_decode_text(document->text, document->text_len,
							  document->subject);
	complete(document);
	root = &document->json.nodes[document->whole];
	if (root->kind != KE_JSON_STRING)
		return write_json(document);
	if (document->json.lazy)
		ke_json_nodes_print(&document->json, document->whole);
	text = ke_json_scan_characters(root, &len);
	return PointerGetDatum(cstring_to_text_with_len(text, len));
}

Datum
ke_document_bytea(KeDocument *document)
{
	return ke_decode_bytea(document->bytes, document->len);
}

Datum
ke_document_convert(KeDocument *document, KeConverter *conv, bool *isnull)
{
	*isnull = false;
	if (conv->kind == KE_CONVERT_BYTEA)
		return ke_decode_whole(conv, document->bytes, document->len,
							   document->subject);
	if (document->plain)
		return ke_decode_whole(conv, document->text, document->text_len,
							   document->subject);
	complete(document);
	return ke_convert_json(conv, &document->json, document->whole, isnull);
}
