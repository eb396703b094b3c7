/*
 * versions_view.c
 *	  View kafka_versions: which library runs, and which objects it serves.
 *
 * A session has the library that was loaded when PostgreSQL started, as the
 * processes have; what has been installed since is the view's to say.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"

#include "api/row.h"
#include "kafka/client.h"
#include "subscription/extension.h"

PG_FUNCTION_INFO_V1(kafka_versions);

Datum
kafka_versions(PG_FUNCTION_ARGS)
{
	const char *objects = ke_extension_version();
	KeRow		row = {0};

	InitMaterializedSRF(fcinfo, 0);
	ke_row_put_text(&row, KE_EXTENSION_VERSION);
	ke_row_put_text(&row, objects);
	ke_row_put_bool(&row, ke_extension_is_served(objects));
	ke_row_put_text(&row, ke_client_library_name());
	ke_row_emit(&row, fcinfo);
	return (Datum) 0;
}
