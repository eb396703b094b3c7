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

/* Note that it was seen.  False: it was seen before. */
extern bool ke_retry_dedup_note(const char *group_id, const char *copy_id,
								TimestampTz now);

/*
 * Forget at most max of those that are old enough.  True: there are more.
 */
extern bool ke_retry_dedup_forget(const char *group_id, TimestampTz now,
								  int max);

#endif							/* KE_RETRY_DEDUP_H */
