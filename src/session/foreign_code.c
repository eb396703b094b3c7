/*
 * foreign_code.c
 *	  No function of somebody else runs as a superuser in a consumer.
 *
 * subscription/trust has looked at everything that the catalogs tell.  They
 * do not tell what a function calls in its body.  But PostgreSQL asks a hook
 * about every function, of whatever kind (triggers, operators, casts, types'
 * input functions too), before it looks it up for calls or inlines it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "session/foreign_code.h"

static needs_fmgr_hook_type previous_hook = NULL;
static bool installed = false;

/* Is it somebody else's, and would run as the caller? */
static bool
is_foreign(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		foreign;

	if (!HeapTupleIsValid(tuple))
		return false;			/* the caller says so */
	form = (Form_pg_proc) GETSTRUCT(tuple);
	foreign = !form->prosecdef && !superuser_arg(form->proowner);
	ReleaseSysCache(tuple);
	return foreign;
}

/* PostgreSQL's question; the answer, whether to be told of calls, is no. */
static bool
refuse_foreign(Oid function)
{
	if (IsTransactionState() && superuser_arg(GetAuthenticatedUserId()) &&
		superuser_arg(GetUserId()) && is_foreign(function))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("function %s does not belong to a superuser",
						format_procedure(function)),
				 errdetail("The server's owner \"%s\" is a superuser.",
						   GetUserNameFromId(GetAuthenticatedUserId(),
											 false)),
				 errhint("Give the server to a role of its own (ALTER SERVER ... OWNER TO ...), which then needs its user mapping.")));
	return previous_hook != NULL && previous_hook(function);
}

void
ke_foreign_code_refuse(void)
{
	if (installed)
		return;
	previous_hook = needs_fmgr_hook;
	needs_fmgr_hook = refuse_foreign;
	installed = true;
}
