/*
 * sink.h
 *	  Writes messages into a subscription's target table.
 *
 * Two ways behind one interface: INSERT ... SELECT from a rowset of our own
 * works for every kind of relation and is the reference; the bulk way
 * (table_multi_insert) serves what a closed allow-list admits and is held to
 * the first by a differential test.
 *
 * Everything happens in the caller's transaction, as the current user,
 * without subtransactions.  A column that the message has no value for gets
 * its default.  On conflict with the primary key the write fails, skips the
 * message, or (update) makes of the row what inserting the message would have
 * made: fields that it has not become their default, so the result does not
 * depend on what came before, on batches or on compaction.  Only columns that
 * PostgreSQL alone writes (generated, identity always) stay.
 *
 * A message without a value is refused (22004) in row format fields, stored
 * in envelope, and deletes the row of its key with update, unless the primary
 * key contains the message's own offset or timestamp.  Key columns that are
 * metadata come from the message itself; a single other one from the message
 * key, as text or as a JSON object with that field, several from a JSON
 * object.
 */
#ifndef KE_SINK_H
#define KE_SINK_H

#include "convert/unmatched.h"
#include "core/message.h"
#include "subscription/catalog.h"

typedef struct KeSink KeSink;

/*
 * Lives in parent, and ends with it at the latest; needs no transaction.  It
 * refers to sub.
 */
extern KeSink *ke_sink_open(const KeSubscription *sub, MemoryContext parent);

/*
 * Write all messages, in order, inside the caller's transaction, which has an
 * active snapshot.  While it runs, *at is the index of the message it is at,
 * or -1 when an error could not be ascribed to one.  That message would fail
 * alone too, after those before it; one before it may fail first then.
 *
 * Errors propagate: data exceptions with column_name, those of PostgreSQL's
 * own INSERT, 42P01 for a dropped table, 42P16 for a conflict mode without a
 * primary key, 42501 for a superuser and somebody else's table, 428C9 for a
 * field that goes to a generated column.
 *
 * Returns the number of rows written (inserted, updated or deleted).
 */
extern int64 ke_sink_write(KeSink *sink, KeMessage **msgs, int count,
						   volatile int *at);

/*
 * To be called in each write, once all messages are read and before a row is
 * locked.  repeats: many of the messages write a row that another one of them
 * writes, too.  NULL: nothing is called.
 */
typedef void (*KeSinkGate) (void *argument, bool repeats);

extern void ke_sink_set_gate(KeSink *sink, KeSinkGate gate, void *argument);

/* Of the last write, the messages that are about no row. */
extern int	ke_sink_skipped(const KeSink *sink);

/*
 * In a transaction likewise: with on_conflict update, does the message's key
 * say by itself which row the message writes?  Where it does not, messages
 * of the same row may have different keys.  Raises as writing it would, or
 * deleting the row of its key would; *tells is false only if it is known.
 */
extern void ke_sink_key_tells_row(KeSink *sink, KeMessage *msg,
								  volatile bool *tells);

/*
 * Messages written that had a field for no column, since the caller last
 * reset it; no row format but fields counts any.
 */
extern KeUnmatched *ke_sink_unmatched(KeSink *sink);

/* Messages that NULs were taken out of, since the caller last set it to 0. */
extern int64 *ke_sink_stripped(KeSink *sink);

/* Is what it knows of its table up to date?  Then it was opened before. */
extern bool ke_sink_is_current(const KeSink *sink);

/*
 * In a transaction: can nothing that runs when a row is written (triggers,
 * foreign keys, defaults) look at other tables?  Raises as writing does.
 */
extern bool ke_sink_minds_itself(KeSink *sink);

/* After the transaction ended, either way. */
extern void ke_sink_end(KeSink *sink);

extern void ke_sink_close(KeSink *sink);

/* For tests: never take the bulk way; did the last write take it? */
extern void ke_sink_use_reference(KeSink *sink, bool reference);
extern bool ke_sink_was_bulk(const KeSink *sink);

#endif							/* KE_SINK_H */
