/*
 * testing.h
 *	  What only test builds have (make COPT=-DKE_TESTING): named points at
 *	  which a process kills itself, and a way to take the fence out.
 *
 * kafka_events.test_crash_point names the point; the first process that
 * comes by creates the file kafka_events.crashed in the data directory, with
 * that name in it, and dies by SIGKILL, or stops by SIGSTOP if the name has
 * " freeze" behind it.  While the file is there nothing else happens.
 * kafka_events.test_fence = off turns the compare-and-set of positions into
 * a plain write: the negative control of the exactly-once tests.
 */
#ifndef KE_TESTING_H
#define KE_TESTING_H

#ifdef KE_TESTING

extern bool ke_testing_fence;

extern void ke_testing_define(void);
extern void ke_testing_crash(const char *point);

#define KE_CRASH_POINT(point) ke_testing_crash(point)

#else

#define KE_CRASH_POINT(point) ((void) 0)

#endif

#endif							/* KE_TESTING_H */
