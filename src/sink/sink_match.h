/*
 * sink_match.h
 *	  How a message's row and the target's are compared, in SQL.
 */
#ifndef KE_SINK_MATCH_H
#define KE_SINK_MATCH_H

#include "lib/stringinfo.h"

#include "sink/sink_table.h"

/* Append that the keys of t, the target, and m, the messages, are equal. */
extern void ke_sink_match_key(StringInfo sql,
							  const KeSinkTable *table);

/*
 * Append that the row of new (a name of a relation in SQL) may overwrite t:
 * what option update_if says.  Nothing without it; prefix comes first.
 */
extern void ke_sink_match_newer(StringInfo sql,
								const KeSinkTable *table,
								const char *prefix, const char *new);

#endif							/* KE_SINK_MATCH_H */
