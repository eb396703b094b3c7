/*
 * production_check_fitness.c
 *	  The part of kafka_production_check that takes clients of Kafka's: the
 *	  rights of the Kafka user, and the brokers' clock.
 *
 * A task process looks; see cluster/fitness.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "api/production_check_topics.h"
#include "shm/task.h"

typedef struct Look
{
	MemoryContext context;
	List	   *reports;		/* of KeFitnessReport */
} Look;

static void
visit(StringInfo reply, void *argument)
{
	Look	   *look = (Look *) argument;
	MemoryContext old = MemoryContextSwitchTo(look->context);

	look->reports = lappend(look->reports,
							ke_cluster_report_get_fitness(reply));
	MemoryContextSwitchTo(old);
}

static void
emit(KeProductionCheck *inspection, const Look *look, KeFitnessKind kind,
	 const char *name, const KeTaskFailure *failure, const char *fine)
{
	KeCheckRow	check;
	ListCell   *lc;

	ke_check_row_begin(&check, name);
	if (inspection->silence != NULL)
		ke_production_check_ask_failed(inspection, &check);
	else if (failure != NULL)
		ke_check_row_fail(&check, failure->hint, "%s", failure->text);
	foreach(lc, look->reports)
	{
		const KeFitnessReport *report = (const KeFitnessReport *) lfirst(lc);

		if (report->kind == kind)
			ke_check_row_fail(&check, report->hint, "%s", report->text);
	}
	ke_check_row_emit(inspection, &check, fine);
}

void
ke_production_check_fitness(KeProductionCheck *inspection)
{
	Look		look = {.context = CurrentMemoryContext};
	KeTaskOrder order = {
		.kind = KE_TASK_BROWSE,
		.server = inspection->server->oid,
		.partition = KE_TASK_ANY,
		.offset = KE_TASK_ANY,
		.fitness = true,
		.timeout_ms = ke_production_check_ask_time(inspection)
	};
	KeTaskFailure *failure = NULL;

	if (inspection->silence == NULL)
		failure = ke_task_try(&order, visit, &look);
	emit(inspection, &look, KE_FITNESS_RIGHT, "rights", failure,
		 "the Kafka user may do what consumers, retries and dead letters need");
	emit(inspection, &look, KE_FITNESS_CLOCK, "clock", failure,
		 "the brokers' clock and this server's differ by less than 5 s");
}
