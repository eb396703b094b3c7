/*
 * consumer.c
 *	  A member of a consumer group: joining, assignment, commits, leaving.
 *
 * The library's answers to (un)assign, pause and commit calls come from its
 * main thread without talking to a broker, so those calls do not wait.  Lists
 * made for the library are destroyed before anything here can raise.
 *
 * Only cooperative-sticky is offered to the group, so every rebalance is
 * incremental: with members that offer something else alone we cannot join
 * (INCONSISTENT_GROUP_PROTOCOL), and members of the newer consumer protocol
 * make no difference.
 *
 * With that protocol (KIP-848) the brokers assign, incrementally too, and we
 * are no static member: there it is the newcomer who is refused, so a killed
 * process's place would stay closed for its successor until the brokers'
 * session timeout, and whoever leaves for good could not say so.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "kafka/config.h"
#include "kafka/consumer_internal.h"
#include "kafka/partition_list.h"
#include "kafka/query.h"

/* Bounds of a partition that are older are asked for anew. */
#define BOUNDS_MS 20000

/* ---- opening ---- */

static const char *
number(int value)
{
	return psprintf("%d", value);
}

static rd_kafka_conf_t *
make_config(const KeServerOptions *server, const KeMappingOptions *mapping,
			const KeMembership *member)
{
	bool		classic = !server->consumer_protocol;
	KeSetting	settings[] = {
		{"group.id", member->group_id},
		{"group.protocol", classic ? NULL : "consumer"},
		{"group.instance.id", classic ? member->instance_id : NULL},
		{"partition.assignment.strategy",
		classic ? "cooperative-sticky" : NULL},
		{"session.timeout.ms",
		classic ? number(server->session_timeout) : NULL},
		{"heartbeat.interval.ms",
		classic ? number(server->heartbeat_interval) : NULL},
		{"max.poll.interval.ms", number(server->max_poll_interval)},

		/* Positions are ours: nothing is stored, committed or guessed. */
		{"enable.auto.commit", "false"},
		{"enable.auto.offset.store", "false"},
		{"auto.offset.reset", "error"},
		{"enable.partition.eof", "true"},
		{"isolation.level", "read_committed"},

		{"fetch.wait.max.ms", number(member->fetch_wait > 0 ?
									 member->fetch_wait : server->fetch_wait)},
		{"queued.min.messages", number(KE_QUEUE_MESSAGES)},
		{"queued.max.messages.kbytes", number(KE_QUEUE_KBYTES)},
		{"fetch.queue.backoff.ms",
		ke_client_library_version() >= 0x02020000 ? "2" : NULL},

		/* The only way to hear of last stable offsets. */
		{"statistics.interval.ms", "5000"},
		{NULL, NULL}
	};

	return ke_config_make(RD_KAFKA_CONSUMER, server, mapping,
						  member->client_id, settings);
}

/* What a numeric property is, whoever set it. */
static int64
property(KeConsumer *consumer, const char *name)
{
	char		value[32];
	size_t		size = sizeof(value);

	if (rd_kafka_conf_get(rd_kafka_conf(consumer->handle.rk), name, value,
						  &size) != RD_KAFKA_CONF_OK)
		elog(ERROR, "could not read Kafka property %s", name);
	return strtoll(value, NULL, 10);
}

KeConsumer *
ke_consumer_open(const KeServerOptions *server,
				 const KeMappingOptions *mapping, const KeMembership *member)
{
	KeConsumer *consumer;

	ke_client_check_library();
	if (server->consumer_protocol && !ke_client_has_consumer_protocol())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("group_protocol consumer needs librdkafka %s or later; this is %s",
						KE_CLIENT_CONSUMER_PROTOCOL_SINCE,
						ke_client_library_name())));

	consumer = MemoryContextAllocZero(TopMemoryContext, sizeof(KeConsumer));
	ke_consumer_partitions_make(consumer);
	consumer->username =
		MemoryContextStrdup(TopMemoryContext,
							mapping->username ? mapping->username : "");
	consumer->password =
		MemoryContextStrdup(TopMemoryContext,
							mapping->password ? mapping->password : "");
	consumer->polled_at_ms = ke_query_now_ms();

	ke_handle_open(&consumer->handle, RD_KAFKA_CONSUMER,
				   make_config(server, mapping, member));

	consumer->consumer_protocol = server->consumer_protocol;
	if (consumer->consumer_protocol)
		ke_consumer_close_at_exit(consumer);

	ke_query_repeat(&consumer->handle, ke_clock_now(), false);

	/* Four times while a full queue is emptied. */
	consumer->needs_nudge = ke_client_library_version() < 0x02020000;
	consumer->nudge_messages = property(consumer, "queued.min.messages") / 4;
	consumer->nudge_bytes =
		property(consumer, "queued.max.messages.kbytes") * 1024 / 4;
	return consumer;
}

