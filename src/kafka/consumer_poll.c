/*
 * consumer_poll.c
 *	  The library's events as ours.
 *
 * A message is one event; everything per message here shows in the speed of
 * the whole extension.  Its bytes stay where the library put them; the event
 * holds them and is destroyed when the message is released.
 *
 * A rebalance event that was handed out is remembered before anything can
 * fail: until it is answered, nothing else must be asked of the group.
 */
#include "postgres.h"
#include "core/compat.h"

#include "kafka/consumer_internal.h"
#include "kafka/partition_list.h"
#include "kafka/query.h"

static void load_headers(KeMessage *msg);
static void release(KeMessage *msg);

static const KeMessageOps message_ops = {load_headers, release};

/* The array is malloc'd: it lives as long as the message, whatever context
 * is reset meanwhile. */
static void
load_headers(KeMessage *msg)
{
	rd_kafka_headers_t *headers;
	int			count;

	msg->nheaders = 0;
	msg->headers = NULL;
	if (rd_kafka_message_headers(msg->origin, &headers) != 0)
		return;
	count = (int) rd_kafka_header_cnt(headers);
	if (count == 0)
		return;

	msg->headers = malloc(count * sizeof(KeHeader));
	if (msg->headers == NULL)
	{
		msg->nheaders = -1;
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	}
	for (int i = 0; i < count; i++)
	{
		const char *name;
		const void *value;
		size_t		size;

		if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != 0)
			break;
		msg->headers[i].name = name;
		msg->headers[i].value = value;
		msg->headers[i].value_len = (int32) size;
		msg->nheaders++;
	}
}

static void
release(KeMessage *msg)
{
	if (msg->nheaders > 0)
		free(msg->headers);
	msg->headers = NULL;
	msg->nheaders = 0;
	rd_kafka_event_destroy(msg->holder);
}

static KeTimestampType
timestamp_type(rd_kafka_timestamp_type_t type)
{
	switch (type)
	{
		case RD_KAFKA_TIMESTAMP_NOT_AVAILABLE:
			break;
		case RD_KAFKA_TIMESTAMP_CREATE_TIME:
			return KE_TIMESTAMP_CREATE;
		case RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME:
			return KE_TIMESTAMP_APPEND;
	}
	return KE_TIMESTAMP_NONE;
}

/* True when rkev held a message, which now owns it. */
static inline bool
take_message(KeConsumer *consumer, rd_kafka_event_t *rkev, KeMessage *msg)
{
	const rd_kafka_message_t *from = rd_kafka_event_message_next(rkev);
	rd_kafka_timestamp_type_t type;

	if (unlikely(from == NULL))
		return false;

	if (unlikely(from->rkt != consumer->last_topic))
	{
		consumer->last_name =
			ke_consumer_partitions_topic(consumer,
										 rd_kafka_topic_name(from->rkt));
		consumer->last_topic = from->rkt;
	}
	msg->topic = consumer->last_name;
	msg->partition = from->partition;
	msg->offset = from->offset;
	msg->timestamp_ms = rd_kafka_message_timestamp(from, &type);
	msg->timestamp_type = timestamp_type(type);
	msg->key = from->key;
	msg->key_len = (int32) from->key_len;
	msg->value = from->payload;
	msg->value_len = (int32) from->len;
	msg->attempt = 0;
	msg->returned = false;
	msg->drop = KE_DROP_NOT;
	msg->left = false;
	msg->element = 0;
	msg->nheaders = -1;
	msg->headers = NULL;
	msg->ops = &message_ops;
	msg->origin = unconstify(rd_kafka_message_t *, from);
	msg->holder = rkev;
	return true;
}

/*
 * Wake the threads that fetch.  Before librdkafka 2.2.0, which has
 * fetch.queue.backoff.ms, a thread that found the queue full looks again
 * after a whole second, unless something wakes it.  Setting the credentials
 * (to what they are) does, and nothing else: they are used when a connection
 * is made.  So the queue need not hold a second's worth of messages.
 */
