/*
 * probe.h
 *	  Whether messages behind those that fail go well.
 */
#ifndef KE_PROBE_H
#define KE_PROBE_H

#include "consumer/engine.h"

/* While a subscription is broken, so many messages are fetched to be tried. */
#define KE_PROBE_STAGE 1000

typedef enum KeProbeResult
{
	KE_PROBE_NOTHING,			/* none went well, or there is none left */
	KE_PROBE_PROVED,			/* one did, and the circuit was told */
	KE_PROBE_CANCELLED			/* asked to stop in the middle of it */
} KeProbeResult;

/*
 * Try messages of the stage, behind its first one, that were not tried since
 * ke_probe_forget, of each partition in turn, for a moment.  sqlstate: what
 * the first one failed with; 0: what the circuit knows.  Outside of
 * transactions; raises nothing.
 */
extern KeProbeResult ke_probe_run(KeEngine *engine, KeStage *stage,
								  int sqlstate);

/* Try them anew when it is called next. */
extern void ke_probe_forget(KeEngine *engine, KeStage *stage);

#endif							/* KE_PROBE_H */
