/*
 * epoch.h
 *	  Bare numbers into date and time types.
 *
 * Their input functions read a number as something else, or as something:
 * six digits as hhmmss or as a date, any number as seconds.  So what a number
 * counts is said by the option timestamp_unit, and without it no number is
 * taken.
 */
#ifndef KE_EPOCH_H
#define KE_EPOCH_H

#include "core/options.h"

typedef enum KeEpochType
{
	KE_EPOCH_NONE,				/* not a type for dates or times */
	KE_EPOCH_DATE,
	KE_EPOCH_TIME,
	KE_EPOCH_TIMETZ,
	KE_EPOCH_TIMESTAMP,
	KE_EPOCH_TIMESTAMPTZ,
	KE_EPOCH_INTERVAL
} KeEpochType;

/* What a type, which is under no domain, is. */
extern KeEpochType ke_epoch_type(Oid type);

/*
 * A JSON number, counted from 1970 (UTC), from midnight, or of the interval.
 * Raises 22007 without a unit, 22008 and 22003 for what the type cannot hold.
 */
extern Datum ke_epoch_convert(KeEpochType type, int32 typmod,
							  KeTimestampUnit unit, const char *text,
							  int32 len);

#endif							/* KE_EPOCH_H */
