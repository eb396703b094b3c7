/*
 * convert.c
 *	  One JSON value, text or number into a Datum of a column's type.
 *
 * Fast ways are tried first; whatever they do not cover goes to PostgreSQL's
 * own code, which also raises the errors.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/typcache.h"

#include "convert/bytes_text.h"
#include "convert/convert.h"
#include "convert/hstore_write.h"
#include "convert/jsonb_build.h"
#include "convert/json_write.h"
#include "convert/numeric_build.h"
#include "convert/parse_scalar.h"
#include "convert/untyped.h"

static KeConvertKind
kind_of_type(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return KE_CONVERT_BOOL;
		case INT2OID:
			return KE_CONVERT_INT2;
		case INT4OID:
			return KE_CONVERT_INT4;
		case INT8OID:
			return KE_CONVERT_INT8;
		case FLOAT4OID:
			return KE_CONVERT_FLOAT4;
		case FLOAT8OID:
			return KE_CONVERT_FLOAT8;
		case NUMERICOID:
			return KE_CONVERT_NUMERIC;
		case TEXTOID:
		case VARCHAROID:
			return KE_CONVERT_TEXT;
		case BYTEAOID:
			return KE_CONVERT_BYTEA;
		case UUIDOID:
			return KE_CONVERT_UUID;
		case DATEOID:
			return KE_CONVERT_DATE;
		case TIMESTAMPOID:
			return KE_CONVERT_TIMESTAMP;
		case TIMESTAMPTZOID:
			return KE_CONVERT_TIMESTAMPTZ;
		case JSONOID:
			return KE_CONVERT_JSON;
		case JSONBOID:
			return KE_CONVERT_JSONB;
		default:
			if (type_is_rowtype(type) || type_is_array(type))
				return KE_CONVERT_NESTED;
			return KE_CONVERT_INPUT;
	}
}

/*
 * json_populate_record with a row of one column: how arrays and composite
 * types take JSON.
 */
static void
init_populate(KeConverter *conv, const char *name, int32 typmod)
{
	TupleDesc	desc = CreateTemplateTupleDesc(1);
	StringInfoData prefix;
	Datum		value = (Datum) 0;
	bool		null = true;
	Node	   *record;
	List	   *args;

	TupleDescInitEntry(desc, 1, name, conv->type, typmod, 0);
	conv->record_desc = BlessTupleDesc(desc);
	conv->record = HeapTupleGetDatum(heap_form_tuple(desc, &value, &null));

	initStringInfo(&prefix);
	appendStringInfoChar(&prefix, '{');
	escape_json(&prefix, name);
	appendStringInfoChar(&prefix, ':');
	conv->record_prefix = prefix.data;

	record = (Node *) makeConst(RECORDOID, -1, InvalidOid, -1, conv->record,
								false, false);
	args = list_make3(record,
					  makeNullConst(JSONOID, -1, InvalidOid),
					  makeBoolConst(false, false));
	fmgr_info_cxt(F_JSON_POPULATE_RECORD, &conv->populate, conv->context);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_JSON_POPULATE_RECORD,
											 RECORDOID, args,
											 InvalidOid, InvalidOid,
											 COERCE_EXPLICIT_CALL),
					   &conv->populate);
}

void
ke_convert_init(KeConverter *conv, const char *name, Oid type,
				int32 typmod, const KeSubscriptionOptions *options,
				MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Oid			input;

	memset(conv, 0, sizeof(KeConverter));
	conv->context = context;
	conv->type = type;
	conv->typmod = typmod;
	conv->base_type = getBaseTypeAndTypmod(type, &conv->typmod);
	conv->is_domain = conv->base_type != type;
	conv->kind = kind_of_type(conv->base_type);
	conv->is_hstore = conv->kind == KE_CONVERT_INPUT &&
		ke_hstore_write_is_hstore(conv->base_type);
	conv->asks_for_type = conv->is_hstore ||
		ke_untyped_concerns(conv->base_type);
	getTypeInputInfo(conv->base_type, &input, &conv->input_param);
	fmgr_info_cxt(input, &conv->input, context);
	if (options != NULL)
	{
		conv->epoch = ke_epoch_type(conv->base_type);
		conv->unit = options->timestamp_unit;
		conv->encoding = options->bytes_encoding;
		conv->refuses_text = ke_untyped_refuses_text(conv->base_type, options);
	}
	if (conv->kind == KE_CONVERT_NESTED)
	{
		init_populate(conv, name, typmod);
		conv->nested = ke_nested_make(conv->base_type, options, context);
	}
	MemoryContextSwitchTo(old);
}

