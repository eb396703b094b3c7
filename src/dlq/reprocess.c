/*
 * reprocess.c
 *	  A run: moves the pending dead letters of a topic, chunk by chunk.
 *
 * What is there when it begins is moved, and what comes meanwhile is not.
 * First come the letters nobody has looked at yet, then those that failed
 * before, so that a limit never keeps the run among failures for ever.
 *
 * That a run is on its way is on record from its beginning to its end; what
 * is still on record when nothing runs is looked after by the upkeep.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/xlog.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/clock.h"
#include "dlq/reprocess_run.h"
#include "session/xact.h"

/* Brokers end a transaction within milliseconds of its commit. */
#define SETTLE_MS 5000

/* ---------------------------------------------------------------- reading */

static bool
is_full(const KeReprocessRun *run)
{
	int			limit = run->recorded ? KE_SMALL_CHUNK_MESSAGES :
		KE_CHUNK_MESSAGES;

	return run->nmoves >= limit || run->bytes >= KE_CHUNK_BYTES;
}

/* Put a letter into the chunk, unless it is to be left alone. */
static void
add_letter(KeReprocessRun *run, const KeMessage *msg)
{
	MemoryContext old = MemoryContextSwitchTo(run->chunk_context);
	KeReprocessMove *move = &run->moves[run->nmoves];

	memset(move, 0, sizeof(KeReprocessMove));
	move->msg = *msg;
	run->nmoves++;				/* from now on it is released with the rest */
	run->next = msg->offset + 1;
	ke_reprocess_decide(run, move);
	if (move->decision == KE_REPROCESS_ORPHAN)
		ke_reprocess_report_orphan(run, move);
	if (move->decision == KE_REPROCESS_PASS ||
		move->decision == KE_REPROCESS_ORPHAN)
	{
		ke_message_release(&move->msg);
		run->nmoves--;
	}
	else
		run->bytes += Max(msg->key_len, 0) + Max(msg->value_len, 0);
	MemoryContextSwitchTo(old);
}

/* How many letters the order still allows. */
static int64
allowance(const KeReprocessRun *run)
{
	if (run->order->max_messages == KE_TASK_ANY)
		return PG_INT64_MAX;
	return run->order->max_messages - run->totals.total - run->nmoves;
}

/* False: the run is over. */
static bool
move_range(KeReprocessRun *run, KeDlqReadRange *range)
{
	KeDlqReader *letters = ke_dlq_reader_open(run->taskctx, run->task,
											  run->order->topic,
											  list_make1(range));
	int64		to = range->to;
	int64		looked_at = 0;
	bool		through = true;
	KeMessage	msg;

	run->partition = range->partition;
	run->next = range->from;
	while (through && allowance(run) > 0 && ke_dlq_reader_next(letters, &msg))
	{
		add_letter(run, &msg);
		looked_at++;
		run->totals.left = Max(run->totals.left - 1, 0);
		if (is_full(run))
			through = ke_reprocess_chunk_move(run);
	}
	ke_dlq_reader_close(letters);
	if (run->order->offset != KE_TASK_ANY && looked_at == 0 &&
		ke_reprocess_fence_is_wanted(run))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("partition %d of topic \"%s\" has no message at offset " INT64_FORMAT,
						range->partition, run->order->topic,
						run->order->offset)));

	/* Read to its end: what is between the last letter and that is none. */
	if (allowance(run) > 0 && ke_reprocess_fence_is_wanted(run))
		run->next = to;
	return through && ke_reprocess_fence_is_wanted(run) &&
		ke_reprocess_chunk_move(run);
}

static bool
move_ranges(KeReprocessRun *run, List *ranges, bool recorded)
{
	ListCell   *lc;

	run->recorded = recorded;
	foreach(lc, ranges)
	{
		if (allowance(run) <= 0 ||
			!move_range(run, (KeDlqReadRange *) lfirst(lc)))
			return false;
	}
	return true;
}

/* -------------------------------------------------------------------- runs */

