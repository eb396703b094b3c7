/*
 * watch.h
 *	  What the manager knows of a server's Kafka cluster, and looks after.
 *
 * One look, every 10 seconds: is it the service's cluster, do the subscribed
 * topics exist and with how many partitions, which others match a pattern and
 * are to be subscribed, which starts from 'latest' can be resolved now,
 * where do partitions stand that nobody consumes, and does a copy of this
 * database consume in the same group?
 */
#ifndef KE_WATCH_H
#define KE_WATCH_H

#include "cluster/watch_state.h"
#include "core/clock.h"
#include "subscription/catalog.h"

/* In the current context, as everything it will ever hold. */
extern KeWatch *ke_watch_make(void);

/*
 * Look at the cluster, outside of a transaction.  Blocks for some 100 ms
 * while no broker answers.  Raises nothing.
 */
extern void ke_watch_look(KeWatch *watch, const KeWatchFacts *facts,
						  KeServer *server, List *subscriptions,
						  KeMoment now);

extern void ke_watch_free(KeWatch *watch);

#endif							/* KE_WATCH_H */
