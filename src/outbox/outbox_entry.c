/*
 * outbox_entry.c
 *	  A message out of a row of the outbox, or of what is parked.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"

#include "core/header_names.h"
#include "core/headers.h"
#include "core/unix_time.h"
#include "outbox/outbox_entry.h"

static char *
optional_text(TupleTableSlot *slot, int column)
{
	if (slot->tts_isnull[column - 1])
		return NULL;
	return TextDatumGetCString(slot->tts_values[column - 1]);
}

static const char *
optional_bytes(TupleTableSlot *slot, int column, int32 *len)
{
	bytea	   *bytes;

	*len = 0;
	if (slot->tts_isnull[column - 1])
		return NULL;
	bytes = DatumGetByteaPP(slot->tts_values[column - 1]);
	*len = VARSIZE_ANY_EXHDR(bytes);
	return VARDATA_ANY(bytes);
}

static void
load_headers(TupleTableSlot *slot, int column, KeOutboxRow *row)
{
	KeHeader   *headers;
	const char *bytes;
	int32		len;

	bytes = optional_bytes(slot, column, &len);
	if (!ke_headers_read(bytes, len, &headers, &row->nheaders))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("headers of a message in the outbox are damaged")));
	row->headers = headers;
}

static bool
has_message_id(const KeOutboxRow *row)
{
	for (int i = 0; i < row->nheaders; i++)
	{
		if (strcmp(row->headers[i].name, KE_COPY_MESSAGE_ID) == 0)
			return true;
	}
	return false;
}

/*
 * After recovery to an earlier point ids are given again, for other messages;
 * the time tells them apart.
 */
static char *
message_id(const char *uuid, const KeOutboxMark *mark)
{
	Size		len = strlen(uuid);
	char	   *text = palloc(len + 2 * (1 + MAXINT8LEN) + 1);
	char	   *end = text + len;

	/* by hand, as it is done for every message */
	memcpy(text, uuid, len);
	*end++ = '-';
	end += pg_lltoa(mark->id, end);
	*end++ = '-';
	(void) pg_lltoa(ke_unix_us(mark->written_at), end);
	return text;
}

void
ke_outbox_entry_load_row(TupleTableSlot *slot, const KeOutboxColumns *columns,
						 KeOutboxRow *row)
{
	Datum	   *values = slot->tts_values;

	row->kind =
		ke_outbox_kind_of_letter(DatumGetChar(values[columns->kind - 1]));
	row->server = DatumGetObjectId(values[columns->server - 1]);
	row->topic = optional_text(slot, columns->topic);
	row->source_topic = optional_text(slot, columns->source_topic);
	row->partition = slot->tts_isnull[columns->partition - 1] ? -1 :
		DatumGetInt32(values[columns->partition - 1]);
	row->key = optional_bytes(slot, columns->key, &row->key_len);
	row->value = optional_bytes(slot, columns->value, &row->value_len);
	load_headers(slot, columns->headers, row);
}

void
ke_outbox_entry_load(TupleTableSlot *slot, const KeOutboxMark *mark,
					 const char *uuid, KeOutboxEntry *entry)
{
	static const KeOutboxColumns columns = {
		.server = OUTBOX_SERVER,
		.kind = OUTBOX_KIND,
		.topic = OUTBOX_TOPIC,
		.source_topic = OUTBOX_SOURCE_TOPIC,
		.partition = OUTBOX_PARTITION,
		.key = OUTBOX_KEY,
		.value = OUTBOX_VALUE,
		.headers = OUTBOX_HEADERS
	};

	ke_outbox_entry_load_row(slot, &columns, &entry->row);
	entry->mark = *mark;
	entry->mark.id = DatumGetInt64(slot->tts_values[OUTBOX_ID - 1]);
	entry->message_id = NULL;
	if (entry->row.kind == KE_OUTBOX_EVENT && !has_message_id(&entry->row))
		entry->message_id = message_id(uuid, &entry->mark);
}
