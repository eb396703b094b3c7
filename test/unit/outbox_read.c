/*
 * outbox_read.c
 *	  The relay's way through the outbox, step by step.
 *
 * One reader per session; the rows it has read are numbered from 1, until it
 * begins another interval.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "convert/decode.h"
#include "convert/encode_headers.h"
#include "core/headers.h"
#include "outbox/outbox_read.h"

PG_FUNCTION_INFO_V1(unit_headers);
PG_FUNCTION_INFO_V1(unit_headers_read);
PG_FUNCTION_INFO_V1(unit_outbox_reader);
PG_FUNCTION_INFO_V1(unit_outbox_take);
PG_FUNCTION_INFO_V1(unit_outbox_read);
PG_FUNCTION_INFO_V1(unit_outbox_rewind);
PG_FUNCTION_INFO_V1(unit_outbox_show);
PG_FUNCTION_INFO_V1(unit_outbox_done);
PG_FUNCTION_INFO_V1(unit_outbox_park);
PG_FUNCTION_INFO_V1(unit_outbox_finish);
PG_FUNCTION_INFO_V1(unit_outbox_error);
PG_FUNCTION_INFO_V1(unit_outbox_save);
PG_FUNCTION_INFO_V1(unit_outbox_tidy);
PG_FUNCTION_INFO_V1(unit_outbox_has_pending);

#define MAX_MARKS 1000

static KeOutboxReader *reader = NULL;
static KeOutboxMark marks[MAX_MARKS];
static int	nmarks = 0;
static int	ndone = 0;

/* ---------------------------------------------------------------- headers */

/* One line per header, as name=bytes in hex, or name alone for null. */
static text *
list_headers(const KeHeader *headers, int count)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < count; i++)
	{
		appendStringInfo(&buf, "%s%s", i > 0 ? "\n" : "", headers[i].name);
		if (headers[i].value == NULL)
			continue;
		appendStringInfoChar(&buf, '=');
		for (int j = 0; j < headers[i].value_len; j++)
			appendStringInfo(&buf, "%02x",
							 (unsigned char) headers[i].value[j]);
	}
	return cstring_to_text_with_len(buf.data, buf.len);
}

/* From jsonb to bytes; returned as bytes. */
Datum
unit_headers(PG_FUNCTION_ARGS)
{
	int			count;
	KeHeader   *headers = ke_encode_headers(PG_GETARG_JSONB_P(0), &count);
	Size		size = ke_headers_size(headers, count);
	bytea	   *bytes = (bytea *) palloc(VARHDRSZ + size);

	SET_VARSIZE(bytes, VARHDRSZ + size);
	ke_headers_write(headers, count, VARDATA(bytes));
	PG_RETURN_BYTEA_P(bytes);
}

/* From bytes; NULL if they are not headers. */
Datum
unit_headers_read(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	Size		size = VARSIZE_ANY_EXHDR(bytes);
	char	   *copy = (char *) palloc(size);
	KeHeader   *headers;
	int			count;

	/* alone in its memory, so that valgrind sees what is read beyond it */
	memcpy(copy, VARDATA_ANY(bytes), size);
	if (!ke_headers_read(copy, size, &headers, &count))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(list_headers(headers, count));
}

/* ----------------------------------------------------------------- reader */

/* As a relay that was started: nothing is remembered. */
Datum
unit_outbox_reader(PG_FUNCTION_ARGS)
{
	reader = ke_outbox_read_make(PG_GETARG_OID(0), TopMemoryContext);
	nmarks = ndone = 0;
	PG_RETURN_VOID();
}

Datum
unit_outbox_take(PG_FUNCTION_ARGS)
{
	nmarks = ndone = 0;
	PG_RETURN_BOOL(ke_outbox_read_take(reader));
}

