/*
 * decode.c
 *	  Bytes of a message into Datums.
 *
 * An object is scanned as a whole before any field is converted, so broken
 * JSON is found first, wherever it is, and repeated fields cost nothing.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "convert/convert.h"
#include "convert/decode.h"
#include "convert/jsonb_build.h"
#include "core/classify.h"
#include "core/failure.h"

/* The nodes of whole values; no user's code runs while they are in use. */
static KeJson whole;

/*
 * What the n-th field of the last object was.  Messages of a topic look
 * alike: most fields are found here without a hash.
 */
typedef struct Guess
{
	char		name[NAMEDATALEN];
	int			len;			/* -1: nothing known */
	int			attribute;		/* index, or -1: no such column */
} Guess;

#define GUESSES 64

/* An entry of the hash table of names: open addressing, half full at most. */
typedef struct NameSlot
{
	uint32		hash;
	int			attribute;		/* index, or -1: free */
} NameSlot;

struct KeDecoder
{
	TupleDesc	tupdesc;
	bool	   *wanted;
	KeConverter *converters;	/* of the wanted ones */
	int		   *found;			/* node of each attribute, or -1 */
	NameSlot   *names;
	uint32		names_mask;
	Guess		guesses[GUESSES];
};

static void
scan_whole(const char *bytes, int32 len, bool unescape, const char *subject)
{
	const char *text = ke_json_scan_to_server(bytes, &len, subject);

	if (whole.context == NULL)
		ke_json_scan_init(&whole, subject, TopMemoryContext);
	whole.subject = subject;
	ke_json_scan(&whole, text, len, unescape);
}

Datum
ke_decode_jsonb(const char *bytes, int32 len, const char *subject)
{
	scan_whole(bytes, len, true, subject);
	return ke_jsonb_build(&whole, 0);
}

Datum
ke_decode_json(const char *bytes, int32 len, const char *subject)
{
	scan_whole(bytes, len, false, subject);
	return PointerGetDatum(cstring_to_text_with_len(whole.text,
													whole.end - whole.text));
}

Datum
ke_decode_text(const char *bytes, int32 len, const char *subject)
{
	const char *text = ke_json_scan_to_server(bytes, &len, subject);

	return PointerGetDatum(cstring_to_text_with_len(text, len));
}

Datum
ke_decode_bytea(const char *bytes, int32 len)
{
	return PointerGetDatum(cstring_to_text_with_len(bytes, len));
}

Datum
ke_decode_whole(KeConverter *conv, const char *bytes, int32 len,
				const char *subject)
{
	const char *text;
	Datum		datum;

	switch (conv->kind)
	{
		case KE_CONVERT_BYTEA:
			datum = ke_decode_bytea(bytes, len);
			break;
		case KE_CONVERT_JSON:
			datum = ke_decode_json(bytes, len, subject);
			break;
		case KE_CONVERT_JSONB:
			datum = ke_decode_jsonb(bytes, len, subject);
			break;
		default:
			text = ke_json_scan_to_server(bytes, &len, subject);
			return ke_convert_text(conv, text, len);
	}
	return ke_convert_check(conv, datum, false);
}

static inline uint32
hash_name(const char *name, int len)
{
	return hash_bytes((const unsigned char *) name, len);
}

static void
build_names(KeDecoder *decoder)
{
	TupleDesc	tupdesc = decoder->tupdesc;
	uint32		size = 8;

	while (size < 2 * tupdesc->natts)
		size *= 2;
	decoder->names = palloc(size * sizeof(NameSlot));
	decoder->names_mask = size - 1;
	for (uint32 i = 0; i < size; i++)
		decoder->names[i].attribute = -1;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		uint32		hash;
		uint32		slot;

		if (att->attisdropped)
			continue;
		hash = hash_name(NameStr(att->attname), strlen(NameStr(att->attname)));
		slot = hash & decoder->names_mask;
		while (decoder->names[slot].attribute >= 0)
			slot = (slot + 1) & decoder->names_mask;
		decoder->names[slot].hash = hash;
		decoder->names[slot].attribute = i;
	}
}

KeDecoder *
ke_decode_make(TupleDesc tupdesc, const bool *want, MemoryContext parent)
{
	MemoryContext old = MemoryContextSwitchTo(parent);
	KeDecoder  *decoder = palloc0(sizeof(KeDecoder));
	int			natts = tupdesc->natts;

	decoder->tupdesc = CreateTupleDescCopy(tupdesc);
	decoder->wanted = palloc0(natts * sizeof(bool));
	decoder->converters = palloc0(natts * sizeof(KeConverter));
	decoder->found = palloc(natts * sizeof(int));
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (att->attisdropped || (want != NULL && !want[i]))
			continue;
		decoder->wanted[i] = true;
		ke_convert_init(&decoder->converters[i], NameStr(att->attname),
						att->atttypid, att->atttypmod, parent);
	}
	build_names(decoder);
	for (int i = 0; i < GUESSES; i++)
		decoder->guesses[i].len = -1;
	MemoryContextSwitchTo(old);
	return decoder;
}

