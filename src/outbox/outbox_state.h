/*
 * outbox_state.h
 *	  How far each server's relay is: the rows of kafka_events.outbox_state.
 */
#ifndef KE_OUTBOX_STATE_H
#define KE_OUTBOX_STATE_H

#include "storage/itemptr.h"

#include "outbox/outbox_read.h"

typedef struct KeOutboxState
{
	int64		reader;			/* which reader wrote it */
	char	   *published;		/* snapshots; NULL: sees nothing */
	char	   *taken;
	int64		done_marker;	/* of the interval between these two */
	int64		done_id;
	int64		done_rows;
	int64		published_total;
	char	   *last_error;		/* or NULL */
	ItemPointerData tid;		/* where the row was; a hint */
} KeOutboxState;

/*
 * As of now, in the current context; false, and a state in which nothing has
 * been done, if there is none.  Looks first where tid says, if that is valid.
 */
extern bool ke_outbox_state_read(Oid server, KeOutboxState *state);

/*
 * Write it: over the row at state->tid, as ke_outbox_state_read found it, or
 * as a new one.  False if another process was faster.
 */
extern bool ke_outbox_state_write(Oid server, bool is_new,
								  KeOutboxState *state);

/* Forget what belongs to servers that are not in the list. */
extern void ke_outbox_state_keep_only(List *servers);

#endif							/* KE_OUTBOX_STATE_H */
