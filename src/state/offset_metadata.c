/*
 * offset_metadata.c
 *	  What databases write into the metadata of a position among dead letters.
 *
 * "ke1;<uuid>=<number>,<history>;<uuid>=<number>,<history>": several databases
 * may move letters for the same service, and each knows its own transactions
 * only.  The first one has moved the position last.  Histories are as in
 * core/copy_history, with commas instead of semicolons.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"

#include "state/histories.h"
#include "state/identity.h"
#include "state/offset_metadata.h"

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

static void
replace_separator(char *text, char from, char to)
{
	for (; *text != '\0'; text++)
		if (*text == from)
			*text = to;
}

/* The history of a part; false: it has none, or it is not what we write. */
static bool
read_history(const char *part, KeCopyHistory *history)
{
	char	   *text = pnstrdup(part, strcspn(part, ";"));
	char	   *comma = strchr(text, ',');

	if (comma == NULL)
		return false;
	replace_separator(comma + 1, ',', ';');
	return ke_copy_history_parse(comma + 1, strlen(comma + 1), history);
}

char *
ke_offset_metadata_put(const char *metadata, const char *uuid, int64 marker,
					   const KeCopyHistory *history)
{
	const char *part = metadata;
	char		text[KE_COPY_HISTORY_LEN];
	StringInfoData buf;

	ke_copy_history_format(history, text);
	replace_separator(text, ';', ',');
	initStringInfo(&buf);
	appendStringInfo(&buf, VERSION ";%s=" INT64_FORMAT ",%s", uuid, marker,
					 text);
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

bool
ke_offset_metadata_is_orphan(const char *metadata, const char *uuid,
							 const KePast *past)
{
	const char *part = metadata;
	KeCopyHistory history;

	if (metadata == NULL ||
		strncmp(metadata, VERSION, strlen(VERSION)) != 0 ||
		(part = next_part(part)) == NULL)
		return false;
	return is_of(part, uuid) && read_history(part, &history) &&
		ke_copy_history_judge(past, &history) == KE_COPY_ORPHAN;
}

void
ke_offset_metadata_disregard(int64 *positions, char **metadata, int count)
{
	KePast	   *past = ke_histories_past();
	char		name[KE_UUID_LEN];
	pg_uuid_t	uuid;

	if (ke_identity_read(&uuid) != KE_IDENTITY_OURS)
		return;
	ke_identity_format(&uuid, name);
	for (int i = 0; i < count; i++)
	{
		if (ke_offset_metadata_is_orphan(metadata[i], name, past))
			positions[i] = -1;
	}
}
