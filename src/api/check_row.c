/*
 * check_row.c
 *	  The rows of kafka_production_check, and what they say.
 */
#include "postgres.h"
#include "core/compat.h"

#include "foreign/foreign.h"
#include "utils/builtins.h"

#include "api/check_row.h"
#include "api/row.h"
#include "api/subscription_ddl.h"
#include "core/format.h"

void
ke_check_row_begin(KeCheckRow *check, const char *name)
{
	check->name = name;
	initStringInfo(&check->wrong);
	initStringInfo(&check->hints);
}

void
ke_check_row_fail(KeCheckRow *check, const char *hint,
				  const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	ke_format_add(&check->wrong, fmt, args);
	va_end(args);
	if (hint != NULL && strstr(check->hints.data, hint) == NULL)
		appendStringInfo(&check->hints, "%s%s",
						 check->hints.len > 0 ? " " : "", hint);
}

void
ke_check_row_emit(KeProductionCheck *inspection, KeCheckRow *check,
				  const char *fine)
{
	bool		ok = check->wrong.len == 0;
	const char *detail = ok ? fine : check->wrong.data;
	KeRow		row = {0};

	if (inspection->several)
		detail = psprintf("server \"%s\": %s", inspection->server->name,
						  detail);
	ke_row_put_text(&row, check->name);
	ke_row_put_bool(&row, ok);
	ke_row_put_text(&row, detail);
	ke_row_put_text(&row, check->hints.data);
	ke_row_emit(&row, inspection->fcinfo);
}

char *
ke_check_row_alter(const KeServer *server, const char *option,
				   const char *value)
{
	List	   *options = GetForeignServer(server->oid)->options;
	bool		is_set = ke_subscription_ddl_option(options, option) != NULL;

	return psprintf("ALTER SERVER %s OPTIONS (%s %s %s);",
					quote_identifier(server->name), is_set ? "SET" : "ADD",
					option, quote_literal_cstr(value));
}
