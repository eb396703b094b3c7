/*
 * survey_ends.c
 *	  The part of a look at a server's cluster that is about where partitions
 *	  end.
 *
 * A consumer hears of an end only with what it fetches: not while it is busy
 * with one message, is refused, or gets no answer.  So the lag is counted up
 * to what the manager is told here, for every partition in the lag table,
 * whoever has it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "cluster/survey.h"
#include "cluster/survey_ask.h"

/* What a row's partition is one of, or NULL: the subscription is gone. */
static const char *
topic_of(const KeSurvey *survey, const KeLagRow *row)
{
	ListCell   *lc;

	foreach(lc, survey->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (sub->oid != row->subscription)
			continue;
		if (row->role == KE_ROLE_MAIN)
			return sub->topic;
		return psprintf("%s%s", sub->topic,
						survey->server->options.retry_suffix);
	}
	return NULL;
}

void
ke_survey_ends(KeSurvey *survey)
{
	int			nrows;
	KeLagRow   *rows = ke_lag_rows(survey->facts->database, &nrows);
	KePartitionList *ends = ke_partition_list_make(Max(nrows, 1));
	int		   *asked = palloc(Max(nrows, 1) * sizeof(int));

	for (int i = 0; i < nrows; i++)
	{
		const char *topic;

		if (rows[i].server != survey->server->oid ||
			rows[i].partition == KE_LAG_TOPIC)
			continue;
		topic = topic_of(survey, &rows[i]);
		if (topic == NULL)
			continue;
		asked[ends->count] = i;
		ke_partition_list_add(ends, topic, rows[i].partition, KE_KAFKA_END);
	}
	if (ends->count > 0 && ke_survey_ask_offsets(survey, ends) == 0)
	{
		for (int i = 0; i < ends->count; i++)
		{
			if (ends->parts[i].error == 0 && ends->parts[i].offset >= 0)
				ke_lag_note_end(&rows[asked[i]], ends->parts[i].offset);
		}
	}
	pfree(rows);
}
