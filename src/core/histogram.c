/*
 * histogram.c
 *	  How many values fell into which bucket, for latencies in milliseconds.
 *
 * Pure arithmetic on whole milliseconds: counting a value must cost a few
 * nanoseconds, as it is done once per message.
 */
#include "postgres.h"
#include "core/compat.h"

#include "port/pg_bitutils.h"

#include "core/histogram.h"

/* Up to here each bucket is 1 ms wide (the first one holds 0, too). */
#define LINEAR 8

/* Four buckets per doubling: 2 bits below the highest one. */
#define FRACTION_BITS 2
#define FRACTIONS (1 << FRACTION_BITS)

#define LINEAR_BITS 3			/* of LINEAR */

#define LAST (KE_HISTOGRAM_BUCKETS - 1)

int
ke_histogram_bucket(int64 ms)
{
	uint64		below;
	int			high;

	if (ms <= 1)
		return 0;

	/* Bounds are included, so the bits to look at are those of ms - 1. */
	below = (uint64) ms - 1;
	if (below < LINEAR)
		return (int) below;
	high = pg_leftmost_one_pos64(below);
	return Min(LINEAR + (high - LINEAR_BITS) * FRACTIONS +
			   (int) ((below >> (high - FRACTION_BITS)) & (FRACTIONS - 1)),
			   LAST);
}

int64
ke_histogram_bound(int bucket)
{
	int			doubling;
	int			fraction;

	if (bucket >= LAST)
		return PG_INT64_MAX;
	if (bucket < LINEAR)
		return bucket + 1;
	doubling = (bucket - LINEAR) / FRACTIONS + LINEAR_BITS;
	fraction = (bucket - LINEAR) % FRACTIONS;
	return (int64) (FRACTIONS + fraction + 1) << (doubling - FRACTION_BITS);
}

uint64
ke_histogram_upto(const KeHistogram *histogram, int64 bound)
{
	uint64		sum = 0;

	for (int i = 0; i < KE_HISTOGRAM_BUCKETS; i++)
	{
		if (ke_histogram_bound(i) > bound)
			break;
		sum += histogram->counts[i];
	}
	return sum;
}

double
ke_histogram_quantile(const KeHistogram *histogram, double fraction)
{
	uint64		total = 0;
	uint64		before = 0;
	double		rank;

	for (int i = 0; i < KE_HISTOGRAM_BUCKETS; i++)
		total += histogram->counts[i];
	if (total == 0)
		return -1;

	rank = fraction * total;
	for (int i = 0; i < LAST; i++)
	{
		uint64		count = histogram->counts[i];
		int64		from = i == 0 ? 0 : ke_histogram_bound(i - 1);
		int64		upto = ke_histogram_bound(i);

		if (count > 0 && before + count >= rank)
			return from + (upto - from) * Max(rank - before, 0) / count;
		before += count;
	}

	/* Longer than we can tell. */
	return (double) ke_histogram_bound(LAST - 1);
}
