/*
 * subscriptions_view.c
 *	  The rows of view kafka_subscriptions.
 *
 * Read from the catalogs and shared memory; no process is asked.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/regproc.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "api/subscription_state.h"
#include "api/visible.h"
#include "subscription/catalog.h"

PG_FUNCTION_INFO_V1(kafka_subscriptions);

#define COLUMNS 39

static Datum
interval_datum(int ms)
{
	Interval   *interval = (Interval *) palloc0(sizeof(Interval));

	interval->time = (TimeOffset) ms * 1000;
	return IntervalPGetDatum(interval);
}

static Datum
texts_datum(char **texts, int count)
{
	Datum	   *elements = (Datum *) palloc(Max(count, 1) * sizeof(Datum));
	int			i;

	for (i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/* A function as the session would write it; its option text if unknown. */
static char *
function_text(Oid function, char *option)
{
	return OidIsValid(function) ? format_procedure(function) : option;
}

/* As jsonb; {} without any. */
static Datum
column_map_datum(const KeSubscriptionOptions *options)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < options->ncolumn_map; i++)
	{
		if (i > 0)
			appendStringInfoChar(&text, ',');
		escape_json(&text, options->column_map[i].column);
		appendStringInfoChar(&text, ':');
		escape_json(&text, options->column_map[i].path);
	}
	appendStringInfoChar(&text, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

/* Columns in order: set() appends the next one. */
typedef struct Row
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
	int			n;
} Row;

static void
set(Row *row, Datum value)
{
	row->values[row->n++] = value;
}

static void
set_null(Row *row)
{
	row->nulls[row->n++] = true;
}

static void
set_text(Row *row, const char *value)
{
	if (value == NULL)
		set_null(row);
	else
		set(row, CStringGetTextDatum(value));
}

static void
set_name(Row *row, const char *value)
{
	set(row, DirectFunctionCall1(namein, CStringGetDatum(value)));
}

static void
set_options(Row *row, const KeSubscription *sub)
{
	const KeSubscriptionOptions *options = &sub->options;
	const char *strategy =
		ke_options_subscription_retry_strategy_name(options->retry_strategy);
	const char *unit =
		ke_options_subscription_timestamp_unit_name(options->timestamp_unit);
	const char *update_columns =
		ke_options_subscription_update_columns_name(options->update_columns);
	KeGeneratedColumns generated_columns = options->generated_columns;
	const char *generated =
		ke_options_subscription_generated_columns_name(generated_columns);
	const char *encoding =
		ke_options_subscription_bytes_encoding_name(options->bytes_encoding);

	set_text(row,
			 ke_options_subscription_row_format_name(options->row_format));
	set_text(row,
			 ke_options_subscription_on_conflict_name(options->on_conflict));
	set_text(row, ke_options_subscription_ordering_name(options->ordering));
	set_text(row, function_text(sub->validator, options->validator));
	set(row, texts_datum(options->required_headers,
						 options->nrequired_headers));
	set_text(row,
			 ke_options_subscription_start_from_name(options->start_from));
	set(row, Int32GetDatum(options->batch_size));
	set(row, interval_datum(options->handler_timeout_ms));
	set(row, Int32GetDatum(options->max_retries));
	set_text(row, strategy);
	set(row, interval_datum(options->initial_delay_ms));
	set(row, interval_datum(options->max_delay_ms));
	set(row, Float8GetDatum(options->multiplier));
	set(row, BoolGetDatum(options->dlq));
	set(row, Int32GetDatum(options->breaker_threshold));
	set(row, interval_datum(options->breaker_timeout_ms));
	set(row, column_map_datum(options));
	set_text(row,
			 ke_options_subscription_field_names_name(options->field_names));
	set_text(row,
			 ke_options_subscription_value_format_name(options->value_format));
	set_text(row,
			 ke_options_subscription_key_format_name(options->key_format));
	set_text(row, unit);
	set_text(row, encoding);
	set(row, BoolGetDatum(options->strip_nul));
	set_text(row,
			 ke_options_subscription_tombstones_name(options->tombstones));
	set_text(row, update_columns);
	set_text(row, options->update_if);
	set_text(row, generated);
	set_text(row, ke_options_subscription_unwrap_name(options->unwrap));
	set_text(row, ke_options_subscription_split_name(options->split));
	set_text(row, function_text(sub->route, options->route));
}

/* The regular expression that it has, or was made for; NULL: neither. */
static const char *
topics_of(const KeSubscription *sub, List *patterns)
{
	ListCell   *lc;

	foreach(lc, patterns)
	{
		const KeSubscription *pattern = (KeSubscription *) lfirst(lc);

		if (pattern->oid == sub->oid || pattern->oid == sub->pattern)
			return pattern->options.topics;
	}
	return NULL;
}

static void
put_row(ReturnSetInfo *result, KeServer *server, KeSubscription *sub,
		List *patterns, const KeObserved *observed)
{
	Row			row = {0};
	KeSubscriptionState state = ke_subscription_state_of(server, sub,
														 observed);

	set(&row, ObjectIdGetDatum(sub->oid));
	set_name(&row, server->name);
	set_text(&row, sub->options.topics == NULL ? sub->topic : NULL);
	set_text(&row, function_text(sub->handler, sub->options.handler));
	if (OidIsValid(sub->into_table))
		set(&row, ObjectIdGetDatum(sub->into_table));
	else
		set_null(&row);
	set_name(&row, GetUserNameFromId(server->owner, false));
	set_text(&row, state.status);
	set_text(&row, state.reason);
	set_options(&row, sub);
	set_text(&row, topics_of(sub, patterns));
	Assert(row.n == COLUMNS);
	tuplestore_putvalues(result->setResult, result->setDesc, row.values,
						 row.nulls);
}

Datum
kafka_subscriptions(PG_FUNCTION_ARGS)
{
	KeObserved *observed = ke_subscription_state_observe();
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);
		List	   *patterns = ke_catalog_patterns(server);
		List	   *all = list_concat_copy(patterns,
										   ke_catalog_subscriptions(server));
		ListCell   *lc2;

		foreach(lc2, all)
			put_row((ReturnSetInfo *) fcinfo->resultinfo, server,
					(KeSubscription *) lfirst(lc2), patterns, observed);
	}
	return (Datum) 0;
}
