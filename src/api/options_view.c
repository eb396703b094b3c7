/*
 * options_view.c
 *	  kafka_options: which options there are, and what they take.
 *
 * psql cannot complete the options of another wrapper than its own; this is
 * where they are looked up.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"

#include "api/row.h"
#include "core/option_describe.h"

PG_FUNCTION_INFO_V1(kafka_options);

Datum
kafka_options(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, ke_option_describe_all())
	{
		const KeOptionDescription *option =
			(KeOptionDescription *) lfirst(lc);
		const char *production = option->initial_production;
		KeRow		row = {0};

		ke_row_put_text(&row, option->object);
		ke_row_put_text(&row, option->name);
		ke_row_put_text(&row, option->type);
		ke_row_put_text(&row, option->initial);
		ke_row_put_text(&row, production != NULL ? production :
						option->initial);
		ke_row_put_text(&row, option->allowed);
		ke_row_put_bool(&row, option->required);
		ke_row_put_bool(&row, option->superuser_only);
		ke_row_emit(&row, fcinfo);
	}
	return (Datum) 0;
}
