/*
 * query.c
 *	  Questions to the cluster that wait for an answer.
 *
 * Each is put once and waited for in slices; what an impatient caller left
 * behind may be taken up by his next call: see kafka/asked.h.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"

#include "kafka/asked.h"
#include "kafka/partition_list.h"
#include "kafka/query.h"

#define SMALL_TOPIC "__consumer_offsets"

int64
ke_query_now_ms(void)
{
	return ke_clock_now() / 1000;
}

int
ke_query_slice(int64 deadline_ms)
{
	int64		left = deadline_ms - ke_query_now_ms();

	return (int) Max(Min(left, KE_QUERY_SLICE_MS), 0);
}

void
ke_query_repeat(KeHandle *handle, KeMoment since, bool keep)
{
	handle->repeat_since = since;
	handle->repeat_keep = keep;
}

/* -------------------------------------------------- calls, in threads */

static int
call_committed(rd_kafka_t *rk, KeAsked *asked, int timeout_ms)
{
	return rd_kafka_committed(rk, asked->list, timeout_ms);
}

static int
call_offsets(rd_kafka_t *rk, KeAsked *asked, int timeout_ms)
{
	return rd_kafka_offsets_for_times(rk, asked->list, timeout_ms);
}

/*
 * The library's own wait for the id sleeps on when it comes with metadata of
 * no topic, as it does on a new connection: so ask, and then read.
 */
static int
call_cluster_id(rd_kafka_t *rk, KeAsked *asked, int timeout_ms)
{
	const rd_kafka_metadata_t *brokers;
	rd_kafka_resp_err_t err;
	char	   *id;

	err = rd_kafka_metadata(rk, 0, NULL, &brokers, timeout_ms);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	rd_kafka_metadata_destroy(brokers);
	id = rd_kafka_clusterid(rk, 0);
	if (id == NULL)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;
	asked->text = strdup(id);
	rd_kafka_mem_free(rk, id);
	return 0;
}

/* Metadata of one topic, or of all without one. */
static int
call_metadata(rd_kafka_t *rk, KeAsked *asked, int timeout_ms)
{
	rd_kafka_topic_t *only = NULL;
	rd_kafka_resp_err_t err;

	if (asked->topic != NULL)
	{
		only = rd_kafka_topic_new(rk, asked->topic, NULL);
		if (only == NULL)
			return rd_kafka_last_error();
	}
	err = rd_kafka_metadata(rk, only == NULL, only, &asked->metadata,
							timeout_ms);
	if (only != NULL)
		rd_kafka_topic_destroy(only);
	return err;
}

/* Asked twice: the first time may take a connection to be made. */
static int
call_ping(rd_kafka_t *rk, KeAsked *asked, int timeout_ms)
{
	KeMoment	start;
	int			err;

	err = call_metadata(rk, asked, timeout_ms);
	if (err != 0)
		return err;
	rd_kafka_metadata_destroy(asked->metadata);
	asked->metadata = NULL;

	start = ke_clock_now();
	err = call_metadata(rk, asked, timeout_ms);
	asked->latency_us = ke_clock_now() - start;
	return err;
}

/* ---------------------------------------------------------- questions */

static KeAsked *
send_list(KeHandle *handle, KeAskedCall call, const KePartitionList *list,
		  int timeout_ms)
{
	return ke_asked_send(handle, call, NULL,
						 ke_partition_list_to_library(list), timeout_ms);
}

/* Wait for it, and copy the answer to list. */
static int
wait_for_list(KeAsked *asked, KePartitionList *list, KeMoment deadline)
{
	int			err = ke_asked_wait(asked, deadline);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		ke_partition_list_answer(list, asked->list);
	return err;
}

static int
ask_list(KeHandle *handle, KeAskedCall call, KePartitionList *list,
		 int timeout_ms)
{
	KeMoment	deadline = ke_clock_in(timeout_ms);

	if (list->count == 0)
		return 0;
	ke_asked_sweep(handle);
	return wait_for_list(send_list(handle, call, list, timeout_ms), list,
						 deadline);
}

int
ke_query_committed(KeHandle *handle, KePartitionList *list, int timeout_ms)
{
	return ask_list(handle, call_committed, list, timeout_ms);
}

