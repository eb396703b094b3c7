/*
 * epoch.c
 *	  Bare numbers into date and time types.
 *
 * A number with a fraction or an exponent goes through numeric, so no digit of
 * it is lost on the way; what is left below a microsecond is rounded, as the
 * types' input functions do.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "convert/epoch.h"
#include "convert/parse_scalar.h"

/* From Kafka's epoch, 1970, to PostgreSQL's. */
#define EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)
#define EPOCH_USECS (EPOCH_DAYS * USECS_PER_DAY)

KeEpochType
ke_epoch_type(Oid type)
{
	switch (type)
	{
		case DATEOID:
			return KE_EPOCH_DATE;
		case TIMEOID:
			return KE_EPOCH_TIME;
		case TIMETZOID:
			return KE_EPOCH_TIMETZ;
		case TIMESTAMPOID:
			return KE_EPOCH_TIMESTAMP;
		case TIMESTAMPTZOID:
			return KE_EPOCH_TIMESTAMPTZ;
		case INTERVALOID:
			return KE_EPOCH_INTERVAL;
		default:
			return KE_EPOCH_NONE;
	}
}

static const char *
name_of(KeEpochType type)
{
	switch (type)
	{
		case KE_EPOCH_NONE:
			break;
		case KE_EPOCH_DATE:
			return "date";
		case KE_EPOCH_TIME:
		case KE_EPOCH_TIMETZ:
			return "time";
		case KE_EPOCH_TIMESTAMP:
		case KE_EPOCH_TIMESTAMPTZ:
			return "timestamp";
		case KE_EPOCH_INTERVAL:
			return "interval";
	}
	return "value";
}

static void
out_of_range(KeEpochType type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("number is out of range for a %s with option timestamp_unit as it is",
					name_of(type))));
}

static int64
numeric_usecs(const char *text, int32 len, const char *factor)
{
	Datum		number = DirectFunctionCall3(numeric_in,
											 CStringGetDatum(pnstrdup(text,
																	  len)),
											 ObjectIdGetDatum(InvalidOid),
											 Int32GetDatum(-1));
	Datum		multiplier = DirectFunctionCall3(numeric_in,
												 CStringGetDatum(factor),
												 ObjectIdGetDatum(InvalidOid),
												 Int32GetDatum(-1));

	number = DirectFunctionCall2(numeric_mul, number, multiplier);
	number = DirectFunctionCall2(numeric_round, number, Int32GetDatum(0));
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

static int64
to_usecs(KeEpochType type, KeTimestampUnit unit, const char *text, int32 len)
{
	static const int64 usecs[] = {0, USECS_PER_SEC, 1000, 1, 0};
	static const char *const factors[] = {"", "1000000", "1000", "1", "0.001"};
	int64		number;
	int64		result;

	if (!ke_parse_scalar_int(text, len, &number))
		return numeric_usecs(text, len, factors[unit]);
	if (unit == KE_UNIT_NS)
		return (number + (number < 0 ? -500 : 500)) / 1000;
	if (pg_mul_s64_overflow(number, usecs[unit], &result))
		out_of_range(type);
	return result;
}

/*
 * The day of a moment.  A count of days, which some writers have for dates,
 * is less than a day in any unit.
 */
static Datum
date_of(int64 usecs)
{
	int64		days = usecs / USECS_PER_DAY;

	if (usecs != 0 && usecs > -USECS_PER_DAY && usecs < USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("number for a date is less than a day in the unit of option timestamp_unit"),
				 errhint("If it counts days, as Debezium's dates do, have the writer send text (time.precision.mode isostring).")));
	if (days * USECS_PER_DAY > usecs)
		days--;
	if (!IS_VALID_DATE(days - EPOCH_DAYS))
		out_of_range(KE_EPOCH_DATE);
	return DateADTGetDatum((DateADT) (days - EPOCH_DAYS));
}

static Datum
time_of(KeEpochType type, int32 typmod, int64 usecs)
{
	TimeTzADT  *zoned;
	Datum		time = TimeADTGetDatum(usecs);

	if (usecs < 0 || usecs > USECS_PER_DAY)
		out_of_range(type);
	if (typmod >= 0)
		time = DirectFunctionCall2(time_scale, time, Int32GetDatum(typmod));
	if (type == KE_EPOCH_TIME)
		return time;
	zoned = palloc0(sizeof(TimeTzADT));
	zoned->time = DatumGetTimeADT(time);
	return TimeTzADTPGetDatum(zoned);
}

static Datum
timestamp_of(KeEpochType type, int32 typmod, int64 usecs)
{
	Timestamp	moment;

	if (pg_sub_s64_overflow(usecs, EPOCH_USECS, &moment) ||
		!IS_VALID_TIMESTAMP(moment))
		out_of_range(type);
	if (typmod < 0)
		return TimestampGetDatum(moment);
	return DirectFunctionCall2(timestamp_scale, TimestampGetDatum(moment),
							   Int32GetDatum(typmod));
}

static Datum
interval_of(int32 typmod, int64 usecs)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = usecs;
	if (typmod < 0)
		return IntervalPGetDatum(interval);
	return DirectFunctionCall2(interval_scale, IntervalPGetDatum(interval),
							   Int32GetDatum(typmod));
}

Datum
ke_epoch_convert(KeEpochType type, int32 typmod, KeTimestampUnit unit,
				 const char *text, int32 len)
{
	int64		usecs;

	if (unit == KE_UNIT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
				 errmsg("a bare number is no %s while option timestamp_unit is none",
						name_of(type)),
				 errhint("Set timestamp_unit to what it counts: s, ms, us or ns; or have the writer send text.")));
	usecs = to_usecs(type, unit, text, len);
	switch (type)
	{
		case KE_EPOCH_NONE:
			break;
		case KE_EPOCH_DATE:
			return date_of(usecs);
		case KE_EPOCH_TIME:
		case KE_EPOCH_TIMETZ:
			return time_of(type, typmod, usecs);
		case KE_EPOCH_TIMESTAMP:
		case KE_EPOCH_TIMESTAMPTZ:
			return timestamp_of(type, typmod, usecs);
		case KE_EPOCH_INTERVAL:
			return interval_of(typmod, usecs);
	}
	elog(ERROR, "unexpected kind of date or time: %d", (int) type);
}
