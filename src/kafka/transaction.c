/*
 * transaction.c
 *	  Kafka transactions of a producer that was opened for them.
 *
 * A call whose slice is over goes on in the library, and is resumed by the
 * same call.  When the whole time is over, or the connection was lost in the
 * middle, nobody knows what the coordinator will make of it: a request still
 * under way could even end a later transaction.  Only a new producer, whose
 * init_transactions waits for all of that, can go on then.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"

#include "kafka/asked.h"
#include "kafka/handle.h"
#include "kafka/partition_list.h"
#include "kafka/query.h"
#include "kafka/transaction.h"

/* What an error of the transactional calls means; the only place. */
static KeTransactionResult
judge(const rd_kafka_error_t *error)
{
	switch (rd_kafka_error_code(error))
	{
		case RD_KAFKA_RESP_ERR__FENCED:
		case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
		case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
			return KE_TRANSACTION_FENCED;
		case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
			return KE_TRANSACTION_REFUSED;
		default:
			break;
	}
	if (rd_kafka_error_is_fatal(error))
		return KE_TRANSACTION_RENEW;
	if (rd_kafka_error_txn_requires_abort(error))
		return KE_TRANSACTION_ABORT;
	return KE_TRANSACTION_RENEW;
}

/* The error is destroyed. */
static KeTransactionResult
conclude(rd_kafka_error_t *error, KeTrouble *trouble)
{
	KeTransactionResult verdict = judge(error);

	trouble->error = rd_kafka_error_code(error);
	strlcpy(trouble->text, rd_kafka_error_string(error),
			sizeof(trouble->text));
	rd_kafka_error_destroy(error);
	return verdict;
}

/*
 * What an abort purges is reported, too, and has to be taken for the abort
 * to go on; so are errors and logs.
 */
static void
drain(KeProducer *producer)
{
	KeProducerEvent event;

	while (ke_producer_poll(producer, &event))
		 /* nobody waits for it */ ;
}

typedef rd_kafka_error_t *(*Call) (rd_kafka_t *rk, int timeout_ms);

/* Call again while it says that it may be, until time is up. */
static KeTransactionResult
call_in_slices(KeProducer *producer, Call call, int timeout_ms,
			   KeTrouble *trouble)
{
	int64		deadline = ke_query_now_ms() + timeout_ms;

	for (;;)
	{
		rd_kafka_error_t *error;

		CHECK_FOR_INTERRUPTS();
		error = call(ke_producer_handle(producer)->rk,
					 Max(ke_query_slice(deadline), 1));
		if (error == NULL)
			return KE_TRANSACTION_DONE;
		if (!rd_kafka_error_is_retriable(error) ||
			ke_query_slice(deadline) == 0)
			return conclude(error, trouble);
		rd_kafka_error_destroy(error);
		drain(producer);
	}
}

static rd_kafka_error_t *
call_init(rd_kafka_t *rk, int timeout_ms)
{
	return rd_kafka_init_transactions(rk, timeout_ms);
}

KeTransactionResult
ke_transaction_init(KeProducer *producer, int timeout_ms, KeTrouble *trouble)
{
	return call_in_slices(producer, call_init, timeout_ms, trouble);
}

KeTransactionResult
ke_transaction_begin(KeProducer *producer, KeTrouble *trouble)
{
	rd_kafka_error_t *error;

	error = rd_kafka_begin_transaction(ke_producer_handle(producer)->rk);
	return error == NULL ? KE_TRANSACTION_DONE : conclude(error, trouble);
}

/*
 * One that cannot go on answers every call with its reason.  The beginning of
 * another is refused while it is open, so that asking changes nothing.
 */
bool
ke_transaction_has_failed(KeProducer *producer, KeTrouble *trouble)
{
	rd_kafka_error_t *error;
	bool		failed;

	error = rd_kafka_begin_transaction(ke_producer_handle(producer)->rk);
	failed = error != NULL && (rd_kafka_error_txn_requires_abort(error) ||
							   rd_kafka_error_is_fatal(error));
	if (failed)
		(void) conclude(error, trouble);
	else if (error != NULL)
		rd_kafka_error_destroy(error);
	return failed;
}

/*
 * The one call that the library does not resume, but begins anew: it is made
 * once, by a thread.  asked->topic is the group.
 */
static int
call_offsets(rd_kafka_t *rk, KeAsked *asked, int timeout_ms)
{
	rd_kafka_consumer_group_metadata_t *group;

	group = rd_kafka_consumer_group_metadata_new(asked->topic);
	asked->refusal = rd_kafka_send_offsets_to_transaction(rk, asked->list,
														  group, timeout_ms);
	rd_kafka_consumer_group_metadata_destroy(group);
	return 0;
}

KeTransactionResult
ke_transaction_offsets(KeProducer *producer, const char *group_id,
					   const KePartitionList *offsets, int timeout_ms,
					   KeTrouble *trouble)
{
	KeHandle   *handle = ke_producer_handle(producer);
	KeMoment	deadline = ke_clock_in(timeout_ms);
	rd_kafka_error_t *refusal;
	KeAsked    *asked;
	int			error;

	ke_asked_sweep(handle);
	asked = ke_asked_send(handle, call_offsets, group_id,
						  ke_partition_list_to_library(offsets), timeout_ms);
	error = ke_asked_wait(asked, deadline);
	if (error != 0)
	{
		trouble->error = error;
		strlcpy(trouble->text, rd_kafka_err2str(error),
				sizeof(trouble->text));
		return KE_TRANSACTION_RENEW;
	}
	refusal = asked->refusal;
	asked->refusal = NULL;
	return refusal == NULL ? KE_TRANSACTION_DONE : conclude(refusal, trouble);
}

static rd_kafka_error_t *
call_commit(rd_kafka_t *rk, int timeout_ms)
{
	return rd_kafka_commit_transaction(rk, timeout_ms);
}

KeTransactionResult
ke_transaction_commit(KeProducer *producer, int timeout_ms,
					  KeTrouble *trouble)
{
	return call_in_slices(producer, call_commit, timeout_ms, trouble);
}

static rd_kafka_error_t *
call_abort(rd_kafka_t *rk, int timeout_ms)
{
	/* Short slices: the reports of what it purges are taken in between. */
	return rd_kafka_abort_transaction(rk, Min(timeout_ms, 20));
}

KeTransactionResult
ke_transaction_abort(KeProducer *producer, int timeout_ms, KeTrouble *trouble)
{
	drain(producer);
	return call_in_slices(producer, call_abort, timeout_ms, trouble);
}
