/*
 * slot.h
 *	  One slot per process of ours: who it is, for what, and how it is.
 *
 * A slot is a place that a parent (launcher or manager) takes for as long as
 * it wants a process there; processes come and go in it, and what they
 * reported stays readable between two of them.  The slots' LWLock guards
 * in_use, generation, who, phase and the parent's wishes; each slot's
 * spinlock guards the words its process reports.
 */
#ifndef KE_SLOT_H
#define KE_SLOT_H

#include "datatype/timestamp.h"

#include "core/clock.h"

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

extern const char *ke_slot_role_name(KeRole role);	/* main, retry, ... */
extern const char *ke_slot_status_name(KeStatus status);

/* ---- for the process itself (after ke_runtime_attach) ---- */

/* For ke_runtime_attach; NULL: the slot is no longer meant for it. */
extern const KeIdentityOfProcess *ke_slot_attach(Datum main_arg);

extern void ke_slot_set_status(KeStatus status);
extern void ke_slot_heartbeat(void);	/* the consumer queue was served */
extern void ke_slot_count_messages(int64 messages);
extern void ke_slot_set_assigned(int partitions);
extern void ke_slot_set_error(const char *text);	/* payload-free */

/*
 * What is the matter now, or NULL: nothing any more; payload-free.  Other
 * than the error, which stays, it goes when the process ends.
 */
extern void ke_slot_set_trouble(const char *text);

/* The subscription whose messages are being processed, or InvalidOid. */
extern void ke_slot_set_subject(Oid subscription);
extern bool ke_slot_stop_requested(bool *leave);	/* by the parent */
extern bool ke_slot_take_rejoin(void);	/* leave the group and come back */
extern void ke_slot_note_terminating(void); /* from the signal handler */

/*
 * This process is a member of its group for at least so long, whatever
 * becomes of it.  Returns since when the group has had a member of ours
 * without a break: nobody's tools could move its positions since then.
 */
extern KeMoment ke_slot_stay_in_group(int session_timeout_ms);

/* It is no member any more: it has left, or was put out. */
extern void ke_slot_leave_group(void);

/* After this process ended, start no other one for so long. */
extern void ke_slot_restart_after(int delay_ms);

/*
 * There is nothing to do here: do not start me again before something
 * changes.  False if something has changed since version was read.
 */
extern bool ke_slot_set_done(uint64 version);

/* Counts changes of this database's configuration; compare to reload. */
extern uint64 ke_slot_config_version(void);

/*
 * Work that others have committed for this process: it was called when the
 * first of it came, and is not called again before it answers.  So it answers
 * before it looks.
 */
#define KE_CALL_NOW 0x01
#define KE_CALL_SOON 0x02		/* it may wait for more of it */

extern uint32 ke_slot_calls(void);
extern void ke_slot_answer_calls(void);

/* ---- for any backend ---- */

/* Wake the database's manager (the launcher if there is none). */
extern void ke_slot_wake_manager(Oid database);

#endif							/* KE_SLOT_H */
