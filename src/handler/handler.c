/*
 * handler.c
 *	  Calls a subscription's function with one message, or with a batch.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "handler/argument.h"
#include "handler/call.h"
#include "handler/handler.h"
#include "session/guard.h"
#include "subscription/extension.h"

struct KeHandler
{
	KeCall	   *call;
};

static KeArgumentMaker *message_maker = NULL;

KeHandler *
ke_handler_open(const KeSubscription *sub, MemoryContext parent)
{
	KeHandler  *handler = MemoryContextAlloc(parent, sizeof(KeHandler));

	handler->call = ke_call_open("handler", sub->handler,
								 sub->handler_argument,
								 sub->handler_argument_type,
								 &sub->options, parent);
	return handler;
}

void
ke_handler_begin(KeHandler *handler)
{
	ke_call_begin(handler->call);
}

/* Nobody wants the result. */
static bool
run(KeHandler *handler, KeMessage **msgs, int count)
{
	Datum		result;
	bool		isnull;
	bool		called;

	called = ke_call_run(handler->call, msgs, count, &result, &isnull);
	ke_call_forget(handler->call);
	return called;
}

bool
ke_handler_call(KeHandler *handler, KeMessage *msg)
{
	return run(handler, &msg, 1);
}

void
ke_handler_call_batch(KeHandler *handler, KeMessage **msgs, int count)
{
	(void) run(handler, msgs, count);
}

const char *
ke_handler_source(const KeHandler *handler)
{
	return ke_call_source(handler->call);
}

int64 *
ke_handler_stripped(KeHandler *handler)
{
	return ke_call_stripped(handler->call);
}

KeUnmatched *
ke_handler_unmatched(KeHandler *handler)
{
	return ke_call_unmatched(handler->call);
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
	return ke_call_current();
}

/* The type cannot change under a process: it ends with the extension. */
Datum
ke_handler_message_datum(KeMessage *msg)
{
	bool		isnull;
	bool		skip;

	if (message_maker == NULL)
		message_maker = ke_argument_open(KE_ARG_MESSAGE,
										 ke_extension_message_type(), NULL,
										 TopMemoryContext);
	return ke_argument_make(message_maker, msg, &isnull, &skip);
}

void
ke_handler_close(KeHandler *handler)
{
	ke_call_close(handler->call);
	pfree(handler);
}
