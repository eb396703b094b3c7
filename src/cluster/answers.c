/*
 * answers.c
 *	  Answers questions of users' backends by asking the Kafka cluster.
 *
 * Runs in the manager, which cannot wait long for anything: a question that
 * no broker answers is tried again by the caller, a little longer each time.
 * The one that changes something, making a topic, is not.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "cluster/answers.h"
#include "cluster/survey.h"
#include "core/clock.h"
#include "core/stamp.h"
#include "kafka/topic_admin.h"
#include "shm/cluster_report.h"
#include "shm/roster.h"

/* The brokers' own time for making a topic is well below a second. */
#define CREATE_PATIENCE_MS 3000

KeAnswer *
ke_answers_refuse(const char *text, const char *hint)
{
	KeAnswer   *answer = palloc0(sizeof(KeAnswer));

	answer->text = pstrdup(text);
	answer->hint = hint != NULL ? pstrdup(hint) : NULL;
	return answer;
}

/* No broker answers: what to say if that stays so. */
static KeAnswer *
not_reachable(KeCluster *cluster, const KeServer *server, int error)
{
	const char *servers = server->options.bootstrap_servers;
	const char *hint;
	char	   *why = ke_cluster_explain(cluster, error, &hint);

	return ke_answers_refuse(ke_client_describe_silence(servers, why, NULL),
							 hint);
}

/* The time that stands for what was asked. */
static int64
asked_time(const KeQuestion *question)
{
	switch (question->kind)
	{
		case KE_ASK_TOPIC:
		case KE_ASK_TOPICS:
		case KE_ASK_HEALTH:
		case KE_ASK_CONFIG:
		case KE_ASK_CREATE:
		case KE_ASK_OWNERS:
		case KE_ASK_SCHEMA:
			break;
		case KE_ASK_EARLIEST:
			return KE_KAFKA_BEGINNING;
		case KE_ASK_LATEST:
			return KE_KAFKA_END;
		case KE_ASK_TIME:
			return question->timestamp_ms;
		case KE_ASK_DLQ:
			return KE_KAFKA_END;
	}
	return KE_KAFKA_NONE;
}

typedef int (*Ask) (KeCluster *cluster, KePartitionList *list, int timeout_ms);

/*
 * A number for each partition; NULL, and *error, if no broker has answered.
 * metadata: where to put what goes with each, or NULL.
 */
static int64 *
ask_offsets(KeCluster *cluster, Ask ask, const char *topic, int partitions,
			int64 about, int timeout_ms, char **metadata, int *error)
{
	KePartitionList *list = ke_partition_list_make(Max(partitions, 1));
	int64	   *offsets = palloc(Max(partitions, 1) * sizeof(int64));

	for (int p = 0; p < partitions; p++)
		ke_partition_list_add(list, topic, p, about);
	*error = ask(cluster, list, timeout_ms);
	for (int p = 0; p < partitions && *error == 0; p++)
	{
		*error = list->parts[p].error;
		offsets[p] = list->parts[p].offset;
		if (metadata != NULL)
			metadata[p] = list->parts[p].metadata;
	}
	return *error == 0 ? offsets : NULL;
}

/* Fill in the offsets; false if no broker has answered. */
static bool
find_offsets(KeCluster *cluster, const KeQuestion *question, int timeout_ms,
			 KeAnswer *answer, int *error)
{
	answer->offsets = ask_offsets(cluster, ke_cluster_offsets_for_time,
								  question->topic, answer->partitions,
								  asked_time(question), timeout_ms, NULL,
								  error);
	if (answer->offsets == NULL || question->kind != KE_ASK_DLQ)
		return answer->offsets != NULL;

	answer->lows = ask_offsets(cluster, ke_cluster_offsets_for_time,
							   question->topic, answer->partitions,
							   KE_KAFKA_BEGINNING, timeout_ms, NULL, error);
	answer->metadata = palloc0(Max(answer->partitions, 1) * sizeof(char *));
	if (answer->lows != NULL)
		answer->positions = ask_offsets(cluster, ke_cluster_committed,
										question->topic, answer->partitions,
										KE_KAFKA_NONE, timeout_ms,
										answer->metadata, error);
	return answer->positions != NULL;
}

/* What there is to say about a topic that metadata came with an error for. */
static KeAnswer *
describe_error(const KeTopicInfo *topic, const char *cluster_id)
{
	KeAnswer   *answer;

	if (!ke_client_is_missing_topic(topic->error))
		return ke_answers_refuse(psprintf("topic \"%s\": %s", topic->name,
										  ke_client_error_name(topic->error)),
								 ke_client_error_hint(topic->error));
	answer = palloc0(sizeof(KeAnswer));
	answer->answered = true;
	answer->cluster_id = pstrdup(cluster_id);
	return answer;
}

