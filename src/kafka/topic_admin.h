/*
 * topic_admin.h
 *	  Making topics, and reading how they are configured.
 *
 * Any client will do, ke_cluster_handle()'s or ke_producer_handle()'s.  Calls
 * wait in slices of at most 500 ms with CHECK_FOR_INTERRUPTS between, return
 * 0 or librdkafka's code, and never raise for a broker's trouble.
 */
#ifndef KE_TOPIC_ADMIN_H
#define KE_TOPIC_ADMIN_H

#include "kafka/client.h"

/* A property of a topic. */
typedef struct KeTopicConfig
{
	const char *name;
	const char *value;			/* answers: palloc'd, NULL: unknown */
} KeTopicConfig;

typedef struct KeNewTopic
{
	const char *name;
	int			partitions;		/* -1: as many as the broker's default */
	int			replication_factor; /* -1: the broker's default */
	const KeTopicConfig *configs;
	int			nconfigs;
} KeNewTopic;

/*
 * Make a topic, and wait until it can be used.  That it is there already is no
 * error; *created tells which.
 * *text is what the broker says about an error.
 */
extern int	ke_topic_admin_create(KeHandle *handle, const KeNewTopic *topic,
								  bool *created, char **text, int timeout_ms);

/*
 * Would it be made?  That it is there already is no error; nothing is made.
 */
extern int	ke_topic_admin_may_create(KeHandle *handle,
									  const KeNewTopic *topic,
									  int timeout_ms);

/* Fill in the values of some of a topic's properties. */
extern int	ke_topic_admin_describe(KeHandle *handle, const char *topic,
									KeTopicConfig *configs, int nconfigs,
									int timeout_ms);

#endif							/* KE_TOPIC_ADMIN_H */