Datum
ke_convert_check(KeConverter *conv, Datum datum, bool isnull)
{
	if (conv->is_domain)
		domain_check(datum, isnull, conv->type, &conv->domain_cache,
					 conv->context);
	return datum;
}

Datum
ke_convert_null(KeConverter *conv)
{
	return ke_convert_check(conv, (Datum) 0, true);
}

static Datum
call_input(KeConverter *conv, const char *text, int32 len)
{
	return InputFunctionCall(&conv->input, pnstrdup(text, len),
							 conv->input_param, conv->typmod);
}

static Datum
convert_integer(KeConverter *conv, int64 value, bool *done)
{
	*done = true;
	switch (conv->kind)
	{
		case KE_CONVERT_INT2:
			if (value >= PG_INT16_MIN && value <= PG_INT16_MAX)
				return Int16GetDatum((int16) value);
			break;
		case KE_CONVERT_INT4:
			if (value >= PG_INT32_MIN && value <= PG_INT32_MAX)
				return Int32GetDatum((int32) value);
			break;
		case KE_CONVERT_INT8:
			return Int64GetDatum(value);
		default:
			break;
	}
	*done = false;
	return (Datum) 0;
}

/* A numeric's typmod: precision and scale, as numeric.c packs them. */
#define NUMERIC_PRECISION(typmod) ((((typmod) - VARHDRSZ) >> 16) & 0xffff)
#define NUMERIC_SCALE(typmod) (((((typmod) - VARHDRSZ) & 0x7ff) ^ 1024) - 1024)

/*
 * Whether the typmod, if any, leaves the digits as they are; otherwise they
 * must be rounded or refused.
 */
static bool
fits_numeric(int32 typmod, const char *text, int32 len)
{
	const char *point;
	int32		whole;
	int32		scale;

	if (typmod < VARHDRSZ)
		return true;
	point = memchr(text, '.', len);
	whole = point == NULL ? len : (int32) (point - text);
	scale = point == NULL ? 0 : len - whole - 1;
	return scale <= NUMERIC_SCALE(typmod) &&
		whole <= NUMERIC_PRECISION(typmod) - NUMERIC_SCALE(typmod);
}

static Datum
convert_numeric(KeConverter *conv, const char *text, int32 len, bool *done)
{
	int			scale = conv->typmod < VARHDRSZ ? 0
		: NUMERIC_SCALE(conv->typmod);
	char	   *result;

	*done = false;
	if (!fits_numeric(conv->typmod, text, len))
		return (Datum) 0;
	result = palloc(KE_NUMERIC_ROOM(len));
	*done = ke_numeric_build(result, text, len, scale) > 0;
	return PointerGetDatum(result);
}

/* Whether the typmod leaves value / 10^scale as it is, but for zeros. */
static bool
fits_decimal(int32 typmod, int64 value, int scale)
{
	int			digits;
	uint64		limit = 1;

	if (typmod < VARHDRSZ)
		return true;
	if (scale > NUMERIC_SCALE(typmod))
		return false;
	/* that all of the value's digits may be */
	digits = NUMERIC_PRECISION(typmod) - NUMERIC_SCALE(typmod) + scale;
	if (digits < 0)
		return value == 0;
	for (int i = 0; i < Min(digits, 19); i++)
		limit *= 10;
	return (value < 0 ? -(uint64) value : (uint64) value) < limit;
}

static bool
convert_decimal(KeConverter *conv, int64 value, int scale, Datum *datum)
{
	int			min_scale = conv->typmod < VARHDRSZ ? 0
		: NUMERIC_SCALE(conv->typmod);
	char	   *result;

	if (conv->kind != KE_CONVERT_NUMERIC ||
		!fits_decimal(conv->typmod, value, scale))
		return false;
	result = palloc(KE_NUMERIC_INT_ROOM);
	*datum = PointerGetDatum(result);
	return ke_numeric_build_int(result, value, scale, min_scale) > 0;
}

