/*
 * role_demand.h
 *	  Which servers need a process that plain ingestion does not: a relay, or
 *	  retry consumers.
 *
 * A need, once there, lasts until the server is dropped or PostgreSQL is
 * restarted; then the manager finds out anew from what is stored.
 */
#ifndef KE_ROLE_DEMAND_H
#define KE_ROLE_DEMAND_H

#include "shm/slot.h"

extern void ke_role_demand_shmem_request(void);
extern void ke_role_demand_shmem_init(void);

/*
 * For any backend, also in a transaction's callbacks: raises nothing.  What
 * makes the need is committed.  A new need wakes the manager; role is
 * KE_ROLE_RETRY or KE_ROLE_RELAY.
 */
extern void ke_role_demand_set(Oid database, Oid server, KeRole role);

extern bool ke_role_demand_has(Oid database, Oid server, KeRole role);

/* The server (InvalidOid: each of the database) needs nothing any more. */
extern void ke_role_demand_forget(Oid database, Oid server);

#endif							/* KE_ROLE_DEMAND_H */
