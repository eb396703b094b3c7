/*
 * dlq_functions.c
 *	  Dead letters as a user sees them: how many there are, and what is in
 *	  them.  Nothing here moves one.
 *
 * Counting is a short question to the manager; the letters themselves come
 * through a task process, as does what only they can tell.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "api/dlq_functions.h"
#include "api/fcinfo.h"
#include "api/message_row.h"
#include "api/row.h"
#include "api/subscription_ddl.h"
#include "api/visible.h"
#include "convert/decode.h"
#include "core/dead_letter.h"
#include "core/dlq_reply.h"
#include "core/guc.h"
#include "shm/ready.h"
#include "shm/request.h"
#include "shm/task.h"
#include "state/dlq_pending.h"
#include "state/histories.h"
#include "state/identity.h"
#include "state/offset_metadata.h"

PG_FUNCTION_INFO_V1(kafka_dlq_stats);
PG_FUNCTION_INFO_V1(kafka_dlq_messages);

/* ------------------------------------------------- servers and topics */

/* Does the name end so, with something before it? */
static bool
has_suffix(const char *topic, const char *suffix)
{
	return strlen(topic) > strlen(suffix) &&
		strcmp(topic + strlen(topic) - strlen(suffix), suffix) == 0;
}

static KeAnswer *
ask(const KeServer *server, KeQuestionKind kind, const char *topic)
{
	KeQuestion	question = {.kind = kind, .server = server->oid};
	KeAnswer   *answer;

	strlcpy(question.topic, topic, sizeof(question.topic));
	answer = ke_request_ask(&question, ke_guc_request_timeout);
	if (!answer->answered)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not ask server \"%s\" about topic \"%s\": %s",
						server->name, topic, answer->text),
				 answer->hint ? errhint("%s", answer->hint) : 0));
	if (answer->metadata != NULL)
		ke_offset_metadata_disregard(answer->positions, answer->metadata,
									 answer->partitions);
	return answer;
}

static bool
exists(const KeServer *server, const char *topic)
{
	return ask(server, KE_ASK_TOPIC, topic)->topic_exists;
}

char *
ke_dlq_functions_topic(KeServer *server, const char *topic)
{
	const char *suffix = server->options.dlq_suffix;
	char	   *name = has_suffix(topic, suffix) ? pstrdup(topic) :
		psprintf("%s%s", topic, suffix);
	const char *problem = ke_options_topic_problem(name);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("topic \"%s\" %s", name, problem)));
	if (strcmp(name, topic) == 0 ||
		OidIsValid(ke_catalog_find(server, topic, InvalidOid)) ||
		exists(server, name) || !exists(server, topic))
		return name;
	return pstrdup(topic);
}

char *
ke_dlq_functions_source(const KeServer *server, const char *dlq_topic)
{
	const char *suffix = server->options.dlq_suffix;

	if (!has_suffix(dlq_topic, suffix))
		return NULL;
	return pnstrdup(dlq_topic, strlen(dlq_topic) - strlen(suffix));
}

/* ------------------------------------------------------------- statistics */

/* What is known of one DLQ topic. */
typedef struct Stats
{
	const KeAnswer *answer;
	int64		messages;
	int64		pending;		/* without orphans, if these are known */
	int64		orphans;		/* that nobody has passed yet; -1: not known */
	int64		oldest;			/* -1: it has no partition */
	int64		newest;
} Stats;

static void
compute_stats(const KeServer *server, const char *topic, Stats *stats)
{
	const KeAnswer *answer = stats->answer;
	KePositionKey key = {
		.cluster_id = answer->cluster_id,
		.group_id = ke_catalog_admin_group(server)
	};
	List	   *mirror = ke_dlq_records_positions(&key, topic);
	List	   *letters = ke_dlq_records_letters(&key, topic);

	stats->oldest = stats->newest = -1;
	for (int p = 0; p < answer->partitions; p++)
	{
		KeDlqRange	range = {
			.partition = p,
			.low = answer->lows[p],
			.high = answer->offsets[p],
			.committed = answer->positions[p]
		};

		stats->messages += range.high - range.low;
		stats->pending += ke_dlq_pending_in_range(&range, mirror, letters);
		stats->oldest = stats->oldest < 0 ? range.low :
			Min(stats->oldest, range.low);
		stats->newest = Max(stats->newest, range.high);
	}
}

static void
count_orphan(StringInfo reply, void *argument)
{
	if (ke_dlq_reply_get_kind(reply) == KE_DLQ_REPLY_MESSAGE)
		((Stats *) argument)->orphans++;
}