static void
nudge(KeConsumer *consumer)
{
	rd_kafka_error_t *error;

	consumer->messages = 0;
	consumer->bytes = 0;
	error = rd_kafka_sasl_set_credentials(consumer->handle.rk,
										  consumer->username,
										  consumer->password);
	rd_kafka_error_destroy(error);
}

static inline void
count_towards_nudge(KeConsumer *consumer, const KeMessage *msg)
{
	consumer->messages++;
	consumer->bytes += msg->key_len + msg->value_len;
	if (unlikely(consumer->messages >= consumer->nudge_messages ||
				 consumer->bytes >= consumer->nudge_bytes))
		nudge(consumer);
}

/*
 * receive.message.max.bytes, if an error says that a response is larger; else
 * 0.  There is no code for it.
 */
static int
exceeded_limit(const char *text)
{
	const char *size = strstr(text, "Invalid response size ");
	int			limit;

	if (size == NULL || strstr(size, "receive.message.max.bytes") == NULL ||
		sscanf(size, "Invalid response size %*d (0..%d)", &limit) != 1)
		return 0;
	return limit;
}

/* Why the handle is of no more use, and what to do where we know that. */
static char *
explain_fatal(KeConsumer *consumer, int error, const char *reason)
{
	if (consumer->consumer_protocol &&
		(error == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION ||
		 error == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE))
		return psprintf("%s: %s",
						ke_client_error_name(KE_CLIENT_NO_CONSUMER_PROTOCOL),
						ke_client_error_hint(KE_CLIENT_NO_CONSUMER_PROTOCOL));
	return pstrdup(reason);
}

static void
take_error(KeConsumer *consumer, rd_kafka_event_t *rkev,
		   KeConsumerEvent *event)
{
	rd_kafka_topic_partition_t *part;
	KeConsumerPartition *known = NULL;

	event->error = rd_kafka_event_error(rkev);
	if (event->error == RD_KAFKA_RESP_ERR__FATAL ||
		rd_kafka_event_error_is_fatal(rkev))
	{
		char		reason[512];

		event->error = rd_kafka_fatal_error(consumer->handle.rk, reason,
											sizeof(reason));
		event->kind = event->error == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ?
			KE_CONSUMER_FENCED : KE_CONSUMER_FATAL;
		event->text = explain_fatal(consumer, event->error, reason);
		return;
	}

	event->kind = KE_CONSUMER_ERROR;
	part = rd_kafka_event_topic_partition(rkev);
	if (part != NULL)
	{
		/* Raises only when memory is short: then part leaks. */
		event->kind = KE_CONSUMER_PARTITION_ERROR;
		known = ke_consumer_partitions_find(consumer, part->topic,
											part->partition);
		event->part.topic = known->key.topic;
		event->part.partition = known->key.partition;
		event->part.offset = part->offset;
		event->part.metadata = NULL;
		event->part.error = event->error;
		event->out_of_range =
			event->error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
			event->error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
		event->refused =
			event->error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
		rd_kafka_topic_partition_destroy(part);
	}

	if (event->error == RD_KAFKA_RESP_ERR__PARTITION_EOF && known != NULL)
	{
		event->kind = KE_CONSUMER_END;
		event->error = 0;
		event->part.error = 0;
		known->last_stable = event->part.offset;
	}
	else if (event->kind == KE_CONSUMER_ERROR)
	{
		event->text = pstrdup(ke_handle_explain(&consumer->handle, rkev,
												&event->error));
		event->too_big_for = exceeded_limit(event->text);
	}
	else
		event->text = pstrdup(rd_kafka_event_error_string(rkev));
}

