/*
 * relay_window.h
 *	  The rows of the outbox that a relay has read and not yet done with, in
 *	  the order of publication.
 *
 * Rows enter at the tail and leave at the head.  Each has a number, counted
 * from the first row this process read, which is also what the producer's
 * reports call it.  The bytes the producer works with are the rows' own.
 */
#ifndef KE_RELAY_WINDOW_H
#define KE_RELAY_WINDOW_H

#include "kafka/producer.h"
#include "outbox/outbox_read.h"

typedef enum KeRowState
{
	KE_ROW_WAITING,				/* to be sent */
	KE_ROW_SUSPECT,				/* its batch was refused: to be sent alone */
	KE_ROW_SENT,				/* a report will come */
	KE_ROW_HOPELESS,			/* to be parked: reason */
	KE_ROW_PUBLISHED,
	KE_ROW_PARKED
} KeRowState;

typedef struct KeRelayRow
{
	KeOutboxMark mark;
	KeOutboxKind kind;
	const char *source_topic;	/* or NULL */
	KeRecord	record;
	KeRowState	state;
	bool		alone;			/* SENT: nothing else is under way */
	bool		topic_is_absent;	/* HOPELESS only until its topic is made */
	char	   *reason;			/* HOPELESS; in the window's context */
	Size		size;
} KeRelayRow;

typedef struct KeRelayWindow
{
	MemoryContext context;
	KeRelayRow **rows;			/* a ring */
	uint64		head;			/* number of the oldest row */
	uint64		tail;			/* of the next one to come */
	Size		bytes;
} KeRelayWindow;

extern void ke_relay_window_init(KeRelayWindow *window, MemoryContext parent);

/*
 * Take a copy of the entry in; false if it has to wait for room.  history: for
 * the header of copies that are to be sent.
 */
extern bool ke_relay_window_push(KeRelayWindow *window,
								 const KeOutboxEntry *entry,
								 const char *history);

/* Worth a transaction that reads more. */
extern bool ke_relay_window_is_low(const KeRelayWindow *window);

extern KeRelayRow *ke_relay_window_row(const KeRelayWindow *window,
									   uint64 number);

/*
 * Let go of the rows at the head that nothing is to be done about any more:
 * how many, how many of them published, and where the last one was.
 */
extern int64 ke_relay_window_retire(KeRelayWindow *window, int64 *published,
									KeOutboxMark *last);

#endif							/* KE_RELAY_WINDOW_H */
