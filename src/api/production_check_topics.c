/*
 * production_check_topics.c
 *	  The part of kafka_production_check that is about topics: which there are,
 *	  and how they are configured.
 *
 * The manager asks the cluster: once for all topics, then for the properties
 * of each of ours, and of those that copies go to.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"

#include "api/production_check_topics.h"
#include "core/properties.h"

/* What a copy adds to its message: see docs/configuration.md. */
#define COPY_BYTES 65536

/* What the library takes unless it is told otherwise. */
#define RECEIVE_BYTES 100000000

/* What the cluster has. */
typedef struct Findings
{
	List	   *topics;			/* of KeTopicReport */
	List	   *copies;			/* of KeCheckCopies */
	List	   *sources;		/* of Source */
} Findings;

/* A subscribed topic that is there. */
typedef struct Source
{
	const KeSubscription *sub;
	KeCheckSettings settings;
	int64		message_bytes;	/* the largest batch it takes; 0: not known */
} Source;

/* ------------------------------------------------------------- questions */

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

static void
ask_for_settings(KeProductionCheck *inspection, KeCheckCopies *topic)
{
	KeCheckSettings *settings = &topic->settings;
	List	   *names = list_make5("cleanup.policy", "retention.ms",
								   "retention.bytes", "max.message.bytes",
								   "min.insync.replicas");

	if (!ke_production_check_ask_settings(inspection, topic->name, names,
										  settings))
		return;
	topic->policy = (char *) linitial(settings->values);
	topic->retention_ms = strtoll(lsecond(settings->values), NULL, 10);
	topic->retention_bytes = strtoll(lthird(settings->values), NULL, 10);
	topic->message_bytes = strtoll(lfourth(settings->values), NULL, 10);
	topic->min_insync = atoi(list_nth(settings->values, 4));
}

/* The largest batch that the topic takes; 0: not known. */
static int64
add_source(KeProductionCheck *inspection, Findings *findings,
		   const KeSubscription *sub)
{
	Source	   *source;

	if (find_topic(findings, sub->topic) == NULL)
		return 0;
	source = palloc0(sizeof(Source));
	source->sub = sub;
	if (ke_production_check_ask_settings(inspection, sub->topic,
										 list_make1("max.message.bytes"),
										 &source->settings))
		source->message_bytes = strtoll(linitial(source->settings.values),
										NULL, 10);
	findings->sources = lappend(findings->sources, source);
	return source->message_bytes;
}

static void
add_copy_topic(KeProductionCheck *inspection, Findings *findings,
			   const KeSubscription *sub, int64 source_bytes, bool dead)
{
	const KeServerOptions *options = &inspection->server->options;
	KeCheckCopies *topic = palloc0(sizeof(KeCheckCopies));

	topic->sub = sub;
	topic->dead = dead;
	topic->name = psprintf("%s%s", sub->topic,
						   dead ? options->dlq_suffix : options->retry_suffix);
	topic->found = find_topic(findings, topic->name);
	topic->source_bytes = source_bytes;
	if (topic->found != NULL)
		ask_for_settings(inspection, topic);
	findings->copies = lappend(findings->copies, topic);
}

static void
find_topics(KeProductionCheck *inspection, Findings *findings)
{
	KeQuestion	question = {.kind = KE_ASK_TOPICS};
	KeAnswer   *answer = ke_production_check_ask(inspection, &question);
	ListCell   *lc;

	if (answer == NULL)
		return;
	findings->topics = ke_cluster_report_get_topics(answer->payload);
	foreach(lc, inspection->subscriptions)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);
		int64		bytes = add_source(inspection, findings, sub);

		if (ke_options_subscription_retries_by_topic(&sub->options))
			add_copy_topic(inspection, findings, sub, bytes, false);
		if (sub->options.dlq)
			add_copy_topic(inspection, findings, sub, bytes, true);
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
		ke_production_check_ask_failed(inspection, &check);
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
		ke_production_check_ask_failed(inspection, &check);
	foreach(lc, inspection->subscriptions)
		judge_replication(inspection,
						  find_topic(findings,
									 ((KeSubscription *) lfirst(lc))->topic),
						  &check);
	foreach(lc, findings->copies)
		judge_replication(inspection, ((KeCheckCopies *) lfirst(lc))->found,
						  &check);
	ke_check_row_emit(inspection, &check,
					  "every topic is on two brokers or more");
}

/* ------------------------------------------------- topics for copies */

/* A check of all topics for copies, one after the other. */
typedef void (*Judge) (KeProductionCheck *inspection,
					   const KeCheckCopies *topic,
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
			judge(inspection, (KeCheckCopies *) lfirst(lc), &check);
	}
	if (inspection->silence != NULL)
		ke_production_check_ask_failed(inspection, &check);
	ke_check_row_emit(inspection, &check, fine);
}

static void
judge_existence(KeProductionCheck *inspection, const KeCheckCopies *topic,
				KeCheckRow *check)
{
	const KeServerOptions *options = &inspection->server->options;
	StringInfoData config;

	if (topic->found != NULL)
		return;
	initStringInfo(&config);
	appendStringInfoString(&config, "{\"cleanup.policy\": \"delete\"");
	if (topic->dead)
		appendStringInfo(&config, ", \"retention.ms\": " INT64_FORMAT,
						 options->dlq_retention_ms);
	if (topic->source_bytes > 0)
		appendStringInfo(&config, ", \"max.message.bytes\": " INT64_FORMAT,
						 topic->source_bytes + COPY_BYTES);
	appendStringInfoChar(&config, '}');
	ke_check_row_fail(check,
					  creation_of(inspection->server, topic->name,
								  Max(options->topic_partitions, 1),
								  config.data),
					  "topic \"%s\" does not exist%s", topic->name,
					  options->create_topics ? ", and could not be made yet" :
					  ", and create_topics is off");
}

