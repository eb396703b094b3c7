/*
 * pace.c
 *	  How many messages share a transaction, as messages fail or do not.
 */
#include "postgres.h"
#include "core/compat.h"

#include <math.h>

#include "core/pace.h"

/* Of a subscription's first transaction, lest a first failure undo much */
#define FIRST_SIZE 64

/* A transaction costs about as much as so many messages. */
#define TRANSACTION_COST 8

/* The best size when one message fails after so many that do not. */
static int
best_size(int64 clean, int most)
{
	return (int) Min(sqrt(2.0 * TRANSACTION_COST * clean), most);
}

void
ke_pace_begin(KePace *pace, int most)
{
	pace->size = Min(FIRST_SIZE, most);
	pace->clean = PG_INT32_MAX;
}

void
ke_pace_succeeded(KePace *pace, int count, bool whole, int most)
{
	pace->clean += count;
	if (whole)
		pace->size = Max(pace->size,
						 Min(2 * pace->size, best_size(pace->clean, most)));
}

/* One distance is chance: go half the way. */
void
ke_pace_failed(KePace *pace, int most)
{
	int			best = best_size(pace->clean, most);

	if (best < pace->size)
		pace->size = Max((pace->size + best) / 2, 1);
	pace->clean = 0;
}
