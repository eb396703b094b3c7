/*
 * consumer_errors.h
 *	  What a consumer process makes of the library's errors.
 */
#ifndef KE_CONSUMER_ERRORS_H
#define KE_CONSUMER_ERRORS_H

#include "consumer/engine.h"

/* A line of the library's own log. */
extern void ke_consumer_errors_log(const KeConsumerEvent *event);

/*
 * Which cluster it is; waits for as long as no broker answers, and says so.
 * Ends the process if it is asked to stop.  In the current context.
 */
extern char *ke_consumer_errors_wait(KeEngine *engine,
									 const KeServerOptions *options);

/* An error event. */
extern void ke_consumer_errors_note(KeEngine *engine,
									const KeConsumerEvent *event);

/* The group gave us partitions, or took them all away. */
extern void ke_consumer_errors_joined(bool joined);

/* In each round: forget what has not been heard of for a while. */
extern void ke_consumer_errors_expire(void);

#endif							/* KE_CONSUMER_ERRORS_H */
