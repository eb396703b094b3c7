/*
 * core_throttle.c
 *	  Which lines of the log are written, and which had been a moment ago.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/throttle.h"

PG_FUNCTION_INFO_V1(unit_throttle);

/* unit_throttle(line text, kind boolean, at_ms bigint): may it be written? */
Datum
unit_throttle(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ke_throttle_allows_at(text_to_cstring(PG_GETARG_TEXT_PP(0)),
										 PG_GETARG_BOOL(1),
										 PG_GETARG_INT64(2)));
}
