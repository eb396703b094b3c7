/*
 * literal.c
 *	  Reads what a user wrote for an interval or an array, without raising.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/int.h"
#include "lib/stringinfo.h"
#include "utils/datetime.h"

#include "core/literal.h"

#define MS_PER_DAY	INT64CONST(86400000)
#define MS_PER_HOUR INT64CONST(3600000)
#define MS_PER_MINUTE	INT64CONST(60000)
#define MS_PER_SECOND	INT64CONST(1000)

bool
ke_literal_interval(const char *text, int64 *ms)
{
	struct pg_itm_in itm;
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	char		workbuf[256];
	int			nfields;
	int			dtype = DTK_DELTA;
	int			error;
	int64		days;

	memset(&itm, 0, sizeof(itm));
	error = ParseDateTime(text, workbuf, sizeof(workbuf), field, ftype,
						  MAXDATEFIELDS, &nfields);
	if (error == 0)
		error = DecodeInterval(field, ftype, nfields, INTERVAL_FULL_RANGE,
							   &dtype, &itm);
	if (error == DTERR_BAD_FORMAT)
	{
		char	   *copy = pstrdup(text);

		error = DecodeISO8601Interval(copy, &dtype, &itm);
		pfree(copy);
	}
	if (error != 0 || dtype != DTK_DELTA)
		return false;

	days = ((int64) itm.tm_year * MONTHS_PER_YEAR + itm.tm_mon) *
		DAYS_PER_MONTH + itm.tm_mday;
	return !pg_mul_s64_overflow(days, MS_PER_DAY, ms) &&
		!pg_add_s64_overflow(*ms, itm.tm_usec / 1000, ms);
}

/*
 * Copy one element, up to the comma or brace behind it, unquoted into buf.
 * Returns what follows it, or NULL where the literal is malformed.
 */
static const char *
read_item(const char *p, StringInfo buf)
{
	bool		quoted = *p == '"';

	resetStringInfo(buf);
	if (quoted)
		p++;
	while (quoted ? *p != '"' : (*p != ',' && *p != '}'))
	{
		if (*p == '\\')
			p++;
		else if (!quoted && (*p == '{' || *p == '"'))
			return NULL;
		if (*p == '\0')
			return NULL;
		appendStringInfoChar(buf, *p++);
	}
	if (quoted)
		p++;
	else
	{
		/* blanks around an element are not part of it */
		while (buf->len > 0 && buf->data[buf->len - 1] == ' ')
			buf->data[--buf->len] = '\0';
		if (buf->len == 0 || pg_strcasecmp(buf->data, "null") == 0)
			return NULL;
	}
	return p;
}

static const char *
skip_blanks(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

bool
ke_literal_text_array(const char *text, char ***items, int *nitems)
{
	const char *p = skip_blanks(text);
	StringInfoData buf;
	int			allocated = 8;

	*nitems = 0;
	*items = palloc(allocated * sizeof(char *));
	if (*p++ != '{')
		return false;
	p = skip_blanks(p);
	if (*p == '}')
		return *skip_blanks(p + 1) == '\0';

	initStringInfo(&buf);
	for (;;)
	{
		p = read_item(skip_blanks(p), &buf);
		if (p == NULL)
			return false;
		if (*nitems == allocated)
		{
			allocated *= 2;
			*items = repalloc(*items, allocated * sizeof(char *));
		}
		(*items)[(*nitems)++] = pstrdup(buf.data);

		p = skip_blanks(p);
		if (*p == '}')
			return *skip_blanks(p + 1) == '\0';
		if (*p++ != ',')
			return false;
	}
}

char *
ke_literal_show_interval(int64 ms)
{
	if (ms % MS_PER_DAY == 0 && ms != 0)
		return psprintf(INT64_FORMAT " %s", ms / MS_PER_DAY,
						ms == MS_PER_DAY ? "day" : "days");
	if (ms % MS_PER_HOUR == 0 && ms != 0)
		return psprintf(INT64_FORMAT " %s", ms / MS_PER_HOUR,
						ms == MS_PER_HOUR ? "hour" : "hours");
	if (ms % MS_PER_MINUTE == 0 && ms != 0)
		return psprintf(INT64_FORMAT " min", ms / MS_PER_MINUTE);
	if (ms % MS_PER_SECOND == 0 && ms != 0)
		return psprintf(INT64_FORMAT " s", ms / MS_PER_SECOND);
	return psprintf(INT64_FORMAT " ms", ms);
}
