/*
 * print_scalar.c
 *	  Numbers, dates and times as the text that their types read.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"

#include "convert/print_scalar.h"

/* Years that have four digits and no era. */
#define MIN_YEAR 1
#define MAX_YEAR 9999

static const int64 powers[] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000
};

int
ke_print_scalar_int(char *dst, int64 value)
{
	return pg_lltoa(value, dst);
}

int
ke_print_scalar_float4(char *dst, float4 value)
{
	return float_to_shortest_decimal_bufn(value, dst);
}

int
ke_print_scalar_float8(char *dst, float8 value)
{
	return double_to_shortest_decimal_bufn(value, dst);
}

static inline char *
print_two(char *dst, int value)
{
	*dst++ = '0' + value / 10;
	*dst++ = '0' + value % 10;
	return dst;
}

/* YYYY-MM-DD; NULL for a year that has another form. */
static char *
print_day(char *dst, int julian)
{
	int			y,
				m,
				d;

	j2date(julian, &y, &m, &d);
	if (y < MIN_YEAR || y > MAX_YEAR)
		return NULL;
	dst = print_two(dst, y / 100);
	dst = print_two(dst, y % 100);
	*dst++ = '-';
	dst = print_two(dst, m);
	*dst++ = '-';
	return print_two(dst, d);
}

/* "." and the digits that are needed, or nothing. */
static char *
print_fraction(char *dst, int64 fraction, int decimals)
{
	if (fraction == 0)
		return dst;
	while (fraction % 10 == 0)
	{
		fraction /= 10;
		decimals--;
	}
	*dst++ = '.';
	for (int i = decimals - 1; i >= 0; i--)
	{
		dst[i] = '0' + fraction % 10;
		fraction /= 10;
	}
	return dst + decimals;
}

/* HH:MM:SS and a fraction */
static char *
print_clock(char *dst, uint64 value, int decimals)
{
	uint64		seconds = value / powers[decimals];
	uint64		hours = seconds / SECS_PER_HOUR;
	int			rest = (int) (seconds % SECS_PER_HOUR);

	if (hours < 100)
		dst = print_two(dst, (int) hours);
	else
		dst += pg_lltoa((int64) hours, dst);
	*dst++ = ':';
	dst = print_two(dst, rest / SECS_PER_MINUTE);
	*dst++ = ':';
	dst = print_two(dst, rest % SECS_PER_MINUTE);
	return print_fraction(dst, (int64) (value % powers[decimals]), decimals);
}

/* What has another form than the usual one; PostgreSQL's own text. */
static int
print_unusual(char *dst, Datum value, Oid type)
{
	static const int utc = 0;

	(void) JsonEncodeDateTime(dst, value, type,
							  type == TIMESTAMPTZOID ? &utc : NULL);
	return (int) strlen(dst);
}

int
ke_print_scalar_date(char *dst, DateADT date)
{
	char	   *end;

	if (DATE_NOT_FINITE(date))
		return print_unusual(dst, DateADTGetDatum(date), DATEOID);
	end = print_day(dst, date + POSTGRES_EPOCH_JDATE);
	if (end == NULL)
		return print_unusual(dst, DateADTGetDatum(date), DATEOID);
	return (int) (end - dst);
}

/* The distance from 0, of any value. */
static inline uint64
magnitude(int64 value)
{
	return value < 0 ? -(uint64) value : (uint64) value;
}

/* Split into days and what is left of one, which is never negative. */
static inline int64
split_days(int64 value, int64 per_day, int64 *rest)
{
	int64		days = value / per_day;

	*rest = value % per_day;
	if (*rest < 0)
	{
		*rest += per_day;
		days--;
	}
	return days;
}

/* NULL for what has another form. */
static char *
print_moment(char *dst, Timestamp moment)
{
	int64		rest;
	int64		days;
	char	   *end;

	if (TIMESTAMP_NOT_FINITE(moment))
		return NULL;
	days = split_days(moment, USECS_PER_DAY, &rest);
	end = print_day(dst, (int) (days + POSTGRES_EPOCH_JDATE));
	if (end == NULL)
		return NULL;
	*end++ = 'T';
	return print_clock(end, rest, 6);
}

int
ke_print_scalar_timestamp(char *dst, Timestamp moment)
{
	char	   *end = print_moment(dst, moment);

	if (end == NULL)
		return print_unusual(dst, TimestampGetDatum(moment), TIMESTAMPOID);
	return (int) (end - dst);
}

int
ke_print_scalar_timestamptz(char *dst, TimestampTz moment)
{
	char	   *end = print_moment(dst, moment);

	if (end == NULL)
		return print_unusual(dst, TimestampTzGetDatum(moment),
							 TIMESTAMPTZOID);
	*end++ = 'Z';
	return (int) (end - dst);
}

int
ke_print_scalar_nanos(char *dst, int64 nanos, bool zone)
{
	int64		rest;
	int64		days = split_days(nanos, USECS_PER_DAY * 1000, &rest);
	char	   *end = print_day(dst, (int) days + UNIX_EPOCH_JDATE);

	Assert(end != NULL);		/* 64 bits reach from 1677 to 2262 */
	*end++ = 'T';
	end = print_clock(end, rest, 9);
	if (zone)
		*end++ = 'Z';
	return (int) (end - dst);
}

int
ke_print_scalar_time(char *dst, int64 value, int decimals)
{
	char	   *p = dst;

	if (value < 0)
		*p++ = '-';
	return (int) (print_clock(p, magnitude(value), decimals) - dst);
}

int
ke_print_scalar_seconds(char *dst, int64 value, int decimals)
{
	char	   *p = dst;
	uint64		units = magnitude(value);

	*p++ = 'P';
	*p++ = 'T';
	if (value < 0)
		*p++ = '-';
	p += pg_lltoa((int64) (units / powers[decimals]), p);
	p = print_fraction(p, (int64) (units % powers[decimals]), decimals);
	*p++ = 'S';
	return (int) (p - dst);
}
