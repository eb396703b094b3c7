/*
 * call.c
 *	  Messages into calls of a user's function: argument, guard, function.
 *
 * The argument is made inside the guard too: checks of domains are user code
 * as much as the function is.  What a call allocates goes into one context
 * that is reset after it, and whose first block stays: giving memory back to
 * the system and taking it again costs more than a short handler.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "handler/argument.h"
#include "handler/call.h"
#include "handler/function.h"
#include "session/guard.h"

#define FIRST_BLOCK ((Size) 64 * 1024)

struct KeCall
{
	MemoryContext context;		/* of this struct and all below */
	MemoryContext call_context;
	const char *role;
	KeFunction *function;
	KeArgumentMaker *argument;
	KeArgument	kind;
	int			timeout_ms;
	bool		skips_tombstones;
};

static KeMessage *current_message = NULL;

KeCall *
ke_call_open(const char *role, Oid function, KeArgument kind,
			 Oid argument_type, const KeSubscriptionOptions *options,
			 MemoryContext parent)
{
	MemoryContext context;
	KeCall	   *call;

	context = AllocSetContextCreate(parent, "kafka_events calls",
									ALLOCSET_SMALL_SIZES);
	call = MemoryContextAllocZero(context, sizeof(KeCall));
	call->context = context;
	call->call_context = AllocSetContextCreate(context, "kafka_events call",
											   FIRST_BLOCK, FIRST_BLOCK,
											   ALLOCSET_DEFAULT_MAXSIZE);
	call->role = role;
	call->kind = kind;
	call->skips_tombstones = options->tombstones == KE_TOMBSTONES_IGNORE;
	call->timeout_ms = options->handler_timeout_ms;
	call->function = ke_function_open(function, argument_type, context);
	call->argument = ke_argument_open(kind, argument_type, options,
									  context);
	return call;
}

void
ke_call_close(KeCall *call)
{
	MemoryContextDelete(call->context);
}

void
ke_call_begin(KeCall *call)
{
	ke_function_begin(call->function);
}

const char *
ke_call_name(const KeCall *call)
{
	return ke_function_name(call->function);
}

const char *
ke_call_source(const KeCall *call)
{
	return ke_function_source(call->function);
}

int64 *
ke_call_stripped(KeCall *call)
{
	return ke_argument_stripped(call->argument);
}

KeUnmatched *
ke_call_unmatched(KeCall *call)
{
	return ke_argument_unmatched(call->argument);
}

static void
add_context(void *argument)
{
	KeCall	   *call = (KeCall *) argument;

	if (ke_call_name(call) != NULL)
		errcontext("%s %s", call->role, ke_call_name(call));
}

/* In the guard: make the argument and call. */
static bool
perform(KeCall *call, KeMessage **msgs, int count, Datum *result,
		bool *isnull)
{
	Datum		argument;
	bool		argument_null = false;
	bool		skip = false;

	if (call->kind == KE_ARG_BATCH)
		argument = ke_argument_make_batch(call->argument, msgs, count);
	else
		argument = ke_argument_make(call->argument, msgs[0], &argument_null,
									&skip);

	if (skip || (argument_null && ke_function_is_strict(call->function)))
		return false;
	if (call->skips_tombstones && call->kind != KE_ARG_BATCH &&
		msgs[0]->value == NULL)
		return false;
	*result = ke_function_call(call->function, argument, argument_null,
							   isnull);
	return true;
}

bool
ke_call_run(KeCall *call, KeMessage **msgs, int count, Datum *result,
			bool *isnull)
{
	MemoryContext old;
	ErrorContextCallback context;
	volatile bool called = false;

	Assert(count == 1 || call->kind == KE_ARG_BATCH);
	ke_call_forget(call);		/* what an error has left */
	old = MemoryContextSwitchTo(call->call_context);
	context.callback = add_context;
	context.arg = call;
	context.previous = error_context_stack;
	error_context_stack = &context;

	ke_guard_enter(call->timeout_ms);
	if (call->kind != KE_ARG_BATCH)
		current_message = msgs[0];
	PG_TRY();
	{
		called = perform(call, msgs, count, result, isnull);
	}
	PG_CATCH();
	{
		current_message = NULL;
		ke_function_failed(call->function);
		ke_guard_failed();
		PG_RE_THROW();
	}
	PG_END_TRY();
	current_message = NULL;
	ke_guard_leave();

	error_context_stack = context.previous;
	MemoryContextSwitchTo(old);
	return called;
}

void
ke_call_forget(KeCall *call)
{
	MemoryContextReset(call->call_context);
	ke_argument_trim(call->argument);
}

KeMessage *
ke_call_current(void)
{
	return current_message;
}
