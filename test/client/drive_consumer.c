/*
 * drive_consumer.c
 *	  Members of consumer groups, driven from SQL.
 *
 * The extension never has a handle in a user's backend; a test may: it does
 * one thing at a time, and the handle goes with the session.
 */
#include "postgres.h"
#include "core/compat.h"

#include <sys/resource.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"

#include "kafka/consumer.h"

#include "drive.h"

#define MEMBERS 64

PG_FUNCTION_INFO_V1(client_open);
PG_FUNCTION_INFO_V1(client_close);
PG_FUNCTION_INFO_V1(client_subscribe);
PG_FUNCTION_INFO_V1(client_unsubscribe);
PG_FUNCTION_INFO_V1(client_poll);
PG_FUNCTION_INFO_V1(client_drain);
PG_FUNCTION_INFO_V1(client_act);
PG_FUNCTION_INFO_V1(client_ask);
PG_FUNCTION_INFO_V1(client_known_end);
PG_FUNCTION_INFO_V1(client_idle);
PG_FUNCTION_INFO_V1(client_id);
PG_FUNCTION_INFO_V1(client_library);
PG_FUNCTION_INFO_V1(client_hint);

static KeConsumer *members[MEMBERS];

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

static int64
now_us(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

/* ---- opening and closing ---- */

Datum
client_open(PG_FUNCTION_ARGS)
{
	int			m = PG_GETARG_INT32(0);
	KeServerOptions server;
	KeMappingOptions mapping;
	KeMembership membership = {0};

	if (m < 0 || m >= MEMBERS || members[m] != NULL)
		elog(ERROR, "cannot open member %d", m);
	drive_options(&server, &mapping, text_to_cstring(PG_GETARG_TEXT_PP(1)),
				 PG_GETARG_DATUM(4));
	membership.group_id = text_to_cstring(PG_GETARG_TEXT_PP(2));
	membership.instance_id = text_to_cstring(PG_GETARG_TEXT_PP(3));
	membership.client_id = "unit";
	members[m] = ke_consumer_open(&server, &mapping, &membership);
	PG_RETURN_VOID();
}

Datum
client_close(PG_FUNCTION_ARGS)
{
	KeConsumer *consumer = member(fcinfo, 0);
	int64		start = now_us();

	members[PG_GETARG_INT32(0)] = NULL;
	ke_consumer_close(consumer, PG_GETARG_BOOL(1));
	PG_RETURN_INT32((int32) ((now_us() - start) / 1000));
}

Datum
client_subscribe(PG_FUNCTION_ARGS)
{
	int			count;
	char	  **topics = drive_strings(PG_GETARG_DATUM(1), &count);

	ke_consumer_subscribe(member(fcinfo, 0), (const char **) topics, count);
	PG_RETURN_VOID();
}

Datum
client_unsubscribe(PG_FUNCTION_ARGS)
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
			PUT(8, drive_list_datum(event->list));
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

/* Wait as a worker does if there is one member, else for a moment. */
static void
wait_for_events(Datum *numbers, int count)
{
	if (count == 1)
	{
		KeConsumer *consumer = member_number(DatumGetInt32(numbers[0]));

		(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT |
								 WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH,
								 ke_consumer_fd(consumer), 1000,
								 PG_WAIT_EXTENSION);
		ke_consumer_drain_fd(consumer);
	}
	else
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT |
						 WL_EXIT_ON_PM_DEATH, 5, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * client_poll(members int[], wait_ms int, want text, count int,
 * answer_with bigint): poll the members in turn until count events of the
 * kind wanted have come, or time is over.  Rebalances are answered with
 * answer_with as the offset of every partition, unless it is NULL.
 */
Datum
client_poll(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		deadline = now_us() + PG_GETARG_INT32(1) * INT64CONST(1000);
	char	   *want = text_to_cstring(PG_GETARG_TEXT_PP(2));
	int			missing = PG_GETARG_INT32(3);
	Datum	   *numbers;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, 4, true,
					  TYPALIGN_INT, &numbers, NULL, &count);
	while (missing > 0 && now_us() < deadline)
	{
		bool		any = false;

		for (int i = 0; i < count && missing > 0; i++)
		{
			int			m = DatumGetInt32(numbers[i]);
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
			wait_for_events(numbers, count);
	}
	return (Datum) 0;
}

static int64
cpu_ns(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) *
		INT64CONST(1000000000) +
		(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * INT64CONST(1000);
}

/* Consume so many messages, holding the newest ones. */
static void
drain(KeConsumer *consumer, Datum *number, int64 messages, int hold,
	  int pause_us)
{
	KeMessage  *held = palloc0(hold * sizeof(KeMessage));
	int64		got = 0;

	while (got < messages)
	{
		KeConsumerEvent event;

		if (!ke_consumer_poll(consumer, 0, &event))
			wait_for_events(number, 1);
		else if (event.kind == KE_CONSUMER_MESSAGE)
		{
			KeMessage  *place = &held[got % hold];

			ke_message_release(place);
			*place = event.msg;
			got++;
			if (pause_us > 0 && got % 1000 == 0)
				pg_usleep(pause_us);
		}
		else
			answer(consumer, &event, 0);
	}
	for (int i = 0; i < hold; i++)
		ke_message_release(&held[i]);
}

/*
 * client_drain(member int, messages bigint, hold int, pause_us int): consume,
 * sleeping after each thousand, and say what it took.
 */
Datum
client_drain(PG_FUNCTION_ARGS)
{
	KeConsumer *consumer = member(fcinfo, 0);
	Datum		number = PG_GETARG_DATUM(0);
	int64		messages = PG_GETARG_INT64(1);
	struct rusage before;
	struct rusage after;
	struct rusage process;
	int64		start;
	int64		end;

	getrusage(RUSAGE_THREAD, &before);
	start = now_us();
	drain(consumer, &number, messages, Max(PG_GETARG_INT32(2), 1),
		  PG_GETARG_INT32(3));
	end = now_us();
	getrusage(RUSAGE_THREAD, &after);
	getrusage(RUSAGE_SELF, &process);

	PG_RETURN_TEXT_P(cstring_to_text(psprintf(
											  "%.0f ns per message, " INT64_FORMAT " ns of them here, peak %ld kB",
											  (end - start) * 1000.0 / messages,
											  (cpu_ns(&after) - cpu_ns(&before)) / messages,
											  process.ru_maxrss)));
}

/* ---- the rest ---- */

/* client_act(member, verb, list): what needs no answer. */
Datum
client_act(PG_FUNCTION_ARGS)
{
	KeConsumer *consumer = member(fcinfo, 0);
	char	   *verb = text_to_cstring(PG_GETARG_TEXT_PP(1));
	KePartitionList *list = drive_list(PG_GETARG_DATUM(2));

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

/* Low and high as the answer to a question for watermarks. */
static void
put_watermarks(KePartitionList *list, int64 low, int64 high)
{
	int32		partition = list->parts[0].partition;

	list->count = 0;
	ke_partition_list_add(list, "low", partition, low);
	ke_partition_list_add(list, "high", partition, high);
}

/* client_ask(member, verb, list, timeout_ms) */
Datum
client_ask(PG_FUNCTION_ARGS)
{
	KeConsumer *consumer = member(fcinfo, 0);
	char	   *verb = text_to_cstring(PG_GETARG_TEXT_PP(1));
	KePartitionList *list = drive_list(PG_GETARG_DATUM(2));
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
		if (error == 0)
			put_watermarks(list, low, high);
	}
	else
		elog(ERROR, "no such verb: %s", verb);
	return drive_answer(error, list);
}

Datum
client_known_end(PG_FUNCTION_ARGS)
{
	int64		high;
	int64		last_stable;

	ke_consumer_partitions_known_end(member(fcinfo, 0),
						  text_to_cstring(PG_GETARG_TEXT_PP(1)),
						  PG_GETARG_INT32(2), &high, &last_stable);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(INT64_FORMAT "/" INT64_FORMAT,
											  high, last_stable)));
}

Datum
client_idle(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(ke_consumer_poll_idle_ms(member(fcinfo, 0)));
}

Datum
client_id(PG_FUNCTION_ARGS)
{
	char	   *id = ke_consumer_cluster_id(member(fcinfo, 0),
											PG_GETARG_INT32(1));

	if (id == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(id));
}

Datum
client_library(PG_FUNCTION_ARGS)
{
	ke_client_check_library();
	PG_RETURN_INT32(ke_client_library_version());
}

Datum
client_hint(PG_FUNCTION_ARGS)
{
	const char *hint = ke_client_error_hint(PG_GETARG_INT32(0));

	if (hint == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(hint));
}

