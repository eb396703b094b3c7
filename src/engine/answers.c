/*
 * answers.c
 *	  Answers questions of users' backends by asking the Kafka cluster.
 *
 * Runs in the manager, which cannot wait long for anything: a question that
 * no broker answers is tried again by the caller, a little longer each time.
 */
#include "postgres.h"
#include "core/compat.h"

#include "engine/answers.h"

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
	char	   *heard = ke_cluster_serve(cluster);

	return ke_answers_refuse(psprintf("could not reach Kafka at \"%s\": %s",
									  server->options.bootstrap_servers,
									  heard != NULL ? heard :
									  ke_client_error_name(error)),
							 ke_client_error_hint(error));
}

/* The time that stands for what was asked. */
static int64
asked_time(const KeQuestion *question)
{
	switch (question->kind)
	{
		case KE_ASK_TOPIC:
			break;
		case KE_ASK_EARLIEST:
			return KE_KAFKA_BEGINNING;
		case KE_ASK_LATEST:
			return KE_KAFKA_END;
		case KE_ASK_TIME:
			return question->timestamp_ms;
	}
	return KE_KAFKA_NONE;
}

/* Fill in the offsets; false if no broker has answered. */
static bool
find_offsets(KeCluster *cluster, const KeQuestion *question, int timeout_ms,
			 KeAnswer *answer, int *error)
{
	KeKafkaList *list = ke_kafka_list_make(Max(answer->partitions, 1));

	for (int p = 0; p < answer->partitions; p++)
		ke_kafka_list_add(list, question->topic, p, asked_time(question));
	*error = ke_cluster_offsets_for_time(cluster, list, timeout_ms);
	if (*error != 0)
		return false;

	answer->offsets = palloc(Max(answer->partitions, 1) * sizeof(int64));
	for (int p = 0; p < answer->partitions; p++)
	{
		*error = list->parts[p].error;
		if (*error != 0)
			return false;
		answer->offsets[p] = list->parts[p].offset;
	}
	return true;
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

KeAnswer *
ke_answers_try(KeCluster *cluster, const KeServer *server,
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
	if (question->kind != KE_ASK_TOPIC &&
		!find_offsets(cluster, question, timeout_ms, answer, &error))
	{
		*problem = not_reachable(cluster, server, error);
		return NULL;
	}
	return answer;
}