/* A varchar that may be too long is left to varcharin. */
static Datum
convert_chars(KeConverter *conv, const char *text, int32 len, bool *done)
{
	*done = conv->typmod < VARHDRSZ || len <= conv->typmod - VARHDRSZ;
	if (!*done)
		return (Datum) 0;
	return PointerGetDatum(cstring_to_text_with_len(text, len));
}

/* A typmod makes the type round: only the full precision is taken as is. */
static inline bool
is_full_precision(int32 typmod)
{
	return typmod < 0 || typmod == MAX_TIMESTAMP_PRECISION;
}

/* The fast ways; *done is false when there is none for this text. */
static Datum
convert_fast(KeConverter *conv, const char *text, int32 len, bool *done)
{
	union
	{
		int64		integer;
		float4		float4;
		float8		float8;
		DateADT		date;
		Timestamp	moment;
	}			parsed;
	pg_uuid_t  *uuid;

	*done = false;
	switch (conv->kind)
	{
		case KE_CONVERT_INT2:
		case KE_CONVERT_INT4:
		case KE_CONVERT_INT8:
			if (ke_parse_scalar_int(text, len, &parsed.integer))
				return convert_integer(conv, parsed.integer, done);
			break;
		case KE_CONVERT_FLOAT4:
			*done = ke_parse_scalar_float4(text, len, &parsed.float4);
			return *done ? Float4GetDatum(parsed.float4) : (Datum) 0;
		case KE_CONVERT_FLOAT8:
			*done = ke_parse_scalar_float8(text, len, &parsed.float8);
			return *done ? Float8GetDatum(parsed.float8) : (Datum) 0;
		case KE_CONVERT_NUMERIC:
			return convert_numeric(conv, text, len, done);
		case KE_CONVERT_TEXT:
			return convert_chars(conv, text, len, done);
		case KE_CONVERT_UUID:
			uuid = palloc(sizeof(pg_uuid_t));
			*done = ke_parse_scalar_uuid(text, len, uuid);
			return UUIDPGetDatum(uuid);
		case KE_CONVERT_DATE:
			*done = ke_parse_scalar_date(text, len, &parsed.date);
			return *done ? DateADTGetDatum(parsed.date) : (Datum) 0;
		case KE_CONVERT_TIMESTAMP:
			*done = is_full_precision(conv->typmod) &&
				ke_parse_scalar_timestamp(text, len, &parsed.moment);
			return *done ? TimestampGetDatum(parsed.moment) : (Datum) 0;
		case KE_CONVERT_TIMESTAMPTZ:
			*done = is_full_precision(conv->typmod) &&
				ke_parse_scalar_timestamptz(text, len, &parsed.moment);
			return *done ? TimestampTzGetDatum(parsed.moment) : (Datum) 0;
		case KE_CONVERT_INPUT:
		case KE_CONVERT_NESTED:
		case KE_CONVERT_BOOL:
		case KE_CONVERT_BYTEA:
		case KE_CONVERT_JSON:
		case KE_CONVERT_JSONB:
			break;
	}
	return (Datum) 0;
}

/*
 * What a binary format has beside its text, where the type takes that as it
 * is; false where the text is needed.
 */
