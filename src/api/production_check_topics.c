/*
 * production_check_topics.c
 *	  The part of kafka_production_check that is about topics.
 *
 * The manager asks the cluster: once for all topics, then for each of ours
 * that copies go to.  When it once has no answer it is not asked again, and
 * all checks say so.  Whose copies are in a topic only their headers say, so
 * a task process reads the newest ones.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/check_row.h"
#include "api/monitor.h"
#include "api/production_check.h"
#include "core/clock.h"
#include "core/dlq_reply.h"
#include "core/header_names.h"
#include "core/literal.h"
#include "core/option_table.h"
#include "core/unix_time.h"
#include "shm/cluster_report.h"
#include "shm/task.h"
#include "state/dlq_pending.h"
#include "state/offset_metadata.h"

/* A last question gets that long, however much was asked before. */
#define MIN_TIMEOUT_MS 100

/* Who is warned of a loss has so long to prevent it. */
#define WARNING_MS INT64CONST(86400000)

/* A topic for retry copies or dead letters. */
typedef struct CopyTopic
{
	const KeSubscription *sub;
	bool		dead;
	char	   *name;
	const KeTopicReport *found; /* NULL: it is not there */
	const char *problem;		/* why the rest is not known, or NULL */
	const char *hint;
	const char *policy;
	int64		retention_ms;	/* negative: for ever; so for bytes */
	int64		retention_bytes;
} CopyTopic;

/* What the cluster has. */
typedef struct Findings
{
	List	   *topics;			/* of KeTopicReport */
	List	   *copies;			/* of CopyTopic */
} Findings;

/* ------------------------------------------------------------- questions */

static int
time_left(const KeProductionCheck *inspection)
{
	long		left = ke_clock_left(ke_clock_now(), inspection->deadline);

	return (int) Max(left, MIN_TIMEOUT_MS);
}

