/*
 * producer.c
 *	  The idempotent producer of a relay, driven by events.
 *
 * Order is kept by three settings together.  The library's idempotence makes
 * its own repetitions harmless; one request at a time to each broker means
 * that nothing is on its way behind a batch that is refused; and the gapless
 * guarantee ends a strict producer right there.  One request at a time costs
 * little: what arrives meanwhile makes the next batch larger, so there is no
 * need to linger either.
 *
 * Records have no time to live: whoever reads the outbox wants to know what
 * becomes of them, however long brokers are away.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "kafka/config.h"
#include "kafka/handle.h"
#include "kafka/producer.h"
#include "kafka/query.h"

/* syslog's; what has it is not logged as a rule. */
#define INFO_SEVERITY 6

/* An answer that nobody waited for may be taken up by a later call. */
#define REPEAT_MS 20000

struct KeProducer
{
	KeHandle	handle;
	rd_kafka_event_t *reports;	/* is being handed out, or NULL */
	size_t		nreports;		/* of it that are left */
};

static KeProducer *
open_producer(const KeServerOptions *server, const KeMappingOptions *mapping,
			  const char *client_id, const KeSetting *settings)
{
	KeProducer *producer;

	ke_client_check_library();

	producer = MemoryContextAllocZero(TopMemoryContext, sizeof(KeProducer));
	ke_handle_open(&producer->handle, RD_KAFKA_PRODUCER,
				   ke_config_make(RD_KAFKA_PRODUCER, server, mapping,
								  client_id, settings));
	return producer;
}

/*
 * Records live as long as their transaction, which is short: until it is
 * through, others who read committed data wait behind it.
 */
KeProducer *
ke_producer_open_transactional(const KeServerOptions *server,
							   const KeMappingOptions *mapping,
							   const char *client_id,
							   const char *transactional_id)
{
	KeSetting	settings[] = {
		{"transactional.id", transactional_id},
		{"transaction.timeout.ms", CppAsString2(KE_TRANSACTION_TIMEOUT_MS)},
		{"linger.ms", "0"},
		{"compression.codec", server->compression},
		{"partitioner", "murmur2_random"},
		{"message.max.bytes", "100000000"},
		{"queue.buffering.max.kbytes", "131072"},
		{NULL, NULL}
	};

	return open_producer(server, mapping, client_id, settings);
}

KeProducer *
ke_producer_open(const KeServerOptions *server,
				 const KeMappingOptions *mapping, const char *client_id,
				 bool strict)
{
	KeSetting	settings[] = {
		{"enable.idempotence", "true"},
		{"max.in.flight.requests.per.connection", "1"},
		{"enable.gapless.guarantee", strict ? "true" : "false"},
		{"message.timeout.ms", "0"},
		{"linger.ms", "0"},
		{"compression.codec", server->compression},

		/* As the Java and JavaScript clients do; null keys spread. */
		{"partitioner", "murmur2_random"},

		/* The broker decides; and the caller how much is under way. */
		{"message.max.bytes", "100000000"},
		{"queue.buffering.max.kbytes", "131072"},
		{"queue.buffering.max.messages", "100000"},
		{NULL, NULL}
	};

	return open_producer(server, mapping, client_id, settings);
}

KeHandle *
ke_producer_handle(KeProducer *producer)
{
	return &producer->handle;
}

const char *
ke_producer_error_hint(int error)
{
	switch (error)
	{
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return "It may be one of Kafka's own topics, which take no messages of others.";
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
			return "Create the topic, or give the Kafka user Write on it.";
		default:
			return ke_client_hint_for(KE_PURPOSE_WRITE, error);
	}
}

/*
 * A producer that has nothing to send connects to nobody before half a second
 * has passed, so ask for something.
 */
char *
ke_producer_cluster_id(KeProducer *producer, int timeout_ms)
{
	KeHandle   *handle = &producer->handle;
	int64		latency_us;
	int			brokers;

	ke_query_repeat(handle, ke_clock_in(-REPEAT_MS), false);
	if (ke_query_brokers(handle, &brokers, &latency_us, timeout_ms) != 0)
		return NULL;
	return ke_query_cluster_id(handle, timeout_ms);
}

