/*
 * transaction.h
 *	  Kafka transactions of a producer that was opened for them.
 *
 * Each call waits in slices with CHECK_FOR_INTERRUPTS between, never raises
 * for a broker's trouble, and returns what is to be done next: that decision
 * is made in one place, for all of them.
 */
#ifndef KE_TRANSACTION_H
#define KE_TRANSACTION_H

#include "kafka/producer.h"

typedef enum KeTransactionResult
{
	KE_TRANSACTION_DONE,
	KE_TRANSACTION_ABORT,		/* abort it; then it may be tried again */
	KE_TRANSACTION_RENEW,		/* how it ended only a new producer can tell */
	KE_TRANSACTION_FENCED,		/* another producer has our place */
	KE_TRANSACTION_REFUSED		/* we may not, or the cluster cannot */
} KeTransactionResult;

/* Why a verdict is not KE_TRANSACTION_DONE. */
typedef struct KeTrouble
{
	int			error;
	char		text[256];
} KeTrouble;

/* Whoever had our transactional.id is fenced, and its transaction ended. */
extern KeTransactionResult ke_transaction_init(KeProducer *producer,
											   int timeout_ms,
											   KeTrouble *trouble);
extern KeTransactionResult ke_transaction_begin(KeProducer *producer,
												KeTrouble *trouble);

/*
 * Records of the open transaction have failed: why the library wants it to be
 * aborted.  False if it does not.
 */
extern bool ke_transaction_has_failed(KeProducer *producer,
									  KeTrouble *trouble);

/* Offsets of a group that has no members. */
extern KeTransactionResult
			ke_transaction_offsets(KeProducer *producer, const char *group_id,
								   const KePartitionList *offsets,
								   int timeout_ms,
								   KeTrouble *trouble);

/* All reports must have been polled; those of an abort are dropped. */
extern KeTransactionResult ke_transaction_commit(KeProducer *producer,
												 int timeout_ms,
												 KeTrouble *trouble);
extern KeTransactionResult ke_transaction_abort(KeProducer *producer,
												int timeout_ms,
												KeTrouble *trouble);

#endif							/* KE_TRANSACTION_H */
