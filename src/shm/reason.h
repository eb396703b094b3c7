/*
 * reason.h
 *	  Why a server's consumers do not run, for the views.
 *
 * Set by the manager (identity, another cluster, no free slot, ...), and by
 * the launcher, with InvalidOid for the server, where a database has no
 * manager.
 */
#ifndef KE_REASON_H
#define KE_REASON_H

#define KE_REASON_LEN 256

#define KE_REASON_NO_SLOT \
	"no free background worker slot: raise max_worker_processes"

/* What to do about a group that is another database's. */
#define KE_REASON_WAYS_OUT \
	"change service_name here, call kafka_identity_confirm('take over'), or set shared in both"

extern void ke_reason_shmem_request(void);
extern void ke_reason_shmem_init(void);

/* NULL or an empty string: there is nothing to say any more. */
extern void ke_reason_set(Oid database, Oid server, const char *reason);

/* The server's own reason, else its database's, else an empty string. */
extern void ke_reason_get(Oid database, Oid server, char *reason, Size size);

/* Nothing to say about any server of the database. */
extern void ke_reason_forget(Oid database);

#endif							/* KE_REASON_H */
