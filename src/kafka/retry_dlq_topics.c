/*
 * retry_dlq_topics.c
 *	  The topics that retry copies and dead letters go to.
 *
 * A copy is its message and some headers more, so the topic must take larger
 * messages than the source topic does; and it must keep copies that have the
 * same key, or none, whatever the brokers' default policy is.
 */
#include "postgres.h"
#include "core/compat.h"

#include "kafka/retry_dlq_topics.h"
#include "kafka/topic_admin.h"

/* What Kafka has for max.message.bytes, and the headers of a copy take. */
#define DEFAULT_MESSAGE_BYTES INT64CONST(1048588)
#define HEADER_BYTES (64 * 1024)

/*
 * How large a message of the source topic may be.  Where the user may not
 * ask, or the topic is gone, it is taken for Kafka's default.
 */
static int
find_message_bytes(KeHandle *handle, const char *source, int64 *bytes,
				   int timeout_ms)
{
	KeTopicConfig config = {"max.message.bytes", NULL};
	int			err;

	err = ke_topic_admin_describe(handle, source, &config, 1, timeout_ms);
	*bytes = config.value != NULL ? strtoll(config.value, NULL, 10) :
		DEFAULT_MESSAGE_BYTES;
	if (ke_client_is_refusal(err) || ke_client_is_missing_topic(err))
		return 0;
	return err;
}

static char *
number(int64 value)
{
	return psprintf(INT64_FORMAT, value);
}

int
ke_retry_dlq_topics_make(KeHandle *handle, const KeServerOptions *options,
						 const KeRetryDlqTopic *topic, bool *created,
						 char **text,
						 int timeout_ms)
{
	KeTopicConfig configs[] = {
		{"cleanup.policy", "delete"},
		{"max.message.bytes", NULL},
		{"retention.ms", number(options->dlq_retention_ms)}
	};
	KeNewTopic	new = {
		.name = topic->name,
		.partitions = options->topic_partitions,
		.replication_factor = options->topic_replication_factor,
		.configs = configs,
		.nconfigs = topic->dead ? 3 : 2
	};
	int64		bytes;
	int			err;

	*created = false;
	*text = NULL;
	err = find_message_bytes(handle, topic->source, &bytes, timeout_ms);
	if (err != 0)
		return err;
	configs[1].value = number(Min(bytes + HEADER_BYTES, PG_INT32_MAX));
	if (new.partitions == 0)
		new.partitions = topic->source_partitions > 0 ?
			topic->source_partitions : -1;
	err = ke_topic_admin_create(handle, &new, created, text, timeout_ms);
	if (err == 0 && *created)
		ereport(LOG,
				(errmsg("created topic \"%s\"", topic->name)));
	return err;
}
