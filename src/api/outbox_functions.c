/*
 * outbox_functions.c
 *	  What is in the outbox, and what becomes of parked messages.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "api/visible.h"
#include "outbox/outbox_read.h"
#include "outbox/outbox_undeliverable.h"
#include "shm/ready.h"
#include "state/identity.h"
#include "subscription/catalog.h"
#include "subscription/extension.h"

PG_FUNCTION_INFO_V1(kafka_outbox_status);
PG_FUNCTION_INFO_V1(kafka_outbox_retry);
PG_FUNCTION_INFO_V1(kafka_outbox_discard);

#define STATUS_COLUMNS 6

static bool
identity_is_foreign(void)
{
	pg_uuid_t	uuid;

	return ke_identity_read(&uuid) == KE_IDENTITY_FOREIGN;
}

/* Since a time; NULL for 0. */
static Datum
age(TimestampTz since, bool *isnull)
{
	*isnull = since == 0;
	if (*isnull)
		return (Datum) 0;
	return DirectFunctionCall2(timestamp_mi,
							   TimestampTzGetDatum(GetCurrentTimestamp()),
							   TimestampTzGetDatum(since));
}

static void
emit(ReturnSetInfo *rsinfo, const KeServer *server, KeOutboxStatus *status)
{
	Datum		values[STATUS_COLUMNS];
	bool		nulls[STATUS_COLUMNS] = {false};

	values[0] = DirectFunctionCall1(namein, CStringGetDatum(server->name));
	values[1] = Int64GetDatum(status->pending);
	values[2] = age(status->oldest, &nulls[2]);
	values[3] = Int64GetDatum(status->published);
	values[4] = Int64GetDatum(status->parked);
	nulls[5] = status->last_error == NULL;
	values[5] = nulls[5] ? (Datum) 0 :
		CStringGetTextDatum(status->last_error);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
kafka_outbox_status(PG_FUNCTION_ARGS)
{
	bool		foreign;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreign = identity_is_foreign();
	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);
		KeOutboxStatus status;

		ke_outbox_tidy_status(server->oid, &status);
		if (foreign)
			status.last_error = "identity not confirmed: call kafka_identity_confirm";
		emit((ReturnSetInfo *) fcinfo->resultinfo, server, &status);
	}
	return (Datum) 0;
}

/* The user may decide about the parked message with this id. */
static void
require_parked(int64 id)
{
	KeServer   *server;

	ke_extension_lock();
	server = ke_catalog_server(ke_outbox_undeliverable_server(id));
	if (server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("no message with id " INT64_FORMAT " is parked", id),
				 errhint("View kafka_outbox_parked shows those that are.")));
	if (!has_privs_of_role(GetUserId(), server->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for parked messages of server \"%s\"",
						server->name),
				 errhint("You must be a member of role \"%s\".",
						 GetUserNameFromId(server->owner, false))));
}

Datum
kafka_outbox_retry(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);

	ke_ready_require_writable("kafka_outbox_retry()");
	require_parked(id);
	PG_RETURN_INT64(ke_outbox_undeliverable_retry(id));
}

Datum
kafka_outbox_discard(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);

	ke_ready_require_writable("kafka_outbox_discard()");
	require_parked(id);
	ke_outbox_undeliverable_discard(id);
	PG_RETURN_INT64(id);
}
