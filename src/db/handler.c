/*
 * handler.c
 *	  Calls a subscription's function with one message, or with a batch.
 *
 * The argument is made inside the guard too: checks of domains are user code
 * as much as the function is.  What a call allocates goes into one context
 * that is reset by the next call, and whose first block stays: giving memory
 * back to the system and taking it again costs more than a short handler.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/typcache.h"

#include "db/argument.h"
#include "db/function.h"
#include "db/guard.h"
#include "db/handler.h"

#define CALL_CONTEXT_SIZE ((Size) 64 * 1024)

struct KeHandler
{
	MemoryContext context;		/* of this struct and all below */
	MemoryContext call_context;
	KeFunction *function;
	KeArgumentMaker *argument;
	KeArgument	kind;
	int			timeout_ms;
};

static KeMessage *current_message = NULL;
static KeArgumentMaker *message_maker = NULL;

KeHandler *
ke_handler_open(const KeSubscription *sub, MemoryContext parent)
{
	MemoryContext context;
	KeHandler  *handler;

	context = AllocSetContextCreate(parent, "kafka_events handler",
									ALLOCSET_SMALL_SIZES);
	handler = MemoryContextAllocZero(context, sizeof(KeHandler));
	handler->context = context;
	handler->call_context = AllocSetContextCreate(context,
												  "kafka_events call",
												  CALL_CONTEXT_SIZE,
												  CALL_CONTEXT_SIZE,
												  ALLOCSET_DEFAULT_MAXSIZE);
	handler->kind = sub->handler_argument;
	handler->timeout_ms = sub->options.handler_timeout_ms;
	handler->function = ke_function_open(sub->handler,
										 sub->handler_argument_type, context);
	handler->argument = ke_argument_open(sub->handler_argument,
										 sub->handler_argument_type, context);
	return handler;
}

void
ke_handler_close(KeHandler *handler)
{
	ke_function_close(handler->function);
	MemoryContextDelete(handler->context);
}

void
ke_handler_begin(KeHandler *handler)
{
	ke_function_begin(handler->function);
}

static void
add_context(void *argument)
{
	const char *name = ke_function_name(((KeHandler *) argument)->function);

	if (name != NULL)
		errcontext("handler %s", name);
}

/* In the guard: make the argument, of one message or of all, and call. */
static bool
perform(KeHandler *handler, KeMessage **msgs, int count)
{
	Datum		argument;
	bool		isnull = false;
	bool		result_null;

	if (handler->kind == KE_ARG_BATCH)
		argument = ke_argument_make_batch(handler->argument, msgs, count);
	else
		argument = ke_argument_make(handler->argument, msgs[0], &isnull);

	if (isnull && ke_function_is_strict(handler->function))
		return false;
	(void) ke_function_call(handler->function, argument, isnull,
							&result_null);
	return true;
}

static bool
run(KeHandler *handler, KeMessage **msgs, int count)
{
	MemoryContext old;
	ErrorContextCallback context;
	volatile bool called = false;

	MemoryContextReset(handler->call_context);
	old = MemoryContextSwitchTo(handler->call_context);
	context.callback = add_context;
	context.arg = handler;
	context.previous = error_context_stack;
	error_context_stack = &context;

	ke_guard_enter(handler->timeout_ms);
	if (handler->kind != KE_ARG_BATCH)
		current_message = msgs[0];
	PG_TRY();
	{
		called = perform(handler, msgs, count);
	}
	PG_CATCH();
	{
		current_message = NULL;
		ke_function_failed(handler->function);
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

bool
ke_handler_call(KeHandler *handler, KeMessage *msg)
{
	Assert(handler->kind != KE_ARG_BATCH);
	return run(handler, &msg, 1);
}

void
ke_handler_call_batch(KeHandler *handler, KeMessage **msgs, int count)
{
	Assert(handler->kind == KE_ARG_BATCH && count > 0);
	(void) run(handler, msgs, count);
}

bool
ke_handler_timed_out(void)
{
	return ke_guard_timed_out();
}

bool
ke_handler_is_running(void)
{
	return ke_guard_is_running();
}

KeMessage *
ke_handler_current(void)
{
	return current_message;
}

/* The type cannot change under a process: it ends with the extension. */
Datum
ke_handler_message_datum(KeMessage *msg)
{
	bool		isnull;

	if (message_maker == NULL)
		message_maker = ke_argument_open(KE_ARG_MESSAGE,
										 ke_catalog_message_type(),
										 TopMemoryContext);
	return ke_argument_make(message_maker, msg, &isnull);
}
