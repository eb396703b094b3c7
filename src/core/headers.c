/*
 * headers.c
 *	  A message's headers as one string of bytes, and back.
 */
#include "postgres.h"
#include "core/compat.h"

#include "port/pg_bswap.h"

#include "core/headers.h"

/* What a header takes besides its name and value: a NUL and a length. */
#define OVERHEAD	(1 + sizeof(uint32))

static Size
value_size(const KeHeader *header)
{
	return header->value != NULL ? header->value_len : 0;
}

Size
ke_headers_size(const KeHeader *headers, int count)
{
	Size		size = 0;

	for (int i = 0; i < count; i++)
		size += strlen(headers[i].name) + OVERHEAD + value_size(&headers[i]);
	return size;
}

void
ke_headers_write(const KeHeader *headers, int count, char *bytes)
{
	for (int i = 0; i < count; i++)
	{
		const KeHeader *header = &headers[i];
		Size		name_size = strlen(header->name) + 1;
		uint32		length = header->value != NULL ? header->value_len : -1;

		memcpy(bytes, header->name, name_size);
		bytes += name_size;
		length = pg_hton32(length);
		memcpy(bytes, &length, sizeof(length));
		bytes += sizeof(length);
		if (header->value != NULL)
			memcpy(bytes, header->value, header->value_len);
		bytes += value_size(header);
	}
}

/* One header off the front of bytes, its size; 0: there is none there. */
static Size
read_one(const char *bytes, Size len, KeHeader *header)
{
	Size		name_size = strnlen(bytes, len) + 1;
	uint32		length;

	if (len < name_size || len - name_size < sizeof(length))
		return 0;
	memcpy(&length, bytes + name_size, sizeof(length));
	len -= name_size + sizeof(length);

	header->name = bytes;
	header->value_len = (int32) pg_ntoh32(length);
	header->value = NULL;
	if (header->value_len == -1)
		header->value_len = 0;
	else if (header->value_len < 0 || header->value_len > len)
		return 0;
	else
		header->value = bytes + name_size + sizeof(length);
	return name_size + sizeof(length) + header->value_len;
}

bool
ke_headers_read(const char *bytes, Size len, KeHeader **headers, int *count)
{
	int			room = 8;

	*headers = (KeHeader *) palloc(room * sizeof(KeHeader));
	*count = 0;
	while (len > 0)
	{
		Size		size;

		if (*count == room)
		{
			room *= 2;
			*headers = (KeHeader *) repalloc(*headers,
											 room * sizeof(KeHeader));
		}
		size = read_one(bytes, len, &(*headers)[*count]);
		if (size == 0)
			return false;
		(*count)++;
		bytes += size;
		len -= size;
	}
	return true;
}
