/*
 * sink_partial.c
 *	  Statements that find rows by the messages' primary keys: updates of some
 *	  columns only, and deletes.
 *
 * The update comes first, and locks what it finds.  What it has not found is
 * inserted; a row that somebody else inserts meanwhile is met by ON CONFLICT.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"

#include "sink/sink_insert.h"
#include "sink/sink_match.h"
#include "sink/sink_partial.h"

int64
ke_sink_partial_run(KeSinkTable *table, KeSinkRows *rows, const char *sql)
{
	SPIPlanPtr	plan;
	int64		processed;

	SPI_connect();
	ke_sink_rows_register(table, rows->count);
	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare a statement: %s",
			 SPI_result_code_string(SPI_result));
	ke_sink_insert_check_plan(table, plan);
	processed = ke_sink_rows_execute(rows, plan);
	SPI_finish();
	return processed;
}

/* UPDATE ... FROM the messages; NULL where no column but the key is there. */
static char *
update_sql(const KeSinkTable *table, const bool *present)
{
	StringInfoData sql;
	const char *separator = "";

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s%s t SET ",
					 table->relkind == RELKIND_RELATION ? "ONLY " : "",
					 ke_sink_insert_name(table));
	for (int i = 0; i < table->row_desc->natts; i++)
	{
		int			attribute = table->row_attributes[i];
		const char *name = quote_identifier(table->columns[attribute].name);

		if (!present[attribute] || ke_sink_table_is_key(table, attribute))
			continue;
		appendStringInfo(&sql, "%s%s = m.%s", separator, name, name);
		separator = ", ";
	}
	if (*separator == '\0')
		return NULL;
	appendStringInfo(&sql, " FROM %s m WHERE ",
					 quote_identifier(KE_SINK_ROWS));
	ke_sink_match_key(&sql, table);
	ke_sink_match_newer(&sql, table, " AND ", "m");
	return sql.data;
}

int64
ke_sink_partial_write(KeSinkTable *table, KeSinkRows *rows,
					  const bool *present)
{
	StringInfoData absent;
	char	   *update = update_sql(table, present);
	int64		written = 0;

	if (update != NULL)
		written = ke_sink_partial_run(table, rows, update);
	initStringInfo(&absent);
	appendStringInfo(&absent, " m WHERE NOT EXISTS (SELECT FROM %s%s t WHERE ",
					 table->relkind == RELKIND_RELATION ? "ONLY " : "",
					 ke_sink_insert_name(table));
	ke_sink_match_key(&absent, table);
	appendStringInfoChar(&absent, ')');
	return written +
		ke_sink_partial_run(table, rows,
							ke_sink_insert_sql(table, present, absent.data));
}
