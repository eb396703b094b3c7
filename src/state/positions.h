/*
 * positions.h
 *	  Where each partition goes on: the fence of exactly once.
 *
 * Rows of kafka_events.positions, read and written through the table access
 * method, never through SQL text: no setting, search path or privilege of the
 * session can touch them.  All functions need a transaction with an active
 * snapshot; several rows are taken in key order (topic, partition).
 */
#ifndef KE_POSITIONS_H
#define KE_POSITIONS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"

#define KE_OFFSET_NONE ((int64) -1)	/* a NULL offset */

typedef struct KePosition
{
	const char *topic;			/* the caller's memory */
	int32		partition;
	int64		next;			/* first offset without an effect */
	int64		epoch;
	int32		unclean;		/* claims since the last batch or release */
	int64		trying;			/* or KE_OFFSET_NONE, so for the next two */
	int64		committed;
	int64		last_offset;
	int64		last_timestamp;
	int32		last_crc;
	ItemPointerData tid;		/* where the row was; a hint */
} KePosition;

/* How often a message may end its process before it is given up. */
#define KE_POSITIONS_TRIES 3

typedef struct KePositionKey
{
	const char *cluster_id;
	const char *group_id;
} KePositionKey;

/* The row as this snapshot sees it; false if there is none. */
extern bool ke_positions_read(const KePositionKey *key, KePosition *pos);

/*
 * Take the partition over: epoch + 1, and unclean + 1 if it counts, as it
 * does unless this process had it and has not ended meanwhile.  Waits for the
 * former owner's open transaction, at most lock_timeout_ms, then raises
 * 55P03.  Returns false if there is no row.
 */
extern bool ke_positions_claim(const KePositionKey *key, KePosition *pos,
							   bool counts, int lock_timeout_ms);

/* First row of a partition: next, owner_epoch 1, unclean 1. */
extern void ke_positions_insert(const KePositionKey *key, KePosition *pos);

/*
 * Compare-and-set, several rows in key order: where the row still has
 * olds[i]'s next and epoch, newer[i] is written (next, unclean, trying,
 * committed, last_*), its tid updated.  Returns how many were written; less
 * than count means that the row at that index is somebody else's now and
 * the transaction must be rolled back.
 */
extern int	ke_positions_advance(const KePositionKey *key,
								 KePosition *const *olds, KePosition *newer,
								 int count);

/*
 * Record what runs alone next (careful mode); false if not ours any more.  If
 * it is another message than before, only the last two claims count against
 * it: the process did not end because of it then.
 */
extern bool ke_positions_try(const KePositionKey *key, KePosition *pos,
							 int64 offset);

/*
 * What ke_positions_try announced has run and stays: trying is cleared, and
 * the ends of the process before count no more; quiet if not ours.
 */
extern void ke_positions_survived(const KePositionKey *key, KePosition *pos);

/*
 * Has the message at trying ended its process so often that nobody is to run
 * it again?  So it stays, whoever claims the partition, until somebody
 * forgives or moves it.
 */
extern bool ke_positions_is_given_up(const KePosition *pos);

/*
 * Give it back cleanly: unclean 0, committed stored; quiet if not ours.  What
 * is given up stays as it is.
 */
extern void ke_positions_release(const KePositionKey *key,
								 const KePosition *pos);

/*
 * Move from outside (kafka_consumer_seek, an adopted reset): next is set,
 * epoch + 1 so that a running owner gives up, unclean and trying cleared,
 * the fingerprint forgotten.  Makes the row if there is none.
 */
extern void ke_positions_move(const KePositionKey *key, const char *topic,
							  int32 partition, int64 next, int64 *old);

/*
 * Try all partitions of a topic again that stopped: unclean 0, and epoch + 1
 * so that a running owner looks again.
 */
extern void ke_positions_forgive(const KePositionKey *key, const char *topic);

/* All rows of a group and topic, as KePosition *, by partition. */
extern List *ke_positions_list(const KePositionKey *key, const char *topic);

/* Forget all rows, and parked messages: kafka_identity_confirm('new'). */
extern void ke_positions_clear(void);

/* kafka_events.starts: subscriptions whose 'latest' is not resolved yet. */
extern bool ke_positions_start_pending(const char *group_id,
									   const char *topic,
									   TimestampTz *requested_at);
extern void ke_positions_start_request(const char *group_id,
									   const char *topic, TimestampTz at);
extern void ke_positions_start_done(const char *group_id, const char *topic);

#endif							/* KE_POSITIONS_H */
