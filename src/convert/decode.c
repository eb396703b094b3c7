/*
 * decode.c
 *	  Bytes of a message into Datums.
 *
 * An object is scanned as a whole before any field is converted, so broken
 * JSON is found first, wherever it is, and repeated fields cost nothing.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "convert/convert.h"
#include "convert/decode.h"
#include "convert/field_find.h"
#include "convert/jsonb_build.h"
#include "core/classify.h"
#include "core/failure.h"

/* The nodes of whole values; no user's code runs while they are in use. */
static KeJson whole;

struct KeDecoder
{
	TupleDesc	tupdesc;
	bool	   *wanted;
	KeConverter *converters;	/* of the wanted ones */
	int		   *found;			/* node of each attribute, or -1 */
	bool		keeps_unavailable;
	KeFieldMap *fields;
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

KeDecoder *
ke_decode_make(TupleDesc tupdesc, const bool *want,
			   const KeSubscriptionOptions *options, bool is_key,
			   MemoryContext parent)
{
	MemoryContext old = MemoryContextSwitchTo(parent);
	KeDecoder  *decoder = palloc0(sizeof(KeDecoder));
	int			natts = tupdesc->natts;

	decoder->tupdesc = CreateTupleDescCopy(tupdesc);
	decoder->wanted = palloc0(natts * sizeof(bool));
	decoder->converters = palloc0(natts * sizeof(KeConverter));
	decoder->found = palloc(natts * sizeof(int));
	memset(decoder->found, -1, natts * sizeof(int));
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (att->attisdropped || (want != NULL && !want[i]))
			continue;
		decoder->wanted[i] = true;
		ke_convert_init(&decoder->converters[i], NameStr(att->attname),
						att->atttypid, att->atttypmod, options, parent);
	}
	decoder->fields = ke_field_map_make(tupdesc, options, is_key, parent);
	MemoryContextSwitchTo(old);
	return decoder;
}

static inline bool
is_unavailable(const KeJson *json, int node)
{
	return json->nodes[node].form == KE_JSON_FORM_UNAVAILABLE;
}

void
ke_decode_keep_unavailable(KeDecoder *decoder)
{
	decoder->keeps_unavailable = true;
}

int
ke_decode_find_unavailable(const KeDecoder *decoder, const KeJson *json,
						   bool *unavailable)
{
	int			count = 0;

	for (int i = 0; i < decoder->tupdesc->natts; i++)
	{
		int			node = decoder->found[i];

		unavailable[i] = node >= 0 && decoder->wanted[i] &&
			is_unavailable(json, node);
		count += unavailable[i];
	}
	return count;
}

const bool *
ke_decode_wanted(KeDecoder *decoder, const KeJsonShape *shape)
{
	return ke_field_find_wanted(decoder->fields, shape);
}

void
ke_decode_object(KeDecoder *decoder, const KeJson *json, int root,
				 Datum *values, bool *nulls, bool *present)
{
	MemoryContext context = CurrentMemoryContext;
	int			natts = decoder->tupdesc->natts;
	volatile int at = 0;

	ke_field_find_nodes(decoder->fields, json, root, decoder->found);

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
			if (decoder->keeps_unavailable && is_unavailable(json, node))
			{
				present[i] = false;
				continue;
			}
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
