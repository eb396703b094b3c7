/*
 * watch_state.h
 *	  What is known of a server's Kafka cluster between two looks at it.
 */
#ifndef KE_WATCH_STATE_H
#define KE_WATCH_STATE_H

#include "datatype/timestamp.h"

#include "core/clock.h"
#include "kafka/cluster.h"
#include "shm/reason.h"
#include "state/identity.h"

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

/* How the consumers of one group fare. */
typedef struct KeGroupWatch
{
	KeMoment	trouble_since;	/* partitions nobody has, or that deliver
								 * nothing; 0: none */
	int			rejoin_ms;		/* how long that is taken for normal */
	bool		rejoin;			/* it was longer: consumers should rejoin */
	KeStallMark *stall_marks;	/* survey_stalled.c's */
	int			nstall_marks;
} KeGroupWatch;

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
	bool		silent;			/* reason: nobody answers, whatever it says */
	char		trouble[KE_REASON_LEN]; /* it runs, but something is wrong */
	bool		trouble_is_silence; /* nobody has said why */
	char		owner[KE_REASON_LEN];	/* the group is another database's:
										 * nobody joins it */
	bool		looked;			/* what there is to find was looked for */
	int			partitions;		/* of all subscribed topics; -1: not known */
	int			retry_partitions;	/* of their retry topics; likewise */
	List	   *copy_topics;	/* of KeTopicInfo: those that are there */
	List	   *topics;			/* likewise: subscribed ones, well when last
								 * asked for */
	List	   *patterns;		/* of KeSubscription, the configuration's */
	uint64		patterns_done;	/* for which of them all topics have been
								 * looked at once */
	uint64		patterns_seen;	/* which topics, when nothing was left to do */
	List	   *pattern_notes;	/* survey_patterns.c's */

	/* A look that missed answers is repeated with those that came; 0: not. */
	KeMoment	asking_since;

	KeMoment	next_look;
	KeMoment	whole_due;		/* until then, a look is about changes alone */
	KeMoment	questioned_at;	/* somebody has asked something; 0: never */
	KeMoment	making_since;	/* topics for copies are to be made, when
								 * nobody asks; 0: none */
	int			delay_ms;		/* grows while nobody answers */
	KeGroupWatch groups[2];		/* of the main and the retry consumers */
	List	   *marks;			/* where other incarnations' commits were */
	KeMoment	copy_seen_at;	/* when one of them had moved; 0: never */
} KeWatch;

#endif							/* KE_WATCH_STATE_H */
