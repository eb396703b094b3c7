/*
 * control.c
 *	  Pause, resume and seek a subscription.
 *
 * Nothing is told to a worker directly: options and positions are written in
 * the user's transaction, and the processes look again when it commits.  A
 * worker that is at work with a position that was moved fails its
 * compare-and-set, rolls back, and starts again from the new one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "api/fcinfo.h"
#include "api/hooks.h"
#include "api/subscription_ddl.h"
#include "core/guc.h"
#include "core/unix_time.h"
#include "shm/ready.h"
#include "shm/request.h"
#include "state/identity.h"
#include "state/positions.h"
#include "subscription/references.h"

PG_FUNCTION_INFO_V1(kafka_consumer_pause);
PG_FUNCTION_INFO_V1(kafka_consumer_resume);
PG_FUNCTION_INFO_V1(kafka_consumer_seek);

/* ------------------------------------------------------ pause and resume */

static void
set_paused(KeSubscription *sub, DefElemAction action)
{
	DefElem    *paused = makeDefElemExtended(NULL, "paused",
											 (Node *) makeString("true"),
											 action, -1);

	ke_subscription_ddl_alter(sub, list_make1(paused));
}

Datum
kafka_consumer_pause(PG_FUNCTION_ARGS)
{
	char	   *topic;
	KeServer   *server;
	KeSubscription *sub;

	ke_ready_require_writable("kafka_consumer_pause()");
	topic = ke_fcinfo_required(fcinfo, 0, "topic");
	server = ke_subscription_ddl_server(ke_fcinfo_name(fcinfo, 1));
	sub = ke_subscription_ddl_find(server, topic);
	if (!sub->options.paused)
		set_paused(sub, DEFELEM_SET);
	PG_RETURN_OID(sub->oid);
}

/* What is paused as a whole is resumed as a whole. */
static void
require_running_pattern(KeServer *server, const KeSubscription *sub)
{
	KeSubscription *pattern = ke_catalog_read(server, sub->pattern, false,
											  NULL);

	if (pattern != NULL && pattern->options.paused)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" is paused with its pattern",
						sub->topic),
				 errhint("Resume the pattern: SELECT kafka_consumer_resume(%s).",
						 quote_literal_cstr(pattern->topic))));
}

/* Have stopped partitions tried again, of all topics of a pattern. */
static void
forgive(KeServer *server, const KeSubscription *sub)
{
	KePositionKey key = {
		.cluster_id = ke_identity_cluster(server->options.service_name),
		.group_id = ke_catalog_main_group(server)
	};
	ListCell   *lc;

	if (key.cluster_id == NULL)
		return;
	if (sub->options.topics == NULL)
		ke_positions_forgive(&key, sub->topic);
	foreach(lc, ke_references_members(sub->oid))
	{
		KeSubscription *member = ke_catalog_read(server, lfirst_oid(lc),
												 false, NULL);

		if (member != NULL)
			ke_positions_forgive(&key, member->topic);
	}
}

/*
 * Also tries partitions again that stopped, whether it was paused or not:
 * what stopped them may have been seen to.
 */
Datum
kafka_consumer_resume(PG_FUNCTION_ARGS)
{
	char	   *topic;
	KeServer   *server;
	KeSubscription *sub;

	ke_ready_require_writable("kafka_consumer_resume()");
	topic = ke_fcinfo_required(fcinfo, 0, "topic");
	server = ke_subscription_ddl_server(ke_fcinfo_name(fcinfo, 1));
	sub = ke_subscription_ddl_find(server, topic);
	if (OidIsValid(sub->pattern))
		require_running_pattern(server, sub);
	set_paused(sub, DEFELEM_DROP);
	forgive(server, sub);
	ke_hooks_note_change();
	PG_RETURN_OID(sub->oid);
}

/* ------------------------------------------------------------------ seek */

typedef struct Seek
{
	KeServer   *server;
	char	   *topic;
	int32		partition;		/* -1: all of them */
	KeQuestionKind target;		/* KE_ASK_TOPIC: to offset */
	int64		offset;
	int64		timestamp_ms;
} Seek;

#define ARG_TOPIC 0
#define ARG_OFFSET 1
#define ARG_TIMESTAMP 2
#define ARG_POSITION 3
#define ARG_PARTITION 4
#define ARG_SERVER 5

/* Other names of the three that name a target, which need no quotes. */
#define ARG_TO_OFFSET 6
#define ARG_TO_TIMESTAMP 7
#define ARG_TO_POSITION 8

static void
read_offset(int64 offset, Seek *seek)
{
	if (offset < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("offset must not be negative"),
				 errhint("Use to_position => 'earliest' or 'latest' for the ends of a partition.")));
	seek->target = KE_ASK_TOPIC;
	seek->offset = offset;
}

static void
read_timestamp(TimestampTz timestamp, Seek *seek)
{
	if (TIMESTAMP_NOT_FINITE(timestamp))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp must be finite"),
				 errhint("Use to_position => 'earliest' or 'latest' for the ends of a partition.")));
	seek->target = KE_ASK_TIME;
	seek->timestamp_ms = Max(ke_unix_ms(timestamp), 0);
}

static void
read_position(const char *position, Seek *seek)
{
	if (strcmp(position, "earliest") == 0)
		seek->target = KE_ASK_EARLIEST;
	else if (strcmp(position, "latest") == 0)
		seek->target = KE_ASK_LATEST;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("position must be 'earliest' or 'latest', not \"%s\"",
						position)));
}

