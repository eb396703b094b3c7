/*
 * dlq_pending.h
 *	  How many letters of a DLQ topic's partition are pending.
 *
 * Pure arithmetic over what Kafka and state/dlq_records have on record.
 */
#ifndef KE_DLQ_PENDING_H
#define KE_DLQ_PENDING_H

#include "state/dlq_records.h"

/* What Kafka says of a partition. */
typedef struct KeDlqRange
{
	int32		partition;
	int64		low;			/* the first letter there is */
	int64		high;			/* behind the last one */
	int64		committed;		/* admin group position; negative: none */
} KeDlqRange;

/* mirror: of KeDlqPosition; letters: of KeDlqLetter; of the topic. */
extern int64 ke_dlq_pending_in_range(const KeDlqRange *range,
									 const List *mirror,
									 const List *letters);

#endif							/* KE_DLQ_PENDING_H */