int
ke_query_offsets(KeHandle *handle, KePartitionList *list, int timeout_ms)
{
	return ask_list(handle, call_offsets, list, timeout_ms);
}

/*
 * Not rd_kafka_query_watermark_offsets(): before librdkafka 2.3.0 it ignores
 * its timeout.  A look-up by time knows two special times, in the protocol,
 * too: the beginning and the end.
 */
int
ke_query_watermarks(KeHandle *handle, const char *topic, int32 partition,
					int64 *low, int64 *high, int timeout_ms)
{
	KeMoment	deadline = ke_clock_in(timeout_ms);
	KePartitionList *lows = ke_partition_list_make(1);
	KePartitionList *highs = ke_partition_list_make(1);
	KeAsked    *beginning;
	KeAsked    *end;
	int			err;

	ke_partition_list_add(lows, topic, partition, RD_KAFKA_OFFSET_BEGINNING);
	ke_partition_list_add(highs, topic, partition, RD_KAFKA_OFFSET_END);

	/* Both are on their way before either is waited for. */
	ke_asked_sweep(handle);
	beginning = send_list(handle, call_offsets, lows, timeout_ms);
	end = send_list(handle, call_offsets, highs, timeout_ms);
	err = wait_for_list(beginning, lows, deadline);
	if (err == 0)
		err = wait_for_list(end, highs, deadline);
	if (err == 0)
		err = lows->parts[0].error;
	if (err == 0)
		err = highs->parts[0].error;
	if (err != 0)
		return err;
	*low = lows->parts[0].offset;
	*high = highs->parts[0].offset;
	return 0;
}

char *
ke_query_cluster_id(KeHandle *handle, int timeout_ms)
{
	KeMoment	deadline = ke_clock_in(timeout_ms);
	KeAsked    *asked;

	ke_asked_sweep(handle);
	asked = ke_asked_send(handle, call_cluster_id, NULL, NULL, timeout_ms);
	return ke_asked_wait(asked, deadline) == 0 ? pstrdup(asked->text) : NULL;
}

static KeTopicInfo *
describe_topic(const rd_kafka_metadata_topic_t *topic)
{
	KeTopicInfo *result = palloc0(sizeof(KeTopicInfo));

	result->name = pstrdup(topic->topic);
	result->error = topic->err;
	result->partitions = topic->partition_cnt;
	for (int i = 0; i < topic->partition_cnt; i++)
	{
		result->replication_factor = Max(result->replication_factor,
										 topic->partitions[i].replica_cnt);
		if (topic->partitions[i].leader < 0)
			result->leaderless++;
		if (i == 0 || topic->partitions[i].isr_cnt < result->in_sync)
			result->in_sync = topic->partitions[i].isr_cnt;
	}
	return result;
}

int
ke_query_topics(KeHandle *handle, const char *topic, List **topics,
				int timeout_ms)
{
	KeMoment	deadline = ke_clock_in(timeout_ms);
	KeAsked    *asked;
	int			err;

	ke_asked_sweep(handle);
	asked = ke_asked_send(handle, call_metadata, topic, NULL, timeout_ms);
	err = ke_asked_wait(asked, deadline);
	*topics = NIL;
	for (int i = 0; err == 0 && i < asked->metadata->topic_cnt; i++)
		*topics = lappend(*topics,
						  describe_topic(&asked->metadata->topics[i]));
	return err;
}

/*
 * The library cannot ask for no topic, so it asks for one that is small and
 * that every cluster has, sooner or later.
 */
int
ke_query_brokers(KeHandle *handle, int *brokers, int64 *latency_us,
				 int timeout_ms)
{
	KeMoment	deadline = ke_clock_in(timeout_ms);
	KeAsked    *asked;
	int			err;

	ke_asked_sweep(handle);
	asked = ke_asked_send(handle, call_ping, SMALL_TOPIC, NULL, timeout_ms);
	err = ke_asked_wait(asked, deadline);
	if (err != 0)
		return err;
	*latency_us = asked->latency_us;
	*brokers = asked->metadata->broker_cnt;
	return 0;
}
