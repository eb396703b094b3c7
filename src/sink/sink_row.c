/*
 * sink_row.c
 *	  The row that a message becomes, and the key of the row that it deletes.
 *
 * Values come from the message's fields, from what Kafka says about it, or
 * from the column's default.  May run user code (defaults, domains' checks).
 */
#include "postgres.h"
#include "core/compat.h"

#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "core/failure.h"
#include "sink/sink_table.h"

/*
 * Kafka's milliseconds as a number where the column is one, else as a point
 * in time.
 */
static Datum
convert_timestamp(KeConverter *conv, KeMessage *msg, TimestampTz time)
{
	char	   *text;

	switch (conv->kind)
	{
		case KE_CONVERT_INT2:
		case KE_CONVERT_INT4:
		case KE_CONVERT_INT8:
		case KE_CONVERT_FLOAT4:
		case KE_CONVERT_FLOAT8:
		case KE_CONVERT_NUMERIC:
			return ke_convert_int(conv, msg->timestamp_ms);
		case KE_CONVERT_TIMESTAMPTZ:
			if (conv->typmod < 0)
				return ke_convert_check(conv, TimestampTzGetDatum(time),
										false);
			break;
		default:
			break;
	}
	text = DatumGetCString(DirectFunctionCall1(timestamptz_out,
											   TimestampTzGetDatum(time)));
	return ke_convert_text(conv, text, strlen(text));
}

static Datum
convert_headers(KeConverter *conv, KeMessage *msg)
{
	Datum		headers = ke_decode_headers(msg);
	char	   *text;

	if (conv->kind == KE_CONVERT_JSONB)
		return ke_convert_check(conv, headers, false);
	text = DatumGetCString(DirectFunctionCall1(jsonb_out, headers));
	return ke_convert_text(conv, text, strlen(text));
}

/*
 * What Kafka says about the message; *isnull where it says nothing.  The value
 * was read before.
 */
static Datum
convert_metadata(KeSinkTable *table, KeSinkColumn *column, KeMessage *msg,
				 bool *isnull)
{
	KeConverter *conv = &column->converter;
	TimestampTz time;

	*isnull = false;
	switch (column->source)
	{
		case KE_COLUMN_TOPIC:
			return ke_convert_text(conv, msg->topic, strlen(msg->topic));
		case KE_COLUMN_PARTITION:
			return ke_convert_int(conv, msg->partition);
		case KE_COLUMN_OFFSET:
			return ke_convert_int(conv, msg->offset);
		case KE_COLUMN_TIMESTAMP:
			if (ke_message_timestamp(msg, &time))
				return convert_timestamp(conv, msg, time);
			break;
		case KE_COLUMN_KEY:
			if (ke_document_read(table->key, msg) == KE_DOCUMENT_WHOLE)
				return ke_document_convert(table->key, conv, isnull);
			break;
		case KE_COLUMN_VALUE:
			if (table->value->op == KE_DOCUMENT_WHOLE)
				return ke_document_convert(table->value, conv, isnull);
			break;
		case KE_COLUMN_HEADERS:
			return convert_headers(conv, msg);
		case KE_COLUMN_ELEMENT:
			if (msg->element > 0)
				return ke_convert_int(conv, msg->element);
			break;
		case KE_COLUMN_DEFAULT:
		case KE_COLUMN_FIELD:
			elog(ERROR, "column is not one for metadata");
	}
	*isnull = true;
	return ke_convert_null(conv);
}

static Datum
default_value(KeSinkTable *table, KeSinkColumn *column, bool *isnull)
{
	*isnull = true;
	if (column->default_value == NULL)
		return ke_convert_null(&column->converter);
	return ExecEvalExpr(column->default_value, table->econtext, isnull);
}

/* As INSERT does, but it is the message that is wrong. */
static void
refuse_generated(KeSinkTable *table)
{
	for (int i = 0; i < table->desc->natts; i++)
	{
		if (!table->columns[i].generated || !table->present[i])
			continue;
		ke_failure_blame_data(ERRCODE_GENERATED_ALWAYS);
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("message has a field for column \"%s\", which is always generated",
						table->columns[i].name)));
	}
}

/* None of the message's fields is a column. */
static void
note_unmatched(KeSinkTable *table)
{
	if (!ke_unmatched_note(table->unmatched, &table->value->json,
						   table->value->root))
		return;
	for (int i = 0; i < table->desc->natts; i++)
	{
		KeSinkColumn *column = &table->columns[i];

		if (!column->dropped && !column->generated &&
			column->source == KE_COLUMN_FIELD)
			ke_unmatched_want(table->unmatched, column->name);
	}
}

