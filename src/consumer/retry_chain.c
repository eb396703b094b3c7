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
#include "state/retries.h"

struct KeWaiting
{
	MemoryContext context;		/* of everything here */
	HTAB	   *chains;
	int			count;			/* messages in them */
	int			holders;		/* of those, with ordering partition */
	TimestampTz due_at;			/* the earliest; 0: to be found out */
};

static void
make_chains(KeWaiting *waiting)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(KeChain);
	ctl.hcxt = waiting->context;
	waiting->chains = hash_create("kafka_events chains", 64, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	waiting->count = waiting->holders = 0;
	waiting->due_at = DT_NOEND;
}

KeWaiting *
ke_waiting_make(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent,
												  "kafka_events waiting",
												  ALLOCSET_SMALL_SIZES);
	KeWaiting  *waiting = MemoryContextAllocZero(parent, sizeof(KeWaiting));

	waiting->context = context;
	make_chains(waiting);
	return waiting;
}

void
ke_waiting_free(KeWaiting *waiting)
{
	MemoryContextDelete(waiting->context);
	pfree(waiting);
}

void
ke_waiting_load(KeWaiting *waiting, const List *entries)
{
	ListCell   *lc;

	MemoryContextReset(waiting->context);
	make_chains(waiting);
	foreach(lc, entries)
	{
		const KeRetryEntry *entry = (KeRetryEntry *) lfirst(lc);

		ke_waiting_add(waiting, entry->chain, entry->ordering,
					   entry->offset, entry->due_at);
	}
}

static void
grow(KeWaiting *waiting, KeChain *chain)
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
		MemoryContextAlloc(waiting->context,
						   chain->allocated * sizeof(int64)) :
		repalloc_huge(chain->offsets, chain->allocated * sizeof(int64));
}

void
ke_waiting_add(KeWaiting *waiting, uint64 id, KeOrdering ordering,
			   int64 offset, TimestampTz due_at)
{
	bool		found;
	KeChain    *chain = hash_search(waiting->chains, &id, HASH_ENTER, &found);

	if (!found)
	{
		memset((char *) chain + sizeof(id), 0, sizeof(*chain) - sizeof(id));
		chain->ordering = ordering;

		/* whom it had waited for is gone */
		chain->due_at = due_at == DT_NOEND ? 0 : due_at;
		waiting->due_at = Min(waiting->due_at, chain->due_at);
	}
	if (chain->head + chain->count >= chain->allocated)
		grow(waiting, chain);
	chain->offsets[chain->head + chain->count++] = offset;
	waiting->count++;
	if (ordering == KE_ORDER_PARTITION)
		waiting->holders++;
}

KeChain *
ke_waiting_find(const KeWaiting *waiting, uint64 id)
{
	return waiting->count == 0 ? NULL :
		hash_search(waiting->chains, &id, HASH_FIND, NULL);
}

bool
ke_waiting_contains(const KeChain *chain, int64 offset)
{
	int			i;

	for (i = chain->head + chain->count - 1; i >= chain->head; i--)
		if (chain->offsets[i] <= offset)
			return chain->offsets[i] == offset;
	return false;
}

void
ke_waiting_shift(KeWaiting *waiting, KeChain *chain)
{
	waiting->count--;
	if (chain->ordering == KE_ORDER_PARTITION)
		waiting->holders--;
	waiting->due_at = 0;
	chain->head++;
	chain->due_at = 0;
	if (--chain->count > 0)
		return;
	pfree(chain->offsets);
	hash_search(waiting->chains, &chain->id, HASH_REMOVE, NULL);
}

void
ke_waiting_put_off(KeWaiting *waiting, KeChain *chain, TimestampTz due_at)
{
	chain->due_at = due_at;
	waiting->due_at = 0;
}

/* The chain whose first is due first. */
static KeChain *
earliest(KeWaiting *waiting)
{
	HASH_SEQ_STATUS seq;
	KeChain    *chain;
	KeChain    *best = NULL;

	hash_seq_init(&seq, waiting->chains);
	while ((chain = hash_seq_search(&seq)) != NULL)
		if (best == NULL || chain->due_at < best->due_at)
			best = chain;
	return best;
}

KeChain *
ke_waiting_next(KeWaiting *waiting, TimestampTz now)
{
	KeChain    *chain;

	if (waiting->due_at > now)
		return NULL;
	chain = earliest(waiting);
	waiting->due_at = chain == NULL ? DT_NOEND : chain->due_at;
	return chain != NULL && chain->due_at <= now ? chain : NULL;
}

TimestampTz
ke_waiting_due_at(KeWaiting *waiting)
{
	return waiting->count == 0 ? DT_NOEND : waiting->due_at;
}

int
ke_waiting_count(const KeWaiting *waiting)
{
	return waiting->count;
}

bool
ke_waiting_has_holder(const KeWaiting *waiting)
{
	return waiting->holders > 0;
}
