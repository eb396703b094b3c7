/*
 * handler_result.c
 *	  What a handler asks and says about its message: kafka_current_message,
 *	  kafka_trace_id, kafka_retry, kafka_reject, kafka_skip.
 *
 * Each of the last three raises an error, so that nothing after the call runs
 * and what the handler did before is rolled back.  RAISE with these SQLSTATEs
 * does the same; only the delay of kafka_retry cannot be said that way.
 */
#include "postgres.h"
#include "core/compat.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/classify.h"
#include "core/failure.h"
#include "core/literal.h"
#include "core/retry.h"
#include "core/trace.h"
#include "handler/handler.h"

PG_FUNCTION_INFO_V1(kafka_current_message);
PG_FUNCTION_INFO_V1(kafka_trace_id);
PG_FUNCTION_INFO_V1(kafka_retry);
PG_FUNCTION_INFO_V1(kafka_reject);
PG_FUNCTION_INFO_V1(kafka_skip);

/* These are not STRICT: a null reason must not make them do nothing. */
static char *
reason(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? "no reason given" :
		text_to_cstring(PG_GETARG_TEXT_PP(0));
}

/* Rounded up, so that no retry comes before its time. */
static int64
delay_ms(const Interval *delay)
{
	double		days = delay->month * (double) DAYS_PER_MONTH + delay->day;
	double		ms = days * SECS_PER_DAY * 1000.0 +
		ceil(delay->time / 1000.0);

	if (ms < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("delay must not be negative")));
	if (ms > KE_RETRY_DELAY_MAX_MS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("delay must be at most %s",
						ke_literal_show_interval(KE_RETRY_DELAY_MAX_MS))));
	return (int64) ms;
}

Datum
kafka_retry(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(KE_SQLSTATE_RETRY),
				 errmsg("%s", reason(fcinfo))));
	ereport(ERROR,
			(errcode(KE_SQLSTATE_RETRY),
			 errmsg("%s", reason(fcinfo)),
			 errdetail(KE_FAILURE_DELAY_DETAIL,
					   (long long) delay_ms(PG_GETARG_INTERVAL_P(1)))));
	PG_RETURN_VOID();
}

Datum
kafka_reject(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(KE_SQLSTATE_REJECT),
			 errmsg("%s", reason(fcinfo))));
	PG_RETURN_VOID();
}

Datum
kafka_skip(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(KE_SQLSTATE_SKIP),
			 errmsg("%s", reason(fcinfo))));
	PG_RETURN_VOID();
}

Datum
kafka_current_message(PG_FUNCTION_ARGS)
{
	KeMessage  *msg = ke_handler_current();

	if (msg == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(ke_handler_message_datum(msg));
}

Datum
kafka_trace_id(PG_FUNCTION_ARGS)
{
	KeMessage  *msg = ke_handler_current();
	const KeHeader *headers;
	KeTrace		trace;
	int			count;

	if (msg == NULL)
		PG_RETURN_NULL();
	headers = ke_message_headers(msg, &count);
	if (!ke_trace_read(headers, count, &trace))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(trace.id));
}
