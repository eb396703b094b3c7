/*
 * production_check.h
 *	  The inside of kafka_production_check: what its files share.
 */
#ifndef KE_PRODUCTION_CHECK_H
#define KE_PRODUCTION_CHECK_H

#include "fmgr.h"

#include "core/clock.h"
#include "shm/request.h"
#include "subscription/catalog.h"

/* One server that is looked at, and how its rows are made. */
typedef struct KeProductionCheck
{
	FunctionCallInfo fcinfo;
	bool		several;		/* what is said names the server */
	KeServer   *server;
	List	   *subscriptions;	/* of KeSubscription */
	KeMoment	deadline;
	KeAnswer   *silence;		/* why the cluster is not asked any more */
} KeProductionCheck;

/* production_check_topics.c: what the manager asks the cluster about. */
extern void ke_production_check_topics(KeProductionCheck *inspection);

/* production_check_fitness.c: what takes clients of their own. */
extern void ke_production_check_fitness(KeProductionCheck *inspection);

#endif							/* KE_PRODUCTION_CHECK_H */
