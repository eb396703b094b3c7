/*
 * names.c
 *	  Names of functions and tables in option text, read and written.
 *
 * Nothing in here raises for a name that means nothing: a worker must be
 * able to say why a subscription is broken and go on with the others.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "subscription/extension.h"
#include "subscription/names.h"

const char *
ke_names_use(KeFunctionUse use)
{
	switch (use)
	{
		case KE_USE_HANDLER:
			return "Handler";
		case KE_USE_VALIDATOR:
			return "Validator";
		case KE_USE_ROUTE:
			return "Route";
	}
	pg_unreachable();
}

/* ------------------------------------------------------------- writing */

char *
ke_names_of_table(Oid table)
{
	char	   *name = get_rel_name(table);
	Oid			namespace = get_rel_namespace(table);

	if (name == NULL)
		return psprintf("%u", table);
	return quote_qualified_identifier(get_namespace_name_or_temp(namespace),
									  name);
}

/* A type with its schema, but for those that are always found. */
static char *
type_text(Oid type)
{
	static const char prefix[] = "pg_catalog.";
	char	   *text = format_type_be_qualified(type);

	if (strncmp(text, prefix, strlen(prefix)) == 0)
		text += strlen(prefix);
	return text;
}

char *
ke_names_of_function(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	const char *schema;
	StringInfoData buf;
	int			i;

	if (!HeapTupleIsValid(tuple))
		return psprintf("%u", function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	schema = get_namespace_name(proc->pronamespace);
	initStringInfo(&buf);
	appendStringInfo(&buf, "%s(",
					 quote_qualified_identifier(schema,
												NameStr(proc->proname)));
	for (i = 0; i < proc->pronargs; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? "," : "",
						 type_text(proc->proargtypes.values[i]));
	appendStringInfoChar(&buf, ')');
	ReleaseSysCache(tuple);
	return buf.data;
}

/* ---------------------------------------------------------- what fits */

KeArgument
ke_names_argument(Oid type)
{
	Oid			message = ke_extension_message_type();

	type = getBaseType(type);
	switch (type)
	{
		case JSONBOID:
			return KE_ARG_JSONB;
		case JSONOID:
			return KE_ARG_JSON;
		case TEXTOID:
			return KE_ARG_TEXT;
		case BYTEAOID:
			return KE_ARG_BYTEA;
	}
	if (type == message)
		return KE_ARG_MESSAGE;
	if (type == get_array_type(message))
		return KE_ARG_BATCH;
	if (get_typtype(type) == TYPTYPE_COMPOSITE)
		return KE_ARG_COMPOSITE;
	return KE_ARG_NONE;
}

/* As ke_names_unfit, once it is known to be a function of one argument. */
static char *
unfit_signature(Oid argument_type, Oid result_type, KeFunctionUse use)
{
	KeArgument	argument = ke_names_argument(argument_type);

	switch (use)
	{
		case KE_USE_HANDLER:
			if (argument == KE_ARG_NONE)
				return psprintf("takes %s, not json, jsonb, text, bytea, kafka_message, kafka_message[] or a composite type",
								format_type_be(argument_type));
			return NULL;
		case KE_USE_VALIDATOR:
			if (argument != KE_ARG_JSONB && argument != KE_ARG_MESSAGE)
				return psprintf("takes %s, not jsonb or kafka_message",
								format_type_be(argument_type));
			if (result_type != BOOLOID && result_type != TEXTOID)
				return psprintf("returns %s, not boolean or text",
								format_type_be(result_type));
			return NULL;
		case KE_USE_ROUTE:
			if (argument == KE_ARG_NONE || argument == KE_ARG_BATCH)
				return psprintf("takes %s, not json, jsonb, text, bytea, kafka_message or a composite type",
								format_type_be(argument_type));
			if (result_type != REGCLASSOID)
				return psprintf("returns %s, not regclass",
								format_type_be(result_type));
			return NULL;
	}
	return NULL;				/* not reached */
}

char *
ke_names_unfit(Oid function, KeFunctionUse use)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	char	   *reason = NULL;

	if (!HeapTupleIsValid(tuple))
		return "does not exist";
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (proc->prokind == PROKIND_PROCEDURE)
		reason = "is a procedure, not a function";
	else if (proc->prokind == PROKIND_AGGREGATE)
		reason = "is an aggregate function";
	else if (proc->prokind == PROKIND_WINDOW)
		reason = "is a window function";
	else if (proc->pronargs != 1)
		reason = psprintf("takes %d arguments, not one", proc->pronargs);
	else if (OidIsValid(proc->provariadic))
		reason = "is variadic";
	else if (proc->proretset)
		reason = "returns a set";
	else
		reason = unfit_signature(proc->proargtypes.values[0],
								 proc->prorettype, use);
	ReleaseSysCache(tuple);
	return reason;
}

/* ------------------------------------------------------------- reading */

/*
 * Take "s.f(type)" apart: identifiers as a list of char *, and what stands
 * between the parentheses, or NULL.  False if it is no such thing.
 */
static bool
take_apart(const char *text, List **identifiers, char **argument)
{
	char	   *copy = pstrdup(text);
	char	   *p;
	bool		quoted = false;

	*argument = NULL;
	for (p = copy; *p != '\0'; p++)
	{
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '(' && !quoted)
		{
			char	   *end = p + strlen(p) - 1;

			while (end > p && scanner_isspace(*end))
				end--;
			if (*end != ')')
				return false;
			*end = '\0';
			*p = '\0';
			*argument = p + 1;
			break;
		}
	}
	return SplitIdentifierString(copy, '.', identifiers) &&
		(list_length(*identifiers) == 1 || list_length(*identifiers) == 2);
}

