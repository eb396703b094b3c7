/*
 * circuit_breakers.c
 *	  View kafka_circuit_breakers, and kafka_circuit_reset.
 *
 * Breakers live in shared memory: a reset holds at once, whether or not the
 * transaction commits.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "api/fcinfo.h"
#include "api/row.h"
#include "api/subscription_ddl.h"
#include "api/visible.h"
#include "core/clock.h"
#include "shm/circuit.h"
#include "shm/ready.h"
#include "shm/roster.h"
#include "subscription/catalog.h"

PG_FUNCTION_INFO_V1(kafka_circuit_breakers);
PG_FUNCTION_INFO_V1(kafka_circuit_reset);

/*
 * What kafka_subscriptions calls broken is so here: it neither runs nor is
 * tried again after a time.
 */
static const char *
state_of(const KeSubscription *sub, const KeBreaker *breaker)
{
	if (sub->broken != NULL)
		return "broken";
	switch (breaker->state)
	{
		case KE_BREAKER_CLOSED:
		case KE_BREAKER_OPEN:
		case KE_BREAKER_HALF_OPEN:
			return ke_breaker_state_name(breaker->state);
		case KE_BREAKER_BROKEN:
		case KE_BREAKER_MENDING:
			return "broken";
	}
	pg_unreachable();
}

static void
emit_breaker(FunctionCallInfo fcinfo, const KeServer *server,
			 const KeSubscription *sub)
{
	KeRow		row = {0};
	KeCircuitReport report;
	const KeBreaker *breaker = &report.breaker;
	const KeBreakerFailure *last = &breaker->last;
	const char *sqlstate = NULL;
	bool		has_failed;

	ke_circuit_look(MyDatabaseId, sub->oid, &report);
	has_failed = last->sqlstate != 0;
	if (has_failed)
		sqlstate = unpack_sql_state(last->sqlstate);

	ke_row_put_name(&row, server->name);
	ke_row_put_text(&row, sub->topic);
	ke_row_put_text(&row, state_of(sub, breaker));
	ke_row_put_int(&row, breaker->failures);
	ke_row_put_time(&row, ke_clock_to_wall(breaker->opened_at));
	ke_row_put_time(&row, ke_clock_to_wall(breaker->next_try_at));
	ke_row_put_text(&row, sqlstate);
	ke_row_put(&row, Int32GetDatum(last->partition), !has_failed);
	ke_row_put(&row, Int64GetDatum(last->offset), !has_failed);
	ke_row_emit(&row, fcinfo);
}

Datum
kafka_circuit_breakers(PG_FUNCTION_ARGS)
{
	ListCell   *lc;
	ListCell   *lc2;

	ke_ready_require();
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, ke_visible_servers())
	{
		KeServer   *server = (KeServer *) lfirst(lc);

		foreach(lc2, ke_catalog_subscriptions(server))
			emit_breaker(fcinfo, server, (KeSubscription *) lfirst(lc2));
	}
	return (Datum) 0;
}

Datum
kafka_circuit_reset(PG_FUNCTION_ARGS)
{
	char	   *topic;
	KeServer   *server;
	KeSubscription *sub;

	ke_ready_require_primary("kafka_circuit_reset()");
	topic = ke_fcinfo_required(fcinfo, 0, "topic");
	server =
		ke_subscription_ddl_server(ke_fcinfo_name(fcinfo,
												  1));
	sub = ke_subscription_ddl_find(server, topic);

	/* the workers need not wait until they look again by themselves */
	if (ke_circuit_reset(MyDatabaseId, sub->oid))
		ke_roster_config_changed(MyDatabaseId);
	PG_RETURN_OID(sub->oid);
}
