/*
 * core_copy_history.c
 *	  What a copy says of its history, compared with a database's past.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/copy_history.h"

PG_FUNCTION_INFO_V1(unit_copy_history);

/*
 * unit_copy_history(header text) returns text: in the eyes of database 5 of
 * system 42, which lived on timeline 1 up to 0/2000, on 3 up to 0/3000, and is
 * on 4; with numbers a0 given at 0/1000 and a4 at 0/3000.
 */
Datum
unit_copy_history(PG_FUNCTION_ARGS)
{
	static KeTimeline timelines[] = {{4, 0}, {3, 0x3000}, {1, 0x2000}};
	static KeHistoryNumber numbers[] = {{0xa0, 0x1000}, {0xa4, 0x3000}};
	KePast		past = {42, 5, timelines, 3, numbers, 2};
	char	   *header = text_to_cstring(PG_GETARG_TEXT_PP(0));
	KeCopyHistory history;

	if (!ke_copy_history_parse(header, strlen(header), &history))
		PG_RETURN_NULL();
	switch (ke_copy_history_judge(&past, &history))
	{
		case KE_COPY_ELSEWHERE:
			PG_RETURN_TEXT_P(cstring_to_text("elsewhere"));
		case KE_COPY_KEPT:
			PG_RETURN_TEXT_P(cstring_to_text("kept"));
		case KE_COPY_ORPHAN:
			PG_RETURN_TEXT_P(cstring_to_text("orphan"));
	}
	pg_unreachable();
}
