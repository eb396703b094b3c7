/*
 * print_scalar.h
 *	  Numbers, dates and times as the text that their types read.
 *
 * Dates and times are in ISO 8601, but for a year before 1, which is written
 * as PostgreSQL reads it: "0044-03-15 BC".  Each writes to dst, which has
 * KE_PRINT_SCALAR_ROOM bytes, without a NUL, and returns how many.  Nothing
 * raises.
 */
#ifndef KE_PRINT_SCALAR_H
#define KE_PRINT_SCALAR_H

#include "utils/date.h"
#include "utils/timestamp.h"

#define KE_PRINT_SCALAR_ROOM 64

extern int	ke_print_scalar_int(char *dst, int64 value);

/* Of finite values. */
extern int	ke_print_scalar_float4(char *dst, float4 value);
extern int	ke_print_scalar_float8(char *dst, float8 value);

/* Infinity included. */
extern int	ke_print_scalar_date(char *dst, DateADT date);
extern int	ke_print_scalar_timestamp(char *dst, Timestamp moment);
extern int	ke_print_scalar_timestamptz(char *dst, TimestampTz moment);

/*
 * The fraction has no more digits than it needs, `decimals` at most: value
 * counts units of that many decimals of a second.  A time below zero has a
 * sign, one beyond a day more hours.
 */
extern int	ke_print_scalar_time(char *dst, int64 value, int decimals);

/* An interval of so many units: "PT5.5S". */
extern int	ke_print_scalar_seconds(char *dst, int64 value, int decimals);

/* Nanoseconds since 1970: a timestamp with up to nine decimals. */
extern int	ke_print_scalar_nanos(char *dst, int64 nanos, bool zone);

#endif							/* KE_PRINT_SCALAR_H */