/* Returns true if a field of the message went to a column. */
static bool
fill_columns(KeSinkTable *table, KeMessage *msg, Datum *values, bool *nulls,
			 volatile int *at)
{
	bool		matched = false;

	for (int i = 0; i < table->desc->natts; i++)
	{
		KeSinkColumn *column = &table->columns[i];

		*at = i;
		if (column->dropped || column->generated)
			continue;
		if (column->source != KE_COLUMN_DEFAULT &&
			column->source != KE_COLUMN_FIELD)
		{
			values[i] = convert_metadata(table, column, msg, &nulls[i]);
			table->present[i] = true;
		}
		else if (table->present[i])
			matched = true;
		else if (table->takes_defaults && !table->unavailable[i])
			values[i] = default_value(table, column, &nulls[i]);
	}
	return matched;
}

/* What a message does whose value was read, and is null. */
static KeSinkAct
act_of_tombstone(KeSinkTable *table)
{
	switch (table->tombstone)
	{
		case KE_TOMBSTONE_STORE:
			return KE_SINK_WRITES;
		case KE_TOMBSTONE_DELETE:
			return KE_SINK_DELETES;
		case KE_TOMBSTONE_IGNORE:
			return KE_SINK_LEAVES;
		case KE_TOMBSTONE_REFUSE:
			break;
	}
	if (table->value->op == KE_DOCUMENT_DELETE)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("change event deletes a row"),
				 errdetail("Rows of the table are not deleted."),
				 errhint("With on_conflict \"update\", the row of the message's key is deleted.")));
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("message value is null"),
			 errdetail("The columns are taken from its fields."),
			 errhint("With on_conflict \"update\", a message with a null value deletes the row of its key; with tombstones \"ignore\", it is passed over.")));
}

/* Whether it is newer, only a value can tell. */
static void
check_update_if(KeSinkTable *table, const bool *nulls)
{
	int			attribute = table->update_if - 1;

	if (!table->present[attribute] || nulls[attribute])
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("message has no value for column \"%s\", which option update_if compares",
						table->columns[attribute].name)));
}

static KeSinkAct
act_of(KeSinkTable *table, KeMessage *msg)
{
	table->value->columns = table->decoder;
	switch (ke_document_read(table->value, msg))
	{
		case KE_DOCUMENT_NONE:
		case KE_DOCUMENT_DELETE:
			return act_of_tombstone(table);
		case KE_DOCUMENT_SKIP:
			return KE_SINK_LEAVES;
		case KE_DOCUMENT_WHOLE:
			break;
	}
	return KE_SINK_WRITES;
}

/* The values of the message's fields. */
static void
fill_fields(KeSinkTable *table, Datum *values, bool *nulls)
{
	int			root = ke_document_scan(table->value);

	ke_decode_object(table->decoder, &table->value->json, root, values, nulls,
					 table->present);
	if (table->value->unwrap != NULL)
		table->nunavailable =
			ke_decode_find_unavailable(table->decoder, &table->value->json,
									   table->unavailable);
}

KeSinkAct
ke_sink_row_fill(KeSinkTable *table, KeMessage *msg, Datum *values,
				 bool *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	int			natts = table->desc->natts;
	volatile int at = 0;
	volatile bool matched = false;
	KeSinkAct	act = act_of(table, msg);

	if (act == KE_SINK_DELETES)
		ke_sink_row_key(table, msg, values, nulls);
	if (act != KE_SINK_WRITES)
		return act;
	if (table->format == KE_ROW_FIELDS)
		fill_fields(table, values, nulls);
	else
	{
		memset(values, 0, natts * sizeof(Datum));
		memset(nulls, true, natts * sizeof(bool));
		memset(table->present, false, natts * sizeof(bool));
	}
	if (table->has_generated &&
		table->options->generated_columns == KE_GENERATED_ERROR)
		refuse_generated(table);

	PG_TRY();
	{
		matched = fill_columns(table, msg, values, nulls, &at);
	}
	PG_CATCH();
	{
		if (table->columns[at].source <= KE_COLUMN_FIELD)
			ke_decode_rethrow_default(table->columns[at].name, context);
		ke_decode_rethrow(table->columns[at].name, context);
	}
	PG_END_TRY();
	if (!matched && table->nfields > 0)
		note_unmatched(table);
	if (table->update_if != 0)
		check_update_if(table, nulls);
	return act;
}

/*
 * The key columns that only the message key can tell.  *at is the one it is
 * at, where that is a single one.
 */
