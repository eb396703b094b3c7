/*
 * client.h
 *	  What every Kafka handle of ours has in common.
 *
 * Only files in kafka/ include rdkafka.h.  No callbacks are set except a
 * log callback that writes nothing; all else comes as events.  No handle is
 * made before fork, in _PG_init, or in a user's backend.
 */
#ifndef KE_CLIENT_H
#define KE_CLIENT_H

#include "core/options.h"

/* One client of the library; what is in it is for files in kafka/. */
typedef struct KeHandle KeHandle;

/* A partition with what was asked or answered about it. */
typedef struct KeKafkaPartition
{
	const char *topic;
	int32		partition;
	int64		offset;			/* KE_KAFKA_NONE: none */
	char	   *metadata;		/* NUL-terminated copy, or NULL */
	int			error;			/* 0, or librdkafka's code */
} KeKafkaPartition;

#define KE_KAFKA_NONE ((int64) -1001)
#define KE_KAFKA_END ((int64) -1)	/* asks for the end of the partition */
#define KE_KAFKA_BEGINNING ((int64) -2)	/* asks for its first offset */
#define KE_KAFKA_TIMED_OUT (-185)	/* the error of a wait that was too long */
#define KE_KAFKA_TOPIC_LEN 250	/* 249 characters and a NUL */

typedef struct KePartitionList
{
	int			count;
	int			allocated;
	KeKafkaPartition *parts;	/* palloc'd together with their strings */
} KePartitionList;

typedef struct KeTopicInfo
{
	char	   *name;
	int			partitions;
	int			replication_factor;
	int			leaderless;		/* partitions that no broker serves now */
	int			error;			/* of this topic */
} KeTopicInfo;

extern KePartitionList *ke_partition_list_make(int allocated);
extern KeKafkaPartition *ke_partition_list_add(KePartitionList *list,
											   const char *topic,
											   int32 partition,
											   int64 offset);

extern void ke_partition_list_free(KePartitionList *list);

/* Raises, with a hint, when the loaded librdkafka is one that must not run. */
extern void ke_client_check_library(void);
extern int	ke_client_library_version(void);	/* 0x020002ff for 2.0.2 */

/* May a group have more members than partitions, and settle? */
extern bool ke_client_takes_spare_members(void);

/* "Broker: Unknown topic or partition" and the like; static memory. */
extern const char *ke_client_error_name(int error);

/* What to do about it, in words an administrator knows; NULL if unknown. */
extern const char *ke_client_error_hint(int error);

/* The error of a question that no broker has answered. */
extern bool ke_client_is_silence(int error);

/* The error of a topic that does not exist. */
extern bool ke_client_is_missing_topic(int error);

/* The cluster has understood, and says no: asking again does not help. */
extern bool ke_client_is_refusal(int error);

#endif							/* KE_CLIENT_H */
