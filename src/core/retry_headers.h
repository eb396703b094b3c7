/*
 * retry_headers.h
 *	  The headers of retry copies and dead letters: written and read.
 *
 * A copy carries its message's own headers unchanged and in their order,
 * then ours, of which none is there twice.  On both: x-message-id,
 * x-original-topic, -partition, -offset, -timestamp, -timestamp-type,
 * x-service, x-copy-id, and x-copy-history, which the relay adds as it sends
 * (see core/copy_history.h).  On a retry copy: x-retry-attempt, x-retry-delay,
 * x-retry-at.  On a dead letter: x-retry-attempts, x-dlq-reason,
 * x-dlq-timestamp, x-dlq-sqlstate, x-dlq-handler.
 *
 * What is read may have been written by anybody.
 */
#ifndef KE_RETRY_HEADERS_H
#define KE_RETRY_HEADERS_H

#include "core/copy_history.h"
#include "core/message.h"

/* Of a header that is text, in bytes. */
#define KE_RETRY_HEADERS_TEXT_MAX 1024

/* Where a message came from and what it went through; all in UTF-8. */
typedef struct KeOrigin
{
	const char *message_id;		/* of any bytes; NUL follows them */
	int32		message_id_len;
	const char *original_topic; /* NULL: not known */
	int32		original_partition; /* -1: not known, so for the next two */
	int64		original_offset;
	int64		original_timestamp;
	const char *original_timestamp_type;	/* NULL: not known */
	const char *service;		/* NULL: the copy does not say */
	const char *copy_id;		/* NULL: likewise */
	const char *history;		/* to be kept; NULL: its sender adds it */
	int			attempt;		/* retries so far, this one included */
	int64		due_ms;			/* since 1970; 0: at once */
	int64		delay_ms;		/* that it was to wait; -1: not known */
} KeOrigin;

typedef enum KeCopyOwner
{
	KE_COPY_FOREIGN,			/* another service's: leave it alone */
	KE_COPY_OURS,
	KE_COPY_INVALID				/* ours, but cannot be run */
} KeCopyOwner;

/*
 * Read the headers of a message of a retry topic.  The origin is filled as
 * far as they go, in the current context.  max_attempt is the most that the
 * subscription's max_retries allows.  Copies without x-service are an older
 * system's, and ours.  With INVALID, *problem says why, without payload.
 */
extern KeCopyOwner ke_retry_headers_read(KeMessage *msg, const char *service,
										 int max_attempt, KeOrigin *origin,
										 const char **problem);

/*
 * The origin of a message as it is read from its source topic; its texts are
 * those of msg, or in the current context.  An
 * x-message-id that it has is kept, everything else set.
 */
extern void ke_retry_headers_read_source(KeMessage *msg, KeOrigin *origin);

/* The x-message-id it has, of any bytes; else one made of the origin. */
extern void ke_retry_headers_read_message_id(KeMessage *msg,
											 KeOrigin *origin);

/* The history that a copy belongs to; false if it does not say. */
extern bool ke_retry_headers_read_history(KeMessage *msg,
										  KeCopyHistory *history);

/* A new x-copy-id, in the current context. */
extern char *ke_retry_headers_make_copy_id(void);

/*
 * The headers of a retry copy; origin has its service, copy_id, attempt and
 * due_ms.  They refer to msg and origin, and live in the current context.
 */
extern KeHeader *ke_retry_headers_of_retry(KeMessage *msg,
										   const KeOrigin *origin,
										   int64 delay_ms, int *count);

/* Why and when a message became a dead letter, and whose. */
typedef struct KeDeadLetterCause
{
	const char *reason;			/* primary message, in the server's encoding */
	int			sqlstate;
	const char *handler;		/* or table, in the server's encoding */
	int64		time_ms;		/* since 1970 */
} KeDeadLetterCause;

/*
 * The headers of a dead letter; origin has its service, copy_id, and as
 * attempt the retries that were made.  Needs a transaction unless the
 * database's encoding is UTF-8.
 */
extern KeHeader *ke_retry_headers_of_dead(KeMessage *msg,
										  const KeOrigin *origin,
										  const KeDeadLetterCause *cause,
										  int *count);

/* What a dead letter says about itself; each part may be missing. */
typedef struct KeDeadLetter
{
	KeOrigin	origin;			/* its original_*, service and message_id */
	const char *reason;			/* in UTF-8, as the next; NULL: not known */
	const char *sqlstate;
	int			attempts;		/* -1: not known, so for the next */
	int64		time_ms;
} KeDeadLetter;

/*
 * Read our headers of it; what cannot be used counts as missing.  The history
 * is that of the dead letter.  See core/dead_letter for those of others.
 */
extern void ke_retry_headers_read_dead(KeMessage *msg, KeDeadLetter *letter);

/* Milliseconds since 1970 as 2026-01-02T03:04:05.678Z. */
extern char *ke_retry_headers_show_time(int64 ms);

#endif							/* KE_RETRY_HEADERS_H */
