/*
 * core_options.c
 *	  Parsed options and their problems as text.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/reloptions.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/literal.h"
#include "core/options.h"
#include "core/properties.h"

PG_FUNCTION_INFO_V1(unit_server);
PG_FUNCTION_INFO_V1(unit_server_problems);
PG_FUNCTION_INFO_V1(unit_mapping);
PG_FUNCTION_INFO_V1(unit_mapping_problems);
PG_FUNCTION_INFO_V1(unit_subscription);
PG_FUNCTION_INFO_V1(unit_subscription_problems);
PG_FUNCTION_INFO_V1(unit_pair_problems);
PG_FUNCTION_INFO_V1(unit_report);
PG_FUNCTION_INFO_V1(unit_topic_problem);
PG_FUNCTION_INFO_V1(unit_interval);
PG_FUNCTION_INFO_V1(unit_show_interval);
PG_FUNCTION_INFO_V1(unit_text_array);
PG_FUNCTION_INFO_V1(unit_property_since);

/* A list of C strings as text[]. */
static Datum
strings_datum(List *strings)
{
	Datum	   *items = palloc((list_length(strings) + 1) * sizeof(Datum));
	int			nitems = 0;
	ListCell   *lc;

	foreach(lc, strings)
		items[nitems++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(items, nitems, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

static void
show(List **lines, const char *name, const char *value)
{
	if (value != NULL)
		*lines = lappend(*lines, psprintf("%s=%s", name, value));
}

static void
show_int(List **lines, const char *name, int64 value)
{
	show(lines, name, psprintf(INT64_FORMAT, value));
}

Datum
unit_server(PG_FUNCTION_ARGS)
{
	KeServerOptions server;
	List	   *lines = NIL;
	ListCell   *lc;

	ke_options_server_parse(untransformRelOptions(PG_GETARG_DATUM(0)),
							&server, NULL);
	show(&lines, "bootstrap_servers", server.bootstrap_servers);
	show(&lines, "service_name", server.service_name);
	show_int(&lines, "production", server.production);
	show(&lines, "security_protocol", server.security_protocol);
	show(&lines, "sasl_mechanism", server.sasl_mechanism);
	show(&lines, "ssl_ca_pem", server.ssl_ca_pem);
	show(&lines, "ssl_ca_file", server.ssl_ca_file);
	show_int(&lines, "workers", server.workers);
	show_int(&lines, "retry_workers", server.retry_workers);
	show_int(&lines, "shared", server.shared);
	show_int(&lines, "consumer_protocol", server.consumer_protocol);
	show_int(&lines, "session_timeout", server.session_timeout);
	show_int(&lines, "heartbeat_interval", server.heartbeat_interval);
	show_int(&lines, "max_poll_interval", server.max_poll_interval);
	show_int(&lines, "fetch_wait", server.fetch_wait);
	show(&lines, "compression", server.compression);
	show_int(&lines, "synchronous_commit", server.synchronous_commit);
	show(&lines, "retry_suffix", server.retry_suffix);
	show(&lines, "dlq_suffix", server.dlq_suffix);
	show_int(&lines, "create_topics", server.create_topics);
	show_int(&lines, "topic_partitions", server.topic_partitions);
	show_int(&lines, "topic_replication_factor",
			 server.topic_replication_factor);
	show_int(&lines, "dlq_retention_ms", server.dlq_retention_ms);
	foreach(lc, server.properties)
	{
		KeProperty *property = lfirst(lc);

		show(&lines, property->name, property->value);
	}
	PG_RETURN_DATUM(strings_datum(lines));
}

Datum
unit_server_problems(PG_FUNCTION_ARGS)
{
	KeServerOptions server;
	List	   *problems = NIL;

	ke_options_server_parse(untransformRelOptions(PG_GETARG_DATUM(0)),
							&server, &problems);
	PG_RETURN_DATUM(strings_datum(problems));
}

Datum
unit_mapping(PG_FUNCTION_ARGS)
{
	KeMappingOptions mapping;
	List	   *lines = NIL;

	ke_options_server_parse_mapping(untransformRelOptions(PG_GETARG_DATUM(0)),
									&mapping, NULL);
	show(&lines, "username", mapping.username);
	show(&lines, "password", mapping.password);
	show(&lines, "ssl_certificate_pem", mapping.ssl_certificate_pem);
	show(&lines, "ssl_key_pem", mapping.ssl_key_pem);
	show(&lines, "ssl_key_password", mapping.ssl_key_password);
	PG_RETURN_DATUM(strings_datum(lines));
}

Datum
unit_mapping_problems(PG_FUNCTION_ARGS)
{
	KeMappingOptions mapping;
	List	   *problems = NIL;

	ke_options_server_parse_mapping(untransformRelOptions(PG_GETARG_DATUM(0)),
									&mapping, &problems);
	PG_RETURN_DATUM(strings_datum(problems));
}

Datum
unit_subscription(PG_FUNCTION_ARGS)
{
	KeSubscriptionOptions sub;
	List	   *lines = NIL;
	int			i;

	ke_options_subscription_parse(untransformRelOptions(PG_GETARG_DATUM(0)),
								  PG_GETARG_BOOL(1), &sub, NULL);
	show(&lines, "topic", sub.topic);
	show(&lines, "handler", sub.handler);
	show(&lines, "into_table", sub.into_table);
	show(&lines, "row_format",
		 ke_options_subscription_row_format_name(sub.row_format));
	show(&lines, "on_conflict",
		 ke_options_subscription_on_conflict_name(sub.on_conflict));
	show(&lines, "ordering",
		 ke_options_subscription_ordering_name(sub.ordering));
	show(&lines, "validator", sub.validator);
	for (i = 0; i < sub.nrequired_headers; i++)
		show(&lines, "required_header", sub.required_headers[i]);
	show(&lines, "start_from",
		 ke_options_subscription_start_from_name(sub.start_from));
	show_int(&lines, "batch_size", sub.batch_size);
	show_int(&lines, "handler_timeout_ms", sub.handler_timeout_ms);
	show_int(&lines, "max_retries", sub.max_retries);
	show(&lines, "retry_strategy",
		 ke_options_subscription_retry_strategy_name(sub.retry_strategy));
	show_int(&lines, "initial_delay_ms", sub.initial_delay_ms);
	show_int(&lines, "max_delay_ms", sub.max_delay_ms);
	show(&lines, "multiplier", psprintf("%g", sub.multiplier));
	show_int(&lines, "dlq", sub.dlq);
	show_int(&lines, "breaker_threshold", sub.breaker_threshold);
	show_int(&lines, "breaker_timeout_ms", sub.breaker_timeout_ms);
	show_int(&lines, "paused", sub.paused);
	PG_RETURN_DATUM(strings_datum(lines));
}

Datum
unit_subscription_problems(PG_FUNCTION_ARGS)
{
	KeSubscriptionOptions sub;
	List	   *problems = NIL;

	ke_options_subscription_parse(untransformRelOptions(PG_GETARG_DATUM(0)),
								  false, &sub, &problems);
	PG_RETURN_DATUM(strings_datum(problems));
}

/* A subscription's options against a server's, for a topic. */
Datum
unit_pair_problems(PG_FUNCTION_ARGS)
{
	KeServerOptions server;
	KeSubscriptionOptions sub;
	List	   *problems = NIL;

	ke_options_server_parse(untransformRelOptions(PG_GETARG_DATUM(0)),
							&server, NULL);
	ke_options_subscription_parse(untransformRelOptions(PG_GETARG_DATUM(1)),
								  server.production, &sub, NULL);
	ke_options_subscription_check(&server,
								  text_to_cstring(PG_GETARG_TEXT_PP(2)),
								  &sub, &problems);
	PG_RETURN_DATUM(strings_datum(problems));
}

/* Raises the error that lists the problems. */
Datum
unit_report(PG_FUNCTION_ARGS)
{
	List	   *problems = NIL;
	Datum	   *items;
	int			nitems;
	int			i;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false,
					  TYPALIGN_INT, &items, NULL, &nitems);
	for (i = 0; i < nitems; i++)
		problems = lappend(problems, TextDatumGetCString(items[i]));
	ke_options_report(text_to_cstring(PG_GETARG_TEXT_PP(0)), problems);
	PG_RETURN_VOID();
}

Datum
unit_topic_problem(PG_FUNCTION_ARGS)
{
	const char *problem;

	problem = ke_options_topic_problem(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}

Datum
unit_interval(PG_FUNCTION_ARGS)
{
	int64		ms;

	if (!ke_literal_interval(text_to_cstring(PG_GETARG_TEXT_PP(0)), &ms))
		PG_RETURN_NULL();
	PG_RETURN_INT64(ms);
}

Datum
unit_show_interval(PG_FUNCTION_ARGS)
{
	char	   *shown = ke_literal_show_interval(PG_GETARG_INT64(0));

	PG_RETURN_TEXT_P(cstring_to_text(shown));
}

Datum
unit_text_array(PG_FUNCTION_ARGS)
{
	char	  **items;
	int			nitems;
	List	   *list = NIL;
	int			i;

	if (!ke_literal_text_array(text_to_cstring(PG_GETARG_TEXT_PP(0)),
							   &items, &nitems))
		PG_RETURN_NULL();
	for (i = 0; i < nitems; i++)
		list = lappend(list, items[i]);
	PG_RETURN_DATUM(strings_datum(list));
}

Datum
unit_property_since(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_INT32(ke_properties_since(name));
}
