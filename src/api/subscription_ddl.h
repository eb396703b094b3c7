/*
 * subscription_ddl.h
 *	  Finds a subscription by its topic, and runs the statements that make
 *	  and change one.
 */
#ifndef KE_SUBSCRIPTION_DDL_H
#define KE_SUBSCRIPTION_DDL_H

#include "subscription/catalog.h"

/*
 * The server called name, or the only one, for a user who wants to change
 * its subscriptions: checks that he may, and locks it against others who do.
 */
extern KeServer *ke_subscription_ddl_server(const char *name);

/*
 * The subscription of a topic, or the pattern with this regular expression;
 * raises with a hint if there is none.
 */
extern KeSubscription *ke_subscription_ddl_find(KeServer *server,
												const char *topic);

/* CREATE FOREIGN TABLE in schema kafka_events; returns its oid. */
extern Oid	ke_subscription_ddl_create(KeServer *server, const char *table,
									   List *options);

/*
 * ALTER FOREIGN TABLE: options are set, or added where they are not there
 * yet; those with action DEFELEM_DROP are dropped if they are there.
 */
extern void ke_subscription_ddl_alter(KeSubscription *sub, List *options);

extern void ke_subscription_ddl_drop(KeSubscription *sub);

/* The options of a foreign table as they are stored. */
extern List *ke_subscription_ddl_options(Oid relid);

#endif							/* KE_SUBSCRIPTION_DDL_H */
