/*
 * untyped.c
 *	  Values of change events that came without a schema, for columns whose
 *	  type tells what they must be.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "convert/connect_value.h"
#include "convert/logical.h"
#include "convert/parse_scalar.h"
#include "convert/untyped.h"

#define NUMERIC_SCALE(typmod) (((((typmod) - VARHDRSZ) & 0x7ff) ^ 1024) - 1024)

bool
ke_untyped_concerns(Oid type)
{
	switch (type)
	{
		case NUMERICOID:
		case MONEYOID:
		case BYTEAOID:
		case BITOID:
		case VARBITOID:
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case INTERVALOID:
		case JSONOID:
		case JSONBOID:
		case POINTOID:
			return true;
		default:
			type = get_element_type(type);
			return OidIsValid(type) && ke_untyped_concerns(getBaseType(type));
	}
}

static void
refuse(const KeJson *json, const char *what, Oid type, const char *advice)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s for a column of type %s cannot be told without a schema: %s%shave the connector's converter write schemas (value.converter.schemas.enable=true)",
					what, format_type_be(type), advice,
					*advice != '\0' ? ", or " : "")));
}

static void
append_text(KeJson *out, KeJsonKind kind, const char *text)
{
	KeJsonNode *node = ke_json_nodes_add(out, kind);

	node->text = text;
	node->len = strlen(text);
}

/* "-"? digits ("." digits)? (e digits)? */
static bool
is_decimal(const char *text, int32 len, bool *whole)
{
	bool		digits = false;

	*whole = true;
	for (int i = 0; i < len; i++)
	{
		char		c = text[i];

		if (c >= '0' && c <= '9')
			digits = true;
		else if (c == '.' || ((c == 'E' || c == 'e') && digits) ||
				 (c == '-' && (i == 0 || text[i - 1] == 'E' ||
							   text[i - 1] == 'e')) ||
				 (c == '+' && i > 0 && (text[i - 1] == 'E' ||
										text[i - 1] == 'e')))
			*whole = false;
		else
			return false;
	}
	return digits;
}

/*
 * With decimal.handling.mode=precise, base64; with string, the number.  Four
 * digits could be both, unless the column has decimals: a string has them too.
 */
static void
append_numeric(KeJson *out, Oid type, int32 typmod, const KeJson *json,
			   int node)
{
	const KeJsonNode *value = &json->nodes[node];
	int32		len;
	const char *text = ke_json_scan_characters(value, &len);
	bool		whole;

	if (len == 3 && memcmp(text, "NAN", 3) == 0)
		append_text(out, KE_JSON_STRING, "NaN");
	else if (len == 17 && memcmp(text, "POSITIVE_INFINITY", 17) == 0)
		append_text(out, KE_JSON_STRING, "Infinity");
	else if (len == 17 && memcmp(text, "NEGATIVE_INFINITY", 17) == 0)
		append_text(out, KE_JSON_STRING, "-Infinity");
	else if (is_decimal(text, len, &whole) &&
			 !(whole && len % 4 == 0 &&
			   (type == MONEYOID || (typmod >= VARHDRSZ &&
									 NUMERIC_SCALE(typmod) > 0))))
		ke_connect_value_copy(out, json, node);
	else
		refuse(json, "a string", type, "set decimal.handling.mode=string at the connector");
}

/* {"scale", "value"}: a numeric without a scale of its own. */
static void
append_variable_scale(KeJson *out, const KeJson *json, int node)
{
	int			scale = ke_connect_value_member(json, node, "scale");
	int			value = ke_connect_value_member(json, node, "value");
	KeLogical	logical = {.kind = KE_LOGICAL_DECIMAL};
	const char *bytes = NULL;
	int32		len;
	int64		decimals;

	if (scale >= 0 && value >= 0 && json->nodes[node].count == 2 &&
		json->nodes[scale].kind == KE_JSON_NUMBER &&
		json->nodes[value].kind == KE_JSON_STRING &&
		ke_parse_scalar_int(json->nodes[scale].text, json->nodes[scale].len,
							&decimals) &&
		decimals >= KE_LOGICAL_MIN_SCALE && decimals <= KE_LOGICAL_MAX_SCALE)
		bytes = ke_connect_value_bytes(out, &json->nodes[value], &len);
	if (bytes == NULL || len == 0)
	{
		ke_connect_value_copy(out, json, node);
		return;
	}
	logical.scale = (int32) decimals;
	ke_logical_bytes(out, &logical, bytes, len);
}

/* {"x", "y", ...} */
static void
append_point(KeJson *out, const KeJson *json, int node)
{
	int			x = ke_connect_value_member(json, node, "x");
	int			y = ke_connect_value_member(json, node, "y");
	char	   *text;
	const KeJsonNode *left;
	const KeJsonNode *right;
	int			len;

	if (x < 0 || y < 0 || json->nodes[x].kind != KE_JSON_NUMBER ||
		json->nodes[y].kind != KE_JSON_NUMBER)
	{
		ke_connect_value_copy(out, json, node);
		return;
	}
	left = &json->nodes[x];
	right = &json->nodes[y];
	len = left->len + right->len + 3;
	text = ke_json_nodes_room(out, len + 1);
	pg_snprintf(text, len + 1, "(%.*s,%.*s)", left->len, left->text,
				right->len, right->text);
	ke_json_nodes_add_string(out, text, len);
}

