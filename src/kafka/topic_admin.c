/*
 * topic_admin.c
 *	  Making topics, and reading how they are configured.
 *
 * Each question has a queue of its own for its one answer.  A queue that is
 * destroyed before the answer comes makes the library drop the answer, so a
 * topic is made in one go, and what is read may be waited for in several.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"

#include "kafka/asked.h"
#include "kafka/handle.h"
#include "kafka/query.h"
#include "kafka/topic_admin.h"

/* Between two looks whether a topic can be used yet. */
#define USABLE_PAUSE_MS 5

/* What the library is to wait for; not answered before it is decided. */
static rd_kafka_AdminOptions_t *
make_options(rd_kafka_t *rk, rd_kafka_admin_op_t op, int timeout_ms)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, op);
	char		reason[256];

	/* A timeout that is out of bounds leaves the library's own. */
	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, reason,
											  sizeof(reason));
	if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS)
		rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms,
													reason, sizeof(reason));
	return options;
}

/* Raises only where interrupts are served; NULL when there is no answer. */
static rd_kafka_event_t *
wait_for_answer(rd_kafka_queue_t *queue, int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;
	rd_kafka_event_t *answer;

	do
	{
		CHECK_FOR_INTERRUPTS();
		answer = rd_kafka_queue_poll(queue, ke_query_slice(deadline));
	} while (answer == NULL && ke_query_slice(deadline) > 0);
	return answer;
}

/* Takes the topic over; the caller destroys the answer. */
static rd_kafka_event_t *
ask_to_create(rd_kafka_t *rk, rd_kafka_NewTopic_t *topic, bool only_validate,
			  int timeout_ms)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options =
		make_options(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
	rd_kafka_event_t *answer;
	char		reason[256];

	if (only_validate)
		rd_kafka_AdminOptions_set_validate_only(options, 1, reason,
												sizeof(reason));
	rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_NewTopic_destroy(topic);
	PG_TRY();
	{
		answer = wait_for_answer(queue, timeout_ms);
	}
	PG_CATCH();
	{
		rd_kafka_queue_destroy(queue);
		PG_RE_THROW();
	}
	PG_END_TRY();
	rd_kafka_queue_destroy(queue);
	return answer;
}

/* ---------------------------------------------------------------- create */

/* NULL, and why, when the library does not even send it. */
static rd_kafka_NewTopic_t *
make_topic(const KeNewTopic *topic, char *reason, size_t size)
{
	rd_kafka_NewTopic_t *result;

	result = rd_kafka_NewTopic_new(topic->name, topic->partitions,
								   topic->replication_factor, reason, size);
	for (int i = 0; result != NULL && i < topic->nconfigs; i++)
		rd_kafka_NewTopic_set_config(result, topic->configs[i].name,
									 topic->configs[i].value);
	return result;
}

