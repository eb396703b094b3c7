/*
 * sink_write.c
 *	  Messages made in SQL, written by the sink in either way.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "convert/field_find.h"
#include "sink/sink.h"

PG_FUNCTION_INFO_V1(unit_sink_options);
PG_FUNCTION_INFO_V1(unit_sink_write);
PG_FUNCTION_INFO_V1(unit_sink_open);
PG_FUNCTION_INFO_V1(unit_sink_again);
PG_FUNCTION_INFO_V1(unit_sink_growth);
PG_FUNCTION_INFO_V1(unit_sink_deliver);
PG_FUNCTION_INFO_V1(unit_snake_case);

/* Every message has these. */
static KeHeader headers[] = {
	{"source", "unit", 4},
	{"trace", "1", 1},
	{"trace", NULL, 0},
	{"raw", "\xff", 1}
};

/* The sink that stays open from one statement to the next. */
static KeSink *kept = NULL;

/* What sinks are opened with, beside format and on_conflict: DefElems. */
static List *more_options = NIL;

/* What became of a write. */
typedef struct Outcome
{
	ErrorData  *error;			/* NULL: none */
	int			at;
	int64		written;
	bool		in_bulk;
} Outcome;

static DefElem *
text_option(const char *name, const char *value)
{
	return makeDefElem(pstrdup(name), (Node *) makeString(pstrdup(value)),
					   -1);
}

/* Names and values in turn, for the sinks opened from now on. */
Datum
unit_sink_options(PG_FUNCTION_ARGS)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Datum	   *texts;
	int			count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
					  TYPALIGN_INT, &texts, NULL, &count);
	more_options = NIL;
	for (int i = 0; i + 1 < count; i += 2)
		more_options = lappend(more_options,
							   text_option(TextDatumGetCString(texts[i]),
										   TextDatumGetCString(texts[i + 1])));
	MemoryContextSwitchTo(old);
	PG_RETURN_VOID();
}

/* The sink refers to the subscription: it stays. */
static KeSink *
open_sink(Oid relid, const char *format, const char *on_conflict,
		  bool reference)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	KeSubscription *sub = palloc0(sizeof(KeSubscription));
	List	   *options = list_copy(more_options);
	List	   *problems = NIL;
	KeSink	   *sink;

	options = lappend(options, text_option("into_table", "t"));
	options = lappend(options, text_option("row_format", format));
	options = lappend(options, text_option("on_conflict", on_conflict));
	ke_options_subscription_parse(options, false, &sub->options, &problems);
	ke_options_report("subscription", problems);
	sub->topic = "topic";
	sub->into_table = relid;
	sink = ke_sink_open(sub, TopMemoryContext);
	ke_sink_use_reference(sink, reference);
	MemoryContextSwitchTo(old);
	return sink;
}

/* Message i has offset i, partition i % 3 and the i-th key and value. */
static KeMessage **
make_messages(ArrayType *keys, ArrayType *values, int *count)
{
	Datum	   *key;
	Datum	   *value;
	bool	   *key_null;
	bool	   *value_null;
	int			nkeys;
	KeMessage **msgs;

	deconstruct_array(keys, BYTEAOID, -1, false, TYPALIGN_INT, &key,
					  &key_null, &nkeys);
	deconstruct_array(values, BYTEAOID, -1, false, TYPALIGN_INT, &value,
					  &value_null, count);
	msgs = palloc(*count * sizeof(KeMessage *));
	for (int i = 0; i < *count; i++)
	{
		KeMessage  *msg = palloc0(sizeof(KeMessage));

		msg->topic = "topic";
		msg->partition = i % 3;
		msg->offset = i;
		msg->timestamp_ms = INT64CONST(1700000000000) + i;
		msg->headers = headers;
		msg->nheaders = lengthof(headers);
		if (i < nkeys && !key_null[i])
		{
			msg->key = VARDATA_ANY(DatumGetPointer(key[i]));
			msg->key_len = VARSIZE_ANY_EXHDR(DatumGetPointer(key[i]));
		}
		if (!value_null[i])
		{
			msg->value = VARDATA_ANY(DatumGetPointer(value[i]));
			msg->value_len = VARSIZE_ANY_EXHDR(DatumGetPointer(value[i]));
		}
		msgs[i] = msg;
	}
	return msgs;
}

/* Write in a subtransaction, which stands for the batch's transaction. */
static Outcome
try_write(KeSink *sink, KeMessage **msgs, int count)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Outcome		outcome;
	volatile int at = -1;
	volatile int64 written = 0;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	PushActiveSnapshot(GetTransactionSnapshot());
	PG_TRY();
	{
		written = ke_sink_write(sink, msgs, count, &at);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	ke_sink_end(sink);
	outcome.error = error;
	outcome.at = at;
	outcome.written = written;
	outcome.in_bulk = ke_sink_was_bulk(sink);
	return outcome;
}

static bool
is_ours(const ErrorData *error)
{
	return error->domain != NULL && strcmp(error->domain, TEXTDOMAIN) == 0;
}

