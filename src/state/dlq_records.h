/*
 * dlq_records.h
 *	  What Kafka alone cannot remember about dead letters.
 *
 * The admin group's position in a DLQ topic is Kafka's: it moves in the
 * transaction of the sends.  kafka_events.dlq_positions mirrors it, since
 * Kafka forgets positions of groups without members.  A position also cannot
 * say that a letter behind it is still pending (it failed), or that one ahead
 * of it was moved already (alone): those are in kafka_events.dlq_letters.
 *
 * All functions need a transaction.
 */
#ifndef KE_DLQ_RECORDS_H
#define KE_DLQ_RECORDS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "state/positions.h"

typedef struct KeDlqPosition
{
	char	   *topic;
	int32		partition;
	int64		next;			/* the first letter not looked at yet */
	bool		in_motion;		/* a run has not said that it has ended */
	TimestampTz written_at;
} KeDlqPosition;

typedef struct KeDlqLetter
{
	int32		partition;
	int64		offset;
	bool		moved;			/* else it failed, and is pending */

	/*
	 * The number of the Kafka transaction that turns this row into its
	 * opposite (pending into gone, unknown into moved), if that has
	 * committed; 0: none is under way.
	 */
	int64		marker;
} KeDlqLetter;

/* Of one topic, or of all the group's if topic is NULL; in key order. */
extern List *ke_dlq_records_positions(const KePositionKey *key,
									  const char *topic);
extern void ke_dlq_records_position_write(const KePositionKey *key,
										  const KeDlqPosition *position);

/*
 * Topics whose position is to be looked after: a run has not come to its end,
 * or Kafka might forget it.
 */
extern List *ke_dlq_records_due_topics(const KePositionKey *key);

/* In the order of partitions and offsets. */
extern List *ke_dlq_records_letters(const KePositionKey *key,
									const char *topic);

/* Insert or replace; error: why it failed, or NULL. */
extern void ke_dlq_records_letter_write(const KePositionKey *key,
										const char *topic,
										const KeDlqLetter *letter,
										const char *error);
extern void ke_dlq_records_letter_remove(const KePositionKey *key,
										 const char *topic,
										 int32 partition, int64 offset);

/* Forget everything: kafka_identity_confirm('new'). */
extern void ke_dlq_records_clear(void);

#endif							/* KE_DLQ_RECORDS_H */
