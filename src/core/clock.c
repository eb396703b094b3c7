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

#include "core/clock.h"
#include "utils/timestamp.h"

KeMoment
ke_clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (KeMoment) now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000 + 1;
}

KeMoment
ke_clock_add(KeMoment moment, int64 ms)
{
	return moment == KE_CLOCK_NEVER ? moment : moment + ms * 1000;
}

KeMoment
ke_clock_in(int64 ms)
{
	return ke_clock_add(ke_clock_now(), ms);
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

bool
ke_clock_passed(KeMoment since, KeMoment now, int64 ms)
{
	return now - since >= ms * 1000;
}

TimestampTz
ke_clock_wall(KeMoment moment)
{
	return GetCurrentTimestamp() + (moment - ke_clock_now());
}
