/*
 * producer.h
 *	  The idempotent producer of a relay, driven by events; and the one for
 *	  transactions of a task process.
 *
 * What is sent to one partition arrives in the order it was sent, once: the
 * library tries again by itself, for ever, whatever happens to brokers.  A
 * record that a broker will never take is another matter.  The report names
 * it together with all records of its batch, and then:
 *
 *	  - a strict producer sends nothing more, so that what comes after cannot
 *		overtake what is sent again.  KE_PRODUCER_FATAL says so, records that
 *		had not been sent are reported as KE_REPORT_UNSENT, and the producer
 *		is to be closed when all reports are in;
 *	  - one that is not strict goes on: it is for records sent alone.
 *
 * The records' bytes belong to the caller, and must stay until their report.
 */
#ifndef KE_PRODUCER_H
#define KE_PRODUCER_H

#include "core/clock.h"
#include "core/message.h"
#include "kafka/client.h"

typedef struct KeProducer KeProducer;

typedef struct KeRecord
{
	const char *topic;
	int32		partition;		/* -1: by key */
	const char *key;			/* NULL: none, so for value */
	int32		key_len;
	const char *value;
	int32		value_len;
	const KeHeader *headers;
	int			nheaders;
} KeRecord;

/* What has become of a record. */
typedef enum KeReport
{
	KE_REPORT_DONE,				/* the cluster has it */
	KE_REPORT_REFUSED,			/* its batch will never be taken */
	KE_REPORT_TOPIC,			/* the topic, or partition, is not there now */
	KE_REPORT_FORBIDDEN,		/* the topic takes nothing from us */
	KE_REPORT_UNSENT			/* nothing is wrong with it: send it again */
} KeReport;

typedef enum KeProducerEventKind
{
	KE_PRODUCER_REPORT,			/* id, report; error and text unless done */
	KE_PRODUCER_ERROR,			/* error, text: may pass by itself */
	KE_PRODUCER_FATAL,			/* sends nothing more: error, text (NULL: a
								 * record of a strict one was refused) */
	KE_PRODUCER_LOG				/* text, severity (syslog): for the log */
} KeProducerEventKind;

typedef struct KeProducerEvent
{
	KeProducerEventKind kind;
	uint64		id;
	KeReport	report;
	bool		too_large;		/* REFUSED for its size */
	int			error;
	int			severity;
	const char *text;			/* in the context current at the poll */
} KeProducerEvent;

/* Raises if a property is refused. */
extern KeProducer *ke_producer_open(const KeServerOptions *server,
									const KeMappingOptions *mapping,
									const char *client_id, bool strict);

/* How long the coordinator bears with a transaction; then it aborts it. */
#define KE_TRANSACTION_TIMEOUT_MS 10000

/* The same for kafka/transaction. */
extern KeProducer *
			ke_producer_open_transactional(const KeServerOptions *server,
										   const KeMappingOptions *mapping,
										   const char *client_id,
										   const char *transactional_id);

/* What an error of a record, or of its batch, means for the record. */
extern KeReport ke_producer_judge(int error);

/* What to do about it, or NULL. */
extern const char *ke_producer_error_hint(int error);

/* For kafka/topic_admin; lives as long as the producer. */
extern KeHandle *ke_producer_handle(KeProducer *producer);

/* The cluster's id, waiting at most timeout_ms in slices; NULL if none yet. */
extern char *ke_producer_cluster_id(KeProducer *producer, int timeout_ms);

/*
 * From now on the answer to a question that was asked since then, and that
 * nobody waited for any more, may be used once; a new producer asks anew.
 */
extern void ke_producer_repeat(KeProducer *producer, KeMoment since);

/*
 * Ask for a topic as it is now, which also tells the library.  Returns 0 or
 * the error of the call; that of the topic is in info.
 */
extern int	ke_producer_topic(KeProducer *producer, const char *topic,
							  KeTopicInfo *info, int timeout_ms);

typedef enum KeSend
{
	KE_SEND_TAKEN,				/* a report with its id will come */
	KE_SEND_FULL,				/* the queue is; try again after reports */
	KE_SEND_FAILED				/* report, error and text tell why */
} KeSend;

/* Never blocks. */
extern KeSend ke_producer_send(KeProducer *producer, const KeRecord *record,
							   uint64 id, KeProducerEvent *failure);

/* Becomes readable when an event waits; drain it, then poll. */
extern int	ke_producer_fd(KeProducer *producer);
extern void ke_producer_drain_fd(KeProducer *producer);

/* Next event, without waiting.  True if any. */
extern bool ke_producer_poll(KeProducer *producer, KeProducerEvent *event);

/* The same, waiting for it; at most timeout_ms. */
extern bool ke_producer_wait(KeProducer *producer, int timeout_ms,
							 KeProducerEvent *event);

/* Report what has not been sent yet as unsent. */
extern void ke_producer_recall(KeProducer *producer);

/*
 * Within 10 s, or the process ends.  Reports that have not been polled never
 * come, and the records' bytes are not used any more.
 */
extern void ke_producer_close(KeProducer *producer);

#endif							/* KE_PRODUCER_H */
