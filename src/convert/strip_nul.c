/*
 * strip_nul.c
 *	  NULs out of text, which PostgreSQL's types cannot hold.
 *
 * A backslash and what follows it are one, so an escaped backslash before
 * "u0000" is left alone.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/strip_nul.h"

#define ESCAPE_LEN 6

/* How many bytes of NUL are at p, or 0. */
static inline int
nul_at(const char *p, const char *end)
{
	if (*p == '\0')
		return 1;
	if (*p == '\\' && end - p >= ESCAPE_LEN && p[1] == 'u' &&
		memcmp(p + 2, "0000", 4) == 0)
		return ESCAPE_LEN;
	return 0;
}

static inline int
unit_at(const char *p, const char *end)
{
	return *p == '\\' && end - p >= 2 ? 2 : 1;
}

const char *
ke_strip_nul(const char *bytes, int32 *len)
{
	const char *end = bytes + *len;
	const char *p = bytes;
	char	   *copy;
	char	   *dst;

	while (p < end && nul_at(p, end) == 0)
		p += unit_at(p, end);
	if (p >= end)
		return bytes;

	copy = palloc(*len);
	memcpy(copy, bytes, p - bytes);
	dst = copy + (p - bytes);
	while (p < end)
	{
		int			skipped = nul_at(p, end);
		int			unit = unit_at(p, end);

		if (skipped == 0)
		{
			memcpy(dst, p, unit);
			dst += unit;
			skipped = unit;
		}
		p += skipped;
	}
	*len = (int32) (dst - copy);
	return copy;
}
