/*
 * offset_metadata.c
 *	  Markers of Kafka transactions in the metadata of a position.
 *
 * "ke1;<uuid>=<number>;<uuid>=<number>": several databases may move letters
 * for the same service, and each knows its own transactions only.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"

#include "dlq/reprocess_run.h"

#define VERSION "ke1"

/* Brokers take some 4 kB; the oldest of more databases is forgotten. */
#define MAX_LENGTH 3500

/* Where the next part begins, of what is not null; NULL: that was the last. */
static const char *
next_part(const char *part)
{
	const char *end = strchr(part, ';');

	return end == NULL ? NULL : end + 1;
}

/* Is the part this database's? */
static bool
is_of(const char *part, const char *uuid)
{
	return strncmp(part, uuid, strlen(uuid)) == 0 &&
		part[strlen(uuid)] == '=';
}

int64
ke_offset_metadata_get(const char *metadata, const char *uuid)
{
	const char *part = metadata;

	if (metadata == NULL || strncmp(metadata, VERSION, strlen(VERSION)) != 0)
		return 0;
	while ((part = next_part(part)) != NULL)
	{
		if (is_of(part, uuid))
			return Max(strtoll(part + strlen(uuid) + 1, NULL, 10), 0);
	}
	return 0;
}

char *
ke_offset_metadata_put(const char *metadata, const char *uuid, int64 marker)
{
	const char *part = metadata;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, VERSION ";%s=" INT64_FORMAT, uuid, marker);
	if (metadata == NULL || strncmp(metadata, VERSION, strlen(VERSION)) != 0)
		return buf.data;
	while ((part = next_part(part)) != NULL)
	{
		int			len = strcspn(part, ";");

		if (!is_of(part, uuid) && buf.len + len < MAX_LENGTH)
			appendStringInfo(&buf, ";%.*s", len, part);
	}
	return buf.data;
}
