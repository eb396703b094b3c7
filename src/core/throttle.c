/*
 * throttle.c
 *	  The same line of the log at most once a minute.
 *
 * Each process remembers hashes of the last texts it may have written.  When
 * more different ones than that come within a minute, the one that was
 * written the longest ago is forgotten.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/hashfn.h"

#include "core/clock.h"
#include "core/throttle.h"

#define THROTTLE_MS 60000
#define REMEMBERED 32

typedef struct Line
{
	uint64		hash;
	int64		written_ms;
	bool		used;
} Line;

static Line lines[REMEMBERED];

static uint64
hash_text(const char *text, bool kind)
{
	uint64		hash = 0;

	for (const char *p = text; *p != '\0'; p++)
	{
		unsigned char c = *p;

		if (kind && c >= '0' && c <= '9')
			continue;
		hash = hash_combine64(hash, c);
	}
	return hash;
}

bool
ke_throttle_allows_at(const char *text, bool kind, int64 now_ms)
{
	uint64		hash = hash_text(text, kind);
	Line	   *oldest = &lines[0];

	for (int i = 0; i < REMEMBERED; i++)
	{
		Line	   *line = &lines[i];

		if (line->used && line->hash == hash)
		{
			if (now_ms - line->written_ms < THROTTLE_MS)
				return false;
			line->written_ms = now_ms;
			return true;
		}
		if (!line->used ||
			(oldest->used && line->written_ms < oldest->written_ms))
			oldest = line;
	}
	oldest->used = true;
	oldest->hash = hash;
	oldest->written_ms = now_ms;
	return true;
}

bool
ke_throttle_allows(const char *text)
{
	return ke_throttle_allows_at(text, false, ke_clock_now() / 1000);
}

bool
ke_throttle_allows_kind(const char *text)
{
	return ke_throttle_allows_at(text, true, ke_clock_now() / 1000);
}
