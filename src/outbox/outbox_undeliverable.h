/*
 * outbox_undeliverable.h
 *	  Messages that no broker takes: the rows of kafka_events.outbox_parked.
 *
 * All functions need a transaction.
 */
#ifndef KE_OUTBOX_UNDELIVERABLE_H
#define KE_OUTBOX_UNDELIVERABLE_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"

/*
 * Park the row of the outbox in slot; quiet if it is parked already.  waits:
 * only until its topic is made.
 */
extern void ke_outbox_undeliverable_insert(TupleTableSlot *slot,
										   TimestampTz written_at,
										   const char *reason, bool waits);

/* Whose it is; InvalidOid if no such message is parked. */
extern Oid	ke_outbox_undeliverable_server(int64 id);

/*
 * Delete it; append: and put it back into the outbox first, returning its
 * new id.  Raises 40001 if another session is doing one of these.
 */
extern void ke_outbox_undeliverable_discard(int64 id);
extern int64 ke_outbox_undeliverable_retry(int64 id);

/* How many there are for a server. */
typedef struct KeOutboxUndeliverableCount
{
	int64		parked;
	int64		waiting;		/* for their topics; not in parked */
	TimestampTz oldest;			/* when that was written; 0: none waits */
} KeOutboxUndeliverableCount;

extern void ke_outbox_undeliverable_count(Oid server,
										  KeOutboxUndeliverableCount *count);

/* Forget those of servers that are not in the list. */
extern void ke_outbox_undeliverable_keep_only(List *servers);

#endif							/* KE_OUTBOX_UNDELIVERABLE_H */
