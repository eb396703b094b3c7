/*
 * cluster.h
 *	  The manager's handle on a cluster: questions, no group membership.
 *
 * Calls wait in slices of at most 500 ms with CHECK_FOR_INTERRUPTS between,
 * return 0 or librdkafka's code, and never raise for a broker's trouble.
 */
#ifndef KE_CLUSTER_H
#define KE_CLUSTER_H

#include "core/clock.h"
#include "kafka/client.h"

typedef struct KeCluster KeCluster;

/*
 * group_id: whose committed offsets ke_cluster_committed reads.  With
 * stable, transactions count when they are through: the ends of partitions
 * are before those under way, and the group's offsets are waited for.
 */
extern KeCluster *ke_cluster_open(const KeServerOptions *server,
								  const KeMappingOptions *mapping,
								  const char *group_id,
								  const char *client_id, bool stable);

/* For kafka/topic_admin; lives as long as the cluster. */
extern KeHandle *ke_cluster_handle(KeCluster *cluster);

/*
 * From now on the answer to an equal question that was asked since then will
 * do, also when it comes after whoever asked has stopped waiting: somebody
 * who cannot wait asks again, from the start, until nothing is missing.  0:
 * everything is asked anew, as with a new handle.
 */
extern void ke_cluster_repeat(KeCluster *cluster, KeMoment since);

/* How long the newest answer has taken; 0: there was none yet. */
extern int	ke_cluster_took_ms(const KeCluster *cluster);

extern char *ke_cluster_id(KeCluster *cluster, int timeout_ms);

/* All topics when topic is NULL: a list of KeTopicInfo *. */
extern int	ke_cluster_topics(KeCluster *cluster, const char *topic,
							  List **topics, int timeout_ms);

/* How many brokers there are, and what a question to one of them takes. */
extern int	ke_cluster_ping(KeCluster *cluster, int *brokers,
							int64 *latency_us, int timeout_ms);

/* list->offset in: a timestamp in ms; out: the first offset at or after it,
 * the end if there is none.  KE_KAFKA_BEGINNING and KE_KAFKA_END will do for
 * a timestamp; the end is that of committed messages. */
extern int	ke_cluster_offsets_for_time(KeCluster *cluster,
										KePartitionList *list,
										int timeout_ms);
extern int	ke_cluster_committed(KeCluster *cluster, KePartitionList *list,
								 int timeout_ms);

/* Serve logs and errors; returns the newest error's text, or NULL. */
extern char *ke_cluster_serve(KeCluster *cluster);

/*
 * Why a call came back with this error: what the library has told since a
 * broker last answered, if it says more; and what to do about it, or NULL.
 */
extern char *ke_cluster_explain(KeCluster *cluster, int error,
								const char **hint);

/* Has nothing been told since then but that nobody answers? */
extern bool ke_cluster_is_silent(const KeCluster *cluster);

extern void ke_cluster_close(KeCluster *cluster);

#endif							/* KE_CLUSTER_H */
