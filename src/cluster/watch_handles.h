/*
 * watch_handles.h
 *	  The manager's two handles of a server's Kafka cluster.
 */
#ifndef KE_WATCH_HANDLES_H
#define KE_WATCH_HANDLES_H

#include "cluster/watch_state.h"
#include "subscription/catalog.h"

/* The cluster's handle, opened if need be; NULL: watch->reason says why. */
extern KeCluster *ke_watch_handles_cluster(KeWatch *watch, KeServer *server);

/*
 * The same for questions about dead letters.  It does not wait for a run
 * under way: what that has not committed yet does not count.
 */
extern KeCluster *ke_watch_handles_admin(KeWatch *watch, KeServer *server);

/* Both are closed, and what only they could tell is forgotten. */
extern void ke_watch_handles_close(KeWatch *watch);

/* A list of KeTopicInfo in watch->context is emptied. */
extern void ke_watch_handles_forget(List **topics);

#endif							/* KE_WATCH_HANDLES_H */
