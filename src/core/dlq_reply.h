/*
 * dlq_reply.h
 *	  Dead letters, and what became of them, as bytes on their way from a
 *	  task process to the session that asked.
 */
#ifndef KE_DLQ_REPLY_H
#define KE_DLQ_REPLY_H

#include "lib/stringinfo.h"

#include "core/message.h"

typedef enum KeLetterKind
{
	KE_LETTER_MESSAGE,			/* browsing: one of them */
	KE_LETTER_RESULT,			/* reprocessing: what became of one */
	KE_LETTER_PROGRESS			/* ... and of all so far */
} KeLetterKind;

typedef enum KeLetterStatus
{
	KE_LETTER_SENT,
	KE_LETTER_DISCARDED,
	KE_LETTER_FAILED
} KeLetterStatus;

typedef struct KeLetterResult
{
	int32		partition;
	int64		offset;
	KeLetterStatus status;
	const char *error;			/* NULL: none */
} KeLetterResult;

typedef struct KeLetterTotals
{
	int64		total;			/* looked at so far, of this service */
	int64		successful;
	int64		failed;
	int64		left;			/* still to be looked at, about */
	bool		final;			/* nothing comes after it */
} KeLetterTotals;

extern const char *ke_letter_status_name(KeLetterStatus status);

/* Each appends a whole reply, kind included. */
extern void ke_letter_put_message(StringInfo buf, KeMessage *msg);
extern void ke_letter_put_result(StringInfo buf,
								 const KeLetterResult *result);
extern void ke_letter_put_totals(StringInfo buf,
								 const KeLetterTotals *totals);

/*
 * The kind first, then what it says there is.  What is got refers to buf; a
 * message need not be released.  Headers live in the current context.
 */
extern KeLetterKind ke_letter_get_kind(StringInfo buf);
extern void ke_letter_get_message(StringInfo buf, KeMessage *msg);
extern void ke_letter_get_result(StringInfo buf, KeLetterResult *result);
extern void ke_letter_get_totals(StringInfo buf, KeLetterTotals *totals);

#endif							/* KE_DLQ_REPLY_H */
