/*
 * kafka_wing.c
 *	  Members of consumer groups and a cluster's handle, driven from SQL.
 *
 * The extension never has a handle in a user's backend; a test may: it does
 * one thing at a time, and the handle goes with the session.
 *
 * A list of partitions is a text[] of 'topic/partition/offset', followed by
 * '/metadata' and '/error' where there is one.
 */
#include "postgres.h"
#include "core/compat.h"

#include <sys/resource.h>

#include "access/reloptions.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"

#include "kafka/cluster.h"
#include "kafka/consumer.h"

#define MEMBERS 64

PG_FUNCTION_INFO_V1(unit_kafka_open);
PG_FUNCTION_INFO_V1(unit_kafka_subscribe);
PG_FUNCTION_INFO_V1(unit_kafka_unsubscribe);
PG_FUNCTION_INFO_V1(unit_kafka_poll);
PG_FUNCTION_INFO_V1(unit_kafka_drain);
PG_FUNCTION_INFO_V1(unit_kafka_do);
PG_FUNCTION_INFO_V1(unit_kafka_ask);
PG_FUNCTION_INFO_V1(unit_kafka_known_end);
PG_FUNCTION_INFO_V1(unit_kafka_idle);
PG_FUNCTION_INFO_V1(unit_kafka_id);
PG_FUNCTION_INFO_V1(unit_kafka_close);
PG_FUNCTION_INFO_V1(unit_kafka_library);
PG_FUNCTION_INFO_V1(unit_kafka_hint);
PG_FUNCTION_INFO_V1(unit_kafka_cluster_open);
PG_FUNCTION_INFO_V1(unit_kafka_cluster_ask);
PG_FUNCTION_INFO_V1(unit_kafka_cluster_topics);
PG_FUNCTION_INFO_V1(unit_kafka_cluster_serve);
PG_FUNCTION_INFO_V1(unit_kafka_cluster_close);

static KeConsumer *members[MEMBERS];
static KeCluster *cluster;

static KeConsumer *
member_number(int m)
{
	if (m < 0 || m >= MEMBERS || members[m] == NULL)
		elog(ERROR, "no such member: %d", m);
	return members[m];
}

static KeConsumer *
member(FunctionCallInfo fcinfo, int arg)
{
	return member_number(PG_GETARG_INT32(arg));
}

/* ---- lists ---- */

static char **
strings(Datum array, int *count)
{
	Datum	   *items;
	char	  **result;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &items, NULL, count);
	result = palloc((*count + 1) * sizeof(char *));
	for (int i = 0; i < *count; i++)
		result[i] = TextDatumGetCString(items[i]);
	return result;
}

static KeKafkaList *
list_from_datum(Datum array)
{
	int			count;
	char	  **items = strings(array, &count);
	KeKafkaList *list = ke_kafka_list_make(count);

	for (int i = 0; i < count; i++)
	{
		char	   *topic = items[i];
		char	   *partition = strchr(topic, '/');
		char	   *offset = partition ? strchr(partition + 1, '/') : NULL;
		char	   *metadata = offset ? strchr(offset + 1, '/') : NULL;
		KeKafkaPartition *part;

		if (offset == NULL)
			elog(ERROR, "not a partition: %s", topic);
		*partition = '\0';
		part = ke_kafka_list_add(list, topic, atoi(partition + 1),
								 strtoll(offset + 1, NULL, 10));
		if (metadata != NULL)
			part->metadata = metadata + 1;
	}
	return list;
}

static char *
show_partition(const KeKafkaPartition *part)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s/%d/" INT64_FORMAT, part->topic,
					 part->partition, part->offset);
	if (part->metadata != NULL)
		appendStringInfo(&buf, "/%s", part->metadata);
	if (part->error != 0)
		appendStringInfo(&buf, "/%s", ke_client_error_name(part->error));
	return buf.data;
}

