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
typedef struct KeInspection
{
	FunctionCallInfo fcinfo;
	bool		several;		/* what is said names the server */
	KeServer   *server;
	List	   *subscriptions;	/* of KeSubscription */
	TimestampTz deadline;
	KeAnswer   *silence;		/* why the cluster is not asked any more */
} KeInspection;

/* A check on its way to a row. */
typedef struct KeCheck
{
	const char *name;
	StringInfoData wrong;		/* empty: nothing is */
	StringInfoData hints;		/* each once */
} KeCheck;

extern void ke_check_begin(KeCheck *check, const char *name);

/* Something is wrong; hint: what to do, or NULL. */
extern void ke_check_fail(KeCheck *check, const char *hint,
						  const char *fmt,...) pg_attribute_printf(3, 4);

/* The check's row; fine: what it says if nothing is wrong. */
extern void ke_check_emit(KeInspection *inspection, KeCheck *check,
						  const char *fine);

/* The statement that gives the server another value of an option. */
extern char *ke_check_alter(const KeServer *server, const char *option,
							const char *value);

/* production_topics.c: everything that the cluster has to be asked about. */
extern void ke_inspect_topics(KeInspection *inspection);

#endif							/* KE_PRODUCTION_CHECK_H */