static void
append_string(KeJson *out, Oid type, int32 typmod, const KeJson *json,
			  int node)
{
	static const KeLogical iso = {.kind = KE_LOGICAL_ISO, .infinite = true};
	static const KeLogical text_of_json = {.kind = KE_LOGICAL_JSON};
	const char *text;
	int32		len;

	switch (type)
	{
		case NUMERICOID:
		case MONEYOID:
			append_numeric(out, type, typmod, json, node);
			break;
		case BYTEAOID:
			refuse(json, "a string", type,
				   "set binary.handling.mode=hex at the connector and bytes_encoding => 'hex' for the subscription");
			break;
		case BITOID:
		case VARBITOID:
			refuse(json, "a string", type, "");
			break;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			text = ke_json_scan_characters(&json->nodes[node], &len);
			ke_logical_string(out, &iso, text, len);
			break;
		case JSONOID:
		case JSONBOID:
			text = ke_json_scan_characters(&json->nodes[node], &len);
			ke_logical_string(out, &text_of_json, text, len);
			break;
		default:
			ke_connect_value_copy(out, json, node);
			break;
	}
}

static void
append_number(KeJson *out, Oid type, const KeJson *json, int node)
{
	switch (type)
	{
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			refuse(json, "a number", type, "set time.precision.mode=isostring at the connector");
			break;
		case INTERVALOID:
			refuse(json, "a number", type, "set interval.handling.mode=string at the connector");
			break;
		default:
			ke_connect_value_copy(out, json, node);
			break;
	}
}

static void append_value(KeJson *out, Oid type, int32 typmod,
						 const KeJson *json, int node);

static void
append_array(KeJson *out, Oid element, int32 typmod, const KeJson *json,
			 int node)
{
	int			index = out->nnodes;
	int			count = json->nodes[node].count;
	int			at = node + 1;

	check_stack_depth();
	ke_json_nodes_add(out, KE_JSON_ARRAY)->count = count;
	for (int i = 0; i < count; i++)
	{
		if (json->nodes[at].kind == KE_JSON_ARRAY)
			append_array(out, element, typmod, json, at);
		else
			append_value(out, element, typmod, json, at);
		at = json->nodes[at].next;
	}
	out->nodes[index].next = out->nnodes;
}

/* As a column of that type takes it. */
static void
append_value(KeJson *out, Oid type, int32 typmod, const KeJson *json,
			 int node)
{
	Oid			element = get_element_type(type);

	switch ((KeJsonKind) json->nodes[node].kind)
	{
		case KE_JSON_NULL:
			ke_connect_value_copy(out, json, node);
			break;
		case KE_JSON_FALSE:
		case KE_JSON_TRUE:
			if (type == BITOID || type == VARBITOID)
				append_text(out, KE_JSON_STRING,
							json->nodes[node].kind == KE_JSON_TRUE ? "1"
							: "0");
			else
				ke_connect_value_copy(out, json, node);
			break;
		case KE_JSON_NUMBER:
			append_number(out, type, json, node);
			break;
		case KE_JSON_STRING:
			append_string(out, type, typmod, json, node);
			break;
		case KE_JSON_ARRAY:
			if (OidIsValid(element))
				append_array(out, getBaseType(element), typmod, json, node);
			else
				ke_connect_value_copy(out, json, node);
			break;
		case KE_JSON_OBJECT:
			if (type == NUMERICOID || type == MONEYOID)
				append_variable_scale(out, json, node);
			else if (type == POINTOID)
				append_point(out, json, node);
			else
				ke_connect_value_copy(out, json, node);
			break;
	}
}

/* What a value becomes for its column; one at a time. */
static KeJson told;

const KeJson *
ke_untyped_tell(Oid type, int32 typmod, bool is_hstore, const KeJson *json,
				int node)
{
	const KeJsonNode *value = &json->nodes[node];
	const char *text;
	int32		len;

	if (told.context == NULL)
		ke_json_scan_init(&told, json->subject, TopMemoryContext);
	told.subject = json->subject;
	ke_json_nodes_reset(&told);
	if (is_hstore && value->kind == KE_JSON_STRING)
	{
		text = ke_json_scan_characters(value, &len);
		if (len > 0 && text[0] == '{')
			(void) ke_json_scan_append(&told, text, len);
	}
	if (told.nnodes == 0)
		append_value(&told, type, typmod, json, node);
	return &told;
}

void
ke_untyped_check_bits(const KeJsonNode *node)
{
	if (node->value.integer == 1 && node->len > 0 && node->text[0] == '1')
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("bits for a column of type bit varying cannot be told: Debezium does not write the zeros that lead"),
			 errhint("Declare the column as bit(n), or as text.")));
}

void
ke_untyped_check_null(const KeJson *json, const KeJsonNode *node)
{
	if (node->form != KE_JSON_FORM_UNAVAILABLE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s lacks a value that was left in TOAST by the update that it tells of",
					json->subject),
			 errhint("With on_conflict \"update\" the column keeps its value; else set REPLICA IDENTITY FULL for the table at the source.")));
}

bool
ke_untyped_refuses_text(Oid type, const KeSubscriptionOptions *options)
{
	return type == BYTEAOID && options->unwrap == KE_UNWRAP_KIND_DEBEZIUM &&
		options->bytes_encoding == KE_BYTES_TEXT;
}

void
ke_untyped_refuse_text(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a string for a column of type bytea cannot be told: it could be hex or base64"),
			 errhint("Set bytes_encoding of the subscription to what binary.handling.mode is at the connector, or have it write bytes.")));
}
