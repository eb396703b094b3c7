/*
 * pace.h
 *	  How many messages share a transaction, as messages fail or do not.
 *
 * A transaction costs about as much as some messages do, and one that fails
 * undoes the messages before the culprit.  What is lost in both ways together
 * is least at a size that grows with the square root of the distance between
 * failures.
 */
#ifndef KE_PACE_H
#define KE_PACE_H

typedef struct KePace
{
	int			size;			/* messages in the next transaction */
	int64		clean;			/* messages since the last one that failed */
} KePace;

/* Of a subscription of which nothing is known yet. */
extern void ke_pace_begin(KePace *pace, int most);

/* A transaction of count messages went well; whole: no smaller than size. */
extern void ke_pace_succeeded(KePace *pace, int count, bool whole, int most);

/* One message failed, alone. */
extern void ke_pace_failed(KePace *pace, int most);

#endif							/* KE_PACE_H */
