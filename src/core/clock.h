/*
 * clock.h
 *	  The clock of every interval of ours: it only goes forward.
 *
 * A moment is a time as the wall clock had it when the server was started,
 * counted on from there whatever is done to that clock, and equal in all
 * processes of the server.  Moments may stand in shared memory, never in a
 * table; what is stored, or shown, or told to others is the wall clock's.
 */
#ifndef KE_CLOCK_H
#define KE_CLOCK_H

#include "datatype/timestamp.h"

typedef TimestampTz KeMoment;

/* Begin it, in the postmaster: its children inherit where it began. */
extern void ke_clock_begin(void);

extern KeMoment ke_clock_now(void);

/* So many ms from now; negative: ago. */
extern KeMoment ke_clock_in(int64 ms);

/* What is left until then, rounded up to ms; 0 when it has passed. */
extern long ke_clock_left(KeMoment now, KeMoment then);

/* Min() evaluates its arguments twice: not for what does something. */
extern KeMoment ke_clock_earlier(KeMoment a, KeMoment b);

/* Have ms passed from since to now? */
extern bool ke_clock_passed(KeMoment since, KeMoment now, int64 ms);

/* The wall clock's time of a moment, as that clock is now; 0 stays 0. */
extern TimestampTz ke_clock_to_wall(KeMoment moment);

/* And back: when that clock will say so, if nobody sets it meanwhile. */
extern KeMoment ke_clock_from_wall(TimestampTz time);

#endif							/* KE_CLOCK_H */
