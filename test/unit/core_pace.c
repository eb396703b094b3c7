/*
 * core_pace.c
 *	  How the size of transactions follows the messages that fail.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

#include "core/pace.h"

PG_FUNCTION_INFO_V1(unit_pace);

/* One message fails after good ones, in transactions of the size there is. */
static void
run_until_failure(KePace *pace, int64 good, int most)
{
	while (good > 0)
	{
		int			count = Min(good, pace->size);

		ke_pace_succeeded(pace, count, count == pace->size, most);
		good -= count;
	}
	ke_pace_failed(pace, most);
}

/* unit_pace(good bigint[], most integer): the size after each failure. */
Datum
unit_pace(PG_FUNCTION_ARGS)
{
	int			most = PG_GETARG_INT32(1);
	KePace		pace;
	Datum	   *good;
	Datum	   *sizes;
	int			count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &good, NULL, &count);
	sizes = palloc(count * sizeof(Datum));
	ke_pace_begin(&pace, most);
	for (int i = 0; i < count; i++)
	{
		run_until_failure(&pace, DatumGetInt64(good[i]), most);
		sizes[i] = Int32GetDatum(pace.size);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(sizes, count, INT4OID,
										  sizeof(int32), true,
										  TYPALIGN_INT));
}