/* The error of the call, or that of its only topic. */
static int
read_creation(rd_kafka_event_t *answer, const char **text)
{
	const rd_kafka_CreateTopics_result_t *result;
	const rd_kafka_topic_result_t **topics = NULL;
	size_t		count = 0;

	*text = rd_kafka_event_error_string(answer);
	if (rd_kafka_event_error(answer) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return rd_kafka_event_error(answer);
	result = rd_kafka_event_CreateTopics_result(answer);
	if (result != NULL)
		topics = rd_kafka_CreateTopics_result_topics(result, &count);
	if (count != 1)
		return RD_KAFKA_RESP_ERR__BAD_MSG;
	*text = rd_kafka_topic_result_error_string(topics[0]);
	return rd_kafka_topic_result_error(topics[0]);
}

/*
 * Ask to make it, or only whether that is allowed.  The error, and in *text
 * why if somebody says so.
 */
static int
try_to_create(KeHandle *handle, const KeNewTopic *topic, bool only_validate,
			  char **text, int timeout_ms)
{
	rd_kafka_NewTopic_t *made;
	rd_kafka_event_t *answer;
	const char *said;
	char		reason[256];
	int			err;

	*text = NULL;
	made = make_topic(topic, reason, sizeof(reason));
	if (made == NULL)
	{
		*text = pstrdup(reason);
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	}
	answer = ask_to_create(handle->rk, made, only_validate, timeout_ms);
	if (answer == NULL)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;

	err = read_creation(answer, &said);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		*text = pstrdup(said != NULL ? said : rd_kafka_err2str(err));
	rd_kafka_event_destroy(answer);
	return err;
}

/* Does the broker that is asked have it, with a leader for each partition? */
static bool
is_usable(KeHandle *handle, const char *name, int64 deadline)
{
	int64		left = Max(deadline - ke_query_now_ms(), 0);
	List	   *topics;
	KeTopicInfo *topic;

	if (ke_query_topics(handle, name, &topics, (int) left) != 0 ||
		topics == NIL)
		return false;
	topic = (KeTopicInfo *) linitial(topics);
	return topic->error == RD_KAFKA_RESP_ERR_NO_ERROR &&
		topic->leaderless == 0;
}

/*
 * The controller has made the topic, and brokers learn of it a little later:
 * wait for them, so that whatever is done next finds it.  If that takes until
 * the deadline, the topic is made all the same.
 */
static void
wait_until_usable(KeHandle *handle, const char *name, int64 deadline)
{
	rd_kafka_queue_t *silent = rd_kafka_queue_new(handle->rk);
	KeMoment	since = handle->repeat_since;
	bool		keep = handle->repeat_keep;

	/* An answer of before says that there is no such topic. */
	ke_asked_forget(handle);
	ke_query_repeat(handle, 0, false);

	PG_TRY();
	{
		while (!is_usable(handle, name, deadline) &&
			   ke_query_slice(deadline) > 0)
			(void) rd_kafka_queue_poll(silent, Min(ke_query_slice(deadline),
												   USABLE_PAUSE_MS));
	}
	PG_FINALLY();
	{
		rd_kafka_queue_destroy(silent);
		ke_query_repeat(handle, since, keep);
	}
	PG_END_TRY();
}

int
ke_topic_admin_create(KeHandle *handle, const KeNewTopic *topic, bool *created,
					  char **text, int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;
	int			err = try_to_create(handle, topic, false, text, timeout_ms);

	*created = err == RD_KAFKA_RESP_ERR_NO_ERROR;
	if (*created)
		wait_until_usable(handle, topic->name, deadline);
	if (err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
	{
		*text = NULL;
		err = RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	return err;
}

int
ke_topic_admin_may_create(KeHandle *handle, const KeNewTopic *topic,
						  int timeout_ms)
{
	char	   *text;
	int			err = try_to_create(handle, topic, true, &text, timeout_ms);

	return err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? 0 : err;
}

/* -------------------------------------------------------------- describe */

/* The entries of the only resource; NULL with an error, or without any. */
static const rd_kafka_ConfigEntry_t **
read_entries(rd_kafka_event_t *answer, size_t *count, int *error)
{
	const rd_kafka_DescribeConfigs_result_t *result;
	const rd_kafka_ConfigResource_t **resources = NULL;
	size_t		nresources = 0;

	*count = 0;
	*error = rd_kafka_event_error(answer);
	if (*error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	result = rd_kafka_event_DescribeConfigs_result(answer);
	if (result != NULL)
		resources = rd_kafka_DescribeConfigs_result_resources(result,
															  &nresources);
	if (nresources != 1)
	{
		*error = RD_KAFKA_RESP_ERR__BAD_MSG;
		return NULL;
	}
	*error = rd_kafka_ConfigResource_error(resources[0]);
	if (*error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	return rd_kafka_ConfigResource_configs(resources[0], count);
}

static char *
find_value(const rd_kafka_ConfigEntry_t **entries, size_t count,
		   const char *name)
{
	for (size_t i = 0; i < count; i++)
	{
		const char *value;

		if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) != 0)
			continue;
		value = rd_kafka_ConfigEntry_value(entries[i]);
		return value != NULL ? pstrdup(value) : NULL;
	}
	return NULL;
}

/* In a thread. */
static int
call_describe(rd_kafka_t *rk, KeAsked *asked, int timeout_ms)
{
	rd_kafka_ConfigResource_t *resource =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, asked->topic);
	rd_kafka_AdminOptions_t *options =
		make_options(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);

	rd_kafka_DescribeConfigs(rk, &resource, 1, options, queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ConfigResource_destroy(resource);
	asked->event = rd_kafka_queue_poll(queue, timeout_ms);
	rd_kafka_queue_destroy(queue);
	return asked->event != NULL ? 0 : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

int
ke_topic_admin_describe(KeHandle *handle, const char *topic,
						KeTopicConfig *configs, int nconfigs, int timeout_ms)
{
	KeMoment	deadline = ke_clock_in(timeout_ms);
	KeAsked    *asked;
	const rd_kafka_ConfigEntry_t **entries;
	size_t		count;
	int			err;

	for (int i = 0; i < nconfigs; i++)
		configs[i].value = NULL;
	ke_asked_sweep(handle);
	asked = ke_asked_send(handle, call_describe, topic, NULL, timeout_ms);
	err = ke_asked_wait(asked, deadline);
	if (err != 0)
		return err;
	entries = read_entries(asked->event, &count, &err);
	for (int i = 0; i < nconfigs; i++)
		configs[i].value = find_value(entries, count, configs[i].name);
	return err;
}
