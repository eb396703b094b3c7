/*
 * retry_chain.c
 *	  The parked messages of a partition, as its owner remembers them.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "consumer/retry_chain.h"
#include "core/clock.h"
#include "state/retries.h"

struct KeRetryChains
{
	MemoryContext context;		/* of everything here */
	HTAB	   *by_id;
	int			count;			/* messages in them */
	int			holders;		/* of those, with ordering partition */
	KeMoment	due_at;			/* the earliest; 0: to be found out */
};

static void
make_chains(KeRetryChains *chains)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(KeRetryChain);
	ctl.hcxt = chains->context;
	chains->by_id = hash_create("kafka_events chains", 64, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	chains->count = chains->holders = 0;
	chains->due_at = DT_NOEND;
}

KeRetryChains *
ke_retry_chain_make(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent,
												  "kafka_events chains",
												  ALLOCSET_SMALL_SIZES);
	KeRetryChains *chains = MemoryContextAllocZero(parent,
												   sizeof(KeRetryChains));

	chains->context = context;
	make_chains(chains);
	return chains;
}

void
ke_retry_chain_free(KeRetryChains *chains)
{
	MemoryContextDelete(chains->context);
	pfree(chains);
}

void
ke_retry_chain_load(KeRetryChains *chains, const List *entries)
{
	ListCell   *lc;

	MemoryContextReset(chains->context);
	make_chains(chains);
	foreach(lc, entries)
	{
		const KeRetryEntry *entry = (KeRetryEntry *) lfirst(lc);

		ke_retry_chain_add(chains, entry->chain, entry->ordering,
						   entry->offset,
						   ke_clock_from_wall(entry->due_at));
	}
}

static void
grow(KeRetryChains *chains, KeRetryChain *chain)
{
	if (chain->head > 0)
	{
		memmove(chain->offsets, chain->offsets + chain->head,
				chain->count * sizeof(int64));
		chain->head = 0;
	}
	if (chain->count < chain->allocated)
		return;
	chain->allocated = Max(4, 2 * chain->allocated);
	chain->offsets = chain->offsets == NULL ?
		MemoryContextAlloc(chains->context,
						   chain->allocated * sizeof(int64)) :
		repalloc_huge(chain->offsets, chain->allocated * sizeof(int64));
}

void
ke_retry_chain_add(KeRetryChains *chains, uint64 id, KeOrdering ordering,
				   int64 offset, KeMoment due_at)
{
	bool		found;
	KeRetryChain *chain = hash_search(chains->by_id, &id, HASH_ENTER,
									  &found);

	if (!found)
	{
		memset((char *) chain + sizeof(id), 0, sizeof(*chain) - sizeof(id));
		chain->ordering = ordering;

		/* whom it had waited for is gone */
		chain->due_at = due_at == DT_NOEND ? 0 : due_at;
		chains->due_at = Min(chains->due_at, chain->due_at);
	}
	if (chain->head + chain->count >= chain->allocated)
		grow(chains, chain);
	chain->offsets[chain->head + chain->count++] = offset;
	chains->count++;
	if (ordering == KE_ORDER_PARTITION)
		chains->holders++;
}

KeRetryChain *
ke_retry_chain_find(const KeRetryChains *chains, uint64 id)
{
	return chains->count == 0 ? NULL :
		hash_search(chains->by_id, &id, HASH_FIND, NULL);
}

KeRetryChain *
ke_retry_chain_of_message(const KeRetryChains *chains, KeOrdering ordering,
						  const KeMessage *msg)
{
	if (ordering == KE_ORDER_NONE || chains == NULL || chains->count == 0)
		return NULL;
	return ke_retry_chain_find(chains, ke_retries_chain(ordering, msg));
}

bool
ke_retry_chain_contains(const KeRetryChain *chain, int64 offset)
{
	int			i;

	for (i = chain->head + chain->count - 1; i >= chain->head; i--)
		if (chain->offsets[i] <= offset)
			return chain->offsets[i] == offset;
	return false;
}

void
ke_retry_chain_shift(KeRetryChains *chains, KeRetryChain *chain)
{
	chains->count--;
	if (chain->ordering == KE_ORDER_PARTITION)
		chains->holders--;
	chains->due_at = 0;
	chain->head++;
	chain->due_at = 0;
	if (--chain->count > 0)
		return;
	pfree(chain->offsets);
	hash_search(chains->by_id, &chain->id, HASH_REMOVE, NULL);
}

void
ke_retry_chain_put_off(KeRetryChains *chains, KeRetryChain *chain,
					   KeMoment due_at)
{
	chain->due_at = due_at;
	chains->due_at = 0;
}

/* The chain whose first is due first. */
static KeRetryChain *
earliest(KeRetryChains *chains)
{
	HASH_SEQ_STATUS seq;
	KeRetryChain *chain;
	KeRetryChain *best = NULL;

	hash_seq_init(&seq, chains->by_id);
	while ((chain = hash_seq_search(&seq)) != NULL)
		if (best == NULL || chain->due_at < best->due_at)
			best = chain;
	return best;
}

KeRetryChain *
ke_retry_chain_next(KeRetryChains *chains, KeMoment now)
{
	KeRetryChain *chain;

	if (chains->due_at > now)
		return NULL;
	chain = earliest(chains);
	chains->due_at = chain == NULL ? DT_NOEND : chain->due_at;
	return chain != NULL && chain->due_at <= now ? chain : NULL;
}

KeMoment
ke_retry_chain_due_at(KeRetryChains *chains)
{
	return chains->count == 0 ? DT_NOEND : chains->due_at;
}

int
ke_retry_chain_count(const KeRetryChains *chains)
{
	return chains->count;
}

bool
ke_retry_chain_has_holder(const KeRetryChains *chains)
{
	return chains->holders > 0;
}