/* The questions about one topic. */
static KeAnswer *
answer_topic(KeCluster *cluster, const KeServer *server,
			 const KeQuestion *question, int timeout_ms, KeAnswer **problem)
{
	char	   *cluster_id;
	List	   *topics;
	KeTopicInfo *topic;
	KeAnswer   *answer;
	int			error;

	error = ke_cluster_topics(cluster, question->topic, &topics, timeout_ms);
	if (error != 0 || topics == NIL)
	{
		*problem = not_reachable(cluster, server, error);
		return NULL;
	}
	cluster_id = ke_cluster_id(cluster, timeout_ms);
	if (cluster_id == NULL)
	{
		*problem = ke_answers_refuse("the Kafka cluster does not tell its id",
									 NULL);
		return NULL;
	}

	topic = (KeTopicInfo *) linitial(topics);
	if (topic->error != 0)
		return describe_error(topic, cluster_id);

	answer = palloc0(sizeof(KeAnswer));
	answer->answered = true;
	answer->topic_exists = true;
	answer->partitions = topic->partitions;
	answer->cluster_id = pstrdup(cluster_id);
	if (question->kind != KE_ASK_TOPIC && question->kind != KE_ASK_OWNERS &&
		!find_offsets(cluster, question, timeout_ms, answer, &error))
	{
		*problem = not_reachable(cluster, server, error);
		return NULL;
	}
	return answer;
}

static KeAnswer *
answer_with(StringInfo payload)
{
	KeAnswer   *answer = palloc0(sizeof(KeAnswer));

	answer->answered = true;
	answer->payload = payload;
	return answer;
}

/* Whose commits the main group has of a topic. */
static KeAnswer *
answer_owners(KeCluster *cluster, const KeServer *server,
			  const KeQuestion *question, int timeout_ms, KeAnswer **problem)
{
	KeAnswer   *topic = answer_topic(cluster, server, question, timeout_ms,
									 problem);
	KePartitionList *list;
	List	   *owners = NIL;
	int			error;

	if (topic == NULL || !topic->answered || !topic->topic_exists)
		return topic;
	list = ke_partition_list_make(Max(topic->partitions, 1));
	for (int p = 0; p < topic->partitions; p++)
		ke_partition_list_add(list, question->topic, p, KE_KAFKA_NONE);
	error = ke_cluster_committed(cluster, list, timeout_ms);
	if (error != 0)
	{
		*problem = not_reachable(cluster, server, error);
		return NULL;
	}
	for (int p = 0; p < list->count; p++)
	{
		const KeKafkaPartition *part = &list->parts[p];
		KeOwnerReport *owner = palloc0(sizeof(KeOwnerReport));
		KeStamp		stamp;

		if (part->error != 0 || part->offset < 0)
			continue;
		owner->partition = p;
		owner->offset = part->offset;
		if (ke_stamp_parse(part->metadata, &stamp))
		{
			owner->uuid = pstrdup(stamp.uuid);
			owner->database = pstrdup(stamp.database);
			owner->host = pstrdup(stamp.host);
		}
		owners = lappend(owners, owner);
	}
	topic->payload = ke_cluster_report_put_owners(owners);
	return topic;
}

static KeAnswer *
answer_topics(KeCluster *cluster, const KeServer *server, int timeout_ms,
			  KeAnswer **problem)
{
	List	   *topics;
	List	   *findings = NIL;
	ListCell   *lc;
	int			error;

	error = ke_cluster_topics(cluster, NULL, &topics, timeout_ms);
	if (error != 0)
	{
		*problem = not_reachable(cluster, server, error);
		return NULL;
	}
	foreach(lc, topics)
	{
		KeTopicInfo *topic = (KeTopicInfo *) lfirst(lc);
		KeTopicReport *finding;

		if (topic->error != 0)
			continue;
		finding = palloc(sizeof(KeTopicReport));
		finding->name = topic->name;
		finding->partitions = topic->partitions;
		finding->replication_factor = topic->replication_factor;
		findings = lappend(findings, finding);
	}
	return answer_with(ke_cluster_report_put_topics(findings));
}

