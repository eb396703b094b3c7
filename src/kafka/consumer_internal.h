/*
 * consumer_internal.h
 *	  What consumer.c and consumer_poll.c share: the inside of a KeConsumer.
 *
 * For files in kafka/ only.
 */
#ifndef KE_CONSUMER_INTERNAL_H
#define KE_CONSUMER_INTERNAL_H

#include "utils/hsearch.h"

#include "kafka/consumer.h"
#include "kafka/handle.h"

/* A topic's name; the entry never moves, so that the name can be kept. */
typedef struct KeTopicName
{
	char		name[KE_KAFKA_TOPIC_LEN];
} KeTopicName;

/* What we know of a partition that is or was ours. */
typedef struct KeConsumerPartitionKey
{
	const char *topic;			/* a KeTopicName's */
	int32		partition;
} KeConsumerPartitionKey;

typedef struct KeConsumerPartition
{
	KeConsumerPartitionKey key;
	int64		last_stable;	/* as last heard; -1: nothing */
	bool		paused;			/* by ke_consumer_pause */
} KeConsumerPartition;

struct KeConsumer
{
	KeHandle	handle;
	HTAB	   *topics;			/* of KeTopicName */
	HTAB	   *partitions;		/* of KeConsumerPartition */

	/*
	 * The topic of the message before, as the library and as we call it.
	 * Forgotten when partitions are taken from the handle: the library may
	 * then free its object and make another one in the same place.
	 */
	rd_kafka_topic_t *last_topic;
	const char *last_name;

	bool		consumer_protocol;	/* KIP-848's */
	bool		closed;			/* ... and has left the group, or tried to */

	/* The group was asked for partitions. */
	bool		subscribed;

	/* A rebalance event was handed out and waits for its answer. */
	bool		rebalancing;

	/* For ke_consumer_poll_idle_ms: polled since the clock was last read. */
	bool		polled;
	int64		polled_at_ms;

	/* To wake the threads that fetch: see nudge in consumer_poll.c. */
	bool		needs_nudge;
	int64		nudge_messages; /* after so many, or so many bytes */
	int64		nudge_bytes;
	int64		messages;		/* since the last time */
	int64		bytes;
	char	   *username;
	char	   *password;
};

/*
 * How much the library fetches ahead.  Its own share of a message is some
 * 300 bytes, so for small ones the count is what bounds memory.
 */
#define KE_QUEUE_MESSAGES 30000
#define KE_QUEUE_KBYTES 16384

/* From now on the process leaves the group however it ends, if it can. */
extern void ke_consumer_close_at_exit(KeConsumer *consumer);

extern void ke_consumer_partitions_make(KeConsumer *consumer);

/* The topic's name as a pointer that stays as long as the consumer. */
extern const char *ke_consumer_partitions_topic(KeConsumer *consumer,
												const char *name);

/* A partition's entry, made if there is none; it never moves. */
extern KeConsumerPartition *ke_consumer_partitions_find(KeConsumer *consumer,
														const char *topic,
														int32 partition);

/* The library's statistics: learn every partition's last stable offset. */
extern void ke_consumer_partitions_learn(KeConsumer *consumer,
										 const char *json);

#endif							/* KE_CONSUMER_INTERNAL_H */
