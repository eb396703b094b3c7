/*
 * drive_cluster.c
 *	  A handle on a cluster, driven from SQL.
 */
#include "postgres.h"
#include "core/compat.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "kafka/cluster.h"
#include "kafka/thread.h"

#include "drive.h"

PG_FUNCTION_INFO_V1(client_cluster_open);
PG_FUNCTION_INFO_V1(client_cluster_mock);
PG_FUNCTION_INFO_V1(client_cluster_ask);
PG_FUNCTION_INFO_V1(client_cluster_topics);
PG_FUNCTION_INFO_V1(client_cluster_serve);
PG_FUNCTION_INFO_V1(client_cluster_close);

static KeCluster *cluster;

Datum
client_cluster_open(PG_FUNCTION_ARGS)
{
	KeServerOptions server;
	KeMappingOptions mapping;

	if (cluster != NULL)
		elog(ERROR, "cluster is open already");
	drive_options(&server, &mapping, text_to_cstring(PG_GETARG_TEXT_PP(0)),
				 PG_GETARG_DATUM(2));
	cluster = ke_cluster_open(&server, &mapping,
							  text_to_cstring(PG_GETARG_TEXT_PP(1)), "unit",
							  true);
	PG_RETURN_VOID();
}

/*
 * client_cluster_mock(topic, errors): the address of a broker of the library's
 * own that has this topic, and first answers these errors to the question for
 * a group's positions.  It ends with the session.
 */
Datum
client_cluster_mock(PG_FUNCTION_ARGS)
{
	const int16 offset_fetch = 9;
	char		reason[512];
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *mock;
	Datum	   *errors;
	int			count;
	sigset_t	before = ke_thread_block_signals();

	rk = rd_kafka_new(RD_KAFKA_PRODUCER, NULL, reason, sizeof(reason));
	mock = rk != NULL ? rd_kafka_mock_cluster_new(rk, 1) : NULL;
	ke_thread_restore_signals(before);
	if (mock == NULL)
		elog(ERROR, "could not make a mock cluster");
	rd_kafka_mock_topic_create(mock,
							   text_to_cstring(PG_GETARG_TEXT_PP(0)), 1, 1);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT4OID, sizeof(int32), true,
					  TYPALIGN_INT, &errors, NULL, &count);
	for (int i = 0; i < count; i++)
		rd_kafka_mock_push_request_errors(mock, offset_fetch, 1,
										  DatumGetInt32(errors[i]));
	PG_RETURN_TEXT_P(cstring_to_text(rd_kafka_mock_cluster_bootstraps(mock)));
}

/* client_cluster_ask(verb, list, timeout_ms) */
Datum
client_cluster_ask(PG_FUNCTION_ARGS)
{
	char	   *verb = text_to_cstring(PG_GETARG_TEXT_PP(0));
	KePartitionList *list = drive_list(PG_GETARG_DATUM(1));
	int			timeout_ms = PG_GETARG_INT32(2);
	int			error = 0;

	if (strcmp(verb, "committed") == 0)
		error = ke_cluster_committed(cluster, list, timeout_ms);
	else if (strcmp(verb, "offsets_for_time") == 0)
		error = ke_cluster_offsets_for_time(cluster, list, timeout_ms);
	else if (strcmp(verb, "id") == 0)
	{
		char	   *id = ke_cluster_id(cluster, timeout_ms);

		list->count = 0;
		if (id != NULL)
			ke_partition_list_add(list, id, 0, 0);
	}
	else
		elog(ERROR, "no such verb: %s", verb);
	return drive_answer(error, list);
}

/* name, partitions, replication factor, error; one row with the error of the
 * whole call */
Datum
client_cluster_topics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *topics;
	ListCell   *lc;
	Datum		values[4];
	bool		nulls[4] = {false, false, false, false};
	int			error;

	InitMaterializedSRF(fcinfo, 0);
	error = ke_cluster_topics(cluster, PG_ARGISNULL(0) ? NULL :
							  text_to_cstring(PG_GETARG_TEXT_PP(0)),
							  &topics, PG_GETARG_INT32(1));
	if (error != 0)
	{
		nulls[0] = nulls[1] = nulls[2] = true;
		values[3] = CStringGetTextDatum(ke_client_error_name(error));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	foreach(lc, topics)
	{
		KeTopicInfo *info = lfirst(lc);

		values[0] = CStringGetTextDatum(info->name);
		values[1] = Int32GetDatum(info->partitions);
		values[2] = Int32GetDatum(info->replication_factor);
		values[3] = CStringGetTextDatum(ke_client_error_name(info->error));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

Datum
client_cluster_serve(PG_FUNCTION_ARGS)
{
	char	   *text = ke_cluster_serve(cluster);

	if (text == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(text));
}

Datum
client_cluster_close(PG_FUNCTION_ARGS)
{
	ke_cluster_close(cluster);
	cluster = NULL;
	PG_RETURN_VOID();
}
