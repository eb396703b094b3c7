/*
 * retry_headers.c
 *	  Writes the headers of retry copies and dead letters.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/uuid.h"

#include "core/header_names.h"
#include "core/retry_headers.h"

/* Of x-dlq-reason and x-dlq-handler: with the rest they must fit. */
#define TEXT_MAX KE_RETRY_HEADERS_TEXT_MAX

#define DAY_MS INT64CONST(86400000)

/* Headers being put together. */
typedef struct Headers
{
	KeHeader   *array;
	int			count;
} Headers;

/* ------------------------------------------------------------------ values */

char *
ke_retry_headers_show_time(int64 ms)
{
	int64		days = ms / DAY_MS;
	int64		rest = ms % DAY_MS;
	int			year;
	int			month;
	int			day;

	if (rest < 0)
	{
		rest += DAY_MS;
		days--;
	}
	j2date((int) days + UNIX_EPOCH_JDATE, &year, &month, &day);
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
					(int) (rest / 3600000), (int) (rest / 60000 % 60),
					(int) (rest / 1000 % 60), (int) (rest % 1000));
}

/* Text in UTF-8 as far as it can be converted, without raising for it. */
static char *
to_utf8(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	unsigned char *from = (unsigned char *) unconstify(char *, text);
	Oid			conversion;
	int			len;
	int			size;
	char	   *result;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return pstrdup(text);
	conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(conversion))
		return pstrdup(text);

	/* more than TEXT_MAX characters are cut off anyway */
	len = Min(strlen(text), TEXT_MAX * MAX_MULTIBYTE_CHAR_LEN);
	size = len * MAX_CONVERSION_GROWTH + 1;
	result = palloc0(size);
	(void) pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, from,
										 len, (unsigned char *) result, size,
										 true);
	return result;
}

/*
 * Text for a header: valid UTF-8, with a question mark for each byte that is
 * not, and at most TEXT_MAX bytes, cut at a character.
 */
static char *
header_text(const char *text)
{
	char	   *result = to_utf8(text);
	int			left = strlen(result);
	int			len = 0;

	while (left > 0)
	{
		int			width = pg_encoding_verifymbchar(PG_UTF8, result + len,
													 left);

		if (width <= 0)
		{
			result[len] = '?';
			width = 1;
		}
		if (len + width > TEXT_MAX)
			break;
		len += width;
		left -= width;
	}
	result[len] = '\0';
	return result;
}

char *
ke_retry_headers_make_copy_id(void)
{
	pg_uuid_t	id;

	if (!pg_strong_random(id.data, UUID_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	id.data[6] = (id.data[6] & 0x0f) | 0x40;	/* version 4 of RFC 4122 */
	id.data[8] = (id.data[8] & 0x3f) | 0x80;
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id)));
}

/* ----------------------------------------------------------------- headers */

bool
ke_retry_headers_is_ours(const char *name)
{
	static const char *const names[] = {
		KE_COPY_MESSAGE_ID, KE_COPY_ORIGINAL_TOPIC,
		KE_COPY_ORIGINAL_PARTITION, KE_COPY_ORIGINAL_OFFSET,
		KE_COPY_ORIGINAL_TIMESTAMP, KE_COPY_ORIGINAL_TIMESTAMP_TYPE,
		KE_COPY_SERVICE, KE_COPY_ID, KE_COPY_HISTORY, KE_COPY_ATTEMPT,
		KE_COPY_DELAY,
		KE_COPY_DUE, KE_COPY_ATTEMPTS, KE_COPY_REASON, KE_COPY_TIME,
		KE_COPY_SQLSTATE, KE_COPY_HANDLER
	};
	int			i;

	if (strncmp(name, "x-", 2) != 0)
		return false;
	for (i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void
put_bytes(Headers *headers, const char *name, const char *value, int32 len)
{
	KeHeader   *header = &headers->array[headers->count++];

	header->name = name;
	header->value = value;
	header->value_len = len;
}

/* NULL: not known, so there is no header. */
static void
put(Headers *headers, const char *name, const char *value)
{
	if (value != NULL)
		put_bytes(headers, name, value, strlen(value));
}

/* Negative: not known. */
static void
put_number(Headers *headers, const char *name, int64 value)
{
	if (value >= 0)
		put(headers, name, psprintf(INT64_FORMAT, value));
}

/* The message's own headers, and what both kinds of copies have. */
static Headers
begin(KeMessage *msg, const KeOrigin *origin)
{
	Headers		headers = {0};
	int			count;
	const KeHeader *own = ke_message_headers(msg, &count);
	int			i;

	headers.array = palloc_extended((count + KE_COPY_HEADERS) *
									sizeof(KeHeader), MCXT_ALLOC_HUGE);
	for (i = 0; i < count; i++)
		if (!ke_retry_headers_is_ours(own[i].name))
			headers.array[headers.count++] = own[i];

	put_bytes(&headers, KE_COPY_MESSAGE_ID, origin->message_id,
			  origin->message_id_len);
	put(&headers, KE_COPY_ORIGINAL_TOPIC, origin->original_topic);
	put_number(&headers, KE_COPY_ORIGINAL_PARTITION,
			   origin->original_partition);
	put_number(&headers, KE_COPY_ORIGINAL_OFFSET, origin->original_offset);
	put_number(&headers, KE_COPY_ORIGINAL_TIMESTAMP,
			   origin->original_timestamp);
	put(&headers, KE_COPY_ORIGINAL_TIMESTAMP_TYPE,
		origin->original_timestamp_type);
	put(&headers, KE_COPY_SERVICE, origin->service);
	put(&headers, KE_COPY_ID, origin->copy_id);
	put(&headers, KE_COPY_HISTORY, origin->history);
	return headers;
}

KeHeader *
ke_retry_headers_of_retry(KeMessage *msg, const KeOrigin *origin,
						  int64 delay_ms,
						  int *count)
{
	Headers		headers = begin(msg, origin);

	put_number(&headers, KE_COPY_ATTEMPT, origin->attempt);
	put_number(&headers, KE_COPY_DELAY, delay_ms);
	put(&headers, KE_COPY_DUE, ke_retry_headers_show_time(origin->due_ms));
	*count = headers.count;
	return headers.array;
}

KeHeader *
ke_retry_headers_of_dead(KeMessage *msg, const KeOrigin *origin,
						 const KeDeadLetterCause *cause, int *count)
{
	Headers		headers = begin(msg, origin);

	put_number(&headers, KE_COPY_ATTEMPTS, origin->attempt);
	put(&headers, KE_COPY_REASON, header_text(cause->reason));
	put(&headers, KE_COPY_TIME, ke_retry_headers_show_time(cause->time_ms));
	put(&headers, KE_COPY_SQLSTATE,
		pstrdup(unpack_sql_state(cause->sqlstate)));
	put(&headers, KE_COPY_HANDLER, header_text(cause->handler));
	*count = headers.count;
	return headers.array;
}
