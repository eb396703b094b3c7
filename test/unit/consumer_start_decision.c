/*
 * consumer_start_decision.c
 *	  Where a partition starts, decided over given facts; stamps; verdicts.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "consumer/start_decision.h"

PG_FUNCTION_INFO_V1(unit_start);
PG_FUNCTION_INFO_V1(unit_stamp);

static const char *
verdict_name(KeStartVerdict verdict)
{
	switch (verdict)
	{
		case KE_START_AT_POSITION:
			return "at position";
		case KE_START_VERIFIED:
			return "verified";
		case KE_START_UNVERIFIED:
			return "unverified";
		case KE_START_ADOPTED:
			return "adopted";
		case KE_START_CONTESTED:
			return "contested";
		case KE_START_SHARED:
			return "shared";
		case KE_START_FRESH:
			return "fresh";
		case KE_START_REFUSED_FOREIGN:
			return "refused: foreign";
		case KE_START_REFUSED_RANGE:
			return "refused: range";
	}
	return NULL;
}

static int64
offset_or_none(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? KE_OFFSET_NONE : PG_GETARG_INT64(n);
}

/*
 * unit_start(uuid, shared, k, metadata, p, p_committed, p_last, low, high,
 * contested)
 */
Datum
unit_start(PG_FUNCTION_ARGS)
{
	KePosition	p = {
		.next = offset_or_none(fcinfo, 4),
		.committed = offset_or_none(fcinfo, 5),
		.last_offset = offset_or_none(fcinfo, 6),
	};
	KeStartFacts facts = {
		.uuid = text_to_cstring(PG_GETARG_TEXT_PP(0)),
		.shared = PG_GETARG_BOOL(1),
		.has_k = !PG_ARGISNULL(2),
		.k = offset_or_none(fcinfo, 2),
		.has_p = !PG_ARGISNULL(4),
		.p = &p,
		.low = PG_GETARG_INT64(7),
		.high = PG_GETARG_INT64(8),
		.contested = PG_GETARG_BOOL(9),
	};
	KeStartDecision decision;
	bool		looked;

	facts.has_stamp = !PG_ARGISNULL(3) &&
		ke_stamp_parse(text_to_cstring(PG_GETARG_TEXT_PP(3)), &facts.stamp);
	decision = ke_start_decision_make(&facts);
	looked = ke_start_decision_needs_bounds(&facts);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s %lld%s",
											  verdict_name(decision.verdict),
											  (long long) decision.offset,
											  looked ?
											  ", bounds looked at" : "")));
}

/* Parsed and written again; NULL: not one of ours. */
Datum
unit_stamp(PG_FUNCTION_ARGS)
{
	KeStamp		stamp;

	if (!ke_stamp_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &stamp))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(ke_stamp_format(&stamp)));
}
