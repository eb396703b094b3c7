/*
 * child.h
 *	  A process that launcher or manager want to run: started, watched,
 *	  stopped, and started again with growing delay.
 *
 *			 start					attaches
 *	  DOWN ---------> STARTING -----------------> UP
 *	   ^                 |  |                      |
 *	   |  process ended  |  |  not wanted, or      |  not wanted, or
 *	   |<----------------+  |  to be renewed       |  to be renewed
 *	   |                    v                      v
 *	   |<-------------- STOPPING <-----------------+
 *	   |                                           |
 *	   +<------------------------------------------+  process ended
 *
 * Everything here is the parent's own memory; what must outlive the parent is
 * in the child's slot.
 */
#ifndef KE_CHILD_H
#define KE_CHILD_H

#include "postmaster/bgworker.h"

#include "core/clock.h"
#include "shm/roster.h"

typedef enum KeChildState
{
	KE_CHILD_DOWN,				/* no process */
	KE_CHILD_STARTING,			/* registered, has not attached yet */
	KE_CHILD_UP,
	KE_CHILD_STOPPING			/* asked to stop */
} KeChildState;

typedef struct KeChild
{
	MemoryContext context;		/* where it lives */
	KeIdentityOfProcess who;	/* of the next start */
	char		name[BGW_EXTRALEN]; /* for statistics and the log */

	/* what the parent wants */
	bool		wanted;
	bool		leave;			/* when it stops: leave the group as well */
	bool		renew;			/* stop, then start with what is in who */

	/* how it is; changed by this file only */
	KeChildState state;
	KeMoment	since;			/* of state */
	int			slot;			/* -1: none */
	BackgroundWorkerHandle *handle; /* NULL: started by a former parent */
	KeMoment	not_before;		/* the next start */
	KeMoment	insist_at;		/* the next SIGTERM; 0: none is due */
	int			delay_ms;		/* before the next start, if it fails again */
	int64		messages;		/* when it was started */
	const char *trouble;		/* why it could not be started, or NULL */
} KeChild;

/* A child without a process, not wanted yet; in the current context. */
extern KeChild *ke_child_make(const KeIdentityOfProcess *who,
							  const char *name);

/* The process that a former parent of this kind left in a slot. */
extern KeChild *ke_child_adopt(const KeSlotReport *report, const char *name);

/* What the next process will be called. */
extern void ke_child_rename(KeChild *child, const char *name);

/* Forget the delay that grew over failures. */
extern void ke_child_hurry(KeChild *child);

/* Do what is due. */
extern void ke_child_step(KeChild *child, KeMoment now);

/* When something is due at the latest, if nobody wakes us. */
extern KeMoment ke_child_due(const KeChild *child);

/* Down and not wanted any more: give its slot back, and the memory. */
extern bool ke_child_is_over(const KeChild *child);
extern void ke_child_free(KeChild *child);

#endif							/* KE_CHILD_H */