/* The text of an error only if it is one of ours. */
static text *
outcome_text(const Outcome *outcome)
{
	const ErrorData *error = outcome->error;
	StringInfoData buf;

	initStringInfo(&buf);
	if (error == NULL)
	{
		appendStringInfo(&buf, INT64_FORMAT " written%s", outcome->written,
						 outcome->in_bulk ? " in bulk" : "");
		return cstring_to_text(buf.data);
	}
	appendStringInfo(&buf, "%s at %d", unpack_sql_state(error->sqlerrcode),
					 outcome->at);
	if (error->column_name != NULL)
		appendStringInfo(&buf, ", column %s", error->column_name);
	if (is_ours(error))
	{
		appendStringInfo(&buf, ": %s", error->message);
		if (error->detail != NULL)
			appendStringInfo(&buf, " | %s", error->detail);
		if (error->hint != NULL)
			appendStringInfo(&buf, " | %s", error->hint);
	}
	return cstring_to_text(buf.data);
}

static KeSink *
open_from_arguments(FunctionCallInfo fcinfo)
{
	return open_sink(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)),
					 text_to_cstring(PG_GETARG_TEXT_PP(2)),
					 PG_GETARG_BOOL(3));
}

/* One write: target, format, on_conflict, reference, keys, values. */
Datum
unit_sink_write(PG_FUNCTION_ARGS)
{
	KeSink	   *sink = open_from_arguments(fcinfo);
	int			count;
	KeMessage **msgs = make_messages(PG_GETARG_ARRAYTYPE_P(4),
									 PG_GETARG_ARRAYTYPE_P(5), &count);
	Outcome		outcome = try_write(sink, msgs, count);

	ke_sink_close(sink);
	PG_RETURN_TEXT_P(outcome_text(&outcome));
}

/* Open a sink for unit_sink_again, in place of the one before. */
Datum
unit_sink_open(PG_FUNCTION_ARGS)
{
	if (kept != NULL)
		ke_sink_close(kept);
	kept = NULL;
	kept = open_from_arguments(fcinfo);
	PG_RETURN_VOID();
}

Datum
unit_sink_again(PG_FUNCTION_ARGS)
{
	int			count;
	KeMessage **msgs = make_messages(PG_GETARG_ARRAYTYPE_P(0),
									 PG_GETARG_ARRAYTYPE_P(1), &count);
	Outcome		outcome = try_write(kept, msgs, count);

	PG_RETURN_TEXT_P(outcome_text(&outcome));
}

/* As unit_sink_again, n times; by how many bytes memory that stays grew. */
Datum
unit_sink_growth(PG_FUNCTION_ARGS)
{
	int			count;
	KeMessage **msgs = make_messages(PG_GETARG_ARRAYTYPE_P(0),
									 PG_GETARG_ARRAYTYPE_P(1), &count);
	int			n = PG_GETARG_INT32(2);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "growth",
												  ALLOCSET_DEFAULT_SIZES);
	Size		before = 0;

	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		(void) try_write(kept, msgs, count);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		if (i == n / 2)
			before = MemoryContextMemAllocated(TopMemoryContext, true);
	}
	PG_RETURN_INT64(MemoryContextMemAllocated(TopMemoryContext, true) -
					before);
}

static void
add_failure(StringInfo failures, int message, const ErrorData *error)
{
	appendStringInfo(failures, "%s%d: %s", failures->len > 0 ? "; " : "",
					 message, unpack_sql_state(error->sqlerrcode));
	if (error->column_name != NULL)
		appendStringInfo(failures, " %s", error->column_name);
}

/*
 * Deliver msgs[from, upto) as a consumer does: what fails is redone as the
 * good part before, the message at which it failed alone, and the rest; by
 * halves where the error names no message.
 */
static void
deliver(KeSink *sink, KeMessage **msgs, int from, int upto,
		StringInfo failures)
{
	while (from < upto)
	{
		Outcome		outcome = try_write(sink, msgs + from, upto - from);
		int			middle;

		if (outcome.error == NULL)
			return;
		if (upto - from == 1)
		{
			add_failure(failures, from, outcome.error);
			return;
		}
		middle = outcome.at > 0 ? from + outcome.at : from + 1;
		if (outcome.at < 0)
			middle = (from + upto) / 2;
		deliver(sink, msgs, from, middle, failures);
		if (outcome.at > 0)
		{
			deliver(sink, msgs, middle, middle + 1, failures);
			middle++;
		}
		from = middle;
	}
}

/* All messages; which of them failed alone, and how. */
Datum
unit_sink_deliver(PG_FUNCTION_ARGS)
{
	KeSink	   *sink = open_from_arguments(fcinfo);
	int			count;
	KeMessage **msgs = make_messages(PG_GETARG_ARRAYTYPE_P(4),
									 PG_GETARG_ARRAYTYPE_P(5), &count);
	StringInfoData failures;

	initStringInfo(&failures);
	deliver(sink, msgs, 0, count, &failures);
	ke_sink_close(sink);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(failures.data, failures.len));
}

Datum
unit_snake_case(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	int			len = VARSIZE_ANY_EXHDR(name);
	char	   *result = palloc(2 * len + 1);

	len = ke_field_find_snake_case(VARDATA_ANY(name), len, result);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(result, len));
}
