/*
 * topic_pattern.c
 *	  Regular expressions that topics' whole names must match.
 *
 * They are PostgreSQL's own.  The manager, which looks after all servers of a
 * database, tries them on all topics of a cluster, so there are none whose
 * time is not bounded by the length of the name: no back references.  The
 * library's object may be of malloc: a reset callback of the context frees it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_collation.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"
#include "utils/memutils.h"

#include "core/topic_pattern.h"

#define REGEX_MAX_LEN 1000

struct KeTopicPattern
{
	regex_t		regex;
	MemoryContextCallback callback;
};

/* In wide characters, as the library takes it. */
static pg_wchar *
wide(const char *text, size_t *length)
{
	int			bytes = strlen(text);
	pg_wchar   *chars = palloc((bytes + 1) * sizeof(pg_wchar));

	*length = pg_mb2wchar_with_len(text, chars, bytes);
	return chars;
}

/* Returns the library's error code. */
static int
compile(regex_t *regex, const char *text)
{
	size_t		length;
	pg_wchar   *chars = wide(text, &length);
	int			error = pg_regcomp(regex, chars, length,
								   REG_ADVANCED | REG_NOSUB, C_COLLATION_OID);

	pfree(chars);
	return error;
}

/* Of the whole name.  What says how to read it can stand in front alone. */
static char *
anchored(const char *text)
{
	int			option = 0;

	if (strncmp(text, "(?i)", 4) == 0 || strncmp(text, "(?c)", 4) == 0)
		option = 4;
	return psprintf("%.*s^(?:%s)$", option, text, text + option);
}

static const char *
describe(int error, const regex_t *regex)
{
	char		text[100];

	pg_regerror(error, regex, text, sizeof(text));
	return psprintf("must be a regular expression (%s)", text);
}

const char *
ke_topic_pattern_problem(const char *text)
{
	regex_t		regex;
	int			error;
	bool		refers_back;

	if (*text == '\0')
		return "must not be empty";
	if (strlen(text) > REGEX_MAX_LEN)
		return "must have at most 1000 bytes";
	error = compile(&regex, text);
	if (error != REG_OKAY)
		return describe(error, &regex);
	refers_back = (regex.re_info & REG_UBACKREF) != 0;
	pg_regfree(&regex);
	if (refers_back)
		return "must not have back references";

	/* right by itself, it may be none between parentheses: "***=x" */
	error = compile(&regex, anchored(text));
	if (error != REG_OKAY)
		return describe(error, &regex);
	pg_regfree(&regex);
	return NULL;
}

static void
release(void *argument)
{
	pg_regfree((regex_t *) argument);
}

KeTopicPattern *
ke_topic_pattern_compile(const char *text)
{
	KeTopicPattern *pattern = palloc0(sizeof(KeTopicPattern));

	if (compile(&pattern->regex, anchored(text)) != REG_OKAY)
		return NULL;
	pattern->callback.func = release;
	pattern->callback.arg = &pattern->regex;
	MemoryContextRegisterResetCallback(CurrentMemoryContext,
									   &pattern->callback);
	return pattern;
}

bool
ke_topic_pattern_matches(const KeTopicPattern *pattern, const char *topic)
{
	size_t		length;
	pg_wchar   *chars = wide(topic, &length);
	int			error;

	error = pg_regexec((regex_t *) &pattern->regex, chars, length, 0, NULL, 0,
					   NULL, 0);
	pfree(chars);
	return error == REG_OKAY;
}
