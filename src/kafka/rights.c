/*
 * rights.c
 *	  What the Kafka user may do, by asking the brokers.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"

#include "core/header_names.h"
#include "kafka/config.h"
#include "kafka/handle.h"
#include "kafka/query.h"
#include "kafka/rights.h"

/* No topic has so many partitions: nothing can be committed for it. */
#define NO_PARTITION PG_INT32_MAX

/* No broker takes it: acknowledgements are asked of none, one or all. */
#define NO_ACKS "2"

/*
 * A commit waits so long for the group's coordinator, and so long does it take
 * to close a client that was not told which that is.
 */
#define COORDINATOR_MS "3000"

/* Whose copies those would be that a broker takes all the same. */
#define NOBODY "kafka_events-rights"

/* Looks at one event; true: that was the last one. */
typedef bool (*Visit) (KeHandle *handle, rd_kafka_event_t *rkev,
					   void *argument);

/* Answers until visit has all of them; 0, or the error of who has not. */
static int
wait_for_answers(KeHandle *handle, Visit visit, void *argument,
				 int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;

	for (;;)
	{
		rd_kafka_event_t *rkev;
		bool		last = false;
		int			error;

		CHECK_FOR_INTERRUPTS();
		rkev = rd_kafka_queue_poll(handle->queue, ke_query_slice(deadline));
		if (rkev != NULL)
		{
			last = visit(handle, rkev, argument);
			if (!last && rd_kafka_event_type(rkev) == RD_KAFKA_EVENT_ERROR)
				(void) ke_handle_explain(handle, rkev, &error);
			rd_kafka_event_destroy(rkev);
		}
		if (last)
			return 0;
		if (ke_query_slice(deadline) == 0)
			return handle->trouble != 0 ? handle->trouble :
				RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
}

/* ------------------------------------------------------------------ read */

typedef struct Reading
{
	bool		group_is_missing;
	List	   *missing;
} Reading;

/* A coordinator that may not be looked for is an error of no answer. */
static bool
visit_commit(KeHandle *handle, rd_kafka_event_t *rkev, void *argument)
{
	Reading    *reading = (Reading *) argument;
	const rd_kafka_topic_partition_list_t *list;

	if (rd_kafka_event_error(rkev) ==
		RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
	{
		reading->group_is_missing = true;
		return true;
	}
	if (rd_kafka_event_type(rkev) != RD_KAFKA_EVENT_OFFSET_COMMIT)
		return false;
	list = rd_kafka_event_topic_partition_list(rkev);
	for (int i = 0; list != NULL && i < list->cnt; i++)
	{
		const rd_kafka_topic_partition_t *part = &list->elems[i];

		if (part->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
			reading->group_is_missing = true;
		if (part->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
			reading->missing = lappend(reading->missing,
									   pstrdup(part->topic));
	}
	return true;
}

static int
ask_to_read(KeHandle *handle, List *topics, int timeout_ms, Reading *reading)
{
	rd_kafka_topic_partition_list_t *offsets =
	rd_kafka_topic_partition_list_new(list_length(topics));
	rd_kafka_resp_err_t err;
	ListCell   *lc;

	foreach(lc, topics)
		rd_kafka_topic_partition_list_add(offsets, (char *) lfirst(lc),
										  NO_PARTITION)->offset = 0;
	err = rd_kafka_commit_queue(handle->rk, offsets, handle->queue, NULL,
								NULL);
	rd_kafka_topic_partition_list_destroy(offsets);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	return wait_for_answers(handle, visit_commit, reading, timeout_ms);
}

int
ke_rights_read(const KeServerOptions *server, const KeMappingOptions *mapping,
			   const char *client_id, const char *group_id, List *topics,
			   int timeout_ms, bool *group_is_missing, List **missing)
{
	KeSetting	settings[] = {
		{"group.id", group_id},
		{"enable.auto.commit", "false"},
		{"session.timeout.ms", COORDINATOR_MS},
		{NULL, NULL}
	};
	KeHandle	handle = {0};
	Reading		reading = {0};
	volatile int error = 0;

	ke_handle_open(&handle, RD_KAFKA_CONSUMER,
				   ke_config_make(RD_KAFKA_CONSUMER, server, mapping,
								  client_id, settings));
	PG_TRY();
	{
		error = ask_to_read(&handle, topics, timeout_ms, &reading);
	}
	PG_FINALLY();
	{
		ke_handle_destroy(&handle);
	}
	PG_END_TRY();
	*group_is_missing = reading.group_is_missing;
	*missing = reading.group_is_missing ? NIL : reading.missing;
	return error;
}

/* ----------------------------------------------------------------- write */

typedef struct Writing
{
	int			left;			/* topics without an answer */
	int			error;			/* of one that nobody answers for, or 0 */
	List	   *missing;
} Writing;

static bool
visit_report(KeHandle *handle, rd_kafka_event_t *rkev, void *argument)
{
	Writing    *writing = (Writing *) argument;
	const rd_kafka_message_t *message;
	const char *topic;

	if (rd_kafka_event_type(rkev) != RD_KAFKA_EVENT_DR)
		return false;
	while ((message = rd_kafka_event_message_next(rkev)) != NULL)
	{
		writing->left--;
		topic = rd_kafka_topic_name(message->rkt);
		if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
			writing->missing = lappend(writing->missing, pstrdup(topic));
		else if (message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
			writing->error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
	return writing->left == 0;
}

static int
ask_to_write(KeHandle *handle, List *topics, int timeout_ms,
			 Writing *writing)
{
	ListCell   *lc;
	int			error;

	foreach(lc, topics)
	{
		rd_kafka_resp_err_t err;

		err = rd_kafka_producev(handle->rk,
								RD_KAFKA_V_TOPIC((char *) lfirst(lc)),
								RD_KAFKA_V_PARTITION(0),
								RD_KAFKA_V_HEADER(KE_COPY_SERVICE, NOBODY,
												  strlen(NOBODY)),
								RD_KAFKA_V_END);
		if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return err;
		writing->left++;
	}
	if (writing->left == 0)
		return 0;
	error = wait_for_answers(handle, visit_report, writing, timeout_ms);
	return error != 0 ? error : writing->error;
}

int
ke_rights_write(const KeServerOptions *server,
				const KeMappingOptions *mapping, const char *client_id,
				List *topics, int timeout_ms, List **missing)
{
	char		patience[16];
	KeSetting	settings[] = {
		{"acks", NO_ACKS},
		{"message.timeout.ms", patience},
		{"message.send.max.retries", "0"},
		{"topic.metadata.propagation.max.ms", "0"},
		{"linger.ms", "0"},
		{NULL, NULL}
	};
	KeHandle	handle = {0};
	Writing		writing = {0};
	volatile int error = 0;

	snprintf(patience, sizeof(patience), "%d", Max(timeout_ms, 1000));
	ke_handle_open(&handle, RD_KAFKA_PRODUCER,
				   ke_config_make(RD_KAFKA_PRODUCER, server, mapping,
								  client_id, settings));
	PG_TRY();
	{
		error = ask_to_write(&handle, topics, timeout_ms, &writing);
	}
	PG_FINALLY();
	{
		ke_handle_destroy(&handle);
	}
	PG_END_TRY();
	*missing = writing.missing;
	return error;
}
