/*
 * options.c
 *	  What all kinds of options share: problems, topic names, spellings.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"

#include "core/format.h"
#include "core/option_table.h"
#include "core/options.h"

/* Kafka's own limit. */
#define TOPIC_MAX_LEN	249

DefElem *
ke_options_find(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			return lfirst_node(DefElem, lc);
	return NULL;
}

const char *
ke_options_topic_problem(const char *topic)
{
	if (*topic == '\0')
		return "must not be empty";
	if (strlen(topic) > TOPIC_MAX_LEN)
		return "must have at most 249 characters";
	if (strcmp(topic, ".") == 0 || strcmp(topic, "..") == 0)
		return "must not be \".\" or \"..\"";
	if (strspn(topic, KE_OPTION_TOPIC_CHARS) != strlen(topic))
		return "must consist of letters, digits, \".\", \"_\" and \"-\"";
	return NULL;
}

bool
ke_options_topic_is_internal(const char *topic)
{
	static const char *const internal[] = {
		"__cluster_metadata", "__consumer_offsets", "__remote_log_metadata",
		"__share_group_state", "__transaction_state"
	};

	for (int i = 0; i < lengthof(internal); i++)
	{
		if (strcmp(topic, internal[i]) == 0)
			return true;
	}
	return false;
}

void
ke_options_problem(List **problems, const char *hint, const char *fmt,...)
{
	va_list		args;
	char	   *problem;

	if (problems == NULL)
		return;

	va_start(args, fmt);
	problem = ke_format(fmt, args);
	va_end(args);
	if (hint != NULL)
		problem = psprintf("%s\n%s", problem, hint);
	*problems = lappend(*problems, problem);
}

/* Append a line if the buffer does not have it already. */
static void
append_line_once(StringInfo buf, const char *line)
{
	const char *found = buf->data;
	int			length = strlen(line);

	while ((found = strstr(found, line)) != NULL)
	{
		if ((found == buf->data || found[-1] == '\n') &&
			(found[length] == '\0' || found[length] == '\n'))
			return;
		found += length;
	}
	appendStringInfo(buf, "%s%s", buf->len > 0 ? "\n" : "", line);
}

void
ke_options_report(const char *object, List *problems)
{
	StringInfoData detail;
	StringInfoData hints;
	ListCell   *lc;

	if (problems == NIL)
		return;

	initStringInfo(&detail);
	initStringInfo(&hints);
	foreach(lc, problems)
	{
		char	   *line = pstrdup(lfirst(lc));
		char	   *next = strchr(line, '\n');

		if (next != NULL)
			*next++ = '\0';
		appendStringInfo(&detail, "%s%s.", detail.len > 0 ? "\n" : "", line);
		while ((line = next) != NULL)
		{
			next = strchr(line, '\n');
			if (next != NULL)
				*next++ = '\0';
			append_line_once(&hints, line);
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid options for %s", object),
			 errdetail_internal("%s", detail.data),
			 hints.len > 0 ? errhint("%s", hints.data) : 0));
}