/* NULL: nobody answers, and nobody is asked any more. */
static KeAnswer *
ask(KeProductionCheck *inspection, KeQuestion *question)
{
	const char *obstacle = ke_monitor_obstacle();
	KeAnswer   *answer;

	if (inspection->silence != NULL)
		return NULL;
	if (obstacle == NULL)
	{
		question->server = inspection->server->oid;
		answer = ke_request_ask(question, time_left(inspection));
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

static void
fail_for_silence(const KeProductionCheck *inspection, KeCheckRow *check)
{
	ke_check_row_fail(check, inspection->silence->hint, "%s",
					  inspection->silence->text);
}

static const KeTopicReport *
find_topic(const Findings *findings, const char *name)
{
	ListCell   *lc;

	foreach(lc, findings->topics)
	{
		KeTopicReport *topic = (KeTopicReport *) lfirst(lc);

		if (strcmp(topic->name, name) == 0)
			return topic;
	}
	return NULL;
}

static KeTopicSetting *
make_setting(char *name)
{
	KeTopicSetting *setting = palloc0(sizeof(KeTopicSetting));

	setting->name = name;
	return setting;
}

static const char *
value_of(const List *settings, int n)
{
	return ((KeTopicSetting *) list_nth(settings, n))->value;
}

static void
ask_for_settings(KeProductionCheck *inspection, CopyTopic *topic)
{
	KeQuestion	question = {.kind = KE_ASK_CONFIG};
	List	   *settings = list_make3(make_setting("cleanup.policy"),
									  make_setting("retention.ms"),
									  make_setting("retention.bytes"));
	KeAnswer   *answer;

	strlcpy(question.topic, topic->name, sizeof(question.topic));
	question.payload = ke_cluster_report_put_settings(settings);
	answer = ask(inspection, &question);
	if (answer == NULL)
		return;
	settings = ke_cluster_report_get_settings(answer->payload);
	topic->hint = answer->hint;
	topic->policy = value_of(settings, 0);
	if (topic->policy == NULL || value_of(settings, 1) == NULL ||
		value_of(settings, 2) == NULL)
	{
		topic->problem = psprintf("the properties of topic \"%s\" are not known: %s",
								  topic->name, answer->text != NULL ?
								  answer->text : "the broker does not tell");
		return;
	}
	topic->retention_ms = strtoll(value_of(settings, 1), NULL, 10);
	topic->retention_bytes = strtoll(value_of(settings, 2), NULL, 10);
}

static void
add_copy_topic(KeProductionCheck *inspection, Findings *findings,
			   const KeSubscription *sub, bool dead)
{
	const KeServerOptions *options = &inspection->server->options;
	CopyTopic  *topic = palloc0(sizeof(CopyTopic));

	topic->sub = sub;
	topic->dead = dead;
	topic->name = psprintf("%s%s", sub->topic,
						   dead ? options->dlq_suffix : options->retry_suffix);
	topic->found = find_topic(findings, topic->name);
	if (topic->found != NULL)
		ask_for_settings(inspection, topic);
	findings->copies = lappend(findings->copies, topic);
}

static void
find_topics(KeProductionCheck *inspection, Findings *findings)
{
	KeQuestion	question = {.kind = KE_ASK_TOPICS};
	KeAnswer   *answer = ask(inspection, &question);
	ListCell   *lc;

	if (answer == NULL)
		return;
	findings->topics = ke_cluster_report_get_topics(answer->payload);
	foreach(lc, inspection->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (ke_options_subscription_retries_by_topic(&sub->options))
			add_copy_topic(inspection, findings, sub, false);
		if (sub->options.dlq)
			add_copy_topic(inspection, findings, sub, true);
	}
}

/* ------------------------------------------------ partitions, replication */

/* "SELECT kafka_topic_create(...);" with what a topic needs. */
static char *
creation_of(const KeServer *server, const char *topic, int partitions,
			const char *config)
{
	return psprintf("SELECT kafka_topic_create(%s, partitions => %d%s%s, server => %s);",
					quote_literal_cstr(topic), partitions,
					config != NULL ? ", config => " : "",
					config != NULL ? quote_literal_cstr(config) : "",
					quote_literal_cstr(server->name));
}

static void
check_partitions(KeProductionCheck *inspection, const Findings *findings,
				 const KeSubscription *sub)
{
	const KeServer *server = inspection->server;
	const KeTopicReport *topic = find_topic(findings, sub->topic);
	int			workers = server->options.workers;
	int			partitions = topic != NULL ? topic->partitions : 0;
	KeCheckRow	check;

	ke_check_row_begin(&check, "partitions");
	if (inspection->silence != NULL)
		fail_for_silence(inspection, &check);
	else if (topic == NULL)
		ke_check_row_fail(&check,
						  creation_of(server, sub->topic,
									  Max(workers, 1), NULL),
						  "topic \"%s\" does not exist in the cluster, or is not to be seen",
						  sub->topic);
	else if (partitions < workers)
		ke_check_row_fail(&check,
						  psprintf("%s Or, with Kafka's own tool: kafka-topics.sh --alter --topic %s --partitions %d",
								   ke_check_row_alter(server,
													  "workers",
													  psprintf("%d",
															   partitions)),
								   sub->topic, workers),
						  "topic \"%s\" has %d partitions for %d workers: some have nothing to do",
						  sub->topic, partitions, workers);
	ke_check_row_emit(inspection, &check,
					  psprintf("topic \"%s\" has %d partitions for %d workers",
							   sub->topic, partitions, workers));
}

static void
judge_replication(KeProductionCheck *inspection, const KeTopicReport *topic,
				  KeCheckRow *check)
{
	if (topic == NULL || topic->replication_factor > 1)
		return;
	ke_check_row_fail(check,
					  psprintf("kafka-reassign-partitions.sh gives topics more replicas; for those that are made from now on: %s",
							   ke_check_row_alter(inspection->server,
												  "topic_replication_factor",
												  "3")),
					  "topic \"%s\" is on one broker only",
					  topic->name);
}

static void
check_replication(KeProductionCheck *inspection, const Findings *findings)
{
	KeCheckRow	check;
	ListCell   *lc;

	ke_check_row_begin(&check, "replication");
	if (inspection->silence != NULL)
		fail_for_silence(inspection, &check);
	foreach(lc, inspection->subscriptions)
		judge_replication(inspection,
						  find_topic(findings,
									 ((KeSubscription *) lfirst(lc))->topic),
						  &check);
	foreach(lc, findings->copies)
		judge_replication(inspection, ((CopyTopic *) lfirst(lc))->found,
						  &check);
	ke_check_row_emit(inspection, &check,
					  "every topic is on two brokers or more");
}

/* ------------------------------------------------- topics for copies */

/* A check of all topics for copies, one after the other. */
typedef void (*Judge) (KeProductionCheck *inspection, const CopyTopic *topic,
					   KeCheckRow *check);

static void
check_copies(KeProductionCheck *inspection, const Findings *findings,
			 const char *name, Judge judge, const char *fine)
{
	KeCheckRow	check;
	ListCell   *lc;

	ke_check_row_begin(&check, name);
	foreach(lc, findings->copies)
	{
		if (inspection->silence == NULL)
			judge(inspection, (CopyTopic *) lfirst(lc), &check);
	}
	if (inspection->silence != NULL)
		fail_for_silence(inspection, &check);
	ke_check_row_emit(inspection, &check, fine);
}

static void
judge_existence(KeProductionCheck *inspection, const CopyTopic *topic,
				KeCheckRow *check)
{
	const KeServerOptions *options = &inspection->server->options;
	char	   *config = "{\"cleanup.policy\": \"delete\"}";

	if (topic->found != NULL)
		return;
	if (topic->dead)
		config = psprintf("{\"cleanup.policy\": \"delete\", \"retention.ms\": " INT64_FORMAT "}",
						  options->dlq_retention_ms);
	ke_check_row_fail(check,
					  creation_of(inspection->server, topic->name,
								  Max(options->topic_partitions, 1),
								  config),
					  "topic \"%s\" does not exist%s", topic->name,
					  options->create_topics ? ", and could not be made yet" :
					  ", and create_topics is off");
}

static void
judge_policy(KeProductionCheck *inspection, const CopyTopic *topic,
			 KeCheckRow *check)
{
	if (topic->found == NULL)
		return;
	if (topic->problem != NULL)
		ke_check_row_fail(check, topic->hint, "%s", topic->problem);
	else if (strstr(topic->policy, "compact") != NULL)
		ke_check_row_fail(check,
						  psprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config cleanup.policy=delete",
								   topic->name),
						  "topic \"%s\" is compacted: of copies with the same key only the last one stays",
						  topic->name);
}

/* ------------------------------------------------------- foreign copies */

/* The first copy of another service, if one was found. */
typedef struct Foreigner
{
	char	   *service;		/* NULL: none */
	MemoryContext context;
} Foreigner;

/* Anybody may write anything there; what cannot be a name is not shown. */
static char *
read_service(const KeHeader *header)
{
	char	   *name = header->value != NULL ?
	pnstrdup(header->value, header->value_len) : "";

	if (strspn(name, KE_OPTION_TOPIC_CHARS) == header->value_len)
		return name;
	return "";
}

static void
visit_foreigner(StringInfo reply, void *argument)
{
	Foreigner  *foreigner = (Foreigner *) argument;
	MemoryContext old = MemoryContextSwitchTo(foreigner->context);
	KeMessage	msg;

	if (ke_dlq_reply_get_kind(reply) == KE_DLQ_REPLY_MESSAGE)
	{
		ke_dlq_reply_get_message(reply, &msg);
		foreigner->service = "";
		for (int i = 0; i < msg.nheaders; i++)
		{
			const KeHeader *header = &msg.headers[i];

			if (strcmp(header->name, KE_COPY_SERVICE) == 0)
				foreigner->service = read_service(header);
		}
	}
	MemoryContextSwitchTo(old);
}

/* The statement that keeps this service's copies in topics of their own. */
static char *
alter_suffix(const KeServer *server, bool dead)
{
	char	   *suffix = psprintf(".%s%s", server->options.service_name,
								  dead ? ".dlq" : ".retry");

	return ke_check_row_alter(server, dead ? "dlq_suffix" : "retry_suffix",
							  suffix);
}

static void
judge_owner(KeProductionCheck *inspection, const CopyTopic *topic,
			KeCheckRow *check)
{
	const KeServer *server = inspection->server;
	KeTaskOrder order = {
		.kind = KE_TASK_BROWSE,
		.server = server->oid,
		.partition = KE_TASK_ANY,
		.offset = KE_TASK_ANY,
		.max_messages = 1,
		.foreign_only = true,
		.timeout_ms = time_left(inspection)
	};
	Foreigner	foreigner = {.context = CurrentMemoryContext};
	KeTaskFailure *failure;

	if (topic->found == NULL)
		return;
	strlcpy(order.topic, topic->name, sizeof(order.topic));
	failure = ke_task_try(&order, visit_foreigner, &foreigner);
	if (failure != NULL)
		ke_check_row_fail(check, failure->hint, "topic \"%s\": %s",
						  topic->name,
						  failure->text);
	else if (foreigner.service != NULL)
		ke_check_row_fail(check, alter_suffix(server, topic->dead),
						  "topic \"%s\" holds copies of service \"%s\", too",
						  topic->name, foreigner.service);
}

/* ------------------------------------------------------------- retention */

/* Pending letters before these offsets. */
static int64
count_pending(const KeServer *server, const char *topic,
			  const KeAnswer *state, const KeAnswer *until)
{
	KePositionKey key = {
		.cluster_id = state->cluster_id,
		.group_id = ke_catalog_admin_group(server)
	};
	List	   *mirror = ke_dlq_records_positions(&key, topic);
	List	   *letters = ke_dlq_records_letters(&key, topic);
	int64		pending = 0;

	ke_offset_metadata_disregard(state->positions, state->metadata,
								 state->partitions);
	for (int p = 0; p < Min(state->partitions, until->partitions); p++)
	{
		KeDlqRange	range = {
			.partition = p,
			.low = state->lows[p],
			.high = Min(state->offsets[p], until->offsets[p]),
			.committed = state->positions[p]
		};

		pending += ke_dlq_pending_in_range(&range, mirror, letters);
	}
	return pending;
}

/* Letters that are gone when the time of warning is over. */
static int64
count_endangered(KeProductionCheck *inspection, const CopyTopic *topic)
{
	KeQuestion	state = {.kind = KE_ASK_DLQ};
	KeQuestion	until = {.kind = KE_ASK_TIME};
	int64		now = ke_unix_ms(GetCurrentTimestamp());
	KeAnswer   *ends;
	KeAnswer   *old;

	strlcpy(state.topic, topic->name, sizeof(state.topic));
	strlcpy(until.topic, topic->name, sizeof(until.topic));
	until.timestamp_ms = Max(now - topic->retention_ms + WARNING_MS, 0);
	ends = ask(inspection, &state);
	old = ends != NULL ? ask(inspection, &until) : NULL;
	if (old == NULL || !ends->topic_exists || !old->topic_exists)
		return 0;
	return count_pending(inspection->server, topic->name, ends, old);
}

static void
judge_retention(KeProductionCheck *inspection, const CopyTopic *topic,
				KeCheckRow *check)
{
	const KeServer *server = inspection->server;
	char	   *raise = psprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config retention.ms=" INT64_FORMAT ",retention.bytes=-1",
								 topic->name,
								 server->options.dlq_retention_ms);
	int64		endangered;

	if (!topic->dead || topic->found == NULL)
		return;
	if (topic->problem != NULL)
	{
		ke_check_row_fail(check, topic->hint, "%s", topic->problem);
		return;
	}
	if (topic->retention_bytes >= 0)
		ke_check_row_fail(check, raise,
						  "topic \"%s\" keeps " INT64_FORMAT " bytes of a partition, however new its letters are",
						  topic->name, topic->retention_bytes);
	if (topic->retention_ms < 0)
		return;
	if (topic->retention_ms <= WARNING_MS)
		ke_check_row_fail(check, raise,
						  "topic \"%s\" keeps letters for %s only",
						  topic->name,
						  ke_literal_show_interval(topic->retention_ms));
	endangered = count_endangered(inspection, topic);
	if (endangered > 0)
		ke_check_row_fail(check,
						  psprintf("SELECT * FROM kafka_dlq_reprocess(%s, server => %s); or, for more time: %s",
								   quote_literal_cstr(topic->sub->topic),
								   quote_literal_cstr(server->name),
								   raise),
						  INT64_FORMAT " pending letters of topic \"%s\" may be lost within 24 hours",
						  endangered, topic->name);
}

/* ------------------------------------------------------------------- all */

void
ke_production_check_topics(KeProductionCheck *inspection)
{
	Findings	findings = {NIL, NIL};
	ListCell   *lc;

	find_topics(inspection, &findings);
	foreach(lc, inspection->subscriptions)
		check_partitions(inspection, &findings,
						 (KeSubscription *) lfirst(lc));
	check_replication(inspection, &findings);
	check_copies(inspection, &findings, "copy_topics_exist", judge_existence,
				 "every topic for retry copies and dead letters is there");
	check_copies(inspection, &findings, "copy_topics_not_compacted",
				 judge_policy, "no topic for copies is compacted");
	check_copies(inspection, &findings, "copy_topics_not_shared",
				 judge_owner, "the newest copies are all this service's");
	check_copies(inspection, &findings, "dlq_retention", judge_retention,
				 "no pending letter is lost within 24 hours");
}
