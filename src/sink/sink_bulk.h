/*
 * sink_bulk.h
 *	  The fast way of writing, for plain tables: rows are gathered and go into
 *	  the heap many at a time.
 */
#ifndef KE_SINK_BULK_H
#define KE_SINK_BULK_H

#include "sink/sink_table.h"

/*
 * True if the bulk way may serve this table now: it is on the closed list,
 * the current user may insert into all of it, and nobody else wants to check.
 */
extern bool ke_sink_bulk_can(const KeSinkTable *table);

/*
 * All messages, in order.  The caller holds the relation open and provides an
 * active snapshot; works in the current context, which is to be reset after.
 */
extern int64 ke_sink_bulk_write(KeSinkTable *table, Relation rel,
								KeMessage **msgs, int count,
								volatile int *at);

#endif							/* KE_SINK_BULK_H */
