/*
 * dlq_reply.c
 *	  Dead letters, and what became of them, as bytes.
 */
#include "postgres.h"
#include "core/compat.h"

#include "libpq/pqformat.h"

#include "core/dlq_reply.h"

#define NO_BYTES (-1)			/* the length of what is null */

const char *
ke_dlq_reply_status_name(KeDlqReplyStatus status)
{
	switch (status)
	{
		case KE_DLQ_REPLY_SENT:
			return "sent";
		case KE_DLQ_REPLY_DISCARDED:
			return "discarded";
		case KE_DLQ_REPLY_FAILED:
			return "failed";
		case KE_DLQ_REPLY_ORPHAN:
			return "orphan";
	}
	pg_unreachable();
}

static void
put_bytes(StringInfo buf, const char *bytes, int32 len)
{
	pq_sendint32(buf, bytes == NULL ? NO_BYTES : len);
	if (bytes != NULL)
		appendBinaryStringInfo(buf, bytes, len);
}

static const char *
get_bytes(StringInfo buf, int32 *len)
{
	*len = (int32) pq_getmsgint(buf, 4);
	if (*len != NO_BYTES)
		return pq_getmsgbytes(buf, *len);
	*len = 0;
	return NULL;
}

/* With its NUL, so that it can be used where it lies. */
static void
put_string(StringInfo buf, const char *string)
{
	pq_sendbyte(buf, string != NULL);
	if (string != NULL)
		appendBinaryStringInfo(buf, string, strlen(string) + 1);
}

static const char *
get_string(StringInfo buf)
{
	return pq_getmsgbyte(buf) ? pq_getmsgrawstring(buf) : NULL;
}

KeDlqReplyKind
ke_dlq_reply_get_kind(StringInfo buf)
{
	return (KeDlqReplyKind) pq_getmsgbyte(buf);
}

/* --------------------------------------------------------------- messages */

void
ke_dlq_reply_put_message(StringInfo buf, KeMessage *msg)
{
	const KeHeader *headers;
	int			count;

	headers = ke_message_headers(msg, &count);
	pq_sendbyte(buf, KE_DLQ_REPLY_MESSAGE);
	put_string(buf, msg->topic);
	pq_sendint32(buf, msg->partition);
	pq_sendint64(buf, msg->offset);
	pq_sendint64(buf, msg->timestamp_ms);
	put_bytes(buf, msg->key, msg->key_len);
	put_bytes(buf, msg->value, msg->value_len);
	pq_sendint32(buf, count);
	for (int i = 0; i < count; i++)
	{
		put_string(buf, headers[i].name);
		put_bytes(buf, headers[i].value, headers[i].value_len);
	}
}

void
ke_dlq_reply_get_message(StringInfo buf, KeMessage *msg)
{
	memset(msg, 0, sizeof(KeMessage));
	msg->topic = get_string(buf);
	msg->partition = (int32) pq_getmsgint(buf, 4);
	msg->offset = pq_getmsgint64(buf);
	msg->timestamp_ms = pq_getmsgint64(buf);
	msg->key = get_bytes(buf, &msg->key_len);
	msg->value = get_bytes(buf, &msg->value_len);
	msg->nheaders = (int32) pq_getmsgint(buf, 4);
	msg->headers = palloc(Max(msg->nheaders, 1) * sizeof(KeHeader));
	for (int i = 0; i < msg->nheaders; i++)
	{
		KeHeader   *header = &msg->headers[i];

		header->name = get_string(buf);
		header->value = get_bytes(buf, &header->value_len);
	}
}

void
ke_dlq_reply_put_notice(StringInfo buf, const char *text)
{
	pq_sendbyte(buf, KE_DLQ_REPLY_NOTICE);
	put_string(buf, text);
}

const char *
ke_dlq_reply_get_notice(StringInfo buf)
{
	return get_string(buf);
}

/* ---------------------------------------------------------------- results */

void
ke_dlq_reply_put_result(StringInfo buf, const KeDlqReplyResult *result)
{
	pq_sendbyte(buf, KE_DLQ_REPLY_RESULT);
	pq_sendint32(buf, result->partition);
	pq_sendint64(buf, result->offset);
	pq_sendbyte(buf, result->status);
	put_string(buf, result->error);
}

void
ke_dlq_reply_get_result(StringInfo buf, KeDlqReplyResult *result)
{
	result->partition = (int32) pq_getmsgint(buf, 4);
	result->offset = pq_getmsgint64(buf);
	result->status = (KeDlqReplyStatus) pq_getmsgbyte(buf);
	result->error = get_string(buf);
}

void
ke_dlq_reply_put_totals(StringInfo buf, const KeDlqReplyTotals *totals)
{
	pq_sendbyte(buf, KE_DLQ_REPLY_PROGRESS);
	pq_sendint64(buf, totals->total);
	pq_sendint64(buf, totals->successful);
	pq_sendint64(buf, totals->failed);
	pq_sendint64(buf, totals->left);
	pq_sendbyte(buf, totals->final);
}

void
ke_dlq_reply_get_totals(StringInfo buf, KeDlqReplyTotals *totals)
{
	totals->total = pq_getmsgint64(buf);
	totals->successful = pq_getmsgint64(buf);
	totals->failed = pq_getmsgint64(buf);
	totals->left = pq_getmsgint64(buf);
	totals->final = pq_getmsgbyte(buf);
}
