/*
 * mending.h
 *	  Whether what broke a subscription may have been mended.
 */
#ifndef KE_MENDING_H
#define KE_MENDING_H

#include "engine/engine.h"

/*
 * The stage's circuit waits for a change: tell it if there was one.  Outside
 * of transactions.
 */
extern void ke_mending_look(KeEngine *engine, KeStage *stage);

/* A message failed, and stays: what has changed until now did not help. */
extern void ke_mending_tried(KeStage *stage);

/* The configuration was changed, or somebody wants to go on. */
extern void ke_mending_reloaded(KeEngine *engine);

#endif							/* KE_MENDING_H */
