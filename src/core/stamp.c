/*
 * stamp.c
 *	  The metadata we commit to Kafka beside every offset.
 *
 * What is read may have been written by anybody, so nothing in it is trusted:
 * a field that is missing, too long or no number makes it no stamp of ours.
 */
#include "postgres.h"
#include "core/compat.h"

#include <ctype.h>

#include "core/stamp.h"
#include "lib/stringinfo.h"

#define STAMP_VERSION "ke1"

/*
 * Copy the text of ";<name>=..." up to the next semicolon into buf.
 */
static bool
field(const char *metadata, char name, char *buf, Size size)
{
	char		tag[4] = {';', name, '=', '\0'};
	const char *start = strstr(metadata, tag);
	Size		len;

	if (start == NULL)
		return false;
	start += 3;
	len = strcspn(start, ";");
	if (len == 0 || len >= size)
		return false;
	memcpy(buf, start, len);
	buf[len] = '\0';
	return true;
}

static bool
number(const char *metadata, char name, int64 *value)
{
	char		buf[24];
	char	   *end;

	if (!field(metadata, name, buf, sizeof(buf)))
		return false;
	errno = 0;
	*value = strtoll(buf, &end, 10);
	return errno == 0 && *end == '\0' && *value >= 0;
}

/* A name, into buf[64]; empty if there is none. */
static void
name_field(const char *metadata, char tag, char *buf)
{
	char		encoded[192];
	char	   *to = buf;

	buf[0] = '\0';
	if (!field(metadata, tag, encoded, sizeof(encoded)))
		return;
	for (const char *from = encoded; *from != '\0' && to < buf + 63; from++)
	{
		unsigned int byte = (unsigned char) *from;

		if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1 &&
			from[1] != '\0' && from[2] != '\0')
			from += 2;
		*to++ = byte >= ' ' && byte <= '~' && byte != '"' ? (char) byte : '?';
	}
	*to = '\0';
}

static void
append_name(StringInfo buf, char tag, const char *name)
{
	if (name[0] == '\0')
		return;
	appendStringInfo(buf, ";%c=", tag);
	for (const char *c = name; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~')
			appendStringInfoChar(buf, '?');
		else if (isalnum((unsigned char) *c) || strchr("._-", *c) != NULL)
			appendStringInfoChar(buf, *c);
		else
			appendStringInfo(buf, "%%%02X", (unsigned char) *c);
	}
}

bool
ke_stamp_parse(const char *metadata, KeStamp *stamp)
{
	char		hex[24];
	char	   *end;
	int64		timeline;

	if (metadata == NULL ||
		strncmp(metadata, STAMP_VERSION ";", strlen(STAMP_VERSION ";")) != 0)
		return false;
	if (!field(metadata, 'u', stamp->uuid, sizeof(stamp->uuid)) ||
		!field(metadata, 'i', hex, sizeof(hex)) ||
		!field(metadata, 'c', stamp->cluster, sizeof(stamp->cluster)) ||
		!number(metadata, 's', &stamp->start) ||
		!number(metadata, 'o', &stamp->committed) ||
		!number(metadata, 't', &timeline))
		return false;
	stamp->incarnation = strtoull(hex, &end, 16);
	stamp->timeline = (uint32) timeline;
	name_field(metadata, 'd', stamp->database);
	name_field(metadata, 'h', stamp->host);
	return *end == '\0';
}

char *
ke_stamp_format(const KeStamp *stamp)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf,
					 STAMP_VERSION ";u=%s;i=%016llx;c=%s;s=%lld;o=%lld;t=%u",
					 stamp->uuid, (unsigned long long) stamp->incarnation,
					 stamp->cluster, (long long) stamp->start,
					 (long long) stamp->committed, stamp->timeline);
	append_name(&buf, 'd', stamp->database);
	append_name(&buf, 'h', stamp->host);
	return buf.data;
}

char *
ke_stamp_whose(const char *uuid, const char *database, const char *host)
{
	if (database[0] == '\0')
		return psprintf("another database (%s)", uuid);
	if (host[0] == '\0')
		return psprintf("database \"%s\" (%s)", database, uuid);
	return psprintf("database \"%s\" on host \"%s\" (%s)", database, host,
					uuid);
}
