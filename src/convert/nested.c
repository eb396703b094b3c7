/*
 * nested.c
 *	  What is inside of arrays and rows, for json_populate_record to read.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "convert/bytes_text.h"
#include "convert/epoch.h"
#include "convert/json_scan.h"
#include "convert/json_write.h"
#include "convert/nested.h"
#include "convert/untyped.h"

struct KeNested
{
	KeEpochType epoch;			/* a date or time; or none */
	bool		is_bytea;
	Oid			type;			/* of these two */
	KeTimestampUnit unit;
	KeBytesEncoding encoding;
	bool		refuses_text;	/* see untyped.h */
	struct KeNested *element;	/* of an array, whatever its dimensions */
	int			nfields;		/* of a row */
	char	  **names;
	struct KeNested **fields;	/* each NULL if nothing is rewritten */
};

static KeNested *make(Oid type, const KeSubscriptionOptions *options);

static KeNested *
make_leaf(Oid type, const KeSubscriptionOptions *options)
{
	KeEpochType epoch = options != NULL ? ke_epoch_type(type) : KE_EPOCH_NONE;
	KeNested   *nested;

	if (epoch == KE_EPOCH_NONE && type != BYTEAOID)
		return NULL;
	nested = palloc0(sizeof(KeNested));
	nested->type = type;
	nested->epoch = epoch;
	nested->is_bytea = type == BYTEAOID;
	if (options != NULL)
	{
		nested->unit = options->timestamp_unit;
		nested->encoding = options->bytes_encoding;
		nested->refuses_text = ke_untyped_refuses_text(type, options);
	}
	return nested;
}

static KeNested *
make_row(Oid type, const KeSubscriptionOptions *options)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	KeNested   *nested = palloc0(sizeof(KeNested));
	bool		needed = false;

	nested->nfields = desc->natts;
	nested->names = palloc0(desc->natts * sizeof(char *));
	nested->fields = palloc0(desc->natts * sizeof(KeNested *));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		nested->names[i] = NameStr(att->attname);
		nested->fields[i] = make(att->atttypid, options);
		needed |= nested->fields[i] != NULL;
	}
	return needed ? nested : NULL;
}

static KeNested *
make(Oid type, const KeSubscriptionOptions *options)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);
	KeNested   *inside;
	KeNested   *nested;

	check_stack_depth();
	if (!OidIsValid(element))
		return get_typtype(base) == TYPTYPE_COMPOSITE ?
			make_row(base, options) : make_leaf(base, options);
	inside = make(element, options);
	if (inside == NULL)
		return NULL;
	nested = palloc0(sizeof(KeNested));
	nested->element = inside;
	return nested;
}

KeNested *
ke_nested_make(Oid type, const KeSubscriptionOptions *options,
			   MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	KeNested   *nested = make(type, options);

	MemoryContextSwitchTo(old);
	return nested;
}

/* A number as a date or time, in a form that no setting changes. */
static void
write_epoch(StringInfo out, const KeNested *nested, const KeJsonNode *node)
{
	Datum		datum = ke_epoch_convert(nested->epoch, -1, nested->unit,
										 node->text, node->len);
	char		buf[MAXDATELEN + 1];

	if (nested->epoch == KE_EPOCH_INTERVAL)
		escape_json(out, OidOutputFunctionCall(F_INTERVAL_OUT, datum));
	else
	{
		(void) JsonEncodeDateTime(buf, datum, nested->type, NULL);
		escape_json(out, buf);
	}
}

static void
write_bytes(StringInfo out, const char *bytes, int32 len)
{
	appendStringInfoString(out, "\"\\\\x");
	enlargeStringInfo(out, 2 * len + 1);
	out->len += hex_encode(bytes, len, out->data + out->len);
	appendStringInfoChar(out, '"');
}

static void
write_bytea(StringInfo out, const KeNested *nested, const KeJson *json,
			int index)
{
	const KeJsonNode *node = &json->nodes[index];
	const char *text;
	int32		len;
	bytea	   *bytes;

	if (node->form == KE_JSON_FORM_BYTES)
	{
		write_bytes(out, node->value.bytes, node->count);
		return;
	}
	if (nested->refuses_text)
		ke_untyped_refuse_text();
	if (nested->encoding == KE_BYTES_TEXT)
	{
		ke_json_write(out, json, index);
		return;
	}
	if (node->text == NULL)
		ke_json_nodes_print(json, index);
	text = ke_json_scan_characters(node, &len);
	bytes = DatumGetByteaPP(ke_bytes_text_decode(nested->encoding, text, len));
	write_bytes(out, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* The field of a row that has this key, or NULL. */
static const KeNested *
field_of(const KeNested *nested, const KeJsonNode *key)
{
	int32		len;
	const char *name = ke_json_scan_characters(key, &len);

	for (int i = 0; i < nested->nfields; i++)
		if (nested->fields[i] != NULL && strlen(nested->names[i]) == len &&
			memcmp(nested->names[i], name, len) == 0)
			return nested->fields[i];
	return NULL;
}

static void
write_row(StringInfo out, const KeNested *nested, const KeJson *json,
		  int index)
{
	int			count = json->nodes[index].count;
	int			at = index + 1;

	appendStringInfoChar(out, '{');
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		ke_json_write(out, json, at);
		appendStringInfoChar(out, ':');
		ke_nested_write(out, field_of(nested, &json->nodes[at]), json,
						at + 1);
		at = json->nodes[at + 1].next;
	}
	appendStringInfoChar(out, '}');
}

/* An element that is an array itself is one more dimension. */
static void
write_array(StringInfo out, const KeNested *nested, const KeJson *json,
			int index)
{
	int			count = json->nodes[index].count;
	int			at = index + 1;

	appendStringInfoChar(out, '[');
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		ke_nested_write(out, json->nodes[at].kind == KE_JSON_ARRAY ? nested :
						nested->element, json, at);
		at = json->nodes[at].next;
	}
	appendStringInfoChar(out, ']');
}

void
ke_nested_write(StringInfo out, const KeNested *nested, const KeJson *json,
				int index)
{
	const KeJsonNode *node = &json->nodes[index];

	check_stack_depth();
	if (nested == NULL)
		ke_json_write(out, json, index);
	else if (nested->element != NULL && node->kind == KE_JSON_ARRAY)
		write_array(out, nested, json, index);
	else if (nested->nfields > 0 && node->kind == KE_JSON_OBJECT)
		write_row(out, nested, json, index);
	else if (nested->epoch != KE_EPOCH_NONE && node->kind == KE_JSON_NUMBER)
	{
		if (node->text == NULL)
			ke_json_nodes_print(json, index);
		write_epoch(out, nested, &json->nodes[index]);
	}
	else if (nested->is_bytea && node->kind == KE_JSON_STRING)
		write_bytea(out, nested, json, index);
	else
		ke_json_write(out, json, index);
}
