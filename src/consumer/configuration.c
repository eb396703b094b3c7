/*
 * configuration.c
 *	  What the catalogs say a consumer is to do, and the stages for it.
 *
 * One transaction reads all of it into one memory context, which replaces the
 * former one as a whole: after a reload nothing points into the old one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "consumer/engine.h"
#include "session/session.h"
#include "state/takeovers.h"

typedef struct Reading
{
	Oid			server;
	KeConfiguration *into;
} Reading;

/* In a transaction. */
static void
read_catalogs(KeEngine *engine, void *argument)
{
	Reading    *reading = (Reading *) argument;
	KeConfiguration *into = reading->into;
	MemoryContext old = MemoryContextSwitchTo(into->context);

	into->identity = ke_identity_read(&into->uuid);
	into->database_name = get_database_name(MyDatabaseId);
	into->server = ke_catalog_server(reading->server);
	if (into->server != NULL)
	{
		into->subscriptions = ke_catalog_subscriptions(into->server);
		into->cluster_id =
			ke_identity_cluster(into->server->options.service_name);
		into->taken_over =
			ke_takeovers_list(into->server->options.service_name);
	}
	MemoryContextSwitchTo(old);
}

bool
ke_configuration_read(KeEngine *engine, Oid server, KeConfiguration *into,
					  KeFailure **fail)
{
	Reading		reading = {server, into};

	memset(into, 0, sizeof(*into));
	into->context = AllocSetContextCreate(engine->context,
										  "kafka_events configuration",
										  ALLOCSET_DEFAULT_SIZES);
	return ke_transact(engine, read_catalogs, &reading, false, fail);
}

static KeStage *
stage_of(KeEngine *engine, Oid subscription)
{
	ListCell   *lc;

	foreach(lc, engine->stages)
		if (((KeStage *) lfirst(lc))->sub->oid == subscription)
			return (KeStage *) lfirst(lc);
	return NULL;
}

void
ke_configuration_adopt(KeEngine *engine, KeConfiguration *from)
{
	const KeServerOptions *options = &from->server->options;
	MemoryContext former = engine->config;
	List	   *kept = NIL;
	List	   *before = list_copy(engine->stages);
	ListCell   *lc;

	engine->config = from->context;
	engine->server = from->server;
	engine->taken_over = from->taken_over;
	if (from->database_name != NULL)
		strlcpy(engine->database_name, from->database_name, NAMEDATALEN);
	foreach(lc, from->subscriptions)
	{
		KeSubscription *sub = (KeSubscription *) lfirst(lc);
		KeStage    *stage = stage_of(engine, sub->oid);

		if (stage != NULL)
			ke_stage_replace(engine, stage, sub);
		else
			stage = ke_stage_make(engine, sub);
		kept = lappend(kept, stage);
	}
	foreach(lc, before)
		if (!list_member_ptr(kept, lfirst(lc)))
		ke_rebalance_detach(engine, (KeStage *) lfirst(lc));
	ke_rebalance_attach(engine);
	if (former != NULL)
		MemoryContextDelete(former);
	ke_session_set_synchronous_commit(options->synchronous_commit);
}
