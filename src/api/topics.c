/*
 * topics.c
 *	  kafka_topics and kafka_topic_create: what a cluster has, and gets.
 *
 * The manager asks the cluster; who may have it asked is decided here.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "api/ddl.h"
#include "api/fcinfo.h"
#include "api/row.h"
#include "api/subscription_ddl.h"
#include "api/visible.h"
#include "core/guc.h"
#include "shm/cluster_report.h"
#include "shm/ready.h"
#include "shm/request.h"

PG_FUNCTION_INFO_V1(kafka_topics);
PG_FUNCTION_INFO_V1(kafka_topic_create);

#define ARG_TOPIC 0
#define ARG_PARTITIONS 1
#define ARG_REPLICATION 2
#define ARG_CONFIG 3
#define ARG_SERVER 4

/* The answer, or an error that says what could not be done. */
static KeAnswer *
ask(const KeServer *server, const KeQuestion *question, const char *what)
{
	KeAnswer   *answer = ke_request_ask(question, ke_guc_request_timeout);

	if (!answer->answered)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not %s on server \"%s\": %s", what,
						server->name, answer->text),
				 answer->hint ? errhint("%s", answer->hint) : 0));
	return answer;
}

Datum
kafka_topics(PG_FUNCTION_ARGS)
{
	KeServer   *server;
	KeQuestion	question = {.kind = KE_ASK_TOPICS};
	KeAnswer   *answer;
	ListCell   *lc;

	ke_ready_require();
	server = ke_visible_server_by_name(ke_fcinfo_name(fcinfo, 0));
	InitMaterializedSRF(fcinfo, 0);
	question.server = server->oid;
	answer = ask(server, &question, "list the topics");
	foreach(lc, ke_cluster_report_get_topics(answer->payload))
	{
		KeTopicReport *topic = (KeTopicReport *) lfirst(lc);
		KeRow		row = {0};

		ke_row_put_text(&row, topic->name);
		ke_row_put_int(&row, topic->partitions);
		ke_row_put_int(&row, topic->replication_factor);
		ke_row_emit(&row, fcinfo);
	}
	return (Datum) 0;
}

/* ----------------------------------------------------------------- create */

/* A positive number, or the broker's default if it is not given. */
static int
argument_count(FunctionCallInfo fcinfo, int n, const char *name)
{
	int			count;

	if (PG_ARGISNULL(n))
		return -1;
	count = PG_GETARG_INT32(n);
	if (count < 1 || count > PG_INT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 1 and %d, not %d", name,
						PG_INT16_MAX, count),
				 errhint("NULL stands for the broker's default.")));
	return count;
}

/* What Kafka takes as a property's value. */
static char *
setting_value(const char *name, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(
				DirectFunctionCall1(numeric_out,
									NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("property \"%s\" must be a string, a number or a boolean",
							name)));
	}
	pg_unreachable();
}

static List *
settings_of(Jsonb *config)
{
	List	   *settings = NIL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(config))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("config must be an object"),
				 errhint("For example: '{\"retention.ms\": 86400000}'.")));
	it = JsonbIteratorInit(&config->root);
	(void) JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) == WJB_KEY)
	{
		KeTopicSetting *setting = palloc(sizeof(KeTopicSetting));

		setting->name = pnstrdup(value.val.string.val, value.val.string.len);
		(void) JsonbIteratorNext(&it, &value, true);
		setting->value = setting_value(setting->name, &value);
		settings = lappend(settings, setting);
	}
	return settings;
}

Datum
kafka_topic_create(PG_FUNCTION_ARGS)
{
	KeServer   *server;
	KeQuestion	question = {.kind = KE_ASK_CREATE};
	KeTopicRequest request = {0};
	KeAnswer   *answer;
	char	   *topic;
	const char *problem;

	ke_ready_require_writable("kafka_topic_create()");
	topic = ke_fcinfo_required(fcinfo, ARG_TOPIC, "topic");
	problem = ke_options_topic_problem(topic);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("topic \"%s\" %s", topic, problem)));
	request.partitions = argument_count(fcinfo, ARG_PARTITIONS, "partitions");
	request.replication_factor = argument_count(fcinfo, ARG_REPLICATION,
												"replication_factor");
	if (!PG_ARGISNULL(ARG_CONFIG))
		request.settings = settings_of(PG_GETARG_JSONB_P(ARG_CONFIG));
	server = ke_catalog_server_by_name(ke_fcinfo_name(fcinfo, ARG_SERVER));
	ke_ddl_require_membership(server);

	question.server = server->oid;
	question.payload = ke_cluster_report_put_new_topic(&request);
	strlcpy(question.topic, topic, sizeof(question.topic));
	answer = ask(server, &question, psprintf("create topic \"%s\"", topic));
	if (answer->text != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("cannot create topic \"%s\" on server \"%s\": %s",
						topic, server->name, answer->text),
				 answer->hint ? errhint("%s", answer->hint) : 0));
	PG_RETURN_BOOL(answer->created);
}
