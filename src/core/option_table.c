/*
 * option_table.c
 *	  Reads options as a table of them says.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/string.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "core/literal.h"
#include "core/option_table.h"
#include "core/options.h"

/* Longest part of a value that an error quotes. */
#define QUOTE_LEN	64

char *
ke_option_table_quote(const char *value)
{
	int			length = strlen(value);
	int			shown = pg_mbcliplen(value, length, QUOTE_LEN);
	char	   *quoted = psprintf("\"%.*s%s\"", shown, value,
								  shown < length ? "..." : "");
	char	   *p;

	for (p = quoted; *p != '\0'; p++)
	{
		if ((unsigned char) *p < ' ')
			*p = ' ';
	}
	return quoted;
}

const char *
ke_option_table_written(List *options, const char *name)
{
	const char *value = NULL;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, name) == 0)
			value = def->arg == NULL ? "" : strVal(def->arg);
	}
	return value;
}

const KeOption *
ke_option_table_find(const KeOptionSet *set, const char *name)
{
	int			i;

	for (i = 0; i < set->noptions; i++)
	{
		if (strcmp(set->options[i].name, name) == 0)
			return &set->options[i];
	}
	return NULL;
}

char *
ke_option_table_names(const KeOptionSet *set)
{
	StringInfoData buf;
	int			i;

	initStringInfo(&buf);
	for (i = 0; i < set->noptions; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 set->options[i].name);
	return buf.data;
}

char *
ke_option_table_closest_hint(const KeOptionSet *set, const char *name)
{
	ClosestMatchState state;
	const char *closest;
	int			i;

	initClosestMatch(&state, name, 4);
	for (i = 0; i < set->noptions; i++)
		updateClosestMatch(&state, set->options[i].name);
	closest = getClosestMatch(&state);
	if (closest == NULL)
		return NULL;
	return psprintf("Perhaps you meant the option \"%s\".", closest);
}

/* The choice a value names, whatever its case; -1 if none. */
static int
find_choice(const KeOption *option, const char *value)
{
	int			i;

	for (i = 0; option->choices[i] != NULL; i++)
	{
		if (pg_strcasecmp(option->choices[i], value) == 0)
			return i;
	}
	return -1;
}

static const char *
choice_rule(const KeOption *option)
{
	StringInfoData buf;
	int			i;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "must be ");
	for (i = 0; option->choices[i] != NULL; i++)
	{
		if (i > 0)
			appendStringInfoString(&buf, option->choices[i + 1] != NULL ?
								   ", " : " or ");
		appendStringInfoString(&buf, option->choices[i]);
	}
	return buf.data;
}

static const char *
assign_choice(const KeOption *option, const char *value, void *member)
{
	int			choice = find_choice(option, value);

	if (choice < 0)
		return choice_rule(option);

	switch (option->kind)
	{
		case KE_OPTION_FLAG:
			*(bool *) member = choice > 0;
			break;
		case KE_OPTION_WORD:
			*(char **) member = pstrdup(option->choices[choice]);
			break;
		default:
			*(int *) member = choice;
			break;
	}
	return NULL;
}

static const char *
assign_number(const KeOption *option, const char *value, void *member)
{
	double		number = 0;
	int			whole = 0;
	bool		valid;

	if (option->kind == KE_OPTION_NUMBER)
		valid = parse_real(value, &number, 0, NULL);
	else
	{
		char	   *end;

		errno = 0;
		whole = strtoint(value, &end, 10);
		valid = errno == 0 && end != value && *end == '\0';
		if (!valid && option->kind == KE_OPTION_MS)
			valid = parse_int(value, &whole, GUC_UNIT_MS, NULL);
		number = whole;
	}
	if (!valid || number < option->min || number > option->max)
		return psprintf("must be %s between %.0f and %.0f%s",
						option->kind == KE_OPTION_NUMBER ?
						"a number" : "an integer",
						option->min, option->max,
						option->kind == KE_OPTION_MS ? " (ms)" : "");

	if (option->kind == KE_OPTION_NUMBER)
		*(double *) member = number;
	else
		*(int *) member = whole;
	return NULL;
}