char *
ke_consumer_cluster_id(KeConsumer *consumer, int timeout_ms)
{
	return ke_query_cluster_id(&consumer->handle, timeout_ms);
}

int
ke_consumer_fd(KeConsumer *consumer)
{
	return consumer->handle.wakeup.read_fd;
}

void
ke_consumer_drain_fd(KeConsumer *consumer)
{
	ke_wakeup_drain(&consumer->handle.wakeup);
}

/* ---- the library's refusals ---- */

static void
check_code(rd_kafka_resp_err_t err, const char *doing)
{
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not %s: %s", doing, rd_kafka_err2str(err))));
}

static void
check_error(rd_kafka_error_t *error, const char *doing)
{
	char		reason[512];

	if (error == NULL)
		return;
	strlcpy(reason, rd_kafka_error_string(error), sizeof(reason));
	rd_kafka_error_destroy(error);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("could not %s: %s", doing, reason)));
}

/* A rebalance that waits for its answer would take the call for it. */
static void
check_settled(KeConsumer *consumer)
{
	if (consumer->rebalancing)
		elog(ERROR, "rebalance event has not been answered");
}

/* ---- subscription ---- */

void
ke_consumer_subscribe(KeConsumer *consumer, const char **topics, int ntopics)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;

	check_settled(consumer);

	list = rd_kafka_topic_partition_list_new(ntopics);
	for (int i = 0; i < ntopics; i++)
		rd_kafka_topic_partition_list_add(list, topics[i],
										  RD_KAFKA_PARTITION_UA);
	err = rd_kafka_subscribe(consumer->handle.rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	check_code(err, "subscribe to Kafka topics");
	consumer->subscribed = true;
}

void
ke_consumer_unsubscribe(KeConsumer *consumer)
{
	check_settled(consumer);
	check_code(rd_kafka_unsubscribe(consumer->handle.rk),
			   "unsubscribe from Kafka topics");
	consumer->subscribed = false;
}

/* ---- assignment ---- */

static rd_kafka_topic_partition_list_t *
current_assignment(KeConsumer *consumer)
{
	rd_kafka_topic_partition_list_t *current;
	rd_kafka_resp_err_t err;

	err = rd_kafka_assignment(consumer->handle.rk, &current);
	check_code(err, "read the Kafka assignment");
	return current;
}

/*
 * Those of list that are assigned: what was never assigned (because it cannot
 * be read) cannot be unassigned either, and the call would fail as a whole.
 */
static rd_kafka_topic_partition_list_t *
assigned_part(KeConsumer *consumer, const KePartitionList *list)
{
	rd_kafka_topic_partition_list_t *current = current_assignment(consumer);
	rd_kafka_topic_partition_list_t *result;

	result = rd_kafka_topic_partition_list_new(list->count);
	for (int i = 0; i < list->count; i++)
	{
		const KeKafkaPartition *part = &list->parts[i];
		rd_kafka_topic_partition_t *added;

		if (rd_kafka_topic_partition_list_find(current, part->topic,
											   part->partition) == NULL)
			continue;
		added = rd_kafka_topic_partition_list_add(result, part->topic,
												  part->partition);
		added->offset = part->offset;
	}
	rd_kafka_topic_partition_list_destroy(current);
	return result;
}

void
ke_consumer_assign(KeConsumer *consumer, KePartitionList *list)
{
	rd_kafka_topic_partition_list_t *added =
		ke_partition_list_to_library(list);
	rd_kafka_error_t *error;

	error = rd_kafka_incremental_assign(consumer->handle.rk, added);
	rd_kafka_topic_partition_list_destroy(added);
	check_error(error, "assign Kafka partitions");
	consumer->rebalancing = false;
}

static rd_kafka_error_t *
unassign(KeConsumer *consumer,
		 const rd_kafka_topic_partition_list_t *partitions)
{
	/* The library may free the topic's object now. */
	consumer->last_topic = NULL;
	return rd_kafka_incremental_unassign(consumer->handle.rk, partitions);
}

void
ke_consumer_unassign(KeConsumer *consumer, KePartitionList *list)
{
	rd_kafka_topic_partition_list_t *taken;
	rd_kafka_error_t *error;

	/* A pause would still be there when a partition comes back. */
	ke_consumer_resume(consumer, list);

	taken = assigned_part(consumer, list);
	error = unassign(consumer, taken);
	rd_kafka_topic_partition_list_destroy(taken);
	check_error(error, "give up Kafka partitions");
	consumer->rebalancing = false;
}

void
ke_consumer_restart(KeConsumer *consumer, KePartitionList *list)
{
	rd_kafka_topic_partition_list_t *moved;
	rd_kafka_error_t *error;

	check_settled(consumer);
	moved = assigned_part(consumer, list);
	error = unassign(consumer, moved);
	if (error == NULL)
		error = rd_kafka_incremental_assign(consumer->handle.rk, moved);
	rd_kafka_topic_partition_list_destroy(moved);
	check_error(error, "move in Kafka partitions");
}

