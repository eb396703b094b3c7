/*
 * subscription_define.c
 *	  Turns a foreign table that was just made or altered into a
 *	  subscription: owner, checks, recorded dependencies.
 *
 * A restore is told by check_function_bodies, which every dump turns off.
 * Then privileges, which come last in a dump, are not there yet, and the
 * identity is still to come: nothing is judged, the workers will, and
 * nothing is written but the dependencies.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
#include "foreign/foreign.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "api/pattern_ddl.h"
#include "api/subscription_define.h"
#include "state/identity.h"
#include "state/positions.h"
#include "subscription/checks.h"
#include "subscription/extension.h"
#include "subscription/members.h"
#include "subscription/names.h"
#include "subscription/references.h"

static bool
restoring(void)
{
	return !check_function_bodies;
}

char *
ke_subscription_define_name(const char *topic)
{
	return psprintf("subscription \"%s\"", topic);
}

void
ke_subscription_define_report(KeSubscription *sub, List *problems)
{
	if (!restoring())
		ke_options_report(ke_subscription_define_name(sub->topic), problems);
}

void
ke_subscription_define_refuse_stranger(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_RESERVED_NAME),
			 errmsg("cannot put \"%s\" into schema kafka_events", name),
			 errdetail("The schema holds the private tables of extension kafka_events, and subscriptions.")));
}

/* What every subscription looks like, restored ones as well. */
static void
check_shape(Relation rel)
{
	const char *name = RelationGetRelationName(rel);

	if (RelationGetNamespace(rel) != ke_extension_schema())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("foreign table \"%s\" of a kafka_events server must be in schema kafka_events",
						name),
				 errhint("It is a subscription: CREATE FOREIGN TABLE %s () SERVER ... OPTIONS (...).",
						 quote_qualified_identifier("kafka_events", name))));
	if (RelationGetNumberOfAttributes(rel) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("subscription \"%s\" cannot have columns", name),
				 errhint("The rows go to the table that option into_table names.")));
	if (has_superclass(RelationGetRelid(rel)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("subscription \"%s\" cannot inherit", name)));
}

void
ke_subscription_define_refuse_second(KeServer *server, const char *topic)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("topic \"%s\" is already subscribed on server \"%s\"",
					topic, server->name),
			 errhint("Change the subscription with kafka_subscription_alter.")));
}

static void
warn_unlogged(KeSubscription *sub)
{
	if (OidIsValid(sub->into_table) &&
		get_rel_persistence(sub->into_table) == RELPERSISTENCE_UNLOGGED)
		ereport(WARNING,
				(errmsg("table %s is unlogged: a crash empties it, but the positions stay",
						ke_names_of_table(sub->into_table))));
}

/*
 * Only the manager makes what has a pattern, in another way than by a
 * statement, and pg_dump's output does.
 */
static void
refuse_handmade(const KeSubscription *sub)
{
	if (sub->options.pattern != NULL && !restoring())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot set option \"pattern\" of a subscription"),
				 errdetail("It is set by itself where a pattern subscribes a topic."),
				 errhint("Option \"topics\" makes a pattern; a topic that matches is subscribed by itself.")));
}

/* What the order of keys is for, given away. */
static void
warn_unordered(KeSubscription *sub)
{
	if (sub->options.on_conflict == KE_CONFLICT_UPDATE &&
		sub->options.ordering == KE_ORDER_NONE &&
		sub->options.max_retries > 0)
		ereport(WARNING,
				(errmsg("with ordering \"none\" a message that is retried may overwrite what a later one has written"),
				 errhint("Use ordering \"key\", the default with on_conflict \"update\".")));
}

bool
ke_subscription_define_was_consumed(KeServer *server, const char *topic)
{
	KePositionKey key = {
		.cluster_id = ke_identity_cluster(server->options.service_name),
		.group_id = ke_catalog_main_group(server)
	};

	return key.cluster_id != NULL && ke_positions_list(&key, topic) != NIL;
}

