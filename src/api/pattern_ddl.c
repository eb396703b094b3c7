/*
 * pattern_ddl.c
 *	  What statements may do to patterns and the subscriptions they made.
 *
 * The manager makes these subscriptions: see cluster/survey_patterns.  Users
 * alter and drop the pattern.  Where a user subscribes one of the topics, his
 * subscription takes the place of the pattern's and goes on from where that
 * stopped.
 */
#include "postgres.h"
#include "core/compat.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/pattern_ddl.h"
#include "core/topic_pattern.h"
#include "subscription/extension.h"
#include "subscription/members.h"
#include "subscription/names.h"
#include "subscription/references.h"

/* --------------------------------------------------------------- creating */

void
ke_pattern_ddl_make_room(KeServer *server, const char *topic)
{
	Oid			relid = ke_catalog_find(server, topic, InvalidOid);
	KeSubscription *sub = ke_catalog_read(server, relid, false, NULL);

	if (sub != NULL && OidIsValid(sub->pattern))
		ke_members_drop(relid);
}

void
ke_pattern_ddl_before_create(CreateForeignTableStmt *stmt, KeServer *server)
{
	DefElem    *topic = ke_options_find(stmt->options, "topic");

	if (ke_options_find(stmt->options, "topics") != NULL ||
		ke_options_find(stmt->options, "pattern") != NULL)
		return;
	ke_pattern_ddl_make_room(server, topic != NULL ?
							 defGetString(topic) :
							 stmt->base.relation->relname);
}

/* --------------------------------------------------------------- dropping */

/* What leaves a topic out of what matches. */
static char *
exclusion_hint(const KeSubscription *sub)
{
	return psprintf("kafka_unsubscribe ends all topics of the pattern. To leave this one out, alter its regular expression: ALTER FOREIGN TABLE %s OPTIONS (SET topics '(?!%s$)...').",
					ke_names_of_table(sub->pattern), sub->topic);
}

void
ke_pattern_ddl_refuse_drop(const KeSubscription *sub)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot unsubscribe topic \"%s\" alone", sub->topic),
			 errdetail("It is subscribed by pattern \"%s\".",
					   get_rel_name(sub->pattern)),
			 errhint("%s", exclusion_hint(sub))));
}

/* Of our servers' foreign tables; NULL: another object. */
static KeSubscription *
subscription_named(List *name)
{
	Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(name),
										 NoLock, true);
	KeServer   *server = NULL;

	if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
		server = ke_catalog_server(GetForeignTable(relid)->serverid);
	return server != NULL ? ke_catalog_read(server, relid, false, NULL) : NULL;
}

void
ke_pattern_ddl_before_drop(DropStmt *stmt)
{
	List	   *subs = NIL;
	List	   *dropped = NIL;
	ListCell   *lc;

	if (stmt->removeType != OBJECT_FOREIGN_TABLE || IsBinaryUpgrade ||
		!OidIsValid(ke_extension_wrapper()))
		return;
	foreach(lc, stmt->objects)
	{
		KeSubscription *sub = subscription_named((List *) lfirst(lc));

		if (sub == NULL)
			continue;
		subs = lappend(subs, sub);
		dropped = lappend_oid(dropped, sub->oid);
	}
	foreach(lc, subs)
	{
		const KeSubscription *sub = (KeSubscription *) lfirst(lc);

		if (OidIsValid(sub->pattern) &&
			!list_member_oid(dropped, sub->pattern))
			ke_pattern_ddl_refuse_drop(sub);
	}
}

/* --------------------------------------------------------------- altering */

void
ke_pattern_ddl_refuse_alter(const KeSubscription *sub)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot alter the subscription of topic \"%s\" alone",
					sub->topic),
			 errdetail("It is subscribed by pattern \"%s\" and has its options.",
					   get_rel_name(sub->pattern)),
			 errhint("Alter the pattern, or subscribe the topic by its own name with kafka_subscribe.")));
}

void
ke_pattern_ddl_before_options(List *options)
{
	const DefElem *pattern = ke_options_find(options, "pattern");
	const DefElem *topics = ke_options_find(options, "topics");

	if (pattern != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the pattern of a subscription"),
				 errdetail("Option \"pattern\" is set by itself where a pattern subscribes a topic.")));
	if (topics != NULL && topics->defaction != DEFELEM_SET)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot make a pattern of a subscription, or a subscription of a pattern"),
				 errhint("Drop the one and subscribe the other.")));
}

void
ke_pattern_ddl_drop_others(KeServer *server, const KeSubscription *pattern)
{
	KeTopicPattern *regex = ke_topic_pattern_compile(pattern->options.topics);
	ListCell   *lc;

	if (regex == NULL)
		return;
	foreach(lc, ke_references_members(pattern->oid))
	{
		KeSubscription *sub = ke_catalog_read(server, lfirst_oid(lc), false,
											  NULL);

		if (sub != NULL && !ke_topic_pattern_matches(regex, sub->topic))
			ke_members_drop(sub->oid);
	}
}
