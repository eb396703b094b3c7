/*
 * message_row.c
 *	  A message in the rows of functions that show messages.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"

#include "api/message_row.h"
#include "convert/decode.h"

static void
put_bytes(KeRow *row, const char *bytes, int32 len)
{
	ke_row_put(row, bytes == NULL ? (Datum) 0 : ke_decode_bytea(bytes, len),
			   bytes == NULL);
}

void
ke_message_row_put_ms(KeRow *row, int64 ms)
{
	KeMessage	msg = {.timestamp_ms = ms};
	TimestampTz time = 0;

	ke_row_put_time(row, ke_message_timestamp(&msg, &time) ? time : 0);
}

void
ke_message_row_put(KeRow *row, KeMessage *msg)
{
	ke_row_put_text(row, msg->topic);
	ke_row_put_int(row, msg->partition);
	ke_row_put_number(row, msg->offset);
	ke_message_row_put_ms(row, msg->timestamp_ms);
	put_bytes(row, msg->key, msg->key_len);
	put_bytes(row, msg->value, msg->value_len);
	ke_row_put(row, ke_decode_headers(msg), false);
}

void
ke_message_row_put_text(KeRow *row, const char *bytes, int32 len)
{
	int			text_len = 0;
	char	   *text = bytes == NULL ? NULL :
		ke_decode_headers_if_text(bytes, len, &text_len);

	ke_row_put(row, text == NULL ? (Datum) 0 :
			   PointerGetDatum(cstring_to_text_with_len(text, text_len)),
			   text == NULL);
}

/*
 * Parsing takes nothing but memory of the current context, so what it raises
 * can be dropped.  So can be that there is no schema for it, or not yet: it is
 * not raised while a table is open.  Whatever else is wrong is raised again.
 */
void
ke_message_row_put_jsonb(KeRow *row, KeDocument *document, KeMessage *msg)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum value = (Datum) 0;

	PG_TRY();
	{
		if (ke_document_read(document, msg) == KE_DOCUMENT_WHOLE)
			value = ke_document_jsonb(document);
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		MemoryContextSwitchTo(context);
		if (category != ERRCODE_DATA_EXCEPTION &&
			category != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
			category != ERRCODE_FEATURE_NOT_SUPPORTED &&
			category != ERRCODE_CONNECTION_EXCEPTION &&
			geterrcode() != ERRCODE_NO_DATA_FOUND)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	ke_row_put(row, value, value == (Datum) 0);
}