/*
 * What a history has sent that this database has left is not pending, and
 * only its headers tell.  So where there is such a history, pending letters
 * are read.
 */
static void
subtract_orphans(const KeServer *server, const char *topic, Stats *stats)
{
	KeTaskOrder order = {
		.kind = KE_TASK_BROWSE,
		.server = server->oid,
		.partition = KE_TASK_ANY,
		.offset = KE_TASK_ANY,
		.max_messages = KE_TASK_ANY,
		.pending_only = true,
		.orphans_only = true,
		.timeout_ms = ke_guc_request_timeout
	};
	KeTaskFailure *failure;

	if (stats->pending == 0 || ke_histories_past()->ntimelines <= 1)
		return;
	strlcpy(order.topic, topic, sizeof(order.topic));
	failure = ke_task_try(&order, count_orphan, stats);
	if (failure == NULL)
	{
		stats->pending = Max(stats->pending - stats->orphans, 0);
		return;
	}
	stats->orphans = -1;
	ereport(WARNING,
			(errcode(failure->sqlstate),
			 errmsg("could not tell which letters of topic \"%s\" are orphans: %s",
					topic, failure->text),
			 errdetail("They are counted as pending."),
			 failure->hint ? errhint("%s", failure->hint) : 0));
}

static void
emit_stats(FunctionCallInfo fcinfo, const KeServer *server,
		   const char *topic, const KeAnswer *answer)
{
	Stats		stats = {.answer = answer};
	KeRow		row = {0};

	compute_stats(server, topic, &stats);
	subtract_orphans(server, topic, &stats);
	ke_row_put_text(&row, topic);
	ke_row_put_text(&row, ke_dlq_functions_source(server, topic));
	ke_row_put_number(&row, stats.messages);
	ke_row_put_number(&row, stats.pending);
	ke_row_put_int(&row, answer->partitions);
	ke_row_put_number(&row, stats.oldest);
	ke_row_put_number(&row, stats.newest);
	ke_row_put_number(&row, stats.orphans);
	ke_row_emit(&row, fcinfo);
}

/* One topic that was asked for by its name. */
static void
emit_one(FunctionCallInfo fcinfo, KeServer *server, const char *topic)
{
	char	   *dlq_topic = ke_dlq_functions_topic(server, topic);
	KeAnswer   *answer = ask(server, KE_ASK_DLQ, dlq_topic);
	char	   *source = ke_dlq_functions_source(server, dlq_topic);

	/* No letter yet: that is no error where one may come. */
	if (!answer->topic_exists &&
		(source == NULL ||
		 !OidIsValid(ke_catalog_find(server, source, InvalidOid))))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" does not exist on server \"%s\"",
						dlq_topic, server->name),
				 errhint("On this server the names of dead letter topics end with \"%s\", its option dlq_suffix.",
						 server->options.dlq_suffix)));
	emit_stats(fcinfo, server, dlq_topic, answer);
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp((char *) lfirst(a), (char *) lfirst(b));
}

static List *
add_name(List *names, char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp((char *) lfirst(lc), name) == 0)
			return names;
	}
	return lappend(names, name);
}

/* DLQ topics of what is subscribed, and of what was. */
static List *
known_topics(KeServer *server)
{
	char	   *cluster_id =
		ke_identity_cluster(server->options.service_name);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, ke_catalog_subscriptions(server))
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (sub->options.dlq)
			names = add_name(names, psprintf("%s%s", sub->topic,
											 server->options.dlq_suffix));
	}
	if (cluster_id != NULL)
	{
		KePositionKey key = {
			.cluster_id = cluster_id,
			.group_id = ke_catalog_admin_group(server)
		};

		foreach(lc, ke_dlq_records_positions(&key, NULL))
			names = add_name(names, ((KeDlqPosition *) lfirst(lc))->topic);
	}
	list_sort(names, compare_names);
	return names;
}

static void
emit_known(FunctionCallInfo fcinfo, KeServer *server)
{
	ListCell   *lc;

	foreach(lc, known_topics(server))
	{
		char	   *topic = (char *) lfirst(lc);
		KeAnswer   *answer = ask(server, KE_ASK_DLQ, topic);

		if (answer->topic_exists)
			emit_stats(fcinfo, server, topic, answer);
	}
}

Datum
kafka_dlq_stats(PG_FUNCTION_ARGS)
{
	char	   *topic = ke_fcinfo_text(fcinfo, 0);
	KeServer   *server;

	ke_ready_require();
	server = ke_visible_own_server(ke_fcinfo_name(fcinfo, 1), "dead letters");
	InitMaterializedSRF(fcinfo, 0);
	if (topic != NULL)
		emit_one(fcinfo, server, topic);
	else
		emit_known(fcinfo, server);
	return (Datum) 0;
}

