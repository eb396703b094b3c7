/*
 * ddl.h
 *	  Keeps servers, subscriptions and what they depend on consistent,
 *	  whatever statement changes them.
 *
 * api/hooks calls these from its ProcessUtility and object access hooks, in
 * the backend of the user who runs the statement.
 */
#ifndef KE_DDL_H
#define KE_DDL_H

#include "catalog/objectaccess.h"
#include "nodes/nodes.h"

#include "subscription/catalog.h"

/* Before the statement runs: raise if it must not. */
extern void ke_ddl_before(Node *statement);

/* After it ran, in the same transaction: check, record dependencies. */
extern void ke_ddl_after(Node *statement);

/* Refuses foreign things in schema kafka_events. */
extern void ke_schema_guard_object_access(ObjectAccessType access,
										  Oid class_id,
										  Oid object_id, int sub_id,
										  void *arg);

/* Raise unless the user belongs to the server's owner. */
extern void ke_ddl_require_membership(KeServer *server);

#endif							/* KE_DDL_H */
