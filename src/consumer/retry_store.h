/*
 * retry_store.h
 *	  From the retry topics into kafka_events.retries.
 */
#ifndef KE_RETRY_STORE_H
#define KE_RETRY_STORE_H

#include "consumer/engine.h"

/* Park what waits in the stage; for retry consumers. */
extern KeBatchOutcome ke_retry_store(KeEngine *engine, KeStage *stage);

/* Forget copies that were seen long ago; now and then. */
extern void ke_retry_store_forget_copies(KeEngine *engine, KeMoment now);

#endif							/* KE_RETRY_STORE_H */
