/*
 * schemas_view.c
 *	  View kafka_schemas, and kafka_schema_forget.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "api/fcinfo.h"
#include "api/row.h"
#include "api/subscription_ddl.h"
#include "api/visible.h"
#include "shm/ready.h"
#include "shm/schema_use.h"
#include "state/schemas.h"

PG_FUNCTION_INFO_V1(kafka_schemas);
PG_FUNCTION_INFO_V1(kafka_schema_forget);

static bool
has_url(const KeServer *server, const char *url)
{
	ListCell   *lc;

	if (server->registry == NULL)
		return false;
	foreach(lc, server->registry->urls)
	{
		if (strcmp((char *) lfirst(lc), url) == 0)
			return true;
	}
	return false;
}

static void
put_row(FunctionCallInfo fcinfo, const KeServer *server,
		const KeSchemaRow *schema)
{
	KeRow		row = {0};
	KeSchemaId	id;

	ke_row_put_name(&row, server->name);
	ke_row_put_text(&row, schema->id);
	ke_row_put_text(&row, schema->subject);
	ke_row_put_text(&row, schema->type);
	ke_row_put_text(&row, schema->name);
	ke_row_put(&row, ke_schemas_texts(schema->fields), false);
	ke_row_put_time(&row, schema->first_seen_at);
	ke_row_put_text(&row, schema->url);
	ke_schema_id_parse(schema->kind, schema->id, &id);
	ke_row_put_number(&row, (int64) ke_schema_use_get(MyDatabaseId,
													  server->oid, &id));
	ke_row_emit(&row, fcinfo);
}

Datum
kafka_schemas(PG_FUNCTION_ARGS)
{
	List	   *schemas = ke_schemas_list();
	ListCell   *lc;
	ListCell   *lc2;

	ke_ready_require();
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);

		foreach(lc2, schemas)
		{
			const KeSchemaRow *schema = (KeSchemaRow *) lfirst(lc2);

			if (has_url(server, schema->url))
				put_row(fcinfo, server, schema);
		}
	}
	return (Datum) 0;
}

Datum
kafka_schema_forget(PG_FUNCTION_ARGS)
{
	char	   *id = ke_fcinfo_text(fcinfo, 0);
	int64		count = 0;
	KeServer   *server;
	ListCell   *lc;

	ke_ready_require();
	server = ke_subscription_ddl_server(ke_fcinfo_name(fcinfo, 1));
	if (server->registry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("server \"%s\" has no schema registry",
						server->name),
				 errhint("Option \"schema_registry_url\" says where it is.")));
	foreach(lc, server->registry->urls)
		count += ke_schemas_forget((char *) lfirst(lc), id);
	PG_RETURN_INT64(count);
}
