/*
 * fcinfo.c
 *	  The arguments of our SQL functions.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"

#include "api/fcinfo.h"

char *
ke_fcinfo_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

char *
ke_fcinfo_name(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(n)));
}

char *
ke_fcinfo_required(FunctionCallInfo fcinfo, int n,
				   const char *name)
{
	char	   *value = ke_fcinfo_text(fcinfo, n);

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return value;
}
