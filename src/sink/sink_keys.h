/*
 * sink_keys.h
 *	  Writing with on_conflict update: one row per key, and tombstones.
 */
#ifndef KE_SINK_KEYS_H
#define KE_SINK_KEYS_H

#include "sink/sink_table.h"

/* What messages do to rows, before it is done. */
typedef struct KeSinkKeys KeSinkKeys;

/*
 * Read all messages, and lock nothing; works in the current context, which is
 * to be reset after the write.
 */
extern KeSinkKeys *ke_sink_keys_make(KeSinkTable *table, Relation rel,
									 KeMessage **msgs, int count,
									 volatile int *at);

/* Are many rows written again by later messages, in the order of the keys? */
extern bool ke_sink_keys_repeat(const KeSinkKeys *keys);

extern int64 ke_sink_keys_write(KeSinkKeys *keys, volatile int *at);

/*
 * Does the message's key say by itself which row the message writes?  Raises
 * for messages that could not be written, and for keys that are none of the
 * table; *tells is false after these.
 */
extern void ke_sink_keys_tell_row(KeSinkTable *table, KeMessage *msg,
								  volatile bool *tells);

#endif							/* KE_SINK_KEYS_H */
