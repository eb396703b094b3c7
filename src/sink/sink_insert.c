/*
 * sink_insert.c
 *	  The way of writing that works for every kind of relation: INSERT ...
 *	  SELECT from the messages.
 *
 * The plan is kept; PostgreSQL plans again when something it depends on
 * changes.  It names the target, so after each run it is checked that the
 * name still meant the relation the sink has open.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "sink/sink_insert.h"
#include "sink/sink_match.h"

/* The kept plan, and which columns it fills, by attribute. */
typedef struct KeInsert
{
	SPIPlanPtr	plan;			/* NULL: none */
	bool	   *columns;
	MemoryContextCallback on_free;
} KeInsert;

static void
free_plan(void *arg)
{
	KeInsert   *insert = arg;

	if (insert->plan != NULL)
		SPI_freeplan(insert->plan);
	insert->plan = NULL;
}

static KeInsert *
insert_of(KeSinkTable *table)
{
	KeInsert   *insert = table->insert;

	if (insert != NULL)
		return insert;
	insert = MemoryContextAllocZero(table->context, sizeof(KeInsert));
	insert->columns = MemoryContextAllocZero(table->context,
											 table->desc->natts *
											 sizeof(bool));
	insert->on_free.func = free_plan;
	insert->on_free.arg = insert;
	MemoryContextRegisterResetCallback(table->context, &insert->on_free);
	table->insert = insert;
	return insert;
}

char *
ke_sink_insert_name(const KeSinkTable *table)
{
	return quote_qualified_identifier(table->schema, table->name);
}

/* Of the row type's columns, those of this set; all if it is NULL. */
static void
append_columns(StringInfo sql, const KeSinkTable *table, const bool *set)
{
	const char *separator = "";

	for (int i = 0; i < table->row_desc->natts; i++)
	{
		int			attribute = table->row_attributes[i];

		if (set != NULL && !set[attribute])
			continue;
		appendStringInfo(sql, "%s%s", separator,
						 quote_identifier(table->columns[attribute].name));
		separator = ", ";
	}
}

/*
 * An update gives the row all values of the new message: what an insert of
 * it would have made; or those of a set only.  Columns that only PostgreSQL
 * writes stay.
 */
static void
append_on_conflict(StringInfo sql, const KeSinkTable *table, const bool *set)
{
	const char *separator = "";

	appendStringInfoString(sql, " ON CONFLICT (");
	for (int i = 0; i < table->nkeys; i++)
	{
		const char *name = table->columns[table->keys[i] - 1].name;

		appendStringInfo(sql, "%s%s", separator, quote_identifier(name));
		separator = ", ";
	}
	appendStringInfoString(sql, ") DO ");

	separator = "UPDATE SET ";
	for (int i = 0; i < table->row_desc->natts; i++)
	{
		int			attribute = table->row_attributes[i];
		const char *name = quote_identifier(table->columns[attribute].name);

		if (table->on_conflict != KE_CONFLICT_UPDATE ||
			ke_sink_table_is_key(table, attribute) ||
			(set != NULL && !set[attribute]))
			continue;
		appendStringInfo(sql, "%s%s = EXCLUDED.%s", separator, name, name);
		separator = ", ";
	}
	if (strcmp(separator, ", ") != 0)
		appendStringInfoString(sql, "NOTHING");
	else
		ke_sink_match_newer(sql, table, " WHERE ", "EXCLUDED");
}

static char *
insert_sql(const KeSinkTable *table, const bool *columns)
{
	StringInfoData sql;
	StringInfoData list;

	initStringInfo(&list);
	append_columns(&list, table, columns);
	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s AS t ", ke_sink_insert_name(table));
	if (list.len > 0)
		appendStringInfo(&sql, "(%s) ", list.data);
	appendStringInfo(&sql, "SELECT %s FROM %s", list.data,
					 quote_identifier(KE_SINK_ROWS));
	if (table->on_conflict != KE_CONFLICT_ERROR)
		append_on_conflict(&sql, table, NULL);
	return sql.data;
}

char *
ke_sink_insert_sql(const KeSinkTable *table, const bool *set,
				   const char *source)
{
	StringInfoData sql;
	StringInfoData list;

	initStringInfo(&list);
	append_columns(&list, table, NULL);
	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s AS t (%s) SELECT %s FROM %s%s",
					 ke_sink_insert_name(table), list.data, list.data,
					 quote_identifier(KE_SINK_ROWS), source);
	append_on_conflict(&sql, table, set);
	return sql.data;
}