static bool
convert_form(KeConverter *conv, const KeJsonNode *node, Datum *datum)
{
	int64		value = node->value.integer;
	const char *bytes = node->value.bytes;
	bool		done;

	switch ((KeJsonForm) node->form)
	{
		case KE_JSON_FORM_TEXT:
		case KE_JSON_FORM_JSON_NULL:
		case KE_JSON_FORM_UNAVAILABLE:
			return false;
		case KE_JSON_FORM_BITS:
			if (conv->base_type == VARBITOID)
				ke_untyped_check_bits(node);
			return false;
		case KE_JSON_FORM_INT:
			*datum = convert_integer(conv, value, &done);
			return done || convert_decimal(conv, value, 0, datum);
		case KE_JSON_FORM_DECIMAL:
			return convert_decimal(conv, value, node->count, datum);
		case KE_JSON_FORM_FLOAT4:
			if (conv->kind == KE_CONVERT_FLOAT4)
				*datum = Float4GetDatum((float4) node->value.number);
			else if (conv->kind == KE_CONVERT_FLOAT8)
				*datum = Float8GetDatum(node->value.number);
			else
				return false;
			return true;
		case KE_JSON_FORM_FLOAT8:
			*datum = Float8GetDatum(node->value.number);
			return conv->kind == KE_CONVERT_FLOAT8;
		case KE_JSON_FORM_BYTES:
			if (conv->kind != KE_CONVERT_BYTEA)
				return false;
			*datum = PointerGetDatum(cstring_to_text_with_len(bytes,
															  node->count));
			return true;
		case KE_JSON_FORM_DATE:
			*datum = DateADTGetDatum((DateADT) value);
			return conv->kind == KE_CONVERT_DATE;
		case KE_JSON_FORM_TIME:
			*datum = TimeADTGetDatum(value);
			return conv->base_type == TIMEOID &&
				is_full_precision(conv->typmod);
		case KE_JSON_FORM_TIMESTAMP:
			*datum = TimestampGetDatum(value);
			return conv->kind == KE_CONVERT_TIMESTAMP &&
				is_full_precision(conv->typmod);
		case KE_JSON_FORM_TIMESTAMPTZ:
			/* into a timestamp, without its zone: of UTC */
			*datum = TimestampTzGetDatum(value);
			return (conv->kind == KE_CONVERT_TIMESTAMPTZ ||
					conv->kind == KE_CONVERT_TIMESTAMP) &&
				is_full_precision(conv->typmod);
	}
	pg_unreachable();
}

/* Without the domain's check. */
static Datum
convert_chars_of(KeConverter *conv, const char *text, int32 len)
{
	bool		done;
	Datum		datum = convert_fast(conv, text, len, &done);

	return done ? datum : call_input(conv, text, len);
}

Datum
ke_convert_text(KeConverter *conv, const char *text, int32 len)
{
	return ke_convert_check(conv, convert_chars_of(conv, text, len), false);
}

Datum
ke_convert_int(KeConverter *conv, int64 value)
{
	bool		done;
	Datum		datum = convert_integer(conv, value, &done);
	char		text[MAXINT8LEN + 1];

	if (done)
		return ke_convert_check(conv, datum, false);
	return ke_convert_text(conv, text, pg_lltoa(value, text));
}

/* A JSON string: its characters into the type. */
static Datum
convert_string(KeConverter *conv, const KeJson *json, int node)
{
	const KeJsonNode *value = &json->nodes[node];
	const char *text = value->text;
	int32		len = value->len;

	if (conv->kind == KE_CONVERT_JSONB)
		return ke_jsonb_build(json, node);
	if (value->escaped)
		text = ke_json_scan_characters(value, &len);
	if (conv->kind == KE_CONVERT_JSON)
	{
		StringInfoData buf;

		initStringInfo(&buf);
		escape_json(&buf, pnstrdup(text, len));
		return PointerGetDatum(cstring_to_text_with_len(buf.data, buf.len));
	}
	if (conv->kind == KE_CONVERT_BYTEA && conv->encoding != KE_BYTES_TEXT)
		return ke_bytes_text_decode(conv->encoding, text, len);
	if (conv->refuses_text)
		ke_untyped_refuse_text();
	return convert_chars_of(conv, text, len);
}

/* Anything but a string into an array or a composite type, checks included. */
static Datum
convert_nested(KeConverter *conv, const KeJson *json, int node, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 3);
	StringInfoData text;
	HeapTupleHeader row;
	HeapTupleData tuple;

	initStringInfo(&text);
	appendStringInfoString(&text, conv->record_prefix);
	ke_nested_write(&text, conv->nested, json, node);
	appendStringInfoChar(&text, '}');

	InitFunctionCallInfoData(*fcinfo, &conv->populate, 3, InvalidOid, NULL,
							 NULL);
	fcinfo->args[0].value = conv->record;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value =
		PointerGetDatum(cstring_to_text_with_len(text.data, text.len));
	fcinfo->args[1].isnull = false;
	fcinfo->args[2].value = BoolGetDatum(false);
	fcinfo->args[2].isnull = false;
	row = DatumGetHeapTupleHeader(FunctionCallInvoke(fcinfo));

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	return heap_getattr(&tuple, 1, conv->record_desc, isnull);
}

