/*
 * start_decision.h
 *	  Where a partition starts: a pure decision over what is known.
 *
 * P is the position stored in PostgreSQL, K what is committed in Kafka.  The
 * table is in docs/delivery-guarantees.md; each of its rows is one case here.
 */
#ifndef KE_START_DECISION_H
#define KE_START_DECISION_H

#include "core/stamp.h"
#include "state/positions.h"

typedef struct KeStartFacts
{
	const char *uuid;			/* this database's */
	bool		shared;			/* the server's option */

	bool		contested;		/* the group had members at the commit of K */

	/* Kafka's side */
	bool		has_k;
	int64		k;
	bool		has_stamp;		/* metadata of ours or another database's */
	KeStamp		stamp;

	/* PostgreSQL's side */
	bool		has_p;
	const KePosition *p;

	/* the log's bounds, if ke_start_decision_needs_bounds says so */
	int64		low;
	int64		high;
} KeStartFacts;

typedef enum KeStartVerdict
{
	KE_START_AT_POSITION,		/* go on at P */
	KE_START_VERIFIED,			/* fetch from P's last message, compare it */
	KE_START_UNVERIFIED,		/* go on at P; it cannot be checked: warn */
	KE_START_ADOPTED,			/* P := offset, moved by a tool: warn */
	KE_START_CONTESTED,			/* go on at P, not at K: a stranger's; warn */
	KE_START_SHARED,			/* P := offset, another database was further */
	KE_START_FRESH,				/* P := offset, the first of all */
	KE_START_REFUSED_FOREIGN,	/* another database's group */
	KE_START_REFUSED_RANGE		/* P is outside of the log */
} KeStartVerdict;

typedef struct KeStartDecision
{
	KeStartVerdict verdict;
	int64		offset;			/* where it goes on, or what was refused */
} KeStartDecision;

/* Must low and high be asked for before deciding? */
extern bool ke_start_decision_needs_bounds(const KeStartFacts *facts);

extern KeStartDecision ke_start_decision_make(const KeStartFacts *facts);

#endif							/* KE_START_DECISION_H */
