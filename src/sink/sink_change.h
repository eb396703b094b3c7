/*
 * sink_change.h
 *	  Statements for change events that do not tell all of a row: updates of
 *	  some columns, new keys.
 */
#ifndef KE_SINK_CHANGE_H
#define KE_SINK_CHANGE_H

#include "sink/sink_rows.h"

/*
 * Update all columns but those that the rows, which are made, keep: the same
 * for all of them.  Returns how many rows it wrote, as the next.  Raises as
 * the last function where there is no such row.
 */
extern int64 ke_sink_change_update(KeSinkTable *table, KeSinkRows *rows);

/* Give the row its new key, which consists of scalars of common types. */
extern int64 ke_sink_change_move(KeSinkTable *table, const KeSinkRow *row,
								 volatile int *at);

/* There is no row that has what this one is to keep. */
extern void ke_sink_change_refuse_missing(const KeSinkTable *table,
										  const KeSinkRow *row);

#endif							/* KE_SINK_CHANGE_H */