/* In a transaction: a run has begun, or ended. */
static void
write_positions(KeReprocessRun *run, bool in_motion)
{
	const KeDlqTopic *dlq = run->dlq;

	for (int p = 0; p < dlq->partitions; p++)
	{
		KeDlqPosition position = {
			.topic = unconstify(char *, dlq->topic),
			.partition = p,
			.next = dlq->positions[p],
			.in_motion = in_motion
		};

		if (run->order->partition == KE_TASK_ANY || run->order->partition == p)
			ke_dlq_records_position_write(&run->taskctx->key, &position);
	}
}

/* The service may have no subscription here, so nobody knew its cluster. */
static void
note_begin(void *argument)
{
	KeReprocessRun *run = (KeReprocessRun *) argument;
	const char *service = run->taskctx->server->options.service_name;

	if (ke_identity_cluster(service) == NULL)
		ke_identity_set_cluster(service, run->taskctx->key.cluster_id);
	write_positions(run, true);
	ke_histories_current(&run->history);
}

/*
 * In a transaction: the past, now with this history, in whose name the
 * position is moved.
 */
static void
note_past(void *argument)
{
	KeTaskContext *taskctx = (KeTaskContext *) argument;
	MemoryContext old = MemoryContextSwitchTo(taskctx->work);

	taskctx->past = ke_histories_past();
	MemoryContextSwitchTo(old);
}

static void
note_end(void *argument)
{
	write_positions((KeReprocessRun *) argument, false);
}

static List *
single_range(const KeReprocessRun *run)
{
	const KeTaskOrder *order = run->order;
	KeDlqReadRange *range = palloc(sizeof(KeDlqReadRange));

	if (order->offset < run->dlq->lows[order->partition] ||
		order->offset >= run->dlq->highs[order->partition])
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("partition %d of topic \"%s\" has no message at offset " INT64_FORMAT,
						order->partition, order->topic, order->offset),
				 errdetail("Its messages start at " INT64_FORMAT " and end before " INT64_FORMAT ".",
						   run->dlq->lows[order->partition],
						   run->dlq->highs[order->partition])));
	range->partition = order->partition;
	range->from = order->offset;
	range->to = order->offset + 1;
	return list_make1(range);
}

static void
move_pending(KeReprocessRun *run)
{
	List	   *failed = NIL;
	List	   *new = NIL;
	ListCell   *lc;

	for (int p = 0; p < run->dlq->partitions; p++)
	{
		if (run->order->partition != KE_TASK_ANY &&
			run->order->partition != p)
			continue;
		failed = list_concat(failed, ke_dlq_topic_failed_ranges(run->dlq, p));
		new = list_concat(new, ke_dlq_topic_new_ranges(run->dlq, p));
	}
	foreach(lc, list_concat_copy(new, failed))
	{
		const KeDlqReadRange *range = (KeDlqReadRange *) lfirst(lc);

		run->totals.left += range->to - range->from;
	}
	if (move_ranges(run, new, false))
		(void) move_ranges(run, failed, true);
}

static void
begin_run(KeReprocessRun *run)
{
	run->chunk_context = AllocSetContextCreate(run->taskctx->work,
											   "kafka_events chunk",
											   ALLOCSET_DEFAULT_SIZES);
	ke_reprocess_fence(run);
	ke_reprocess_target_prepare(run);
	ke_xact_run(note_begin, run, true);
	run->history.lsn = XactLastCommitEnd;
	ke_xact_run(note_past, run->taskctx, false);
	run->told_at = ke_clock_now();
}

/*
 * Brokers write where a transaction has put the position after they have
 * acknowledged its commit; a question for stable offsets is answered then.
 * Who asked for the run finds in the statistics what it has done.
 */
static void
wait_for_positions(const KeReprocessRun *run)
{
	const KeDlqTopic *dlq = run->dlq;
	KePartitionList *list = ke_partition_list_make(Max(dlq->partitions, 1));

	for (int p = 0; p < dlq->partitions; p++)
		ke_partition_list_add(list, dlq->topic, p, KE_KAFKA_NONE);
	(void) ke_cluster_committed(run->taskctx->cluster, list, SETTLE_MS);
}

