/*
 * trace.h
 *	  The trace that a message belongs to, as the W3C's Trace Context has it.
 *
 * Header traceparent names it, header tracestate says more for those who
 * record it.  Of a header that is there several times the last one counts.
 * Producers may have written anything: what is not of the recommendation's
 * form names no trace.
 */
#ifndef KE_TRACE_H
#define KE_TRACE_H

#include "core/message.h"

#define KE_TRACE_PARENT "traceparent"
#define KE_TRACE_STATE "tracestate"

#define KE_TRACE_ID_LEN 32

typedef struct KeTrace
{
	char		id[KE_TRACE_ID_LEN + 1];	/* hexadecimal, in lower case */
	const KeHeader *parent;		/* among the headers that were read */
	const KeHeader *state;		/* likewise; NULL: none that may go on */
} KeTrace;

/* False: the headers name no trace. */
extern bool ke_trace_read(const KeHeader *headers, int count, KeTrace *trace);

/*
 * ", trace ID" for a line about whatever has these headers, or nothing; in
 * the current context.
 */
extern char *ke_trace_mention(const KeHeader *headers, int count);

#endif							/* KE_TRACE_H */
