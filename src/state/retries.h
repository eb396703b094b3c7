/*
 * retries.h
 *	  Messages that wait in the database to be run again.
 *
 * Rows of kafka_events.retries, read and written through the table access
 * method.  All functions need a transaction with an active snapshot.  A row's
 * key is where its message was read: in the ordered modes its source topic,
 * otherwise the retry topic.
 */
#ifndef KE_RETRIES_H
#define KE_RETRIES_H

#include "core/message.h"
#include "core/options.h"
#include "state/positions.h"

typedef struct KeRetry
{
	const char *topic;			/* where it was read: the key */
	int32		partition;
	int64		offset;
	const char *source;			/* its subscription's topic */
	KeOrdering	ordering;
	TimestampTz due_at;			/* DT_NOEND: after the one before it */
	TimestampTz written_at;		/* of a row that was read; 0: not known */
	int			tries;			/* announced starts: see retry_due.c */
	int			sqlstate;		/* of its last failure; 0: not known */
	KeMessage	msg;			/* as handlers see it, with its attempt */
	ItemPointerData tid;
} KeRetry;

/* What is kept in memory of the rows of a partition. */
typedef struct KeRetryEntry
{
	int64		offset;
	KeOrdering	ordering;
	TimestampTz due_at;
	uint64		chain;			/* see ke_retries_chain */
} KeRetryEntry;

/*
 * Who waits for whom: messages of the same chain run one after the other.
 * Two keys that fall into one chain by accident wait for each other, which
 * is slow for them and still in order.  A message without a key waits for
 * nobody but in mode partition.
 */
extern uint64 ke_retries_chain(KeOrdering ordering, const KeMessage *msg);

/*
 * Write a row, over one with the same key if there is any: a message that is
 * read again after a seek is parked anew.
 */
extern void ke_retries_put(const KePositionKey *key, const KeRetry *retry);

/*
 * Lock the row of (topic, partition, offset) and load the rest, into the
 * current context.  False if it is gone, or another transaction has it.
 */
extern bool ke_retries_lock(const KePositionKey *key, KeRetry *retry);

/* Of a row that is locked: forget it, or write what is in *retry now. */
extern void ke_retries_delete(const KeRetry *retry);
extern void ke_retries_update(const KePositionKey *key,
							  const KeRetry *retry);

/*
 * The keys of at most max rows of a subscription that are due, the longest
 * due first, as KeRetry * in the current context.  next: when the first of
 * the others is due; DT_NOEND: never.
 */
extern List *ke_retries_due(const KePositionKey *key, const char *source,
							TimestampTz now, int max, TimestampTz *next);

/*
 * Rows of a subscription that were written later than now: the clock was set
 * back since.  They wait from now on for as long as they were to wait then.
 */
extern void ke_retries_turn_back(const KePositionKey *key,
								 const char *source, TimestampTz now);

/*
 * All rows of a partition in offset order, as KeRetryEntry *; their due times
 * are corrected likewise.
 */
extern List *ke_retries_list(const KePositionKey *key, const char *topic,
							 int32 partition);

/* Has the group any row? */
extern bool ke_retries_exist(const KePositionKey *key);

/* How many rows a subscription has; counts no further than limit. */
extern int	ke_retries_count(const KePositionKey *key, const char *source,
							 int limit);

#endif							/* KE_RETRIES_H */
