/*
 * stamp.c
 *	  The metadata we commit to Kafka beside every offset.
 *
 * What is read may have been written by anybody, so nothing in it is trusted:
 * a field that is missing, too long or no number makes it no stamp of ours.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/stamp.h"

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
	return *end == '\0';
}

char *
ke_stamp_format(const KeStamp *stamp)
{
	return psprintf(STAMP_VERSION ";u=%s;i=%016llx;c=%s;s=%lld;o=%lld;t=%u",
					stamp->uuid, (unsigned long long) stamp->incarnation,
					stamp->cluster, (long long) stamp->start,
					(long long) stamp->committed, stamp->timeline);
}
