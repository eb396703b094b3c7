/*
 * sink_change.c
 *	  Statements for change events that do not tell all of a row: updates of
 *	  some columns, new keys.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"

#include "sink/sink_change.h"
#include "sink/sink_insert.h"
#include "sink/sink_match.h"
#include "sink/sink_partial.h"

static const char *
only(const KeSinkTable *table)
{
	return table->relkind == RELKIND_RELATION ? "ONLY " : "";
}

/* All columns but these. */
static char *
update_sql(KeSinkTable *table, const bool *keeps)
{
	StringInfoData sql;
	const char *separator = "";

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s%s t SET ", only(table),
					 ke_sink_insert_name(table));
	for (int i = 0; i < table->row_desc->natts; i++)
	{
		int			attribute = table->row_attributes[i];
		const char *name = quote_identifier(table->columns[attribute].name);

		if (keeps[attribute])
			continue;
		appendStringInfo(&sql, "%s%s = m.%s", separator, name, name);
		separator = ", ";
	}
	appendStringInfo(&sql, " FROM %s m WHERE ",
					 quote_identifier(KE_SINK_ROWS));
	ke_sink_match_key(&sql, table);
	ke_sink_match_newer(&sql, table, " AND ", "m");
	return sql.data;
}

static char *
missing_sql(KeSinkTable *table)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT FROM %s m WHERE NOT EXISTS (SELECT FROM %s%s t WHERE ",
					 quote_identifier(KE_SINK_ROWS), only(table),
					 ke_sink_insert_name(table));
	ke_sink_match_key(&sql, table);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* Another partition may hold the message that brings the row to its key. */
void
ke_sink_change_refuse_missing(const KeSinkTable *table, const KeSinkRow *row)
{
	int			attribute = 0;

	while (!row->keeps[attribute])
		attribute++;
	ereport(ERROR,
			(errcode(row->moved ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
					 : ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("change event lacks the value of column \"%s\", which an update left in TOAST, and there is no row that has it",
					table->columns[attribute].name),
			 errhint("Rows that came before are needed: have the connector make a snapshot, or set REPLICA IDENTITY FULL for the table at the source.")));
}

int64
ke_sink_change_update(KeSinkTable *table, KeSinkRows *rows)
{
	int64		updated = ke_sink_partial_run(table, rows,
								  update_sql(table, rows->made[0]->keeps));

	if (updated < rows->count &&
		ke_sink_partial_run(table, rows, missing_sql(table)) > 0)
	{
		if (rows->count == 1)
			*rows->at = rows->made[0]->message;
		ke_sink_change_refuse_missing(table, rows->made[0]);
	}
	return updated;
}

/* "column = $n" for each column of the key, and so on. */
static void
append_key(StringInfo sql, KeSinkTable *table, const char *prefix, int first,
		   const char *separator)
{
	for (int i = 0; i < table->nkeys; i++)
	{
		const char *name = table->columns[table->keys[i] - 1].name;

		appendStringInfo(sql, "%s%s%s = $%d", i > 0 ? separator : "", prefix,
						 quote_identifier(name), first + i);
	}
}

static int64
run_with_keys(KeSinkTable *table, const KeSinkRow *row, char *sql, int nargs)
{
	Oid		   *types = palloc(nargs * sizeof(Oid));
	Datum	   *values = palloc(nargs * sizeof(Datum));
	SPIPlanPtr	plan;

	for (int i = 0; i < nargs; i++)
	{
		int			attribute = table->keys[i % table->nkeys] - 1;

		types[i] = TupleDescAttr(table->desc, attribute)->atttypid;
		values[i] = i < table->nkeys ? row->values[attribute]
			: row->new_key[attribute];
	}
	plan = SPI_prepare(sql, nargs, types);
	if (plan == NULL)
		elog(ERROR, "could not prepare a statement: %s",
			 SPI_result_code_string(SPI_result));
	ke_sink_insert_check_plan(table, plan);
	if (SPI_execute_plan(plan, values, NULL, false, 0) < 0)
		elog(ERROR, "could not write rows: %s",
			 SPI_result_code_string(SPI_result));
	return SPI_processed;
}

/* Where a row has the new key already, the old one is superseded by it. */
int64
ke_sink_change_move(KeSinkTable *table, const KeSinkRow *row,
					volatile int *at)
{
	const char *name = psprintf("%s%s", only(table),
								ke_sink_insert_name(table));
	StringInfoData sql;
	int64		processed;

	*at = row->message;
	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s t SET ", name);
	append_key(&sql, table, "", table->nkeys + 1, ", ");
	appendStringInfoString(&sql, " WHERE ");
	append_key(&sql, table, "t.", 1, " AND ");
	appendStringInfo(&sql, " AND NOT EXISTS (SELECT FROM %s o WHERE ", name);
	append_key(&sql, table, "o.", table->nkeys + 1, " AND ");
	appendStringInfoChar(&sql, ')');
	processed = run_with_keys(table, row, sql.data, 2 * table->nkeys);
	if (processed == 0)
	{
		resetStringInfo(&sql);
		appendStringInfo(&sql, "DELETE FROM %s t WHERE ", name);
		append_key(&sql, table, "t.", 1, " AND ");
		processed = run_with_keys(table, row, sql.data, table->nkeys);
	}
	SPI_finish();
	*at = -1;
	return processed;
}
