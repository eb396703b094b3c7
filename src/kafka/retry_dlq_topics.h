/*
 * retry_dlq_topics.h
 *	  The topics that retry copies and dead letters go to, made when they are
 *	  not there.
 *
 * Both the manager (when a subscription is new) and the relay (when a copy
 * has nowhere to go) make them; whoever comes second finds them made.
 */
#ifndef KE_RETRY_DLQ_TOPICS_H
#define KE_RETRY_DLQ_TOPICS_H

#include "core/options.h"
#include "kafka/client.h"

typedef struct KeRetryDlqTopic
{
	const char *name;
	const char *source;			/* the topic whose copies it takes */
	int			source_partitions;	/* 0: it is not there */
	bool		dead;			/* for dead letters */
} KeRetryDlqTopic;

/*
 * Make a topic as the server's options say.  Returns 0, also when it is there
 * already, or librdkafka's code; *text then says what is wrong, and *created
 * otherwise whether it was made.  Waits for brokers as kafka/topic_admin does.
 */
extern int	ke_retry_dlq_topics_make(KeHandle *handle,
									 const KeServerOptions *options,
									 const KeRetryDlqTopic *topic,
									 bool *created,
									 char **text, int timeout_ms);

#endif							/* KE_RETRY_DLQ_TOPICS_H */
