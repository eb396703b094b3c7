/*
 * retry_run.h
 *	  One parked message is run again.
 */
#ifndef KE_RETRY_RUN_H
#define KE_RETRY_RUN_H

#include "consumer/routing.h"
#include "state/retries.h"

typedef enum KeRetryRunResult
{
	KE_PARKED_ELSEWHERE,		/* it is gone, not due, or somebody has it */
	KE_PARKED_DONE,				/* it is not parked any more */
	KE_PARKED_PUT_OFF,			/* it stays, with the due_at in retry */
	KE_PARKED_UNDECIDED			/* it stays as it was */
} KeRetryRunResult;

typedef struct KeRetryRun
{
	KeStage    *stage;
	KeRetry    *retry;			/* its key is set; the rest once locked */
	bool		careful;		/* announce it first */

	/*
	 * As the last act of each transaction that decides about the message:
	 * whose process this is.  False: not this one's, roll back.
	 */
	bool		(*fence) (KeEngine *engine, void *argument);
	void	   *argument;

	/* filled in by ke_retry_run */
	KeRetryRunResult result;
	KeMessage  *msg;
	bool		locked;
	bool		refused;		/* the fence did */
	KeCulprit	culprit;
} KeRetryRun;

/*
 * Run it, each try in a transaction that begins by locking its row, without
 * waiting for somebody who has it, and ends by deleting it.  What fails is
 * decided about in another one: in the ordered modes it stays for its next
 * run; otherwise it goes, and a copy is written.
 */
extern KeBatchOutcome ke_retry_run(KeEngine *engine, KeRetryRun *parked);

#endif							/* KE_RETRY_RUN_H */
