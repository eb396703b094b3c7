/*
 * wrapper_handler.c
 *	  What PostgreSQL gets who asks the wrapper for rows: an error that says
 *	  where they are.
 *
 * A subscription is a foreign table without rows.  Without a handler every
 * statement that reads one would end with "has no handler", which sounds as
 * if the installation were broken.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(kafka_wrapper_handler);

/* The first thing the planner asks for. */
static void
refuse_reading(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot read from subscription \"%s\"",
					get_rel_name(relid)),
			 errdetail("A subscription has no rows: its messages go into a table or to a function."),
			 errhint("View kafka_subscriptions shows where they go, and view kafka_consumer_lag how far they are.")));
}

Datum
kafka_wrapper_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = refuse_reading;
	PG_RETURN_POINTER(routine);
}
