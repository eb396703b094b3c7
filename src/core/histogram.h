/*
 * histogram.h
 *	  How many values fell into which bucket, for latencies in milliseconds.
 *
 * Bucket 0 holds 0 and 1 ms, then come buckets of 1 ms, and from 8 ms on four
 * for each doubling, so that a percentile is found within a fifth of its
 * value.  A bucket holds values up to its bound, the bound included; the last
 * one holds all that is longer.
 */
#ifndef KE_HISTOGRAM_H
#define KE_HISTOGRAM_H

/* The last bound is 2^32 ms: seven weeks. */
#define KE_HISTOGRAM_BUCKETS 125

typedef struct KeHistogram
{
	uint64		counts[KE_HISTOGRAM_BUCKETS];
} KeHistogram;

extern int	ke_histogram_bucket(int64 ms);	/* negative counts as 0 */
extern int64 ke_histogram_bound(int bucket);	/* PG_INT64_MAX for the last */

/* How many values are at most bound, which is some bucket's. */
extern uint64 ke_histogram_upto(const KeHistogram *histogram, int64 bound);

/*
 * The value that a fraction of all values does not exceed, interpolated
 * within its bucket; -1 if there are no values.
 */
extern double ke_histogram_quantile(const KeHistogram *histogram,
									double fraction);

#endif							/* KE_HISTOGRAM_H */
