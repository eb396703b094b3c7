/*
 * reprocess_report.c
 *	  What a run tells whoever waits for it.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/timestamp.h"

#include "core/clock.h"
#include "dlq/reprocess_run.h"

/* Of letters that have not failed, so many are told one by one. */
#define MAX_TOLD 1000

#define TELL_INTERVAL_MS 2000

static void
reply(KeReprocessRun *run, StringInfo buf)
{
	(void) ke_task_work_reply(run->task, buf);
	pfree(buf->data);
}

void
ke_reprocess_report_totals(KeReprocessRun *run, bool final)
{
	KeTaskProgress progress = {
		.total = run->totals.total + run->totals.left,
		.done = run->totals.total,
		.successful = run->totals.successful,
		.failed = run->totals.failed
	};
	StringInfoData buf;

	if (run->task == NULL)
		return;
	ke_task_work_report(run->task, &progress);
	if (!final && !TimestampDifferenceExceeds(run->told_at,
											  ke_clock_now(),
											  TELL_INTERVAL_MS))
		return;
	run->told_at = ke_clock_now();
	run->totals.final = final;
	initStringInfo(&buf);
	ke_dlq_reply_put_totals(&buf, &run->totals);
	reply(run, &buf);
}

static void
tell_result(KeReprocessRun *run, const KeReprocessMove *move,
			KeDlqReplyStatus status)
{
	KeDlqReplyResult result = {
		.partition = move->msg.partition,
		.offset = move->msg.offset,
		.status = status,
		.error = move->error
	};
	StringInfoData buf;

	if (status != KE_DLQ_REPLY_FAILED && run->told++ >= MAX_TOLD)
		return;
	initStringInfo(&buf);
	ke_dlq_reply_put_result(&buf, &result);
	reply(run, &buf);
}

/* Not among the totals, which are of this database's letters. */
void
ke_reprocess_report_orphan(KeReprocessRun *run, const KeReprocessMove *move)
{
	if (run->task == NULL)
		return;
	run->told_orphans = true;
	tell_result(run, move, KE_DLQ_REPLY_ORPHAN);
}

void
ke_reprocess_report(KeReprocessRun *run, const KeReprocessMove *moves,
					int count)
{
	for (int i = 0; i < count; i++)
	{
		const KeReprocessMove *move = &moves[i];
		KeDlqReplyStatus status = KE_DLQ_REPLY_SENT;

		if (move->decision == KE_REPROCESS_FAIL)
			status = KE_DLQ_REPLY_FAILED;
		else if (move->decision == KE_REPROCESS_DISCARD)
			status = KE_DLQ_REPLY_DISCARDED;
		run->totals.total++;
		if (status == KE_DLQ_REPLY_FAILED)
			run->totals.failed++;
		else
			run->totals.successful++;
		tell_result(run, move, status);
	}
	ke_reprocess_report_totals(run, false);
}