static void
fill_key_fields(KeSinkTable *table, KeMessage *msg, Datum *values,
				bool *nulls, volatile int *at)
{
	int			attribute = table->key_field - 1;
	KeConverter *conv = &table->columns[attribute].converter;
	KeDocument *key = table->key;
	int			root;

	if (ke_document_read(key, msg) == KE_DOCUMENT_NONE &&
		table->value->op == KE_DOCUMENT_DELETE && table->value->root >= 0)
		key = table->value;		/* the row before */
	else if (key->op == KE_DOCUMENT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("message has neither a value nor a key"),
				 errdetail("A null value deletes the row whose primary key is the message key.")));

	if (table->nkey_fields == 1 &&
		(conv->kind == KE_CONVERT_JSON || conv->kind == KE_CONVERT_JSONB))
	{
		values[attribute] = ke_document_convert(key, conv,
												&nulls[attribute]);
		return;
	}
	root = ke_document_scan(key);
	if (table->nkey_fields == 1 &&
		key->json.nodes[root].kind != KE_JSON_OBJECT)
	{
		nulls[attribute] = false;
		if (key->plain && key->json.nodes[root].verbatim)
			values[attribute] = ke_convert_text(conv,
												key->json.nodes[root].text,
												key->json.nodes[root].len);
		else
			values[attribute] = ke_convert_json(conv, &key->json, root,
												&nulls[attribute]);
		return;
	}

	ke_decode_object(table->key_decoder, &key->json, root, values, nulls,
					 table->present);
	for (int i = 0; i < table->nkeys; i++)
	{
		attribute = table->keys[i] - 1;
		*at = attribute;
		if (table->columns[attribute].source <= KE_COLUMN_FIELD &&
			nulls[attribute])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("message key has no value for column \"%s\" of the primary key",
							table->columns[attribute].name)));
	}
}

void
ke_sink_row_key(KeSinkTable *table, KeMessage *msg, Datum *values,
				bool *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	volatile int at = table->keys[0] - 1;

	memset(values, 0, table->desc->natts * sizeof(Datum));
	memset(nulls, true, table->desc->natts * sizeof(bool));

	PG_TRY();
	{
		if (table->nkey_fields > 0)
		{
			at = table->nkey_fields == 1 ? table->key_field - 1 : -1;
			fill_key_fields(table, msg, values, nulls, &at);
		}
		for (int i = 0; i < table->nkeys; i++)
		{
			KeSinkColumn *column;

			at = table->keys[i] - 1;
			column = &table->columns[at];
			if (column->source > KE_COLUMN_FIELD)
				values[at] = convert_metadata(table, column, msg,
											  &nulls[at]);
		}
	}
	PG_CATCH();
	{
		ke_decode_rethrow(at < 0 ? NULL : table->columns[at].name, context);
	}
	PG_END_TRY();
}

/* What Debezium tells beside an event of a row that gets another key. */
#define NEW_KEY "__debezium.newkey"
#define OLD_KEY "__debezium.oldkey"

static const KeHeader *
find_header(KeMessage *msg, const char *name)
{
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);

	for (int i = 0; i < count; i++)
		if (headers[i].value != NULL && strcmp(headers[i].name, name) == 0)
			return &headers[i];
	return NULL;
}

bool
ke_sink_row_was_moved(KeMessage *msg)
{
	return find_header(msg, OLD_KEY) != NULL;
}

bool
ke_sink_row_is_moved(KeSinkTable *table, KeMessage *msg)
{
	return table->value->op == KE_DOCUMENT_DELETE &&
		table->nkey_fields == table->nkeys &&
		find_header(msg, NEW_KEY) != NULL;
}

/* The header has no schema: what it tells of dates and others is not sure. */
static bool
is_told_by_header(const KeConverter *conv)
{
	switch (conv->kind)
	{
		case KE_CONVERT_INT2:
		case KE_CONVERT_INT4:
		case KE_CONVERT_INT8:
		case KE_CONVERT_TEXT:
		case KE_CONVERT_UUID:
			return true;
		default:
			return false;
	}
}

bool
ke_sink_row_new_key(KeSinkTable *table, KeMessage *msg, Datum *values)
{
	const KeHeader *header = find_header(msg, NEW_KEY);
	bool	   *nulls = palloc(table->desc->natts * sizeof(bool));
	int32		len = header->value_len;
	const char *text;
	KeJson		json;

	for (int i = 0; i < table->nkeys; i++)
		if (!is_told_by_header(&table->columns[table->keys[i] - 1].converter))
			return false;
	text = ke_json_scan_to_server(header->value, &len, "header " NEW_KEY);
	if (len == 0 || text[0] != '{')
		return false;
	ke_json_scan_init(&json, "header " NEW_KEY, CurrentMemoryContext);
	ke_json_scan(&json, text, len, true);
	ke_decode_object(table->key_decoder, &json, 0, values, nulls,
					 table->present);
	for (int i = 0; i < table->nkeys; i++)
		if (nulls[table->keys[i] - 1])
			return false;
	return true;
}