/* true, false, a number, an array or an object into a type that is none. */
static Datum
convert_other(KeConverter *conv, const KeJson *json, int node)
{
	const KeJsonNode *value = &json->nodes[node];
	const char *text = value->text;
	int32		len = value->len;

	if (text == NULL && conv->kind != KE_CONVERT_JSONB)
	{
		StringInfoData written;

		initStringInfo(&written);
		ke_json_write(&written, json, node);
		text = written.data;
		len = written.len;
	}
	if (conv->epoch != KE_EPOCH_NONE && value->kind == KE_JSON_NUMBER)
		return ke_epoch_convert(conv->epoch, conv->typmod, conv->unit, text,
								len);
	switch (conv->kind)
	{
		case KE_CONVERT_JSONB:
			return ke_jsonb_build(json, node);
		case KE_CONVERT_JSON:
			return PointerGetDatum(cstring_to_text_with_len(text, len));
		case KE_CONVERT_BOOL:
			if (value->kind == KE_JSON_TRUE || value->kind == KE_JSON_FALSE)
				return BoolGetDatum(value->kind == KE_JSON_TRUE);
			/* FALLTHROUGH */
		default:
			if ((conv->base_type == BITOID || conv->base_type == VARBITOID) &&
				(value->kind == KE_JSON_TRUE || value->kind == KE_JSON_FALSE))
				return call_input(conv, value->kind == KE_JSON_TRUE ? "1"
								  : "0", 1);
			return convert_chars_of(conv, text, len);
	}
}

static Datum
convert_hstore(KeConverter *conv, const KeJson *json, int node)
{
	StringInfoData text;

	initStringInfo(&text);
	ke_hstore_write(&text, json, node);
	return call_input(conv, text.data, text.len);
}

/* The subscription says what numbers count and how bytes are written. */
static bool
is_told_by_options(const KeConverter *conv, const KeJsonNode *value)
{
	return value->kind == KE_JSON_NUMBER ? conv->unit != 0 :
		conv->kind == KE_CONVERT_BYTEA && conv->encoding != KE_BYTES_TEXT;
}

Datum
ke_convert_json(KeConverter *conv, const KeJson *json, int node,
				bool *isnull)
{
	const KeJsonNode *value = &json->nodes[node];
	Datum		datum;

	*isnull = value->kind == KE_JSON_NULL;
	if (*isnull && value->form == KE_JSON_FORM_JSON_NULL &&
		(conv->kind == KE_CONVERT_JSON || conv->kind == KE_CONVERT_JSONB))
		*isnull = false;
	if (*isnull)
	{
		ke_untyped_check_null(json, value);
		return ke_convert_null(conv);
	}
	if (json->untyped && conv->asks_for_type &&
		!is_told_by_options(conv, value))
		return ke_convert_json(conv, ke_untyped_tell(conv->base_type,
													 conv->typmod,
													 conv->is_hstore, json,
													 node), 0, isnull);
	if (value->form != KE_JSON_FORM_TEXT)
	{
		if (convert_form(conv, value, &datum))
			return conv->is_domain ? ke_convert_check(conv, datum, false)
				: datum;
		if (value->text == NULL)
			ke_json_nodes_print(json, node);
	}
	if (value->kind == KE_JSON_STRING)
		datum = convert_string(conv, json, node);
	else if (conv->kind == KE_CONVERT_NESTED)
		return convert_nested(conv, json, node, isnull);
	else if (conv->is_hstore && value->kind == KE_JSON_OBJECT)
		datum = convert_hstore(conv, json, node);
	else
		datum = convert_other(conv, json, node);
	return ke_convert_check(conv, datum, false);
}