static void
judge_policy(KeProductionCheck *inspection, const KeCheckCopies *topic,
			 KeCheckRow *check)
{
	if (topic->found == NULL)
		return;
	if (topic->settings.problem != NULL)
		ke_check_row_fail(check, topic->settings.hint, "%s",
						  topic->settings.problem);
	else if (strstr(topic->policy, "compact") != NULL)
		ke_check_row_fail(check,
						  psprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config cleanup.policy=delete",
								   topic->name),
						  "topic \"%s\" is compacted: of copies with the same key only the last one stays",
						  topic->name);
}

/* ---------------------------------------------------- sizes of messages */

/* The library takes no more at once than this. */
static int64
receive_limit(const KeServer *server)
{
	ListCell   *lc;

	foreach(lc, server->options.properties)
	{
		const KeProperty *property = (const KeProperty *) lfirst(lc);

		if (strcmp(property->name, "receive.message.max.bytes") == 0)
			return strtoll(property->value, NULL, 10);
	}
	return RECEIVE_BYTES;
}

/* The largest batch of a topic, and what consumers take. */
static void
judge_source(const KeServer *server, const Source *source, int64 limit,
			 KeCheckRow *check)
{
	char	   *wanted = psprintf(INT64_FORMAT,
								  source->message_bytes + COPY_BYTES);
	char	   *statement;

	if (source->settings.problem != NULL)
		ke_check_row_fail(check, source->settings.hint, "%s",
						  source->settings.problem);
	if (source->message_bytes < limit)
		return;
	statement = ke_check_row_alter(server, "receive.message.max.bytes",
								   wanted);
	ke_check_row_fail(check, psprintf("As a superuser: %s", statement),
					  "topic \"%s\" takes batches of " INT64_FORMAT " bytes, and consumers none above " INT64_FORMAT,
					  source->sub->topic, source->message_bytes, limit);
}

static void
judge_size(const KeCheckCopies *topic, KeCheckRow *check)
{
	if (topic->found == NULL || topic->settings.problem != NULL ||
		topic->message_bytes >= topic->source_bytes + COPY_BYTES)
		return;
	ke_check_row_fail(check,
					  psprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config max.message.bytes=" INT64_FORMAT,
							   topic->name,
							   topic->source_bytes + COPY_BYTES),
					  "topic \"%s\" takes messages of " INT64_FORMAT " bytes; those of \"%s\" may have " INT64_FORMAT ", and a copy up to %d more",
					  topic->name, topic->message_bytes, topic->sub->topic,
					  topic->source_bytes, COPY_BYTES);
}

static void
check_sizes(KeProductionCheck *inspection, const Findings *findings)
{
	int64		limit = receive_limit(inspection->server);
	KeCheckRow	check;
	ListCell   *lc;

	ke_check_row_begin(&check, "message_sizes");
	foreach(lc, findings->sources)
		judge_source(inspection->server, (const Source *) lfirst(lc), limit,
					 &check);
	foreach(lc, findings->copies)
		judge_size((const KeCheckCopies *) lfirst(lc), &check);
	if (inspection->silence != NULL)
		ke_production_check_ask_failed(inspection, &check);
	ke_check_row_emit(inspection, &check,
					  "topics for copies take the largest messages that there may be");
}

static void
judge_insync(KeProductionCheck *inspection, const KeCheckCopies *topic,
			 KeCheckRow *check)
{
	int			wanted = topic->found == NULL ? 0 :
	topic->found->replication_factor - 1;
	char	   *hint;

	if (wanted < 1 || topic->settings.problem != NULL)
		return;
	hint = psprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config min.insync.replicas=%d",
					topic->name, wanted);
	if (topic->min_insync > wanted)
		ke_check_row_fail(check, hint,
						  "topic \"%s\" takes nothing while one of its %d brokers is away: min.insync.replicas is %d",
						  topic->name, wanted + 1, topic->min_insync);
	else if (topic->min_insync < 2 && wanted > 1)
		ke_check_row_fail(check, hint,
						  "topic \"%s\" takes a copy that is on one broker only, and may be lost with it: min.insync.replicas is %d",
						  topic->name, topic->min_insync);
}

/* ------------------------------------------------------------------- all */

void
ke_production_check_topics(KeProductionCheck *inspection)
{
	Findings	findings = {0};
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
				 ke_production_check_copies_owner,
				 "the newest copies are all this service's");
	check_copies(inspection, &findings, "dlq_retention",
				 ke_production_check_copies_letters,
				 "no pending letter is lost within 24 hours");
	check_copies(inspection, &findings, "retry_retention",
				 ke_production_check_copies_retries,
				 "retry copies are kept until they are due");
	check_sizes(inspection, &findings);
	check_copies(inspection, &findings, "min_insync_replicas", judge_insync,
				 "topics for copies do with one broker less, and not with less");
}
