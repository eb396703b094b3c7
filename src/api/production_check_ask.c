/*
 * production_check_ask.c
 *	  What kafka_production_check asks the cluster, through the manager.
 *
 * When it once has no answer it is not asked again, and all checks say so.
 */
#include "postgres.h"
#include "core/compat.h"

#include "api/check_row.h"
#include "api/monitor.h"
#include "api/production_check_topics.h"
#include "core/clock.h"

/* A last question gets that long, however much was asked before. */
#define MIN_TIMEOUT_MS 100

int
ke_production_check_ask_time(const KeProductionCheck *inspection)
{
	long		left = ke_clock_left(ke_clock_now(), inspection->deadline);

	return (int) Max(left, MIN_TIMEOUT_MS);
}

KeAnswer *
ke_production_check_ask(KeProductionCheck *inspection, KeQuestion *question)
{
	const char *obstacle = ke_monitor_obstacle();
	KeAnswer   *answer;

	if (inspection->silence != NULL)
		return NULL;
	if (obstacle == NULL)
	{
		question->server = inspection->server->oid;
		answer = ke_request_ask(question,
								ke_production_check_ask_time(inspection));
		if (answer->answered)
			return answer;
	}
	else
	{
		answer = palloc0(sizeof(KeAnswer));
		answer->text = pstrdup(obstacle);
	}
	inspection->silence = answer;
	return NULL;
}

void
ke_production_check_ask_failed(const KeProductionCheck *inspection,
							   KeCheckRow *check)
{
	ke_check_row_fail(check, inspection->silence->hint, "%s",
					  inspection->silence->text);
}

/* Why the properties of a topic are not known. */
static char *
explain_settings(const char *topic, const KeAnswer *answer)
{
	return psprintf("the properties of topic \"%s\" are not known: %s", topic,
					answer->text !=NULL ? answer->text :
					"the broker does not tell");
}

bool
ke_production_check_ask_settings(KeProductionCheck *inspection,
								 const char *topic, List *names,
								 KeCheckSettings *into)
{
	KeQuestion	question = {.kind = KE_ASK_CONFIG};
	List	   *settings = NIL;
	KeAnswer   *answer;
	ListCell   *lc;

	foreach(lc, names)
	{
		KeTopicSetting *setting = palloc0(sizeof(KeTopicSetting));

		setting->name = (char *) lfirst(lc);
		settings = lappend(settings, setting);
	}
	strlcpy(question.topic, topic, sizeof(question.topic));
	question.payload = ke_cluster_report_put_settings(settings);
	answer = ke_production_check_ask(inspection, &question);
	memset(into, 0, sizeof(KeCheckSettings));
	if (answer == NULL)
		return false;
	into->hint = answer->hint;
	foreach(lc, ke_cluster_report_get_settings(answer->payload))
	{
		char	   *value = ((KeTopicSetting *) lfirst(lc))->value;

		if (value == NULL)
			into->problem = explain_settings(topic, answer);
		into->values = lappend(into->values, value);
	}
	return into->problem == NULL;
}
