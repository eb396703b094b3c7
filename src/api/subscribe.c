/*
 * subscribe.c
 *	  kafka_subscribe and its relatives: SQL functions that write the DDL.
 *
 * Everything that can be wrong is found before the statement runs, so that
 * it is reported all at once; api/ddl makes the same checks on what the
 * statement made.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "api/fcinfo.h"
#include "api/group_owner.h"
#include "api/pattern_ddl.h"
#include "api/subscription_ddl.h"
#include "api/subscription_define.h"
#include "core/guc.h"
#include "core/literal.h"
#include "core/topic_pattern.h"
#include "shm/cluster_report.h"
#include "shm/ready.h"
#include "shm/reason.h"
#include "shm/request.h"
#include "shm/roster.h"
#include "state/identity.h"
#include "state/positions.h"
#include "subscription/checks.h"
#include "subscription/extension.h"
#include "subscription/members.h"
#include "subscription/names.h"
#include "subscription/references.h"

PG_FUNCTION_INFO_V1(kafka_subscribe);
PG_FUNCTION_INFO_V1(kafka_subscription_alter);
PG_FUNCTION_INFO_V1(kafka_unsubscribe);

/* How long subscribing waits for an answer of the cluster. */
#define ASK_TIMEOUT_MS 5000

/* ------------------------------------------------------------- arguments */

typedef enum ArgumentKind
{
	ARG_TEXT,
	ARG_TABLE,
	ARG_TEXTS,
	ARG_INTEGER,
	ARG_NUMBER,
	ARG_BOOLEAN,
	ARG_INTERVAL,
	ARG_JSONB
} ArgumentKind;

/* Arguments 1 and up of both functions, and what need not be written down. */
static const struct
{
	const char *option;
	ArgumentKind kind;
	const char *standard;
}			arguments[] =
{
	{"handler", ARG_TEXT, NULL},
	{"into_table", ARG_TABLE, NULL},
	{"row_format", ARG_TEXT, "fields"},
	{"on_conflict", ARG_TEXT, "error"},
	{"ordering", ARG_TEXT, NULL},
	{"validator", ARG_TEXT, NULL},
	{"required_headers", ARG_TEXTS, "{}"},
	{"start_from", ARG_TEXT, "earliest"},
	{"batch_size", ARG_INTEGER, "1000"},
	{"handler_timeout", ARG_INTERVAL, "30 s"},
	{"max_retries", ARG_INTEGER, NULL},
	{"retry_strategy", ARG_TEXT, "exponential"},
	{"initial_delay", ARG_INTERVAL, NULL},
	{"max_delay", ARG_INTERVAL, NULL},
	{"multiplier", ARG_NUMBER, "2"},
	{"dlq", ARG_BOOLEAN, "true"},
	{"breaker_threshold", ARG_INTEGER, "10"},
	{"breaker_timeout", ARG_INTERVAL, "30 s"},
	{"column_map", ARG_JSONB, "{}"},
	{"field_names", ARG_TEXT, "exact"},
	{"value_format", ARG_TEXT, "json"},
	{"key_format", ARG_TEXT, "text"},
	{"timestamp_unit", ARG_TEXT, "none"},
	{"bytes_encoding", ARG_TEXT, "text"},
	{"strip_nul", ARG_BOOLEAN, "false"},
	{"tombstones", ARG_TEXT, NULL},
	{"update_columns", ARG_TEXT, "all"},
	{"update_if", ARG_TEXT, NULL},
	{"generated_columns", ARG_TEXT, "error"},
	{"unwrap", ARG_TEXT, "none"},
	{"split", ARG_TEXT, "none"},
	{"route", ARG_TEXT, NULL}
};

#define ARG_TOPIC 0
#define ARG_FIRST_OPTION 1
#define ARG_SERVER (ARG_FIRST_OPTION + (int) lengthof(arguments))
#define ARG_TOPICS (ARG_SERVER + 1)	/* of kafka_subscribe alone */

/* Milliseconds, with months of 30 days as in all options. */
static char *
interval_text(Interval *interval)
{
	int64		days = (int64) interval->month * DAYS_PER_MONTH +
		interval->day;

	return ke_literal_show_interval(days * (USECS_PER_DAY / 1000) +
									interval->time / 1000);
}

