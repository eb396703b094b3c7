/*
 * row.h
 *	  Builds the rows of functions that return sets, column by column.
 */
#ifndef KE_ROW_H
#define KE_ROW_H

#include "fmgr.h"

#include "datatype/timestamp.h"

#define KE_ROW_COLUMNS 24

/* Starts as {0}; each put sets the next column. */
typedef struct KeRow
{
	Datum		values[KE_ROW_COLUMNS];
	bool		nulls[KE_ROW_COLUMNS];
	int			count;
} KeRow;

extern void ke_row_put(KeRow *row, Datum value, bool isnull);
extern void ke_row_put_text(KeRow *row, const char *text);	/* "": null */
extern void ke_row_put_name(KeRow *row, const char *name);
extern void ke_row_put_time(KeRow *row, TimestampTz time);	/* 0: null */
extern void ke_row_put_bool(KeRow *row, bool value);
extern void ke_row_put_int(KeRow *row, int32 value);

/* An offset or a number of messages; negative: not known, so null. */
extern void ke_row_put_number(KeRow *row, int64 number);

/* After InitMaterializedSRF: the row is complete. */
extern void ke_row_emit(KeRow *row, FunctionCallInfo fcinfo);

#endif							/* KE_ROW_H */
