/*
 * column_path.c
 *	  Where in a message's value a column's value is: the option column_map.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "core/column_path.h"
#include "core/option_table.h"

#define MAX_STEPS 32
#define MAX_INDEX 999999

/* jsonb of a text; NULL for what is none.  Nothing but memory is held. */
static Jsonb *
read_jsonb(const char *text)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *volatile jsonb = NULL;

	PG_TRY();
	{
		Datum		datum = DirectFunctionCall1(jsonb_in,
												CStringGetDatum(text));

		jsonb = DatumGetJsonbP(datum);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			ReThrowError(error);
	}
	PG_END_TRY();
	return jsonb;
}

/* A name in quotes; p is behind the first one.  NULL if it has no end. */
static const char *
read_quoted(const char *p, StringInfo name)
{
	for (; *p != '"'; p++)
	{
		if (*p == '\\')
			p++;
		if (*p == '\0')
			return NULL;
		appendStringInfoChar(name, *p);
	}
	return p + 1;
}

/* The name of a field, plain or quoted; NULL if there is none. */
static const char *
read_name(const char *p, KePathStep *step)
{
	StringInfoData name;

	initStringInfo(&name);
	if (*p == '"')
		p = read_quoted(p + 1, &name);
	else
		while (*p != '\0' && strchr(".[]\"", *p) == NULL)
			appendStringInfoChar(&name, *p++);
	if (p == NULL || name.len == 0)
		return NULL;
	step->name = name.data;
	step->len = name.len;
	return p;
}

/* The number of an element; p is behind the bracket. */
static const char *
read_index(const char *p, KePathStep *step)
{
	int			index = 0;
	const char *start = p;

	while (*p >= '0' && *p <= '9' && index <= MAX_INDEX)
		index = index * 10 + (*p++ - '0');
	if (p == start || index > MAX_INDEX || *p != ']')
		return NULL;
	step->name = NULL;
	step->index = index;
	return p + 1;
}

/* False where the text is no path. */
static bool
read_path(KeColumnPath *path)
{
	const char *p = path->path;
	bool		first = true;

	path->steps = palloc0(MAX_STEPS * sizeof(KePathStep));
	if (p[0] == '$' && (p[1] == '\0' || p[1] == '.' || p[1] == '['))
	{
		first = false;
		p++;
	}
	else if (*p == '\0')
		return false;
	while (*p != '\0')
	{
		KePathStep *step = &path->steps[path->nsteps];

		if (path->nsteps++ == MAX_STEPS)
			return false;
		if (*p == '[')
			p = read_index(p + 1, step);
		else if (*p == '.' && !first)
			p = read_name(p + 1, step);
		else if (first)
			p = read_name(p, step);
		else
			return false;
		if (p == NULL)
			return false;
		first = false;
	}
	return true;
}

static const char *
read_pair(const JsonbValue *key, const JsonbValue *value, KeColumnPath *path)
{
	path->column = pnstrdup(key->val.string.val, key->val.string.len);
	if (value->type != jbvString)
		return psprintf("must have a path, as text, for column %s",
						ke_option_table_quote(path->column));
	path->path = pnstrdup(value->val.string.val, value->val.string.len);
	if (!read_path(path))
		return psprintf("must have a path like userId, address.city, items[0].sku or $ for column %s instead of %s",
						ke_option_table_quote(path->column),
						ke_option_table_quote(path->path));
	return NULL;
}

const char *
ke_column_path_parse(const char *text, KeColumnPath **paths, int *npaths)
{
	Jsonb	   *jsonb = read_jsonb(text);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	*npaths = 0;
	*paths = NULL;
	if (jsonb == NULL || !JB_ROOT_IS_OBJECT(jsonb))
		return "must be a JSON object of columns and paths like {\"city\": \"address.city\"}";

	*paths = palloc0(Max(JB_ROOT_COUNT(jsonb), 1) * sizeof(KeColumnPath));
	iterator = JsonbIteratorInit(&jsonb->root);
	(void) JsonbIteratorNext(&iterator, &key, true);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) == WJB_KEY)
	{
		const char *rule;

		(void) JsonbIteratorNext(&iterator, &value, true);
		rule = read_pair(&key, &value, &(*paths)[*npaths]);
		if (rule != NULL)
		{
			*npaths = 0;
			return rule;
		}
		(*npaths)++;
	}
	return NULL;
}
