/*
 * clock.h
 *	  The clock of every interval of ours: it only goes forward.
 *
 * Moments are microseconds, equal in all processes of this machine, and mean
 * nothing after it was started anew: they may stand in shared memory, never
 * in a table.  What is stored, or shown, or told to others is a TimestampTz.
 */
#ifndef KE_CLOCK_H
#define KE_CLOCK_H

#include "datatype/timestamp.h"

typedef int64 KeMoment;

#define KE_CLOCK_NEVER PG_INT64_MAX
#define KE_CLOCK_LONG_AGO PG_INT64_MIN

/* Never 0, so that 0 may stand for "not set". */
extern KeMoment ke_clock_now(void);

/* ms after a moment; KE_CLOCK_NEVER stays what it is. */
extern KeMoment ke_clock_add(KeMoment moment, int64 ms);
extern KeMoment ke_clock_in(int64 ms);	/* after now */

/* What is left until then, rounded up to ms; 0 when it has passed. */
extern long ke_clock_left(KeMoment now, KeMoment then);

/* Have ms passed from since to now? */
extern bool ke_clock_passed(KeMoment since, KeMoment now, int64 ms);

/* For people: the wall clock's time of a moment, as that clock is now. */
extern TimestampTz ke_clock_wall(KeMoment moment);

#endif							/* KE_CLOCK_H */
