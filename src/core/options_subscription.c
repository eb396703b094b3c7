/*
 * options_subscription.c
 *	  The options of a subscription, a foreign table's.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/string.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "core/literal.h"
#include "core/option_table.h"
#include "core/options.h"
#include "core/topic_pattern.h"

/* What fits into an int of milliseconds. */
#define DAY_MS			86400000.0
#define INTERVAL_MAX_MS (24 * DAY_MS)

#define FUNCTION_FORM "function, schema.function or schema.function(type)"

static const char *const row_formats[] = {"fields", "envelope", NULL};
static const char *const on_conflicts[] =
{"error", "ignore", "update", NULL};
static const char *const orderings[] = {"none", "key", "partition", NULL};
static const char *const starts[] = {"earliest", "latest", NULL};
static const char *const strategies[] =
{"exponential", "linear", "fixed", NULL};
static const char *const envelopes[] =
{"none", "connect", "debezium", "cloudevents", NULL};

static const char *const field_names[] = {"exact", "snake_case", NULL};
static const char *const value_formats[] = {"json", "registry", NULL};
static const char *const key_formats[] = {"text", "registry", NULL};
static const char *const units[] = {"none", "s", "ms", "us", "ns", NULL};
static const char *const encodings[] = {"text", "base64", "hex", NULL};
static const char *const tombstones[] =
{"delete", "ignore", "dead_letter", NULL};
static const char *const update_columns[] = {"all", "present", NULL};
static const char *const generated[] = {"error", "ignore", NULL};
static const char *const splits[] = {"none", "array", "lines", NULL};

static const char *parse_required_headers(const char *value, void *out);
static const char *parse_column_map(const char *value, void *out);

#define OPTION(option, type, ...) \
	{.name = #option, .kind = KE_OPTION_##type, \
	 .offset = offsetof(KeSubscriptionOptions, option), __VA_ARGS__}
