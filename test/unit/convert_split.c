/*
 * convert_split.c
 *	  convert/split: what a message is taken apart into.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "convert/split.h"

PG_FUNCTION_INFO_V1(unit_split);
PG_FUNCTION_INFO_V1(unit_split_many);

static int
take_all(KeSplitter *splitter, KeMessage **msgs, int count,
		 StringInfo buf)
{
	volatile int at;
	int			from = 0;
	int			taken = 0;

	ke_split_begin(splitter);
	while (from < count)
	{
		from = ke_split_take(splitter, msgs, from, count, &at);
		taken += splitter->count;
		for (int i = 0; i < splitter->count && buf != NULL; i++)
		{
			KeMessage  *element = splitter->msgs[i];

			appendStringInfo(buf, "%s%d.%d:%.*s", buf->len > 0 ? " | " : "",
							 splitter->places[i], element->element,
							 Max(element->value_len, 0),
							 element->value == NULL ? "" : element->value);
		}
		if (buf != NULL && splitter->count == KE_SPLIT_MAX)
			appendStringInfoString(buf, " //");
	}
	Assert(at == -1);
	return taken;
}

/* (array or lines, value ...): the elements of all messages, in order. */
Datum
unit_split(PG_FUNCTION_ARGS)
{
	KeSubscriptionOptions options = {
		.split = strcmp(text_to_cstring(PG_GETARG_TEXT_PP(0)), "lines") == 0 ?
		KE_SPLIT_LINES : KE_SPLIT_ARRAY
	};
	KeSplitter *splitter = ke_split_open(&options, CurrentMemoryContext);
	Datum	   *values;
	bool	   *nulls;
	int			count;
	KeMessage **msgs;
	StringInfoData buf;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), BYTEAOID, -1, false,
					  TYPALIGN_INT, &values, &nulls, &count);
	msgs = palloc(count * sizeof(KeMessage *));
	for (int i = 0; i < count; i++)
	{
		msgs[i] = palloc0(sizeof(KeMessage));
		if (nulls[i])
			continue;
		msgs[i]->value = VARDATA_ANY(DatumGetByteaPP(values[i]));
		msgs[i]->value_len = VARSIZE_ANY_EXHDR(DatumGetByteaPP(values[i]));
	}
	initStringInfo(&buf);
	(void) take_all(splitter, msgs, count, &buf);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}

/* How many elements one message of so many ones has. */
Datum
unit_split_many(PG_FUNCTION_ARGS)
{
	KeSubscriptionOptions options = {.split = KE_SPLIT_ARRAY};
	KeSplitter *splitter = ke_split_open(&options, CurrentMemoryContext);
	KeMessage	msg = {0};
	KeMessage  *msgs[1] = {&msg};
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < PG_GETARG_INT32(0); i++)
		appendStringInfoString(&buf, i == 0 ? "[1" : ",1");
	appendStringInfoChar(&buf, ']');
	msg.value = buf.data;
	msg.value_len = buf.len;
	PG_RETURN_INT32(take_all(splitter, msgs, 1, NULL));
}