/* --------------------------------------------------------------- browsing */

#define ARG_TOPIC 0
#define ARG_MAX_MESSAGES 1
#define ARG_FROM_OFFSET 2
#define ARG_PARTITION 3
#define ARG_PENDING_ONLY 4
#define ARG_SERVER 5

/* One row's memory is given back before the next one comes. */
typedef struct Browse
{
	FunctionCallInfo fcinfo;
	MemoryContext row_context;
	KePast	   *past;
} Browse;

/* Text of a header; null where it cannot be shown. */
static void
put_header(KeRow *row, const char *text)
{
	int			len;

	if (text != NULL)
		text = ke_decode_headers_if_text(text, strlen(text), &len);
	ke_row_put(row, text == NULL ? (Datum) 0 : CStringGetTextDatum(text),
			   text == NULL);
}

static void
put_count(KeRow *row, int count)
{
	ke_row_put(row, Int32GetDatum(count), count < 0);
}

static void
put_orphan(KeRow *row, const Browse *browse, KeMessage *msg)
{
	KeCopyHistory history;
	bool		orphan = ke_dead_letter_read_history(msg, &history) &&
		ke_copy_history_judge(browse->past, &history) == KE_COPY_ORPHAN;

	ke_row_put(row, BoolGetDatum(orphan), false);
}

static void
emit_letter(Browse *browse, KeMessage *msg)
{
	KeDeadLetter letter;
	KeRow		row = {0};

	ke_dead_letter_read(msg, ke_dead_letter_writer(msg), &letter);
	ke_message_row_put(&row, msg);
	put_header(&row, letter.reason);
	put_header(&row, letter.sqlstate);
	put_count(&row, letter.attempts);
	ke_message_row_put_ms(&row, letter.time_ms);
	put_header(&row, letter.origin.original_topic);
	put_count(&row, letter.origin.original_partition);
	ke_row_put_number(&row, letter.origin.original_offset);
	put_orphan(&row, browse, msg);
	ke_message_row_put_text(&row, msg->key, msg->key_len);
	ke_message_row_put_text(&row, msg->value, msg->value_len);
	ke_row_emit(&row, browse->fcinfo);
}

static void
visit_letter(StringInfo reply, void *argument)
{
	Browse	   *browse = (Browse *) argument;
	MemoryContext old = MemoryContextSwitchTo(browse->row_context);
	KeMessage	msg;

	if (ke_dlq_reply_get_kind(reply) == KE_DLQ_REPLY_MESSAGE)
	{
		ke_dlq_reply_get_message(reply, &msg);
		emit_letter(browse, &msg);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(browse->row_context);
}

int64
ke_dlq_functions_count(FunctionCallInfo fcinfo, int n, const char *name,
					   bool is_bigint)
{
	int64		value;

	if (PG_ARGISNULL(n))
		return KE_TASK_ANY;
	value = is_bigint ? PG_GETARG_INT64(n) : PG_GETARG_INT32(n);
	if (value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must not be negative", name)));
	return value;
}

Datum
kafka_dlq_messages(PG_FUNCTION_ARGS)
{
	KeTaskOrder order = {.kind = KE_TASK_BROWSE};
	Browse		browse = {.fcinfo = fcinfo};
	char	   *topic;
	KeServer   *server;

	ke_ready_require();
	topic = ke_fcinfo_required(fcinfo, ARG_TOPIC, "topic");
	order.max_messages = ke_dlq_functions_count(fcinfo, ARG_MAX_MESSAGES,
												"max_messages", false);
	order.offset = ke_dlq_functions_count(fcinfo, ARG_FROM_OFFSET,
										  "from_offset",
										  true);
	order.partition = (int32) ke_dlq_functions_count(fcinfo, ARG_PARTITION,
													 "partition", false);
	order.pending_only = !PG_ARGISNULL(ARG_PENDING_ONLY) &&
		PG_GETARG_BOOL(ARG_PENDING_ONLY);
	order.timeout_ms = ke_guc_request_timeout;
	server = ke_visible_own_server(ke_fcinfo_name(fcinfo, ARG_SERVER),
								   "dead letters");
	order.server = server->oid;
	strlcpy(order.topic, ke_dlq_functions_topic(server, topic),
			sizeof(order.topic));

	InitMaterializedSRF(fcinfo, 0);
	browse.past = ke_histories_past();
	browse.row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "kafka_events dead letter",
											   ALLOCSET_DEFAULT_SIZES);
	ke_task_run(&order, visit_letter, &browse);
	return (Datum) 0;
}
