/*
 * takeovers.h
 *	  Databases whose positions in Kafka this one continues.
 *
 * A row of kafka_events.takeovers says that what the database with this uuid
 * has committed in the groups of a service is ours now.  It is needed until
 * our own commits stand there.  All functions need a transaction.
 */
#ifndef KE_TAKEOVERS_H
#define KE_TAKEOVERS_H

#include "nodes/pg_list.h"

/* True if it was not there. */
extern bool ke_takeovers_add(const char *service, const char *uuid);

/* The uuids of a service, as char * in the current context. */
extern List *ke_takeovers_list(const char *service);

/* Forget those of a service, NULL: of all. */
extern void ke_takeovers_forget(const char *service);

#endif							/* KE_TAKEOVERS_H */