#define INTERVAL(option, ...) \
	{.name = #option, .kind = KE_OPTION_INTERVAL, \
	 .offset = offsetof(KeSubscriptionOptions, option##_ms), __VA_ARGS__}

static const KeOption subscription_options[] = {
	OPTION(topic, TEXT, .check = ke_options_topic_problem,
		   .form = "topic; without it, the name of the foreign table"),
	OPTION(topics, TEXT, .check = ke_topic_pattern_problem,
		   .form = "regular expression of topics' whole names"),
	OPTION(pattern, TEXT,
		   .form = "set by itself, for a topic that matches"),
	OPTION(handler, TEXT, .form = FUNCTION_FORM),
	OPTION(into_table, TEXT, .form = "table or schema.table"),
	OPTION(row_format, CHOICE, "fields", .choices = row_formats),
	OPTION(on_conflict, CHOICE, "error", .choices = on_conflicts),
	OPTION(ordering, CHOICE, .choices = orderings),
	OPTION(validator, TEXT, .form = FUNCTION_FORM),
	{"required_headers", KE_OPTION_PARSED, .parse = parse_required_headers,
	.form = "{name,...}"},
	OPTION(start_from, CHOICE, "earliest", .choices = starts),
	OPTION(batch_size, INTEGER, "1000", 1, 100000),
	INTERVAL(handler_timeout, "30 s", 1, INTERVAL_MAX_MS),
	OPTION(max_retries, INTEGER, "3", 0, 10, .initial_production = "5"),
	OPTION(retry_strategy, CHOICE, "exponential", .choices = strategies),
	INTERVAL(initial_delay, "1 s", 100, INTERVAL_MAX_MS,
			 .initial_production = "2 s"),
	INTERVAL(max_delay, "30 s", 100, INTERVAL_MAX_MS,
			 .initial_production = "60 s"),
	OPTION(multiplier, NUMBER, "2", 1, 10),
	OPTION(dlq, BOOLEAN, "true"),
	OPTION(breaker_threshold, INTEGER, "10", 0, 1000000),
	INTERVAL(breaker_timeout, "30 s", 1, INTERVAL_MAX_MS),
	{"column_map", KE_OPTION_PARSED, .parse = parse_column_map,
	.type = "jsonb", .form = "{\"column\": \"path\", ...}"},
	OPTION(field_names, CHOICE, "exact", .choices = field_names),
	OPTION(value_format, CHOICE, "json", .choices = value_formats),
	OPTION(key_format, CHOICE, "text", .choices = key_formats),
	OPTION(timestamp_unit, CHOICE, "none", .choices = units),
	OPTION(bytes_encoding, CHOICE, "text", .choices = encodings),
	OPTION(strip_nul, BOOLEAN, "false"),
	OPTION(tombstones, CHOICE, .choices = tombstones),
	OPTION(update_columns, CHOICE, "all", .choices = update_columns),
	OPTION(update_if, TEXT, .form = "column"),
	OPTION(generated_columns, CHOICE, "error", .choices = generated),
	OPTION(unwrap, CHOICE, "none", .choices = envelopes),
	OPTION(route, TEXT, .form = FUNCTION_FORM),
	OPTION(split, CHOICE, "none", .choices = splits),
	OPTION(paused, BOOLEAN, "false")
};

static const KeOptionSet subscription_set = {
	.object = "a subscription",
	.options = subscription_options,
	.noptions = lengthof(subscription_options),
	.size = sizeof(KeSubscriptionOptions)
};

const KeOptionSet *
ke_options_subscription_set(void)
{
	return &subscription_set;
}

static const char *
parse_required_headers(const char *value, void *out)
{
	KeSubscriptionOptions *sub = out;
	char	  **names;
	int			nnames;
	int			i;

	if (!ke_literal_text_array(value, &names, &nnames))
		return "must be an array of header names like {trace-id,tenant}";
	for (i = 0; i < nnames; i++)
	{
		if (names[i][0] == '\0')
			return "must not contain an empty header name";
	}
	sub->required_headers = names;
	sub->nrequired_headers = nnames;
	return NULL;
}

static const char *
parse_column_map(const char *value, void *out)
{
	KeSubscriptionOptions *sub = out;

	return ke_column_path_parse(value, &sub->column_map, &sub->ncolumn_map);
}

/* What it is itself; everything else is the pattern's. */
static void
check_member(List *options, const char *pattern, List **problems)
{
	ListCell   *lc;

	if (problems == NULL)
		return;
	foreach(lc, options)
	{
		const char *name = lfirst_node(DefElem, lc)->defname;

		if (strcmp(name, "pattern") == 0 || strcmp(name, "topic") == 0 ||
			strcmp(name, "paused") == 0)
			continue;
		ke_options_problem(problems,
						   psprintf("ALTER FOREIGN TABLE kafka_events.%s OPTIONS (...) changes it, for all topics that match.",
									quote_identifier(pattern)),
						   "Option \"%s\" is not the topic's own: its pattern \"%s\" has it",
						   name, pattern);
	}
}

/* Where messages go. */
static void
check_targets(List *options, const KeSubscriptionOptions *out,
			  List **problems)
{
	if (out->pattern != NULL)
	{
		check_member(options, out->pattern, problems);
		return;
	}
	if (ke_option_table_written(options, "handler") == NULL &&
		ke_option_table_written(options, "into_table") == NULL &&
		ke_option_table_written(options, "route") == NULL)
		ke_options_problem(problems, NULL,
						   "At least one of the options \"handler\", \"into_table\" and \"route\" is required");
	if (out->into_table != NULL && out->route != NULL)
		ke_options_problem(problems,
						   "To change from one to the other: ALTER FOREIGN TABLE ... OPTIONS (DROP into_table, ADD route 'function').",
						   "Options \"into_table\" and \"route\" both say where rows go");
	if (out->topic != NULL && out->topics != NULL)
		ke_options_problem(problems, NULL,
						   "Options \"topic\" and \"topics\" both say what is consumed");
}

void
ke_options_subscription_parse(List *options, bool production,
							  KeSubscriptionOptions *out, List **problems)
{
	const char *written = ke_option_table_written(options, "tombstones");

	ke_option_table_parse(&subscription_set, options, production, out,
						  problems);

	if (out->on_conflict == KE_CONFLICT_UPDATE &&
		ke_option_table_written(options, "ordering") == NULL)
		out->ordering = KE_ORDER_KEY;
	if (written == NULL || (out->tombstones == KE_TOMBSTONES_DELETE &&
							pg_strcasecmp(written, tombstones[0]) != 0))
		out->tombstones = KE_TOMBSTONES_BY_FORMAT;

	check_targets(options, out, problems);

	/* also if it is wrong: then the topic's name is no topic's */
	written = ke_option_table_written(options, "topics");
	if (written != NULL && out->topics == NULL)
		out->topics = pstrdup(written);
}

/* Who says what the schemas are? */
static void
check_formats(const KeServerOptions *server, const KeSubscriptionOptions *sub,
			  List **problems)
{
	bool		by_value = sub->value_format == KE_FORMAT_REGISTRY;

	if (server->schema_registry_url == NULL &&
		(by_value || sub->key_format == KE_FORMAT_REGISTRY))
		ke_options_problem(problems,
						   "Say where the schema registry is: ALTER SERVER ... OPTIONS (ADD schema_registry_url 'https://host:port').",
						   "Option \"%s\" is registry, but the server has no schema_registry_url",
						   by_value ? "value_format" : "key_format");
}

/* What is taken apart must be text that is there before anything is read. */
static void
check_split(const KeSubscriptionOptions *sub, List **problems)
{
	if (sub->split != KE_SPLIT_NONE &&
		sub->value_format == KE_FORMAT_REGISTRY)
		ke_options_problem(problems, NULL,
						   "Option \"split\" is '%s', which needs value_format 'json'",
						   splits[sub->split]);
}

/* Options that say something of on_conflict update. */
static void
check_update(const KeSubscriptionOptions *sub, List **problems)
{
	const char *option = NULL;

	if (sub->on_conflict == KE_CONFLICT_UPDATE)
		return;
	if (sub->tombstones == KE_TOMBSTONES_DELETE)
		option = "tombstones";
	else if (sub->update_columns == KE_UPDATE_PRESENT)
		option = "update_columns";
	else if (sub->update_if != NULL)
		option = "update_if";
	if (option != NULL)
		ke_options_problem(problems, NULL,
						   "Option \"%s\" needs on_conflict 'update'%s",
						   option, sub->tombstones == KE_TOMBSTONES_DELETE ?
						   " in order to delete rows" : "");
}

/* What the topic's name allows. */
static void
check_topic(const KeServerOptions *server, const char *topic,
			const KeSubscriptionOptions *sub, List **problems)
{
	const char *rule = ke_options_topic_problem(topic);
	char	   *retry_topic = psprintf("%s%s", topic, server->retry_suffix);
	char	   *dlq_topic = psprintf("%s%s", topic, server->dlq_suffix);

	if (rule != NULL)
		ke_options_problem(problems, NULL, "Topic %s %s",
						   ke_option_table_quote(topic), rule);
	else if (ke_options_topic_problem(retry_topic) != NULL ||
			 ke_options_topic_problem(dlq_topic) != NULL)
		ke_options_problem(problems, NULL,
						   "Topic %s is too long: together with \"%s\" or \"%s\" it must have at most 249 characters",
						   ke_option_table_quote(topic), server->retry_suffix,
						   server->dlq_suffix);

	if (pg_str_endswith(topic, server->retry_suffix))
		ke_options_problem(problems,
						   "Retry topics are consumed by themselves; if this one is somebody else's, give the server another retry_suffix.",
						   "Topic %s is a retry topic of this server, because it ends with \"%s\"",
						   ke_option_table_quote(topic), server->retry_suffix);
	if (pg_str_endswith(topic, server->dlq_suffix) &&
		(sub->max_retries != 0 || sub->dlq))
		ke_options_problem(problems, NULL,
						   "Topic %s is a dead letter topic, because it ends with \"%s\": it needs max_retries 0 and dlq false",
						   ke_option_table_quote(topic), server->dlq_suffix);
}

void
ke_options_subscription_check(const KeServerOptions *server,
							  const char *topic,
							  const KeSubscriptionOptions *sub,
							  List **problems)
{
	int			max_poll_interval = server->max_poll_interval;

	if (sub->topics == NULL)
		check_topic(server, topic, sub, problems);
	if (sub->handler_timeout_ms > max_poll_interval / 2)
		ke_options_problem(problems, NULL,
						   "Option \"handler_timeout\" (%s) must be at most half of the server's max_poll_interval (%s)",
						   ke_literal_show_interval(sub->handler_timeout_ms),
						   ke_literal_show_interval(max_poll_interval));
	check_update(sub, problems);
	if (sub->max_delay_ms < sub->initial_delay_ms)
		ke_options_problem(problems, NULL,
						   "Option \"max_delay\" (%s) must be at least initial_delay (%s)",
						   ke_literal_show_interval(sub->max_delay_ms),
						   ke_literal_show_interval(sub->initial_delay_ms));
	check_formats(server, sub, problems);
	check_split(sub, problems);
}

bool
ke_options_subscription_retries_by_topic(const KeSubscriptionOptions *sub)
{
	return sub->max_retries > 0 && sub->ordering == KE_ORDER_NONE;
}

const char *
ke_options_subscription_row_format_name(KeRowFormat value)
{
	return row_formats[value];
}

const char *
ke_options_subscription_on_conflict_name(KeOnConflict value)
{
	return on_conflicts[value];
}

const char *
ke_options_subscription_ordering_name(KeOrdering value)
{
	return orderings[value];
}

const char *
ke_options_subscription_start_from_name(KeStartFrom value)
{
	return starts[value];
}

const char *
ke_options_subscription_retry_strategy_name(KeRetryStrategy value)
{
	return strategies[value];
}

const char *
ke_options_subscription_field_names_name(KeFieldNames value)
{
	return field_names[value];
}

const char *
ke_options_subscription_value_format_name(KeFormat value)
{
	return value_formats[value];
}

const char *
ke_options_subscription_key_format_name(KeFormat value)
{
	return key_formats[value];
}

const char *
ke_options_subscription_timestamp_unit_name(KeTimestampUnit value)
{
	return units[value];
}

const char *
ke_options_subscription_bytes_encoding_name(KeBytesEncoding value)
{
	return encodings[value];
}

const char *
ke_options_subscription_tombstones_name(KeTombstones value)
{
	return tombstones[value];
}

const char *
ke_options_subscription_update_columns_name(KeUpdateColumns value)
{
	return update_columns[value];
}

const char *
ke_options_subscription_generated_columns_name(KeGeneratedColumns value)
{
	return generated[value];
}

const char *
ke_options_subscription_unwrap_name(KeUnwrapKind value)
{
	return envelopes[value];
}

const char *
ke_options_subscription_split_name(KeSplit value)
{
	return splits[value];
}
