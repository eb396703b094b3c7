/*
 * progress.h
 *	  How far a range of a stage's messages moves its partitions' positions.
 */
#ifndef KE_PROGRESS_H
#define KE_PROGRESS_H

#include "consumer/engine.h"

typedef struct KeProgress
{
	KePartition **parts;		/* whose positions are written, in key order */
	KePosition *newer;
	int			nparts;
	KePartition *lost;			/* compare-and-set failed here; NULL: none */
} KeProgress;

/* With room for all partitions, in the current context. */
extern KeProgress *ke_progress_make(KeEngine *engine);

/* The new positions after the first count messages of the stage. */
extern void ke_progress_collect(KeProgress *progress, KeStage *stage,
								int count);

/* The position of a partition as it is, to be written all the same. */
extern void ke_progress_touch(KeProgress *progress, KePartition *part);

/*
 * In their transaction, as its last act: write them by compare-and-set.
 * False: one is somebody else's now (lost), roll back.
 */
extern bool ke_progress_store(KeEngine *engine, KeProgress *progress);

/* After it said no, to roll back by an error. */
extern void ke_progress_raise(void) pg_attribute_noreturn();

/* It is committed: so it is in memory, and the messages are done with. */
extern void ke_progress_commit(KeEngine *engine, KeProgress *progress,
							   KeStage *stage, int count);

/* After it said no and the transaction is over. */
extern void ke_progress_give_up(KeEngine *engine, KeProgress *progress);

#endif							/* KE_PROGRESS_H */