static char *
table_text(Oid table)
{
	if (get_rel_name(table) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", table)));
	return ke_names_of_table(table);
}

/* An argument as the text of an option. */
static char *
argument_text(FunctionCallInfo fcinfo, int n, ArgumentKind kind)
{
	switch (kind)
	{
		case ARG_TEXT:
			return ke_fcinfo_text(fcinfo, n);
		case ARG_TABLE:
			return table_text(PG_GETARG_OID(n));
		case ARG_TEXTS:
			return OidOutputFunctionCall(F_ARRAY_OUT, PG_GETARG_DATUM(n));
		case ARG_INTEGER:
			return psprintf("%d", PG_GETARG_INT32(n));
		case ARG_NUMBER:
			return OidOutputFunctionCall(F_FLOAT8OUT, PG_GETARG_DATUM(n));
		case ARG_BOOLEAN:
			return PG_GETARG_BOOL(n) ? "true" : "false";
		case ARG_INTERVAL:
			return interval_text(PG_GETARG_INTERVAL_P(n));
		case ARG_JSONB:
			return OidOutputFunctionCall(F_JSONB_OUT, PG_GETARG_DATUM(n));
	}
	return NULL;				/* not reached */
}

/* Put an option into a list of them, over one of the same name. */
static List *
put_option(List *options, const char *name, char *value)
{
	DefElem    *option = ke_options_find(options, name);

	if (option != NULL)
	{
		option->arg = (Node *) makeString(value);
		return options;
	}
	return lappend(options, makeDefElem(pstrdup(name),
										(Node *) makeString(value), -1));
}

/* The options that the arguments ask for, but for standard ones if so. */
static List *
argument_options(FunctionCallInfo fcinfo, bool with_standard)
{
	List	   *options = NIL;
	int			i;

	for (i = 0; i < lengthof(arguments); i++)
	{
		int			n = ARG_FIRST_OPTION + i;
		const char *standard = arguments[i].standard;
		char	   *value;

		if (PG_ARGISNULL(n))
			continue;
		value = argument_text(fcinfo, n, arguments[i].kind);
		if (!with_standard && standard != NULL &&
			strcmp(value, standard) == 0)
			continue;
		options = put_option(options, arguments[i].option, value);
	}
	return options;
}

/* -------------------------------------------------------------- checking */

/*
 * Raise everything that is wrong with options, complete as they will be;
 * on success, sub's objects are resolved.
 */
static void
check_all(KeServer *server, KeSubscription *sub, List *options)
{
	List	   *problems = NIL;

	ke_options_subscription_parse(options, server->options.production,
								  &sub->options, &problems);
	ke_references_resolve(sub, true, &problems);
	ke_references_lock(sub, &problems);
	ke_checks_subscription(server, sub, &problems);
	ke_options_report(ke_subscription_define_name(sub->topic), problems);
}

/* Say functions by the names that stay right whoever reads them where. */
static void
put_names(const KeSubscription *sub, List *options)
{
	if (OidIsValid(sub->handler))
		(void) put_option(options, "handler",
						  ke_names_of_function(sub->handler));
	if (OidIsValid(sub->validator))
		(void) put_option(options, "validator",
						  ke_names_of_function(sub->validator));
	if (OidIsValid(sub->route))
		(void) put_option(options, "route",
						  ke_names_of_function(sub->route));
}

/* ------------------------------------------------------------ the answer */

/* The end of each partition, as answered, is where it starts. */
static void
start_at(KeServer *server, const char *topic, const KeAnswer *answer)
{
	KePositionKey key = {
		.cluster_id = answer->cluster_id,
		.group_id = ke_catalog_main_group(server)
	};
	int			partition;

	for (partition = 0; partition < answer->partitions; partition++)
	{
		int64		old;

		ke_positions_move(&key, topic, partition, answer->offsets[partition],
						  &old);
	}
	ke_positions_start_done(key.group_id, topic);
}

/*
 * Ask the cluster about the topic: a mistyped name is noticed now, and
 * 'latest' means now.  Without an answer both come later.
 */
static void
ask_cluster(KeServer *server, const char *topic, bool latest)
{
	KeQuestion	question = {
		.kind = latest ? KE_ASK_LATEST : KE_ASK_TOPIC,
		.server = server->oid
	};
	KeAnswer   *answer;

	strlcpy(question.topic, topic, sizeof(question.topic));
	answer = ke_request_ask(&question,
							Min(ke_guc_request_timeout, ASK_TIMEOUT_MS));
	if (!answer->answered)
		ereport(WARNING,
				(errmsg("could not look for topic \"%s\" on server \"%s\": %s",
						topic, server->name, answer->text),
				 answer->hint ? errhint("%s", answer->hint) : 0));
	else if (!answer->topic_exists)
	{
		ereport(WARNING,
				(errmsg("topic \"%s\" does not exist on server \"%s\" yet",
						topic, server->name),
				 errhint("It is consumed from its start within 10 seconds of its creation.")));
		ke_positions_start_done(ke_catalog_main_group(server), topic);
	}
	else
	{
		ke_group_owner_warn(server, topic, ASK_TIMEOUT_MS);
		if (latest)
			start_at(server, topic, answer);
	}
}

static bool
has_consumer(KeServer *server)
{
	int			nreports;
	KeSlotReport *reports = ke_roster_reports(MyDatabaseId, &nreports);

	for (int i = 0; i < nreports; i++)
		if (reports[i].who.server == server->oid &&
			reports[i].who.role == KE_ROLE_MAIN &&
			reports[i].phase != KE_PHASE_EMPTY)
			return true;
	return false;
}

/* Do background workers of any kind have all the slots there are? */
static bool
slots_are_taken(void)
{
	int			taken = 0;

	for (int i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
		if (ke_local_beentry(i)->backendStatus.st_backendType == B_BG_WORKER)
			taken++;
	return taken >= max_worker_processes;
}

/*
 * Say at the call what else keeps the server's consumers from running, or
 * will as soon as this transaction has committed and the first one is wanted.
 */
static void
warn_of_obstacle(KeServer *server)
{
	char		reason[KE_REASON_LEN];

	ke_reason_get(MyDatabaseId, server->oid, reason, sizeof(reason));
	if (reason[0] == '\0' && server->options.workers > 0 &&
		!has_consumer(server) && slots_are_taken())
		strlcpy(reason, KE_REASON_NO_SLOT, sizeof(reason));
	if (reason[0] != '\0')
		ereport(WARNING,
				(errmsg("server \"%s\" does not consume yet: %s",
						server->name, reason)));
}

/* ------------------------------------------------------------- patterns */

/*
 * Say so if none of the cluster's topics matches: a mistyped regular
 * expression is noticed now.  Those that do are subscribed by the manager, as
 * soon as this transaction has committed.
 */
static void
ask_for_matches(KeServer *server, const char *topics)
{
	KeQuestion	question = {.kind = KE_ASK_TOPICS,.server = server->oid};
	KeTopicPattern *pattern = ke_topic_pattern_compile(topics);
	KeAnswer   *answer;
	List	   *all;
	ListCell   *lc;

	answer = ke_request_ask(&question,
							Min(ke_guc_request_timeout, ASK_TIMEOUT_MS));
	if (!answer->answered)
	{
		ereport(WARNING,
				(errmsg("could not look for topics on server \"%s\": %s",
						server->name, answer->text),
				 answer->hint ? errhint("%s", answer->hint) : 0));
		return;
	}
	all = ke_cluster_report_get_topics(answer->payload);
	foreach(lc, all)
	{
		const char *topic = ((KeTopicReport *) lfirst(lc))->name;

		if (!ke_members_may_be(&server->options, topic) ||
			!ke_topic_pattern_matches(pattern, topic))
			continue;
		ke_group_owner_warn(server, topic, ASK_TIMEOUT_MS);
		return;
	}
	ereport(WARNING,
			(errmsg("no topic of server \"%s\" matches \"%s\" yet",
					server->name, topics),
			 errdetail("Its login sees %d topics.", list_length(all)),
			 errhint("Topics that match are consumed within 10 seconds of their creation. The login needs Describe on them, and the regular expression is of the whole name.")));
}

/* ------------------------------------------------------------- functions */

/*
 * What is consumed: a topic, or the topics that match.  Objects of a database
 * that was not updated lack that argument.
 */
static char *
read_topic(FunctionCallInfo fcinfo, bool *pattern)
{
	*pattern = PG_NARGS() > ARG_TOPICS && !PG_ARGISNULL(ARG_TOPICS);
	if (*pattern == PG_ARGISNULL(ARG_TOPIC))
		return ke_fcinfo_text(fcinfo, *pattern ? ARG_TOPICS : ARG_TOPIC);
	ereport(ERROR,
			(errcode(*pattern ? ERRCODE_INVALID_PARAMETER_VALUE :
					 ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg(*pattern ? "topic and topics cannot both be given" :
					"topic must not be null"),
			 errhint("For example: kafka_subscribe('orders', ...), or kafka_subscribe(topics => 'orders-.*', ...) for all topics whose names match.")));
	return NULL;				/* keep compiler quiet */
}

Datum
kafka_subscribe(PG_FUNCTION_ARGS)
{
	bool		is_pattern;
	char	   *topic;
	char	   *table;
	KeServer   *server;
	KeSubscription sub = {0};
	List	   *options;
	Oid			relid;

	ke_ready_require_writable("kafka_subscribe()");
	topic = read_topic(fcinfo, &is_pattern);
	server = ke_subscription_ddl_server(ke_fcinfo_name(fcinfo, ARG_SERVER));
	options = argument_options(fcinfo, false);
	if (is_pattern)
		options = put_option(options, "topics", topic);
	else
		ke_pattern_ddl_make_room(server, topic);
	sub.topic = topic;
	sub.server = server->oid;
	sub.owner = server->owner;
	if (ke_subscription_define_is_second(server, &sub, is_pattern))
		ke_subscription_define_refuse_second(server, topic);

	check_all(server, &sub, options);
	put_names(&sub, options);
	ke_subscription_define_require_identity();

	table = ke_members_table_name(topic, server);
	if (!is_pattern && strcmp(table, topic) != 0)
		options = put_option(options, "topic", topic);
	relid = ke_subscription_ddl_create(server, table, options);

	if (is_pattern)
		ask_for_matches(server, topic);
	else
		ask_cluster(server, topic,
					sub.options.start_from == KE_START_LATEST &&
					!ke_subscription_define_was_consumed(server, topic));
	warn_of_obstacle(server);
	PG_RETURN_OID(relid);
}

Datum
kafka_subscription_alter(PG_FUNCTION_ARGS)
{
	char	   *topic;
	KeServer   *server;
	KeSubscription *sub;
	List	   *changes;
	List	   *options;
	ListCell   *lc;

	ke_ready_require_writable("kafka_subscription_alter()");
	topic = ke_fcinfo_required(fcinfo, ARG_TOPIC, "topic");
	server = ke_subscription_ddl_server(ke_fcinfo_name(fcinfo, ARG_SERVER));
	sub = ke_subscription_ddl_find(server, topic);
	if (OidIsValid(sub->pattern))
		ke_pattern_ddl_refuse_alter(sub);

	changes = argument_options(fcinfo, true);
	options = ke_subscription_ddl_options(sub->oid);
	foreach(lc, changes)
	{
		DefElem    *change = lfirst_node(DefElem, lc);

		options = put_option(options, change->defname, strVal(change->arg));
	}
	check_all(server, sub, options);
	if (ke_options_find(changes, "handler") != NULL)
		changes = put_option(changes, "handler",
							 ke_names_of_function(sub->handler));
	if (ke_options_find(changes, "validator") != NULL)
		changes = put_option(changes, "validator",
							 ke_names_of_function(sub->validator));
	if (ke_options_find(changes, "route") != NULL)
		changes = put_option(changes, "route",
							 ke_names_of_function(sub->route));
	ke_subscription_ddl_alter(sub, changes);
	PG_RETURN_OID(sub->oid);
}

Datum
kafka_unsubscribe(PG_FUNCTION_ARGS)
{
	char	   *topic;
	KeServer   *server;
	KeSubscription *sub;

	ke_ready_require_writable("kafka_unsubscribe()");
	topic = ke_fcinfo_required(fcinfo, 0, "topic");
	server = ke_subscription_ddl_server(ke_fcinfo_name(fcinfo, 1));
	sub = ke_subscription_ddl_find(server, topic);
	if (OidIsValid(sub->pattern))
		ke_pattern_ddl_refuse_drop(sub);
	ke_subscription_ddl_drop(sub);
	PG_RETURN_TEXT_P(cstring_to_text(topic));
}
