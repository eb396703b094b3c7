/*
 * retry_chain.h
 *	  The parked messages of a partition, as its owner remembers them.
 *
 * They form chains: of one chain only the first is ever run, when it is due,
 * and the one behind it as soon as it is gone.  What is in the table is the
 * truth; this is loaded from it when the partition is claimed, and follows
 * each commit.
 */
#ifndef KE_RETRY_CHAIN_H
#define KE_RETRY_CHAIN_H

#include "core/options.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

typedef struct KeWaiting KeWaiting;

typedef struct KeChain
{
	uint64		id;				/* see ke_retries_chain */
	KeOrdering	ordering;
	int64	   *offsets;		/* [head, head + count) of them wait */
	int			head;
	int			count;
	int			allocated;
	TimestampTz due_at;			/* of the first */
} KeChain;

/* Lives in parent. */
extern KeWaiting *ke_waiting_make(MemoryContext parent);
extern void ke_waiting_free(KeWaiting *waiting);

/* Everything anew, from a list of KeRetryEntry in offset order. */
extern void ke_waiting_load(KeWaiting *waiting, const List *entries);

/* One more at the end of its chain; due_at counts if it is the first. */
extern void ke_waiting_add(KeWaiting *waiting, uint64 id,
						   KeOrdering ordering, int64 offset,
						   TimestampTz due_at);

/* NULL: nobody waits there. */
extern KeChain *ke_waiting_find(const KeWaiting *waiting, uint64 id);
extern bool ke_waiting_contains(const KeChain *chain, int64 offset);

/* The first is gone: the next one is due at once, or the chain is over. */
extern void ke_waiting_shift(KeWaiting *waiting, KeChain *chain);

/* The first is to run again later. */
extern void ke_waiting_put_off(KeWaiting *waiting, KeChain *chain,
							   TimestampTz due_at);

/* A chain whose first is due; NULL: none. */
extern KeChain *ke_waiting_next(KeWaiting *waiting, TimestampTz now);

/* When the first one is due; DT_NOEND: none waits. */
extern TimestampTz ke_waiting_due_at(KeWaiting *waiting);

extern int	ke_waiting_count(const KeWaiting *waiting);

/* Does one wait that the whole partition waits for? */
extern bool ke_waiting_has_holder(const KeWaiting *waiting);

#endif							/* KE_RETRY_CHAIN_H */
