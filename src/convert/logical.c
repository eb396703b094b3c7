/*
 * logical.c
 *	  Values whose meaning a schema tells: dates, times, decimals and others
 *	  of Avro, Kafka Connect and Debezium.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/int.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "convert/decimal.h"
#include "convert/json_scan.h"
#include "convert/logical.h"
#include "convert/print_scalar.h"

#define EPOCH_DAYS (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE)
#define EPOCH_USECS (EPOCH_DAYS * USECS_PER_DAY)

/*
 * PostgreSQL's infinite dates, as Debezium computes their days since 1970 from
 * the log, and from a snapshot or in an array; no date of PostgreSQL is so
 * early.
 */
#define DEBEZIUM_DATE_INFINITY (-2147472692)
#define DEBEZIUM_DATE_MINUS_INFINITY (-2147472691)
#define SNAPSHOT_DATE_INFINITY (-622191234)
#define SNAPSHOT_DATE_MINUS_INFINITY (-625821272)

/* Bits that a column of type bit can have. */
#define MAX_BITS (83886080)

/* Its infinite timestamps, in microseconds since 1970: the JDBC driver's. */
#define DEBEZIUM_INFINITY INT64CONST(9223372036825200000)
#define DEBEZIUM_MINUS_INFINITY INT64CONST(-9223372036832400000)

static const struct
{
	const char *name;
	KeLogical	logical;
}			connect_names[] =
{
	{"org.apache.kafka.connect.data.Decimal",
	{KE_LOGICAL_DECIMAL, 0, false, "numeric"}},
	{"org.apache.kafka.connect.data.Date",
	{KE_LOGICAL_DATE, 0, true, "date"}},
	{"org.apache.kafka.connect.data.Time",
	{KE_LOGICAL_TIME, 3, false, "time"}},
	{"org.apache.kafka.connect.data.Timestamp",
	{KE_LOGICAL_TIMESTAMPTZ, 3, true, "timestamptz"}},
	{"io.debezium.time.Date",
	{KE_LOGICAL_DATE, 0, true, "date"}},
	{"io.debezium.time.Time",
	{KE_LOGICAL_TIME, 3, false, "time"}},
	{"io.debezium.time.MicroTime",
	{KE_LOGICAL_TIME, 6, false, "time"}},
	{"io.debezium.time.NanoTime",
	{KE_LOGICAL_TIME, 9, false, "time"}},
	{"io.debezium.time.Timestamp",
	{KE_LOGICAL_TIMESTAMP, 3, true, "timestamp"}},
	{"io.debezium.time.MicroTimestamp",
	{KE_LOGICAL_TIMESTAMP, 6, true, "timestamp"}},
	{"io.debezium.time.NanoTimestamp",
	{KE_LOGICAL_TIMESTAMP, 9, false, "timestamp"}},
	{"io.debezium.time.MicroDuration",
	{KE_LOGICAL_SECONDS, 6, false, "interval"}},
	{"io.debezium.time.NanoDuration",
	{KE_LOGICAL_SECONDS, 9, false, "interval"}},
	{"io.debezium.time.Interval",
	{KE_LOGICAL_NONE, 0, false, "interval"}},
	{"io.debezium.time.IsoDate",
	{KE_LOGICAL_ISO, 0, false, "date"}},
	{"io.debezium.time.IsoTime",
	{KE_LOGICAL_NONE, 0, false, "time"}},
	{"io.debezium.time.IsoTimestamp",
	{KE_LOGICAL_ISO, 0, false, "timestamp"}},
	{"io.debezium.time.ZonedTimestamp",
	{KE_LOGICAL_ISO, 0, false, "timestamptz"}},
	{"io.debezium.time.ZonedTime",
	{KE_LOGICAL_NONE, 0, false, "timetz"}},
	{"io.debezium.data.Bits",
	{KE_LOGICAL_BITS, 0, false, "bit varying"}},
	{"io.debezium.data.Json",
	{KE_LOGICAL_JSON, 0, false, "jsonb"}},
	{"io.debezium.data.Uuid",
	{KE_LOGICAL_NONE, 0, false, "uuid"}},
	{"io.debezium.data.Xml",
	{KE_LOGICAL_NONE, 0, false, "xml"}},
	{"io.debezium.data.VariableScaleDecimal",
	{KE_LOGICAL_VARIABLE_SCALE_DECIMAL, 0, false, "numeric"}},
	{"io.debezium.data.geometry.Point",
	{KE_LOGICAL_POINT, 0, false, "point"}},
	{"io.debezium.data.geometry.Geometry",
	{KE_LOGICAL_GEOMETRY, 0, false, "text"}},
	{"io.debezium.data.geometry.Geography",
	{KE_LOGICAL_GEOMETRY, 0, false, "text"}},
};

