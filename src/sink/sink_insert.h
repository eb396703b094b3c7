/*
 * sink_insert.h
 *	  The way of writing that works for every kind of relation, and that the
 *	  others are compared with: INSERT ... SELECT from the messages.
 */
#ifndef KE_SINK_INSERT_H
#define KE_SINK_INSERT_H

#include "sink/sink_rows.h"

/* All messages, in order; for on_conflict error and ignore. */
extern int64 ke_sink_insert_write(KeSinkTable *table, KeMessage **msgs,
								  int count, volatile int *at);

/* Rows made before, all columns of each. */
extern int64 ke_sink_insert_rows(KeSinkTable *table, KeSinkRows *rows);

/*
 * The INSERT of what source (SQL behind the name of the messages' relation)
 * leaves of them, which on conflict updates the columns of the set.
 */
extern char *ke_sink_insert_sql(const KeSinkTable *table, const bool *set,
								const char *source);

/* The table's name in SQL, quoted and qualified. */
extern char *ke_sink_insert_name(const KeSinkTable *table);

/* What a statement may touch: refused where a superuser must not write. */
extern void ke_sink_insert_check_plan(const KeSinkTable *table,
									  SPIPlanPtr plan);

#endif							/* KE_SINK_INSERT_H */
