/*
 * core_route.c
 *	  Whose fault, which route, how long to wait, and the circuit breaker.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/breaker.h"
#include "core/classify.h"
#include "core/failure.h"
#include "core/retry.h"
#include "core/route.h"

PG_FUNCTION_INFO_V1(unit_classify);
PG_FUNCTION_INFO_V1(unit_route);
PG_FUNCTION_INFO_V1(unit_delay);
PG_FUNCTION_INFO_V1(unit_breaker);

static int
sqlstate_of(const char *code)
{
	if (strlen(code) != 5)
		elog(ERROR, "SQLSTATE of five characters expected, not %s", code);
	return MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]);
}

static const char *
verdict_name(KeVerdict verdict)
{
	switch (verdict)
	{
		case KE_VERDICT_NOBODY:
			return "nobody";
		case KE_VERDICT_AGAIN:
			return "again";
		case KE_VERDICT_NEVER:
			return "never";
		case KE_VERDICT_DEPLOYMENT:
			return "deployment";
		case KE_VERDICT_RETRY:
			return "retry";
		case KE_VERDICT_SKIP:
			return "skip";
	}
	pg_unreachable();
}

static const char *
kind_name(KeRouteKind kind)
{
	switch (kind)
	{
		case KE_ROUTE_AGAIN:
			return "again";
		case KE_ROUTE_WAIT:
			return "wait";
		case KE_ROUTE_RETRY:
			return "retry";
		case KE_ROUTE_DEAD:
			return "dead";
		case KE_ROUTE_SKIP:
			return "skip";
		case KE_ROUTE_FAILED:
			return "failed";
	}
	pg_unreachable();
}

Datum
unit_classify(PG_FUNCTION_ARGS)
{
	int			sqlstate = sqlstate_of(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	KeVerdict	verdict = ke_classify(sqlstate, PG_GETARG_BOOL(1));

	PG_RETURN_TEXT_P(cstring_to_text(verdict_name(verdict)));
}

/* Options from "name=value" texts, as a subscription would have them. */
static KeSubscriptionOptions
options_of(ArrayType *array)
{
	KeSubscriptionOptions options;
	List	   *list = list_make1(makeDefElem("handler",
											  (Node *) makeString("f"), -1));
	List	   *problems = NIL;
	Datum	   *elements;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = TextDatumGetCString(elements[i]);
		char	   *value = strchr(name, '=');

		*value++ = '\0';
		list = lappend(list, makeDefElem(name, (Node *) makeString(value),
										 -1));
	}
	ke_options_subscription_parse(list, false, &options, &problems);
	if (problems != NIL)
		elog(ERROR, "%s", (char *) linitial(problems));
	return options;
}

Datum
unit_route(PG_FUNCTION_ARGS)
{
	KeSubscriptionOptions options = options_of(PG_GETARG_ARRAYTYPE_P(0));
	KeFailure	fail = {
		.sqlstate = sqlstate_of(text_to_cstring(PG_GETARG_TEXT_PP(1))),
		.retry_delay_ms = PG_GETARG_INT64(5),
		.of_data = PG_GETARG_BOOL(6)
	};
	KeRoute		route = ke_route_decide(&options, &fail, PG_GETARG_BOOL(2),
										PG_GETARG_INT32(3),
										PG_GETARG_INT32(4), 0.5);

	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s %s " INT64_FORMAT,
											  kind_name(route.kind),
											  verdict_name(route.verdict),
											  route.delay_ms)));
}

Datum
unit_delay(PG_FUNCTION_ARGS)
{
	KeSubscriptionOptions options = options_of(PG_GETARG_ARRAYTYPE_P(0));

	PG_RETURN_INT64(ke_retry_delay_ms(&options, PG_GETARG_INT32(1),
									  PG_GETARG_FLOAT8(2)));
}

/* ----------------------------------------------------------------- breaker */

/* Times are shown in ms from where the clock of the test starts. */
#define START_MS INT64CONST(1000000)

static int64
show_ms(TimestampTz time)
{
	return time == 0 ? -1 : time / 1000 - START_MS;
}

