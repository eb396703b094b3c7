/*
 * start_decision.c
 *	  Where a partition starts: a pure decision over what is known.
 */
#include "postgres.h"
#include "core/compat.h"

#include "consumer/start_decision.h"

bool
ke_start_decision_needs_bounds(const KeStartFacts *facts)
{
	return !facts->has_k;
}

/*
 * Is K what we committed last?  Tools write empty metadata even when they
 * change nothing (--to-current).  What Kafka acknowledged is stored with the
 * next batch, so after a crash any value from there up to P may be ours.
 */
static bool
is_our_last_commit(const KeStartFacts *facts)
{
	if (!facts->has_p || facts->p->committed == KE_OFFSET_NONE)
		return false;
	return facts->k >= facts->p->committed && facts->k <= facts->p->next;
}

static KeStartDecision
decided(KeStartVerdict verdict, int64 offset)
{
	KeStartDecision decision = {verdict, offset};

	return decision;
}

/* Nothing is committed in Kafka: it expired, or group or topic was deleted. */
static KeStartDecision
decide_without_k(const KeStartFacts *facts)
{
	const KePosition *p = facts->p;

	if (!facts->has_p)
		return decided(KE_START_FRESH, facts->low);
	if (p->next < facts->low || p->next > facts->high)
		return decided(KE_START_REFUSED_RANGE, p->next);
	if (p->last_offset == KE_OFFSET_NONE)
		return decided(KE_START_AT_POSITION, p->next);
	if (p->last_offset < facts->low)
		return decided(KE_START_UNVERIFIED, p->next);
	return decided(KE_START_VERIFIED, p->next);
}

/*
 * K is not what we committed.  Tools can move a group only while it has no
 * members: who commits to one that has them is a member, and a stranger.
 */
static KeStartDecision
decide_moved(const KeStartFacts *facts)
{
	if (facts->contested && facts->has_p)
		return decided(KE_START_CONTESTED, facts->p->next);
	return decided(KE_START_ADOPTED, facts->k);
}

/* The stamp at K is this database's. */
static KeStartDecision
decide_own(const KeStartFacts *facts)
{
	if (facts->stamp.committed != facts->k)
		return decide_moved(facts);
	if (facts->has_p)
		return decided(KE_START_AT_POSITION, facts->p->next);
	return decided(KE_START_FRESH, facts->stamp.start);
}

/* The stamp at K is another database's. */
static KeStartDecision
decide_foreign(const KeStartFacts *facts)
{
	if (!facts->shared)
		return decided(KE_START_REFUSED_FOREIGN, facts->k);
	if (facts->has_p && facts->p->next >= facts->k)
		return decided(KE_START_AT_POSITION, facts->p->next);
	return decided(KE_START_SHARED, facts->k);
}

KeStartDecision
ke_start_decision_make(const KeStartFacts *facts)
{
	if (!facts->has_k)
		return decide_without_k(facts);
	if (!facts->has_stamp)
		return is_our_last_commit(facts) ?
			decided(KE_START_AT_POSITION, facts->p->next) :
			decide_moved(facts);
	if (strcmp(facts->stamp.uuid, facts->uuid) == 0)
		return decide_own(facts);
	return decide_foreign(facts);
}