static const char *
assign_interval(const KeOption *option, const char *value, void *member)
{
	int64		ms;

	if (!ke_literal_interval(value, &ms) ||
		ms < option->min || ms > option->max)
		return psprintf("must be an interval between %s and %s",
						ke_literal_show_interval((int64) option->min),
						ke_literal_show_interval((int64) option->max));

	if (option->kind == KE_OPTION_LONG_INTERVAL)
		*(int64 *) member = ms;
	else
		*(int *) member = (int) ms;
	return NULL;
}

static const char *
assign_text(const KeOption *option, const char *value, void *member)
{
	if (option->check != NULL)
	{
		const char *rule = option->check(value);

		if (rule != NULL)
			return rule;
	}
	else if (*value == '\0')
		return "must not be empty";
	*(char **) member = pstrdup(value);
	return NULL;
}

const char *
ke_option_table_assign(const KeOption *option, const char *value, void *out)
{
	void	   *member = (char *) out + option->offset;
	bool		flag;

	switch (option->kind)
	{
		case KE_OPTION_BOOLEAN:
			if (!parse_bool(value, &flag))
				return "must be a boolean (true, false, on, off)";
			*(bool *) member = flag;
			return NULL;
		case KE_OPTION_INTEGER:
		case KE_OPTION_NUMBER:
		case KE_OPTION_MS:
			return assign_number(option, value, member);
		case KE_OPTION_INTERVAL:
		case KE_OPTION_LONG_INTERVAL:
			return assign_interval(option, value, member);
		case KE_OPTION_CHOICE:
		case KE_OPTION_FLAG:
		case KE_OPTION_WORD:
			return assign_choice(option, value, member);
		case KE_OPTION_TEXT:
		case KE_OPTION_SECRET:
			return assign_text(option, value, member);
		case KE_OPTION_PARSED:
			return option->parse(value, out);
	}
	return NULL;				/* keep the compiler quiet */
}

/* One option of the table: its initial value, then what was written. */
static void
parse_one(const KeOption *option, List *options, bool production, void *out,
		  List **problems)
{
	const char *initial = option->initial;
	const char *value = ke_option_table_written(options, option->name);
	const char *rule;

	if (production && option->initial_production != NULL)
		initial = option->initial_production;
	if (initial != NULL)
		(void) ke_option_table_assign(option, initial, out);

	if (value == NULL)
	{
		if (option->required)
			ke_options_problem(problems, NULL, "Option \"%s\" is required",
							   option->name);
		return;
	}
	rule = ke_option_table_assign(option, value, out);
	if (rule == NULL)
		return;
	if (option->kind == KE_OPTION_SECRET || option->quiet || *value == '\0')
		ke_options_problem(problems, NULL, "Option \"%s\" %s",
						   option->name, rule);
	else
		ke_options_problem(problems,
						   option->instead != NULL ?
						   option->instead(value) : NULL,
						   "Option \"%s\" %s, but is %s",
						   option->name, rule, ke_option_table_quote(value));
}

static void
unknown_option(const KeOptionSet *set, const char *name, List **problems)
{
	char	   *closest;
	char	   *hint;

	if (problems == NULL)
		return;
	closest = ke_option_table_closest_hint(set, name);
	hint = psprintf("%s%sThe options of %s are: %s.",
					closest != NULL ? closest : "",
					closest != NULL ? "\n" : "",
					set->object, ke_option_table_names(set));
	ke_options_problem(problems, hint, "Option %s does not exist",
					   ke_option_table_quote(name));
}

void
ke_option_table_parse(const KeOptionSet *set, List *options, bool production,
					  void *out, List **problems)
{
	ListCell   *lc;
	int			i;

	memset(out, 0, set->size);
	for (i = 0; i < set->noptions; i++)
		parse_one(&set->options[i], options, production, out, problems);

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (ke_option_table_find(set, def->defname) != NULL)
			continue;
		if (set->other != NULL &&
			set->other(def->defname,
					   ke_option_table_written(options, def->defname),
					   out, problems))
			continue;
		unknown_option(set, def->defname, problems);
	}
}
