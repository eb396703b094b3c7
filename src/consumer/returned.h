/*
 * returned.h
 *	  Dead letters that were sent back to the topic they came from.
 *
 * kafka_dlq_reprocess leaves them x-copy-id and x-copy-history.  One whose
 * history the database has left is an orphan: the message behind it is
 * read again.  One whose x-copy-id has come before in another place is its
 * repetition: a relay that crashed had sent the letter twice, or a run that
 * moved it is forgotten.  Neither runs; each moves the position and is
 * counted.
 */
#ifndef KE_RETURNED_H
#define KE_RETURNED_H

#include "consumer/engine.h"

/* Note on the message whether it is one of those. */
extern void ke_returned_recognise(const KeEngine *engine,
								  const KePartition *part, KeMessage *msg);

/*
 * Find out which of the stage's messages [from, upto), counted from its head,
 * are not to run, and note it on them.  *count is how many of those messages
 * were sent back.  False: the database is in trouble, which is noted, too.
 */
extern bool ke_returned_judge(KeEngine *engine, KeStage *stage, int from,
							  int upto, int *count);

/* In the transaction that is done with the stage's first count messages. */
extern void ke_returned_note(KeEngine *engine, const KeStage *stage,
							 int count);

/* Once that has committed. */
extern void ke_returned_report(const KeEngine *engine, const KeStage *stage,
							   int count);

#endif							/* KE_RETURNED_H */