KeLogical
ke_logical_of_connect(const char *name)
{
	static const KeLogical none = {KE_LOGICAL_NONE, 0, false, NULL};

	for (int i = 0; i < lengthof(connect_names); i++)
		if (strcmp(connect_names[i].name, name) == 0)
			return connect_names[i].logical;
	return none;
}

/* -------------------------------------------------------------- integers */

static void
out_of_range(const KeJson *json, const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("%s has a %s that PostgreSQL cannot hold", json->subject,
					type),
			 json->field == NULL ? 0 :
			 errdetail("It is in field \"%.200s\".", json->field)));
}

static void
add_form(KeJson *json, KeJsonKind kind, KeJsonForm form, int64 value,
		 int32 count)
{
	int			index = json->nnodes;
	KeJsonNode *node = ke_json_nodes_add(json, kind);

	node->form = form;
	node->value.integer = value;
	node->count = count;
	if (!json->lazy)
		ke_json_nodes_print(json, index);
}

static void
add_date(KeJson *json, const KeLogical *logical, int64 days)
{
	int64		date = days + EPOCH_DAYS;

	if (logical->infinite && (days == DEBEZIUM_DATE_INFINITY ||
							  days == SNAPSHOT_DATE_INFINITY))
		date = DATEVAL_NOEND;
	else if (logical->infinite && (days == DEBEZIUM_DATE_MINUS_INFINITY ||
								   days == SNAPSHOT_DATE_MINUS_INFINITY))
		date = DATEVAL_NOBEGIN;
	else if (days < PG_INT32_MIN || days > PG_INT32_MAX ||
			 !IS_VALID_DATE(date))
		out_of_range(json, "date");
	add_form(json, KE_JSON_STRING, KE_JSON_FORM_DATE, date, 0);
}

/* A time that is none of a day has a text, which an interval takes. */
static void
add_time(KeJson *json, const KeLogical *logical, int64 value)
{
	static const int64 per_day[] = {
		[3] = SECS_PER_DAY * INT64CONST(1000),
		[6] = USECS_PER_DAY,
		[9] = USECS_PER_DAY * 1000
	};
	char	   *text;
	int			len;

	if (value >= 0 && value <= per_day[logical->scale] &&
		(logical->scale != 9 || value % 1000 == 0))
	{
		if (logical->scale == 3)
			value *= 1000;
		else if (logical->scale == 9)
			value /= 1000;
		add_form(json, KE_JSON_STRING, KE_JSON_FORM_TIME, value, 0);
		return;
	}
	text = ke_json_nodes_room(json, KE_PRINT_SCALAR_ROOM);
	len = ke_print_scalar_time(text, value, logical->scale);
	ke_json_nodes_add_string(json, text, len);
}

/* Nanoseconds that microseconds cannot tell: a text. */
static void
add_nanos(KeJson *json, const KeLogical *logical, int64 value)
{
	char	   *text = ke_json_nodes_room(json, KE_PRINT_SCALAR_ROOM);
	int			len = ke_print_scalar_nanos(text, value,
											logical->kind ==
											KE_LOGICAL_TIMESTAMPTZ);

	ke_json_nodes_add_string(json, text, len);
}

static void
add_timestamp(KeJson *json, const KeLogical *logical, int64 value)
{
	int64		moment = value;

	if (logical->scale == 9)
	{
		if (value % 1000 != 0)
		{
			add_nanos(json, logical, value);
			return;
		}
		moment = value / 1000;
	}
	else if (logical->scale == 3 && pg_mul_s64_overflow(value, 1000, &moment))
		out_of_range(json, "timestamp");

	if (logical->infinite && moment == DEBEZIUM_INFINITY)
		moment = DT_NOEND;
	else if (logical->infinite && moment == DEBEZIUM_MINUS_INFINITY)
		moment = DT_NOBEGIN;
	else if (pg_add_s64_overflow(moment, EPOCH_USECS, &moment) ||
			 !IS_VALID_TIMESTAMP(moment))
		out_of_range(json, "timestamp");
	add_form(json, KE_JSON_STRING,
			 logical->kind == KE_LOGICAL_TIMESTAMPTZ ? KE_JSON_FORM_TIMESTAMPTZ
			 : KE_JSON_FORM_TIMESTAMP, moment, 0);
}