/*
 * Those of list that are assigned and whose pause is not yet what it is to
 * be.  Resuming a partition that is not paused is not harmless: before
 * librdkafka 2.4.0 it fetches again from where it started.
 */
static KePartitionList *
to_be_changed(KeConsumer *consumer, const KePartitionList *list, bool pause)
{
	KePartitionList *result = ke_partition_list_make(list->count);

	for (int i = 0; i < list->count; i++)
	{
		const KeKafkaPartition *part = &list->parts[i];

		if (ke_consumer_partitions_find(consumer, part->topic,
										part->partition)->paused != pause)
			ke_partition_list_add(result, part->topic, part->partition, 0);
	}
	return result;
}

static void
set_paused(KeConsumer *consumer, const KePartitionList *list, bool pause)
{
	KePartitionList *wanted = to_be_changed(consumer, list, pause);
	rd_kafka_topic_partition_list_t *changed;
	rd_kafka_resp_err_t err;

	if (wanted->count == 0)
		return;
	changed = assigned_part(consumer, wanted);
	if (pause)
		err = rd_kafka_pause_partitions(consumer->handle.rk, changed);
	else
		err = rd_kafka_resume_partitions(consumer->handle.rk, changed);
	for (int i = 0; i < changed->cnt && err == 0; i++)
		ke_consumer_partitions_find(consumer, changed->elems[i].topic,
									changed->elems[i].partition)->paused =
										pause;
	rd_kafka_topic_partition_list_destroy(changed);
	check_code(err, pause ? "pause Kafka partitions" :
			   "resume Kafka partitions");
}

void
ke_consumer_pause(KeConsumer *consumer, KePartitionList *list)
{
	set_paused(consumer, list, true);
}

void
ke_consumer_resume(KeConsumer *consumer, KePartitionList *list)
{
	set_paused(consumer, list, false);
}

/* ---- questions and commits ---- */

KeHandle *
ke_consumer_handle(KeConsumer *consumer)
{
	return &consumer->handle;
}

/*
 * What nobody waited for may be taken up by the next call, as long as the
 * assignment is the same: what was committed is asked for before we commit.
 */
int
ke_consumer_committed(KeConsumer *consumer, KePartitionList *list,
					  int timeout_ms)
{
	return ke_query_committed(&consumer->handle, list, timeout_ms);
}

int
ke_consumer_watermarks(KeConsumer *consumer, const char *topic,
					   int32 partition, int64 *low, int64 *high,
					   int timeout_ms)
{
	KeHandle   *handle = &consumer->handle;
	KeMoment	assigned_at = handle->repeat_since;
	int			error;

	/* Bounds move: old ones would put the position outside of them. */
	ke_query_repeat(handle, Max(assigned_at, ke_clock_in(-BOUNDS_MS)), false);
	error = ke_query_watermarks(handle, topic, partition, low, high,
								timeout_ms);
	ke_query_repeat(handle, assigned_at, false);
	return error;
}

void
ke_consumer_commit(KeConsumer *consumer, KePartitionList *list)
{
	rd_kafka_topic_partition_list_t *offsets =
		ke_partition_list_to_library(list);
	rd_kafka_resp_err_t err;

	err = rd_kafka_commit_queue(consumer->handle.rk, offsets,
								consumer->handle.queue, NULL, NULL);
	rd_kafka_topic_partition_list_destroy(offsets);
	check_code(err, "commit Kafka offsets");
}

/* Wait for the answer to a commit in a queue of its own. */
static int
await_commit(rd_kafka_queue_t *queue, KePartitionList *list, int timeout_ms)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;

	for (;;)
	{
		rd_kafka_event_t *rkev;

		CHECK_FOR_INTERRUPTS();
		rkev = rd_kafka_queue_poll(queue, ke_query_slice(deadline));
		if (rkev != NULL)
		{
			int			error = rd_kafka_event_error(rkev);
			rd_kafka_topic_partition_list_t *answers;

			answers = rd_kafka_event_topic_partition_list(rkev);
			for (int i = 0; answers != NULL && i < list->count; i++)
				list->parts[i].error = answers->elems[i].err;
			rd_kafka_event_destroy(rkev);
			return error;
		}
		if (ke_query_slice(deadline) == 0)
			return RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
}

int
ke_consumer_commit_wait(KeConsumer *consumer, KePartitionList *list,
						int timeout_ms)
{
	rd_kafka_topic_partition_list_t *offsets =
		ke_partition_list_to_library(list);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->handle.rk);
	volatile int error;

	error = rd_kafka_commit_queue(consumer->handle.rk, offsets, queue,
								  NULL, NULL);
	rd_kafka_topic_partition_list_destroy(offsets);

	PG_TRY();
	{
		if (error == 0)
			error = await_commit(queue, list, timeout_ms);
	}
	PG_FINALLY();
	{
		rd_kafka_queue_destroy(queue);
	}
	PG_END_TRY();
	return error;
}
