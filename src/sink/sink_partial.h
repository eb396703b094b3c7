/*
 * sink_partial.h
 *	  Statements that find rows by the messages' primary keys: updates of some
 *	  columns only, and deletes.
 */
#ifndef KE_SINK_PARTIAL_H
#define KE_SINK_PARTIAL_H

#include "sink/sink_rows.h"

/*
 * Give the rows that are there the columns that are present, and insert the
 * others, in which absent columns are as made.  A row that is there need not
 * be complete in the message, as it would have to be for INSERT ... ON
 * CONFLICT.
 */
extern int64 ke_sink_partial_write(KeSinkTable *table, KeSinkRows *rows,
								   const bool *present);

/*
 * Run a statement that joins the target with the messages.  It is planned each
 * time: how large the table is decides whether the key's index is used, and a
 * young table grows faster than its statistics.
 */
extern int64 ke_sink_partial_run(KeSinkTable *table, KeSinkRows *rows,
								 const char *sql);

#endif							/* KE_SINK_PARTIAL_H */
