/*
 * payload.c
 *	  What questions and answers carry, as bytes.
 */
#include "postgres.h"
#include "core/compat.h"

#include "libpq/pqformat.h"

#include "shm/payload.h"

void
ke_payload_put_bool(StringInfo buf, bool value)
{
	pq_sendbyte(buf, value);
}

void
ke_payload_put_int(StringInfo buf, int32 value)
{
	pq_sendint32(buf, value);
}

void
ke_payload_put_int64(StringInfo buf, int64 value)
{
	pq_sendint64(buf, value);
}

void
ke_payload_put_bytes(StringInfo buf, const char *bytes, Size len)
{
	appendBinaryStringInfo(buf, bytes, len);
}

void
ke_payload_put_string(StringInfo buf, const char *string)
{
	pq_sendbyte(buf, string != NULL);
	if (string != NULL)
		appendBinaryStringInfo(buf, string, strlen(string) + 1);
}

void
ke_payload_open(StringInfo buf, char *bytes, Size len)
{
	buf->data = bytes;
	buf->len = buf->maxlen = len;
	buf->cursor = 0;
}

bool
ke_payload_get_bool(StringInfo buf)
{
	return pq_getmsgbyte(buf) != 0;
}

int32
ke_payload_get_int(StringInfo buf)
{
	return (int32) pq_getmsgint(buf, 4);
}

int64
ke_payload_get_int64(StringInfo buf)
{
	return pq_getmsgint64(buf);
}

char *
ke_payload_get_bytes(StringInfo buf, Size len)
{
	char	   *bytes = palloc(Max(len, 1));

	pq_copymsgbytes(buf, bytes, len);
	return bytes;
}

char *
ke_payload_get_string(StringInfo buf)
{
	if (!pq_getmsgbyte(buf))
		return NULL;
	return pstrdup(pq_getmsgrawstring(buf));
}