static Datum
list_datum(const KeKafkaList *list)
{
	Datum	   *items = palloc((list->count + 1) * sizeof(Datum));

	for (int i = 0; i < list->count; i++)
		items[i] = CStringGetTextDatum(show_partition(&list->parts[i]));
	return PointerGetDatum(construct_array(items, list->count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/* ---- opening ---- */

static void
apply_option(KeServerOptions *server, KeMappingOptions *mapping, char *name,
			 char *value)
{
	if (strcmp(name, "security_protocol") == 0)
		server->security_protocol = value;
	else if (strcmp(name, "sasl_mechanism") == 0)
		server->sasl_mechanism = value;
	else if (strcmp(name, "ssl_ca_pem") == 0)
		server->ssl_ca_pem = value;
	else if (strcmp(name, "username") == 0)
		mapping->username = value;
	else if (strcmp(name, "password") == 0)
		mapping->password = value;
	else if (strcmp(name, "session_timeout") == 0)
		server->session_timeout = atoi(value);
	else if (strcmp(name, "max_poll_interval") == 0)
		server->max_poll_interval = atoi(value);
	else
	{
		KeProperty *property = palloc(sizeof(KeProperty));

		property->name = name;
		property->value = value;
		server->properties = lappend(server->properties, property);
	}
}

/* Defaults of the interface, then 'name=value' strings. */
static void
make_options(KeServerOptions *server, KeMappingOptions *mapping,
			 char *bootstrap, Datum options)
{
	int			count;
	char	  **items = strings(options, &count);

	memset(server, 0, sizeof(*server));
	memset(mapping, 0, sizeof(*mapping));
	server->bootstrap_servers = bootstrap;
	server->security_protocol = "plaintext";
	server->session_timeout = 45000;
	server->heartbeat_interval = 1000;
	server->max_poll_interval = 300000;
	server->fetch_wait = 100;

	for (int i = 0; i < count; i++)
	{
		char	   *equals = strchr(items[i], '=');

		if (equals == NULL)
			elog(ERROR, "not an option: %s", items[i]);
		*equals = '\0';
		apply_option(server, mapping, items[i], equals + 1);
	}
}

Datum
unit_kafka_open(PG_FUNCTION_ARGS)
{
	int			m = PG_GETARG_INT32(0);
	KeServerOptions server;
	KeMappingOptions mapping;
	KeMembership membership;

	if (m < 0 || m >= MEMBERS || members[m] != NULL)
		elog(ERROR, "cannot open member %d", m);
	make_options(&server, &mapping, text_to_cstring(PG_GETARG_TEXT_PP(1)),
				 PG_GETARG_DATUM(4));
	membership.group_id = text_to_cstring(PG_GETARG_TEXT_PP(2));
	membership.instance_id = text_to_cstring(PG_GETARG_TEXT_PP(3));
	membership.client_id = "unit";
	members[m] = ke_consumer_open(&server, &mapping, &membership);
	PG_RETURN_VOID();
}

Datum
unit_kafka_close(PG_FUNCTION_ARGS)
{
	KeConsumer *consumer = member(fcinfo, 0);
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	members[PG_GETARG_INT32(0)] = NULL;
	ke_consumer_close(consumer, PG_GETARG_BOOL(1));
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	PG_RETURN_INT32((int32) INSTR_TIME_GET_MILLISEC(end));
}

Datum
unit_kafka_subscribe(PG_FUNCTION_ARGS)
{
	int			count;
	char	  **topics = strings(PG_GETARG_DATUM(1), &count);

	ke_consumer_subscribe(member(fcinfo, 0), (const char **) topics, count);
	PG_RETURN_VOID();
}

Datum
unit_kafka_unsubscribe(PG_FUNCTION_ARGS)
{
	ke_consumer_unsubscribe(member(fcinfo, 0));
	PG_RETURN_VOID();
}

/* ---- polling ---- */

static const char *const kind_names[] = {
	[KE_CONSUMER_NOTHING] = "NOTHING",
	[KE_CONSUMER_MESSAGE] = "MESSAGE",
	[KE_CONSUMER_END] = "END",
	[KE_CONSUMER_ASSIGN] = "ASSIGN",
	[KE_CONSUMER_REVOKE] = "REVOKE",
	[KE_CONSUMER_LOST] = "LOST",
	[KE_CONSUMER_COMMITTED] = "COMMITTED",
	[KE_CONSUMER_PARTITION_ERROR] = "PARTITION_ERROR",
	[KE_CONSUMER_ERROR] = "ERROR",
	[KE_CONSUMER_FENCED] = "FENCED",
	[KE_CONSUMER_FATAL] = "FATAL",
	[KE_CONSUMER_LOG] = "LOG"
};

static text *
bytes(const char *from, int32 len)
{
	return cstring_to_text_with_len(from, len);
}

static Datum
show_headers(KeMessage *msg)
{
	int			count;
	const KeHeader *headers = ke_message_headers(msg, &count);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < count; i++)
	{
		appendStringInfo(&buf, "%s%s", i > 0 ? "," : "", headers[i].name);
		if (headers[i].value != NULL)
			appendStringInfo(&buf, "=%.*s", headers[i].value_len,
							 headers[i].value);
	}
	return CStringGetTextDatum(buf.data);
}

/* member, kind, topic, partition, offset, key, value, headers, list, error,
 * text */
static void
put_event(ReturnSetInfo *rsinfo, int m, KeConsumerEvent *event)
{
	Datum		values[11];
	bool		nulls[11];

	memset(nulls, true, sizeof(nulls));
#define PUT(i, datum) (values[i] = (datum), nulls[i] = false)
	PUT(0, Int32GetDatum(m));
	PUT(1, CStringGetTextDatum(kind_names[event->kind]));
	if (event->kind == KE_CONSUMER_MESSAGE)
	{
		KeMessage  *msg = &event->msg;

		PUT(2, CStringGetTextDatum(msg->topic));
		PUT(3, Int32GetDatum(msg->partition));
		PUT(4, Int64GetDatum(msg->offset));
		if (msg->key != NULL)
			PUT(5, PointerGetDatum(bytes(msg->key, msg->key_len)));
		if (msg->value != NULL)
			PUT(6, PointerGetDatum(bytes(msg->value, msg->value_len)));
		PUT(7, show_headers(msg));
	}
	else
	{
		if (event->kind == KE_CONSUMER_END ||
			event->kind == KE_CONSUMER_PARTITION_ERROR)
		{
			PUT(2, CStringGetTextDatum(event->part.topic));
			PUT(3, Int32GetDatum(event->part.partition));
			PUT(4, Int64GetDatum(event->part.offset));
		}
		if (event->list != NULL)
			PUT(8, list_datum(event->list));
		PUT(9, Int32GetDatum(event->error));
		if (event->text != NULL)
			PUT(10, CStringGetTextDatum(event->text));
	}
#undef PUT
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
answer(KeConsumer *consumer, KeConsumerEvent *event, int64 offset)
{
	if (event->kind == KE_CONSUMER_ASSIGN)
	{
		for (int i = 0; i < event->list->count; i++)
			event->list->parts[i].offset = offset;
		ke_consumer_assign(consumer, event->list);
	}
	else if (event->kind == KE_CONSUMER_REVOKE ||
			 event->kind == KE_CONSUMER_LOST)
		ke_consumer_unassign(consumer, event->list);
}

static void
sleep_on_fds(Datum members_array)
{
	int			nmembers;
	Datum	   *items;
	WaitEventSet *set;
	WaitEvent	occurred;

	deconstruct_array(DatumGetArrayTypeP(members_array), INT4OID, 4, true,
					  TYPALIGN_INT, &items, NULL, &nmembers);
	set = ke_create_wait_event_set(nmembers + 2);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < nmembers; i++)
		AddWaitEventToSet(set, WL_SOCKET_READABLE,
						  ke_consumer_fd(members[DatumGetInt32(items[i])]),
						  NULL, NULL);
	WaitEventSetWait(set, 1000, &occurred, 1, PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	ResetLatch(MyLatch);
	for (int i = 0; i < nmembers; i++)
		ke_consumer_drain_fd(members[DatumGetInt32(items[i])]);
	CHECK_FOR_INTERRUPTS();
}

/*
 * unit_kafka_poll(members int[], wait_ms int, want text, count int,
 * answer_with bigint): poll the members in turn until count events of the
 * kind wanted have come, or time is over.  Rebalances are answered with
 * answer_with as the offset of every partition, unless it is NULL.
 */
Datum
unit_kafka_poll(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum	   *items;
	int			nmembers;
	char	   *want = text_to_cstring(PG_GETARG_TEXT_PP(2));
	int			missing = PG_GETARG_INT32(3);
	instr_time	start;
	instr_time	now;

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, 4, true,
					  TYPALIGN_INT, &items, NULL, &nmembers);
	INSTR_TIME_SET_CURRENT(start);
	while (missing > 0)
	{
		bool		any = false;

		for (int i = 0; i < nmembers && missing > 0; i++)
		{
			int			m = DatumGetInt32(items[i]);
			KeConsumer *consumer = member_number(m);
			KeConsumerEvent event;

			if (!ke_consumer_poll(consumer, 0, &event))
				continue;
			any = true;
			put_event(rsinfo, m, &event);
			if (event.kind == KE_CONSUMER_MESSAGE)
				ke_message_release(&event.msg);
			else if (!PG_ARGISNULL(4))
				answer(consumer, &event, PG_GETARG_INT64(4));
			if (strcmp(kind_names[event.kind], want) == 0)
				missing--;
		}
		if (!any)
			sleep_on_fds(PG_GETARG_DATUM(0));
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		if (INSTR_TIME_GET_MILLISEC(now) >= PG_GETARG_INT32(1))
			break;
	}
	return (Datum) 0;
}

/*
 * unit_kafka_drain(member int, messages bigint, hold int, pause_us int):
 * consume that many messages, holding the newest ones, sleeping after each
 * thousand.  'messages ns-per-message peak-kB'.
 */
Datum
unit_kafka_drain(PG_FUNCTION_ARGS)
{
	KeConsumer *consumer = member(fcinfo, 0);
	int64		messages = PG_GETARG_INT64(1);
	int			hold = PG_GETARG_INT32(2);
	KeMessage  *held = palloc0(Max(hold, 1) * sizeof(KeMessage));
	int64		bytes_total = 0;
	int64		got = 0;
	ArrayType  *self = construct_array((Datum *) &PG_GETARG_DATUM(0), 1,
									   INT4OID, 4, true, TYPALIGN_INT);
	instr_time	start;
	instr_time	end;
	struct rusage before;
	struct rusage after;

	getrusage(RUSAGE_THREAD, &before);
	INSTR_TIME_SET_CURRENT(start);
	while (got < messages)
	{
		KeConsumerEvent event;

		if (!ke_consumer_poll(consumer, 0, &event))
		{
			sleep_on_fds(PointerGetDatum(self));
			continue;
		}
		if (event.kind == KE_CONSUMER_MESSAGE)
		{
			KeMessage  *place = &held[hold > 0 ? got % hold : 0];

			bytes_total += event.msg.value_len;
			ke_message_release(place);
			*place = event.msg;
			if (++got % 1000 == 0 && PG_GETARG_INT32(3) > 0)
				pg_usleep(PG_GETARG_INT32(3));
		}
		else
			answer(consumer, &event, 0);
	}
	INSTR_TIME_SET_CURRENT(end);
	getrusage(RUSAGE_THREAD, &after);
	INSTR_TIME_SUBTRACT(end, start);
	for (int i = 0; i < Max(hold, 1); i++)
		ke_message_release(&held[i]);
	{
		struct rusage whole;

		getrusage(RUSAGE_SELF, &whole);
		PG_RETURN_TEXT_P(cstring_to_text(psprintf(
												  INT64_FORMAT " messages, " INT64_FORMAT " bytes, %.0f ns per message, %.0f ns of this thread's CPU, peak %ld kB",
												  got, bytes_total,
												  INSTR_TIME_GET_DOUBLE(end) * 1e9 / got,
												  ((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1e9 +
												   (after.ru_utime.tv_usec - before.ru_utime.tv_usec) * 1e3 +
												   (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1e9 +
												   (after.ru_stime.tv_usec - before.ru_stime.tv_usec) * 1e3) / got,
												  whole.ru_maxrss)));
	}
}

/* ---- the rest ---- */

/* unit_kafka_do(member, verb, list): what needs no answer. */
Datum
unit_kafka_do(PG_FUNCTION_ARGS)
{
	KeConsumer *consumer = member(fcinfo, 0);
	char	   *verb = text_to_cstring(PG_GETARG_TEXT_PP(1));
	KeKafkaList *list = list_from_datum(PG_GETARG_DATUM(2));

	if (strcmp(verb, "assign") == 0)
		ke_consumer_assign(consumer, list);
	else if (strcmp(verb, "unassign") == 0)
		ke_consumer_unassign(consumer, list);
	else if (strcmp(verb, "restart") == 0)
		ke_consumer_restart(consumer, list);
	else if (strcmp(verb, "pause") == 0)
		ke_consumer_pause(consumer, list);
	else if (strcmp(verb, "resume") == 0)
		ke_consumer_resume(consumer, list);
	else if (strcmp(verb, "commit") == 0)
		ke_consumer_commit(consumer, list);
	else
		elog(ERROR, "no such verb: %s", verb);
	PG_RETURN_VOID();
}

/* The list as it comes back, or the error of the whole call alone. */
static Datum
answered(int error, const KeKafkaList *list)
{
	Datum		name;

	if (error == 0)
		return list_datum(list);
	name = CStringGetTextDatum(ke_client_error_name(error));
	return PointerGetDatum(construct_array(&name, 1, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* unit_kafka_ask(member, verb, list, timeout_ms) */
Datum
unit_kafka_ask(PG_FUNCTION_ARGS)
{
	KeConsumer *consumer = member(fcinfo, 0);
	char	   *verb = text_to_cstring(PG_GETARG_TEXT_PP(1));
	KeKafkaList *list = list_from_datum(PG_GETARG_DATUM(2));
	int			timeout_ms = PG_GETARG_INT32(3);
	int			error = 0;

	if (strcmp(verb, "committed") == 0)
		error = ke_consumer_committed(consumer, list, timeout_ms);
	else if (strcmp(verb, "commit_wait") == 0)
		error = ke_consumer_commit_wait(consumer, list, timeout_ms);
	else if (strcmp(verb, "watermarks") == 0)
	{
		KeKafkaPartition *part = &list->parts[0];
		int64		low;
		int64		high;

		error = ke_consumer_watermarks(consumer, part->topic,
									   part->partition, &low, &high,
									   timeout_ms);
		list->count = 0;
		if (error == 0)
		{
			ke_kafka_list_add(list, "low", part->partition, low);
			ke_kafka_list_add(list, "high", part->partition, high);
		}
	}
	else
		elog(ERROR, "no such verb: %s", verb);
	return answered(error, list);
}

Datum
unit_kafka_known_end(PG_FUNCTION_ARGS)
{
	int64		high;
	int64		last_stable;

	ke_consumer_known_end(member(fcinfo, 0),
						  text_to_cstring(PG_GETARG_TEXT_PP(1)),
						  PG_GETARG_INT32(2), &high, &last_stable);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(INT64_FORMAT "/" INT64_FORMAT,
											  high, last_stable)));
}

Datum
unit_kafka_idle(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(ke_consumer_idle_ms(member(fcinfo, 0)));
}

Datum
unit_kafka_id(PG_FUNCTION_ARGS)
{
	char	   *id = ke_consumer_cluster_id(member(fcinfo, 0),
											PG_GETARG_INT32(1));

	if (id == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(id));
}

Datum
unit_kafka_library(PG_FUNCTION_ARGS)
{
	ke_client_check_library();
	PG_RETURN_INT32(ke_client_library_version());
}

Datum
unit_kafka_hint(PG_FUNCTION_ARGS)
{
	const char *hint = ke_client_error_hint(PG_GETARG_INT32(0));

	if (hint == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(hint));
}

/* ---- the cluster ---- */

Datum
unit_kafka_cluster_open(PG_FUNCTION_ARGS)
{
	KeServerOptions server;
	KeMappingOptions mapping;

	if (cluster != NULL)
		elog(ERROR, "cluster is open already");
	make_options(&server, &mapping, text_to_cstring(PG_GETARG_TEXT_PP(0)),
				 PG_GETARG_DATUM(2));
	cluster = ke_cluster_open(&server, &mapping,
							  text_to_cstring(PG_GETARG_TEXT_PP(1)), "unit");
	PG_RETURN_VOID();
}

/* unit_kafka_cluster_ask(verb, list, timeout_ms) */
Datum
unit_kafka_cluster_ask(PG_FUNCTION_ARGS)
{
	char	   *verb = text_to_cstring(PG_GETARG_TEXT_PP(0));
	KeKafkaList *list = list_from_datum(PG_GETARG_DATUM(1));
	int			timeout_ms = PG_GETARG_INT32(2);
	int			error = 0;

	if (strcmp(verb, "committed") == 0)
		error = ke_cluster_committed(cluster, list, timeout_ms);
	else if (strcmp(verb, "offsets_for_time") == 0)
		error = ke_cluster_offsets_for_time(cluster, list, timeout_ms);
	else if (strcmp(verb, "watermarks") == 0)
	{
		KeKafkaPartition *part = &list->parts[0];
		int64		low;
		int64		high;

		error = ke_cluster_watermarks(cluster, part->topic, part->partition,
									  &low, &high, timeout_ms);
		list->count = 0;
		if (error == 0)
		{
			ke_kafka_list_add(list, "low", part->partition, low);
			ke_kafka_list_add(list, "high", part->partition, high);
		}
	}
	else if (strcmp(verb, "id") == 0)
	{
		char	   *id = ke_cluster_id(cluster, timeout_ms);

		list->count = 0;
		if (id != NULL)
			ke_kafka_list_add(list, id, 0, 0);
	}
	else
		elog(ERROR, "no such verb: %s", verb);
	return answered(error, list);
}

/* name, partitions, replication factor, error; one row with the error of the
 * whole call */
Datum
unit_kafka_cluster_topics(PG_FUNCTION_ARGS)
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
unit_kafka_cluster_serve(PG_FUNCTION_ARGS)
{
	char	   *text = ke_cluster_serve(cluster);

	if (text == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(text));
}

Datum
unit_kafka_cluster_close(PG_FUNCTION_ARGS)
{
	ke_cluster_close(cluster);
	cluster = NULL;
	PG_RETURN_VOID();
}
