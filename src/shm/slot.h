/*
 * slot.h
 *	  One slot per process of ours: who it is, for what, and how it is.
 *
 * KeSlotLock (an LWLock) guards in_use, generation, who and parent's wishes;
 * each slot's spinlock guards the few words its process reports.  A slot is
 * taken by the parent before the process starts and given back by the
 * process's on_shmem_exit or, if it never started, by the parent.
 */
#ifndef KE_SLOT_H
#define KE_SLOT_H

#include "datatype/timestamp.h"

typedef enum KeRole
{
	KE_ROLE_LAUNCHER,
	KE_ROLE_MANAGER,
	KE_ROLE_MAIN,
	KE_ROLE_RETRY,
	KE_ROLE_RELAY,
	KE_ROLE_TASK
} KeRole;

typedef enum KeStatus
{
	KE_STATUS_STARTING,
	KE_STATUS_RUNNING,
	KE_STATUS_REBALANCING,
	KE_STATUS_PAUSED,
	KE_STATUS_STOPPED,
	KE_STATUS_FAILED
} KeStatus;

/* Who a process is; copied out of its slot at start. */
typedef struct KeIdentityOfProcess
{
	KeRole		role;
	Oid			database;
	Oid			server;			/* InvalidOid for launcher and manager */
	Oid			owner;			/* the session's role; InvalidOid: bootstrap */
	int			ordinal;		/* 0 .. workers - 1 */
	uint64		incarnation;	/* the manager's, new with each manager */
} KeIdentityOfProcess;

#define KE_ERROR_TEXT_LEN 512

/* ---- for the process itself (after ke_runtime_attach) ---- */
extern void ke_slot_set_status(KeStatus status);
extern void ke_slot_heartbeat(void);	/* the consumer queue was served */
extern void ke_slot_count_messages(int64 messages);
extern void ke_slot_set_assigned(int partitions);
extern void ke_slot_set_error(const char *text);	/* payload-free */
extern bool ke_slot_stop_requested(bool *leave);	/* by the parent */

/* Counts configuration changes noticed for this database; compare to reload. */
extern uint64 ke_slot_config_version(void);

/* ---- for any backend ---- */

/* Wake the database's manager (the launcher if there is none). */
extern void ke_slot_wake_manager(Oid database);

/* Why the server's consumers do not run (identity, no slot, ...): set by the
 * manager, read by the views; empty string: nothing to say. */
extern void ke_slot_set_server_reason(Oid server, const char *reason);
extern void ke_slot_get_server_reason(Oid database, Oid server, char *reason,
									  Size size);

#endif							/* KE_SLOT_H */
