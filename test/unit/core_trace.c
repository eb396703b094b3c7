/*
 * core_trace.c
 *	  The trace that a message's headers name.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/trace.h"

PG_FUNCTION_INFO_V1(unit_trace);

static char *
as_text(const KeHeader *header)
{
	return header == NULL ? "none" :
		pnstrdup(header->value, header->value_len);
}

/*
 * unit_trace(text[]) returns text: of headers, a name, a value (NULL: null),
 * a name, ...; id, traceparent, tracestate, and what a line says of it.
 */
Datum
unit_trace(PG_FUNCTION_ARGS)
{
	KeHeader   *headers;
	KeTrace		trace;
	Datum	   *elements;
	bool	   *nulls;
	char	   *mention;
	int			count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &count);
	headers = palloc0(Max(count, 1) * sizeof(KeHeader));
	for (int i = 0; i < count / 2; i++)
	{
		headers[i].name = TextDatumGetCString(elements[2 * i]);
		if (nulls[2 * i + 1])
			continue;
		headers[i].value = TextDatumGetCString(elements[2 * i + 1]);
		headers[i].value_len = strlen(headers[i].value);
	}
	mention = ke_trace_mention(headers, count / 2);
	if (!ke_trace_read(headers, count / 2, &trace))
		PG_RETURN_TEXT_P(cstring_to_text(psprintf("none%s", mention)));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s | %s | %s | %s", trace.id,
											  as_text(trace.parent),
											  as_text(trace.state),
											  mention)));
}
