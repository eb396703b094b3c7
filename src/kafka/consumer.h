/*
 * consumer.h
 *	  A member of a consumer group, driven by events.
 *
 * One per consumer process.  ke_consumer_poll returns one event at a time;
 * a rebalance event must be answered by ke_consumer_assign or
 * ke_consumer_unassign before anything else is done with the group.
 */
#ifndef KE_CONSUMER_H
#define KE_CONSUMER_H

#include "core/message.h"
#include "kafka/client.h"

typedef struct KeConsumer KeConsumer;

typedef struct KeMembership
{
	const char *group_id;
	const char *instance_id;	/* group.instance.id */
	const char *client_id;		/* at most 32 characters */
	int			fetch_wait;		/* ms; 0: as the server says */
} KeMembership;

typedef enum KeConsumerEventKind
{
	KE_CONSUMER_NOTHING,		/* the queue is empty */
	KE_CONSUMER_MESSAGE,		/* msg */
	KE_CONSUMER_END,			/* part: read up to its last stable offset */
	KE_CONSUMER_ASSIGN,			/* list: partitions added; answer assign */
	KE_CONSUMER_REVOKE,			/* list: partitions taken; answer unassign */
	KE_CONSUMER_LOST,			/* list: already somebody else's; unassign */
	KE_CONSUMER_COMMITTED,		/* list: answer to a commit, with errors */
	KE_CONSUMER_PARTITION_ERROR,	/* part, error, text */
	KE_CONSUMER_ERROR,			/* error, text: may pass by itself */
	KE_CONSUMER_FENCED,			/* another process has our instance id */
	KE_CONSUMER_FATAL,			/* error, text: the handle is unusable */
	KE_CONSUMER_LOG				/* text, severity (syslog): for the log */
} KeConsumerEventKind;

typedef struct KeConsumerEvent
{
	KeConsumerEventKind kind;
	KeMessage	msg;
	KeKafkaPartition part;
	KePartitionList *list;		/* in the context current at the poll */
	int			error;
	bool		out_of_range;	/* PARTITION_ERROR: the offset is not there */
	bool		refused;		/* PARTITION_ERROR: no right to read it */
	int			too_big_for;	/* ERROR: receive.message.max.bytes, where what
								 * a broker sent is more; else 0 */
	int			severity;
	char	   *text;			/* in the context current at the poll */
} KeConsumerEvent;

/*
 * Open a handle; it lives as long as the process.  Raises if a property is
 * refused.
 */
extern KeConsumer *ke_consumer_open(const KeServerOptions *server,
									const KeMappingOptions *mapping,
									const KeMembership *member);

/* The cluster's id, waiting at most timeout_ms in slices; NULL if none yet. */
extern char *ke_consumer_cluster_id(KeConsumer *consumer, int timeout_ms);

/* Becomes readable when an event waits; drain with ke_consumer_drained. */
extern int	ke_consumer_fd(KeConsumer *consumer);

/* Empty the fd; call it when the wait said readable, before polling. */
extern void ke_consumer_drain_fd(KeConsumer *consumer);

/*
 * Replace the topic list.  Topics are not changed in place (some could stay
 * without partitions): call ke_consumer_unsubscribe, wait for the REVOKE and
 * answer it, then subscribe; it takes a few rounds of the group.
 *
 * A process that takes over a static place gets the partitions of the one
 * before it, whatever the topics it subscribes to: compare each ASSIGN with
 * the list, and subscribe anew by the same cycle if it has other topics.
 */
extern void ke_consumer_subscribe(KeConsumer *consumer, const char **topics,
								  int ntopics);
extern void ke_consumer_unsubscribe(KeConsumer *consumer);

/*
 * Next event; waits at most timeout_ms (0: not at all).  True if any.
 *
 * A message may come again, below what was delivered before, after a
 * rebalance or a pause; so may the end of a partition.  Between a rebalance
 * event and its answer nothing is delivered.
 */
extern bool ke_consumer_poll(KeConsumer *consumer, int timeout_ms,
							 KeConsumerEvent *event);

/* How many events, most of them messages, wait before the next one to come. */
extern int	ke_consumer_poll_waiting(KeConsumer *consumer);

/*
 * Answer a rebalance event, and in between take or give up single partitions.
 * The offsets in the list are where fetching starts.  What is never assigned
 * need not, but may, be unassigned.
 */
extern void ke_consumer_assign(KeConsumer *consumer, KePartitionList *list);
extern void ke_consumer_unassign(KeConsumer *consumer, KePartitionList *list);

/*
 * Fetch partitions of ours from another offset; others are passed over.  No
 * message that was fetched before is delivered afterwards.  Not between a
 * rebalance event and its answer.  One that has not been polled yet takes
 * this for its answer: for a moment another member may then read the same
 * partitions, which the fence in PostgreSQL is there for.
 */
extern void ke_consumer_restart(KeConsumer *consumer, KePartitionList *list);

/*
 * Pausing takes effect at once, for partitions just assigned, too, and lasts
 * over restarts and rebalances until resumed or unassigned.  What was fetched
 * but not polled is fetched again, so do not use it to hold back a little.
 * Doing it twice does nothing; partitions that are not ours are passed over.
 */
extern void ke_consumer_pause(KeConsumer *consumer, KePartitionList *list);
extern void ke_consumer_resume(KeConsumer *consumer, KePartitionList *list);

/*
 * Ask the group's coordinator; fills offset (KE_KAFKA_NONE: none), metadata
 * and error of each.  Returns 0, or the error of the whole call.  Waits in
 * slices with CHECK_FOR_INTERRUPTS.
 */
extern int	ke_consumer_committed(KeConsumer *consumer, KePartitionList *list,
								  int timeout_ms);

/* For kafka/group_members; lives as long as the consumer. */
extern KeHandle *ke_consumer_handle(KeConsumer *consumer);

/* Low and high; high is the last stable offset: the handle reads committed. */
extern int	ke_consumer_watermarks(KeConsumer *consumer, const char *topic,
								   int32 partition, int64 *low, int64 *high,
								   int timeout_ms);

/*
 * What was last heard of the partition's end, without asking; -1: nothing.
 * high is as new as the last fetch, last_stable up to 5 s older, or as new as
 * the last KE_CONSUMER_END, whose offset it is.
 */
extern void ke_consumer_partitions_known_end(KeConsumer *consumer,
											 const char *topic,
											 int32 partition, int64 *high,
											 int64 *last_stable);

/* Offsets with metadata; the answer comes as KE_CONSUMER_COMMITTED. */
extern void ke_consumer_commit(KeConsumer *consumer, KePartitionList *list);
extern int	ke_consumer_commit_wait(KeConsumer *consumer,
									KePartitionList *list,
									int timeout_ms);

/* Milliseconds since the queue was last polled; for the watchdog. */
extern int64 ke_consumer_poll_idle_ms(KeConsumer *consumer);

/*
 * The last call; the process is to end soon after.  leave: leave the group,
 * so that others take over at once, waiting 4 s at most.  Otherwise nothing
 * is said, and the static place stays until session_timeout: a process with
 * the same instance_id that comes within it has its partitions back at once.
 * With group_protocol consumer there are no such places: it always leaves.
 *
 * The library's threads end with the process and not before: its own way to
 * end them hangs or aborts in a member of a group.
 */
extern void ke_consumer_close(KeConsumer *consumer, bool leave);

#endif							/* KE_CONSUMER_H */
