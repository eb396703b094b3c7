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

#include "core/clock.h"
#include "core/message.h"
#include "core/options.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

typedef struct KeRetryChains KeRetryChains;

typedef struct KeRetryChain
{
	uint64		id;				/* see ke_retries_chain */
	KeOrdering	ordering;
	int64	   *offsets;		/* [head, head + count) of them wait */
	int			head;
	int			count;
	int			allocated;
	KeMoment	due_at;			/* of the first */
} KeRetryChain;

/* Lives in parent. */
extern KeRetryChains *ke_retry_chain_make(MemoryContext parent);
extern void ke_retry_chain_free(KeRetryChains *chains);

/* Everything anew, from a list of KeRetryEntry in offset order. */
extern void ke_retry_chain_load(KeRetryChains *chains, const List *entries);

/* One more at the end of its chain; due_at counts if it is the first. */
extern void ke_retry_chain_add(KeRetryChains *chains, uint64 id,
							   KeOrdering ordering, int64 offset,
							   KeMoment due_at);

/* NULL: nobody waits there. */
extern KeRetryChain *ke_retry_chain_find(const KeRetryChains *chains,
										 uint64 id);
/* The chain that the message must wait in, or NULL; chains may be NULL. */
extern KeRetryChain *ke_retry_chain_of_message(const KeRetryChains *chains,
											   KeOrdering ordering,
											   const KeMessage *msg);

extern bool ke_retry_chain_contains(const KeRetryChain *chain, int64 offset);

/* The first is gone: the next one is due at once, or the chain is over. */
extern void ke_retry_chain_shift(KeRetryChains *chains, KeRetryChain *chain);

/* The first is to run again later. */
extern void ke_retry_chain_put_off(KeRetryChains *chains, KeRetryChain *chain,
								   KeMoment due_at);

/* A chain whose first is due; NULL: none. */
extern KeRetryChain *ke_retry_chain_next(KeRetryChains *chains,
										 KeMoment now);

/* When the first one is due; DT_NOEND: none waits. */
extern KeMoment ke_retry_chain_due_at(KeRetryChains *chains);

extern int	ke_retry_chain_count(const KeRetryChains *chains);

/* Does one wait that the whole partition waits for? */
extern bool ke_retry_chain_has_holder(const KeRetryChains *chains);

#endif							/* KE_RETRY_CHAIN_H */
