/*
 * core_retry_headers.c
 *	  The headers of retry copies and dead letters, written and read.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/dead_letter.h"
#include "core/retry_headers.h"

PG_FUNCTION_INFO_V1(unit_copy_read);
PG_FUNCTION_INFO_V1(unit_copy_hops);
PG_FUNCTION_INFO_V1(unit_dead_letter);
PG_FUNCTION_INFO_V1(unit_show_time);
PG_FUNCTION_INFO_V1(unit_copy_id);

/* Headers from bytea[]: a name, a value (NULL: null), a name, ... */
static KeMessage
message_of(ArrayType *array)
{
	KeMessage	msg = {
		.topic = "orders.retry",
		.partition = 1,
		.offset = 77,
		.timestamp_ms = INT64CONST(1767323045678),
		.timestamp_type = KE_TIMESTAMP_APPEND
	};
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	msg.nheaders = count / 2;
	msg.headers = palloc0(Max(count, 1) * sizeof(KeHeader));
	for (int i = 0; i < count / 2; i++)
	{
		KeHeader   *header = &msg.headers[i];

		header->name = text_to_cstring(DatumGetByteaPP(elements[2 * i]));
		if (nulls[2 * i + 1])
			continue;
		header->value = VARDATA_ANY(DatumGetByteaPP(elements[2 * i + 1]));
		header->value_len =
			VARSIZE_ANY_EXHDR(DatumGetByteaPP(elements[2 * i + 1]));
	}
	return msg;
}

static const char *
or_none(const char *text)
{
	return text != NULL ? text : "none";
}

static char *
show(const KeOrigin *origin)
{
	return psprintf("id %s, from %s/%d/" INT64_FORMAT " at " INT64_FORMAT " %s, service %s, copy %s, attempt %d, due " INT64_FORMAT,
					origin->message_id, or_none(origin->original_topic),
					origin->original_partition, origin->original_offset,
					origin->original_timestamp,
					or_none(origin->original_timestamp_type),
					or_none(origin->service), or_none(origin->copy_id),
					origin->attempt, origin->due_ms);
}

Datum
unit_copy_read(PG_FUNCTION_ARGS)
{
	KeMessage	msg = message_of(PG_GETARG_ARRAYTYPE_P(0));
	KeOrigin	origin;
	const char *problem;

	switch (ke_retry_headers_read(&msg, text_to_cstring(PG_GETARG_TEXT_PP(1)),
								  PG_GETARG_INT32(2), &origin, &problem))
	{
		case KE_COPY_FOREIGN:
			PG_RETURN_TEXT_P(cstring_to_text("foreign"));
		case KE_COPY_OURS:
			PG_RETURN_TEXT_P(cstring_to_text(show(&origin)));
		case KE_COPY_INVALID:
			PG_RETURN_TEXT_P(cstring_to_text(psprintf("INVALID: %s|%s",
													  problem,
													  show(&origin))));
	}
	pg_unreachable();
}

static void
put_rows(FunctionCallInfo fcinfo, int hop, const KeHeader *headers, int count)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int i = 0; i < count; i++)
	{
		Datum		values[4];
		bool		nulls[4] = {false};
		bytea	   *value = palloc0(VARHDRSZ + headers[i].value_len);

		SET_VARSIZE(value, VARHDRSZ + headers[i].value_len);
		nulls[3] = headers[i].value == NULL;
		if (!nulls[3])
			memcpy(VARDATA(value), headers[i].value, headers[i].value_len);
		values[0] = Int32GetDatum(hop);
		values[1] = Int32GetDatum(i);
		values[2] = CStringGetTextDatum(headers[i].name);
		values[3] = PointerGetDatum(value);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
}

/*
 * A message of topic orders, partition 3, offset 5 fails, is copied so many
 * times to the retry topic, each copy read again, and then is a dead letter.
 */
Datum
unit_copy_hops(PG_FUNCTION_ARGS)
{
	KeMessage	msg = message_of(PG_GETARG_ARRAYTYPE_P(0));
	int			hops = PG_GETARG_INT32(1);
	KeDeadLetterCause cause = {
		.reason = text_to_cstring(PG_GETARG_TEXT_PP(2)),
		.sqlstate = ERRCODE_RAISE_EXCEPTION,
		.handler = text_to_cstring(PG_GETARG_TEXT_PP(3)),
		.time_ms = INT64CONST(1767323045678)
	};
	KeOrigin	origin;
	const char *problem;
	KeHeader   *headers;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	msg.topic = "orders";
	msg.partition = 3;
	msg.offset = 5;
	msg.timestamp_ms = INT64CONST(1767323000001);
	msg.timestamp_type = KE_TIMESTAMP_CREATE;
	ke_retry_headers_read_source(&msg, &origin);
	for (int hop = 1; hop <= hops; hop++)
	{
		origin.service = "order-service";
		origin.copy_id = psprintf("copy-%d", hop);
		origin.attempt++;
		origin.due_ms = INT64CONST(1767323045678) + hop;
		headers = ke_retry_headers_of_retry(&msg, &origin, 1000 * hop, &count);
		put_rows(fcinfo, hop, headers, count);

		msg.topic = "orders.retry";
		msg.offset = 900 + hop;
		msg.timestamp_ms += 1000;
		msg.timestamp_type = KE_TIMESTAMP_APPEND;
		msg.headers = headers;
		msg.nheaders = count;
		if (ke_retry_headers_read(&msg, "order-service", hops, &origin,
								  &problem) != KE_COPY_OURS)
			elog(ERROR, "%s", problem);
	}
	origin.service = "order-service";
	origin.copy_id = "copy-dead";
	headers = ke_retry_headers_of_dead(&msg, &origin, &cause, &count);
	put_rows(fcinfo, hops + 1, headers, count);
	return (Datum) 0;
}

Datum
unit_show_time(PG_FUNCTION_ARGS)
{
	char	   *shown = ke_retry_headers_show_time(PG_GETARG_INT64(0));

	PG_RETURN_TEXT_P(cstring_to_text(shown));
}

Datum
unit_copy_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ke_retry_headers_make_copy_id()));
}

static const char *
writer_name(KeDeadLetterWriter writer)
{
	switch (writer)
	{
		case KE_WRITER_UNKNOWN:
			return "nobody";
		case KE_WRITER_OURS:
			return "ours";
		case KE_WRITER_SPRING:
			return "Spring";
		case KE_WRITER_SPRING_RETRY:
			return "Spring's retries";
		case KE_WRITER_CONNECT:
			return "Connect";
	}
	pg_unreachable();
}

/* Who has written a dead letter, what it says, and which headers stay. */
Datum
unit_dead_letter(PG_FUNCTION_ARGS)
{
	KeMessage	msg = message_of(PG_GETARG_ARRAYTYPE_P(0));
	KeDeadLetterWriter writer = ke_dead_letter_writer(&msg);
	KeDeadLetter letter;
	KeCopyHistory history;
	StringInfoData text;

	ke_dead_letter_read(&msg, writer, &letter);
	initStringInfo(&text);
	appendStringInfo(&text, "%s: %s; attempts %d, because %s, stays",
					 writer_name(writer), show(&letter.origin),
					 letter.attempts, or_none(letter.reason));
	for (int i = 0; i < msg.nheaders; i++)
		if (!ke_dead_letter_is_past(writer, msg.headers[i].name))
			appendStringInfo(&text, " %s", msg.headers[i].name);
	if (ke_dead_letter_read_history(&msg, &history))
		appendStringInfoString(&text, ", has a history");
	PG_RETURN_TEXT_P(cstring_to_text(text.data));
}
