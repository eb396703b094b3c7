/*
 * breaker.h
 *	  The circuit breaker of one subscription, as a state machine.
 *
 *	            threshold failures in a row
 *	  +--------+ ----------------------------> +------+
 *	  | CLOSED |                               | OPEN | <-----------+
 *	  +--------+ <---------+                   +------+             |
 *	    |    ^             | success              | timeout is over |
 *	    |    |             |                      v                 |
 *	    |    |             +---------------- +-----------+ failure  |
 *	    |    |                               | HALF_OPEN | ---------+
 *	    |    |                               +-----------+
 *	    |    |                                    |
 *	    |    | success, or another                | a third message
 *	    |    | kind of failure                    v
 *	    |    |         +---------+ change  +--------+
 *	    |    +-------- | MENDING | <------ | BROKEN |
 *	    |              +---------+ ------> +--------+
 *	    |                          failure      ^
 *	    +---------------------------------------+
 *	      three messages in a row fail because of the deployment
 *
 * CLOSED: messages run, and what fails is routed.  OPEN and BROKEN: nothing
 * runs.  HALF_OPEN and MENDING: one worker runs one message to see whether
 * it goes well now.  OPEN tries again by itself when its timeout is over;
 * BROKEN when something has changed that may have mended it.
 *
 * An SQLSTATE does not tell a deployment that is wrong from data that user
 * code cannot take.  So before the third message breaks it, and while it is
 * BROKEN, workers try messages behind those that failed, without effect
 * (consumer/probe.c).  If one goes well, the deployment works: it closes, and
 * those that fail are routed, up to the next message that succeeds.
 *
 * Pure: the time is a parameter, and so is who asks, a number that stays the
 * same when a worker is restarted.  The caller has the lock.
 */
#ifndef KE_BREAKER_H
#define KE_BREAKER_H

#include "core/classify.h"
#include "core/clock.h"
#include "datatype/timestamp.h"

typedef enum KeBreakerState
{
	KE_BREAKER_CLOSED,
	KE_BREAKER_OPEN,
	KE_BREAKER_HALF_OPEN,
	KE_BREAKER_BROKEN,
	KE_BREAKER_MENDING
} KeBreakerState;

/* So many messages in a row that the deployment fails break it. */
#define KE_BREAKER_SUSPECTS 3

/* So many failures are then the messages' own, once the deployment works. */
#define KE_BREAKER_PARDONS 200

/* SQLSTATEs that are remembered as the messages' own fault. */
#define KE_BREAKER_PARDONED 4

typedef struct KeBreakerSettings
{
	int			threshold;		/* failures in a row; 0: never opens */
	int			timeout_ms;		/* from open to the next try */
	int			lease_ms;		/* then another worker may try instead */
} KeBreakerSettings;

/* Where a message was first read, and why it failed. */
typedef struct KeBreakerFailure
{
	int32		partition;
	int64		offset;
	int			sqlstate;
	KeVerdict	verdict;		/* NEVER, DEPLOYMENT or RETRY */
	bool		again;			/* it had failed, and was counted, before */
} KeBreakerFailure;

/* All zero: closed, and nothing has failed yet. */
typedef struct KeBreaker
{
	KeBreakerState state;
	int			failures;		/* in a row */
	int			tries;			/* of those, while half-open */
	int			nsuspects;		/* messages in a row the deployment failed */
	int32		suspect_partitions[KE_BREAKER_SUSPECTS];
	int64		suspect_offsets[KE_BREAKER_SUSPECTS];
	int			pardons;		/* failures still known to be the messages' */
	bool		trusted;		/* reset by hand, and no success since */
	int			pardoned[KE_BREAKER_PARDONED];	/* SQLSTATEs, 0: none */
	KeMoment	opened_at;		/* or broken; 0: closed */
	KeMoment	next_try_at;	/* 0: when something changes */
	KeMoment	tried_at;		/* when the last try began; 0: none yet */
	KeMoment	lease_until;	/* of who tries now */
	int			trier;			/* who tries, or did last */
	int32		tried_partition;	/* whose message was tried last, or -1 */
	KeBreakerFailure last;		/* sqlstate 0: none yet */
} KeBreaker;

typedef enum KeBreakerGo
{
	KE_BREAKER_RUN,				/* any number of messages */
	KE_BREAKER_TRY,				/* one message, alone */
	KE_BREAKER_WAIT				/* none */
} KeBreakerGo;

typedef struct KeBreakerTurn
{
	KeBreakerGo go;
	int32		after_partition;	/* TRY: take the next one after this */
	KeMoment	ask_at;			/* WAIT: again then; 0: not known */
} KeBreakerTurn;

/*
 * May messages run?  Whoever gets KE_BREAKER_TRY has it until he reports, or
 * until the lease is over that each call renews.  Workers that have tried
 * give the others a moment to be first the next time.
 */
extern KeBreakerTurn ke_breaker_ask(KeBreaker *breaker,
									const KeBreakerSettings *settings,
									int who, KeMoment now);

/* Messages went well, or were skipped by their handler. */
extern void ke_breaker_succeeded(KeBreaker *breaker, int who);

/*
 * A message failed alone and is to be routed.  False: it is not; it stays
 * where it is, and its partition waits.
 */
extern bool ke_breaker_failed(KeBreaker *breaker,
							  const KeBreakerSettings *settings,
							  int who, const KeBreakerFailure *failure,
							  KeMoment now);

/*
 * Would this failure break it?  Then it is the time to try messages behind
 * the one that failed, before it is reported.
 */
extern bool ke_breaker_would_break(const KeBreaker *breaker,
								   const KeBreakerFailure *failure);

/*
 * A message behind one that failed with this SQLSTATE, or the last one (0),
 * was tried and went well.
 */
extern void ke_breaker_proved(KeBreaker *breaker, int sqlstate);

/*
 * A function, a relation or the configuration has changed, or the user wants
 * to go on: what is broken is tried again, at most once a second.
 */
extern void ke_breaker_changed(KeBreaker *breaker, KeMoment now);

/*
 * Close it and count from zero; the last failure stays known.  If it was
 * broken, somebody says that the deployment works: what fails is routed, as
 * long as that does not open it.
 */
extern void ke_breaker_reset(KeBreaker *breaker);

/* As views show it: closed, open or half-open. */
extern const char *ke_breaker_state_name(KeBreakerState state);

#endif							/* KE_BREAKER_H */
