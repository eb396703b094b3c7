/*
 * breaker_recheck.h
 *	  Whether what broke a subscription may have been mended.
 */
#ifndef KE_BREAKER_RECHECK_H
#define KE_BREAKER_RECHECK_H

#include "consumer/engine.h"

/*
 * The stage's circuit waits for a change: tell it if there was one.  Outside
 * of transactions.
 */
extern void ke_breaker_recheck_look(KeEngine *engine, KeStage *stage);

/* A message failed, and stays: what has changed until now did not help. */
extern void ke_breaker_recheck_tried(KeStage *stage);

/* The configuration was changed, or somebody wants to go on. */
extern void ke_breaker_recheck_reloaded(KeEngine *engine);

#endif							/* KE_BREAKER_RECHECK_H */
