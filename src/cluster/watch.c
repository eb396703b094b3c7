/*
 * watch.c
 *	  What the manager knows of a server's Kafka cluster, and looks after.
 *
 * The cluster is opened by the first look and stays open: one connection per
 * server, in the manager and nowhere else.  No call waits longer than a
 * moment, as the manager has other things to do; when nobody answers, the
 * rest of the look is left for the next one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cluster/survey.h"
#include "cluster/watch.h"
#include "cluster/watch_handles.h"
#include "core/clock.h"
#include "session/attempt.h"
#include "shm/cluster_contact.h"

#define LOOK_INTERVAL_MS 10000
#define FIRST_DELAY_MS 1000

/* Topics for copies are to be made as soon as nobody asks. */
#define MAKING_INTERVAL_MS 250

/* While partitions have no owner, or deliver nothing. */
#define UNOWNED_INTERVAL_MS 3000

/* How long answers may take that belong to one look. */
#define MAX_ANSWER_MS 50000

/* Long enough for a broker that is well, once the connection is made. */
#define CLUSTER_ID_MS 500

/* The service's cluster, as this database has it on record. */
typedef struct Record
{
	const char *service;
	const char *heard;			/* the id we heard; stored if none was */
	bool		may_store;
	char	   *stored;			/* in context; NULL: none */
	MemoryContext context;
} Record;

KeWatch *
ke_watch_make(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "kafka_events watch",
												  ALLOCSET_SMALL_SIZES);
	KeWatch    *watch = MemoryContextAllocZero(context, sizeof(KeWatch));

	watch->context = context;
	watch->partitions = watch->retry_partitions = -1;
	return watch;
}

void
ke_watch_free(KeWatch *watch)
{
	ke_watch_handles_close(watch);
	MemoryContextDelete(watch->context);
}

/* ------------------------------------------------------- which cluster */

static void
read_record(void *argument)
{
	Record	   *record = (Record *) argument;
	char	   *stored = ke_identity_cluster(record->service);

	if (stored != NULL)
		record->stored = MemoryContextStrdup(record->context, stored);
	else if (record->may_store)
		ke_identity_set_cluster(record->service, record->heard);
}

static void
block(KeWatch *watch, const char *reason)
{
	watch->blocked = true;
	strlcpy(watch->reason, reason, sizeof(watch->reason));
}

/*
 * Hear the cluster's id, and compare it with the one on record.  False when
 * nobody answers, or the look must end here.
 */
static bool
check_cluster(KeWatch *watch, const KeWatchFacts *facts, KeServer *server)
{
	Record		record = {.service = server->options.service_name};
	char	   *problem;

	if (watch->cluster_id == NULL)
	{
		char	   *heard = ke_cluster_id(watch->cluster, CLUSTER_ID_MS);

		if (heard == NULL)
			return false;
		watch->cluster_id = MemoryContextStrdup(watch->context, heard);
	}

	record.heard = watch->cluster_id;
	record.may_store = facts->identity == KE_IDENTITY_OURS;
	record.context = CurrentMemoryContext;
	problem = ke_failure_describe(ke_attempt_transaction(read_record, &record,
														 true));
	if (problem != NULL)
	{
		strlcpy(watch->reason, problem, sizeof(watch->reason));
		return false;
	}
	if (record.stored != NULL &&
		strcmp(record.stored, watch->cluster_id) != 0)
	{
		block(watch, psprintf("this is Kafka cluster \"%s\", but service \"%s\" belongs to cluster \"%s\"",
							  watch->cluster_id, record.service,
							  record.stored));

		/* A handle keeps the first id it hears: ask with a new one. */
		ke_watch_handles_close(watch);
		return false;
	}
	return true;
}

/* ---------------------------------------------------------------- a look */

/* Come back soon, then later and later; but soon to one that is only slow. */
static void
put_off(KeWatch *watch, KeMoment now)
{
	if (watch->cluster != NULL &&
		ke_cluster_took_ms(watch->cluster) > FIRST_DELAY_MS / 2)
		watch->delay_ms = 0;
	watch->delay_ms = Min(Max(watch->delay_ms * 2, FIRST_DELAY_MS),
						  LOOK_INTERVAL_MS);
	watch->next_look = TimestampTzPlusMilliseconds(now, watch->delay_ms);
	watch->whole_due = watch->next_look;
}

