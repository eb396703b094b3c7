/*
 * dlq_reply.h
 *	  Messages, dead letters for the most part, and what became of them, as
 *	  bytes on their way from a task process to the session that asked.
 */
#ifndef KE_DLQ_REPLY_H
#define KE_DLQ_REPLY_H

#include "lib/stringinfo.h"

#include "core/message.h"

typedef enum KeDlqReplyKind
{
	KE_DLQ_REPLY_MESSAGE,		/* browsing: one of them */
	KE_DLQ_REPLY_NOTICE,		/* ... and what there is to say about them */
	KE_DLQ_REPLY_RESULT,		/* reprocessing: what became of one */
	KE_DLQ_REPLY_PROGRESS		/* ... and of all so far */
} KeDlqReplyKind;

typedef enum KeDlqReplyStatus
{
	KE_DLQ_REPLY_SENT,
	KE_DLQ_REPLY_DISCARDED,
	KE_DLQ_REPLY_FAILED,
	KE_DLQ_REPLY_ORPHAN			/* not of this database's history: left out */
} KeDlqReplyStatus;

typedef struct KeDlqReplyResult
{
	int32		partition;
	int64		offset;
	KeDlqReplyStatus status;
	const char *error;			/* NULL: none */
} KeDlqReplyResult;

typedef struct KeDlqReplyTotals
{
	int64		total;			/* looked at so far, of this service */
	int64		successful;
	int64		failed;
	int64		left;			/* still to be looked at, about */
	bool		final;			/* nothing comes after it */
} KeDlqReplyTotals;

extern const char *ke_dlq_reply_status_name(KeDlqReplyStatus status);

/* Each appends a whole reply, kind included. */
extern void ke_dlq_reply_put_message(StringInfo buf, KeMessage *msg);
extern void ke_dlq_reply_put_notice(StringInfo buf, const char *text);
extern void ke_dlq_reply_put_result(StringInfo buf,
									const KeDlqReplyResult *result);
extern void ke_dlq_reply_put_totals(StringInfo buf,
									const KeDlqReplyTotals *totals);

/*
 * The kind first, then what it says there is.  What is got refers to buf; a
 * message need not be released.  Headers live in the current context.
 */
extern KeDlqReplyKind ke_dlq_reply_get_kind(StringInfo buf);
extern void ke_dlq_reply_get_message(StringInfo buf, KeMessage *msg);
extern const char *ke_dlq_reply_get_notice(StringInfo buf);
extern void ke_dlq_reply_get_result(StringInfo buf, KeDlqReplyResult *result);
extern void ke_dlq_reply_get_totals(StringInfo buf, KeDlqReplyTotals *totals);

#endif							/* KE_DLQ_REPLY_H */