void
ke_producer_repeat(KeProducer *producer, KeMoment since)
{
	ke_query_repeat(&producer->handle, Max(since, ke_clock_in(-REPEAT_MS)),
					false);
}

int
ke_producer_topic(KeProducer *producer, const char *topic, KeTopicInfo *info,
				  int timeout_ms)
{
	List	   *topics;
	int			err;

	err = ke_query_topics(&producer->handle, topic, &topics, timeout_ms);
	if (err == 0 && topics == NIL)
		err = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
	if (err == 0)
		*info = *(KeTopicInfo *) linitial(topics);
	return err;
}

/* ------------------------------------------------------------------ send */

/* The library's copy; NULL without headers. */
static rd_kafka_headers_t *
make_headers(const KeRecord *record)
{
	rd_kafka_headers_t *headers;

	if (record->nheaders == 0)
		return NULL;
	headers = rd_kafka_headers_new(record->nheaders);
	for (int i = 0; i < record->nheaders; i++)
	{
		const KeHeader *header = &record->headers[i];

		rd_kafka_header_add(headers, header->name, -1, header->value,
							header->value != NULL ? header->value_len : 0);
	}
	return headers;
}

KeReport
ke_producer_judge(int error)
{
	switch ((rd_kafka_resp_err_t) error)
	{
		case RD_KAFKA_RESP_ERR_NO_ERROR:
			return KE_REPORT_DONE;

		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
			return KE_REPORT_TOPIC;

			/* One of Kafka's own topics says the first */
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
			return KE_REPORT_FORBIDDEN;

			/* Of the cluster or of us, whatever the record is */
		case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
		case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
		case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
		case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
		case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		case RD_KAFKA_RESP_ERR_SECURITY_DISABLED:
		case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
		case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
		case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
		case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
		case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
		case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
		case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
			return KE_REPORT_UNSENT;

			/* The library's own are negative: it could not, this time. */
		default:
			return error > 0 ? KE_REPORT_REFUSED : KE_REPORT_UNSENT;
	}
}

static void
fill_report(KeProducerEvent *event, uint64 id, rd_kafka_resp_err_t err)
{
	memset(event, 0, sizeof(KeProducerEvent));
	event->kind = KE_PRODUCER_REPORT;
	event->id = id;
	event->report = ke_producer_judge(err);
	event->too_large = err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
		err == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
	event->error = err;
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		event->text = rd_kafka_err2str(err);
}

KeSend
ke_producer_send(KeProducer *producer, const KeRecord *record, uint64 id,
				 KeProducerEvent *failure)
{
	rd_kafka_headers_t *headers = make_headers(record);
	rd_kafka_resp_err_t err;

	err = rd_kafka_producev(producer->handle.rk,
							RD_KAFKA_V_TOPIC(record->topic),
							RD_KAFKA_V_PARTITION(record->partition),
							RD_KAFKA_V_KEY(record->key, record->key_len),
							RD_KAFKA_V_VALUE(unconstify(char *, record->value),
											 record->value_len),
							RD_KAFKA_V_HEADERS(headers),
							RD_KAFKA_V_OPAQUE((void *) (uintptr_t) id),
							RD_KAFKA_V_END);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return KE_SEND_TAKEN;
	if (headers != NULL)
		rd_kafka_headers_destroy(headers);
	if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return KE_SEND_FULL;
	fill_report(failure, id, err);
	return KE_SEND_FAILED;
}

