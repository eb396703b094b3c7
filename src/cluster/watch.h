/*
 * watch.h
 *	  What the manager knows of a server's Kafka cluster, and looks after.
 *
 * One look, every 10 seconds: is it the service's cluster, do the subscribed
 * topics exist and with how many partitions, which starts from 'latest' can
 * be resolved now, where do partitions stand that nobody consumes, and does
 * a copy of this database consume in the same group?
 */
#ifndef KE_WATCH_H
#define KE_WATCH_H

#include "datatype/timestamp.h"

#include "kafka/cluster.h"
#include "shm/reason.h"
#include "state/identity.h"
#include "subscription/catalog.h"

/* What a look needs to know about this database. */
typedef struct KeWatchFacts
{
	Oid			database;
	KeIdentityState identity;
	char		uuid[KE_UUID_LEN];
	uint64		incarnation;
	bool		orphans;		/* a former manager's processes still run */
} KeWatchFacts;

typedef struct KeStallMark KeStallMark;

typedef struct KeWatch
{
	MemoryContext context;		/* everything here lives in it */
	KeCluster  *cluster;		/* NULL: not open */
	KeCluster  *admin;			/* likewise; of the admin group */
	uint64		fingerprint;	/* of the server it was opened for */
	char	   *cluster_id;		/* NULL: nobody has told us yet */

	/* findings */
	bool		blocked;		/* the server must not run: reason */
	char		reason[KE_REASON_LEN];	/* or an empty string */
	char		trouble[KE_REASON_LEN]; /* it runs, but something is wrong */
	int			partitions;		/* of all subscribed topics; -1: not known */
	int			retry_partitions;	/* of their retry topics; likewise */
	List	   *copy_topics;	/* of KeTopicInfo: those that are there */

	TimestampTz next_look;
	int			delay_ms;		/* grows while nobody answers */
	TimestampTz trouble_since;	/* partitions nobody has, or that deliver
								 * nothing; 0: none */
	int			rejoin_ms;		/* how long that is taken for normal */
	bool		rejoin;			/* it was longer: consumers should rejoin */
	KeStallMark *stall_marks;	/* stall.c's */
	int			nstall_marks;
	List	   *marks;			/* where other incarnations' commits were */
	TimestampTz copy_seen_at;	/* when one of them had moved; 0: never */
} KeWatch;

/* In the current context, as everything it will ever hold. */
extern KeWatch *ke_watch_make(void);

/*
 * Look at the cluster, outside of a transaction.  Blocks for some 100 ms
 * while no broker answers.  Raises nothing.
 */
extern void ke_watch_look(KeWatch *watch, const KeWatchFacts *facts,
						  KeServer *server, List *subscriptions,
						  TimestampTz now);

/* The cluster's handle, opened if need be; NULL: watch->reason says why. */
extern KeCluster *ke_watch_handles_cluster(KeWatch *watch, KeServer *server);

/*
 * The same for questions about dead letters.  It does not wait for a run
 * under way: what that has not committed yet does not count.
 */
extern KeCluster *ke_watch_handles_admin(KeWatch *watch, KeServer *server);

extern void ke_watch_free(KeWatch *watch);

#endif							/* KE_WATCH_H */
