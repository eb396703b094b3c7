/*
 * sink.h
 *	  Writes messages into a subscription's target table.
 *
 * Two ways behind one interface: INSERT ... SELECT from a rowset of our own
 * works for every kind of relation and is the reference; the bulk way
 * (table_multi_insert) serves what a closed allow-list admits and is held to
 * the first by a differential test.
 */
#ifndef KE_SINK_H
#define KE_SINK_H

#include "core/message.h"
#include "db/catalog.h"

typedef struct KeSink KeSink;

/* Lives in parent; needs no transaction. */
extern KeSink *ke_sink_open(const KeSubscription *sub, MemoryContext parent);

/*
 * Write all messages, in order, inside the caller's transaction.  While it
 * runs, *at is the index of the message it is at, or -1 when an error could
 * not be ascribed to one.  Errors propagate.  Returns the number of rows
 * written (inserted, updated or deleted).
 */
extern int64 ke_sink_write(KeSink *sink, KeMessage **msgs, int count,
						   volatile int *at);

/* After the transaction ended, either way. */
extern void ke_sink_end(KeSink *sink);

extern void ke_sink_close(KeSink *sink);

/* For tests: never take the bulk way (GUC-less, set per sink). */
extern void ke_sink_use_reference(KeSink *sink, bool reference);

#endif							/* KE_SINK_H */
