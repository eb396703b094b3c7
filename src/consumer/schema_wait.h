/*
 * schema_wait.h
 *	  Partitions that wait for a schema which is not known yet.
 *
 * Before a batch runs, the schemas of its messages are looked for.  Where one
 * has to be asked of the registry, the partition is set aside from that
 * message on: nothing else waits with it, and no failure is counted.
 */
#ifndef KE_SCHEMA_WAIT_H
#define KE_SCHEMA_WAIT_H

#include "consumer/engine.h"

/*
 * Look at the first count messages of the stage; returns how many of them are
 * left there to run.
 */
extern int	ke_schema_wait_check(KeEngine *engine, KeStage *stage, int count);

/* In each round: let those go on whose schemas have come. */
extern void ke_schema_wait_step(KeEngine *engine, KeMoment now);

#endif							/* KE_SCHEMA_WAIT_H */
