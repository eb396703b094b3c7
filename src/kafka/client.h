/*
 * client.h
 *	  What every Kafka handle of ours has in common.
 *
 * Only files in kafka/ include rdkafka.h.  No callbacks are set except a log
 * callback that writes nothing and one that sees OpenSSL's verdict on a
 * certificate; all else comes as events.  No handle is
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
	int			in_sync;		/* replicas, where they are fewest */
	int			error;			/* of this topic */
} KeTopicInfo;

extern KePartitionList *ke_partition_list_make(int allocated);
extern KeKafkaPartition *ke_partition_list_add(KePartitionList *list,
											   const char *topic,
											   int32 partition,
											   int64 offset);

extern void ke_partition_list_free(KePartitionList *list);

/*
 * Errors that we tell apart and the library does not; beyond its range.  An
 * error of a handle is either the library's or one of these.
 */
typedef enum KeClientError
{
	KE_CLIENT_BROKER_EXPIRED = 100000,
	KE_CLIENT_BROKER_NOT_YET_VALID,
	KE_CLIENT_BROKER_OTHER_HOST,
	KE_CLIENT_BROKER_OTHER_CA,
	KE_CLIENT_BROKER_UNTRUSTED,
	KE_CLIENT_CERTIFICATE_MISSING,
	KE_CLIENT_CERTIFICATE_EXPIRED,
	KE_CLIENT_CERTIFICATE_REFUSED,
	KE_CLIENT_NO_TLS,
	KE_CLIENT_OLD_FOR_SCRAM,
	KE_CLIENT_NO_TOKEN,
	KE_CLIENT_TOKEN_REFUSED,
	KE_CLIENT_NO_CONSUMER_PROTOCOL,
	KE_CLIENT_ADVERTISED
} KeClientError;

/* Raises, with a hint, when the loaded librdkafka is one that must not run. */
extern void ke_client_check_library(void);
extern int	ke_client_library_version(void);	/* 0x020002ff for 2.0.2 */
extern const char *ke_client_library_name(void);	/* "2.0.2" */

/*
 * May the library log in to every version of Kafka with this SASL mechanism?
 * One below 2.6.1 cannot to Kafka 4 by SCRAM.  NULL: no mechanism.
 */
extern bool ke_client_can_log_in(const char *mechanism);

/* Was the library built to ask a token endpoint (it takes libcurl)? */
extern bool ke_client_has_oidc(void);

/* May a member be one of KIP-848's kind?  The library, and its oldest. */
extern bool ke_client_has_consumer_protocol(void);
#define KE_CLIENT_CONSUMER_PROTOCOL_SINCE "2.12.0"

/* May a group have more members than partitions, and settle? */
extern bool ke_client_takes_spare_members(void);

/* "Broker: Unknown topic or partition" and the like; static memory. */
extern const char *ke_client_error_name(int error);

/* What was to be done with a topic when an error came. */
typedef enum KeClientPurpose
{
	KE_PURPOSE_READ,
	KE_PURPOSE_WRITE,
	KE_PURPOSE_CREATE,
	KE_PURPOSE_DESCRIBE_CONFIGS
} KeClientPurpose;

/*
 * What to do about an error, in words an administrator knows; NULL if that is
 * unknown.  The first is for who reads; a missing right depends on that.
 */
extern const char *ke_client_error_hint(int error);
extern const char *ke_client_hint_for(KeClientPurpose purpose, int error);

/* "could not reach Kafka at ...", and why; hint may be NULL.  palloc'd. */
extern char *ke_client_describe_silence(const char *servers, const char *why,
										const char *hint);

/* The error of a question that no broker has answered. */
extern bool ke_client_is_silence(int error);

/* The error of a topic that does not exist. */
extern bool ke_client_is_missing_topic(int error);

/* The cluster has understood, and says no: asking again does not help. */
extern bool ke_client_is_refusal(int error);

#endif							/* KE_CLIENT_H */