static char *
state_of(const KeBreaker *breaker)
{
	static const char *const names[] = {
		"closed", "open", "half-open", "broken", "mending"
	};

	return psprintf("%s, %d in a row, %d suspects, opened at " INT64_FORMAT ", next try at " INT64_FORMAT,
					names[breaker->state], breaker->failures,
					breaker->nsuspects, show_ms(breaker->opened_at),
					show_ms(breaker->next_try_at));
}

static char *
ask(KeBreaker *breaker, const KeBreakerSettings *settings, int who,
	TimestampTz now)
{
	KeBreakerTurn turn = ke_breaker_ask(breaker, settings, who, now);

	switch (turn.go)
	{
		case KE_BREAKER_RUN:
			return "run";
		case KE_BREAKER_TRY:
			return psprintf("try after partition %d", turn.after_partition);
		case KE_BREAKER_WAIT:
			return psprintf("wait until " INT64_FORMAT, show_ms(turn.ask_at));
	}
	pg_unreachable();
}

static KeBreakerFailure
failure_at(const char *where)
{
	KeBreakerFailure failure = {0};
	char		code[6];
	int			partition;
	long long	offset;

	failure.again = strstr(where, "again") != NULL;
	if (sscanf(where, "%d/%lld %5s", &partition, &offset, code) != 3)
		elog(ERROR, "partition/offset SQLSTATE expected, not %s", where);
	failure.partition = partition;
	failure.offset = offset;
	failure.sqlstate = sqlstate_of(code);
	failure.verdict = ke_classify(failure.sqlstate, false);
	return failure;
}

static char *
fail(KeBreaker *breaker, const KeBreakerSettings *settings, int who,
	 const char *where, TimestampTz now)
{
	KeBreakerFailure failure = failure_at(where);

	return ke_breaker_failed(breaker, settings, who, &failure, now) ?
		"routed" : "stays";
}

static char *
would_break(const KeBreaker *breaker, const char *where)
{
	KeBreakerFailure failure = failure_at(where);

	return ke_breaker_would_break(breaker, &failure) ? "would" : "would not";
}

/*
 * Play a scenario, steps separated by semicolons: "+ms" moves the clock;
 * "ask w", "ok w" and "fail w partition/offset SQLSTATE [again]" are worker
 * w's; "would partition/offset SQLSTATE [again]" asks whether that would
 * break it, "proved" says that a later message went well; "changed", "reset"
 * come from outside.  One line per step.
 */
Datum
unit_breaker(PG_FUNCTION_ARGS)
{
	KeBreakerSettings settings = {
		.threshold = PG_GETARG_INT32(0),
		.timeout_ms = PG_GETARG_INT32(1),
		.lease_ms = PG_GETARG_INT32(2)
	};
	char	   *script = text_to_cstring(PG_GETARG_TEXT_PP(3));
	KeBreaker	breaker = {0};
	int64		now_ms = START_MS;
	StringInfoData out;
	char	   *step;

	initStringInfo(&out);
	for (step = strtok(script, ";"); step != NULL; step = strtok(NULL, ";"))
	{
		TimestampTz now = now_ms * 1000;
		char	   *result = "";
		int			who;
		int			read;

		while (*step == ' ' || *step == '\n')
			step++;
		if (*step == '+')
			now_ms += atoi(step + 1);
		else if (sscanf(step, "ask %d", &who) == 1)
			result = ask(&breaker, &settings, who, now);
		else if (sscanf(step, "ok %d", &who) == 1)
			ke_breaker_succeeded(&breaker, who);
		else if (sscanf(step, "fail %d %n", &who, &read) == 1)
			result = fail(&breaker, &settings, who, step + read, now);
		else if (strncmp(step, "would ", 6) == 0)
			result = would_break(&breaker, step + 6);
		else if (strcmp(step, "proved") == 0)
			ke_breaker_proved(&breaker, 0);
		else if (strcmp(step, "changed") == 0)
			ke_breaker_changed(&breaker, now);
		else if (strcmp(step, "reset") == 0)
			ke_breaker_reset(&breaker);
		else
			elog(ERROR, "unknown step %s", step);
		appendStringInfo(&out, "%s%-22s %-22s %s", out.len > 0 ? "\n" : "",
						 step, result, state_of(&breaker));
	}
	PG_RETURN_TEXT_P(cstring_to_text(out.data));
}
