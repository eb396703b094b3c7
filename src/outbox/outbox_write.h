/*
 * outbox_write.h
 *	  What is to be sent to Kafka, written beside the effects it belongs to.
 *
 * Any session of any role may append; what a transaction appended is
 * published if and only if it commits.  Tables kafka_events.outbox_a and
 * outbox_b take the rows, one of them at a time; outbox_read reads them.
 */
#ifndef KE_OUTBOX_WRITE_H
#define KE_OUTBOX_WRITE_H

#include "core/message.h"

typedef enum KeOutboxKind
{
	KE_OUTBOX_EVENT,			/* kafka_produce */
	KE_OUTBOX_RETRY,			/* a copy to a retry topic */
	KE_OUTBOX_DEAD				/* a dead letter */
} KeOutboxKind;

typedef struct KeOutboxRow
{
	KeOutboxKind kind;
	Oid			server;
	const char *topic;
	const char *source_topic;	/* of copies; else NULL */
	int32		partition;		/* -1: by key */
	const char *key;			/* NULL: no key */
	int32		key_len;
	const char *value;			/* NULL: a tombstone */
	int32		value_len;
	const KeHeader *headers;
	int			nheaders;
} KeOutboxRow;

/*
 * Append a row in the caller's transaction and return its id.  Wakes the
 * server's relay when the transaction commits.  Raises 25006 in a read-only
 * transaction.  Takes nothing over: the row's bytes are the caller's.
 */
extern int64 ke_outbox_append(const KeOutboxRow *row);

/* "event", "retry", "dead", as kafka_outbox_parked shows them. */
extern const char *ke_outbox_kind_name(KeOutboxKind kind);

#endif							/* KE_OUTBOX_WRITE_H */
