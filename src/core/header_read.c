/*
 * header_read.c
 *	  Values of a message's headers, which may have been written by anybody.
 */
#include "postgres.h"
#include "core/compat.h"

#include "mb/pg_wchar.h"

#include "core/header_read.h"

/* No text of ours is longer; what is was written by somebody else. */
#define TEXT_MAX 1024

const KeHeader *
ke_header_read_find(KeMessage *msg, const char *name)
{
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);
	const KeHeader *header = ke_message_find_header(headers, count, name);

	return header != NULL && header->value != NULL ? header : NULL;
}

static bool
is_text(const KeHeader *header)
{
	return pg_verify_mbstr(PG_UTF8, header->value, header->value_len, true);
}

bool
ke_header_read_text(KeMessage *msg, const char *name, const char **text)
{
	const KeHeader *header = ke_header_read_find(msg, name);

	*text = NULL;
	if (header == NULL)
		return true;
	if (header->value_len > TEXT_MAX || !is_text(header))
		return false;
	*text = pnstrdup(header->value, header->value_len);
	return true;
}

const char *
ke_header_read_long_text(KeMessage *msg, const char *name)
{
	const KeHeader *header = ke_header_read_find(msg, name);

	if (header == NULL || !is_text(header))
		return NULL;
	return pnstrdup(header->value, header->value_len);
}

bool
ke_header_read_parse_number(const char *text, int64 max, int64 *number)
{
	char	   *end;

	if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0' && *number <= max;
}

bool
ke_header_read_number(KeMessage *msg, const char *name, int64 max,
					  int64 *number)
{
	const char *text;

	*number = -1;
	if (!ke_header_read_text(msg, name, &text))
		return false;
	if (text == NULL || ke_header_read_parse_number(text, max, number))
		return true;
	*number = -1;
	return false;
}

int64
ke_header_read_binary(KeMessage *msg, const char *name, int width)
{
	const KeHeader *header = ke_header_read_find(msg, name);
	uint64		number = 0;

	Assert(width <= sizeof(number));
	if (header == NULL || header->value_len != width ||
		((unsigned char) header->value[0] & 0x80) != 0)
		return -1;
	for (int i = 0; i < width; i++)
		number = number << 8 | (unsigned char) header->value[i];
	return (int64) number;
}
