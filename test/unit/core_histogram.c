/*
 * core_histogram.c
 *	  Buckets of latencies, and quantiles found in them.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

#include "core/histogram.h"

PG_FUNCTION_INFO_V1(unit_bucket);
PG_FUNCTION_INFO_V1(unit_bound);
PG_FUNCTION_INFO_V1(unit_quantile);
PG_FUNCTION_INFO_V1(unit_upto);

static void
fill(KeHistogram *histogram, ArrayType *values)
{
	Datum	   *elements;
	int			count;

	deconstruct_array(values, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, NULL, &count);
	memset(histogram, 0, sizeof(KeHistogram));
	for (int i = 0; i < count; i++)
		histogram->counts[ke_histogram_bucket(DatumGetInt64(elements[i]))]++;
}

Datum
unit_bucket(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(ke_histogram_bucket(PG_GETARG_INT64(0)));
}

Datum
unit_bound(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(ke_histogram_bound(PG_GETARG_INT32(0)));
}

Datum
unit_quantile(PG_FUNCTION_ARGS)
{
	KeHistogram histogram;

	fill(&histogram, PG_GETARG_ARRAYTYPE_P(0));
	PG_RETURN_FLOAT8(ke_histogram_quantile(&histogram, PG_GETARG_FLOAT8(1)));
}

Datum
unit_upto(PG_FUNCTION_ARGS)
{
	KeHistogram histogram;

	fill(&histogram, PG_GETARG_ARRAYTYPE_P(0));
	PG_RETURN_INT64((int64) ke_histogram_upto(&histogram,
											  PG_GETARG_INT64(1)));
}