static void
read_target(FunctionCallInfo fcinfo, Seek *seek)
{
	static const int targets[] = {
		ARG_OFFSET, ARG_TIMESTAMP, ARG_POSITION,
		ARG_TO_OFFSET, ARG_TO_TIMESTAMP, ARG_TO_POSITION
	};
	int			given = -1;
	int			count = 0;

	for (int i = 0; i < lengthof(targets); i++)
	{
		if (PG_ARGISNULL(targets[i]))
			continue;
		given = targets[i];
		count++;
	}
	if (count != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("exactly one of to_offset, to_timestamp and to_position must be given"),
				 errhint("For example: kafka_consumer_seek('topic', to_position => 'earliest').")));
	if (given == ARG_OFFSET || given == ARG_TO_OFFSET)
		read_offset(PG_GETARG_INT64(given), seek);
	else if (given == ARG_TIMESTAMP || given == ARG_TO_TIMESTAMP)
		read_timestamp(PG_GETARG_TIMESTAMPTZ(given), seek);
	else
		read_position(ke_fcinfo_text(fcinfo, given), seek);
}

/* Ask the cluster; raises when there is no answer, or no such topic. */
static KeAnswer *
ask(const Seek *seek, KeQuestionKind kind)
{
	KeQuestion	question = {
		.kind = kind,
		.server = seek->server->oid,
		.timestamp_ms = seek->timestamp_ms
	};
	KeAnswer   *answer;

	strlcpy(question.topic, seek->topic, sizeof(question.topic));
	answer = ke_request_ask(&question, ke_guc_request_timeout);
	if (!answer->answered)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not ask server \"%s\" for the offsets of topic \"%s\": %s",
						seek->server->name, seek->topic, answer->text),
				 answer->hint ? errhint("%s", answer->hint) : 0));
	if (!answer->topic_exists)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" does not exist on server \"%s\"",
						seek->topic, seek->server->name)));
	if (seek->partition >= answer->partitions)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" has no partition %d", seek->topic,
						seek->partition),
				 errdetail("It has %d partitions, from 0 on.",
						   answer->partitions)));
	return answer;
}

static bool
is_sought(const Seek *seek, int32 partition)
{
	return seek->partition < 0 || seek->partition == partition;
}

/* An offset given as a number must be one the partition has, or its end. */
static KeAnswer *
check_offset(const Seek *seek)
{
	KeAnswer   *low = ask(seek, KE_ASK_EARLIEST);
	KeAnswer   *high = ask(seek, KE_ASK_LATEST);
	int			partition;

	for (partition = 0;
		 partition < Min(low->partitions, high->partitions); partition++)
	{
		if (!is_sought(seek, partition) ||
			(seek->offset >= low->offsets[partition] &&
			 seek->offset <= high->offsets[partition]))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("partition %d of topic \"%s\" has no offset " INT64_FORMAT,
						partition, seek->topic, seek->offset),
				 errdetail("Its messages start at " INT64_FORMAT " and end before " INT64_FORMAT ".",
						   low->offsets[partition], high->offsets[partition]),
				 errhint("To move one partition only, name it with partition => n.")));
	}
	return high;
}

/*
 * The positions belong to the cluster that the service knows; one that it
 * was not connected to yet is the one that answered.
 */
static const char *
cluster_of(const Seek *seek, const KeAnswer *answer)
{
	char	   *known =
		ke_identity_cluster(seek->server->options.service_name);

	if (known == NULL)
		return answer->cluster_id;
	if (strcmp(known, answer->cluster_id) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("server \"%s\" is connected to another cluster than before",
						seek->server->name),
				 errdetail("Its positions are those of cluster %s; this is cluster %s.",
						   known, answer->cluster_id)));
	return known;
}

static void
move(const Seek *seek, const KeAnswer *answer, ReturnSetInfo *result)
{
	KePositionKey key = {
		.cluster_id = cluster_of(seek, answer),
		.group_id = ke_catalog_main_group(seek->server)
	};
	int			partition;

	for (partition = 0; partition < answer->partitions; partition++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};
		int64		next = seek->target == KE_ASK_TOPIC ?
			seek->offset : answer->offsets[partition];
		int64		old;

		if (!is_sought(seek, partition))
			continue;
		ke_positions_move(&key, seek->topic, partition, next, &old);
		values[0] = Int32GetDatum(partition);
		values[1] = Int64GetDatum(old);
		nulls[1] = (old == KE_OFFSET_NONE);
		values[2] = Int64GetDatum(next);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
}

/* Not subscribed, or no topic: raise which. */
static void
refuse_seek(KeServer *server, const char *topic)
{
	KeSubscription *sub = ke_subscription_ddl_find(server, topic);

	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is a pattern: each of its topics has positions of its own",
					sub->topic),
			 errhint("View kafka_subscriptions lists them; call kafka_consumer_seek for those that are to be moved.")));
}

Datum
kafka_consumer_seek(PG_FUNCTION_ARGS)
{
	Seek		seek = {.partition = -1};
	KeAnswer   *answer;

	ke_ready_require_writable("kafka_consumer_seek()");
	seek.topic = ke_fcinfo_required(fcinfo, ARG_TOPIC,
									"topic");
	read_target(fcinfo, &seek);
	if (!PG_ARGISNULL(ARG_PARTITION))
	{
		seek.partition = PG_GETARG_INT32(ARG_PARTITION);
		if (seek.partition < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("partition must not be negative")));
	}
	seek.server =
		ke_subscription_ddl_server(ke_fcinfo_name(fcinfo, ARG_SERVER));
	if (!OidIsValid(ke_catalog_find(seek.server, seek.topic, InvalidOid)))
		refuse_seek(seek.server, seek.topic);

	InitMaterializedSRF(fcinfo, 0);
	answer = seek.target == KE_ASK_TOPIC ?
		check_offset(&seek) : ask(&seek, seek.target);
	move(&seek, answer, (ReturnSetInfo *) fcinfo->resultinfo);
	ke_hooks_note_change();
	return (Datum) 0;
}