/* The kept plan if it fills these columns, else a new one. */
static SPIPlanPtr
plan_for(KeSinkTable *table, const bool *columns)
{
	KeInsert   *insert = insert_of(table);
	SPIPlanPtr	plan;
	bool		same = true;

	for (int i = 0; i < table->desc->natts; i++)
	{
		if (insert->columns[i] != (columns == NULL || columns[i]))
			same = false;
	}
	if (insert->plan != NULL && same)
		return insert->plan;

	free_plan(insert);
	plan = SPI_prepare(insert_sql(table, columns), 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare INSERT: %s",
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	insert->plan = plan;
	for (int i = 0; i < table->desc->natts; i++)
		insert->columns[i] = columns == NULL || columns[i];
	return plan;
}

void
ke_sink_insert_check_plan(const KeSinkTable *table, SPIPlanPtr plan)
{
	List	   *sources = SPI_plan_get_plan_sources(plan);
	CachedPlanSource *source = linitial(sources);
	ListCell   *cell;

	if (!list_member_oid(source->relationOids, table->relid))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("table \"%s\" was renamed while it was written to",
						table->name)));
	if (!superuser_arg(GetUserId()))
		return;
	foreach(cell, source->relationOids)
		ke_sink_table_check_owner(lfirst_oid(cell));
}

static int64
run(KeSinkTable *table, KeSinkRows *rows, const bool *columns)
{
	SPIPlanPtr	plan;
	int64		written;

	SPI_connect();
	ke_sink_rows_register(table, rows->count);
	plan = plan_for(table, columns);
	ke_sink_insert_check_plan(table, plan);
	written = ke_sink_rows_execute(rows, plan);
	ke_sink_insert_check_plan(table, plan);
	SPI_finish();
	return written;
}

int64
ke_sink_insert_rows(KeSinkTable *table, KeSinkRows *rows)
{
	return run(table, rows, NULL);
}

/* Which columns each message has a value for: count sets of natts. */
static bool *
find_present(KeSinkTable *table, KeMessage **msgs, int count,
			 volatile int *at)
{
	int			natts = table->desc->natts;
	KeUnmatched unmatched = *table->unmatched;
	int64		stripped = table->value->stripped;
	bool	   *present = palloc((Size) count * natts * sizeof(bool));
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "kafka_events row",
												  ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		*at = i;
		if (ke_sink_row_fill(table, msgs[i], values,
							 nulls) == KE_SINK_LEAVES && i > 0)
			memcpy(&present[(Size) i * natts],
				   &present[(Size) (i - 1) * natts], natts * sizeof(bool));
		else
			memcpy(&present[(Size) i * natts], table->present,
				   natts * sizeof(bool));
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	*at = -1;
	*table->unmatched = unmatched;	/* they are counted when written */
	table->value->stripped = stripped;
	MemoryContextDelete(context);
	return present;
}

/*
 * Where absent columns must be absent from the statement too, because the
 * relation is a view or the user may insert into some columns only: one
 * statement for each run of messages with the same columns.
 */
static int64
write_by_columns(KeSinkTable *table, KeMessage **msgs, int count,
				 volatile int *at)
{
	int			natts = table->desc->natts;
	bool	   *present = find_present(table, msgs, count, at);
	int64		written = 0;
	int			end;

	for (int i = 0; i < count; i = end)
	{
		const bool *columns = &present[(Size) i * natts];
		KeSinkRows	rows = {table, msgs, i, 0, NULL, at};

		for (end = i + 1; end < count; end++)
		{
			if (memcmp(columns, &present[(Size) end * natts],
					   natts * sizeof(bool)) != 0)
				break;
		}
		rows.count = end - i;
		written += run(table, &rows, columns);
	}
	pfree(present);
	return written;
}

int64
ke_sink_insert_write(KeSinkTable *table, KeMessage **msgs, int count,
					 volatile int *at)
{
	KeSinkRows	rows = {table, msgs, 0, count, NULL, at};

	if (!table->takes_defaults || !ke_sink_table_may_insert(table))
		return write_by_columns(table, msgs, count, at);
	return run(table, &rows, NULL);
}