static void
take_rebalance(KeConsumer *consumer, rd_kafka_event_t *rkev,
			   KeConsumerEvent *event)
{
	consumer->rebalancing = true;
	ke_query_repeat(&consumer->handle, ke_clock_now(), false);

	if (rd_kafka_event_error(rkev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		event->kind = KE_CONSUMER_ASSIGN;
	else if (rd_kafka_assignment_lost(consumer->handle.rk))
		event->kind = KE_CONSUMER_LOST;
	else
		event->kind = KE_CONSUMER_REVOKE;
	event->list =
		ke_partition_list_copy(rd_kafka_event_topic_partition_list(rkev));
}

static void
take_commit(rd_kafka_event_t *rkev, KeConsumerEvent *event)
{
	const rd_kafka_topic_partition_list_t *list;

	event->kind = KE_CONSUMER_COMMITTED;
	event->error = rd_kafka_event_error(rkev);
	list = rd_kafka_event_topic_partition_list(rkev);
	event->list =
		list !=
			NULL ? ke_partition_list_copy(list) : ke_partition_list_make(0);
}

static void
take_log(rd_kafka_event_t *rkev, KeConsumerEvent *event)
{
	const char *facility;
	const char *text;

	event->kind = KE_CONSUMER_LOG;
	rd_kafka_event_log(rkev, &facility, &text, &event->severity);
	event->text = psprintf("%s: %s", facility, text);
}

static void
convert_event(KeConsumer *consumer, rd_kafka_event_t *rkev,
			  KeConsumerEvent *event)
{
	switch (rd_kafka_event_type(rkev))
	{
		case RD_KAFKA_EVENT_ERROR:
			take_error(consumer, rkev, event);
			break;
		case RD_KAFKA_EVENT_REBALANCE:
			take_rebalance(consumer, rkev, event);
			break;
		case RD_KAFKA_EVENT_OFFSET_COMMIT:
			take_commit(rkev, event);
			break;
		case RD_KAFKA_EVENT_LOG:
			ke_handle_hear_log(&consumer->handle, rkev);
			take_log(rkev, event);
			break;
		case RD_KAFKA_EVENT_STATS:
			ke_consumer_partitions_learn(consumer, rd_kafka_event_stats(rkev));
			break;
		default:
			break;
	}
}

/*
 * Everything that is rarer than a message; the library's event is destroyed
 * in any case.  True unless it was none of the caller's business.
 */
static pg_noinline bool
take_event(KeConsumer *consumer, rd_kafka_event_t *rkev,
		   KeConsumerEvent *event)
{
	event->kind = KE_CONSUMER_NOTHING;
	event->list = NULL;
	event->text = NULL;
	event->error = 0;
	event->out_of_range = event->refused = false;
	event->too_big_for = 0;
	event->severity = 0;

	PG_TRY();
	{
		convert_event(consumer, rkev, event);
	}
	PG_CATCH();
	{
		rd_kafka_event_destroy(rkev);
		PG_RE_THROW();
	}
	PG_END_TRY();

	rd_kafka_event_destroy(rkev);
	return event->kind != KE_CONSUMER_NOTHING;
}

bool
ke_consumer_poll(KeConsumer *consumer, int timeout_ms, KeConsumerEvent *event)
{
	Assert(timeout_ms <= KE_QUERY_SLICE_MS);

	for (;;)
	{
		rd_kafka_event_t *rkev;

		rkev = rd_kafka_queue_poll(consumer->handle.queue, timeout_ms);
		consumer->polled = true;
		if (rkev == NULL)
		{
			event->kind = KE_CONSUMER_NOTHING;
			return false;
		}

		if (likely(rd_kafka_event_type(rkev) == RD_KAFKA_EVENT_FETCH))
		{
			if (likely(take_message(consumer, rkev, &event->msg)))
			{
				if (consumer->needs_nudge)
					count_towards_nudge(consumer, &event->msg);
				event->kind = KE_CONSUMER_MESSAGE;
				return true;
			}
			rd_kafka_event_destroy(rkev);
			continue;
		}

		if (take_event(consumer, rkev, event))
			return true;
	}
}

int64
ke_consumer_poll_idle_ms(KeConsumer *consumer)
{
	int64		now = ke_query_now_ms();

	if (consumer->polled)
	{
		consumer->polled = false;
		consumer->polled_at_ms = now;
	}
	return now - consumer->polled_at_ms;
}

int
ke_consumer_poll_waiting(KeConsumer *consumer)
{
	return (int) rd_kafka_queue_length(consumer->handle.queue);
}
