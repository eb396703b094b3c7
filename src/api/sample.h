/*
 * sample.h
 *	  Samples of metrics: as lines of Prometheus' text format, or as rows.
 */
#ifndef KE_SAMPLE_H
#define KE_SAMPLE_H

#include "fmgr.h"
#include "lib/stringinfo.h"

/* Where samples go: one of the two is set. */
typedef struct KeSampleOutput
{
	StringInfo	text;
	FunctionCallInfo rows;		/* after InitMaterializedSRF */
} KeSampleOutput;

/* NULL, and a negative partition: the sample has no such label. */
typedef struct KeSampleLabels
{
	const char *server;
	const char *topic;
	const char *role;
	int			partition;
	const char *le;				/* the upper bound of a histogram's bucket */
} KeSampleLabels;

/*
 * What the samples that follow have in common; names come without the prefix
 * that all have.  Type is counter, gauge or histogram.
 */
extern void ke_sample_family(KeSampleOutput *output, const char *name,
							 const char *type, const char *help);

extern void ke_sample_put(KeSampleOutput *output, const char *name,
						  KeSampleLabels labels, int64 value);

/* value is in millionths of a second */
extern void ke_sample_put_seconds(KeSampleOutput *output, const char *name,
								  KeSampleLabels labels, int64 value);

#endif							/* KE_SAMPLE_H */
