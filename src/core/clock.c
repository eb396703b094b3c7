/*
 * clock.c
 *	  The clock of every interval of ours: it only goes forward.
 *
 * The wall clock is set back and forth, by people and by time servers; what
 * is due at one of its times may be due hours late, or at once.
 */
#include "postgres.h"
#include "core/compat.h"

#include <limits.h>
#include <time.h>

#include "utils/timestamp.h"

#include "core/clock.h"

/* Reading both clocks may take that long. */
#define READING_US 1000

static TimestampTz begin = 0;	/* the wall clock's when the other was at 0 */

static int64
monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000;
}

void
ke_clock_begin(void)
{
	begin = GetCurrentTimestamp() - monotonic_us();
}

/* Threads and signal handlers call it, too, in processes that have begun. */
KeMoment
ke_clock_now(void)
{
	if (unlikely(begin == 0))
		ke_clock_begin();
	return begin + monotonic_us();
}

KeMoment
ke_clock_in(int64 ms)
{
	return ke_clock_now() + ms * 1000;
}

long
ke_clock_left(KeMoment now, KeMoment then)
{
	if (then <= now)
		return 0;
	if (then - now >= (int64) INT_MAX * 1000)
		return INT_MAX;
	return (long) ((then - now + 999) / 1000);
}

KeMoment
ke_clock_earlier(KeMoment a, KeMoment b)
{
	return a < b ? a : b;
}

bool
ke_clock_passed(KeMoment since, KeMoment now, int64 ms)
{
	return now - since >= ms * 1000;
}

/*
 * How far the wall clock is ahead.  The two are read one after the other: a
 * difference that is no more than that would make one moment two times.
 */
static int64
wall_ahead(void)
{
	static int64 ahead = 0;
	int64		now = GetCurrentTimestamp() - ke_clock_now();

	if (now - ahead > READING_US || ahead - now > READING_US)
		ahead = now;
	return ahead;
}

TimestampTz
ke_clock_to_wall(KeMoment moment)
{
	return moment == 0 ? 0 : moment + wall_ahead();
}

KeMoment
ke_clock_from_wall(TimestampTz time)
{
	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	return time - wall_ahead();
}
