/*
 * fitness.h
 *	  Whether the cluster lets a server do what it will have to do.
 *
 * Looks that take several clients, some of the server's groups, and so longer
 * than the manager has; for a task process, which has that time.
 */
#ifndef KE_FITNESS_H
#define KE_FITNESS_H

#include "kafka/cluster.h"
#include "shm/task.h"
#include "subscription/catalog.h"

/*
 * Look at all there is, outside of transactions, and stream what was found:
 * payloads of ke_cluster_report_put_fitness.  subscriptions, of
 * KeSubscription, are the server's; cluster is open for it.
 */
extern void ke_fitness_look(const KeServer *server, List *subscriptions,
							KeCluster *cluster, KeTask *task);

/* fitness_clock.c: what a look at the brokers' clock says. */
typedef struct KeFitnessClock
{
	int64		ahead_ms;		/* of ours, at least; negative: behind it */
	int			error;			/* why it is not known, or 0 */
} KeFitnessClock;

/* What is tolerated. */
#define KE_FITNESS_CLOCK_MS 5000

/*
 * Compare it with ours.  A transactional id was given its first place in the
 * log of transactions since written_ms of our clock, as ms since 1970.
 */
extern KeFitnessClock ke_fitness_clock(KeCluster *cluster, int64 written_ms,
									   int timeout_ms);

#endif							/* KE_FITNESS_H */
