/*
 * identity.h
 *	  Which database this is towards Kafka, and whether it still is.
 *
 * The row holds a uuid and (system identifier, database oid).  Another
 * system identifier or oid than the running one's means a copy, a restored
 * dump, or pg_upgrade: nothing is consumed until kafka_identity_confirm.
 * All functions need a transaction.
 */
#ifndef KE_IDENTITY_H
#define KE_IDENTITY_H

#include "utils/uuid.h"

typedef enum KeIdentityState
{
	KE_IDENTITY_NONE,			/* no row: nothing was ever subscribed */
	KE_IDENTITY_OURS,
	KE_IDENTITY_FOREIGN			/* a row of another cluster or database */
} KeIdentityState;

/* The state, and the uuid unless NONE. */
extern KeIdentityState ke_identity_read(pg_uuid_t *uuid);

/* Write the row if there is none. */
extern void ke_identity_establish(void);

/*
 * This database is the one it was (same uuid, returned) or a new one (new
 * uuid, the clusters of the services forgotten).
 */
extern void ke_identity_confirm(bool as_new, pg_uuid_t *uuid);

/* 36 characters and a NUL. */
#define KE_UUID_LEN 37
extern void ke_identity_format(const pg_uuid_t *uuid, char *buf);

/* The stored cluster id of a service, NULL if none; and storing it. */
extern char *ke_identity_cluster(const char *service);
extern void ke_identity_set_cluster(const char *service,
									const char *cluster_id);

#endif							/* KE_IDENTITY_H */
