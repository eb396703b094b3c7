/*
 * pattern_ddl.h
 *	  What statements may do to patterns and the subscriptions they made.
 */
#ifndef KE_PATTERN_DDL_H
#define KE_PATTERN_DDL_H

#include "nodes/parsenodes.h"

#include "subscription/catalog.h"

/*
 * A topic is about to be subscribed by a user: a pattern's subscription of it
 * makes room.  Needs the server's lock.
 */
extern void ke_pattern_ddl_make_room(KeServer *server, const char *topic);

/* The same before CREATE FOREIGN TABLE on the server. */
extern void ke_pattern_ddl_before_create(CreateForeignTableStmt *stmt,
										 KeServer *server);

/* Before DROP FOREIGN TABLE: none of them goes without its pattern. */
extern void ke_pattern_ddl_before_drop(DropStmt *stmt);

/* Raise: it is a pattern that has subscribed the topic. */
extern void ke_pattern_ddl_refuse_drop(const KeSubscription *sub)
			pg_attribute_noreturn();
extern void ke_pattern_ddl_refuse_alter(const KeSubscription *sub)
			pg_attribute_noreturn();

/* Raise if an ALTER makes one thing of another, or of another pattern. */
extern void ke_pattern_ddl_before_options(List *options);

/* A pattern was altered: what does not match any more is unsubscribed. */
extern void ke_pattern_ddl_drop_others(KeServer *server,
									   const KeSubscription *pattern);

#endif							/* KE_PATTERN_DDL_H */