/* Whatever happened: nothing of it stays behind. */
static void
end_run(KeReprocessRun *run)
{
	/* The letters' bytes may be in use until the producer is gone. */
	ke_reprocess_fence_close(run);
	for (int i = 0; i < run->nmoves; i++)
		ke_message_release(&run->moves[i].msg);
	run->nmoves = 0;
}

static KeReprocessRun *
make_run(KeTaskContext *taskctx, const KeTaskOrder *order)
{
	KeReprocessRun *run = MemoryContextAllocZero(taskctx->work,
												 sizeof(KeReprocessRun));

	run->taskctx = taskctx;
	run->order = order;
	return run;
}

static void
move_letters(KeReprocessRun *run)
{
	begin_run(run);
	ke_reprocess_target_check_source(run);
	if (run->order->offset != KE_TASK_ANY)
		(void) move_ranges(run, single_range(run), true);
	else
		move_pending(run);
	if (run->stale)
		return;
	ke_xact_run(note_end, run, true);
	wait_for_positions(run);
	run->totals.left = 0;
	ke_reprocess_report_totals(run, true);
	if (ke_reprocess_fence_is_wanted(run))
		ke_reprocess_fence_keep(run);
}

/*
 * False: the producer that the run before had left was fenced meanwhile, and
 * nothing was moved or told.  Who comes later takes over, so it begins anew.
 */
static bool
run_once(KeTaskContext *taskctx, KeTask *task)
{
	KeReprocessRun *run = make_run(taskctx, ke_task_work_order(task));

	run->task = task;
	PG_TRY();
	{
		move_letters(run);
		if (run->stale && run->told_orphans)
			ke_reprocess_fence_raise(run, KE_TRANSACTION_FENCED,
									 &(KeTrouble) {0});
	}
	PG_FINALLY();
	{
		end_run(run);
	}
	PG_END_TRY();
	return !run->stale;
}

void
ke_reprocess_run(KeTaskContext *taskctx, KeTask *task)
{
	while (!run_once(taskctx, task))
		 /* with a new producer */ ;
}

/* ------------------------------------------------------------------ upkeep */

/* Commit again what Kafka has, or what the mirror has in its place. */
static void
commit_positions(KeReprocessRun *run)
{
	run->recorded = true;
	for (int p = 0; p < run->dlq->partitions; p++)
	{
		run->partition = p;
		if ((run->dlq->metadata[p] != NULL || run->dlq->forgotten[p]) &&
			!ke_reprocess_chunk_commit_position(run))
			return;
	}
	ke_xact_run(note_end, run, true);
}

static void
look_after(KeTaskContext *taskctx, const KeTaskOrder *order,
		   bool (*should_stop) (void))
{
	KeReprocessRun *run = make_run(taskctx, order);

	run->should_stop = should_stop;
	PG_TRY();
	{
		begin_run(run);
		commit_positions(run);
	}
	PG_FINALLY();
	{
		end_run(run);
	}
	PG_END_TRY();
}

typedef struct Upkeep
{
	KeTaskContext *taskctx;
	List	   *topics;
} Upkeep;

static void
find_topics(void *argument)
{
	Upkeep	   *upkeep = (Upkeep *) argument;
	MemoryContext old = MemoryContextSwitchTo(upkeep->taskctx->work);

	upkeep->topics = ke_dlq_records_due_topics(&upkeep->taskctx->key);
	MemoryContextSwitchTo(old);
}

void
ke_reprocess_upkeep(KeTaskContext *taskctx, Oid server,
					bool (*should_stop) (void))
{
	KeTaskOrder order = {
		.kind = KE_TASK_REPROCESS,
		.server = server,
		.partition = KE_TASK_ANY,
		.offset = KE_TASK_ANY,
		.timeout_ms = 30000
	};
	Upkeep		upkeep = {taskctx, NIL};
	ListCell   *lc;

	ke_task_context_open(taskctx, &order);
	ke_xact_run(find_topics, &upkeep, false);
	foreach(lc, upkeep.topics)
	{
		if (should_stop())
			return;
		strlcpy(order.topic, (char *) lfirst(lc), sizeof(order.topic));
		look_after(taskctx, &order, should_stop);
	}
}