/*
 * Is it unclear which database this is?  With a row of another one it is a
 * copy; without any, but with subscriptions, it was restored from a dump that
 * had the schema only.
 */
static bool
identity_is_doubtful(Oid except)
{
	pg_uuid_t	uuid;

	if (ke_identity_read(&uuid) == KE_IDENTITY_NONE &&
		!ke_catalog_has_subscriptions(except))
		return false;

	/* again: who made that subscription may just have committed both */
	return ke_identity_read(&uuid) != KE_IDENTITY_OURS;
}

void
ke_subscription_define_require_identity(void)
{
	if (identity_is_doubtful(InvalidOid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the identity of this database towards Kafka is not confirmed"),
				 errdetail("It was copied, restored or upgraded from another one."),
				 errhint("If that one no longer consumes, a superuser calls kafka_identity_confirm('continue'); if it does, kafka_identity_confirm('new').")));
}

/*
 * The first subscription of a database gives it its identity; and a start at
 * 'latest' is noted, to be resolved by whoever reaches the cluster first.  A
 * pattern's is that of the topics that are there now.
 */
static void
begin_life(KeServer *server, KeSubscription *sub)
{
	char	   *group = ke_catalog_main_group(server);
	bool		is_pattern = sub->options.topics != NULL;
	char	   *start = is_pattern ? ke_members_start(sub->oid) : sub->topic;

	if (identity_is_doubtful(sub->oid))
		ereport(NOTICE,
				(errmsg("nothing is consumed until kafka_identity_confirm is called"),
				 errdetail("This database was copied, restored or upgraded from another one.")));
	else
		ke_identity_establish();

	/* a subscription dropped before its start was resolved leaves one */
	ke_positions_start_done(group, start);
	if (sub->options.start_from == KE_START_LATEST &&
		(is_pattern || !ke_subscription_define_was_consumed(server, start)))
		ke_positions_start_request(group, start, GetCurrentTimestamp());
}

bool
ke_subscription_define_is_second(KeServer *server, const KeSubscription *sub,
								 bool pattern)
{
	if (pattern)
		return OidIsValid(ke_catalog_find_pattern(server, sub->topic,
												  sub->oid));
	return OidIsValid(ke_catalog_find(server, sub->topic, sub->oid));
}

bool
ke_subscription_define_is_new(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	TransactionId maker;

	if (!HeapTupleIsValid(tuple))
		return false;
	maker = HeapTupleHeaderGetXmin(tuple->t_data);
	ReleaseSysCache(tuple);
	return TransactionIdIsCurrentTransactionId(maker);
}

void
ke_subscription_define(Oid relid, KeSubscriptionKnown how)
{
	Relation	rel = relation_open(relid, NoLock);
	KeServer   *server = ke_catalog_server(GetForeignTable(relid)->serverid);
	KeSubscription *sub;
	List	   *problems = NIL;
	Oid			owner = rel->rd_rel->relowner;

	check_shape(rel);
	relation_close(rel, NoLock);

	if (owner != server->owner)
	{
		ATExecChangeOwner(relid, server->owner, false, AccessExclusiveLock);
		CommandCounterIncrement();
	}

	sub = ke_catalog_read(server, relid, true, &problems);
	ke_references_lock(sub, &problems);
	if (how == KE_ADOPT_CREATED)
		refuse_handmade(sub);
	if (ke_subscription_define_is_second(server, sub,
										 sub->options.topics != NULL))
		ke_subscription_define_refuse_second(server, sub->topic);
	ke_checks_subscription(server, sub, &problems);
	ke_subscription_define_report(sub, problems);

	(void) ke_references_record(sub);
	(void) ke_references_rewrite(sub);
	if (restoring())
		return;
	warn_unlogged(sub);
	warn_unordered(sub);
	if (how == KE_ADOPT_CREATED)
		begin_life(server, sub);
	else if (sub->options.topics != NULL)
		ke_pattern_ddl_drop_others(server, sub);
}
