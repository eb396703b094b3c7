/*
 * function.c
 *	  A user's function of one argument, looked up once and called often.
 *
 * Calls go straight through the function manager: no query is planned or
 * executed around them.  What an executor would do for a call is done here:
 * the privilege, the expression node that some functions ask for the types
 * in the call, the collation, the statistics, a snapshot.
 *
 * fmgr and the languages keep what they know in FmgrInfo and in its context;
 * after ALTER FUNCTION ... SECURITY DEFINER, say, that would still be the
 * old function.  So a syscache callback marks look-ups as stale, and a stale
 * one is thrown away as a whole before the next call, never during one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "handler/function.h"

struct KeFunction
{
	dlist_node	node;			/* in functions */
	MemoryContext own_context;	/* of this struct */
	MemoryContextCallback forget;	/* when that context goes */
	Oid			oid;
	Oid			argument_type;
	uint32		hash;			/* of its pg_proc row in the syscache */
	uint64		changes;		/* how often that was invalidated, + 1 */
	uint64		looked_up;		/* changes when all below was looked up */
	Oid			owner;
	Oid			collation;
	char	   *name;			/* with its argument's type */
	char	   *source;			/* pg_proc.prosrc */
	FmgrInfo	finfo;
	MemoryContext context;		/* of these three, and what hangs on finfo */
};

static bool callback_registered = false;
static dlist_head functions = DLIST_STATIC_INIT(functions);

static void
function_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	dlist_iter	iter;

	dlist_foreach(iter, &functions)
	{
		KeFunction *function = dlist_container(KeFunction, node, iter.cur);

		if (hashvalue == 0 || hashvalue == function->hash)
			function->changes++;
	}
}

static inline bool
is_stale(const KeFunction *function)
{
	return function->looked_up != function->changes;
}

static void
forget(void *arg)
{
	dlist_delete(&((KeFunction *) arg)->node);
}

KeFunction *
ke_function_open(Oid oid, Oid argument_type, MemoryContext parent)
{
	MemoryContext own;
	KeFunction *function;

	if (!callback_registered)
	{
		CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
		callback_registered = true;
	}

	own = AllocSetContextCreate(parent, "kafka_events function",
								ALLOCSET_SMALL_SIZES);
	function = MemoryContextAllocZero(own, sizeof(KeFunction));
	function->own_context = own;
	function->oid = oid;
	function->argument_type = argument_type;
	function->changes = 1;
	function->context = AllocSetContextCreate(own,
											  "kafka_events function look-up",
											  ALLOCSET_SMALL_SIZES);
	dlist_push_tail(&functions, &function->node);
	function->forget.func = forget;
	function->forget.arg = function;
	MemoryContextRegisterResetCallback(own, &function->forget);
	return function;
}

void
ke_function_close(KeFunction *function)
{
	MemoryContextDelete(function->own_context);
}

/*
 * Subscribing has refused all this; but what it accepted may have been
 * dropped and, long enough later, the OID may be something else's.
 */
static void
check_kind(KeFunction *function, Form_pg_proc form)
{
	if (form->prokind != PROKIND_FUNCTION || form->proretset ||
		form->pronargs != 1 ||
		form->proargtypes.values[0] != function->argument_type)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a function of one argument of type %s that returns one value",
						format_procedure(function->oid),
						format_type_be(function->argument_type))));
}

/* The call as a query would have it, for get_fn_expr_argtype() and so on. */
static Node *
call_expression(KeFunction *function, Oid result_type)
{
	Const	   *argument = makeNullConst(function->argument_type, -1,
										 function->collation);

	return (Node *) makeFuncExpr(function->oid, result_type,
								 list_make1(argument), InvalidOid,
								 function->collation, COERCE_EXPLICIT_CALL);
}

/* In the current context. */
static char *
source_of(HeapTuple tuple)
{
	bool		isnull;
	Datum		source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc,
										 &isnull);

	return isnull ? NULL : TextDatumGetCString(source);
}

/* A change that arrives meanwhile, or an error, leaves it stale. */
static void
look_up(KeFunction *function)
{
	uint64		changes;
	HeapTuple	tuple;
	Form_pg_proc form;
	MemoryContext old;

	function->hash = GetSysCacheHashValue1(PROCOID,
										   ObjectIdGetDatum(function->oid));
	changes = function->changes;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function->oid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s does not exist",
						function->name ? function->name :
						psprintf("with OID %u", function->oid))));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	check_kind(function, form);

	function->name = function->source = NULL;
	MemoryContextReset(function->context);
	old = MemoryContextSwitchTo(function->context);
	function->owner = form->proowner;
	function->collation = get_typcollation(function->argument_type);
	function->name = format_procedure(function->oid);
	function->source = source_of(tuple);
	fmgr_info_cxt(function->oid, &function->finfo, function->context);
	fmgr_info_set_expr(call_expression(function, form->prorettype),
					   &function->finfo);
	function->looked_up = changes;

	ReleaseSysCache(tuple);
	MemoryContextSwitchTo(old);
}

static void
check_privileges(KeFunction *function)
{
	AclResult	result = ke_aclcheck_function(function->oid, GetUserId(),
											  ACL_EXECUTE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function->oid));
	InvokeFunctionExecuteHook(function->oid);

	/* Whoever owns the function would run code as a superuser. */
	if (superuser() && !superuser_arg(function->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("function %s does not belong to a superuser",
						function->name),
				 errdetail("The server's owner \"%s\" is a superuser.",
						   GetUserNameFromId(GetUserId(), false))));
}

void
ke_function_begin(KeFunction *function)
{
	if (is_stale(function))
		look_up(function);
	check_privileges(function);
}

bool
ke_function_is_strict(KeFunction *function)
{
	if (is_stale(function))
		ke_function_begin(function);
	return function->finfo.fn_strict;
}

const char *
ke_function_name(const KeFunction *function)
{
	return function->name;
}

const char *
ke_function_source(const KeFunction *function)
{
	return function->source;
}

void
ke_function_failed(KeFunction *function)
{
	function->looked_up = 0;
}

Datum
ke_function_call(KeFunction *function, Datum argument, bool argument_null,
				 bool *result_null)
{
	LOCAL_FCINFO(fcinfo, 1);
	PgStat_FunctionCallUsage usage;
	Datum		result;

	/* The function may have changed since, even by its own last call. */
	if (is_stale(function))
		ke_function_begin(function);

	/* See what earlier calls of this transaction did, and others' commits. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());

	InitFunctionCallInfoData(*fcinfo, &function->finfo, 1,
							 function->collation, NULL, NULL);
	fcinfo->args[0].value = argument;
	fcinfo->args[0].isnull = argument_null;
	pgstat_init_function_usage(fcinfo, &usage);
	result = FunctionCallInvoke(fcinfo);
	pgstat_end_function_usage(&usage, true);
	*result_null = fcinfo->isnull;

	PopActiveSnapshot();
	return result;
}
