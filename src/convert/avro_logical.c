/*
 * avro_logical.c
 *	  What the attributes of an Avro type say of its meaning.
 */
#include "postgres.h"
#include "core/compat.h"

#include <math.h>

#include "utils/float.h"
#include "utils/uuid.h"

#include "convert/avro_logical.h"

#define DURATION_LEN 12

/* Avro's own logical types, each for one type. */
static const struct
{
	const char *name;
	KeAvroOp	op;
	int32		size;			/* of a fixed; 0: any */
	KeLogical	logical;
}			logical_types[] =
{
	{"decimal", KE_AVRO_BYTES, 0, {KE_LOGICAL_DECIMAL, 0, false, "numeric"}},
	{"decimal", KE_AVRO_FIXED, 0, {KE_LOGICAL_DECIMAL, 0, false, "numeric"}},
	{"uuid", KE_AVRO_FIXED, UUID_LEN, {KE_LOGICAL_UUID, 0, false, "uuid"}},
	{"uuid", KE_AVRO_STRING, 0, {KE_LOGICAL_NONE, 0, false, "uuid"}},
	{"duration", KE_AVRO_FIXED, DURATION_LEN,
	{KE_LOGICAL_DURATION, 0, false, "interval"}},
	{"date", KE_AVRO_INT, 0, {KE_LOGICAL_DATE, 0, false, "date"}},
	{"time-millis", KE_AVRO_INT, 0, {KE_LOGICAL_TIME, 3, false, "time"}},
	{"time-micros", KE_AVRO_LONG, 0, {KE_LOGICAL_TIME, 6, false, "time"}},
	{"time-nanos", KE_AVRO_LONG, 0, {KE_LOGICAL_TIME, 9, false, "time"}},
	{"timestamp-millis", KE_AVRO_LONG, 0,
	{KE_LOGICAL_TIMESTAMPTZ, 3, false, "timestamptz"}},
	{"timestamp-micros", KE_AVRO_LONG, 0,
	{KE_LOGICAL_TIMESTAMPTZ, 6, false, "timestamptz"}},
	{"timestamp-nanos", KE_AVRO_LONG, 0,
	{KE_LOGICAL_TIMESTAMPTZ, 9, false, "timestamptz"}},
	{"local-timestamp-millis", KE_AVRO_LONG, 0,
	{KE_LOGICAL_TIMESTAMP, 3, false, "timestamp"}},
	{"local-timestamp-micros", KE_AVRO_LONG, 0,
	{KE_LOGICAL_TIMESTAMP, 6, false, "timestamp"}},
	{"local-timestamp-nanos", KE_AVRO_LONG, 0,
	{KE_LOGICAL_TIMESTAMP, 9, false, "timestamp"}},
};

/* The attribute if it is a string that C can hold, else "". */
static const char *
string_attribute(json_t *schema, const char *name)
{
	json_t	   *value = json_object_get(schema, name);
	const char *text = json_is_string(value) ? json_string_value(value) : "";

	return json_is_string(value) &&
		strlen(text) != json_string_length(value) ? "" : text;
}

/* Whether Connect's meaning is one of values that this type has. */
static bool
fits(const KeAvroType *type, KeLogicalKind kind)
{
	switch (kind)
	{
		case KE_LOGICAL_NONE:
			return true;
		case KE_LOGICAL_DATE:
		case KE_LOGICAL_TIME:
		case KE_LOGICAL_TIMESTAMP:
		case KE_LOGICAL_TIMESTAMPTZ:
		case KE_LOGICAL_SECONDS:
			return type->op == KE_AVRO_INT || type->op == KE_AVRO_LONG;
		case KE_LOGICAL_DECIMAL:
		case KE_LOGICAL_BITS:
			return type->op == KE_AVRO_BYTES || type->op == KE_AVRO_FIXED;
		case KE_LOGICAL_UUID:
		case KE_LOGICAL_DURATION:
			return false;		/* no name of Connect's means these */
		case KE_LOGICAL_ISO:
		case KE_LOGICAL_JSON:
			return type->op == KE_AVRO_STRING;
		case KE_LOGICAL_VARIABLE_SCALE_DECIMAL:
		case KE_LOGICAL_POINT:
		case KE_LOGICAL_GEOMETRY:
			return type->op == KE_AVRO_RECORD;
	}
	pg_unreachable();
}

static KeLogical
of_avro(const KeAvroType *type, const char *name)
{
	static const KeLogical none = {KE_LOGICAL_NONE, 0, false, NULL};

	for (int i = 0; i < lengthof(logical_types); i++)
		if (strcmp(logical_types[i].name, name) == 0 &&
			logical_types[i].op == type->op &&
			(logical_types[i].size == 0 ||
			 logical_types[i].size == type->count))
			return logical_types[i].logical;
	return none;
}

/*
 * A number of the type, or of its Connect parameters, where it is text.  NaN
 * if it has none.
 */
static double
number_attribute(json_t *schema, const char *name, const char *parameter)
{
	json_t	   *value = json_object_get(schema, name);
	json_t	   *parameters = json_object_get(schema, "connect.parameters");
	const char *text = string_attribute(parameters, parameter);
	char	   *end;
	double		number;

	if (json_is_number(value))
		return json_number_value(value);
	if (text[0] == '\0')
		return get_float8_nan();
	number = strtod(text, &end);
	return *end == '\0' ? number : get_float8_nan();
}

static void
set_decimal(KeAvroType *type, json_t *schema)
{
	double		scale = number_attribute(schema, "scale", "scale");
	double		precision = number_attribute(schema, "precision",
											 "connect.decimal.precision");

	if (isnan(scale))
		scale = 0;
	if (scale != rint(scale) || scale < KE_LOGICAL_MIN_SCALE ||
		scale > KE_LOGICAL_MAX_SCALE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot read the Avro schema"),
				 errdetail("It has a decimal with a scale of %g, and numeric has scales from %d to %d.",
						   scale, KE_LOGICAL_MIN_SCALE,
						   KE_LOGICAL_MAX_SCALE)));
	type->logical.scale = (int32) scale;
	if (precision >= 1 && precision <= PG_INT32_MAX)
		type->precision = (int32) precision;
}

static void
set_bits(KeAvroType *type, json_t *schema)
{
	double		bits = number_attribute(schema, "length", "length");

	if (bits >= 1 && bits <= PG_INT32_MAX)
		type->logical.scale = (int32) bits;
}

void
ke_avro_logical_set(KeAvroType *type, json_t *schema)
{
	const char *connect_type = string_attribute(schema, "connect.type");
	KeLogical	connect = ke_logical_of_connect(string_attribute(schema,
																 "connect.name"));

	if (connect.sql_type != NULL && fits(type, connect.kind))
		type->logical = connect;
	else
		type->logical = of_avro(type, string_attribute(schema,
													   "logicalType"));
	type->sql_type = type->logical.sql_type;
	if (type->logical.kind == KE_LOGICAL_DECIMAL)
		set_decimal(type, schema);
	if (type->logical.kind == KE_LOGICAL_BITS)
		set_bits(type, schema);
	if (type->op == KE_AVRO_INT && type->sql_type == NULL &&
		(strcmp(connect_type, "int16") == 0 ||
		 strcmp(connect_type, "int8") == 0))
		type->sql_type = "smallint";
}
