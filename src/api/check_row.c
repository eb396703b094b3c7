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
#include "core/format.h"
#include "core/options.h"

/* Something that is wrong. */
typedef struct KeCheckFinding
{
	char	   *what;
	const char *hint;			/* or NULL */
} KeCheckFinding;

void
ke_check_row_begin(KeCheckRow *check, const char *name)
{
	check->name = name;
	check->findings = NIL;
}

void
ke_check_row_fail(KeCheckRow *check, const char *hint,
				  const char *fmt,...)
{
	KeCheckFinding *finding = palloc(sizeof(KeCheckFinding));
	va_list		args;

	va_start(args, fmt);
	finding->what = ke_format(fmt, args);
	va_end(args);
	finding->hint = hint;
	check->findings = lappend(check->findings, finding);
}

static void
emit(KeProductionCheck *inspection, const char *name, bool ok,
	 const char *detail, const char *hint)
{
	KeRow		row = {0};

	if (inspection->several)
		detail = psprintf("server \"%s\": %s", inspection->server->name,
						  detail);
	ke_row_put_text(&row, name);
	ke_row_put_bool(&row, ok);
	ke_row_put_text(&row, detail);
	ke_row_put_text(&row, hint);
	ke_row_emit(&row, inspection->fcinfo);
}

void
ke_check_row_emit(KeProductionCheck *inspection, KeCheckRow *check,
				  const char *fine)
{
	ListCell   *lc;

	if (check->findings == NIL)
		emit(inspection, check->name, true, fine, NULL);
	foreach(lc, check->findings)
	{
		KeCheckFinding *finding = (KeCheckFinding *) lfirst(lc);

		emit(inspection, check->name, false, finding->what, finding->hint);
	}
}

char *
ke_check_row_alter(const KeServer *server, const char *option,
				   const char *value)
{
	List	   *options = GetForeignServer(server->oid)->options;
	bool		is_set = ke_options_find(options, option) != NULL;

	return psprintf("ALTER SERVER %s OPTIONS (%s %s %s);",
					quote_identifier(server->name), is_set ? "SET" : "ADD",
					quote_identifier(option), quote_literal_cstr(value));
}
