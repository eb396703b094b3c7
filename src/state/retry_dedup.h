/*
 * retry_dedup.h
 *	  Retry copies that were seen before: the same one may come twice.
 *
 * Rows of kafka_events.copies; all functions need a transaction with an
 * active snapshot.  A copy that was sent twice (its sender crashed in
 * between) carries the same x-copy-id.
 */
#ifndef KE_RETRY_DEDUP_H
#define KE_RETRY_DEDUP_H

#include "datatype/timestamp.h"

/* Kept for so long: the time within which a copy may come again. */
#define KE_COPIES_DAYS 7

/* Dead letters lie longer before they are sent back. */
#define KE_RETURNED_DAYS 90

/* Of a key, with its NUL. */
#define KE_COPY_ID_LEN 101

/*
 * An x-copy-id as it is kept.  Ours are short; anybody's fit into an index,
 * and are text to PostgreSQL.
 */
extern const char *ke_retry_dedup_key(const char *copy_id);

/*
 * Note that it was seen, and where if that matters: place, or NULL.  False:
 * it was seen before.
 */
extern bool ke_retry_dedup_note(const char *group_id, const char *copy_id,
								const char *place, TimestampTz now);

/* Was it seen in another place than this one? */
extern bool ke_retry_dedup_is_elsewhere(const char *group_id,
										const char *copy_id,
										const char *place);

/*
 * Forget at most max of those that are old enough.  True: there are more.
 */
extern bool ke_retry_dedup_forget(const char *group_id, TimestampTz now,
								  int days, int max);

#endif							/* KE_RETRY_DEDUP_H */