/* An entry in one line. */
static char *
describe(const KeOutboxEntry *entry)
{
	const KeOutboxRow *row = &entry->row;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s %s", ke_outbox_kind_name(row->kind),
					 row->topic);
	if (row->partition >= 0)
		appendStringInfo(&buf, "[%d]", row->partition);
	if (row->key != NULL)
		appendStringInfo(&buf, " key=%.*s", row->key_len, row->key);
	if (row->value != NULL)
		appendStringInfo(&buf, " value=%.*s", Min(row->value_len, 40),
						 row->value);
	for (int i = 0; i < row->nheaders; i++)
		appendStringInfo(&buf, " %s:%.*s", row->headers[i].name,
						 row->headers[i].value_len,
						 row->headers[i].value != NULL ?
						 row->headers[i].value : "");
	if (entry->message_id == NULL)
		appendStringInfoString(&buf, " (no id)");
	return buf.data;
}

typedef struct Reading
{
	ReturnSetInfo *result;
	int			wanted;
} Reading;

static void
put_line(ReturnSetInfo *result, const char *line)
{
	Datum		value = CStringGetTextDatum(line);
	bool		isnull = false;

	tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
}

static bool
visit(const KeOutboxEntry *entry, void *argument)
{
	Reading    *reading = (Reading *) argument;

	if (reading->wanted-- == 0 || nmarks == MAX_MARKS)
		return false;
	marks[nmarks++] = entry->mark;
	put_line(reading->result, describe(entry));
	return true;
}

/* So many rows, one per line, and 'end' when there are no more. */
Datum
unit_outbox_read(PG_FUNCTION_ARGS)
{
	Reading		reading = {.wanted = PG_GETARG_INT32(0)};

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	reading.result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (ke_outbox_read(reader, visit, &reading))
		put_line(reading.result, "end");
	return (Datum) 0;
}

Datum
unit_outbox_rewind(PG_FUNCTION_ARGS)
{
	ke_outbox_read_rewind(reader);
	nmarks = ndone;
	PG_RETURN_VOID();
}

static bool
visit_one(const KeOutboxEntry *entry, void *argument)
{
	text	  **line = (text **) argument;
	char	   *id = entry->message_id != NULL ?
		psprintf(" %s", entry->message_id) : "";

	*line = (text *) MemoryContextAlloc(TopTransactionContext, 1024);
	SET_VARSIZE(*line, VARHDRSZ + snprintf(VARDATA(*line), 1000, "%s%s",
										   describe(entry), id));
	return true;
}

/* The nth row that was read, with its message id. */
Datum
unit_outbox_show(PG_FUNCTION_ARGS)
{
	text	   *line = NULL;

	(void) ke_outbox_read_show(reader, &marks[PG_GETARG_INT32(0) - 1],
							   visit_one,
							   &line);
	PG_RETURN_TEXT_P(line);
}

/* Up to the nth row that was read; so many of the new ones are published. */
Datum
unit_outbox_done(PG_FUNCTION_ARGS)
{
	int			n = PG_GETARG_INT32(0);

	ke_outbox_read_done(reader, &marks[n - 1], n - ndone, PG_GETARG_INT32(1));
	ndone = n;
	PG_RETURN_VOID();
}

Datum
unit_outbox_park(PG_FUNCTION_ARGS)
{
	ke_outbox_read_set_aside(reader, &marks[PG_GETARG_INT32(0) - 1],
							 text_to_cstring(PG_GETARG_TEXT_PP(1)), false);
	PG_RETURN_VOID();
}

Datum
unit_outbox_finish(PG_FUNCTION_ARGS)
{
	ke_outbox_read_finish(reader);
	PG_RETURN_VOID();
}

Datum
unit_outbox_error(PG_FUNCTION_ARGS)
{
	ke_outbox_read_set_error(reader, PG_ARGISNULL(0) ? NULL :
						text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_BOOL(ke_outbox_read_is_unsaved(reader));
}

Datum
unit_outbox_save(PG_FUNCTION_ARGS)
{
	ke_outbox_read_save(reader);
	PG_RETURN_VOID();
}

Datum
unit_outbox_tidy(PG_FUNCTION_ARGS)
{
	ke_outbox_tidy(PG_GETARG_BOOL(0));
	PG_RETURN_VOID();
}

Datum
unit_outbox_has_pending(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ke_outbox_tidy_has_pending(PG_GETARG_OID(0)));
}
