/*
 * split.h
 *	  A message that holds several objects, as one message for each of them.
 *
 * What looks into values (columns, validators, handlers) then sees elements,
 * and nothing else changes: topic, partition, offset, key and headers are the
 * message's.  Elements borrow everything from it, and are as valid.
 *
 * Elements are told apart by their brackets, quotes and commas only.  What is
 * wrong inside of one is found by whoever reads it.
 */
#ifndef KE_SPLIT_H
#define KE_SPLIT_H

#include "core/message.h"
#include "core/options.h"

/* So many elements at a time, however many messages have. */
#define KE_SPLIT_MAX 1000

typedef struct KeSplitter
{
	KeSplit		by;
	KeMessage	elements[KE_SPLIT_MAX];
	KeMessage  *msgs[KE_SPLIT_MAX];
	int			places[KE_SPLIT_MAX];	/* whose each is, as an index */
	int			count;			/* elements taken last */

	/* The message that is not at its end */
	const char *next;			/* NULL: none of it was taken */
	int			element;		/* the last one taken, from 1 on */
} KeSplitter;

/* NULL if messages stay whole.  Lives in parent. */
extern KeSplitter *ke_split_open(const KeSubscriptionOptions *options,
								 MemoryContext parent);

/* Forget a message that was not taken to its end. */
extern void ke_split_begin(KeSplitter *splitter);

/*
 * Take the next elements of msgs[from], msgs[from + 1], ... msgs[upto - 1];
 * returns the index of the first message that is not at its end, which is the
 * next call's from.  A message without a value is its own, only element, with
 * the number 0.  Raises 22P02 for what cannot be taken apart; *at is the
 * message at work, and -1 after the last.
 */
extern int	ke_split_take(KeSplitter *splitter, KeMessage **msgs, int from,
						  int upto, volatile int *at);

/* What an element is called, in front of its number: "element", "line". */
extern const char *ke_split_noun(KeSplit by);

#endif							/* KE_SPLIT_H */