void
ke_logical_integer(KeJson *json, const KeLogical *logical, int64 value)
{
	char	   *text;

	switch (logical->kind)
	{
		case KE_LOGICAL_DATE:
			add_date(json, logical, value);
			break;
		case KE_LOGICAL_TIME:
			add_time(json, logical, value);
			break;
		case KE_LOGICAL_TIMESTAMP:
		case KE_LOGICAL_TIMESTAMPTZ:
			add_timestamp(json, logical, value);
			break;
		case KE_LOGICAL_SECONDS:
			text = ke_json_nodes_room(json, KE_PRINT_SCALAR_ROOM);
			ke_json_nodes_add_string(json, text,
									 ke_print_scalar_seconds(text, value,
															 logical->scale));
			break;
		default:
			add_form(json, KE_JSON_NUMBER, KE_JSON_FORM_INT, value, 0);
			break;
	}
}

/* ----------------------------------------------------------------- bytes */

static void
add_decimal(KeJson *json, int32 scale, const char *bytes, int32 len)
{
	Size		room;
	char	   *text;
	KeJsonNode *node;

	ke_decimal_strip(&bytes, &len);
	if (len <= sizeof(int64) && scale >= 0 && scale <= KE_DECIMAL_INT_SCALE)
	{
		add_form(json, KE_JSON_NUMBER, KE_JSON_FORM_DECIMAL,
				 ke_decimal_int(bytes, len), scale);
		return;
	}
	if (len > KE_DECIMAL_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s has a decimal that PostgreSQL cannot hold",
						json->subject),
				 errdetail("It has %d bytes.", len)));
	room = ke_decimal_room(len, scale);
	text = ke_json_nodes_room(json, room);
	node = ke_json_nodes_add(json, KE_JSON_NUMBER);
	node->text = text;
	node->len = ke_decimal_print(text, bytes, len, scale);
}

/*
 * Bits, the lowest byte first, as bit and bit varying write them.  Bytes that
 * would be zero are left out by Debezium; without a number of bits that a
 * column can have, there are as many as there are bytes for.
 */
static void
add_bits(KeJson *json, int32 nbits, const char *bytes, int32 len)
{
	int64		all = (int64) len * BITS_PER_BYTE;
	bool		exact = nbits > all - BITS_PER_BYTE && nbits <= MAX_BITS;
	KeJsonNode *node;
	char	   *text;

	if (!exact)
		nbits = (int32) Min(all, PG_INT32_MAX);
	text = ke_json_nodes_room(json, nbits);
	for (int32 i = 0; i < nbits; i++)
	{
		int			bit = i < all &&
			((bytes[i / BITS_PER_BYTE] >> i % BITS_PER_BYTE) & 1);

		text[nbits - 1 - i] = bit ? '1' : '0';
	}
	ke_json_nodes_add_string(json, text, nbits);
	node = &json->nodes[json->nnodes - 1];
	node->form = KE_JSON_FORM_BITS;
	node->value.integer = exact;
}

static void
add_uuid(KeJson *json, const char *bytes)
{
	static const int lengths[] = {4, 2, 2, 2, 6};
	char	   *text = ke_json_nodes_room(json, 36);
	char	   *p = text;

	for (int i = 0; i < lengthof(lengths); i++)
	{
		if (i > 0)
			*p++ = '-';
		p += hex_encode(bytes, lengths[i], p);
		bytes += lengths[i];
	}
	ke_json_nodes_add_string(json, text, 36);
}

static uint32
little_endian(const char *bytes)
{
	const unsigned char *p = (const unsigned char *) bytes;

	return p[0] | (uint32) p[1] << 8 | (uint32) p[2] << 16 |
		(uint32) p[3] << 24;
}

