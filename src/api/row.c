/*
 * row.c
 *	  Builds the rows of functions that return sets, column by column.
 */
#include "postgres.h"
#include "core/compat.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "api/row.h"

void
ke_row_put(KeRow *row, Datum value, bool isnull)
{
	Assert(row->count < KE_ROW_COLUMNS);

	row->values[row->count] = value;
	row->nulls[row->count] = isnull;
	row->count++;
}

void
ke_row_put_text(KeRow *row, const char *text)
{
	bool		isnull = text == NULL || text[0] == '\0';

	ke_row_put(row, isnull ? (Datum) 0 : CStringGetTextDatum(text), isnull);
}

void
ke_row_put_name(KeRow *row, const char *name)
{
	ke_row_put(row, DirectFunctionCall1(namein, CStringGetDatum(name)), false);
}

void
ke_row_put_time(KeRow *row, TimestampTz time)
{
	ke_row_put(row, TimestampTzGetDatum(time), time == 0);
}

void
ke_row_put_bool(KeRow *row, bool value)
{
	ke_row_put(row, BoolGetDatum(value), false);
}

void
ke_row_put_int(KeRow *row, int32 value)
{
	ke_row_put(row, Int32GetDatum(value), false);
}

void
ke_row_put_number(KeRow *row, int64 number)
{
	ke_row_put(row, Int64GetDatum(number), number < 0);
}

void
ke_row_emit(KeRow *row, FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == rsinfo->setDesc->natts);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row->values,
						 row->nulls);
}
