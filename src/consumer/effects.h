/*
 * effects.h
 *	  Messages into effects: inspector, rows and handler, in one transaction.
 */
#ifndef KE_EFFECTS_H
#define KE_EFFECTS_H

#include "consumer/engine.h"

/* A transaction is closed early after this long. */
#define KE_EFFECTS_MS 5000

typedef struct KeEffects
{
	KeStage    *stage;
	KeMessage **msgs;			/* count of them, in order */
	int			count;
	int			done;			/* how many of them were processed */
	int			skipped;		/* of those, tombstones without an effect */
	int64		rows;			/* inserted, updated or deleted */
	int			touched;		/* of messages that are taken apart: those
								 * with an effect */
	int			touched_last;	/* the last of them */
	volatile int at;			/* what it is at; -1: none of them */
	volatile int element;		/* of that message, if it is taken apart */

	/* how the transaction ended */
	bool		committed;
	bool		timed_out;		/* fail is our own handler_timeout */
	KeFailure  *fail;			/* in engine->scratch; NULL: none */
} KeEffects;

/*
 * What else the transaction does.  before: ahead of all user code; after: as
 * its last act.  False: it is not ours any more, roll back.
 */
typedef struct KeEffectsFrame
{
	bool		(*before) (KeEngine *engine, KeEffects *effects,
						   void *argument);
	bool		(*after) (KeEngine *engine, KeEffects *effects,
						  void *argument);
	void	   *argument;
} KeEffectsFrame;

/*
 * One transaction, from begin to commit, in which effects->msgs are processed
 * in order; slow ones are left for the next (done < count).  Raises nothing:
 * the outcome is in effects; neither committed nor a failure: the frame said
 * no, or the extension is gone.
 */
extern void ke_effects_transact(KeEngine *engine, KeEffects *effects,
								const KeEffectsFrame *frame);

#endif							/* KE_EFFECTS_H */
