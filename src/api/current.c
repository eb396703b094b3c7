/*
 * current.c
 *	  kafka_current_message(): the message a handler was called for.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"

#include "handler/handler.h"

PG_FUNCTION_INFO_V1(kafka_current_message);

Datum
kafka_current_message(PG_FUNCTION_ARGS)
{
	KeMessage  *msg = ke_handler_current();

	if (msg == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(ke_handler_message_datum(msg));
}
