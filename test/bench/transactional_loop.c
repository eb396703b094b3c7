/*
 * transactional_loop.c
 *	  What kafka_dlq_reprocess is compared with: a plain loop that consumes a
 *	  topic and sends all of it to another one, so many messages and the
 *	  group's offsets in each transaction.
 *
 * transactional_loop BROKER FROM TO GROUP COUNT CHUNK
 *
 * Key, value and headers are those that were read.  It ends when COUNT
 * messages are through, and prints the seconds that took, from the first call
 * of the library on.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_MS 30000

static void
fail(const char *doing, const char *why)
{
	fprintf(stderr, "could not %s: %s\n", doing, why);
	exit(1);
}

static void
check(const char *doing, rd_kafka_error_t *error)
{
	if (error != NULL)
		fail(doing, rd_kafka_error_string(error));
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* The settings end with NULL. */
static rd_kafka_t *
open_client(rd_kafka_type_t type, const char *const *settings)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		reason[512];
	rd_kafka_t *rk;

	for (; *settings != NULL; settings += 2)
	{
		if (rd_kafka_conf_set(conf, settings[0], settings[1], reason,
							  sizeof(reason)) != RD_KAFKA_CONF_OK)
			fail("configure the client", reason);
	}
	rk = rd_kafka_new(type, conf, reason, sizeof(reason));
	if (rk == NULL)
		fail("open the client", reason);
	return rk;
}

static rd_kafka_t *
open_consumer(const char *broker, const char *topic, const char *group)
{
	const char *const settings[] = {
		"bootstrap.servers", broker, "group.id", group,
		"enable.auto.commit", "false", "auto.offset.reset", "earliest",
		"isolation.level", "read_committed", NULL
	};
	rd_kafka_t *rk = open_client(RD_KAFKA_CONSUMER, settings);
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(1);

	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
	if (rd_kafka_subscribe(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("subscribe", topic);
	rd_kafka_topic_partition_list_destroy(list);
	return rk;
}

static rd_kafka_t *
open_producer(const char *broker, const char *group)
{
	const char *const settings[] = {
		"bootstrap.servers", broker, "transactional.id", group,
		"linger.ms", "0", "compression.codec", "lz4",
		"queue.buffering.max.messages", "100000", NULL
	};
	rd_kafka_t *rk = open_client(RD_KAFKA_PRODUCER, settings);

	check("begin", rd_kafka_init_transactions(rk, TIMEOUT_MS));
	return rk;
}

static void
pass_on(rd_kafka_t *producer, const char *to, const rd_kafka_message_t *msg)
{
	rd_kafka_headers_t *headers = NULL;
	rd_kafka_resp_err_t error;

	if (rd_kafka_message_headers(msg, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
		headers = rd_kafka_headers_copy(headers);
	error = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(to),
							  RD_KAFKA_V_KEY(msg->key, msg->key_len),
							  RD_KAFKA_V_VALUE(msg->payload, msg->len),
							  RD_KAFKA_V_HEADERS(headers),
							  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
							  RD_KAFKA_V_END);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("send", rd_kafka_err2str(error));
}

static void
commit(rd_kafka_t *consumer, rd_kafka_t *producer)
{
	rd_kafka_consumer_group_metadata_t *group =
		rd_kafka_consumer_group_metadata(consumer);
	rd_kafka_topic_partition_list_t *offsets;

	rd_kafka_assignment(consumer, &offsets);
	rd_kafka_position(consumer, offsets);
	check("send offsets",
		  rd_kafka_send_offsets_to_transaction(producer, offsets, group,
											   TIMEOUT_MS));
	check("commit", rd_kafka_commit_transaction(producer, TIMEOUT_MS));
	rd_kafka_topic_partition_list_destroy(offsets);
	rd_kafka_consumer_group_metadata_destroy(group);
}

int
main(int argc, char **argv)
{
	double		began = now();
	long		left;
	int			chunk;
	rd_kafka_t *consumer;
	rd_kafka_t *producer;

	if (argc != 7)
		fail("start", "transactional_loop BROKER FROM TO GROUP COUNT CHUNK");
	left = atol(argv[5]);
	chunk = atoi(argv[6]);
	consumer = open_consumer(argv[1], argv[2], argv[4]);
	producer = open_producer(argv[1], argv[4]);
	while (left > 0)
	{
		int			sent = 0;

		check("begin", rd_kafka_begin_transaction(producer));
		while (sent < chunk && sent < left)
		{
			rd_kafka_message_t *msg = rd_kafka_consumer_poll(consumer, 1000);

			if (msg == NULL)
				continue;
			if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR)
				fail("read", rd_kafka_message_errstr(msg));
			pass_on(producer, argv[3], msg);
			rd_kafka_message_destroy(msg);
			rd_kafka_poll(producer, 0);
			sent++;
		}
		commit(consumer, producer);
		left -= sent;
	}
	printf("%.3f\n", now() - began);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
	rd_kafka_destroy(producer);
	return 0;
}