void
ke_producer_recall(KeProducer *producer)
{
	rd_kafka_purge(producer->handle.rk,
				   RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

/* ---------------------------------------------------------------- events */

int
ke_producer_fd(KeProducer *producer)
{
	return producer->handle.wakeup.read_fd;
}

void
ke_producer_drain_fd(KeProducer *producer)
{
	ke_wakeup_drain(&producer->handle.wakeup);
}

/* From now on it is handed out. */
static void
begin_reports(KeProducer *producer, rd_kafka_event_t *rkev)
{
	producer->reports = rkev;
	producer->nreports = rd_kafka_event_message_count(rkev);
}

static void
end_reports(KeProducer *producer)
{
	if (producer->reports != NULL)
		rd_kafka_event_destroy(producer->reports);
	producer->reports = NULL;
}

/*
 * The next report of the event at hand; true if there was one.  The event is
 * destroyed with its last one: until then the library counts its records as
 * under way, and the commit of a transaction waits for them.
 */
static bool
take_report(KeProducer *producer, KeProducerEvent *event)
{
	const rd_kafka_message_t *message = NULL;

	if (producer->reports == NULL)
		return false;
	if (producer->nreports > 0)
		message = rd_kafka_event_message_next(producer->reports);
	if (message != NULL)
		fill_report(event, (uint64) (uintptr_t) message->_private,
					message->err);
	if (message == NULL || --producer->nreports == 0)
		end_reports(producer);
	return message != NULL;
}

static void
take_error(KeProducer *producer, rd_kafka_event_t *rkev,
		   KeProducerEvent *event)
{
	char		reason[512];

	if (rd_kafka_event_error_is_fatal(rkev))
	{
		event->kind = KE_PRODUCER_FATAL;
		event->error = rd_kafka_fatal_error(producer->handle.rk, reason,
											sizeof(reason));
		if (event->error != RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE)
			event->text = pstrdup(reason);
		return;
	}
	event->kind = KE_PRODUCER_ERROR;
	event->text = pstrdup(ke_handle_explain(&producer->handle, rkev,
											&event->error));
}

/*
 * That the guarantee is experimental is no news to anybody, nor is that a
 * producer has stopped: that is an event, too.
 */
static bool
is_known(const char *facility, const char *text)
{
	return strcmp(facility, "FATAL") == 0 ||
		(strcmp(facility, "CONFWARN") == 0 &&
		 strstr(text, "enable.gapless.guarantee") != NULL);
}

static void
take_log(rd_kafka_event_t *rkev, KeProducerEvent *event)
{
	const char *facility;
	const char *text;

	event->kind = KE_PRODUCER_LOG;
	rd_kafka_event_log(rkev, &facility, &text, &event->severity);
	if (is_known(facility, text))
		event->severity = INFO_SEVERITY;
	event->text = psprintf("%s: %s", facility, text);
}

/* What is no report; the library's event is destroyed in any case. */
static void
take_event(KeProducer *producer, rd_kafka_event_t *rkev,
		   KeProducerEvent *event)
{
	memset(event, 0, sizeof(KeProducerEvent));
	PG_TRY();
	{
		if (rd_kafka_event_type(rkev) == RD_KAFKA_EVENT_ERROR)
			take_error(producer, rkev, event);
		else
		{
			ke_handle_hear_log(&producer->handle, rkev);
			take_log(rkev, event);
		}
	}
	PG_CATCH();
	{
		rd_kafka_event_destroy(rkev);
		PG_RE_THROW();
	}
	PG_END_TRY();
	rd_kafka_event_destroy(rkev);
}

bool
ke_producer_poll(KeProducer *producer, KeProducerEvent *event)
{
	return ke_producer_wait(producer, 0, event);
}

bool
ke_producer_wait(KeProducer *producer, int timeout_ms, KeProducerEvent *event)
{
	for (;;)
	{
		rd_kafka_event_t *rkev;

		if (take_report(producer, event))
			return true;
		rkev = rd_kafka_queue_poll(producer->handle.queue, timeout_ms);
		if (rkev == NULL)
			return false;
		switch (rd_kafka_event_type(rkev))
		{
			case RD_KAFKA_EVENT_DR:
				begin_reports(producer, rkev);
				break;
			case RD_KAFKA_EVENT_ERROR:
			case RD_KAFKA_EVENT_LOG:
				take_event(producer, rkev, event);
				return true;
			default:
				rd_kafka_event_destroy(rkev);
				break;
		}
	}
}

void
ke_producer_close(KeProducer *producer)
{
	end_reports(producer);
	ke_handle_destroy(&producer->handle);
	pfree(producer);
}