/* The attribute of that name, or -1. */
static int
look_up(KeDecoder *decoder, const char *name, int len)
{
	uint32		hash = hash_name(name, len);
	uint32		slot = hash & decoder->names_mask;
	int			attribute;

	while ((attribute = decoder->names[slot].attribute) >= 0)
	{
		if (decoder->names[slot].hash == hash)
		{
			char	   *attname = NameStr(TupleDescAttr(decoder->tupdesc,
														attribute)->attname);

			if (strncmp(attname, name, len) == 0 && attname[len] == '\0')
				return attribute;
		}
		slot = (slot + 1) & decoder->names_mask;
	}
	return -1;
}

/* The attribute that the nth field of an object, with this key, goes to. */
static int
attribute_of_key(KeDecoder *decoder, const KeJsonNode *key, int nth)
{
	const char *name = key->text;
	int32		len = key->len;
	Guess	   *guess = nth < GUESSES ? &decoder->guesses[nth] : NULL;
	int			attribute;

	if (key->escaped)
		name = ke_json_scan_characters(key, &len);
	if (len >= NAMEDATALEN)
		return -1;
	if (guess != NULL && guess->len == len &&
		memcmp(guess->name, name, len) == 0)
		return guess->attribute;

	attribute = look_up(decoder, name, len);
	if (guess != NULL)
	{
		memcpy(guess->name, name, len);
		guess->len = len;
		guess->attribute = attribute;
	}
	return attribute;
}

static const char *
article_and_kind(const KeJsonNode *node)
{
	switch ((KeJsonKind) node->kind)
	{
		case KE_JSON_NULL:
			return "null";
		case KE_JSON_FALSE:
		case KE_JSON_TRUE:
			return "a boolean";
		case KE_JSON_NUMBER:
			return "a number";
		case KE_JSON_STRING:
			return node->verbatim ? "plain text" : "a string";
		case KE_JSON_ARRAY:
			return "an array";
		case KE_JSON_OBJECT:
			return "an object";
	}
	pg_unreachable();
}

/* Remember where in the object each attribute's value is. */
static void
find_fields(KeDecoder *decoder, const KeJson *json, int root)
{
	int			count = json->nodes[root].count;
	int			node = root + 1;

	if (json->nodes[root].kind != KE_JSON_OBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is not a JSON object", json->subject),
				 errdetail("It is %s.",
						   article_and_kind(&json->nodes[root]))));

	for (int i = 0; i < decoder->tupdesc->natts; i++)
		decoder->found[i] = -1;
	for (int i = 0; i < count; i++)
	{
		int			attribute = attribute_of_key(decoder, &json->nodes[node],
												 i);

		if (attribute >= 0)
			decoder->found[attribute] = node + 1;
		node = json->nodes[node + 1].next;
	}
}

void
ke_decode_object(KeDecoder *decoder, const KeJson *json, int root,
				 Datum *values, bool *nulls, bool *present)
{
	MemoryContext context = CurrentMemoryContext;
	int			natts = decoder->tupdesc->natts;
	volatile int at = 0;

	find_fields(decoder, json, root);

	PG_TRY();
	{
		for (int i = 0; i < natts; i++)
		{
			int			node = decoder->found[i];

			present[i] = node >= 0;
			nulls[i] = true;
			values[i] = (Datum) 0;
			if (node < 0 || !decoder->wanted[i])
				continue;
			at = i;
			values[i] = ke_convert_json(&decoder->converters[i], json, node,
										&nulls[i]);
		}
	}
	PG_CATCH();
	{
		Form_pg_attribute att = TupleDescAttr(decoder->tupdesc, at);

		ke_decode_rethrow(NameStr(att->attname), context);
	}
	PG_END_TRY();
}

/*
 * The error, in context, about this column.  That is not done by an error
 * context callback, because user code (a domain's check) may have named a
 * column itself.
 */
static ErrorData *
take_error(const char *column, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	if (error->column_name == NULL && column != NULL &&
		ke_classify(error->sqlerrcode, false) != KE_VERDICT_NOBODY)
		error->column_name = pstrdup(column);
	return error;
}

void
ke_decode_rethrow(const char *column, MemoryContext context)
{
	ErrorData  *error = take_error(column, context);

	ke_failure_blame_data(error->sqlerrcode);
	ReThrowError(error);
}

void
ke_decode_rethrow_default(const char *column, MemoryContext context)
{
	ReThrowError(take_error(column, context));
}