/* Why the cluster does not tell is an answer, too. */
static KeAnswer *
answer_config(KeCluster *cluster, const KeServer *server,
			  const KeQuestion *question, int timeout_ms, KeAnswer **problem)
{
	List	   *settings = ke_cluster_report_get_settings(question->payload);
	int			count = list_length(settings);
	KeTopicConfig *configs = palloc0(Max(count, 1) * sizeof(KeTopicConfig));
	const char *hint;
	KeAnswer   *answer;
	int			error;

	for (int i = 0; i < count; i++)
		configs[i].name = ((KeTopicSetting *) list_nth(settings, i))->name;
	error = ke_topic_admin_describe(ke_cluster_handle(cluster),
									question->topic,
									configs, count, timeout_ms);
	if (ke_client_is_silence(error))
	{
		*problem = not_reachable(cluster, server, error);
		return NULL;
	}
	for (int i = 0; i < count; i++)
		((KeTopicSetting *) list_nth(settings, i))->value =
			unconstify(char *, configs[i].value);
	answer = answer_with(ke_cluster_report_put_settings(settings));
	if (error != 0)
		answer->text = pstrdup(ke_client_error_name(error));
	hint = ke_client_hint_for(KE_PURPOSE_DESCRIBE_CONFIGS, error);
	if (error != 0 && hint != NULL)
		answer->hint = pstrdup(hint);
	return answer;
}

/* A broker must answer now; what takes longer to find out, the watch knows. */
static KeAnswer *
answer_health(KeWatch *watch, const KeServer *server, int timeout_ms,
			  KeAnswer **problem)
{
	KeHealthReport health = {0};
	int			error;

	error = ke_cluster_ping(watch->cluster, &health.brokers,
							&health.latency_us, timeout_ms);
	if (error != 0)
	{
		*problem = not_reachable(watch->cluster, server, error);
		return NULL;
	}
	if (watch->trouble[0] != '\0')
		health.problems = list_make1(pstrdup(watch->trouble));
	return answer_with(ke_cluster_report_put_health(&health));
}

/* Asked once: the second time, it would be there already. */
static KeAnswer *
answer_create(KeCluster *cluster, const KeServer *server,
			  const KeQuestion *question)
{
	KeTopicRequest *request =
		ke_cluster_report_get_new_topic(question->payload);
	KeNewTopic	topic = {
		.name = question->topic,
		.partitions = request->partitions,
		.replication_factor = request->replication_factor
	};
	KeTopicConfig *configs =
	palloc0(list_length(request->settings) * sizeof(KeTopicConfig));
	long		left_ms;
	long		patience_ms;
	KeAnswer   *answer;
	ListCell   *lc;
	char	   *text;
	bool		created;
	int			error;

	foreach(lc, request->settings)
	{
		KeTopicSetting *setting = (KeTopicSetting *) lfirst(lc);

		configs[topic.nconfigs].name = setting->name;
		configs[topic.nconfigs].value = setting->value;
		topic.nconfigs++;
	}
	topic.configs = configs;

	left_ms = ke_clock_left(ke_clock_now(), question->answer_by);
	patience_ms = Max(CREATE_PATIENCE_MS, 4 * ke_cluster_took_ms(cluster));
	error = ke_topic_admin_create(ke_cluster_handle(cluster), &topic, &created,
								  &text, (int) Min(left_ms, patience_ms));
	if (ke_client_is_silence(error))
		return not_reachable(cluster, server, error);

	/* A relay may have refused messages because it was missing. */
	if (created)
		ke_roster_config_changed(MyDatabaseId);
	answer = answer_with(NULL);
	answer->topic_exists = error == 0;
	answer->created = created;
	if (error != 0)
	{
		const char *hint = ke_client_hint_for(KE_PURPOSE_CREATE, error);

		answer->text = text != NULL ? text :
			pstrdup(ke_client_error_name(error));
		answer->hint = hint != NULL ? pstrdup(hint) : NULL;
	}
	return answer;
}

KeAnswer *
ke_answers_try(KeWatch *watch, const KeServer *server,
			   const KeQuestion *question, int timeout_ms, KeAnswer **problem)
{
	KeCluster  *cluster = watch->cluster;

	switch (question->kind)
	{
		case KE_ASK_TOPIC:
		case KE_ASK_EARLIEST:
		case KE_ASK_LATEST:
		case KE_ASK_TIME:
			return answer_topic(cluster, server, question, timeout_ms,
								problem);
		case KE_ASK_DLQ:
			return answer_topic(watch->admin, server, question, timeout_ms,
								problem);
		case KE_ASK_TOPICS:
			return answer_topics(cluster, server, timeout_ms, problem);
		case KE_ASK_HEALTH:
			return answer_health(watch, server, timeout_ms, problem);
		case KE_ASK_CONFIG:
			return answer_config(cluster, server, question, timeout_ms,
								 problem);
		case KE_ASK_OWNERS:
			return answer_owners(cluster, server, question, timeout_ms,
								 problem);
		case KE_ASK_CREATE:
			ke_survey_patterns_due(watch);
			return answer_create(cluster, server, question);
		case KE_ASK_SCHEMA:
			break;				/* no question to a cluster */
	}
	pg_unreachable();
}
