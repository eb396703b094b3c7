/*
 * retry_due.h
 *	  Parked messages of the retry topics, when they are due.
 */
#ifndef KE_RETRY_DUE_H
#define KE_RETRY_DUE_H

#include "consumer/engine.h"
#include "core/clock.h"

/* Run those of the stage that are due; for retry consumers. */
extern KeBatchOutcome ke_retry_due_run(KeEngine *engine, KeStage *stage);

/* When there may be one to run; DT_NOEND: not before something changes. */
extern KeMoment ke_retry_due_at(const KeStage *stage);

/* The process ends in good order. */
extern void ke_retry_due_release(KeEngine *engine);

#endif							/* KE_RETRY_DUE_H */
