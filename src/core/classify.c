/*
 * classify.c
 *	  Whose fault an error is, by its SQLSTATE.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/classify.h"

/* Single codes that differ from the rest of their class come first. */
static const struct
{
	const char *code;			/* five characters, or a class of two */
	KeVerdict	verdict;
}			rules[] =
{
	{"22P07", KE_VERDICT_AGAIN},	/* a row's type was altered meanwhile */
	{"23502", KE_VERDICT_NEVER},
	{"23505", KE_VERDICT_NEVER},
	{"23514", KE_VERDICT_NEVER},
	{"23P01", KE_VERDICT_NEVER},
	{"KE001", KE_VERDICT_RETRY},
	{"KE002", KE_VERDICT_NEVER},
	{"KE003", KE_VERDICT_SKIP},
	{"08", KE_VERDICT_NOBODY},
	{"53", KE_VERDICT_NOBODY},
	{"57", KE_VERDICT_NOBODY},
	{"58", KE_VERDICT_NOBODY},
	{"40", KE_VERDICT_AGAIN},
	{"22", KE_VERDICT_NEVER},
	{"54", KE_VERDICT_NEVER},
	{"0A", KE_VERDICT_DEPLOYMENT},
	{"25", KE_VERDICT_DEPLOYMENT},
	{"2D", KE_VERDICT_DEPLOYMENT},
	{"3D", KE_VERDICT_DEPLOYMENT},
	{"3F", KE_VERDICT_DEPLOYMENT},
	{"42", KE_VERDICT_DEPLOYMENT},
};

KeVerdict
ke_classify(int sqlstate, bool timed_out)
{
	const char *code = unpack_sql_state(sqlstate);
	int			i;

	if (timed_out && sqlstate == ERRCODE_QUERY_CANCELED)
		return KE_VERDICT_RETRY;
	for (i = 0; i < lengthof(rules); i++)
		if (strncmp(code, rules[i].code, strlen(rules[i].code)) == 0)
			return rules[i].verdict;
	return KE_VERDICT_RETRY;
}
