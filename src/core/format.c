/*
 * format.c
 *	  psprintf() for functions that take a format themselves.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/format.h"

char *
ke_format(const char *fmt, va_list args)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		copy;
		int			needed;

		/* what was read once cannot be read again */
		va_copy(copy, args);
		needed = appendStringInfoVA(&buf, fmt, copy);
		va_end(copy);
		if (needed == 0)
			return buf.data;
		enlargeStringInfo(&buf, needed);
	}
}

void
ke_format_add(StringInfo sentences, const char *fmt, va_list args)
{
	if (sentences->len > 0)
		appendStringInfoString(sentences, "; ");
	appendStringInfoString(sentences, ke_format(fmt, args));
}