/* All questions have been answered. */
static void
schedule(KeWatch *watch, const KeSurvey *survey, bool making)
{
	bool		trouble = watch->groups[0].trouble_since != 0 ||
		watch->groups[1].trouble_since != 0;

	watch->asking_since = 0;
	watch->delay_ms = 0;
	if (!survey->brief)
		watch->whole_due =
			TimestampTzPlusMilliseconds(survey->now,
										trouble ? UNOWNED_INTERVAL_MS :
										LOOK_INTERVAL_MS);
	watch->next_look = watch->whole_due;
	if (making)
		watch->next_look = ke_clock_earlier(watch->next_look,
											ke_clock_in(MAKING_INTERVAL_MS));
}

/*
 * Answers that came too late for the look before belong to this one, so that
 * behind a slow link, too, a look gets all of them in the end.
 */
static void
begin_asking(KeWatch *watch)
{
	KeMoment	now = ke_clock_now();

	if (watch->asking_since == 0 ||
		ke_clock_passed(watch->asking_since, now, MAX_ANSWER_MS))
		watch->asking_since = now;
}

/*
 * Nobody answers: say so, with what the library has told about it since
 * somebody last did.
 */
static void
note_silence(KeWatch *watch, KeServer *server)
{
	const char *hint;
	char	   *why;

	if (watch->cluster == NULL || watch->blocked || watch->reason[0] != '\0')
		return;
	why = ke_cluster_explain(watch->cluster, KE_KAFKA_TIMED_OUT, &hint);
	if (strcmp(why, ke_client_error_name(KE_KAFKA_TIMED_OUT)) == 0)
		why = "no answer";

	/* That hint is about groups. */
	if (hint == ke_client_error_hint(KE_KAFKA_TIMED_OUT))
		hint = NULL;
	watch->silent = ke_cluster_is_silent(watch->cluster);
	strlcpy(watch->reason,
			ke_client_describe_silence(server->options.bootstrap_servers,
									   why, hint),
			sizeof(watch->reason));
}

static bool
look_at_topics(KeSurvey *survey)
{
	ke_survey_patterns_ask(survey);
	return ke_survey_topics(survey);
}

void
ke_watch_look(KeWatch *watch, const KeWatchFacts *facts, KeServer *server,
			  List *subscriptions, KeMoment now)
{
	KeSurvey	survey = {
		.watch = watch,
		.facts = facts,
		.server = server,
		.subscriptions = subscriptions,
		.now = now,
		.brief = now < watch->whole_due
	};
	KePartitionList *committed;
	bool		making;

	begin_asking(watch);
	if (watch->cluster != NULL)
		(void) ke_cluster_serve(watch->cluster);
	if (!ke_survey_copy_is_blocking(watch, now))
	{
		watch->blocked = watch->silent = false;
		watch->reason[0] = '\0';
	}

	if (ke_watch_handles_cluster(watch, server) == NULL ||
		!check_cluster(watch, facts, server) ||
		!look_at_topics(&survey))
	{
		note_silence(watch, server);
		watch->looked = true;
		ke_cluster_contact_note(facts->database, server->oid, watch->blocked);
		put_off(watch, now);
		ereport(DEBUG1,
				(errmsg_internal("no answer from the cluster of server \"%s\": %s",
								 server->name, watch->reason)));
		return;
	}

	ke_cluster_contact_note(facts->database, server->oid, true);
	making = ke_survey_patterns(&survey);
	ke_survey_starts(&survey);
	making |= ke_survey_missing_topics(&survey);
	if (!survey.brief)
	{
		ke_survey_group(&survey);
		ke_survey_retry_demand(&survey);
		ke_survey_dlq_counts(&survey);
	}
	committed = ke_survey_committed(&survey);
	if (committed != NULL)
		ke_survey_owner(&survey, committed);
	watch->looked = true;
	ke_survey_unowned(&survey);
	if (!survey.brief)
		ke_survey_ends(&survey);
	if (ke_survey_finds_copy(&survey, committed))
		block(watch, psprintf("another PostgreSQL server with this database's identity consumes in group \"%s\": call kafka_identity_confirm('new') in one of the two",
							  ke_catalog_main_group(server)));

	ereport(DEBUG1,
			(errmsg_internal("looked at the cluster of server \"%s\"%s: %d partitions, %d topics asked for",
							 server->name, survey.brief ? " for changes" : "",
							 watch->partitions, survey.topics_asked)));
	if (survey.unanswered > 0)
	{
		put_off(watch, now);
		return;
	}
	schedule(watch, &survey, making);
}
