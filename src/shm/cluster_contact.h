/*
 * cluster_contact.h
 *	  When the brokers of a server's cluster last answered the manager.
 *
 * Written by the manager with each look at the cluster, read by any backend.
 * A server that nobody has looked at, as it has no subscription, has no
 * entry.
 */
#ifndef KE_CLUSTER_CONTACT_H
#define KE_CLUSTER_CONTACT_H

#include "core/clock.h"

/*
 * The manager looks every 10 s.  What was heard within this time is known;
 * afterwards nobody knows whether it still is so.
 */
#define KE_CLUSTER_CONTACT_FRESH_MS 30000

typedef struct KeClusterContact
{
	KeMoment	since;			/* the first look at this cluster */
	KeMoment	answered_at;	/* 0: never */
} KeClusterContact;

extern void ke_cluster_contact_shmem_request(void);
extern void ke_cluster_contact_shmem_init(void);

/* A look has ended. */
extern void ke_cluster_contact_note(Oid database, Oid server, bool answered);

/* False: nobody looks at the cluster. */
extern bool ke_cluster_contact_get(Oid database, Oid server,
								   KeClusterContact *contact);

/* How long nobody has answered. */
extern int64 ke_cluster_contact_silent_us(const KeClusterContact *contact);

/* Forget a server or, with InvalidOid, all of the database. */
extern void ke_cluster_contact_forget(Oid database, Oid server);

#endif							/* KE_CLUSTER_CONTACT_H */