/*
 * The identifiers as a name list for the look-up functions of namespace.c,
 * which raise for a schema that is missing or not to be used; NIL, and a
 * problem, in these cases.
 */
static List *
name_list(List *identifiers, bool use_path, List **problems)
{
	List	   *names = NIL;
	ListCell   *lc;

	if (list_length(identifiers) == 1 && !use_path)
	{
		ke_options_problem(problems, "Set the option to a name with its schema.",
						   "Nobody knows which schema \"%s\" was meant to be in",
						   (char *) linitial(identifiers));
		return NIL;
	}
	if (list_length(identifiers) == 2)
	{
		const char *schema = linitial(identifiers);
		Oid			namespace = LookupNamespaceNoError(schema);

		if (!OidIsValid(namespace))
		{
			ke_options_problem(problems, NULL,
							   "Schema \"%s\" does not exist", schema);
			return NIL;
		}
		if (ke_aclcheck_schema(namespace, GetUserId(),
							   ACL_USAGE) != ACLCHECK_OK)
		{
			ke_options_problem(problems, NULL,
							   "Role \"%s\" may not use schema \"%s\"",
							   GetUserNameFromId(GetUserId(), false), schema);
			return NIL;
		}
	}
	foreach(lc, identifiers)
		names = lappend(names, makeString(lfirst(lc)));
	return names;
}

/* Does text, as somebody wrote it, mean this type? */
static bool
names_type(const char *text, Oid type)
{
	char	   *name = pstrdup(text);
	char	   *end;

	while (scanner_isspace(*name))
		name++;
	end = name + strlen(name);
	while (end > name && scanner_isspace(end[-1]))
		*--end = '\0';
	if (strchr(name, '"') == NULL)
		name = downcase_identifier(name, strlen(name), false, false);
	return strcmp(name, format_type_be(type)) == 0 ||
		strcmp(name, type_text(type)) == 0 ||
		strcmp(name, format_type_be_qualified(type)) == 0;
}

/* One problem for a text that no function, or no suitable one, answers to. */
static void
report_unfit(const char *text, KeFunctionUse use, List *unfit,
			 List **problems)
{
	if (unfit == NIL)
		ke_options_problem(problems, NULL,
						   "%s \"%s\" does not exist",
						   ke_names_use(use), text);
	else if (list_length(unfit) == 1)
	{
		Oid			function = linitial_oid(unfit);

		ke_options_problem(problems, NULL, "%s %s %s",
						   ke_names_use(use), ke_names_of_function(function),
						   ke_names_unfit(function, use));
	}
	else
		ke_options_problem(problems, NULL,
						   "%s \"%s\" can be none of the %d functions of this name",
						   ke_names_use(use), text, list_length(unfit));
}

Oid
ke_names_find_function(const char *text, KeFunctionUse use, bool use_path,
					   List **problems)
{
	List	   *identifiers;
	List	   *names;
	char	   *argument;
	FuncCandidateList candidate;
	List	   *fit = NIL;
	List	   *unfit = NIL;
	StringInfoData buf;
	ListCell   *lc;

	if (!take_apart(text, &identifiers, &argument))
	{
		ke_options_problem(problems, NULL,
						   "%s \"%s\" is not of the form f, s.f or s.f(type)",
						   ke_names_use(use), text);
		return InvalidOid;
	}
	names = name_list(identifiers, use_path, problems);
	if (names == NIL)
		return InvalidOid;

	for (candidate = ke_function_candidates(names);
		 candidate != NULL; candidate = candidate->next)
	{
		if (argument != NULL && (candidate->nargs != 1 ||
								 !names_type(argument, candidate->args[0])))
			continue;
		if (ke_names_unfit(candidate->oid, use) == NULL)
			fit = lappend_oid(fit, candidate->oid);
		else
			unfit = lappend_oid(unfit, candidate->oid);
	}
	if (list_length(fit) == 1)
		return linitial_oid(fit);
	if (fit == NIL)
	{
		report_unfit(text, use, unfit, problems);
		return InvalidOid;
	}

	list_sort(fit, list_oid_cmp);
	initStringInfo(&buf);
	foreach(lc, fit)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
						 ke_names_of_function(lfirst_oid(lc)));
	ke_options_problem(problems, "Name the function with its schema and the type of its argument, as s.f(jsonb).",
					   "%s \"%s\" can be several functions: %s",
					   ke_names_use(use), text, buf.data);
	return InvalidOid;
}

Oid
ke_names_find_table(const char *text, bool use_path, List **problems)
{
	List	   *identifiers;
	List	   *names;
	char	   *argument;
	Oid			table;

	if (!take_apart(text, &identifiers, &argument) || argument != NULL)
	{
		ke_options_problem(problems, NULL,
						   "Table \"%s\" is not of the form t or s.t",
						   text);
		return InvalidOid;
	}
	names = name_list(identifiers, use_path, problems);
	if (names == NIL)
		return InvalidOid;
	table = RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true);
	if (!OidIsValid(table))
		ke_options_problem(problems, NULL,
						   "Table \"%s\" does not exist", text);
	return table;
}
