/*
 * option_describe.c
 *	  What options there are, for people: read from the tables that drive
 *	  their parsing.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"

#include "core/literal.h"
#include "core/option_describe.h"
#include "core/option_table.h"

static const char *
type_name(const KeOption *option)
{
	switch (option->kind)
	{
		case KE_OPTION_BOOLEAN:
			return "boolean";
		case KE_OPTION_INTEGER:
			return "integer";
		case KE_OPTION_NUMBER:
			return "number";
		case KE_OPTION_MS:
			return "milliseconds";
		case KE_OPTION_INTERVAL:
		case KE_OPTION_LONG_INTERVAL:
			return "interval";
		case KE_OPTION_CHOICE:
		case KE_OPTION_FLAG:
		case KE_OPTION_WORD:
			return "word";
		case KE_OPTION_TEXT:
			return "text";
		case KE_OPTION_SECRET:
			return "secret";
		case KE_OPTION_PARSED:
			return option->type != NULL ? option->type : "text[]";
	}
	pg_unreachable();
}

static const char *
list_choices(const KeOption *option)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; option->choices[i] != NULL; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", option->choices[i]);
	return buf.data;
}

static const char *
allowed_values(const KeOption *option)
{
	switch (option->kind)
	{
		case KE_OPTION_BOOLEAN:
			return "true, false";
		case KE_OPTION_INTEGER:
		case KE_OPTION_NUMBER:
		case KE_OPTION_MS:
			return psprintf("%.0f to %.0f", option->min, option->max);
		case KE_OPTION_INTERVAL:
		case KE_OPTION_LONG_INTERVAL:
			return psprintf("%s to %s",
							ke_literal_show_interval((int64) option->min),
							ke_literal_show_interval((int64) option->max));
		case KE_OPTION_CHOICE:
		case KE_OPTION_FLAG:
		case KE_OPTION_WORD:
			return list_choices(option);
		case KE_OPTION_TEXT:
		case KE_OPTION_SECRET:
		case KE_OPTION_PARSED:
			return option->form;
	}
	pg_unreachable();
}

static List *
describe_set(List *all, const char *object, const KeOptionSet *set,
			 bool superuser_only)
{
	for (int i = 0; i < set->noptions; i++)
	{
		const KeOption *option = &set->options[i];
		KeOptionDescription *one = palloc0(sizeof(KeOptionDescription));

		one->object = object;
		one->name = option->name;
		one->type = type_name(option);
		one->initial = option->initial;
		one->initial_production = option->initial_production;
		one->allowed = allowed_values(option);
		one->required = option->required;
		one->superuser_only = superuser_only;
		all = lappend(all, one);
	}
	return all;
}

List *
ke_option_describe_all(void)
{
	List	   *all = NIL;

	all = describe_set(all, "server", ke_options_server_set(), false);
	all = describe_set(all, "server", ke_properties_set(), true);
	all = describe_set(all, "user mapping", ke_options_server_mapping_set(),
					   false);
	return describe_set(all, "subscription", ke_options_subscription_set(),
						false);
}