/* Months, days and milliseconds: ISO 8601, which interval reads. */
static void
add_duration(KeJson *json, const char *bytes)
{
	char	   *text = ke_json_nodes_room(json, 2 * KE_PRINT_SCALAR_ROOM);
	int			len = pg_snprintf(text, KE_PRINT_SCALAR_ROOM, "P%uM%uD",
								  little_endian(bytes),
								  little_endian(bytes + 4));
	char	   *time = text + len - 1;
	char		day = *time;

	/* the time begins with a P of its own, where the D is */
	len += ke_print_scalar_seconds(time, little_endian(bytes + 8), 3) - 1;
	*time = day;
	ke_json_nodes_add_string(json, text, len);
}

static void
add_bytes(KeJson *json, const char *bytes, int32 len)
{
	int			index = json->nnodes;
	KeJsonNode *node = ke_json_nodes_add(json, KE_JSON_STRING);

	node->form = KE_JSON_FORM_BYTES;
	node->value.bytes = bytes;
	node->count = len;
	if (!json->lazy)
		ke_json_nodes_print(json, index);
}

void
ke_logical_bytes(KeJson *json, const KeLogical *logical, const char *bytes,
				 int32 len)
{
	switch (logical->kind)
	{
		case KE_LOGICAL_DECIMAL:
			add_decimal(json, logical->scale, bytes, len);
			break;
		case KE_LOGICAL_BITS:
			add_bits(json, logical->scale, bytes, len);
			break;
		case KE_LOGICAL_UUID:
			Assert(len == UUID_LEN);
			add_uuid(json, bytes);
			break;
		case KE_LOGICAL_DURATION:
			Assert(len == 12);
			add_duration(json, bytes);
			break;
		default:
			add_bytes(json, bytes, len);
			break;
	}
}

/* --------------------------------------------------------------- strings */

/*
 * An ISO date or timestamp whose year has a sign: before 1 (year 0 is 1 BC)
 * or after 9999.  False where it has another form.
 */
static bool
add_signed_iso(KeJson *json, const char *text, int32 len)
{
	bool		negative = text[0] == '-';
	const char *end = text + len;
	const char *p = text + 1;
	int			year = 0;
	char	   *dst;
	int			n;

	while (p < end && *p >= '0' && *p <= '9' && year < 1000000)
		year = year * 10 + (*p++ - '0');
	if (p - text < 5 || p >= end || *p != '-')
		return false;
	if (negative)
		year++;
	dst = ke_json_nodes_room(json, len + KE_PRINT_SCALAR_ROOM);
	n = pg_snprintf(dst, KE_PRINT_SCALAR_ROOM, "%04d", year);
	memcpy(dst + n, p, end - p);
	n += (int) (end - p);
	if (negative)
	{
		memcpy(dst + n, " BC", 3);
		n += 3;
	}
	ke_json_nodes_add_string(json, dst, n);
	return true;
}

static bool
starts_with(const char *text, int32 len, const char *start)
{
	return len >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

static void
add_iso(KeJson *json, const char *text, int32 len)
{
	/* the days of the constants above */
	if (starts_with(text, len, "+294247-01-10") ||
		starts_with(text, len, "-5877611-06-21") ||
		starts_with(text, len, "+292278994-08-16"))
		ke_json_nodes_add_string(json, "infinity", 8);
	else if (starts_with(text, len, "-290308-12-21") ||
			 starts_with(text, len, "-5877611-06-22") ||
			 starts_with(text, len, "+292269055-12-02"))
		ke_json_nodes_add_string(json, "-infinity", 9);
	else if (len == 0 || (text[0] != '-' && text[0] != '+') ||
			 !add_signed_iso(json, text, len))
		ke_json_nodes_add_string(json, text, len);
}

/* What a JSON value can start with; Debezium also sends a bare word. */
static void
add_json(KeJson *json, const char *text, int32 len)
{
	const char *p = text;
	const char *end = text + len;

	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	if (p < end && strchr("{[\"-0123456789tfn", *p) != NULL)
	{
		int			index = ke_json_scan_append(json, text, len);

		if (json->nodes[index].kind == KE_JSON_NULL)
			json->nodes[index].form = KE_JSON_FORM_JSON_NULL;
	}
	else
		ke_json_nodes_add_string(json, text, len);
}

void
ke_logical_string(KeJson *json, const KeLogical *logical, const char *text,
				  int32 len)
{
	switch (logical->kind)
	{
		case KE_LOGICAL_ISO:
			add_iso(json, text, len);
			break;
		case KE_LOGICAL_JSON:
			add_json(json, text, len);
			break;
		default:
			ke_json_nodes_add_string(json, text, len);
			break;
	}
}
