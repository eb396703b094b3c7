/*
 * outbox_read.h
 *	  The outbox as the relay reads it: in the order of publication, once.
 *
 * The relay works in intervals.  An interval is everything that became
 * visible between two snapshots; its transactions come in the order of their
 * markers (written at commit), each one's rows in the order they were
 * appended.  A reader remembers between transactions how far it is:
 *
 *	  take		begin a transaction; ke_outbox_read_take(); commit it durably
 *				if there was something, else just commit.  Only then
 *	  read		in transactions of any size, ke_outbox_read() until it says
 *				that the interval has been read,
 *	  done		as acknowledgements come, ke_outbox_read_done() says up to
 *				where everything is acknowledged or parked (no transaction
 *				needed),
 *	  save		and now and then ke_outbox_read_save() in a transaction stores
 *				that, so that less is sent again after a crash;
 *	  finish	when everything is: ke_outbox_read_finish(), and take again.
 *
 * A transaction of these that fails loses nothing but what it would have
 * stored: take, or save, is called again.  After a restart the first take
 * goes on in the interval that was taken, behind what was saved as done.
 *
 * Memory: a reader knows 40 bytes for each of the next transactions of its
 * interval, at most 20 MB in all, and no rows.
 *
 * One reader per server at a time, in a process that may stay: if another
 * process has made one since, take, read, save and park raise
 * ERRCODE_OBJECT_IN_USE, and the process should end.
 */
#ifndef KE_OUTBOX_READ_H
#define KE_OUTBOX_READ_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "outbox/outbox_write.h"

typedef struct KeOutboxReader KeOutboxReader;

/*
 * Where a row is, in the order of publication (compare marker, then id) and
 * in the tables.
 */
typedef struct KeOutboxMark
{
	int64		marker;			/* of the transaction */
	int64		id;				/* of the row */
	uint64		xid;
	TimestampTz written_at;		/* when the transaction was to commit */
	int			table;
} KeOutboxMark;

typedef struct KeOutboxEntry
{
	KeOutboxRow row;
	KeOutboxMark mark;

	/*
	 * The value for header x-message-id, which the sender adds; NULL if the
	 * row has that header or is no event.
	 */
	const char *message_id;
} KeOutboxEntry;

/*
 * A reader of the server's outbox, in a context of its own below parent; it
 * does not look at anything yet.
 */
extern KeOutboxReader *ke_outbox_read_make(Oid server,
										   MemoryContext parent);

/*
 * Begin the next interval (or, first, the one a former process left behind).
 * Needs a transaction.  Returns false if there is nothing to publish, and
 * then, unless something was done or failed since, has written nothing.
 * Returning true, it has written: ke_xact_require_durable, so that nothing is
 * published that a crash could take back.  Must not be called while an
 * interval is open, except after its own transaction failed.
 */
extern bool ke_outbox_read_take(KeOutboxReader *reader);

/*
 * Show rows to visit(), from where the last call ended, until it returns
 * false (that row was not taken, and is the first one next time) or the
 * interval ends: then returns true.  Needs a transaction.  An entry lives
 * while it is visited: what visit() allocates in the current context goes
 * with it.
 */
typedef bool (*KeOutboxVisit) (const KeOutboxEntry *entry, void *argument);

extern bool ke_outbox_read(KeOutboxReader *reader, KeOutboxVisit visit,
						   void *argument);

/*
 * Show one row of the interval again, for it to be sent alone; where reading
 * goes on stays as it is.  False if visit() returned that.
 */
extern bool ke_outbox_read_show(KeOutboxReader *reader,
								const KeOutboxMark *mark,
								KeOutboxVisit visit, void *argument);

/* Read again from behind what is done: everything not done is to be resent. */
extern void ke_outbox_read_rewind(KeOutboxReader *reader);

/*
 * Everything up to mark is acknowledged or parked, rows rows of it since the
 * last call, published of which were acknowledged.
 */
extern void ke_outbox_read_done(KeOutboxReader *reader,
								const KeOutboxMark *mark,
								int64 rows, int64 published);

/* The whole interval is. */
extern void ke_outbox_read_finish(KeOutboxReader *reader);

/* What keeps it from publishing, without payload; NULL: nothing. */
extern void ke_outbox_read_set_error(KeOutboxReader *reader, const char *text);

/* Is there anything that ke_outbox_read_save would write? */
extern bool ke_outbox_read_is_unsaved(const KeOutboxReader *reader);

/*
 * Store what is done and the error.  Needs a transaction; if that fails,
 * save again whatever ke_outbox_read_is_unsaved says.
 */
extern void ke_outbox_read_save(KeOutboxReader *reader);

/*
 * Move a row that no broker will ever take to kafka_events.outbox_parked,
 * where users see it; or one that waits for its topic to be made, which is
 * still pending.  Needs a transaction; when that has committed, the row
 * counts as done (ke_outbox_read_done, not published).
 */
extern void ke_outbox_read_set_aside(KeOutboxReader *reader,
									 const KeOutboxMark *mark,
									 const char *reason, bool waits);

/*
 * Copies that wait for their topics: the topics, each once, as a list of
 * KeOutboxWaiting * in context; and putting those of one back into the
 * outbox, behind everything that is there.  Both need a transaction.
 */
typedef struct KeOutboxWaiting
{
	char	   *topic;
	char	   *source_topic;
	KeOutboxKind kind;
} KeOutboxWaiting;

extern List *ke_outbox_undeliverable_waiting(Oid server,
											 MemoryContext context);
extern void ke_outbox_undeliverable_resume(Oid server, const char *topic);

/*
 * Let the tables be used in turn, and empty those in which everything is
 * published.  Needs a transaction, in which nothing else is done; never
 * waits for a lock.  idle: nothing is left to publish, so that now and then
 * even a small table is emptied.  Cheap, but not for every interval: call it
 * every 10 s.
 */
extern void ke_outbox_tidy(bool idle);

/*
 * This database starts anew: what the one it is a copy of had not published
 * is that one's to publish.  Needs a transaction.
 */
extern void ke_outbox_tidy_forget_foreign(void);

/*
 * Is there anything for this server that is not published, prepared
 * transactions included?
 */
extern bool ke_outbox_tidy_has_pending(Oid server);

typedef struct KeOutboxStatus
{
	int64		pending;		/* rows of committed transactions */
	TimestampTz oldest;			/* when the first of them committed; 0: none */
	int64		published;
	int64		parked;			/* rows in outbox_parked that do not wait */
	char	   *last_error;		/* or NULL */
} KeOutboxStatus;

/* As of now; takes time with the number of pending transactions. */
extern void ke_outbox_tidy_status(Oid server, KeOutboxStatus *status);

#endif							/* KE_OUTBOX_READ_H */
