/*
 * production_check.h
 *	  The inside of kafka_production_check: for production.c and
 *	  production_topics.c.
 */
#ifndef KE_PRODUCTION_CHECK_H
#define KE_PRODUCTION_CHECK_H

#include "fmgr.h"
#include "lib/stringinfo.h"

#include "shm/request.h"
#include "subscription/catalog.h"

/* One server that is looked at, and how its rows are made. */
typedef struct KeProductionCheck
{
	FunctionCallInfo fcinfo;
	bool		several;		/* what is said names the server */
	KeServer   *server;
	List	   *subscriptions;	/* of KeSubscription */
	TimestampTz deadline;
	KeAnswer   *silence;		/* why the cluster is not asked any more */
} KeProductionCheck;

/* A check on its way to a row. */
typedef struct KeCheckRow
{
	const char *name;
	StringInfoData wrong;		/* empty: nothing is */
	StringInfoData hints;		/* each once */
} KeCheckRow;

extern void ke_production_check_row_begin(KeCheckRow *check, const char *name);

/* Something is wrong; hint: what to do, or NULL. */
extern void ke_production_check_row_fail(KeCheckRow *check, const char *hint,
						  const char *fmt,...) pg_attribute_printf(3, 4);

/* The check's row; fine: what it says if nothing is wrong. */
extern void ke_production_check_row_emit(KeProductionCheck *inspection, KeCheckRow *check,
						  const char *fine);

/* The statement that gives the server another value of an option. */
extern char *ke_production_check_row_alter(const KeServer *server, const char *option,
							const char *value);

/* production_topics.c: everything that the cluster has to be asked about. */
extern void ke_production_check_topics(KeProductionCheck *inspection);

#endif							/* KE_PRODUCTION_CHECK_H */
