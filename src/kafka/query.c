/*
 * query.c
 *	  Questions to the cluster that wait for an answer.
 *
 * A slice that got no answer in time asks again: the library has no way to go
 * on waiting for an answer it was asked for earlier.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "portability/instr_time.h"

#include "kafka/partition_list.h"
#include "kafka/query.h"

typedef rd_kafka_resp_err_t (*Ask) (rd_kafka_t *rk,
									rd_kafka_topic_partition_list_t *list,
									int timeout_ms);

#define SMALL_TOPIC "__consumer_offsets"

/* A clock that only goes forward. */
int64
ke_query_now_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

int
ke_query_slice(int64 deadline_ms)
{
	int64		left = deadline_ms - ke_query_now_ms();

	return (int) Max(Min(left, KE_QUERY_SLICE_MS), 0);
}

/*
 * Ask until there is an answer.  The list of the library lives only within a
 * slice, where nothing can raise.
 */
static int
ask_in_slices(rd_kafka_t * rk, Ask ask, KePartitionList *list, int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;

	if (list->count == 0)
		return 0;

	for (;;)
	{
		rd_kafka_topic_partition_list_t *asked;
		rd_kafka_resp_err_t err;

		CHECK_FOR_INTERRUPTS();

		asked = ke_partition_list_to_library(list);
		err = ask(rk, asked, ke_query_slice(deadline));
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			ke_partition_list_answer(list, asked);
			return 0;
		}
		rd_kafka_topic_partition_list_destroy(asked);

		if (err != RD_KAFKA_RESP_ERR__TIMED_OUT ||
			ke_query_slice(deadline) == 0)
			return err;
	}
}

int
ke_query_committed(rd_kafka_t * rk, KePartitionList *list, int timeout_ms)
{
	return ask_in_slices(rk, rd_kafka_committed, list, timeout_ms);
}

int
ke_query_offsets(rd_kafka_t * rk, KePartitionList *list, int timeout_ms)
{
	return ask_in_slices(rk, rd_kafka_offsets_for_times, list, timeout_ms);
}

/*
 * Not rd_kafka_query_watermark_offsets(): before librdkafka 2.3.0 it ignores
 * its timeout.  A look-up by time knows two special times, in the protocol,
 * too: the beginning and the end.
 */
int
ke_query_watermarks(rd_kafka_t *rk, const char *topic, int32 partition,
					int64 *low, int64 *high, int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;
	KePartitionList *list = ke_partition_list_make(1);
	KeKafkaPartition *part;
	int			err;

	part = ke_partition_list_add(list, topic, partition,
								 RD_KAFKA_OFFSET_BEGINNING);
	err = ke_query_offsets(rk, list, timeout_ms);
	if (err == 0)
		err = part->error;
	if (err != 0)
		return err;
	*low = part->offset;

	part->offset = RD_KAFKA_OFFSET_END;
	err = ke_query_offsets(rk, list,
						   (int) Max(deadline - ke_query_now_ms(), 0));
	if (err == 0)
		err = part->error;
	if (err == 0)
		*high = part->offset;
	return err;
}

char *
ke_query_cluster_id(rd_kafka_t *rk, int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;

	for (;;)
	{
		char	   *id = rd_kafka_clusterid(rk, ke_query_slice(deadline));

		if (id != NULL)
		{
			char	   *copy = MemoryContextStrdup(CurrentMemoryContext, id);

			rd_kafka_mem_free(rk, id);
			return copy;
		}
		if (ke_query_slice(deadline) == 0)
			return NULL;
		CHECK_FOR_INTERRUPTS();
	}
}

/* Metadata of one topic, or of all if topic is NULL. */
static rd_kafka_resp_err_t
fetch_metadata(rd_kafka_t *rk, const char *topic,
			   const rd_kafka_metadata_t **metadata, int timeout_ms)
{
	rd_kafka_topic_t *only = NULL;
	rd_kafka_resp_err_t err;

	if (topic != NULL)
	{
		only = rd_kafka_topic_new(rk, topic, NULL);
		if (only == NULL)
			return rd_kafka_last_error();
	}
	err = rd_kafka_metadata(rk, topic == NULL, only, metadata, timeout_ms);
	if (only != NULL)
		rd_kafka_topic_destroy(only);
	return err;
}

/* Ask until there is an answer; the caller frees it. */
static rd_kafka_resp_err_t
ask_metadata(rd_kafka_t *rk, const char *topic,
			 const rd_kafka_metadata_t **metadata, int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;

	for (;;)
	{
		rd_kafka_resp_err_t err;

		CHECK_FOR_INTERRUPTS();
		err = fetch_metadata(rk, topic, metadata, ke_query_slice(deadline));
		if ((err != RD_KAFKA_RESP_ERR__TIMED_OUT &&
			 err != RD_KAFKA_RESP_ERR__TRANSPORT) ||
			ke_query_slice(deadline) == 0)
			return err;
	}
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
	}
	return result;
}

int
ke_query_topics(rd_kafka_t *rk, const char *topic, List **topics,
				int timeout_ms)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t err;

	*topics = NIL;
	err = ask_metadata(rk, topic, &metadata, timeout_ms);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;

	PG_TRY();
	{
		for (int i = 0; i < metadata->topic_cnt; i++)
			*topics = lappend(*topics, describe_topic(&metadata->topics[i]));
	}
	PG_FINALLY();
	{
		rd_kafka_metadata_destroy(metadata);
	}
	PG_END_TRY();
	return 0;
}

/*
 * The library cannot ask for no topic, so it asks for one that is small and
 * that every cluster has, sooner or later.  It is asked twice: the first time
 * may take a connection to be made.
 */
int
ke_query_brokers(rd_kafka_t *rk, int *brokers, int64 *latency_us,
				 int timeout_ms)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t err;
	instr_time	start;
	instr_time	took;

	err = ask_metadata(rk, SMALL_TOPIC, &metadata, timeout_ms);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	rd_kafka_metadata_destroy(metadata);

	INSTR_TIME_SET_CURRENT(start);
	err = ask_metadata(rk, SMALL_TOPIC, &metadata, timeout_ms);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err;
	INSTR_TIME_SET_CURRENT(took);
	INSTR_TIME_SUBTRACT(took, start);
	*latency_us = (int64) INSTR_TIME_GET_MICROSEC(took);
	*brokers = metadata->broker_cnt;
	rd_kafka_metadata_destroy(metadata);
	return 0;
}
