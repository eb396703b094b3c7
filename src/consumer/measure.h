/*
 * measure.h
 *	  Counts what a transaction did with messages.
 */
#ifndef KE_MEASURE_H
#define KE_MEASURE_H

#include "consumer/effects.h"

/* After its commit; started: when it began. */
extern void ke_measure_effects(const KeEngine *engine,
							   const KeEffects *effects, TimestampTz started);

#endif							/* KE_MEASURE_H */
