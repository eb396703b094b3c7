/*
 * parse_scalar.c
 *	  The common spelling of common types, parsed without their input
 *	  functions.
 */
#include "postgres.h"
#include "core/compat.h"

#include "datatype/timestamp.h"
#include "utils/datetime.h"

#include "convert/parse_scalar.h"

/* Powers of ten that float8, and the first ones also float4, hold exactly. */
static const float8 exact_powers[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

/* Every number of so many digits is below 2^63, 2^53 and 2^24. */
#define INT8_DIGITS 18
#define FLOAT8_DIGITS 15
#define FLOAT4_DIGITS 7

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "-"? digits, at most 18 of them */
bool
ke_parse_scalar_int(const char *text, int len, int64 *result)
{
	const char *p = text;
	const char *end = text + len;
	int64		value = 0;
	bool		negative = false;

	if (p < end && *p == '-')
	{
		negative = true;
		p++;
	}
	if (p >= end || end - p > INT8_DIGITS)
		return false;
	for (; p < end; p++)
	{
		if (!is_digit(*p))
			return false;
		value = value * 10 + (*p - '0');
	}
	*result = negative ? -value : value;
	return true;
}

/*
 * "-"? digits ("." digits)? with few enough digits that they and the power of
 * ten to divide them by are exact, so that the quotient is rounded once, as
 * strtod and strtof round.
 */
static bool
parse_decimal(const char *text, int len, int max_digits, int64 *digits,
			  int *decimals, bool *negative)
{
	const char *p = text;
	const char *end = text + len;
	const char *point = NULL;
	int64		value = 0;

	*negative = p < end && *p == '-';
	if (*negative)
		p++;
	if (end - p > max_digits + 1 || p >= end || !is_digit(*p))
		return false;
	for (; p < end; p++)
	{
		if (is_digit(*p))
			value = value * 10 + (*p - '0');
		else if (*p == '.' && point == NULL)
			point = p;
		else
			return false;
	}
	if (point == NULL && len - *negative > max_digits)
		return false;
	*decimals = point == NULL ? 0 : (int) (end - point) - 1;
	*digits = value;
	return point == NULL || *decimals > 0;
}

bool
ke_parse_scalar_float8(const char *text, int len, float8 *result)
{
	int64		digits;
	int			decimals;
	bool		negative;

	if (!parse_decimal(text, len, FLOAT8_DIGITS, &digits, &decimals,
					   &negative))
		return false;
	*result = (float8) digits / exact_powers[decimals];
	if (negative)
		*result = -*result;
	return true;
}

bool
ke_parse_scalar_float4(const char *text, int len, float4 *result)
{
	int64		digits;
	int			decimals;
	bool		negative;

	if (!parse_decimal(text, len, FLOAT4_DIGITS, &digits, &decimals,
					   &negative))
		return false;
	*result = (float4) digits / (float4) exact_powers[decimals];
	if (negative)
		*result = -*result;
	return true;
}

/* Exactly n digits. */
static inline bool
parse_digits(const char *p, int n, int *result)
{
	int			value = 0;

	for (int i = 0; i < n; i++)
	{
		if (!is_digit(p[i]))
			return false;
		value = value * 10 + (p[i] - '0');
	}
	*result = value;
	return true;
}

/* YYYY-MM-DD, of 10 characters */
static bool
parse_day(const char *p, int *day)
{
	int			y,
				m,
				d;

	if (!parse_digits(p, 4, &y) || p[4] != '-' ||
		!parse_digits(p + 5, 2, &m) || p[7] != '-' ||
		!parse_digits(p + 8, 2, &d))
		return false;
	if (y < 1 || m < 1 || m > MONTHS_PER_YEAR || d < 1 ||
		d > day_tab[isleap(y)][m - 1])
		return false;
	*day = date2j(y, m, d) - POSTGRES_EPOCH_JDATE;
	return true;
}

bool
ke_parse_scalar_date(const char *text, int len, DateADT *result)
{
	int			day;

	if (len != 10 || !parse_day(text, &day))
		return false;
	*result = day;
	return true;
}

/* "." and one to six digits; advances *p behind them. */
static bool
parse_fraction(const char **p, const char *end, int *microseconds)
{
	const char *digit = *p + 1;
	int			value = 0;
	int			n = 0;

	for (; digit < end && is_digit(*digit); digit++, n++)
	{
		if (n == 6)
			return false;
		value = value * 10 + (*digit - '0');
	}
	if (n == 0)
		return false;
	for (; n < 6; n++)
		value *= 10;
	*microseconds = value;
	*p = digit;
	return true;
}

/* Z, +HH, +HH:MM or nothing, to the end; seconds east of Greenwich. */
static bool
parse_zone(const char *p, const char *end, bool *has_zone, int *east)
{
	int			hours;
	int			minutes = 0;

	*east = 0;
	*has_zone = p < end;
	if (p == end || (end - p == 1 && *p == 'Z'))
		return true;
	if ((*p != '+' && *p != '-') || (end - p != 3 && end - p != 6))
		return false;
	if (!parse_digits(p + 1, 2, &hours))
		return false;
	if (end - p == 6 && (p[3] != ':' || !parse_digits(p + 4, 2, &minutes)))
		return false;
	if (hours > MAX_TZDISP_HOUR || minutes >= MINS_PER_HOUR)
		return false;
	*east = hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE;
	if (*p == '-')
		*east = -*east;
	return true;
}

/* YYYY-MM-DD, "T" or a blank, HH:MM:SS, a fraction, a zone */
static bool
parse_moment(const char *text, int len, Timestamp *local, bool *has_zone,
			 int *east)
{
	const char *p = text + 19;
	const char *end = text + len;
	int			day,
				hour,
				minute,
				second;
	int			microseconds = 0;

	if (len < 19 || !parse_day(text, &day) ||
		(text[10] != 'T' && text[10] != ' ') ||
		!parse_digits(text + 11, 2, &hour) || text[13] != ':' ||
		!parse_digits(text + 14, 2, &minute) || text[16] != ':' ||
		!parse_digits(text + 17, 2, &second))
		return false;
	if (hour >= HOURS_PER_DAY || minute >= MINS_PER_HOUR ||
		second >= SECS_PER_MINUTE)
		return false;
	if (p < end && *p == '.' && !parse_fraction(&p, end, &microseconds))
		return false;
	if (!parse_zone(p, end, has_zone, east))
		return false;
	*local = day * USECS_PER_DAY +
		(hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE + second) *
		USECS_PER_SEC + microseconds;
	return true;
}

/* A zone is allowed, and ignored. */
bool
ke_parse_scalar_timestamp(const char *text, int len, Timestamp *result)
{
	bool		has_zone;
	int			east;

	return parse_moment(text, len, result, &has_zone, &east);
}

/* Without a zone, the session's decides, so the input function does. */
bool
ke_parse_scalar_timestamptz(const char *text, int len, TimestampTz *result)
{
	bool		has_zone;
	int			east;

	if (!parse_moment(text, len, result, &has_zone, &east) || !has_zone)
		return false;
	*result -= (int64) east * USECS_PER_SEC;
	return true;
}

/* 8-4-4-4-12 hexadecimal digits */
bool
ke_parse_scalar_uuid(const char *text, int len, pg_uuid_t *result)
{
	static const uint8 starts[UUID_LEN] = {
		0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34
	};

	if (len != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' ||
		text[23] != '-')
		return false;
	for (int i = 0; i < UUID_LEN; i++)
	{
		int			byte = 0;

		for (int j = 0; j < 2; j++)
		{
			char		c = text[starts[i] + j];

			byte <<= 4;
			if (is_digit(c))
				byte |= c - '0';
			else if (c >= 'a' && c <= 'f')
				byte |= c - 'a' + 10;
			else if (c >= 'A' && c <= 'F')
				byte |= c - 'A' + 10;
			else
				return false;
		}
		result->data[i] = (unsigned char) byte;
	}
	return true;
}
