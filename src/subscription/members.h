/*
 * members.h
 *	  Makes and drops the subscriptions of topics that match a pattern.
 */
#ifndef KE_MEMBERS_H
#define KE_MEMBERS_H

#include "subscription/catalog.h"

/*
 * The name of the foreign table of a subscription, or pattern: the topic, or
 * the regular expression, unless that is too long or taken.
 */
extern char *ke_members_table_name(const char *topic, KeServer *server);

/* May a pattern of the server subscribe this topic, if it matches? */
extern bool ke_members_may_be(const KeServerOptions *server,
							  const char *topic);

/*
 * What stands for a pattern where the starts of topics are noted, which it is
 * no name of: as long as it does, topics are among those that were there when
 * the pattern was made.
 */
extern char *ke_members_start(Oid pattern);

/*
 * Subscribe a topic for a pattern; returns the foreign table, which is the
 * server's owner's.  For sessions that may make it: no privilege is looked
 * at, and no code of users runs, event triggers included.  Needs the server's
 * lock.
 */
extern Oid	ke_members_make(KeServer *server, const KeSubscription *pattern,
							const char *topic);

/* Drop one without its pattern, which PostgreSQL by itself refuses. */
extern void ke_members_drop(Oid member);

#endif							/* KE_MEMBERS_H */
