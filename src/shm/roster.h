/*
 * roster.h
 *	  All slots, as parents (launcher, managers) and other backends see them.
 */
#ifndef KE_ROSTER_H
#define KE_ROSTER_H

#include "core/clock.h"
#include "shm/slot.h"

/* Is there a process in the slot? */
typedef enum KePhase
{
	KE_PHASE_EMPTY,				/* no */
	KE_PHASE_EXPECTED,			/* registered, has not attached yet */
	KE_PHASE_ATTACHED			/* yes */
} KePhase;

/* A slot, copied out of shared memory. */
typedef struct KeSlotReport
{
	int			index;
	KeIdentityOfProcess who;
	KePhase		phase;
	bool		stop;			/* the parent's request */
	bool		terminating;	/* it got SIGTERM */
	bool		done;			/* it ended for want of anything to do */
	int			pid;			/* of the last process; 0: never any */
	KeStatus	status;
	KeMoment	started_at;		/* 0: never, so for all of these */
	KeMoment	heartbeat;
	KeMoment	last_message_at;
	KeMoment	error_at;
	KeMoment	not_before;		/* when the process wants to be restarted */
	int			assigned;
	int64		messages;		/* over all restarts, so for the next */
	int64		restarts;
	char		error[KE_ERROR_TEXT_LEN];	/* the last one, since error_at */
	char		trouble[KE_ERROR_TEXT_LEN]; /* what is the matter now */
	Oid			subject;		/* the subscription being processed, or
								 * InvalidOid */
} KeSlotReport;

/* ---- for parents ---- */

/* Take a free slot; -1 if there is none. */
extern int	ke_roster_take(const KeIdentityOfProcess *who);

/*
 * Make an empty slot ready for a new process, which is to be registered with
 * *main_arg.  False if the database is held.
 */
extern bool ke_roster_expect(int index, const KeIdentityOfProcess *who,
							 Datum *main_arg);

/* The process expected did not, and will not, attach. */
extern void ke_roster_unexpect(int index, const char *why);

/* Ask the process to stop, with SIGTERM; the second time it is final. */
extern void ke_roster_ask_stop(int index, bool leave);

/* SIGTERM again to a process that is terminating already. */
extern void ke_roster_insist(int index);

/* Ask a consumer to leave its group and join it again. */
extern void ke_roster_ask_rejoin(int index);

extern void ke_roster_free(int index);
extern void ke_roster_look(int index, KeSlotReport *report);

/*
 * A database that the launcher should look at (InvalidOid: all of them);
 * false: none.
 */
extern bool ke_roster_next_database(Oid *database);

/* ---- for any backend ---- */

/* Copies of all slots in use, of one database or (InvalidOid) of all. */
extern KeSlotReport *ke_roster_reports(Oid database, int *count);

/*
 * The database's configuration was changed by a transaction that has
 * committed: tell all its processes, or the launcher if there is no manager.
 */
extern void ke_roster_config_changed(Oid database);

/* There is work for the server's processes of one role: wake those. */
extern void ke_roster_wake(Oid database, Oid server, KeRole role);

/* The same with a KE_CALL_...: those are not woken that have it already. */
extern void ke_roster_call(Oid database, Oid server, KeRole role,
						   uint32 call);

/* Is there a manager that can be asked? */
extern bool ke_roster_manager_runs(Oid database);
extern bool ke_roster_launcher_runs(void);

/* Ask all processes of a database to stop; true while there are any. */
extern void ke_roster_stop_database(Oid database);
extern bool ke_roster_database_is_busy(Oid database);

#endif							/* KE_ROSTER_H */
