/*
 * shm_circuit.c
 *	  Circuit breakers in shared memory, reported to as workers do.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "shm/circuit.h"

PG_FUNCTION_INFO_V1(unit_circuit_ask);
PG_FUNCTION_INFO_V1(unit_circuit_succeeded);
PG_FUNCTION_INFO_V1(unit_circuit_failed);
PG_FUNCTION_INFO_V1(unit_circuit_changed);
PG_FUNCTION_INFO_V1(unit_circuit_is_known);

/* The first two arguments: the subscription, and the worker's number. */
static KeCircuit
circuit_of(FunctionCallInfo fcinfo)
{
	return (KeCircuit)
	{
		.database = MyDatabaseId,
			.subscription = PG_GETARG_OID(0),
			.topic = "orders",
			.role = KE_ROLE_MAIN,
			.ordinal = PG_GETARG_INT32(1),
			.settings = {.threshold = 4, .timeout_ms = 1000, .lease_ms = 60000}
	};
}

Datum
unit_circuit_ask(PG_FUNCTION_ARGS)
{
	KeCircuit	circuit = circuit_of(fcinfo);
	const char *answer = "";

	switch (ke_circuit_ask(&circuit, GetCurrentTimestamp()).go)
	{
		case KE_BREAKER_RUN:
			answer = "run";
			break;
		case KE_BREAKER_TRY:
			answer = "try";
			break;
		case KE_BREAKER_WAIT:
			answer = "wait";
			break;
	}
	PG_RETURN_TEXT_P(cstring_to_text(answer));
}

Datum
unit_circuit_succeeded(PG_FUNCTION_ARGS)
{
	KeCircuit	circuit = circuit_of(fcinfo);

	ke_circuit_succeeded(&circuit);
	PG_RETURN_VOID();
}

/* Also takes a partition, an offset, an SQLSTATE and a description. */
Datum
unit_circuit_failed(PG_FUNCTION_ARGS)
{
	KeCircuit	circuit = circuit_of(fcinfo);
	char	   *code = text_to_cstring(PG_GETARG_TEXT_PP(4));
	KeBreakerFailure failure = {
		.partition = PG_GETARG_INT32(2),
		.offset = PG_GETARG_INT64(3),
		.sqlstate = MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4])
	};

	failure.verdict = ke_classify(failure.sqlstate, false);
	PG_RETURN_BOOL(ke_circuit_failed(&circuit, &failure,
									 text_to_cstring(PG_GETARG_TEXT_PP(5)),
									 GetCurrentTimestamp()));
}

Datum
unit_circuit_changed(PG_FUNCTION_ARGS)
{
	ke_circuit_changed(MyDatabaseId, PG_GETARG_OID(0), GetCurrentTimestamp());
	PG_RETURN_VOID();
}

Datum
unit_circuit_is_known(PG_FUNCTION_ARGS)
{
	KeCircuitReport report;

	ke_circuit_look(MyDatabaseId, PG_GETARG_OID(0), &report);
	PG_RETURN_BOOL(report.breaker.last.sqlstate != 0);
}
