/*
 * sample.c
 *	  Samples of metrics: as lines of Prometheus' text format, or as rows.
 *
 * The format is version 0.0.4 and not OpenMetrics, which names the family of
 * a counter without _total: what reads the older format takes that for
 * another metric, of no type.
 */
#include "postgres.h"
#include "core/compat.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "api/row.h"
#include "api/sample.h"

#define PREFIX "kafka_events_"

void
ke_sample_family(KeSampleOutput *output, const char *name, const char *type,
				 const char *help)
{
	if (output->text != NULL)
		appendStringInfo(output->text,
						 "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n",
						 name, help, name, type);
}

/* Backslashes, quotes and line feeds are escaped. */
static void
append_label(StringInfo out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(out, "%s%s=\"", out->data[out->len - 1] == '{' ? "" : ",",
					 name);
	for (; *value != '\0'; value++)
	{
		if (*value == '\n')
			appendStringInfoString(out, "\\n");
		else
		{
			if (*value == '\\' || *value == '"')
				appendStringInfoChar(out, '\\');
			appendStringInfoChar(out, *value);
		}
	}
	appendStringInfoChar(out, '"');
}

static void
put_line(StringInfo out, const char *name, const KeSampleLabels *labels,
		 const char *value)
{
	appendStringInfo(out, PREFIX "%s{", name);
	append_label(out, "database", get_database_name(MyDatabaseId));
	append_label(out, "server", labels->server);
	append_label(out, "topic", labels->topic);
	append_label(out, "role", labels->role);
	if (labels->partition >= 0)
		appendStringInfo(out, ",partition=\"%d\"", labels->partition);
	append_label(out, "le", labels->le);
	appendStringInfo(out, "} %s\n", value);
}

static void
put_row(FunctionCallInfo fcinfo, const char *name,
		const KeSampleLabels *labels, double value)
{
	KeRow		row = {0};

	ke_row_put(&row, CStringGetTextDatum(psprintf(PREFIX "%s", name)), false);
	ke_row_put_name(&row, labels->server);
	ke_row_put_text(&row, labels->topic != NULL ? labels->topic : "");
	ke_row_put_text(&row, labels->role != NULL ? labels->role : "");
	ke_row_put(&row, Int32GetDatum(labels->partition), labels->partition < 0);
	ke_row_put_text(&row, labels->le != NULL ? labels->le : "");
	ke_row_put(&row, Float8GetDatum(value), false);
	ke_row_emit(&row, fcinfo);
}

void
ke_sample_put(KeSampleOutput *output, const char *name,
			  KeSampleLabels labels, int64 value)
{
	if (output->text != NULL)
		put_line(output->text, name, &labels, psprintf(INT64_FORMAT, value));
	else
		put_row(output->rows, name, &labels, (double) value);
}

void
ke_sample_put_seconds(KeSampleOutput *output, const char *name,
					  KeSampleLabels labels, int64 value)
{
	double		seconds = value / 1000000.0;

	if (output->text != NULL)
		put_line(output->text, name, &labels, psprintf("%.6f", seconds));
	else
		put_row(output->rows, name, &labels, seconds);
}
